;;! asm core[0]:f0
;; Accesses to a second memory.
(component
  (core module $m
    (memory $a 1)
    (memory $b 1)
    ;; The base of a memory that `ctx` does not point at is computed once.
    (func (export "copy") (param i32 i32)
      (i32.store $b (local.get 0) (i32.load $a (local.get 1)))
      (i32.store $b offset=4 (local.get 0) (i32.load $a offset=4 (local.get 1)))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %edx, %r9d
;;   movl (%rdi, %r9), %r10d
;;   movabsq $0x180000000, %r11
;;   leaq (%rdi, %r11), %r11
;;   movl %esi, %eax
;;   movl %r10d, (%r11, %rax)
;;   movl 4(%rdi, %r9), %r10d
;;   movl %r10d, 4(%r11, %rax)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! asm core[0]:f3
;; Accesses that page faults check.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; Static offset and base of the memory are one displacement. Extending the index costs nothing.
    (func (export "sum") (param i32 i32) (result i32)
      (i32.add
        (i32.load offset=8 (local.get 0))
        (i32.load offset=12 (i32.add (local.get 0) (local.get 1)))))
    ;; A constant address needs no index.
    (func (export "constant") (result i64)
      (i64.load offset=16 (i32.const 1024)))
    ;; Read, modify and write are one instruction.
    (func (export "increment") (param i32)
      (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1))))
    ;; A byte is extended once, even if it becomes an index.
    (func (export "look_up") (param i32) (result i32) (local $byte i32)
      (local.set $byte (i32.load8_u (local.get 0)))
      (i32.add (local.get $byte) (i32.load16_u offset=256 (local.get $byte)))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %r8d
;;   movl 8(%rdi, %r8), %eax
;;   leal (%rsi, %rdx), %r8d
;;   addl 0xc(%rdi, %r8), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq 0x410(%rdi), %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   addl $0x1, (%rdi, %rsi)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f3
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movzbq (%rdi, %rsi), %rsi
;;   movzwq 0x100(%rdi, %rsi), %rdi
;;   leal (%rsi, %rdi), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

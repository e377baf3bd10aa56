;;! asm core[0]:f0
;;! asm core[0]:f1
;;! asm core[0]:f2
;;! compile
;; Short copies and fills of constant length are done in place: all loads, then the stores from the last one on.
(component
  (core module $m
    (memory 1)
    (func (export "copy") (param i32 i32)
      (memory.copy (local.get 0) (local.get 1) (i32.const 40)))
    (func (export "clear") (param i32)
      (memory.fill (local.get 0) (i32.const 0) (i32.const 24)))
    (func (export "fill") (param i32 i32)
      (memory.fill (local.get 0) (local.get 1) (i32.const 7)))
    (func (export "others") (param i32 i32)
      (memory.copy (i32.const -3) (local.get 1) (i32.const 3))
      (memory.copy (local.get 0) (local.get 1) (i32.const 0))
      (memory.copy (local.get 0) (local.get 1) (i32.const 129))
      (memory.fill (local.get 0) (local.get 1) (i32.const 1))
      (memory.fill (local.get 0) (local.get 1) (i32.const 2))
      (memory.fill (local.get 0) (i32.const 171) (i32.const 13))
      (memory.fill (local.get 0) (local.get 1) (i32.const 128))))
  (core instance $i (instantiate $m)))
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %edx, %r8d
;;   movdqu (%rdi, %r8), %xmm0
;;   movdqu 0x10(%rdi, %r8), %xmm1
;;   movdqu 0x18(%rdi, %r8), %xmm2
;;   movl %esi, %r8d
;;   movdqu %xmm2, 0x18(%rdi, %r8)
;;   movdqu %xmm1, 0x10(%rdi, %r8)
;;   movdqu %xmm0, (%rdi, %r8)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   uninit  %xmm5
;;   pxor %xmm5, %xmm5
;;   movl %esi, %esi
;;   movdqu %xmm5, 8(%rdi, %rsi)
;;   movdqu %xmm5, (%rdi, %rsi)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f2
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r9
;;   andl $0xff, %edx
;;   imull $0x1010101, %edx, %esi
;;   movl %r9d, %r8d
;;   movl %esi, 3(%rdi, %r8)
;;   movl %esi, (%rdi, %r8)
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

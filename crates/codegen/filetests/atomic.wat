;;! clif core[0]:f0
;;! asm core[0]:f0
;;! asm core[0]:f1
;;! compile
;; Atomic operators.
(component
  (core module $m
    (memory 1)
    (memory $wide i64 1)
    ;; Only the low bits of index and offset are added for the alignment check.
    (func (export "add") (param i32 i32) (result i32) (i32.atomic.rmw16.add_u offset=5 (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i64) (i64.atomic.load offset=16 (local.get 0)))
    (func (export "rest") (param i32 i64 i64) (result i64)
      (i64.atomic.store8 (local.get 0) (local.get 1))
      (drop (i64.atomic.rmw.xchg $wide offset=0x1_0000_0000_0000 (local.get 1) (local.get 2)))
      (drop (memory.atomic.notify (local.get 0) (i32.const 1)))
      atomic.fence
      (drop (i64.atomic.rmw32.cmpxchg_u (local.get 0) (local.get 1) (local.get 2)))
      (i64.atomic.rmw8.xor_u $wide (local.get 1) (local.get 2)))
    (func (export "wait") (param i32) (result i32)
      (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 0))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32, i32) -> i32 tail {
;;     region0 = 0 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i32):
;; @0062                               v3 = ireduce.i16 v2
;; @0062                               v4 = iconst.i32 1
;; @0062                               v5 = iadd v1, v4  ; v4 = 1
;; @0062                               v6 = iconst.i32 1
;; @0062                               v7 = band v5, v6  ; v6 = 1
;; @0062                               trapnz v7, user3
;; @0062                               v8 = uextend.i64 v1
;; @0062                               v9 = iadd v0, v8
;; @0062                               v10 = iconst.i64 5
;; @0062                               v11 = iadd v9, v10  ; v10 = 5
;; @0062                               v12 = atomic_rmw.i16 add v11, v3
;; @0062                               v13 = uextend.i32 v12
;; @0066                               return v13
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   leal 1(%rsi), %r8d
;;   testl $0x1, %r8d
;;   jnz #trap=user3
;;   movl %esi, %r9d
;;   lock xaddw %dx, 5(%rdi, %r9)
;;   movzwl %dx, %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   testl $0x7, %esi
;;   jnz #trap=user3
;;   movl %esi, %esi
;;   movq 0x10(%rdi, %rsi), %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

;;! clif core[0]:f0
;;! asm core[0]:f0
;; Accesses to globals.
(component
  (core module $m
    (memory 1)
    (global $mutable (mut i32) (i32.const 5))
    (global $constant i32 (i32.const 7))
    ;; Stores to memory leave the loaded global valid. The immutable global is a constant.
    (func (export "cached") (param i32) (result i32)
      (i32.store (local.get 0) (global.get $mutable))
      (i32.store offset=4 (local.get 0) (global.get $mutable))
      (i32.add (global.get $mutable) (global.get $constant))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "global"
;;     region1 = 1 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0043                               v2 = load.i32 notrap aligned region0 v0-140
;; @0045                               v3 = uextend.i64 v1
;; @0045                               v4 = iadd v0, v3
;; @0045                               store region1 v2, v4
;; @004a                               v5 = load.i32 notrap aligned region0 v0-140
;; @004c                               v6 = uextend.i64 v1
;; @004c                               v7 = iadd v0, v6
;; @004c                               store region1 v5, v7+4
;; @004f                               v8 = load.i32 notrap aligned region0 v0-140
;; @0051                               v9 = iconst.i32 7
;; @0053                               v10 = iadd v8, v9  ; v9 = 7
;; @0054                               return v10
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl -0x8c(%rdi), %r9d
;;   movl %esi, %r8d
;;   movl %r9d, (%rdi, %r8)
;;   movl %r9d, 4(%rdi, %r8)
;;   leal 7(%r9), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

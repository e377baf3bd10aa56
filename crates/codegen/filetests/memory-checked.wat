;;! set memory_reservation=1048576
;;! set memory_guard=65536
;;! clif core[0]:f0
;;! asm core[0]:f0
;;! asm core[0]:f1
;; Accesses that are checked explicitly.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; With a small reservation, the access is compared with the size.
    (func (export "load") (param i32) (result i32)
      (i32.load offset=8 (local.get 0)))
    ;; A constant address below the initial size needs no check. One past the reservation traps.
    (func (export "constant") (result i32)
      (drop (i32.load offset=2097152 (i32.load (i32.const 65532))))
      (i32.const 0)))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "sizes"
;;     region1 = 1 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @004d                               v2 = uextend.i64 v1
;; @004d                               v3 = iconst.i64 12
;; @004d                               v4 = iadd v2, v3  ; v3 = 12
;; @004d                               v5 = load.i64 notrap aligned region0 v0-136
;; @004d                               v6 = icmp ugt v4, v5
;; @004d                               v7 = iadd v0, v2
;; @004d                               v8 = iconst.i64 8
;; @004d                               v9 = iadd v7, v8  ; v8 = 8
;; @004d                               v10 = iconst.i64 0
;; @004d                               v11 = select_spectre_guard v6, v10, v9  ; v10 = 0
;; @004d                               v12 = load.i32 region1 v11
;; @0050                               return v12
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %r10d
;;   leaq 0xc(%r10), %r11
;;   uninit  %r9
;;   xorq %r9, %r9
;;   leaq 8(%rdi, %r10), %r8
;;   cmpq -0x88(%rdi), %r11
;;   cmovaq %r9, %r8
;;   movl (%r8), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl 0xfffc(%rdi), %edx
;;   ud2

;;! compile
;;! set consume_fuel=true
;;! clif core[0]:f0
;;! asm core[0]:f0
;;! asm core[0]:f1
;; Counting of operators.
(component
  (core module $m
    ;; The counter stays in a register during the loop, and is stored in each iteration.
    (func (export "spin") (param $n i32)
      (loop $next
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $next (local.get $n))))
    ;; The counter is loaded again after the call.
    (func (export "call") (param $n i32) (result i32)
      (call $f (local.get $n))
      (drop) (i32.const 1) (i32.const 2) (i32.add))
    (func $f (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) tail {
;;     region0 = 0 "Fuel"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @003a                               v2 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v3 = load.i64 notrap aligned region0 v2
;; @003a                               v4 = iconst.i64 1
;; @003a                               v5 = uadd_overflow_trap v3, v4, user12  ; v4 = 1
;; @003a                               v6 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               store notrap aligned region0 v5, v6
;; @003a                               jump block1(v5, v1)
;;
;;                                 block1(v8: i64, v11: i32):
;; @003c                               v7 = iconst.i64 6
;; @003c                               v9 = uadd_overflow_trap v8, v7, user12  ; v7 = 6
;; @003c                               v10 = load.i64 notrap aligned readonly can_move v0-112
;; @003c                               store notrap aligned region0 v9, v10
;; @003e                               v12 = iconst.i32 1
;; @0040                               v13 = isub v11, v12  ; v12 = 1
;; @0045                               brif v13, block1(v9, v13), block2
;;
;;                                 block2:
;; @0048                               return
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq -0x70(%rdi), %r9
;;   movq (%r9), %rdi
;;   addq $0x1, %rdi
;;   jb #trap=user12
;;   movq %rdi, (%r9)
;;   jmp     label1
;; block1:
;;   addq $0x6, %rdi
;;   jb #trap=user12
;;   movq %rdi, (%r9)
;;   subl $0x1, %esi
;;   testl %esi, %esi
;;   jnz     label2; j label3
;; block2:
;;   jmp     label1
;; block3:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x10, %rsp
;;   movq %r12, (%rsp)
;;   movq %r13, 8(%rsp)
;; block0:
;;   movq -0x70(%rdi), %r13
;;   movl $0x3, %r12d
;;   movq %r12, %r8
;;   addq (%r13), %r8
;;   jb #trap=user12
;;   movq %r8, (%r13)
;;   call    User(userextname0)
;;   addq (%r13), %r12
;;   jb #trap=user12
;;   movq %r12, (%r13)
;;   movl $0x3, %eax
;;   movq (%rsp), %r12
;;   movq 8(%rsp), %r13
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

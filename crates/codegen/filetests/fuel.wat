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
;;     region0 = 0 "fuel"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx) preserve_all
;;     fn0 = colocated u67108864:59 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;;                                     v27 -> v1
;; @003a                               v2 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v3 = load.i64 notrap aligned region0 v2
;; @003a                               v4 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v5 = load.i64 notrap aligned region0 v4+8
;; @003a                               v6 = icmp ugt v3, v5
;; @003a                               brif v6, block1, block2(v3)
;;
;;                                 block1 cold:
;; @003a                               call fn0(v0)
;; @003a                               v7 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v8 = load.i64 notrap aligned region0 v7
;; @003a                               jump block2(v8)
;;
;;                                 block2(v10: i64):
;; @003a                               v9 = iconst.i64 1
;; @003a                               v11 = uadd_overflow_trap v10, v9, user12  ; v9 = 1
;; @003a                               v12 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               store notrap aligned region0 v11, v12
;; @003a                               jump block3(v11, v1)
;;
;;                                 block3(v15: i64, v24: i32):
;;                                     v23 -> v24
;; @003a                               v13 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v14 = load.i64 notrap aligned region0 v13+8
;; @003a                               v16 = icmp ugt v15, v14
;; @003a                               brif v16, block4, block5(v15)
;;
;;                                 block4 cold:
;; @003a                               call fn0(v0)
;; @003a                               v17 = load.i64 notrap aligned readonly can_move v0-112
;; @003a                               v18 = load.i64 notrap aligned region0 v17
;; @003a                               jump block5(v18)
;;
;;                                 block5(v20: i64):
;; @003c                               v19 = iconst.i64 6
;; @003c                               v21 = uadd_overflow_trap v20, v19, user12  ; v19 = 6
;; @003c                               v22 = load.i64 notrap aligned readonly can_move v0-112
;; @003c                               store notrap aligned region0 v21, v22
;; @003e                               v25 = iconst.i32 1
;; @0040                               v26 = isub.i32 v24, v25  ; v25 = 1
;; @0045                               brif v26, block3(v21, v26), block6
;;
;;                                 block6:
;; @0048                               return
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq -0x70(%rdi), %rax
;;   movq (%rax), %r9
;;   movq 8(%rax), %rcx
;;   cmpq %rcx, %r9
;;   jnbe    label2; j label1
;; block1:
;;   jmp     label3
;; block3:
;;   addq $0x1, %r9
;;   jb #trap=user12
;;   movq %r9, (%rax)
;;   jmp     label4
;; block4:
;;   movq 8(%rax), %rcx
;;   cmpq %rcx, %r9
;;   jnbe    label6; j label5
;; block5:
;;   jmp     label7
;; block7:
;;   addq $0x6, %r9
;;   jb #trap=user12
;;   movq %r9, (%rax)
;;   subl $0x1, %esi
;;   testl %esi, %esi
;;   jnz     label8; j label9
;; block8:
;;   jmp     label4
;; block9:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   call    User(userextname0)
;;   movq (%rax), %r9
;;   jmp     label3
;; block6:
;;   call    User(userextname0)
;;   movq (%rax), %r9
;;   jmp     label7
;; == asm core[0]:f1
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x10, %rsp
;;   movq %r12, (%rsp)
;;   movq %r14, 8(%rsp)
;; block0:
;;   movq -0x70(%rdi), %r12
;;   movq (%r12), %r8
;;   movq 8(%r12), %rcx
;;   cmpq %rcx, %r8
;;   jnbe    label2; j label1
;; block1:
;;   jmp     label3
;; block3:
;;   movl $0x3, %r14d
;;   addq $0x3, %r8
;;   jb #trap=user12
;;   movq %r8, (%r12)
;;   call    User(userextname1)
;;   addq (%r12), %r14
;;   jb #trap=user12
;;   movq %r14, (%r12)
;;   movl $0x3, %eax
;;   movq (%rsp), %r12
;;   movq 8(%rsp), %r14
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   call    User(userextname0)
;;   movq (%r12), %r8
;;   jmp     label3

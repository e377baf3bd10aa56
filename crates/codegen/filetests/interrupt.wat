;;! compile
;;! set interruptible=true
;;! clif core[0]:f0
;;! asm core[0]:f0
;; Tests of the interrupt word.
(component
  (core module $m
    ;; Nothing is stored in the loop, but the word is loaded in each iteration.
    (func (export "spin") (param $n i32)
      (loop $next
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $next (local.get $n)))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx) preserve_all
;;     fn0 = colocated u67108864:59 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;;                                     v10 -> v1
;; @002c                               v2 = load.i64 notrap aligned readonly can_move v0-120
;; @002c                               v3 = atomic_load.i64 notrap aligned v2
;; @002c                               brif v3, block1, block2
;;
;;                                 block1 cold:
;; @002c                               call fn0(v0)
;; @002c                               jump block2
;;
;;                                 block2:
;; @002c                               jump block3(v1)
;;
;;                                 block3(v7: i32):
;;                                     v6 -> v7
;; @002c                               v4 = load.i64 notrap aligned readonly can_move v0-120
;; @002c                               v5 = atomic_load.i64 notrap aligned v4
;; @002c                               brif v5, block4, block5
;;
;;                                 block4 cold:
;; @002c                               call fn0(v0)
;; @002c                               jump block5
;;
;;                                 block5:
;; @0030                               v8 = iconst.i32 1
;; @0032                               v9 = isub.i32 v7, v8  ; v8 = 1
;; @0037                               brif v9, block3(v9), block6
;;
;;                                 block6:
;; @003a                               return
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq -0x80(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq -0x78(%rdi), %r8
;;   movq (%r8), %r9
;;   testq %r9, %r9
;;   jnz     label2; j label1
;; block1:
;;   jmp     label3
;; block3:
;;   jmp     label4
;; block4:
;;   movq (%r8), %rax
;;   testq %rax, %rax
;;   jnz     label6; j label5
;; block5:
;;   jmp     label7
;; block7:
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
;;   jmp     label3
;; block6:
;;   call    User(userextname0)
;;   jmp     label7

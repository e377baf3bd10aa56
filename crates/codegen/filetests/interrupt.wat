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
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @002c                               v2 = load.i64 notrap aligned readonly can_move v0-120
;; @002c                               v3 = atomic_load.i64 notrap aligned v2
;; @002c                               trapnz v3, user11
;; @002c                               jump block1(v1)
;;
;;                                 block1(v6: i32):
;; @002c                               v4 = load.i64 notrap aligned readonly can_move v0-120
;; @002c                               v5 = atomic_load.i64 notrap aligned v4
;; @002c                               trapnz v5, user11
;; @0030                               v7 = iconst.i32 1
;; @0032                               v8 = isub v6, v7  ; v7 = 1
;; @0037                               brif v8, block1(v8), block2
;;
;;                                 block2:
;; @003a                               return
;; }
;; == asm core[0]:f0
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq -0x78(%rdi), %rdi
;;   movq (%rdi), %r8
;;   testq %r8, %r8
;;   jnz #trap=user11
;;   jmp     label1
;; block1:
;;   movq (%rdi), %r10
;;   testq %r10, %r10
;;   jnz #trap=user11
;;   subl $0x1, %esi
;;   testl %esi, %esi
;;   jnz     label2; j label3
;; block2:
;;   jmp     label1
;; block3:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq

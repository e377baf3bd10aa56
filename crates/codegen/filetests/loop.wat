;;! clif core[0]:f0
;; A loop.
(component
  (core module $m
    ;; Locals that change in a loop become parameters of its header, after the loop's own.
    (func (export "sum") (param $n i32) (result i32) (local $i i32)
      (i32.const 0)
      (loop $next (param i32) (result i32)
        (i32.add (local.get $i))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;;                                     v9 -> v1
;;                                     v2 = iconst.i32 0
;; @002e                               v3 = iconst.i32 0
;; @0030                               jump block1(v3, v2)  ; v3 = 0, v2 = 0
;;
;;                                 block1(v4: i32, v5: i32):
;; @0034                               v6 = iadd v4, v5
;; @0037                               v7 = iconst.i32 1
;; @0039                               v8 = iadd v5, v7  ; v7 = 1
;; @0040                               v10 = icmp ult v8, v9
;; @0040                               v11 = uextend.i32 v10
;; @0041                               brif v11, block1(v6, v8), block2
;;
;;                                 block2:
;; @0044                               return v6
;; }

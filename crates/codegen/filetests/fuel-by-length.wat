;;! compile
;;! set consume_fuel=true
;;! set fuel_by_length=true
;;! clif core[0]:f0
;;! clif core[0]:f1
;; The length of an operation is paid for before anything else is done for it. Its segment was paid
;; for earlier.
(component
  (core module $m
    (memory 1)
    (memory $wide i64 1)
    (func (export "fill") (param i32 i32)
      (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
    ;; A 64-bit length is not rounded up by an addition, which could overflow.
    (func (export "wide") (param i64 i64)
      (memory.fill $wide (local.get 0) (i32.const 7) (local.get 1))))
  (core instance $i (instantiate $m)))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32, i32) tail {
;;     region0 = 0 "fuel"
;;     region1 = 1 "sizes"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx) preserve_all
;;     sig1 = (i64 vmctx, i64, i64, i64, i64) tail
;;     fn0 = colocated u67108864:59 sig0
;;     fn1 = colocated u67108864:8 sig1
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i32):
;;                                     v14 -> v1
;;                                     v16 -> v2
;; @0041                               v3 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               v4 = load.i64 notrap aligned region0 v3
;; @0041                               v5 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               v6 = load.i64 notrap aligned region0 v5+8
;; @0041                               v7 = icmp ugt v4, v6
;; @0041                               brif v7, block1, block2(v4)
;;
;;                                 block1 cold:
;; @0041                               call fn0(v0)
;; @0041                               v8 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               v9 = load.i64 notrap aligned region0 v8
;; @0041                               jump block2(v9)
;;
;;                                 block2(v11: i64):
;; @0041                               v10 = iconst.i64 5
;; @0041                               v12 = uadd_overflow_trap v11, v10, user12  ; v10 = 5
;; @0041                               v13 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               store notrap aligned region0 v12, v13
;; @0043                               v15 = iconst.i32 7
;; @0047                               v17 = uextend.i64 v2
;; @0047                               v18 = iconst.i64 63
;; @0047                               v19 = iadd v17, v18  ; v18 = 63
;; @0047                               v20 = iconst.i64 6
;; @0047                               v21 = ushr v19, v20  ; v20 = 6
;; @0047                               v22 = uadd_overflow_trap v12, v21, user12
;; @0047                               v23 = load.i64 notrap aligned readonly can_move v0-112
;; @0047                               store notrap aligned region0 v22, v23
;; @0047                               v24 = iconst.i64 0x0707_0707_0707_0707
;; @0047                               v25 = uextend.i64 v2
;; @0047                               v26 = uextend.i64 v1
;; @0047                               v27 = iadd v26, v25
;; @0047                               v28 = load.i64 notrap aligned region1 v0-136
;; @0047                               v29 = icmp ugt v27, v28
;; @0047                               trapnz v29, heap_oob
;; @0047                               v30 = iadd.i64 v0, v26
;; @0047                               v31 = iconst.i64 0
;; @0047                               v32 = select_spectre_guard v29, v31, v30  ; v31 = 0
;; @0047                               call fn1(v0, v32, v24, v24, v25)  ; v24 = 0x0707_0707_0707_0707, v24 = 0x0707_0707_0707_0707
;; @004a                               return
;; }
;; == clif core[0]:f1
;; function u16777216:1(i64 vmctx, i64, i64) tail {
;;     region0 = 0 "fuel"
;;     region1 = 1 "sizes"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx) preserve_all
;;     sig1 = (i64 vmctx, i64, i64, i64, i64) tail
;;     fn0 = colocated u67108864:59 sig0
;;     fn1 = colocated u67108864:8 sig1
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i64, v2: i64):
;;                                     v14 -> v1
;;                                     v16 -> v2
;; @004d                               v3 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               v4 = load.i64 notrap aligned region0 v3
;; @004d                               v5 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               v6 = load.i64 notrap aligned region0 v5+8
;; @004d                               v7 = icmp ugt v4, v6
;; @004d                               brif v7, block1, block2(v4)
;;
;;                                 block1 cold:
;; @004d                               call fn0(v0)
;; @004d                               v8 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               v9 = load.i64 notrap aligned region0 v8
;; @004d                               jump block2(v9)
;;
;;                                 block2(v11: i64):
;; @004d                               v10 = iconst.i64 5
;; @004d                               v12 = uadd_overflow_trap v11, v10, user12  ; v10 = 5
;; @004d                               v13 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               store notrap aligned region0 v12, v13
;; @004f                               v15 = iconst.i32 7
;; @0053                               v17 = iconst.i64 6
;; @0053                               v18 = ushr.i64 v2, v17  ; v17 = 6
;; @0053                               v19 = iconst.i64 63
;; @0053                               v20 = band.i64 v2, v19  ; v19 = 63
;; @0053                               v21 = iconst.i64 0
;; @0053                               v22 = icmp ne v20, v21  ; v21 = 0
;; @0053                               v23 = uextend.i64 v22
;; @0053                               v24 = iadd v18, v23
;; @0053                               v25 = uadd_overflow_trap v12, v24, user12
;; @0053                               v26 = load.i64 notrap aligned readonly can_move v0-112
;; @0053                               store notrap aligned region0 v25, v26
;; @0053                               v27 = iconst.i64 0x0707_0707_0707_0707
;; @0053                               v28 = uadd_overflow_trap.i64 v1, v2, heap_oob
;; @0053                               v29 = load.i64 notrap aligned region1 v0-144
;; @0053                               v30 = iconst.i64 0x0001_8000_0000
;; @0053                               v31 = iadd.i64 v0, v30  ; v30 = 0x0001_8000_0000
;; @0053                               v32 = icmp ugt v28, v29
;; @0053                               trapnz v32, heap_oob
;; @0053                               v33 = iadd v31, v1
;; @0053                               v34 = iconst.i64 0
;; @0053                               v35 = select_spectre_guard v32, v34, v33  ; v34 = 0
;; @0053                               call fn1(v0, v35, v27, v27, v2)  ; v27 = 0x0707_0707_0707_0707, v27 = 0x0707_0707_0707_0707
;; @0056                               return
;; }

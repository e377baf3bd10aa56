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
;;     region0 = 0 "Fuel"
;;     region1 = 1 "Sizes"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i64, i64, i64, i64) tail
;;     fn0 = colocated u67108864:8 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i32):
;; @0041                               v3 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               v4 = load.i64 notrap aligned region0 v3
;; @0041                               v5 = iconst.i64 5
;; @0041                               v6 = uadd_overflow_trap v4, v5, user12  ; v5 = 5
;; @0041                               v7 = load.i64 notrap aligned readonly can_move v0-112
;; @0041                               store notrap aligned region0 v6, v7
;; @0043                               v8 = iconst.i32 7
;; @0047                               v9 = uextend.i64 v2
;; @0047                               v10 = iconst.i64 63
;; @0047                               v11 = iadd v9, v10  ; v10 = 63
;; @0047                               v12 = iconst.i64 6
;; @0047                               v13 = ushr v11, v12  ; v12 = 6
;; @0047                               v14 = uadd_overflow_trap v6, v13, user12
;; @0047                               v15 = load.i64 notrap aligned readonly can_move v0-112
;; @0047                               store notrap aligned region0 v14, v15
;; @0047                               v16 = iconst.i64 0x0707_0707_0707_0707
;; @0047                               v17 = uextend.i64 v2
;; @0047                               v18 = uextend.i64 v1
;; @0047                               v19 = iadd v18, v17
;; @0047                               v20 = load.i64 notrap aligned region1 v0-136
;; @0047                               v21 = icmp ugt v19, v20
;; @0047                               trapnz v21, heap_oob
;; @0047                               v22 = iadd v0, v18
;; @0047                               v23 = iconst.i64 0
;; @0047                               v24 = select_spectre_guard v21, v23, v22  ; v23 = 0
;; @0047                               call fn0(v0, v24, v16, v16, v17)  ; v16 = 0x0707_0707_0707_0707, v16 = 0x0707_0707_0707_0707
;; @004a                               return
;; }
;; == clif core[0]:f1
;; function u16777216:1(i64 vmctx, i64, i64) tail {
;;     region0 = 0 "Fuel"
;;     region1 = 1 "Sizes"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i64, i64, i64, i64) tail
;;     fn0 = colocated u67108864:8 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i64, v2: i64):
;; @004d                               v3 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               v4 = load.i64 notrap aligned region0 v3
;; @004d                               v5 = iconst.i64 5
;; @004d                               v6 = uadd_overflow_trap v4, v5, user12  ; v5 = 5
;; @004d                               v7 = load.i64 notrap aligned readonly can_move v0-112
;; @004d                               store notrap aligned region0 v6, v7
;; @004f                               v8 = iconst.i32 7
;; @0053                               v9 = iconst.i64 6
;; @0053                               v10 = ushr v2, v9  ; v9 = 6
;; @0053                               v11 = iconst.i64 63
;; @0053                               v12 = band v2, v11  ; v11 = 63
;; @0053                               v13 = iconst.i64 0
;; @0053                               v14 = icmp ne v12, v13  ; v13 = 0
;; @0053                               v15 = uextend.i64 v14
;; @0053                               v16 = iadd v10, v15
;; @0053                               v17 = uadd_overflow_trap v6, v16, user12
;; @0053                               v18 = load.i64 notrap aligned readonly can_move v0-112
;; @0053                               store notrap aligned region0 v17, v18
;; @0053                               v19 = iconst.i64 0x0707_0707_0707_0707
;; @0053                               v20 = uadd_overflow_trap v1, v2, heap_oob
;; @0053                               v21 = load.i64 notrap aligned region1 v0-144
;; @0053                               v22 = iconst.i64 0x0001_8000_0000
;; @0053                               v23 = iadd v0, v22  ; v22 = 0x0001_8000_0000
;; @0053                               v24 = icmp ugt v20, v21
;; @0053                               trapnz v24, heap_oob
;; @0053                               v25 = iadd v23, v1
;; @0053                               v26 = iconst.i64 0
;; @0053                               v27 = select_spectre_guard v24, v26, v25  ; v26 = 0
;; @0053                               call fn0(v0, v27, v19, v19, v2)  ; v19 = 0x0707_0707_0707_0707, v19 = 0x0707_0707_0707_0707
;; @0056                               return
;; }

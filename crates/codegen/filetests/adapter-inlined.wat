;; An adapter that passes only numbers is inlined in the caller, unless the call is indirect.
;;! clif core[1]:f3
;;! clif core[1]:f4
;;! compile
(component
  (component $C
    (core module $M
      (func (export "f") (param i32 i32 f64) (result i32) (local.get 0)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "c" char) (param "p" (tuple s8 f64)) (result bool) (canon lift (core func $m "f"))))
  (instance $c (instantiate $C))
  (component $D
    (import "f" (func $f (param "c" char) (param "p" (tuple s8 f64)) (result bool)))
    (core func $f (canon lower (func $f)))
    (core module $Main
      (type $f (func (param i32 i32 f64) (result i32)))
      (import "" "f" (func $f (type $f)))
      (table (export "t") 1 funcref)
      (elem (i32.const 0) $f)
      (func $set (table.set (i32.const 0) (ref.null func)))
      (func $other (result i32) (i32.const 0))
      (func (export "run") (result i32) (call $f (i32.const 97) (i32.const 0x1ff) (f64.const 1)))
      (func (export "through") (param i32) (result i32)
        (call_indirect (type $f) (i32.const 97) (i32.const 0x1ff) (f64.const 1) (local.get 0)))
      (export "set" (func $set)) (export "other" (func $other)))
    (core instance $main (instantiate $Main (with "" (instance (export "f" (func $f))))))
    (func (export "run") (result u32) (canon lift (core func $main "run")))
    (func (export "set") (canon lift (core func $main "set")))
    (func (export "through") (param "i" u32) (result u32) (canon lift (core func $main "through"))))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (export "run" (func $d "run")) (export "set" (func $d "set")) (export "through" (func $d "through")))
;; == clif core[1]:f3
;; function u16777217:3(i64 vmctx) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32, i32, f64) -> i32 tail
;;     fn0 = colocated u16777216:0 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0143                               v1 = iconst.i32 97
;; @0146                               v2 = iconst.i32 511
;; @0149                               v3 = f64const 0x1.0000000000000p0
;; @0152                               v4 = iconst.i64 -8519680
;; @0152                               v5 = iadd v0, v4  ; v4 = -8519680
;; @0152                               v6 = load.i64 notrap aligned v5-80
;; @0152                               v7 = load.i64 notrap aligned v0-80
;; @0152                               v8 = iconst.i64 2
;; @0152                               v9 = band v7, v8  ; v8 = 2
;; @0152                               trapz v9, user15
;; @0152                               v10 = load.i64 notrap aligned v0-128
;; @0152                               store notrap aligned v10, v5-128
;; @0152                               v11 = iconst.i32 0xd800
;; @0152                               v12 = bxor v1, v11  ; v1 = 97, v11 = 0xd800
;; @0152                               v13 = iconst.i32 2048
;; @0152                               v14 = isub v12, v13  ; v13 = 2048
;; @0152                               v15 = iconst.i32 0x0010_f7ff
;; @0152                               v16 = icmp ugt v14, v15  ; v15 = 0x0010_f7ff
;; @0152                               trapnz v16, user23
;; @0152                               v17 = ireduce.i8 v2  ; v2 = 511
;; @0152                               v18 = sextend.i32 v17
;; @0152                               v19 = call fn0(v5, v1, v18, v3)  ; v1 = 97, v3 = 0x1.0000000000000p0
;; @0152                               v20 = load.i64 notrap aligned v0-80
;; @0152                               v21 = iconst.i32 0
;; @0152                               v22 = icmp ne v19, v21  ; v21 = 0
;; @0152                               v23 = uextend.i32 v22
;; @0154                               return v23
;; }
;; == clif core[1]:f4
;; function u16777217:4(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "table"
;;     region1 = 1 "sizes"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     gv2 = symbol colocated userextname0
;;     sig0 = (i64 vmctx, i32, i32, f64) -> i32 tail
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0157                               v2 = iconst.i32 97
;; @015a                               v3 = iconst.i32 511
;; @015d                               v4 = f64const 0x1.0000000000000p0
;; @0168                               v5 = load.i32 notrap aligned region1 v0-136
;; @0168                               v6 = icmp uge v1, v5
;; @0168                               trapnz v6, user4
;; @0168                               v7 = iconst.i32 0x000f_ffff
;; @0168                               v8 = band v1, v7  ; v7 = 0x000f_ffff
;; @0168                               v9 = uextend.i64 v8
;; @0168                               v10 = iconst.i64 3
;; @0168                               v11 = ishl v9, v10  ; v10 = 3
;; @0168                               v12 = iadd v0, v11
;; @0168                               v13 = load.i32 notrap aligned region0 v12-0x0081_fffc
;; @0168                               v14 = iconst.i32 1
;; @0168                               v15 = icmp eq v13, v14  ; v14 = 1
;; @0168                               brif v15, block1, block2
;;
;;                                 block2 cold:
;; @0168                               trapz.i32 v13, user5
;; @0168                               trap user6
;;
;;                                 block1:
;; @0168                               v16 = uload32.i64 notrap aligned region0 v12-0x0082_0000
;; @0168                               v17 = symbol_value.i64 gv2
;; @0168                               v18 = iadd v17, v16
;; @0168                               v19 = call_indirect sig0, v18(v0, v2, v3, v4)  ; v2 = 97, v3 = 511, v4 = 0x1.0000000000000p0
;; @016b                               return v19
;; }

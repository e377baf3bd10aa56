;;! compile
;;! clif builtin:fill_bytes
;;! clif core[0]:f0
;; Fills of up to 128 bytes do not leave machine code: they store words or vectors from both ends.
(component
  (core module $m
    (type $a (array (mut i16)))
    (func (export "fill") (param (ref $a) i32 i32 i32)
      (array.fill $a (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
  (core instance $i (instantiate $m)))
;; == clif builtin:fill_bytes
;; function u67108864:8(i64 vmctx, i64, i64, i64, i64) tail {
;;     sig0 = (i64 vmctx, i64, i64, i64, i64) -> i32 system_v
;;     sig1 = (i64 vmctx, i32) system_v
;;
;; block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
;;     v5 = iadd v1, v4
;;     v6 = iconst.i64 16
;;     v7 = icmp ugt v4, v6  ; v6 = 16
;;     brif v7, block2, block3
;;
;; block2:
;;     v8 = iconst.i64 128
;;     v9 = icmp.i64 ugt v4, v8  ; v8 = 128
;;     brif v9, block4, block5
;;
;; block4:
;;     jump block1
;;
;; block5:
;;     v10 = scalar_to_vector.i64x2 v2
;;     v11 = insertlane v10, v3, 1
;;     v12 = iconst.i64 64
;;     v13 = icmp.i64 ugt v4, v12  ; v12 = 64
;;     brif v13, block6, block7
;;
;; block6:
;;     store.i64x2 notrap v11, v1
;;     store.i64x2 notrap v11, v5-16
;;     store.i64x2 notrap v11, v1+16
;;     store.i64x2 notrap v11, v5-32
;;     store.i64x2 notrap v11, v1+32
;;     store.i64x2 notrap v11, v5-48
;;     store.i64x2 notrap v11, v1+48
;;     store.i64x2 notrap v11, v5-64
;;     return
;;
;; block7:
;;     v14 = iconst.i64 32
;;     v15 = icmp.i64 ugt v4, v14  ; v14 = 32
;;     brif v15, block8, block9
;;
;; block8:
;;     store.i64x2 notrap v11, v1
;;     store.i64x2 notrap v11, v5-16
;;     store.i64x2 notrap v11, v1+16
;;     store.i64x2 notrap v11, v5-32
;;     return
;;
;; block9:
;;     store.i64x2 notrap v11, v1
;;     store.i64x2 notrap v11, v5-16
;;     return
;;
;; block3:
;;     v16 = iconst.i64 7
;;     v17 = icmp.i64 ugt v4, v16  ; v16 = 7
;;     brif v17, block10, block11
;;
;; block10:
;;     store.i64 notrap v2, v1
;;     store.i64 notrap v3, v5-8
;;     return
;;
;; block11:
;;     v18 = iconst.i64 3
;;     v19 = icmp.i64 ugt v4, v18  ; v18 = 3
;;     brif v19, block12, block13
;;
;; block12:
;;     v20 = ireduce.i32 v2
;;     store notrap v20, v1
;;     store notrap v20, v5-4
;;     return
;;
;; block13:
;;     v21 = iconst.i64 1
;;     v22 = icmp.i64 ugt v4, v21  ; v21 = 1
;;     brif v22, block14, block15
;;
;; block14:
;;     v23 = ireduce.i16 v2
;;     store notrap v23, v1
;;     store notrap v23, v5-2
;;     return
;;
;; block15:
;;     v24 = iconst.i64 0
;;     v25 = icmp.i64 ugt v4, v24  ; v24 = 0
;;     brif v25, block16, block17
;;
;; block16:
;;     istore8.i64 notrap v2, v1
;;     return
;;
;; block17:
;;     return
;;
;; block1 cold:
;;     v26 = load.i64 notrap aligned readonly can_move v0-88
;;     v27 = get_frame_pointer.i64
;;     store notrap aligned v27, v26
;;     v28 = load.i64 notrap aligned readonly can_move v0-96
;;     v29 = load.i64 notrap aligned readonly can_move v28+64
;;     v30 = call_indirect sig0, v29(v0, v1, v2, v3, v4)
;;     brif v30, block18, block19
;;
;; block18 cold:
;;     v31 = load.i64 notrap aligned readonly can_move v0-96
;;     v32 = load.i64 notrap aligned readonly can_move v31+480
;;     call_indirect sig1, v32(v0, v30)
;;     trap user10
;;
;; block19:
;;     return
;; }
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i64, i32, i32, i32) tail {
;;     region0 = 0 "objects"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i64, i64, i64, i64) tail
;;     fn0 = colocated u67108864:8 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i64, v2: i32, v3: i32, v4: i32):
;; @003b                               v5 = iadd v0, v1
;; @003b                               v6 = load.i32 user13 region0 v5-0x2000_fffc
;; @003b                               v7 = uextend.i64 v2
;; @003b                               v8 = uextend.i64 v4
;; @003b                               v9 = uextend.i64 v6
;; @003b                               v10 = iadd v7, v8
;; @003b                               v11 = icmp ugt v10, v9
;; @003b                               trapnz v11, user55
;; @003b                               v12 = uextend.i64 v3
;; @003b                               v13 = iconst.i64 0xffff
;; @003b                               v14 = band v12, v13  ; v13 = 0xffff
;; @003b                               v15 = iconst.i64 0x0001_0001_0001_0001
;; @003b                               v16 = imul v14, v15  ; v15 = 0x0001_0001_0001_0001
;; @003b                               v17 = iadd v0, v1
;; @003b                               v18 = uextend.i64 v2
;; @003b                               v19 = iconst.i64 1
;; @003b                               v20 = ishl v18, v19  ; v19 = 1
;; @003b                               v21 = iadd v17, v20
;; @003b                               v22 = iconst.i64 -536936440
;; @003b                               v23 = iadd v21, v22  ; v22 = -536936440
;; @003b                               v24 = uextend.i64 v4
;; @003b                               v25 = iconst.i64 1
;; @003b                               v26 = ishl v24, v25  ; v25 = 1
;; @003b                               call fn0(v0, v23, v16, v16, v26)
;; @003e                               return
;; }

;;! compile
;;! set interruptible=true
;;! set consume_fuel=true
;;! set fuel_by_length=true
;;! clif adapter[0]
;; The loop over the elements tests for interruption in each iteration. The length of the list is paid
;; for before elements are copied.
(component
  (component $Callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "f") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" (list char))
      (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $callee (instantiate $Callee))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $callee "f") (memory (core memory $libc "memory"))))
  (core module $m
    (import "" "f" (func $f (param i32 i32)))
    (func (export "run") (call $f (i32.const 0) (i32.const 3))))
  (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)))))))
;; == clif adapter[0]
;; function u83886080:0(i64 vmctx, i32, i32) tail {
;;     region0 = 0 "sizes"
;;     region1 = 1 "memory"
;;     region2 = 2 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32, i32, i32, i32) -> i32 tail
;;     sig1 = (i64 vmctx) preserve_all
;;     sig2 = (i64 vmctx, i32, i32) tail
;;     fn0 = colocated u16777216:0 sig0
;;     fn1 = colocated u67108864:59 sig1
;;     fn2 = colocated u16777216:1 sig2
;;     stack_limit = gv1
;;
;; block0(v0: i64, v1: i32, v2: i32):
;;     v3 = iconst.i64 0x0001_8001_0000
;;     v4 = iadd v0, v3  ; v3 = 0x0001_8001_0000
;;     v5 = load.i64 notrap aligned v4-80
;;     v6 = load.i64 notrap aligned v0-80
;;     v7 = iconst.i64 2
;;     v8 = band v6, v7  ; v7 = 2
;;     trapz v8, user15
;;     v9 = load.i64 notrap aligned v0-128
;;     store notrap aligned v9, v4-128
;;     v10 = uextend.i64 v1
;;     v11 = uextend.i64 v2
;;     v12 = iconst.i64 0x03ff_ffff
;;     v13 = icmp ugt v11, v12  ; v12 = 0x03ff_ffff
;;     trapnz v13, user21
;;     v14 = iconst.i64 3
;;     v15 = band v10, v14  ; v14 = 3
;;     trapnz v15, user16
;;     v16 = iconst.i64 4
;;     v17 = imul v11, v16  ; v16 = 4
;;     v18 = iadd v10, v17
;;     v19 = load.i64 notrap aligned region0 v0-136
;;     v20 = icmp ugt v18, v19
;;     trapnz v20, user19
;;     v21 = iconst.i64 63
;;     v22 = iadd v17, v21  ; v21 = 63
;;     v23 = iconst.i64 6
;;     v24 = ushr v22, v23  ; v23 = 6
;;     v25 = load.i64 notrap aligned readonly can_move v0-112
;;     v26 = load.i64 notrap aligned v25
;;     v27 = uadd_overflow_trap v26, v24, user12
;;     store notrap aligned v27, v25
;;     v28 = iconst.i64 0
;;     v29 = iconst.i64 4
;;     v30 = ireduce.i32 v28  ; v28 = 0
;;     v31 = ireduce.i32 v28  ; v28 = 0
;;     v32 = ireduce.i32 v29  ; v29 = 4
;;     v33 = ireduce.i32 v17
;;     v34 = iconst.i64 -3
;;     v35 = band v5, v34  ; v34 = -3
;;     store notrap aligned v35, v4-80
;;     v36 = call fn0(v4, v30, v31, v32, v33)
;;     store notrap aligned v5, v4-80
;;     v37 = uextend.i64 v36
;;     v38 = iconst.i64 3
;;     v39 = band v37, v38  ; v38 = 3
;;     trapnz v39, user26
;;     v40 = iadd v37, v17
;;     v41 = load.i64 notrap aligned region0 v4-136
;;     v42 = icmp ugt v40, v41
;;     trapnz v42, user29
;;     v43 = iadd v0, v10
;;     v44 = iadd v4, v37
;;     v45 = iadd v43, v17
;;     jump block1(v43, v44)
;;
;; block1(v46: i64, v47: i64):
;;     v48 = icmp eq v46, v45
;;     brif v48, block3, block2
;;
;; block2:
;;     v49 = load.i64 notrap aligned readonly can_move v0-120
;;     v50 = atomic_load.i64 notrap aligned v49
;;     brif v50, block4, block5
;;
;; block4 cold:
;;     call fn1(v0)
;;     jump block5
;;
;; block5:
;;     v51 = load.i32 region1 v46
;;     v52 = iconst.i32 0xd800
;;     v53 = bxor v51, v52  ; v52 = 0xd800
;;     v54 = iconst.i32 2048
;;     v55 = isub v53, v54  ; v54 = 2048
;;     v56 = iconst.i32 0x0010_f7ff
;;     v57 = icmp ugt v55, v56  ; v56 = 0x0010_f7ff
;;     trapnz v57, user23
;;     store region2 v51, v47
;;     v58 = iconst.i64 4
;;     v59 = iadd.i64 v46, v58  ; v58 = 4
;;     v60 = iconst.i64 4
;;     v61 = iadd.i64 v47, v60  ; v60 = 4
;;     jump block1(v59, v61)
;;
;; block3:
;;     v62 = ireduce.i32 v37
;;     v63 = ireduce.i32 v11
;;     call fn2(v4, v62, v63)
;;     v64 = load.i64 notrap aligned v0-80
;;     return
;; }

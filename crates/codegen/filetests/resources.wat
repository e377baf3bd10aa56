;;! clif canon[0]
;;! clif canon[1]
;;! clif canon[2]
;;! clif canon[3]
;;! compile
;; Built-ins on resources of a component and of the host.
(component
  (import "host" (instance $host (export "r" (type (sub resource)))))
  (alias export $host "r" (type $theirs))
  (component $c
    (core module $m
      (memory 1)
      (func (export "dtor") (param i32)))
    (core instance $m (instantiate $m))
    (type $r (resource (rep i32) (dtor (core func $m "dtor"))))
    (export "r" (type $r))
    (core func $new (canon resource.new $r))
    (core func $rep (canon resource.rep $r))
    (core module $n
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (func (export "run") (result i32) (call $rep (call $new (i32.const 7)))))
    (core instance $n (instantiate $n (with "" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
    (func (export "run") (result u32) (canon lift (core func $n "run"))))
  (instance $c (instantiate $c))
  (alias export $c "r" (type $r))
  (core func $drop (canon resource.drop $r))
  (core func $drop-theirs (canon resource.drop $theirs))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "drop-theirs" (func $drop-theirs (param i32)))
    (func (export "run") (call $drop (i32.const 1)) (call $drop-theirs (i32.const 1))))
  (core instance $m (instantiate $m
    (with "" (instance (export "drop" (func $drop)) (export "drop-theirs" (func $drop-theirs))))))
  (func (export "run") (canon lift (core func $m "run")))
  (export "c" (instance $c)))
;; == clif canon[0]
;; function u100663296:0(i64 vmctx, i32) -> i32 tail {
;;     sig0 = (i64 vmctx, i32, i32, i32) -> i32 tail
;;     fn0 = colocated u67108864:20 sig0
;;
;; block0(v0: i64, v1: i32):
;;     v2 = load.i64 notrap aligned v0-80
;;     v3 = iconst.i64 2
;;     v4 = band v2, v3  ; v3 = 2
;;     trapz v4, user15
;;     v5 = iconst.i32 1
;;     v6 = iconst.i32 1
;;     v7 = call fn0(v0, v5, v6, v1)  ; v5 = 1, v6 = 1
;;     return v7
;; }
;; == clif canon[1]
;; function u100663296:1(i64 vmctx, i32) -> i32 tail {
;;     sig0 = (i64 vmctx, i32, i32, i32) -> i32 tail
;;     fn0 = colocated u67108864:21 sig0
;;
;; block0(v0: i64, v1: i32):
;;     v2 = iconst.i32 1
;;     v3 = iconst.i32 1
;;     v4 = call fn0(v0, v2, v3, v1)  ; v2 = 1, v3 = 1
;;     return v4
;; }
;; == clif canon[2]
;; function u100663296:2(i64 vmctx, i32) tail {
;;     ss0 = explicit_slot 8, align = 8
;;     sig0 = (i64 vmctx, i32, i32, i32, i64) -> i32 tail
;;     sig1 = (i64 vmctx, i32) tail
;;     fn0 = colocated u67108864:22 sig0
;;     fn1 = colocated u16777216:0 sig1
;;
;; block0(v0: i64, v1: i32):
;;     v2 = load.i64 notrap aligned v0-80
;;     v3 = iconst.i64 2
;;     v4 = band v2, v3  ; v3 = 2
;;     trapz v4, user15
;;     v5 = stack_addr.i64 ss0
;;     v6 = iconst.i32 0
;;     v7 = iconst.i32 1
;;     v8 = call fn0(v0, v6, v7, v1, v5)  ; v6 = 0, v7 = 1
;;     brif v8, block1, block2
;;
;; block1:
;;     v9 = stack_addr.i64 ss0
;;     v10 = load.i32 notrap v9
;;     v11 = iconst.i64 0x0001_0000
;;     v12 = iadd.i64 v0, v11  ; v11 = 0x0001_0000
;;     v13 = load.i64 notrap aligned v0-128
;;     store notrap aligned v13, v12-128
;;     call fn1(v12, v10)
;;     jump block2
;;
;; block2:
;;     return
;; }
;; == clif canon[3]
;; function u100663296:3(i64 vmctx, i32) tail {
;;     ss0 = explicit_slot 8, align = 8
;;     ss1 = explicit_slot 8, align = 8
;;     sig0 = (i64 vmctx, i32, i32, i32, i64) -> i32 tail
;;     sig1 = (i64 vmctx, i64, i64) -> i32 system_v
;;     sig2 = (i64 vmctx, i32) system_v
;;     fn0 = colocated u67108864:22 sig0
;;
;; block0(v0: i64, v1: i32):
;;     v2 = load.i64 notrap aligned v0-80
;;     v3 = iconst.i64 2
;;     v4 = band v2, v3  ; v3 = 2
;;     trapz v4, user15
;;     v5 = stack_addr.i64 ss0
;;     v6 = iconst.i32 0
;;     v7 = iconst.i32 0
;;     v8 = call fn0(v0, v6, v7, v1, v5)  ; v6 = 0, v7 = 0
;;     brif v8, block1, block2
;;
;; block1:
;;     v9 = stack_addr.i64 ss0
;;     v10 = load.i32 notrap v9
;;     v11 = load.i64 notrap aligned readonly can_move v0-88
;;     v12 = get_frame_pointer.i64
;;     store notrap aligned v12, v11
;;     v13 = stack_addr.i64 ss1
;;     store notrap v10, v13
;;     v14 = load.i64 notrap aligned readonly can_move v0-104
;;     v15 = load.i64 notrap aligned readonly can_move v14
;;     v16 = load.i64 notrap aligned readonly can_move v14+8
;;     v17 = call_indirect sig1, v15(v0, v16, v13)
;;     v18 = iconst.i32 0
;;     brif v17, block3, block4
;;
;; block3 cold:
;;     v19 = load.i64 notrap aligned readonly can_move v0-96
;;     v20 = load.i64 notrap aligned readonly can_move v19+480
;;     call_indirect sig2, v20(v0, v18)  ; v18 = 0
;;     trap user10
;;
;; block4:
;;     jump block2
;;
;; block2:
;;     return
;; }

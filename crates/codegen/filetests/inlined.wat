;; Small functions of this and of another module take the place of calls. The code has the location
;; of the call.
;;! set inlining=yes
;;! clif core[1]:f3
(component
  (core module $A
    (global $g (mut i32) (i32.const 0))
    (memory 1)
    (func (export "get") (param i32) (result i32) (local i32)
      (global.set $g (local.get 1))
      (i32.load offset=4 (local.get 0))))
  (core instance $a (instantiate $A))
  (core module $B
    (import "" "get" (func $get (param i32) (result i32)))
    (func $forward (param i32) (result i32) (call $get (local.get 0)))
    (func $large (param i32) (result i32) (block (result i32) (local.get 0)))
    (func (export "run") (param i32) (result i32)
      (i32.mul (call $forward (local.get 0)) (call $large (local.get 0)))))
  (core instance $b (instantiate $B (with "" (instance (export "get" (func $a "get"))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $b "run"))))
;; == clif core[1]:f3
;; function u16777217:3(i64 vmctx, i32) -> i32 tail {
;;     region0 = 0 "global"
;;     region1 = 1 "memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     sig0 = (i64 vmctx, i32) -> i32 tail
;;     fn0 = colocated u16777217:2 sig0
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @009d                               v2 = iconst.i32 0
;; @009d                               store notrap aligned region0 v2, v0-140  ; v2 = 0
;; @009d                               v3 = uextend.i64 v1
;; @009d                               v4 = iadd v0, v3
;; @009d                               v5 = load.i32 region1 v4+4
;; @00a1                               v6 = call fn0(v0, v1)
;; @00a3                               v7 = imul v5, v6
;; @00a4                               return v7
;; }

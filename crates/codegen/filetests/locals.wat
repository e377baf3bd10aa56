;;! clif core[0]:f0
;; There are more locals than the body has bytes, so only named locals get a variable.
(component
  (core module $m
    (func (export "run") (param i32) (result i32) (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
      (local.set 7 (local.get 0))
      (i32.add (local.get 7) (local.get 39))))
  (core instance $i (instantiate $m))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))
;; == clif core[0]:f0
;; function u16777216:0(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0-128
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;;                                     v2 = iconst.i32 0
;; @0036                               v3 = iadd v1, v2  ; v2 = 0
;; @0037                               return v3
;; }

(component
  (import "wasi:cli/stdin@0.2.0" (instance $i (export "r" (type $r (sub resource))) (export "get" (func (result (own $r))))))
  (core func $get (canon lower (func $i "get")))
  (core module $m (import "" "get" (func $get (result i32))) (func (export "run") (drop (call $get))))
  (core instance $m (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "run") (canon lift (core func $m "run"))))
;; =>
;; error: calling the imported function `get` of `wasi:cli/stdin@0.2.0`, which takes or gives resource handles, is not supported yet (used by function 1 (`run`) of core module 0)

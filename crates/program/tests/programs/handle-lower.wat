(component
  (import "wasi:cli/stdin@0.2.0" (instance $i (export "r" (type $r (sub resource))) (export "get" (func (result (own $r))))))
  (core func $get (canon lower (func $i "get")))
  (core module $m (import "" "get" (func $get (result i32))) (func (export "run") (drop (call $get))))
  (core instance $m (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "run") (canon lift (core func $m "run"))))
;; =>
;; import wasi:cli/stdin@0.2.0: instance
;;   import r: resource0
;;   import get: import0 = func() -> own<r>
;; export run: lift0 = func()
;; lift0: core[0]:f1 () -> () in domain0 calls=0
;; lower0: import0 () -> (i32) in domain0
;; resource0: imported as wasi:cli/stdin@0.2.0 r
;; domain0: no memory
;; core0: module0 (m) in domain0
;;   f0 = lower[0]
;; reachable in core0: 1 of 1: f1
;; entry () -> ()

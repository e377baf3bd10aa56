(component
  (import "r" (type $r (sub resource)))
  (core module $m (func (export "f") (param i32)))
  (core instance $m (instantiate $m))
  (func (export "f") (param "r" (own $r)) (canon lift (core func $m "f"))))
;; =>
;; import r: resource0
;; export f: lift0 = func(r: own<r>)
;; lift0: core[0]:f0 (i32) -> () in domain0 calls=none
;; resource0: imported as r
;; domain0: no memory
;; core0: module0 (m) in domain0
;; reachable in core0: 1 of 1: f0
;; entry (i32) -> ()

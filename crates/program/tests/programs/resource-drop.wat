(component
  (type $r (resource (rep i32)))
  (core func $drop (canon resource.drop $r))
  (core module $m (import "" "drop" (func $drop (param i32))) (func (export "run") (call $drop (i32.const 0))))
  (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $i "run"))))
;; =>
;; export run: lift0 = func()
;; lift0: core[0]:f1 () -> () in domain0 calls=none
;; resource0: of domain0
;; canon[0]: resource.drop resource0 in domain0
;; domain0: no memory
;; core0: module0 (m) in domain0
;;   f0 = canon[0]
;; reachable in core0: 1 of 1: f1
;; entry () -> ()

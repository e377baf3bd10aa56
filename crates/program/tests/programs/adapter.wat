(component
  (component $a
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))
  (component $b
    (import "f" (func $f))
    (core func $f (canon lower (func $f)))
    (core module $m (import "" "f" (func $f)) (func $run (export "run") call $f))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $a (instantiate $a))
  (instance $b (instantiate $b (with "f" (func $a "f"))))
  (export "run" (func $b "run")))
;; =>
;; export run: lift0 = func()
;; lift0: core[1]:f1 () -> () in domain2 calls=none
;; adapter0: func() from in domain2 to core[0]:f0 () -> () in domain1
;; domain0: no memory
;; domain1: no memory
;; domain2: no memory
;; core0: module0 (m) in domain1
;; core1: module1 (m) in domain2
;;   f0 = adapter[0]
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f1
;; entry () -> ()

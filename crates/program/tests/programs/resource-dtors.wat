;; Destructors are reachable through built-ins that are called and through what exports give the host; others are not compiled.
(component
  (component $c
    (core module $d
      (func (export "a") (param i32))
      (func (export "b") (param i32))
      (func (export "c") (param i32)))
    (core instance $d (instantiate $d))
    (type $a' (resource (rep i32) (dtor (core func $d "a"))))
    (type $b' (resource (rep i32) (dtor (core func $d "b"))))
    (type $c' (resource (rep i32) (dtor (core func $d "c"))))
    (export $a "a" (type $a'))
    (export $b "b" (type $b'))
    (export $c "c" (type $c'))
    (core func $new (canon resource.new $b'))
    (core func $rep (canon resource.rep $b'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (func (export "make") (result i32) (call $rep (call $new (i32.const 0)))))
    (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
    (func (export "make") (result (own $b)) (canon lift (core func $m "make"))))
  (instance $c (instantiate $c))
  (alias export $c "a" (type $a))
  (alias export $c "c" (type $c-type))
  (core func $drop (canon resource.drop $a))
  (core func $never (canon resource.drop $c-type))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "never" (func $never (param i32)))
    (func (export "run") (call $drop (i32.const 0))))
  (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop)) (export "never" (func $never))))))
  (func (export "run") (canon lift (core func $m "run")))
  (export "c" (instance $c)))
;; =>
;; export c: instance
;;   export a: resource0
;;   export b: resource1
;;   export c: resource2
;;   export make: lift0 = func() -> own<b>
;; export run: lift1 = func()
;; lift0: core[1]:f2 () -> (i32) in domain1 calls=none
;; lift1: core[2]:f2 () -> () in domain0 calls=none
;; resource0: of domain1 dtor=core[0]:f0
;; resource1: of domain1 dtor=core[0]:f1
;; resource2: of domain1
;; canon[0]: resource.new resource1 in domain1
;; canon[1]: resource.rep resource1 in domain1
;; canon[2]: resource.drop resource0 in domain0
;; domain0: no memory
;; domain1: no memory
;; core0: module0 (d) in domain1
;; core1: module1 (m) in domain1
;;   f0 = canon[0]
;;   f1 = canon[1]
;; core2: module2 (m) in domain0
;;   f0 = canon[2]
;;   f1 = never called
;; reachable in core0: 2 of 3: f0-f1
;; reachable in core1: 1 of 1: f2
;; reachable in core2: 1 of 1: f2
;; entry (i32) -> ()
;; entry () -> (i32)
;; entry () -> ()

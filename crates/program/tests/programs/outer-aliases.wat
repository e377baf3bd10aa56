;; Modules and components of the components around, through several levels.
(component $root
  (core module $m (func (export "f") (result i32) i32.const 7))
  (component $leaf
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  (component $middle
    (component $inner
      (alias outer $root $leaf (component $l))
      (instance $i (instantiate $l))
      (core instance $own (instantiate $m))
      (func (export "own") (result u32) (canon lift (core func $own "f")))
      (export "leaf" (instance $i)))
    (instance $i (instantiate $inner))
    (export "inner" (instance $i)))
  (instance $m (instantiate $middle))
  (export "middle" (instance $m)))
;; =>
;; export middle: instance
;;   export inner: instance
;;     export leaf: instance
;;       export f: lift0 = func() -> u32
;;     export own: lift1 = func() -> u32
;; lift0: core[0]:f0 () -> (i32) in domain3 calls=none
;; lift1: core[1]:f0 () -> (i32) in domain2 calls=none
;; domain0: no memory
;; domain1: no memory
;; domain2: no memory
;; domain3: no memory
;; core0: module0 (m) in domain3
;; core1: module0 (m) in domain2
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f0
;; entry () -> (i32)

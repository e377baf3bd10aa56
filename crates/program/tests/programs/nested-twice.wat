;; A nested component that is instantiated twice gives two domains.
(component
  (component $c
    (core module $m
      (memory (export "m") 1)
      (func (export "f") (result i32) i32.const 1))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  (instance $a (instantiate $c))
  (instance $b (instantiate $c))
  (export "a" (instance $a))
  (export "b" (func $b "f")))
;; =>
;; export a: instance
;;   export f: lift0 = func() -> u32
;; export b: lift1 = func() -> u32
;; lift0: core[0]:f0 () -> (i32) in domain1 calls=none
;; lift1: core[1]:f0 () -> (i32) in domain2 calls=none
;; domain0: no memory
;; domain1: main mem0
;; domain2: main mem1
;; mem0: domain1 1.. pages
;; mem1: domain2 1.. pages
;; core0: module0 (m) in domain1, memories mem0
;; core1: module0 (m) in domain2, memories mem1
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f0
;; entry () -> (i32)

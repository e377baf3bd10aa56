;; `ctx` points at the memory of the largest module.
(component
  (core module $small (memory (export "m") 1) (func (export "f")))
  (core module $large
    (import "s" "m" (memory 1))
    (memory $own 3)
    (func (export "f") (drop (i32.load $own (i32.const 0)))))
  (core module $largest (memory 7) (func (export "f") nop nop nop nop nop nop nop nop nop nop nop nop nop))
  (core instance $s (instantiate $small))
  (core instance $l (instantiate $large (with "s" (instance $s))))
  (core instance $x (instantiate $largest))
  (func (export "f") (canon lift (core func $l "f"))))
;; =>
;; export f: lift0 = func()
;; lift0: core[1]:f0 () -> () in domain0 calls=none
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; mem1: domain0 3.. pages
;; mem2: domain0 7.. pages
;; core0: module0 (small) in domain0, memories mem0
;; core1: module1 (large) in domain0, memories mem0 mem1
;; core2: module2 (largest) in domain0, memories mem2
;; reachable in core0: 0 of 1
;; reachable in core1: 1 of 1: f0
;; reachable in core2: 0 of 1
;; entry () -> ()

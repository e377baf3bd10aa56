;; Segments before the first start function are image; those behind are run-time steps.
(component
  (core module $a
    (memory (export "m") 1)
    (table (export "t") 4 funcref)
    (func $s)
    (func $e)
    (start $s)
    (elem (i32.const 0) func $e)
    (data (i32.const 0) "before"))
  (core module $b
    (import "a" "m" (memory 1))
    (import "a" "t" (table 4 funcref))
    (func $late (export "late"))
    (func $s2)
    (elem (i32.const 1) func $late)
    (elem declare func $s2)
    (data "passive, not named")
    (data (i32.const 100) "after"))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a)))))
;; =>
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 4.. entries mutable
;; core0: module0 (a) in domain0, memories mem0, tables table0
;; core1: module1 (b) in domain0, memories mem0, tables table0, data - data0, elems elem0 -
;; data0: 5 bytes
;; elem0: [core[1]:f0]
;; image: mem0 0x0: 6 bytes
;; image: table0 0: [core[0]:f1]
;; then: call core[0]:f0 in domain0
;; then: elem0 to table0 1
;; then: data0 to mem0 0x64
;; reachable in core0: 2 of 2: f0-f1
;; reachable in core1: 1 of 2: f0
;; entry () -> ()

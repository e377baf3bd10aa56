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
    (func (export "use") (drop (table.get $own (i32.const 0))))
    (data "passive, not named")
    (memory $own 2)
    (table $own 2 funcref)
    (data (i32.const 100) "after")
    (data $d (memory $own) (i32.const 0x10000) "own")
    (elem (table $own) (i32.const 1) func $late))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a))))
  (func (export "use") (canon lift (core func $b "use"))))
;; =>
;; export use: lift0 = func()
;; lift0: core[1]:f2 () -> () in domain0 calls=none
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; mem1: domain0 2.. pages
;; table0: domain0 4.. entries mutable
;; table1: domain0 2.. entries
;; core0: module0 (a) in domain0, memories mem0, tables table0
;; core1: module1 (b) in domain0, memories mem0 mem1, tables table0 table1, data - data0 -, elems elem0 - -
;; data0: 5 bytes
;; elem0: [core[1]:f0]
;; image: mem0 0x0: 6 bytes
;; image: mem1 0x10000: 3 bytes
;; image: table0 0: [core[0]:f1]
;; image: table1 1: [core[1]:f0]
;; then: call core[0]:f0 in domain0
;; then: elem0 to table0 1
;; then: data0 to mem0 0x64
;; reachable in core0: 2 of 2: f0-f1
;; reachable in core1: 2 of 3: f0 f2
;; entry () -> ()

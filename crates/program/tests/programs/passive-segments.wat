;; Passive segments have a run-time length only where reachable code names them.
(component
  (core module $m
    (memory 1)
    (table $t 10 20 funcref)
    (table $untouched 5 externref)
    (type $v (func))
    (elem $e0 func $x $y)
    (elem $e1 func $z)
    (elem $e2 (table $t) (i32.const 2) func $w)
    (data $d0 "zero")
    (data $d1 "one")
    (data $d2 (i32.const 5) "active")
    (func $x) (func $y) (func $z) (func $w)
    (func (export "run")
      (table.init $t $e0 (i32.const 0) (i32.const 0) (i32.const 2))
      (elem.drop $e2)
      (memory.init $d1 (i32.const 0) (i32.const 0) (i32.const 3))
      (data.drop $d2))
    (func $dead (data.drop $d0) (elem.drop $e1)))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
;; =>
;; export run: lift0 = func()
;; lift0: core[0]:f4 () -> () in domain0 calls=none
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 10..20 entries mutable
;; table1: domain0 5.. entries of externref
;; core0: module0 (m) in domain0, memories mem0, tables table0 table1, data - data0 -, elems elem0 - -
;; data0: 3 bytes
;; elem0: [core[0]:f0, core[0]:f1]
;; image: mem0 0x5: 6 bytes
;; image: table0 2: [core[0]:f3]
;; reachable in core0: 4 of 6: f0-f1 f3-f4
;; entry () -> ()

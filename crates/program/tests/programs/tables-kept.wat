;; Elements of a table that nothing touches are dropped; all tables that something touches keep theirs.
(component
  (core module $m
    (type $v (func))
    (table $called 2 2 funcref)
    (table $read 2 2 funcref)
    (table $written 2 2 funcref)
    (table $grown 2 funcref)
    (table $idle 2 2 funcref)
    (elem (table $called) (i32.const 0) func $a)
    (elem (table $read) (i32.const 0) func $b)
    (elem (table $written) (i32.const 0) func $c)
    (elem (table $grown) (i32.const 0) func $d)
    (elem (table $idle) (i32.const 0) func $e)
    (func $a) (func $b) (func $c) (func $d) (func $e) (func $f)
    (elem declare func $f)
    (func (export "run")
      (call_indirect $called (type $v) (i32.const 0))
      (table.copy $written $read (i32.const 0) (i32.const 0) (i32.const 1))
      (drop (table.grow $grown (ref.func $f) (i32.const 1)))
      (drop (table.size $idle))))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
;; =>
;; export run: lift0 = func()
;; lift0: core[0]:f6 () -> () in domain0 calls=none
;; domain0: no memory
;; table0: domain0 2..2 entries
;; table1: domain0 2..2 entries
;; table2: domain0 2..2 entries mutable
;; table3: domain0 2.. entries mutable
;; table4: domain0 2..2 entries
;; core0: module0 (m) in domain0, tables table0 table1 table2 table3 table4
;; image: table0 0: [core[0]:f0]
;; image: table1 0: [core[0]:f1]
;; image: table2 0: [core[0]:f2]
;; image: table3 0: [core[0]:f3]
;; reachable in core0: 6 of 7: f0-f3 f5-f6
;; entry () -> ()

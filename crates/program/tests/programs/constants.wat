;; core-exports
(component
  (core module $a
    (func $f)
    (global (export "base") i32 (i32.const 100))
    (global (export "func") funcref (ref.func $f))
    (global (export "f64") f64 (f64.const 1.5))
    (global (export "var") (mut i64) (i64.const -1)))
  (core module $b
    (import "a" "base" (global $base i32))
    (import "a" "func" (global $func funcref))
    (memory 1)
    (table 8 funcref)
    (global $sum i32 (i32.add (global.get $base) (i32.mul (i32.const 3) (i32.const 4))))
    (global $wide (mut i64) (i64.sub (i64.const 1) (i64.const 2)))
    (global $nan f32 (f32.const nan:0x200000))
    (global $null externref (ref.null extern))
    (global $copy funcref (global.get $func))
    (elem (i32.const 2) funcref (global.get $func) (ref.null func) (ref.func $g))
    (data (offset (i32.sub (global.get $base) (i32.const 1))) "x")
    (func $g)
    (func (export "get") (result funcref) (table.get (i32.const 2))))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a)))))
;; =>
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 8.. entries
;; global0: domain0 i32 = 100
;; global1: domain0 funcref = core[0]:f0
;; global2: domain0 f64 = 1.5
;; global3: domain0 mut i64 = -1
;; global4: domain0 i32 = 112
;; global5: domain0 mut i64 = -1
;; global6: domain0 f32 = NaN
;; global7: domain0 externref = null
;; global8: domain0 funcref = core[0]:f0
;; core0: module0 (a) in domain0, globals global0 global1 global2 global3
;; core1: module1 (b) in domain0, memories mem0, tables table0, globals global0 global1 global4 global5 global6 global7 global8
;; image: mem0 0x63: 1 bytes
;; image: table0 2: [core[0]:f0, null, core[1]:f0]
;; core export core0 base: global0 i32
;; core export core0 func: global1 funcref
;; core export core0 f64: global2 f64
;; core export core0 var: global3 i64
;; core export core1 get: core[1]:f1 () -> (funcref)
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 2 of 2: f0-f1
;; entry () -> (funcref)

;; core-exports
(component
  (core module $a
    (memory (export "memory") 1)
    (table (export "table") 1 funcref)
    (global (export "global") i32 (i32.const 1))
    (elem (i32.const 0) func $in-table)
    (func $in-table)
    (func (export "f") (param i64 f32) (result i32 i32) i32.const 1 i32.const 2)
    (func $dead))
  (core module $b
    (import "a" "f" (func (param i64 f32) (result i32 i32)))
    (export "again" (func 0)))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $b (with "a" (instance $a)))))
;; =>
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 1.. entries mutable
;; global0: domain0 i32 = 1
;; core0: module0 (a) in domain0, memories mem0, tables table0, globals global0
;; core1: module1 (b) in domain0
;;   f0 = core[0]:f1
;; image: table0 0: [core[0]:f0]
;; core export core0 memory: mem0
;; core export core0 table: table0
;; core export core0 global: global0 i32
;; core export core0 f: core[0]:f1 (i64, f32) -> (i32, i32)
;; core export core1 again: core[0]:f1 (i64, f32) -> (i32, i32)
;; reachable in core0: 2 of 3: f0-f1
;; reachable in core1: 0 of 0
;; entry (i64, f32) -> (i32, i32)

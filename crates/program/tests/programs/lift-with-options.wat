;; As the greet component: one module, a lift with every option, dead functions.
(component
  (core module $m (@name "guest")
    (memory (export "memory") 2 10)
    (table 3 3 funcref)
    (elem (i32.const 1) func $called)
    (global $sp (mut i32) (i32.const 0x1000))
    (data (i32.const 16) "hello")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) local.get 0)
    (func $greet (export "greet") (param i32 i32) (result i32)
      i32.const 1 call_indirect (type $none) call $helper i32.const 0)
    (type $none (func))
    (func (export "post") (param i32) global.get $sp drop)
    (func $called)
    (func $helper)
    (func $dead call $dead2)
    (func $dead2)
    (func $last (export "not used"))
  )
  (core instance $i (instantiate $m))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) (post-return (core func $i "post"))))
  (func (export "again") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc")) string-encoding=utf16)))
;; =>
;; export greet: lift0 = func(name: string) -> string
;; export again: lift1 = func(name: string) -> string
;; lift0: core[0]:f1 (i32, i32) -> (i32) in domain0 memory=mem0 realloc=core[0]:f0 post-return=core[0]:f2 calls=none
;; lift1: core[0]:f1 (i32, i32) -> (i32) in domain0 utf16 memory=mem0 realloc=core[0]:f0 calls=none
;; domain0: main mem0
;; mem0: domain0 2..10 pages
;; table0: domain0 3..3 entries
;; global0: domain0 mut i32 = 4096
;; core0: module0 (guest) in domain0, memories mem0, tables table0, globals global0
;; image: mem0 0x10: 5 bytes
;; image: table0 1: [core[0]:f3]
;; reachable in core0: 5 of 8: f0-f4
;; entry (i32, i32, i32, i32) -> (i32)
;; entry (i32, i32) -> (i32)
;; entry (i32) -> ()

;; As component tools emit it: a module that needs lowers which need its memory, through a table of a shim.
(component
  (import "log" (func $log (param "text" string)))
  (core module $main
    (import "host" "log" (func $log (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "run") (call $log (i32.const 0) (i32.const 0))))
  (core module $shim (@name "wit-component:shim")
    (type $t (func (param i32 i32)))
    (table (export "$imports") 1 1 funcref)
    (func (export "0") (type $t) local.get 0 local.get 1 i32.const 0 call_indirect (type $t)))
  (core module $fixup (@name "wit-component:fixups")
    (type $t (func (param i32 i32)))
    (import "" "0" (func (type $t)))
    (import "" "$imports" (table 1 1 funcref))
    (elem (i32.const 0) func 0))
  (core instance $shim (instantiate $shim))
  (core instance $main (instantiate $main (with "host" (instance (export "log" (func $shim "0"))))))
  (core func $log (canon lower (func $log) (memory (core memory $main "memory"))))
  (core instance $fixup (instantiate $fixup (with "" (instance
    (export "0" (func $log))
    (export "$imports" (table $shim "$imports"))))))
  (func (export "run") (canon lift (core func $main "run"))))
;; =>
;; import log: import0 = func(text: string)
;; export run: lift0 = func()
;; lift0: core[1]:f2 () -> () in domain0 calls=0
;; lower0: import0 (i32, i32) -> () in domain0 memory=mem0
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 1..1 entries
;; core0: module1 (wit-component:shim) in domain0, tables table0
;; core1: module0 (main) in domain0, memories mem0
;;   f0 = core[0]:f0
;; core2: module2 (wit-component:fixups) in domain0, tables table0
;;   f0 = lower[0]
;; image: table0 0: [lower[0]]
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 2: f2
;; reachable in core2: 0 of 0
;; entry () -> ()

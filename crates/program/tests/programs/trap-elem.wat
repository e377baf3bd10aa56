(component
  (core module $a
    (table 1 funcref)
    (memory 1)
    (func $f)
    (elem (i32.const -1) func $f)
    (data (i32.const 0) "never"))
  (core instance (instantiate $a)))
;; =>
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; table0: domain0 1.. entries
;; core0: module0 (a) in domain0, memories mem0, tables table0
;; then: wasm trap: undefined element: out of bounds table access
;; reachable in core0: 0 of 1

;; A segment out of bounds: what follows never happens.
(component
  (core module $a
    (memory (export "m") 1)
    (data (i32.const 65535) "x")
    (data (i32.const 65536) "")
    (data (i32.const 65535) "xy")
    (data (i32.const 0) "never")
    (func $s)
    (start $s))
  (core instance $a (instantiate $a))
  (core instance $b (instantiate $a)))
;; =>
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; mem1: domain0 1.. pages
;; core0: module0 (a) in domain0, memories mem0
;; core1: module0 (a) in domain0, memories mem1
;; image: mem0 0xffff: 1 bytes
;; then: wasm trap: out of bounds memory access
;; reachable in core0: 0 of 1
;; reachable in core1: 0 of 1

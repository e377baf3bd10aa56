;; Instances made of items, and instances exported again; versioned names.
(component
  (import "ns:pkg/types@0.2.9" (instance $types
    (type $c (enum "red" "green"))
    (export "color" (type $color (eq $c)))
    (export "paint" (func (param "c" $color)))))
  (core module $m
    (func (export "pick") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (alias export $types "color" (type $color))
  (func $pick (result $color) (canon lift (core func $i "pick")))
  (instance $bag (export "color" (type $color)) (export "pick" (func $pick)))
  (instance $outer (export "bag" (instance $bag)) (export "types" (instance $types)))
  (export "ns:pkg/run@1.0.0" (instance $bag))
  (export "all" (instance $outer)))
;; =>
;; import ns:pkg/types@0.2.9: instance
;;   import color: type enum { red, green }
;;   import paint: import0 = func(c: enum { red, green })
;; export ns:pkg/run@1.0.0: instance
;;   export color: type enum { red, green }
;;   export pick: lift0 = func() -> enum { red, green }
;; export all: instance
;;   export bag: instance
;;     export color: type enum { red, green }
;;     export pick: lift0 = func() -> enum { red, green }
;;   export types: instance
;;     export color: type enum { red, green }
;;     export paint: import0
;; lift0: core[0]:f0 () -> (i32) in domain0 calls=none
;; domain0: no memory
;; core0: module0 (m) in domain0
;; reachable in core0: 1 of 1: f0
;; entry () -> (i32)

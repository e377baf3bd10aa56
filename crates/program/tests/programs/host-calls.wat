;; The functions of the host that each export may call: directly, in a cycle, through a table, through
;; another component, and through what may have been stored by other code.
(component
  (import "zero" (func $zero))
  (import "one" (func $one))
  (import "two" (func $two))
  (import "file" (type $file (sub resource)))
  (core func $zero (canon lower (func $zero)))
  (core func $one (canon lower (func $one)))
  (core func $two (canon lower (func $two)))
  (core func $drop (canon resource.drop $file))

  (component $wrapper
    (import "two" (func $two))
    (core func $two (canon lower (func $two)))
    (core module $m
      (import "" "two" (func $two))
      (func (export "two") (call $two)))
    (core instance $i (instantiate $m (with "" (instance (export "two" (func $two))))))
    (func (export "two") (canon lift (core func $i "two"))))
  (instance $wrapper (instantiate $wrapper (with "two" (func $two))))
  (core func $wrapped (canon lower (func $wrapper "two")))

  (core module $m
    (import "" "zero" (func $zero))
    (import "" "one" (func $one))
    (import "" "wrapped" (func $wrapped))
    (import "" "drop" (func $drop (param i32)))
    (type $f (func))
    (table $constant funcref (elem $calls_one))
    (table $changing 1 funcref)
    (func $calls_one (call $one))
    (func (export "nothing"))
    (func (export "direct") (call $zero))
    (func $even (export "even") (param i32)
      (if (local.get 0) (then (call $odd (i32.sub (local.get 0) (i32.const 1))))))
    (func $odd (export "odd") (param i32)
      (call $zero)
      (if (local.get 0) (then (call $even (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "through-table") (call_indirect $constant (type $f) (i32.const 0)))
    (func (export "through-component") (call $wrapped))
    (func (export "drops") (call $drop (i32.const 1)))
    (func (export "stores") (table.set $changing (i32.const 0) (ref.null func)))
    (func (export "through-changing-table")
      (call_indirect $changing (type $f) (i32.const 0)))
    (func (export "through-reference") (call_ref $f (ref.null $f))))
  (core instance $i (instantiate $m (with "" (instance
    (export "zero" (func $zero))
    (export "one" (func $one))
    (export "wrapped" (func $wrapped))
    (export "drop" (func $drop))))))
  (func (export "nothing") (canon lift (core func $i "nothing")))
  (func (export "direct") (canon lift (core func $i "direct")))
  (func (export "even") (param "n" u32) (canon lift (core func $i "even")))
  (func (export "odd") (param "n" u32) (canon lift (core func $i "odd")))
  (func (export "through-table") (canon lift (core func $i "through-table")))
  (func (export "through-component") (canon lift (core func $i "through-component")))
  (func (export "drops") (canon lift (core func $i "drops")))
  (func (export "stores") (canon lift (core func $i "stores")))
  (func (export "through-changing-table")
    (canon lift (core func $i "through-changing-table")))
  (func (export "through-reference") (canon lift (core func $i "through-reference"))))
;; =>
;; import zero: import0 = func()
;; import one: import1 = func()
;; import two: import2 = func()
;; import file: resource0
;; export nothing: lift0 = func()
;; export direct: lift1 = func()
;; export even: lift2 = func(n: u32)
;; export odd: lift3 = func(n: u32)
;; export through-table: lift4 = func()
;; export through-component: lift5 = func()
;; export drops: lift6 = func()
;; export stores: lift7 = func()
;; export through-changing-table: lift8 = func()
;; export through-reference: lift9 = func()
;; lift0: core[1]:f5 () -> () in domain0 calls=none
;; lift1: core[1]:f6 () -> () in domain0 calls=0
;; lift2: core[1]:f7 (i32) -> () in domain0 calls=0
;; lift3: core[1]:f8 (i32) -> () in domain0 calls=0
;; lift4: core[1]:f9 () -> () in domain0 calls=1
;; lift5: core[1]:f10 () -> () in domain0 calls=2
;; lift6: core[1]:f11 () -> () in domain0 calls=drop
;; lift7: core[1]:f12 () -> () in domain0 calls=none
;; lift8: core[1]:f13 () -> () in domain0 calls=all
;; lift9: core[1]:f14 () -> () in domain0 calls=all
;; lower0: import0 () -> () in domain0
;; lower1: import1 () -> () in domain0
;; lower2: import2 () -> () in domain1
;; adapter0: func() from in domain0 to core[0]:f1 () -> () in domain1
;; resource0: imported as file
;; canon[0]: resource.drop resource0 in domain0
;; domain0: no memory
;; domain1: no memory
;; table0: domain0 1..1 entries
;; table1: domain0 1.. entries mutable
;; core0: module0 (m) in domain1
;;   f0 = lower[2]
;; core1: module1 (m) in domain0, tables table0 table1
;;   f0 = lower[0]
;;   f1 = lower[1]
;;   f2 = adapter[0]
;;   f3 = canon[0]
;; image: table0 0: [core[1]:f4]
;; reachable in core0: 1 of 1: f1
;; reachable in core1: 11 of 11: f4-f14
;; entry () -> ()
;; entry (i32) -> ()

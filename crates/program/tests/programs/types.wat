;; Types are numbered over all modules, subtypes behind their supertypes; constant expressions make objects.
(component
  (core module $A
    (type $pair (sub (struct (field (mut i32)) (field (ref null any)))))
    (rec
      (type $list (struct (field i8) (field (mut (ref null $list))) (field funcref)))
      (type $other (struct (field (ref $list)))))
    (type $triple (sub $pair (struct (field (mut i32)) (field (ref null any)) (field v128))))
    (type $array (array (mut (ref null $pair))))
    (type $base (sub (func (param (ref $pair)) (result (ref null $pair)))))
    (type $derived (sub final $base (func (param (ref $pair)) (result (ref $triple)))))
    (func $f (export "f") (type $derived) unreachable)
    (global $p (export "p") (ref $pair) (struct.new $pair (i32.const 1) (ref.i31 (i32.const -1))))
    (global $l (ref $list) (struct.new $list (i32.const 300) (ref.null $list) (ref.func $f)))
    (global $a (export "a") (ref $array) (array.new $array (global.get $p) (i32.const 1000)))
    (global $b (ref $array) (array.new_fixed $array 2 (ref.null $pair) (global.get $p))))
  (core module $B
    (type $pair2 (sub (struct (field (mut i32)) (field (ref null any)))))
    (type $base2 (sub (func (param (ref $pair2)) (result (ref null $pair2)))))
    (type $plain (func))
    (import "a" "f" (func $f (type $base2)))
    (import "a" "p" (global $p (ref $pair2)))
    (table $t 2 (ref null $base2))
    (elem (table $t) (i32.const 1) (ref null $base2) (ref.func $f))
    (func (export "g") (type $plain) (drop (table.get $t (i32.const 0)))))
  (core instance $a (instantiate $A))
  (core instance $b (instantiate $B (with "a" (instance $a))))
  (func (export "g") (canon lift (core func $b "g"))))
;; =>
;; export g: lift0 = func()
;; lift0: core[1]:f1 () -> () in domain0 calls=none
;; domain0: no memory
;; table0: domain0 2.. entries of (ref null sig0)
;; global0: domain0 (ref object0) = static0
;; global1: domain0 (ref object2) = static1
;; global2: domain0 (ref object4) = static2
;; global3: domain0 (ref object4) = static3
;; core0: module0 (A) in domain0, globals global0 global1 global2 global3
;; core1: module1 (B) in domain0, tables table0, globals global0
;;   f0 = core[0]:f0
;; object0: struct i32 at 4 (ref null any) at 8, 16 bytes, 1 subtypes
;; object1: struct i32 at 4 (ref null any) at 8 v128 at 16, 32 bytes, 0 subtypes
;; object2: struct i8 at 4 (ref null object2) at 8 funcref at 16, 24 bytes, 0 subtypes
;; object3: struct (ref object2) at 4, 8 bytes, 0 subtypes
;; object4: array of (ref null object0), 0 subtypes
;; static0: domain0 object0 at 0x10000: [1, i31 2147483647]
;; static1: domain0 object2 at 0x10010: [300, null, core[0]:f0]
;; static2: domain0 object4 at 0x10028: 1000 times static0
;; static3: domain0 object4 at 0x10fd0: [null, static0]
;; image: table0 1: [core[0]:f0]
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f1
;; entry () -> ()

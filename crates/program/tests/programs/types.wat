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

;;! compile
;; Every array operator, with constant and with variable lengths, and with segments that are dropped
;; from the start.
(component
  (core module $m
    (type $bytes (array (mut i8)))
    (type $words (array (mut i64)))
    (type $floats (array (mut f32)))
    (type $references (array (mut funcref)))
    (type $anys (array (mut anyref)))
    (data $data "0123456789abcdef0123456789abcdef")
    (elem $elem funcref (ref.func $f) (ref.null func) (ref.func $f))
    (elem $dropped declare func $f)
    (func $f (export "f") (result i32) (i32.const 1))
    (func (export "get") (param (ref null $bytes) i32) (result i32)
      (i32.add
        (array.get_s $bytes (local.get 0) (local.get 1))
        (i32.add
          (array.get_u $bytes (local.get 0) (local.get 1))
          (array.len (local.get 0)))))
    (func (export "set") (param (ref $words) i32 i64)
      (array.set $words (local.get 0) (local.get 1) (local.get 2)))
    (func (export "new") (param i32 f32 i64) (result (ref $floats) (ref $words) (ref $anys))
      (array.new $floats (local.get 1) (local.get 0))
      (array.new $words (local.get 2) (i32.const 3))
      (array.new_default $anys (local.get 0)))
    (func (export "new-fixed") (param i64) (result (ref $words))
      (array.new_fixed $words 3 (local.get 0) (i64.const 2) (local.get 0)))
    (func (export "fill") (param (ref $bytes) i32 i32 i32)
      (array.fill $bytes (local.get 0) (local.get 1) (local.get 2) (local.get 3))
      (array.fill $bytes (local.get 0) (local.get 1) (local.get 2) (i32.const 5)))
    (func (export "copy") (param (ref $words) i32 (ref null $words) i32 i32)
      (array.copy $words $words
        (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
      (array.copy $words $words
        (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 4)))
    (func (export "new-data") (param i32 i32) (result (ref $bytes) (ref $words))
      (array.new_data $bytes $data (local.get 0) (local.get 1))
      (array.new_data $words $data (local.get 0) (i32.const 2)))
    (func (export "init-data") (param (ref $words) i32 i32 i32)
      (array.init_data $words $data (local.get 0) (local.get 1) (local.get 2) (local.get 3))
      (array.init_data $words $data (local.get 0) (local.get 1) (local.get 2) (i32.const 1))
      (data.drop $data))
    (func (export "new-elem") (param i32 i32) (result (ref $references) (ref $references))
      (array.new_elem $references $elem (local.get 0) (local.get 1))
      (array.new_elem $references $dropped (local.get 0) (local.get 1)))
    (func (export "init-elem") (param (ref null $references) i32 i32 i32)
      (array.init_elem $references $elem
        (local.get 0) (local.get 1) (local.get 2) (local.get 3))
      (array.init_elem $references $dropped
        (local.get 0) (local.get 1) (local.get 2) (i32.const 2))
      (elem.drop $elem)))
  (core instance (instantiate $m)))

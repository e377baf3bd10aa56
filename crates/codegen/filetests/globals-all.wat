;;! compile
;; Mutable and immutable globals of every type, one of them with a function.
(component
  (core module $m
    (global $a (export "a") (mut i32) (i32.const -1))
    (global $b (mut i64) (i64.const -2))
    (global $c (mut f32) (f32.const 1.5))
    (global $d (mut f64) (f64.const nan:0x4000000000001))
    (global $e (mut funcref) (ref.func $f))
    (global $g (mut externref) (ref.null extern))
    (global $h i32 (i32.const -1))
    (global $i i64 (i64.const -2))
    (global $j f32 (f32.const 1.5))
    (global $k f64 (f64.const nan:0x4000000000001))
    (global $l funcref (ref.func $f))
    (global $m externref (ref.null extern))
    (func $f)
    (func (export "get") (result i32 i64 f32 f64 funcref externref i32 i64 f32 f64 funcref externref)
      (global.get $a) (global.get $b) (global.get $c) (global.get $d) (global.get $e) (global.get $g)
      (global.get $h) (global.get $i) (global.get $j) (global.get $k) (global.get $l) (global.get $m))
    (func (export "set") (param i32 i64 f32 f64 funcref externref)
      (global.set $a (local.get 0)) (global.set $b (local.get 1)) (global.set $c (local.get 2))
      (global.set $d (local.get 3)) (global.set $e (local.get 4)) (global.set $g (local.get 5))))
  (core instance $i (instantiate $m)))

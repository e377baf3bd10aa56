;; Dot products of vectors of 4,096 floats and of 4,096 16-bit integers, four and eight lanes at a time, the given number
;; of times. The checksum is the bits of the floats' product and the integers' product.
(component
  (core module $module
    ;; Floats at 0 and 16384, integers at 32768 and 40960.
    (memory 1)
    (func $fill (local $i i32)
      (loop $next
        (f32.store (i32.shl (local.get $i) (i32.const 2))
          (f32.div (f32.convert_i32_u (i32.rem_u (local.get $i) (i32.const 17))) (f32.const 16)))
        (f32.store offset=16384 (i32.shl (local.get $i) (i32.const 2))
          (f32.div (f32.convert_i32_u (i32.rem_u (local.get $i) (i32.const 29))) (f32.const 32)))
        (i32.store16 offset=32768 (i32.shl (local.get $i) (i32.const 1)) (i32.rem_u (local.get $i) (i32.const 97)))
        (i32.store16 offset=40960 (i32.shl (local.get $i) (i32.const 1)) (i32.rem_u (local.get $i) (i32.const 89)))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096)))))
    (func $floats (param $a i32) (param $b i32) (result f32) (local $end i32) (local $x v128) (local $y v128)
      (local.set $end (i32.add (local.get $a) (i32.const 16384)))
      (loop $next
        (local.set $x (f32x4.add (local.get $x) (f32x4.mul (v128.load (local.get $a)) (v128.load (local.get $b)))))
        (local.set $y (f32x4.add (local.get $y)
          (f32x4.mul (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b)))))
        (local.set $b (i32.add (local.get $b) (i32.const 32)))
        (br_if $next (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 32))) (local.get $end))))
      (local.set $x (f32x4.add (local.get $x) (local.get $y)))
      (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $x)) (f32x4.extract_lane 1 (local.get $x)))
        (f32.add (f32x4.extract_lane 2 (local.get $x)) (f32x4.extract_lane 3 (local.get $x)))))
    (func $integers (param $a i32) (param $b i32) (result i32) (local $end i32) (local $sum v128)
      (local.set $end (i32.add (local.get $a) (i32.const 8192)))
      (loop $next
        (local.set $sum (i32x4.add (local.get $sum)
          (i32x4.dot_i16x8_s (v128.load (local.get $a)) (v128.load (local.get $b)))))
        (local.set $b (i32.add (local.get $b) (i32.const 16)))
        (br_if $next (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 16))) (local.get $end))))
      (i32.add
        (i32.add (i32x4.extract_lane 0 (local.get $sum)) (i32x4.extract_lane 1 (local.get $sum)))
        (i32.add (i32x4.extract_lane 2 (local.get $sum)) (i32x4.extract_lane 3 (local.get $sum)))))
    (func (export "run") (param $n i32) (result i64) (local $f f32) (local $i i32)
      (call $fill)
      (loop $again
        (local.set $f (f32.add (local.get $f) (call $floats (i32.const 0) (i32.const 16384))))
        (local.set $i (i32.add (local.get $i) (call $integers (i32.const 32768) (i32.const 40960))))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i64.or
        (i64.shl (i64.extend_i32_u (i32.reinterpret_f32 (local.get $f))) (i64.const 32))
        (i64.extend_i32_u (local.get $i)))))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))

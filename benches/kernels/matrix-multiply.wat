;; Multiplies two matrices of 48 x 48 doubles and adds the product to a third, the given number of times.
;; The checksum is the sum of all elements of the third, as bits.
(component
  (core module $module
    ;; The matrices are at 0, 18432 and 36864: 48 * 48 * 8 bytes each, rows one after the other.
    (memory 1)
    (func $fill (local $i i32)
      (loop $next
        (f64.store (i32.shl (local.get $i) (i32.const 3))
          (f64.convert_i32_u (i32.rem_u (i32.mul (local.get $i) (i32.const 7)) (i32.const 11))))
        (f64.store offset=18432 (i32.shl (local.get $i) (i32.const 3))
          (f64.div (f64.convert_i32_u (i32.rem_u (local.get $i) (i32.const 13))) (f64.const 8)))
        (f64.store offset=36864 (i32.shl (local.get $i) (i32.const 3)) (f64.const 0))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2304)))))
    (func $multiply
      (param $a i32) (param $b i32) (param $c i32)
      (local $i i32) (local $k i32) (local $j i32) (local $factor f64) (local $from i32) (local $to i32)
      (loop $rows
        (local.set $k (i32.const 0))
        (loop $terms
          (local.set $factor (f64.load (i32.add (local.get $a)
            (i32.shl (i32.add (i32.mul (local.get $i) (i32.const 48)) (local.get $k)) (i32.const 3)))))
          (local.set $from (i32.add (local.get $b) (i32.mul (local.get $k) (i32.const 384))))
          (local.set $to (i32.add (local.get $c) (i32.mul (local.get $i) (i32.const 384))))
          (local.set $j (i32.const 0))
          (loop $columns
            (f64.store (local.get $to) (f64.add (f64.load (local.get $to))
              (f64.mul (local.get $factor) (f64.load (local.get $from)))))
            (f64.store offset=8 (local.get $to) (f64.add (f64.load offset=8 (local.get $to))
              (f64.mul (local.get $factor) (f64.load offset=8 (local.get $from)))))
            (local.set $from (i32.add (local.get $from) (i32.const 16)))
            (local.set $to (i32.add (local.get $to) (i32.const 16)))
            (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 2))) (i32.const 48))))
          (br_if $terms (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 48))))
        (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 48)))))
    (func (export "run") (param $n i32) (result i64) (local $i i32) (local $sum f64)
      (call $fill)
      (loop $again
        (call $multiply (i32.const 0) (i32.const 18432) (i32.const 36864))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (loop $next
        (local.set $sum (f64.add (local.get $sum) (f64.load offset=36864 (i32.shl (local.get $i) (i32.const 3)))))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2304))))
      (i64.reinterpret_f64 (local.get $sum))))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))

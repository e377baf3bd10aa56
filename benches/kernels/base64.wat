;; Encodes 3,072 bytes in base64 and decodes them in place of the original, the given number of times, each time with
;; one byte changed. The checksum is the sum of the original's words.
(component
  (core module $module
    ;; The alphabet at 0, its inverse at 256, the original at 4096, the encoded text at 8192.
    (memory 1)
    (data (i32.const 0) "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    (func $prepare (local $i i32)
      (loop $letters
        (i32.store8 offset=256 (i32.load8_u (local.get $i)) (local.get $i))
        (br_if $letters (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
      (local.set $i (i32.const 0))
      (loop $bytes
        (i32.store8 offset=4096 (local.get $i) (i32.mul (local.get $i) (i32.const 37)))
        (br_if $bytes (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3072)))))
    (func $encode (param $from i32) (param $to i32) (param $length i32) (result i32) (local $end i32) (local $bits i32)
      (local.set $end (i32.add (local.get $from) (local.get $length)))
      (loop $groups
        (local.set $bits (i32.or
          (i32.or
            (i32.shl (i32.load8_u (local.get $from)) (i32.const 16))
            (i32.shl (i32.load8_u offset=1 (local.get $from)) (i32.const 8)))
          (i32.load8_u offset=2 (local.get $from))))
        (i32.store8 (local.get $to) (i32.load8_u (i32.shr_u (local.get $bits) (i32.const 18))))
        (i32.store8 offset=1 (local.get $to)
          (i32.load8_u (i32.and (i32.shr_u (local.get $bits) (i32.const 12)) (i32.const 63))))
        (i32.store8 offset=2 (local.get $to)
          (i32.load8_u (i32.and (i32.shr_u (local.get $bits) (i32.const 6)) (i32.const 63))))
        (i32.store8 offset=3 (local.get $to) (i32.load8_u (i32.and (local.get $bits) (i32.const 63))))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (br_if $groups
          (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 3))) (local.get $end))))
      (local.get $to))
    (func $decode (param $from i32) (param $to i32) (param $end i32) (result i32) (local $bits i32)
      (block $done
        (loop $groups
          (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
          (local.set $bits (i32.or
            (i32.or
              (i32.shl (i32.load8_u offset=256 (i32.load8_u (local.get $from))) (i32.const 18))
              (i32.shl (i32.load8_u offset=256 (i32.load8_u offset=1 (local.get $from))) (i32.const 12)))
            (i32.or
              (i32.shl (i32.load8_u offset=256 (i32.load8_u offset=2 (local.get $from))) (i32.const 6))
              (i32.load8_u offset=256 (i32.load8_u offset=3 (local.get $from))))))
          (i32.store8 (local.get $to) (i32.shr_u (local.get $bits) (i32.const 16)))
          (i32.store8 offset=1 (local.get $to) (i32.shr_u (local.get $bits) (i32.const 8)))
          (i32.store8 offset=2 (local.get $to) (local.get $bits))
          (local.set $from (i32.add (local.get $from) (i32.const 4)))
          (local.set $to (i32.add (local.get $to) (i32.const 3)))
          (br $groups)))
      (local.get $to))
    (func (export "run") (param $n i32) (result i64) (local $at i32) (local $sum i64)
      (call $prepare)
      (loop $again
        (i32.store8 offset=4096 (local.get $n) (i32.add (i32.load8_u offset=4096 (local.get $n)) (i32.const 1)))
        (drop (call $decode
          (i32.const 8192) (i32.const 4096) (call $encode (i32.const 4096) (i32.const 8192) (i32.const 3072))))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (loop $words
        (local.set $sum (i64.add (local.get $sum) (i64.load offset=4096 (local.get $at))))
        (br_if $words (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 3072))))
      (local.get $sum)))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))

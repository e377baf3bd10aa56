;; Allocates 256 blocks of up to 1,024 bytes and frees them in another order, the given number of times. Free blocks are lists,
;; one for each power of two. The checksum adds up what the blocks held.
(component
  (core module $module
    ;; The lists at 0, four bytes for each power of two; the places at 256; blocks from 4096 on, behind a word that is
    ;; the power of their size.
    (memory 16)
    (global $fresh (mut i32) (i32.const 4096))
    (func $reset
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 4096))
      (global.set $fresh (i32.const 4096)))
    (func $allocate (param $size i32) (result i32) (local $power i32) (local $list i32) (local $block i32)
      (local.set $power (i32.sub (i32.const 32) (i32.clz (i32.or (i32.add (local.get $size) (i32.const 7)) (i32.const 15)))))
      (local.set $list (i32.shl (local.get $power) (i32.const 2)))
      (if (local.tee $block (i32.load (local.get $list)))
        (then
          (i32.store (local.get $list) (i32.load offset=8 (local.get $block)))
          (return (i32.add (local.get $block) (i32.const 8)))))
      (local.set $block (global.get $fresh))
      (global.set $fresh (i32.add (local.get $block) (i32.shl (i32.const 1) (local.get $power))))
      (if (i32.gt_u (global.get $fresh) (i32.const 1048576)) (then (unreachable)))
      (i32.store (local.get $block) (local.get $power))
      (i32.add (local.get $block) (i32.const 8)))
    (func $free (param $data i32) (local $block i32) (local $list i32)
      (local.set $block (i32.sub (local.get $data) (i32.const 8)))
      (local.set $list (i32.shl (i32.load (local.get $block)) (i32.const 2)))
      (i32.store offset=8 (local.get $block) (i32.load (local.get $list)))
      (i32.store (local.get $list) (local.get $block)))
    (func (export "run") (param $n i32) (result i64)
      (local $random i32) (local $place i32) (local $data i32) (local $sum i64)
      (call $reset)
      (loop $turns
        (local.set $place (i32.const 0))
        (loop $blocks
          (local.set $random
            (i32.add (i32.mul (local.get $random) (i32.const 1664525)) (i32.const 1013904223)))
          (local.set $data (call $allocate (i32.add (i32.shr_u (local.get $random) (i32.const 22)) (i32.const 1))))
          (i32.store (local.get $data) (local.get $random))
          (i32.store offset=256 (local.get $place) (local.get $data))
          (br_if $blocks
            (i32.lt_u (local.tee $place (i32.add (local.get $place) (i32.const 4))) (i32.const 1024))))
        ;; 77 is odd, so that its multiples modulo 256 visit all places.
        (loop $blocks
          (local.set $place (i32.and (i32.add (local.get $place) (i32.const 308)) (i32.const 1020)))
          (local.set $data (i32.load offset=256 (local.get $place)))
          (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $data))))
          (call $free (local.get $data))
          (br_if $blocks (local.get $place)))
        (br_if $turns (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))

;; Sorts 2,048 pseudo-random words, the given number of times: quicksort, which leaves short ranges to insertion sort.
;; The checksum adds up each word times its place.
(component
  (core module $module
    (memory 1)
    (func $fill (param $state i32) (local $at i32)
      (loop $next
        (local.set $state
          (i32.add (i32.mul (local.get $state) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (local.get $at) (local.get $state))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 8192)))))
    ;; Both ends are addresses, and part of the range.
    (func $insert (param $first i32) (param $last i32)
      (local $next i32) (local $at i32) (local $word i32) (local $place i32) (local $before i32)
      (local.set $next (i32.add (local.get $first) (i32.const 4)))
      (block $done
        (loop $words
          (br_if $done (i32.gt_s (local.get $next) (local.get $last)))
          (local.set $word (i32.load (local.get $next)))
          (local.set $at (local.get $next))
          (block $found
            (loop $larger
              (br_if $found (i32.le_s (local.get $at) (local.get $first)))
              (local.set $before (i32.load (local.tee $place (i32.sub (local.get $at) (i32.const 4)))))
              (br_if $found (i32.le_s (local.get $before) (local.get $word)))
              (i32.store (local.get $at) (local.get $before))
              (local.set $at (local.get $place))
              (br $larger)))
          (i32.store (local.get $at) (local.get $word))
          (local.set $next (i32.add (local.get $next) (i32.const 4)))
          (br $words))))
    (func $sort (param $first i32) (param $last i32) (local $i i32) (local $j i32) (local $pivot i32) (local $word i32)
      (if (i32.lt_s (i32.sub (local.get $last) (local.get $first)) (i32.const 64))
        (then (call $insert (local.get $first) (local.get $last)))
        (else
          (local.set $pivot (i32.load (i32.and
            (i32.shr_u (i32.add (local.get $first) (local.get $last)) (i32.const 1))
            (i32.const -4))))
          (local.set $i (i32.sub (local.get $first) (i32.const 4)))
          (local.set $j (i32.add (local.get $last) (i32.const 4)))
          (block $split
            (loop $swap
              (loop $up
                (local.set $i (i32.add (local.get $i) (i32.const 4)))
                (br_if $up (i32.lt_s (i32.load (local.get $i)) (local.get $pivot))))
              (loop $down
                (local.set $j (i32.sub (local.get $j) (i32.const 4)))
                (br_if $down (i32.gt_s (i32.load (local.get $j)) (local.get $pivot))))
              (br_if $split (i32.ge_s (local.get $i) (local.get $j)))
              (local.set $word (i32.load (local.get $i)))
              (i32.store (local.get $i) (i32.load (local.get $j)))
              (i32.store (local.get $j) (local.get $word))
              (br $swap)))
          (call $sort (local.get $first) (local.get $j))
          (call $sort (i32.add (local.get $j) (i32.const 4)) (local.get $last)))))
    (func (export "run") (param $n i32) (result i64) (local $at i32) (local $sum i64)
      (loop $again
        (call $fill (local.get $n))
        (call $sort (i32.const 0) (i32.const 8188))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (loop $words
        (local.set $sum (i64.add (local.get $sum)
          (i64.mul (i64.extend_i32_u (local.get $at)) (i64.load32_s (local.get $at)))))
        (br_if $words (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 8192))))
      (local.get $sum)))
  (core instance $core (instantiate $module))
  (func (export "run") (param "n" u32) (result u64) (canon lift (core func $core "run"))))

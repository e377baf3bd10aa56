;; Tail calls where caller and callee have different numbers of parameters on the stack, and results in memory.
(module
  (type $many (func (param i64 i64) (result
    i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64)))
  (table funcref (elem $results))

  ;; Calls with 2 and 20 parameters alternately, as often as the first parameter says.
  (func $few (export "few") (param $n i64) (param $sum i64) (result i64)
    (if (i64.eqz (local.get $n)) (then (return (local.get $sum))))
    (return_call $lots
      (i64.sub (local.get $n) (i64.const 1)) (local.get $sum)
      (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)
      (i64.const 9) (f64.const 10) (f64.const 11) (f64.const 12) (f64.const 13) (f64.const 14) (f64.const 15)
      (f64.const 16) (f64.const 17) (f64.const 18)))
  (func $lots
    (param $n i64) (param $sum i64) (param i64 i64 i64 i64 i64 i64 i64 i64 i64 f64 f64 f64 f64 f64 f64 f64 f64 f64)
    (result i64)
    (return_call $few (local.get $n)
      (i64.add (local.get $sum)
        (i64.add (i64.add (local.get 9) (local.get 10)) (i64.trunc_f64_s (f64.add (local.get 18) (local.get 19)))))))
  ;; A caller with spilled locals, called by a function that uses its own locals afterwards.
  (func (export "around") (param $n i64) (result i64)
    (local $before i64)
    (local.set $before (i64.mul (local.get $n) (i64.const 1000000000000)))
    (i64.add (call $few (local.get $n) (i64.const 0)) (local.get $before)))

  (func $results (type $many)
    (local.get 0) (local.get 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)
    (i64.const 8) (i64.const 9) (i64.const 10) (i64.const 11) (f64.const 0) (f64.const 1) (f64.const 2) (f64.const 3)
    (f64.const 4) (f64.const 5) (f64.const 6) (f64.const 7) (f64.const 8) (f64.const 9))
  (func $pass (export "pass") (type $many)
    (if (i64.eqz (local.get 0)) (then (return_call_indirect (type $many) (i64.const 42) (local.get 1) (i32.const 0))))
    (return_call $pass (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))))

  ;; Does not end at the end of a block, and is not followed by reachable code.
  (func (export "in-blocks") (param i32) (result i32)
    (block $out (result i32)
      (loop $again (result i32)
        (if (result i32) (local.get 0)
          (then (return_call $eleven))
          (else (br $out (i32.const 7))))
        (drop) (br $again))))
  (func $eleven (result i32) (i32.const 11))

  ;; Not a tail call: each needs a frame.
  (func $deep (export "deep") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 0))))
    (i64.add (call $deep (i64.sub (local.get 0) (i64.const 1))) (i64.const 1)))
  (func $odd (export "odd") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return_call $deep (i64.const 100000000))))
    (return_call $odd (i64.sub (local.get 0) (i64.const 1)))))

(assert_return (invoke "few" (i64.const 0) (i64.const 3)) (i64.const 3))
(assert_return (invoke "few" (i64.const 1) (i64.const 0)) (i64.const 52))
(assert_return (invoke "few" (i64.const 1000000) (i64.const 0)) (i64.const 52000000))
(assert_return (invoke "around" (i64.const 100000)) (i64.const 100000000005200000))
(assert_return (invoke "pass" (i64.const 1000000) (i64.const 5))
  (i64.const 42) (i64.const 1000005) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)
  (i64.const 8) (i64.const 9) (i64.const 10) (i64.const 11) (f64.const 0) (f64.const 1) (f64.const 2) (f64.const 3)
  (f64.const 4) (f64.const 5) (f64.const 6) (f64.const 7) (f64.const 8) (f64.const 9))
(assert_return (invoke "in-blocks" (i32.const 1)) (i32.const 11))
(assert_return (invoke "in-blocks" (i32.const 0)) (i32.const 7))
(assert_exhaustion (invoke "odd" (i64.const 1000)) "call stack exhausted")

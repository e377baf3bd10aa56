;; Core instances linked inside a component, start functions, traps, post-return, nested components.

(component
  (core module $counter
    (memory (export "memory") 1)
    (global $starts (mut i32) (i32.const 0))
    (func $start (global.set $starts (i32.add (global.get $starts) (i32.const 1))))
    (func (export "starts") (result i32) (global.get $starts))
    (start $start))
  (core module $user
    (import "counter" "starts" (func $starts (result i32)))
    (import "counter" "memory" (memory 1))
    (func (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "starts") (result i32) (call $starts)))
  (core instance $a (instantiate $counter))
  (core instance $b (instantiate $counter))
  (core instance $ua (instantiate $user (with "counter" (instance $a))))
  (core instance $ub (instantiate $user (with "counter" (instance $b))))
  (core instance $ua2 (instantiate $user (with "counter" (instance $a))))
  (func (export "starts") (result u32) (canon lift (core func $ua "starts")))
  (func (export "poke-a") (param "at" u32) (param "value" u32) (canon lift (core func $ua "poke")))
  (func (export "peek-a") (param "at" u32) (result u32) (canon lift (core func $ua2 "peek")))
  (func (export "peek-b") (param "at" u32) (result u32) (canon lift (core func $ub "peek")))
)
(assert_return (invoke "starts") (u32.const 1))
(invoke "poke-a" (u32.const 100) (u32.const 7))
(assert_return (invoke "peek-a" (u32.const 100)) (u32.const 7))
(assert_return (invoke "peek-b" (u32.const 100)) (u32.const 0))
(assert_trap (invoke "peek-a" (u32.const 65536)) "out of bounds memory access")
;; A trap ends the instance.
(assert_trap (invoke "starts") "cannot enter component instance")

;; `post-return` gets the result and runs after the result was lifted.
(component
  (core module $m
    (global $freed (mut i32) (i32.const 0))
    (func (export "next") (result i32) (i32.add (global.get $freed) (i32.const 1)))
    (func (export "post") (param i32) (global.set $freed (local.get 0))))
  (core instance $i (instantiate $m))
  (func (export "next") (result u32) (canon lift (core func $i "next") (post-return (core func $i "post"))))
)
(assert_return (invoke "next") (u32.const 1))
(assert_return (invoke "next") (u32.const 2))
(assert_return (invoke "next") (u32.const 3))

;; A nested component, instantiated twice: two instances with separate state.
(component
  (component $inner
    (core module $m
      (global $n (mut i32) (i32.const 0))
      (func (export "next") (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (global.get $n)))
    (core instance $i (instantiate $m))
    (func (export "next") (result u32) (canon lift (core func $i "next"))))
  (instance $a (instantiate $inner))
  (instance $b (instantiate $inner))
  (export "next-a" (func $a "next"))
  (export "next-b" (func $b "next"))
)
(assert_return (invoke "next-a") (u32.const 1))
(assert_return (invoke "next-a") (u32.const 2))
(assert_return (invoke "next-b") (u32.const 1))

;; A start function that traps.
(assert_trap
  (component
    (core module $m (func $start (unreachable)) (start $start))
    (core instance (instantiate $m)))
  "unreachable")

;; An active segment out of bounds.
(assert_trap
  (component
    (core module $m (memory 1) (data (i32.const 65536) "x"))
    (core instance (instantiate $m)))
  "out of bounds memory access")

(assert_invalid
  (component
    (core module $m (func (export "f") (result i64) (i64.const 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))
  "lowered result types")

(assert_malformed (component quote "(func") "expected")

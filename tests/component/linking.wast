;; Linking inside a component: every kind of argument and alias, instances of instances, names, and the order of starts.

;; A core module and a component, instantiated several times. Each instance has its own state, shared with its importers.
(component
  (core module $Counter
    (global $n (export "n") (mut i32) (i32.const 0))
    (func (export "next") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))
  (component $C
    (import "counter" (core module $Counter (export "n" (global (mut i32))) (export "next" (func (result i32)))))
    (core module $Reset
      (import "counter" "n" (global $n (mut i32)))
      (func (export "reset") (global.set $n (i32.const 0))))
    (core instance $a (instantiate $Counter))
    (core instance $b (instantiate $Counter))
    (core instance $reset (instantiate $Reset (with "counter" (instance $a))))
    (func (export "next-a") (result u32) (canon lift (core func $a "next")))
    (func (export "next-b") (result u32) (canon lift (core func $b "next")))
    (func (export "reset-a") (canon lift (core func $reset "reset"))))
  (instance $x (instantiate $C (with "counter" (core module $Counter))))
  (instance $y (instantiate $C (with "counter" (core module $Counter))))
  (export "x" (instance $x))
  (func (export "x-a") (alias export $x "next-a"))
  (func (export "x-b") (alias export $x "next-b"))
  (func (export "x-reset-a") (alias export $x "reset-a"))
  (func (export "y-a") (alias export $y "next-a")))
(assert_return (invoke "x-a") (u32.const 1))
(assert_return (invoke "x-a") (u32.const 2))
(assert_return (invoke "x-b") (u32.const 1))
(assert_return (invoke "y-a") (u32.const 1))
(invoke "x-reset-a")
(assert_return (invoke "x-a") (u32.const 1))
(assert_return (invoke "x-b") (u32.const 2))
(assert_return (invoke "y-a") (u32.const 2))

;; A component as an argument. Its receiver instantiates it any number of times, with its own arguments.
(component
  (component $Add
    (import "base" (func $base (result u32)))
    (core func $base (canon lower (func $base)))
    (core module $M
      (import "" "base" (func $base (result i32)))
      (global $calls (mut i32) (i32.const 0))
      (func (export "f") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.add (call $base) (global.get $calls))))
    (core instance $m (instantiate $M (with "" (instance (export "base" (func $base))))))
    (func (export "f") (result u32) (canon lift (core func $m "f"))))
  (component $Twice
    (import "add" (component $Add
      (import "base" (func (result u32)))
      (export "f" (func (result u32)))))
    (import "base" (func $base (result u32)))
    (instance $one (instantiate $Add (with "base" (func $base))))
    (instance $two (instantiate $Add (with "base" (func $one "f"))))
    (instance $three (instantiate $Add (with "base" (func $two "f"))))
    (export "one" (func $one "f"))
    (export "three" (func $three "f")))
  (core module $M (func (export "f") (result i32) (i32.const 100)))
  (core instance $m (instantiate $M))
  (func $hundred (result u32) (canon lift (core func $m "f")))
  (instance $twice (instantiate $Twice (with "add" (component $Add)) (with "base" (func $hundred))))
  (func (export "one") (alias export $twice "one"))
  (func (export "three") (alias export $twice "three")))
;; Each call of `three` calls all three instances.
(assert_return (invoke "one") (u32.const 101))
(assert_return (invoke "three") (u32.const 104))
(assert_return (invoke "one") (u32.const 103))
(assert_return (invoke "three") (u32.const 108))

;; Outer aliases of a core module, a component, a core type and a type, over several levels. A component that is passed
;; on keeps what it captured.
(component $root
  (type $number u32)
  (core type $sig (func (result i32)))
  (core module $Seven (func (export "f") (result i32) (i32.const 7)))
  (core module $Eight (func (export "f") (result i32) (i32.const 8)))
  (component $A
    (component $B
      (component $C
        (alias outer $root $Seven (core module $Seven))
        (alias outer $root $number (type $number))
        (core type $copy (module (alias outer 4 $sig (type)) (export "f" (func (type 0)))))
        (core instance $m (instantiate $Seven))
        (func (export "f") (result $number) (canon lift (core func $m "f"))))
      (export "c" (component $C)))
    (instance $b (instantiate $B))
    (export "c" (component $b "c")))
  (instance $a (instantiate $A))
  (component $User
    (import "c" (component $C (export "f" (func (result u32)))))
    ;; Here the name is that of another module.
    (alias outer $root $Eight (core module $Seven))
    (core instance $eight (instantiate $Seven))
    (instance $c (instantiate $C))
    (export "seven" (func $c "f"))
    (func (export "eight") (result u32) (canon lift (core func $eight "f"))))
  (instance $user (instantiate $User (with "c" (component $a "c"))))
  (func (export "seven") (alias export $user "seven"))
  (func (export "eight") (alias export $user "eight")))
(assert_return (invoke "seven") (u32.const 7))
(assert_return (invoke "eight") (u32.const 8))

;; Instances made of items of others, under other names; an instance as an argument, with more than is imported; and
;; instances in instances.
(component
  (component $Maths
    (core module $M
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
      (func (export "mul") (param i32 i32) (result i32) (i32.mul (local.get 0) (local.get 1))))
    (core instance $m (instantiate $M))
    (func (export "add") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $m "add")))
    (func (export "sub") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $m "sub")))
    (func (export "mul") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $m "mul"))))
  (instance $maths (instantiate $Maths))
  (instance $swapped
    (export "add" (func $maths "sub"))
    (export "sub" (func $maths "add")))
  (instance $both
    (export "plain" (instance $maths))
    (export "swapped" (instance $swapped)))
  (component $User
    (import "ns:maths/both@1.2.0" (instance $both
      (export "swapped" (instance $swapped
        (export "add" (func (param "a" s32) (param "b" s32) (result s32)))))
      (export "plain" (instance
        (export "add" (func (param "a" s32) (param "b" s32) (result s32)))))))
    (alias export $both "plain" (instance $plain))
    (alias export $both "swapped" (instance $swapped))
    (core func $add (canon lower (func $plain "add")))
    (core func $sub (canon lower (func $swapped "add")))
    (core module $M
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (import "" "sub" (func $sub (param i32 i32) (result i32)))
      (func (export "f") (param i32 i32) (result i32)
        (i32.mul (call $add (local.get 0) (local.get 1)) (call $sub (local.get 0) (local.get 1)))))
    (core instance $m (instantiate $M (with "" (instance (export "add" (func $add)) (export "sub" (func $sub))))))
    (func (export "f") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $m "f"))))
  (instance $user (instantiate $User (with "ns:maths/both@1.2.0" (instance $both))))
  (export "f" (func $user "f")))
(assert_return (invoke "f" (s32.const 7) (s32.const 3)) (s32.const 40))

;; A function that passes through three components stays the same function. So does one that is exported twice.
(component
  (component $Pass
    (import "f" (func $f (param "x" u32) (result u32)))
    (export $g "f" (func $f))
    (export "again" (func $g)))
  (core module $M (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))
  (core instance $m (instantiate $M))
  (func $f (param "x" u32) (result u32) (canon lift (core func $m "f")))
  (instance $a (instantiate $Pass (with "f" (func $f))))
  (instance $b (instantiate $Pass (with "f" (func $a "again"))))
  (instance $c (instantiate $Pass (with "f" (func $b "f"))))
  (export "f" (func $c "again")))
(assert_return (invoke "f" (u32.const 5)) (u32.const 15))

;; Core items of every kind, in instances under other names.
(component
  (core module $Store
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (global (export "global") (mut i32) (i32.const 5))
    (global (export "constant") i32 (i32.const 6))
    (func (export "f") (result i32) (i32.load (i32.const 16))))
  (core module $Use
    (import "a" "m" (memory 1))
    (import "a" "t" (table 2 funcref))
    (import "b" "g" (global $g (mut i32)))
    (import "b" "c" (global $c i32))
    (import "c" "f" (func $f (result i32)))
    (type $sig (func (result i32)))
    (elem (i32.const 1) $own)
    (data (i32.const 16) "\2a")
    (func $own (result i32) (i32.add (call $f) (global.get $c)))
    (func (export "run") (result i32)
      (global.set $g (i32.add (global.get $g) (call_indirect (type $sig) (i32.const 1))))
      (global.get $g)))
  (core instance $store (instantiate $Store))
  (core instance $a (export "m" (memory $store "memory")) (export "t" (table $store "table")))
  (core instance $use (instantiate $Use
    (with "a" (instance $a))
    (with "b" (instance (export "g" (global $store "global")) (export "c" (global $store "constant"))))
    (with "c" (instance (export "f" (func $store "f"))))))
  (func (export "run") (result u32) (canon lift (core func $use "run"))))
(assert_return (invoke "run") (u32.const 53))
(assert_return (invoke "run") (u32.const 101))

;; Start functions run in the order of instantiation, also across component instances. Each appends its digit.
(component
  (component $Log
    (core module $M
      (global $log (mut i32) (i32.const 0))
      (func (export "digit") (param i32)
        (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get 0))))
      (func (export "log") (result i32) (global.get $log)))
    (core instance $m (instantiate $M))
    (func (export "digit") (param "d" u32) (canon lift (core func $m "digit")))
    (func (export "log") (result u32) (canon lift (core func $m "log"))))
  (instance $log (instantiate $Log))
  (component $Digit
    (import "digit" (func $digit (param "d" u32)))
    (import "value" (core module $Value (export "value" (global i32))))
    (core func $digit (canon lower (func $digit)))
    (core module $M
      (import "" "digit" (func $digit (param i32)))
      (import "value" "value" (global $value i32))
      (func $start (call $digit (global.get $value)))
      (start $start))
    (core instance $value (instantiate $Value))
    (core instance (instantiate $M (with "" (instance (export "digit" (func $digit)))) (with "value" (instance $value)))))
  (core module $One (global (export "value") i32 (i32.const 1)))
  (core module $Two (global (export "value") i32 (i32.const 2)))
  (core module $Three (global (export "value") i32 (i32.const 3)))
  (component $Inner
    (import "digit" (func $digit (param "d" u32)))
    (import "digits" (component $Digit
      (import "digit" (func (param "d" u32)))
      (import "value" (core module (export "value" (global i32))))))
    (import "first" (core module $First (export "value" (global i32))))
    (import "second" (core module $Second (export "value" (global i32))))
    (instance (instantiate $Digit (with "digit" (func $digit)) (with "value" (core module $First))))
    (instance (instantiate $Digit (with "digit" (func $digit)) (with "value" (core module $Second)))))
  (instance (instantiate $Digit (with "digit" (func $log "digit")) (with "value" (core module $Two))))
  (instance (instantiate $Inner (with "digit" (func $log "digit")) (with "digits" (component $Digit))
    (with "first" (core module $Three)) (with "second" (core module $One))))
  (instance (instantiate $Digit (with "digit" (func $log "digit")) (with "value" (core module $Three))))
  (export "log" (func $log "log")))
(assert_return (invoke "log") (u32.const 2313))

;; A trap in a nested start function ends the instantiation of the root.
(assert_trap
  (component
    (component $Inner
      (core module $M (func $start (unreachable)) (start $start))
      (core instance (instantiate $M)))
    (component $Outer
      (alias outer 1 $Inner (component $Inner))
      (instance (instantiate $Inner)))
    (instance (instantiate $Outer)))
  "unreachable")

;; Names are unique regardless of case, within the imports and within the exports.
(assert_invalid
  (component (import "a-b" (func)) (import "A-b" (func)))
  "conflicts with previous name")
(assert_invalid
  (component (import "a" (func $a)) (export "b" (func $a)) (export "b" (func $a)))
  "conflicts with previous name")
(assert_invalid
  (component
    (component $C (import "x" (func)))
    (instance (instantiate $C)))
  "missing import named `x`")
(assert_invalid
  (component
    (component $C (import "ns:p/i@1.2.0" (instance)))
    (instance $i)
    (instance (instantiate $C (with "ns:p/i@1.3.0" (instance $i)))))
  "missing import named `ns:p/i@1.2.0`")
(assert_invalid
  (component
    (component $C (import "x" (instance (export "f" (func (result u32))))))
    (import "y" (instance $y (export "f" (func (result u64)))))
    (instance (instantiate $C (with "x" (instance $y)))))
  "type mismatch")
(assert_invalid
  (component
    (component $C (import "x" (core module (export "m" (memory 2)))))
    (core module $M (memory (export "m") 1))
    (instance (instantiate $C (with "x" (core module $M)))))
  "type mismatch")
(assert_invalid
  (component
    (core module $M (import "a" "f" (func)))
    (core instance (instantiate $M)))
  "missing module instantiation argument named `a`")

;; A host cannot provide a core module that the root imports and instantiates.
(assert_invalid
  (component
    (import "m" (core module $M (export "f" (func))))
    (core instance $i (instantiate $M))
    (func (export "f") (canon lift (core func $i "f"))))
  "the component instantiates the core module `m`, which it imports; give the module when compiling")
;; A module that is only passed on need not be provided.
(component
  (import "m" (core module $M (export "f" (func))))
  (export "n" (core module $M)))

;; Names in core modules can contain any characters. Messages escape them.
(assert_invalid
  (component
    (core module $M (import "a\1b[2J" "f\n" (func)))
    (core instance (instantiate $M)))
  "missing module instantiation argument named `a\\u{1b}[2J`")
(assert_invalid
  (component
    (core module $N)
    (core instance $n (instantiate $N))
    (core module $M (import "a" "f\nx" (func)))
    (core instance (instantiate $M (with "a" (instance $n)))))
  "`f\\nx`")

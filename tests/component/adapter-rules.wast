;; Rules for a component instance during a call: calling out, reentrance, the stack, post-return.

;; `realloc` and `post-return` must not call out, on either side. Afterwards calling out is allowed again.
(component definition $Leave
  (component $Leaf
    (core module $M (func (export "f")))
    (core instance $m (instantiate $M))
    (func (export "f") (canon lift (core func $m "f"))))
  (instance $leaf (instantiate $Leaf))
  (component $C
    (import "leaf" (func $leaf))
    (core func $leaf (canon lower (func $leaf)))
    (core module $M
      (import "" "leaf" (func $leaf))
      (memory (export "mem") 1)
      (global $when (mut i32) (i32.const 0))
      (func (export "set") (param i32) (global.set $when (local.get 0)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (i32.eq (global.get $when) (i32.const 1)) (then (call $leaf)))
        (i32.const 64))
      ;; Called with the string "abc". Between realloc and post-return, calling out is allowed.
      (func (export "f") (param i32 i32) (result i32)
        (if (i32.ne (local.get 1) (i32.const 3)) (then unreachable))
        (call $leaf)
        (i32.store (i32.const 8) (local.get 0))
        (i32.store (i32.const 12) (local.get 1))
        (i32.const 8))
      (func (export "post") (param i32)
        (if (i32.ne (local.get 0) (i32.const 8)) (then unreachable))
        (if (i32.eq (global.get $when) (i32.const 2)) (then (call $leaf)))))
    (core instance $m (instantiate $M (with "" (instance (export "leaf" (func $leaf))))))
    (func (export "set") (param "when" u32) (canon lift (core func $m "set")))
    (func (export "f") (param "s" string) (result string) (canon lift (core func $m "f") (memory (core memory $m "mem"))
      (realloc (core func $m "realloc")) (post-return (core func $m "post")))))
  (instance $c (instantiate $C (with "leaf" (func $leaf "f"))))
  (component $D
    (import "leaf" (func $leaf))
    (import "c" (instance $c
      (export "set" (func (param "when" u32)))
      (export "f" (func (param "s" string) (result string)))))
    (core func $leaf (canon lower (func $leaf)))
    (core module $Memory
      (import "" "leaf" (func $leaf))
      (memory (export "mem") 1)
      (global $when (export "when") (mut i32) (i32.const 0))
      (data (i32.const 16) "abc")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (i32.eq (global.get $when) (i32.const 3)) (then (call $leaf)))
        (i32.const 128)))
    (core instance $memory (instantiate $Memory (with "" (instance (export "leaf" (func $leaf))))))
    (core func $set (canon lower (func $c "set")))
    (core func $f (canon lower (func $c "f") (memory (core memory $memory "mem")) (realloc (core func $memory "realloc"))))
    (core module $Main
      (import "" "set" (func $set (param i32)))
      (import "" "f" (func $f (param i32 i32 i32)))
      (import "" "leaf" (func $leaf))
      (import "memory" "mem" (memory 1))
      (import "memory" "when" (global $when (mut i32)))
      (func (export "run") (param i32) (result i32)
        (global.set $when (local.get 0))
        (call $set (local.get 0))
        (call $f (i32.const 16) (i32.const 3) (i32.const 8))
        (call $leaf)
        (if (i32.ne (i32.load (i32.const 8)) (i32.const 128)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 3)) (then unreachable))
        (i32.load (i32.const 128))))
    (core instance $main (instantiate $Main (with "memory" (instance $memory)) (with "" (instance
      (export "set" (func $set)) (export "f" (func $f)) (export "leaf" (func $leaf))))))
    (func (export "run") (param "when" u32) (result u32) (canon lift (core func $main "run"))))
  (instance $d (instantiate $D (with "leaf" (func $leaf "f")) (with "c" (instance $c))))
  (func (export "run") (alias export $d "run")))

(component instance $i $Leave)
(assert_return (invoke "run" (u32.const 0)) (u32.const 0x636261))
(assert_return (invoke "run" (u32.const 0)) (u32.const 0x636261))
(assert_trap (invoke "run" (u32.const 1)) "cannot leave component instance")
(component instance $i $Leave)
(assert_trap (invoke "run" (u32.const 2)) "cannot leave component instance")
(component instance $i $Leave)
(assert_trap (invoke "run" (u32.const 3)) "cannot leave component instance")
;; A trap ends the whole instance.
(assert_trap (invoke "run" (u32.const 0)) "cannot enter component instance")

;; The same with a host function.
(component definition $LeaveToHost
  (import "echo-host" (func $host (param "n" u32) (result u32)))
  (component $C
    (import "echo-host" (func $host (param "n" u32) (result u32)))
    (core func $host (canon lower (func $host)))
    (core module $M
      (import "" "host" (func $host (param i32) (result i32)))
      (memory (export "mem") 1)
      (global $when (mut i32) (i32.const 0))
      (func (export "set") (param i32) (global.set $when (local.get 0)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (if (i32.eq (global.get $when) (i32.const 1)) (then (drop (call $host (i32.const 1)))))
        (i32.const 64))
      (func (export "f") (param i32 i32) (result i32) (i32.add (call $host (i32.const 4)) (local.get 1)))
      (func (export "post") (param i32)
        (if (i32.eq (global.get $when) (i32.const 2)) (then (drop (call $host (i32.const 2)))))))
    (core instance $m (instantiate $M (with "" (instance (export "host" (func $host))))))
    (func (export "set") (param "when" u32) (canon lift (core func $m "set")))
    (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f") (memory (core memory $m "mem"))
      (realloc (core func $m "realloc")) (post-return (core func $m "post")))))
  (instance $c (instantiate $C (with "echo-host" (func $host))))
  (component $D
    (import "set" (func $set (param "when" u32)))
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $Memory (memory (export "mem") 1))
    (core instance $memory (instantiate $Memory))
    (core func $set (canon lower (func $set)))
    (core func $f (canon lower (func $f) (memory (core memory $memory "mem"))))
    (core module $Main
      (import "" "set" (func $set (param i32)))
      (import "" "f" (func $f (param i32 i32) (result i32)))
      (func (export "run") (param i32) (result i32)
        (call $set (local.get 0))
        (call $f (i32.const 16) (i32.const 3))))
    (core instance $main (instantiate $Main (with "" (instance (export "set" (func $set)) (export "f" (func $f))))))
    (func (export "run") (param "when" u32) (result u32) (canon lift (core func $main "run"))))
  (instance $d (instantiate $D (with "set" (func $c "set")) (with "f" (func $c "f"))))
  (func (export "run") (alias export $d "run")))

(component instance $i $LeaveToHost)
(assert_return (invoke "run" (u32.const 0)) (u32.const 7))
(assert_trap (invoke "run" (u32.const 1)) "cannot leave component instance")
(component instance $i $LeaveToHost)
(assert_trap (invoke "run" (u32.const 2)) "cannot leave component instance")

;; An instance on the stack can be entered again, by the instance that it called and by itself. Each level adds one.
;; Without a limit the stack overflows.
(component definition $Recursion
  (core module $M1
    (type $f (func (param i32) (result i32)))
    (table (export "t") 1 1 funcref)
    (func (export "f") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 0))
        (else (i32.add (i32.const 1)
          (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))))
  (core instance $m1 (instantiate $M1))
  (func $f (export "f") (param "n" u32) (result u32) (canon lift (core func $m1 "f")))
  (core func $self (canon lower (func $f)))
  (component $B
    (import "f" (func $f (param "n" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $M
      (import "" "f" (func $f (param i32) (result i32)))
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
    (func (export "g") (param "n" u32) (result u32) (canon lift (core func $m "g"))))
  (instance $b (instantiate $B (with "f" (func $f))))
  (core func $g (canon lower (func $b "g")))
  (core module $M2
    (import "" "t" (table 1 1 funcref))
    (import "" "g" (func $g (param i32) (result i32)))
    (import "" "self" (func $self (param i32) (result i32)))
    (elem $self declare func $self)
    (elem (i32.const 0) func $g)
    (func (export "direct") (table.set 0 (i32.const 0) (ref.func $self))))
  (core instance $m2 (instantiate $M2 (with "" (instance
    (export "t" (table $m1 "t")) (export "g" (func $g)) (export "self" (func $self))))))
  (func (export "direct") (canon lift (core func $m2 "direct"))))

(component instance $i $Recursion)
(assert_return (invoke "f" (u32.const 0)) (u32.const 0))
(assert_return (invoke "f" (u32.const 100)) (u32.const 100))
(assert_return (invoke "direct"))
(assert_return (invoke "f" (u32.const 100)) (u32.const 100))
(assert_trap (invoke "f" (u32.const 0xffffffff)) "call stack exhausted")
(component instance $i $Recursion)
(assert_trap (invoke "f" (u32.const 0xffffffff)) "call stack exhausted")

;; A lifted function can be lowered again: a chain of instances without code.
(component
  (component $End
    (core module $M
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "f") (param i32 i32) (result i32)
        (i32.add (i32.load8_u (local.get 0)) (local.get 1))))
    (core instance $m (instantiate $M))
    (func (export "f") (param "s" string) (result u32)
      (canon lift (core func $m "f") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (component $Link
    (import "f" (func $f (param "s" string) (result u32)))
    (core module $M (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $m (instantiate $M))
    (core func $f (canon lower (func $f) (memory (core memory $m "mem"))))
    (func (export "f") (param "s" string) (result u32)
      (canon lift (core func $f) (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (instance $end (instantiate $End))
  (instance $a (instantiate $Link (with "f" (func $end "f"))))
  (instance $b (instantiate $Link (with "f" (func $a "f"))))
  (instance $c (instantiate $Link (with "f" (func $b "f"))))
  (func (export "f") (alias export $c "f")))
(assert_return (invoke "f" (str.const "abc")) (u32.const 100))

;; Adapters do not write padding: the three bytes of padding in (tuple u8 u32) stay as the callee's realloc left them.
(component
  (component $C
    (core module $M
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "f") (param i32 i32) (result i64) (i64.load (local.get 0))))
    (core instance $m (instantiate $M))
    (func (export "f") (param "s" (list (tuple u8 u32))) (result u64)
      (canon lift (core func $m "f") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (instance $c (instantiate $C))
  (component $D
    (import "f" (func $f (param "s" (list (tuple u8 u32))) (result u64)))
    (core module $Memory (memory (export "mem") 1) (data (i32.const 16) "\01\a1\a2\a3\02\03\04\05"))
    (core instance $memory (instantiate $Memory))
    (core func $f (canon lower (func $f) (memory (core memory $memory "mem"))))
    (core module $Main
      (import "" "f" (func $f (param i32 i32) (result i64)))
      (func (export "run") (result i64) (call $f (i32.const 16) (i32.const 1))))
    (core instance $main (instantiate $Main (with "" (instance (export "f" (func $f))))))
    (func (export "run") (result u64) (canon lift (core func $main "run"))))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (func (export "run") (alias export $d "run")))
(assert_return (invoke "run") (u64.const 0x0504030200000001))

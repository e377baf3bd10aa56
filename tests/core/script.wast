;;! multi_memory = false
;;! nan_canonicalization = true # settings for this script only
;;! hogs_memory = false

;; Scripts: header, threads, imports from named instances, function references.

(assert_invalid (module (memory 1) (memory 1)) "multi-memory")

(module
  (func (export "nan") (param f32) (result i32)
    (i32.reinterpret_f32 (f32.add (local.get 0) (f32.const 1)))))
(assert_return (invoke "nan" (f32.const -nan:0x200000)) (i32.const 0x7fc0_0000))

;; A module imports from an instance that is named but not registered.
(module $provider
  (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n)))
(module
  (import "provider" "next" (func $next (result i32)))
  (func (export "twice") (result i32) (drop (call $next)) (call $next)))
(assert_return (invoke "twice") (i32.const 2))
(assert_return (invoke $provider "next") (i32.const 3))
;; The name of a registered instance takes precedence.
(module $other (func (export "next") (result i32) (i32.const 100)))
(register "provider" $other)
(module
  (import "provider" "next" (func $next (result i32)))
  (func (export "once") (result i32) (call $next)))
(assert_return (invoke "once") (i32.const 100))

;; Threads have separate instances, and their directives count.
(thread $a
  (module $provider (func (export "one") (result i32) (i32.const 1)))
  (assert_return (invoke $provider "one") (i32.const 1))
  (module
    (import "provider" "one" (func $one (result i32)))
    (func (export "two") (result i32) (i32.add (call $one) (call $one))))
  (assert_return (invoke "two") (i32.const 2)))
(thread $b
  (thread $inner
    (module (func (export "stop") (unreachable)))
    (assert_trap (invoke "stop") "unreachable"))
  (module (func (export "f")))
  (assert_return (invoke "f")))
(assert_return (invoke $provider "next") (i32.const 4))
(wait $b)
(wait $a)
(assert_return (invoke "once") (i32.const 100))

;; A reference matches any index of a function.
(module
  (func $f)
  (elem declare func $f)
  (func (export "f") (result funcref) (ref.func $f)))
(assert_return (invoke "f") (ref.func 0))
(assert_return (invoke "f") (ref.func))

;; Old scripts expect a link error if a segment is out of bounds. It is a trap.
(assert_unlinkable (module (memory 1) (data (i32.const 0x10000) "x")) "out of bounds memory access")

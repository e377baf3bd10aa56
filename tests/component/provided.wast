;; The functions, resource types and core modules that the runner provides to components.

(component
  (import "host-return-two" (func $two (result u32)))
  (import "host-echo-u32" (func $echo (param "x" u32) (result u32)))
  (import "host" (instance $host
    (export "return-three" (func (result u32)))
    (export "return-hi" (func (result string)))
    (export "nested" (instance (export "return-four" (func (result u32)))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 100)))
  (core instance $libc (instantiate $libc))
  (core func $two (canon lower (func $two)))
  (core func $echo (canon lower (func $echo)))
  (core func $three (canon lower (func $host "return-three")))
  (core func $four (canon lower (func $host "nested" "return-four")))
  (core func $hi (canon lower (func $host "return-hi")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "" "two" (func $two (result i32)))
    (import "" "three" (func $three (result i32)))
    (import "" "four" (func $four (result i32)))
    (import "" "echo" (func $echo (param i32) (result i32)))
    (import "" "hi" (func $hi (param i32)))
    (func (export "sum") (result i32)
      (i32.add
        (i32.add (call $two) (call $three))
        (i32.add (call $four) (call $echo (i32.const 10)))))
    (func (export "hi") (result i32) (call $hi (i32.const 8)) (i32.const 8)))
  (core instance $m (instantiate $m
    (with "libc" (instance $libc))
    (with "" (instance
      (export "two" (func $two)) (export "three" (func $three)) (export "four" (func $four))
      (export "echo" (func $echo)) (export "hi" (func $hi))))))
  (func (export "sum") (result u32) (canon lift (core func $m "sum")))
  (func (export "hi") (result string) (canon lift (core func $m "hi") (memory (core memory $libc "memory")))))
(assert_return (invoke "sum") (u32.const 19))
(assert_return (invoke "hi") (str.const "hi"))

;; Host resources, represented by numbers.
(component
  (import "host" (instance $host
    (export "resource1" (type $r (sub resource)))
    (export "resource1-again" (type (eq $r)))
    (export "resource2" (type (sub resource)))
    (export "[constructor]resource1" (func (param "r" u32) (result (own $r))))
    (export "[static]resource1.assert" (func (param "r" (own $r)) (param "rep" u32)))
    (export "[static]resource1.last-drop" (func (result u32)))
    (export "[static]resource1.drops" (func (result u32)))
    (export "[method]resource1.simple" (func (param "self" (borrow $r)) (param "rep" u32)))
    (export "[method]resource1.take-borrow" (func (param "self" (borrow $r)) (param "b" (borrow $r))))
    (export "[method]resource1.take-own" (func (param "self" (borrow $r)) (param "b" (own $r))))))
  (alias export $host "resource1" (type $r))
  (core func $drop (canon resource.drop $r))
  (core func $new (canon lower (func $host "[constructor]resource1")))
  (core func $assert (canon lower (func $host "[static]resource1.assert")))
  (core func $last-drop (canon lower (func $host "[static]resource1.last-drop")))
  (core func $drops (canon lower (func $host "[static]resource1.drops")))
  (core func $simple (canon lower (func $host "[method]resource1.simple")))
  (core func $take-borrow (canon lower (func $host "[method]resource1.take-borrow")))
  (core func $take-own (canon lower (func $host "[method]resource1.take-own")))
  (core module $m
    (import "" "drop" (func $drop (param i32)))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "assert" (func $assert (param i32 i32)))
    (import "" "last-drop" (func $last-drop (result i32)))
    (import "" "drops" (func $drops (result i32)))
    (import "" "simple" (func $simple (param i32 i32)))
    (import "" "take-borrow" (func $take-borrow (param i32 i32)))
    (import "" "take-own" (func $take-own (param i32 i32)))
    (func (export "use") (result i32)
      (local $a i32) (local $b i32)
      (local.set $a (call $new (i32.const 100)))
      (local.set $b (call $new (i32.const 200)))
      (call $simple (local.get $a) (i32.const 100))
      (call $take-borrow (local.get $a) (local.get $b))
      (call $take-own (local.get $a) (local.get $b))
      (call $assert (local.get $a) (i32.const 100))
      (call $drop (call $new (i32.const 300)))
      (call $drop (call $new (i32.const 400)))
      (i32.add (call $last-drop) (call $drops)))
    (func (export "wrong-number") (call $simple (call $new (i32.const 1)) (i32.const 2))))
  (core instance $m (instantiate $m (with "" (instance
    (export "drop" (func $drop)) (export "new" (func $new)) (export "assert" (func $assert))
    (export "last-drop" (func $last-drop)) (export "drops" (func $drops)) (export "simple" (func $simple))
    (export "take-borrow" (func $take-borrow)) (export "take-own" (func $take-own))))))
  (func (export "use") (result u32) (canon lift (core func $m "use")))
  (func (export "wrong-number") (canon lift (core func $m "wrong-number"))))
(assert_return (invoke "use") (u32.const 402))
(assert_trap (invoke "wrong-number") "the representation of the resource is 1, not 2")

(assert_unlinkable
  (component (import "host" (instance (export "missing" (type (sub resource))))))
  "was not found")
(assert_unlinkable
  (component (import "host" (instance
    (export "resource1" (type (sub resource)))
    (export "resource2" (type $r (sub resource)))
    (export "resource1-again" (type (eq $r))))))
  "mismatched resource types")

;; A core module of the host becomes part of the component.
(component
  (import "host" (instance $host
    (export "simple-module" (core module
      (export "f" (func (result i32)))
      (export "g" (global i32))))))
  (core instance $i (instantiate (module $host "simple-module")))
  (core module $m
    (import "i" "g" (global $g i32))
    (import "i" "f" (func $f (result i32)))
    (func (export "sum") (result i32) (i32.add (call $f) (global.get $g))))
  (core instance $m (instantiate $m (with "i" (instance $i))))
  (func (export "sum") (result u32) (canon lift (core func $m "sum"))))
(assert_return (invoke "sum") (u32.const 201))
(assert_unlinkable
  (component
    (import "host" (instance $host (export "simple-module" (core module (export "h" (func))))))
    (core instance (instantiate (module $host "simple-module"))))
  "not defined")

;; So does one of an instance in the script.
(component $provider
  (core module $m (func (export "seven") (result i32) (i32.const 7)))
  (export "m" (core module $m)))
(component
  (import "provider" (instance $p (export "m" (core module (export "seven" (func (result i32)))))))
  (core instance $i (instantiate (module $p "m")))
  (func (export "seven") (result u32) (canon lift (core func $i "seven"))))
(assert_return (invoke "seven") (u32.const 7))

;; References to core items in the old syntax.
(component
  (component $a
    (core module $m
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
      (func (export "len") (param i32 i32) (result i32) (local.get 1))
      (func (export "post") (param i32)))
    (core instance $m (instantiate $m))
    (func (export "len") (param "s" string) (result u32)
      (canon lift (core func $m "len") (memory $m "mem") (realloc (func $m "realloc")) (post-return (func $m "post")))))
  (instance $a (instantiate $a))
  (export "len" (func $a "len")))
(assert_return (invoke "len" (str.const "four")) (u32.const 4))

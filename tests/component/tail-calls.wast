;; Tail calls of everything that a core function can import: host functions, adapters to other components, built-ins on
;; handles, functions of other core instances; directly and through a table.

(component
  (import "echo" (func $echo (param "x" u64) (result u64)))
  (import "fail" (func $fail (param "x" u64) (result u64)))

  (component $Other
    (core module $M
      (func (export "double") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))
      (func (export "trap") (param i64) (result i64) unreachable))
    (core instance $m (instantiate $M))
    (func (export "double") (param "x" u64) (result u64) (canon lift (core func $m "double")))
    (func (export "trap") (param "x" u64) (result u64) (canon lift (core func $m "trap"))))
  (instance $other (instantiate $Other))

  (core module $Neighbour
    (global $calls (mut i64) (i64.const 0))
    (func (export "count") (param i64) (result i64)
      (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
      (i64.add (global.get $calls) (local.get 0))))
  (core instance $neighbour (instantiate $Neighbour))

  (type $R (resource (rep i32)))
  (core func $new (canon resource.new $R))
  (core func $rep (canon resource.rep $R))
  (core func $drop (canon resource.drop $R))
  (core func $echo' (canon lower (func $echo)))
  (core func $fail' (canon lower (func $fail)))
  (core func $double' (canon lower (func $other "double")))
  (core func $trap' (canon lower (func $other "trap")))

  (core module $M
    (type $f (func (param i64) (result i64)))
    (import "" "echo" (func $echo (type $f)))
    (import "" "fail" (func $fail (type $f)))
    (import "" "double" (func $double (type $f)))
    (import "" "trap" (func $trap (type $f)))
    (import "" "count" (func $count (type $f)))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (table $t 8 funcref)
    (elem (table $t) (i32.const 0) func $echo $fail $double $trap $count $loop)

    (func (export "echo") (type $f) (return_call $echo (local.get 0)))
    (func (export "fail") (type $f) (return_call $fail (local.get 0)))
    (func (export "double") (type $f) (return_call $double (local.get 0)))
    (func (export "trap") (type $f) (return_call $trap (local.get 0)))
    (func (export "count") (type $f) (return_call $count (local.get 0)))
    (func (export "any") (param i32 i64) (result i64)
      (return_call_indirect $t (type $f) (local.get 1) (local.get 0)))
    ;; Ten million calls, whose frames would not fit the stack.
    (func $loop (export "loop") (type $f)
      (if (i64.eqz (local.get 0)) (then (return_call $echo (i64.const 77))))
      (return_call_indirect $t (type $f) (i64.sub (local.get 0) (i64.const 1)) (i32.const 5)))
    (func $new' (param i32) (result i32) (return_call $new (local.get 0)))
    (func $rep' (param i32) (result i32) (return_call $rep (local.get 0)))
    (func $drop' (param i32) (return_call $drop (local.get 0)))
    (func (export "handle") (param i32) (result i32)
      (local $handle i32)
      (local.set $handle (call $new' (local.get 0)))
      (local.set 0 (call $rep' (local.get $handle)))
      (call $drop' (local.get $handle))
      (local.get 0))
    (func (export "no-handle") (param i32) (return_call $drop (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance
    (export "echo" (func $echo')) (export "fail" (func $fail')) (export "double" (func $double'))
    (export "trap" (func $trap')) (export "count" (func $neighbour "count"))
    (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))

  (func (export "echo") (param "x" u64) (result u64) (canon lift (core func $m "echo")))
  (func (export "double") (param "x" u64) (result u64) (canon lift (core func $m "double")))
  (func (export "count") (param "x" u64) (result u64) (canon lift (core func $m "count")))
  (func (export "any") (param "index" u32) (param "x" u64) (result u64) (canon lift (core func $m "any")))
  (func (export "loop") (param "x" u64) (result u64) (canon lift (core func $m "loop")))
  (func (export "handle") (param "x" u32) (result u32) (canon lift (core func $m "handle")))
  (func (export "fail") (param "x" u64) (result u64) (canon lift (core func $m "fail"))))

(assert_return (invoke "echo" (u64.const 5)) (u64.const 5))
(assert_return (invoke "double" (u64.const 5)) (u64.const 10))
(assert_return (invoke "count" (u64.const 5)) (u64.const 6))
(assert_return (invoke "any" (u32.const 0) (u64.const 5)) (u64.const 5))
(assert_return (invoke "any" (u32.const 2) (u64.const 5)) (u64.const 10))
(assert_return (invoke "any" (u32.const 4) (u64.const 5)) (u64.const 7))
(assert_return (invoke "loop" (u64.const 10000000)) (u64.const 77))
(assert_return (invoke "handle" (u32.const 123)) (u32.const 123))
(assert_trap (invoke "any" (u32.const 6) (u64.const 5)) "uninitialized element")

;; Errors are the same as for other calls. A trap ends the instance.
(component definition $Trapping
  (import "fail" (func $fail (param "x" u64) (result u64)))
  (component $Other
    (core module $M (func (export "trap") (param i64) (result i64) unreachable))
    (core instance $m (instantiate $M))
    (func (export "trap") (param "x" u64) (result u64) (canon lift (core func $m "trap"))))
  (instance $other (instantiate $Other))
  (type $R (resource (rep i32)))
  (core func $drop (canon resource.drop $R))
  (core func $fail' (canon lower (func $fail)))
  (core func $trap' (canon lower (func $other "trap")))
  (core module $M
    (import "" "fail" (func $fail (param i64) (result i64)))
    (import "" "trap" (func $trap (param i64) (result i64)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "fail") (param i64) (result i64) (return_call $fail (local.get 0)))
    (func (export "trap") (param i64) (result i64) (return_call $trap (local.get 0)))
    (func (export "drop") (param i32) (return_call $drop (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance
    (export "fail" (func $fail')) (export "trap" (func $trap')) (export "drop" (func $drop))))))
  (func (export "fail") (param "x" u64) (result u64) (canon lift (core func $m "fail")))
  (func (export "trap") (param "x" u64) (result u64) (canon lift (core func $m "trap")))
  (func (export "drop") (param "x" u32) (canon lift (core func $m "drop"))))
(component instance $A $Trapping)
(assert_trap (invoke "fail" (u64.const 5)) "the host function failed")
(component instance $B $Trapping)
(assert_trap (invoke "trap" (u64.const 5)) "unreachable")
(component instance $C $Trapping)
(assert_trap (invoke "drop" (u32.const 5)) "unknown handle index 5")

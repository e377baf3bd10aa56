;; Handles that are lent to the component instance that defines their resource, which gets representations. `$Definer` calls
;; back into its caller, which tries to drop a handle meanwhile.

(component definition $Known
  (core module $Back
    (type $drop (func (param i32)))
    (table (export "drop") 1 funcref)
    (global $what (export "what") (mut i32) (i32.const 0))
    (func (export "back")
      (if (global.get $what)
        (then (call_indirect (type $drop) (global.get $what) (i32.const 0))))))
  (core instance $back (instantiate $Back))
  (func $back (canon lift (core func $back "back")))
  (component $Definer
    (import "back" (func $back))
    (type $R' (resource (rep i32)))
    (export $R "r" (type $R'))
    (core func $new (canon resource.new $R'))
    (core func $back' (canon lower (func $back)))
    (core module $M
      (import "" "back" (func $back))
      (func (export "f") (param $x i32) (param $n i32) (param $y i32) (result i32)
        (call $back)
        (i32.add (local.get $x) (i32.mul (local.get $n) (local.get $y)))))
    (core instance $m (instantiate $M (with "" (instance (export "back" (func $back'))))))
    (func (export "make") (param "rep" u32) (result (own $R)) (canon lift (core func $new)))
    (func (export "f") (param "x" (borrow $R)) (param "n" u32) (param "y" (borrow $R)) (result u32)
      (canon lift (core func $m "f"))))
  (instance $definer (instantiate $Definer (with "back" (func $back))))
  (alias export $definer "r" (type $R))
  (core func $make (canon lower (func $definer "make")))
  (core func $f (canon lower (func $definer "f")))
  (core func $drop (canon resource.drop $R))
  (core module $Main
    (import "back" "drop" (table 1 funcref))
    (import "back" "what" (global $what (mut i32)))
    (import "" "make" (func $make (param i32) (result i32)))
    (import "" "f" (func $f (param i32 i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (elem (i32.const 0) $drop)
    ;; Makes two resources, lends them, and drops them. `$what` is the handle that is dropped meanwhile.
    (func (export "run") (param $what i32) (result i32)
      (local $x i32) (local $y i32) (local $sum i32)
      (local.set $x (call $make (i32.const 10)))
      (local.set $y (call $make (i32.const 20)))
      (global.set $what (local.get $what))
      (local.set $sum (call $f (local.get $x) (i32.const 3) (local.get $y)))
      ;; The same one twice.
      (local.set $sum (i32.add (local.get $sum) (call $f (local.get $x) (i32.const 1) (local.get $x))))
      ;; The loans have ended.
      (call $drop (local.get $x))
      (call $drop (local.get $y))
      (local.get $sum))
    ;; Lends what is not there.
    (func (export "lend") (param i32) (result i32)
      (call $f (call $make (i32.const 10)) (i32.const 0) (local.get 0))))
  (core instance $main (instantiate $Main
    (with "back" (instance $back))
    (with "" (instance (export "make" (func $make)) (export "f" (func $f)) (export "drop" (func $drop))))))
  (func (export "run") (param "what" u32) (result u32) (canon lift (core func $main "run")))
  (func (export "lend") (param "handle" u32) (result u32) (canon lift (core func $main "lend"))))

(component instance $i $Known)
(assert_return (invoke "run" (u32.const 0)) (u32.const 90))
(assert_return (invoke "run" (u32.const 0)) (u32.const 90))
(assert_return (invoke "lend" (u32.const 1)) (u32.const 10))
(assert_trap (invoke "run" (u32.const 2)) "cannot remove owned resource while borrowed")
(component instance $i $Known)
(assert_trap (invoke "run" (u32.const 1)) "cannot remove owned resource while borrowed")
(component instance $i $Known)
(assert_trap (invoke "lend" (u32.const 2)) "unknown handle index")
(component instance $i $Known)
(assert_trap (invoke "lend" (u32.const 0)) "unknown handle index")

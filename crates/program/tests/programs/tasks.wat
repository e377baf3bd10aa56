(component
  (component $inner
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (func (export "run") (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "run") async (param "a" u32) (result u32)
      (canon lift (core func $i "run") async (callback (core func $i "callback")))))
  (instance $inner (instantiate $inner))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $run (canon lower (func $inner "run") async (memory $memory "memory")))
  (core module $m
    (import "" "run" (func $run (param i32 i32) (result i32)))
    (func (export "start") (result i32) (call $run (i32.const 1) (i32.const 8))))
  (core instance $i (instantiate $m (with "" (instance (export "run" (func $run))))))
  (func (export "start") async (result u32) (canon lift (core func $i "start"))))
;; =>
;; the test's text is malformed: the `core` keyword is required in this reference: `(func ...)` should be written `(core func ...)` (or set WAST_STRICT_COMPONENT_INDICES=0 to accept the legacy syntax)
;;      --> <anon>:10:57
;;       |
;;    10 |       (canon lift (core func $i "run") async (callback (core func $i "callback")))))
;;       |                                                         ^

;; Calls of an asynchronous host function: `run` makes one, `plain` makes none.
(component
  (import "wait" (func $wait (param "times" u32) (result u32)))
  (core func $wait (canon lower (func $wait)))
  (core module $module
    (import "" "wait" (func $wait (param i32) (result i32)))
    (func (export "run") (param $times i32) (result i64)
      (i64.extend_i32_u (call $wait (local.get $times))))
    (func (export "plain") (param $n i32) (result i64) (i64.extend_i32_u (local.get $n))))
  (core instance $core (instantiate $module
    (with "" (instance (export "wait" (func $wait))))))
  (func (export "run") (param "times" u32) (result u64) (canon lift (core func $core "run")))
  (func (export "plain") (param "n" u32) (result u64) (canon lift (core func $core "plain"))))

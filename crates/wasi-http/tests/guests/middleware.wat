;; A guest of the world `wasi:http/middleware` that passes each request on as it is. The tests make
;; a component of it.
(module
  (import "wasi:http/handler@0.3.2" "[async-lower]handle"
    (func $handle (param $request i32) (param $result i32) (result i32)))
  (import "[export]wasi:http/handler@0.3.2" "[task-return]handle"
    (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "$root" "[waitable-set-new]" (func $new-set (result i32)))
  (import "$root" "[waitable-join]" (func $join (param $waitable i32) (param $set i32)))
  (import "$root" "[subtask-drop]" (func $drop-subtask (param i32)))
  (memory (export "memory") 1)
  ;; The result is at 1024: its discriminant, and at 1032 the response or the error code.
  (global $free (mut i32) (i32.const 4096))
  (global $set (mut i32) (i32.const 0))

  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free
      (i32.and
        (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15))
        (i32.const -16)))
    (local.get $at))

  ;; Returns what the next handler has returned. Of an error, only the code is passed on.
  (func $finish
    (local $is-error i32)
    (local.set $is-error (i32.load8_u (i32.const 1024)))
    (call $return
      (local.get $is-error)
      (select
        (i32.load8_u (i32.const 1032))
        (i32.load (i32.const 1032))
        (local.get $is-error))
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

  (func (export "[async-lift]wasi:http/handler@0.3.2#handle") (param $request i32) (result i32)
    (local $status i32)
    (local.set $status (call $handle (local.get $request) (i32.const 1024)))
    ;; It has returned.
    (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
      (then
        (call $finish)
        (return (i32.const 0))))
    (global.set $set (call $new-set))
    (call $join (i32.shr_u (local.get $status) (i32.const 4)) (global.get $set))
    (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))

  (func (export "[callback][async-lift]wasi:http/handler@0.3.2#handle")
    (param $event i32) (param $subtask i32) (param $status i32) (result i32)
    (if (i32.ne (local.get $status) (i32.const 2))
      (then (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
    (call $drop-subtask (local.get $subtask))
    (call $finish)
    (i32.const 0)))

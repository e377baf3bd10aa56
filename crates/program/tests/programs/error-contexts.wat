;; error-context
;; The built-ins on error contexts, and an error context in an exported function's type.
(component
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (core func $new (canon error-context.new string-encoding=utf16 (memory (core memory $libc "memory"))))
  (core func $message (canon error-context.debug-message
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $drop (canon error-context.drop))
  (core module $m
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "message" (func $message (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (param i32) (result i32)
      (call $message (local.get 0) (i32.const 0))
      (call $drop (local.get 0))
      (call $new (i32.const 0) (i32.const 0))))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "message" (func $message)) (export "drop" (func $drop))))))
  (func (export "run") (param "e" error-context) (result error-context) (canon lift (core func $m "run"))))
;; =>
;; export run: lift0 = func(e: error-context) -> error-context
;; lift0: core[1]:f3 (i32) -> (i32) in domain0 calls=none
;; canon[0]: error-context.new in domain0 utf16 memory=mem0
;; canon[1]: error-context.debug-message in domain0 memory=mem0 realloc=core[0]:f0
;; canon[2]: error-context.drop in domain0
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; core0: module0 (libc) in domain0, memories mem0
;; core1: module1 (m) in domain0
;;   f0 = canon[0]
;;   f1 = canon[1]
;;   f2 = canon[2]
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f3
;; entry (i32) -> (i32)

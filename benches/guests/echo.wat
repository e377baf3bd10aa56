;; A string in and the same string out: what lowering, validating and lifting text costs.
;;
;; The guest has one buffer at 1024, which every allocation gets: one string lives at a time.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const 0xf000))
        (then (unreachable)))
      (i32.const 1024))
    ;; The result, a pointer and a length, is returned in memory at 16.
    (func (export "echo") (param $text i32) (param $length i32) (result i32)
      (i32.store (i32.const 16) (local.get $text))
      (i32.store (i32.const 20) (local.get $length))
      (i32.const 16)))
  (core instance $core (instantiate $module))
  (func (export "echo") (param "text" string) (result string)
    (canon lift (core func $core "echo")
      (memory (core memory $core "memory")) (realloc (core func $core "realloc")))))

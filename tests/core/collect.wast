;;! gc = true

;; The runner's `wasmtime.gc` runs a collection. References in locals, globals, tables and objects refer to the same objects afterwards.
(module
  (import "wasmtime" "gc" (func $gc))
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (global $root (mut (ref null $node)) (ref.null $node))
  (table $table 2 (ref null $node))

  (func $push (param $value i32)
    (global.set $root (struct.new $node (local.get $value) (global.get $root))))

  ;; Returns the sum of a list, with a collection at each element.
  (func $sum (param $list (ref null $node)) (result i32)
    (local $sum i32)
    (block $end
      (loop $next
        (br_if $end (ref.is_null (local.get $list)))
        (call $gc)
        (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $list))))
        (local.set $list (struct.get $node $next (local.get $list)))
        (br $next)))
    (local.get $sum))

  (func (export "list") (result i32)
    (local $i i32)
    (global.set $root (ref.null $node))
    (loop $again
      (call $push (local.tee $i (i32.add (local.get $i) (i32.const 1))))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))
    (call $sum (global.get $root)))

  (func (export "identity") (result i32)
    (local $a (ref null $node))
    (local.set $a (struct.new $node (i32.const 7) (ref.null $node)))
    (table.set $table (i32.const 1) (local.get $a))
    (struct.set $node $next (local.get $a) (local.get $a))
    (call $gc)
    (i32.and
      (ref.eq (local.get $a) (table.get $table (i32.const 1)))
      (ref.eq (local.get $a) (struct.get $node $next (local.get $a)))))
)
(assert_return (invoke "list") (i32.const 5050))
(assert_return (invoke "identity") (i32.const 1))
(assert_return (invoke "list") (i32.const 5050))

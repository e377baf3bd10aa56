;; A component with some of everything that an artifact contains: modules that share a memory, host
;; calls, segments of the image and run-time segments, tables, globals of every type, names, trapping
;; instructions, builtins, objects that are live across a call.
(component
  (import "f" (func $f (param "x" u32) (result u32)))
  (core func $lowered (canon lower (func $f)))
  (core module $library
    (memory (export "memory") 2 8)
    (global (export "flag") (mut f32) (f32.const -1.5))
    (data (i32.const 65534) "over a page")
    (data (i32.const 65536) "XY")
    (data (i32.const 70000) "\00\00\00")
    (func (export "add") (param i32 i32) (result i32)
      local.get 0
      local.get 1
      i32.add))
  (core module $main
    (import "host" "f" (func $f (param i32) (result i32)))
    (import "library" "add" (func $add (param i32 i32) (result i32)))
    (import "library" "memory" (memory 1))
    (import "library" "flag" (global $flag (mut f32)))
    (type $binary (func (param i32 i32) (result i32)))
    (table $table 10 20 funcref)
    (table $other 3 externref)
    (global $i32 (mut i32) (i32.const 0x12345678))
    (global $i64 (mut i64) (i64.const -2))
    (global $f64 (mut f64) (f64.const 0.5))
    (global $ref (mut funcref) (ref.func $divide))
    (global $null (mut externref) (ref.null extern))
    (elem (table $table) (i32.const 2) func $add $divide)
    (elem (table $table) (i32.const 3) func $sum $f)
    (elem $later func $divide $add $sum)
    (data $later "run-time data")
    (type $box (struct (field i32)))
    (func (export "keep") (param i32) (result i32)
      (local $box (ref null $box))
      (local.set $box (struct.new $box (local.get 0)))
      (drop (call $f (i32.const 1)))
      (struct.get $box 0 (local.get $box)))
    (func $divide (param i32 i32) (result i32)
      local.get 0
      local.get 1
      i32.div_s)
    (func $sum (param $from i32) (param $to i32) (result i32)
      (local $sum i32)
      loop $next
        local.get $sum
        local.get $from
        i32.load offset=4
        i32.add
        local.set $sum
        local.get $from
        i32.const 4
        i32.add
        local.tee $from
        local.get $to
        i32.lt_u
        br_if $next
      end
      local.get $sum)
    (func (export "run") (param i32) (result i32)
      i32.const 16
      i32.const 0
      i32.const 13
      memory.init $later
      i32.const 4
      i32.const 0
      i32.const 3
      table.init $table $later
      data.drop $later
      local.get 0
      call $f
      local.get 0
      local.get 0
      call_indirect $table (type $binary))
    (func (export "globals") (result i32 i64 f32 f64)
      global.get $ref
      global.set $ref
      global.get $null
      global.set $null
      i32.const 0
      global.get $null
      table.set $other
      global.get $i32
      global.get $i64
      global.get $flag
      global.get $f64)
    (func (export "grow") (param i32) (result i32)
      local.get 0
      memory.grow)
    (func $never (unreachable)))
  (core instance $library (instantiate $library))
  (core instance $main (instantiate $main
    (with "host" (instance (export "f" (func $lowered))))
    (with "library" (instance $library))))
  (func (export "run") (param "x" s32) (result s32) (canon lift (core func $main "run"))))

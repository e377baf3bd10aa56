;; 64-bit memories: traps of adapters, messages of error contexts, and what is not supported.

;; Addresses that are out of bounds in 64 bits, but would not be in 32.
(component definition $Traps
  (component $C
    (core module $M
      (memory (export "mem") i64 1)
      (global $where (mut i64) (i64.const 1024))
      (func (export "realloc") (param i64 i64 i64 i64) (result i64) (global.get $where))
      (func (export "set") (param i64) (global.set $where (local.get 0)))
      (func (export "take") (param i64 i64))
      (func (export "pair") (result i64) (global.get $where)))
    (core instance $m (instantiate $M))
    (alias core export $m "mem" (core memory $mem))
    (alias core export $m "realloc" (core func $realloc))
    (func (export "set") (param "where" u64) (canon lift (core func $m "set")))
    (func (export "utf8") (param "x" string) (canon lift (core func $m "take") (memory $mem) (realloc $realloc)))
    (func (export "compact") (param "x" string)
      (canon lift (core func $m "take") string-encoding=latin1+utf16 (memory $mem) (realloc $realloc)))
    (func (export "longs") (param "x" (list u64)) (canon lift (core func $m "take") (memory $mem) (realloc $realloc)))
    (func (export "pair") (result (tuple u32 u64)) (canon lift (core func $m "pair") (memory $mem))))
  (instance $c (instantiate $C))
  (component $D
    (import "c" (instance $c
      (export "set" (func (param "where" u64)))
      (export "utf8" (func (param "x" string)))
      (export "compact" (func (param "x" string)))
      (export "longs" (func (param "x" (list u64))))
      (export "pair" (func (result (tuple u32 u64))))))
    (core module $Libc (memory (export "mem") i64 1) (data (i64.const 16) "abc"))
    (core instance $libc (instantiate $Libc))
    (alias core export $libc "mem" (core memory $mem))
    (core func $set (canon lower (func $c "set")))
    (core func $utf8 (canon lower (func $c "utf8") (memory $mem)))
    (core func $compact (canon lower (func $c "compact") string-encoding=latin1+utf16 (memory $mem)))
    (core func $longs (canon lower (func $c "longs") (memory $mem)))
    (core func $pair (canon lower (func $c "pair") (memory $mem)))
    (func (export "set") (param "where" u64) (canon lift (core func $set)))
    (func (export "utf8") (param "ptr" u64) (param "len" u64) (canon lift (core func $utf8)))
    (func (export "compact") (param "ptr" u64) (param "len" u64) (canon lift (core func $compact)))
    (func (export "longs") (param "ptr" u64) (param "len" u64) (canon lift (core func $longs)))
    (func (export "pair") (param "ret" u64) (canon lift (core func $pair))))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (export "set" (func $d "set")) (export "utf8" (func $d "utf8")) (export "compact" (func $d "compact"))
  (export "longs" (func $d "longs")) (export "pair" (func $d "pair")))
(component instance $i $Traps)
(assert_return (invoke "utf8" (u64.const 16) (u64.const 3)))
(assert_return (invoke "compact" (u64.const 16) (u64.const 3)))
(assert_return (invoke "compact" (u64.const 16) (u64.const 0x8000000000000001)))
(assert_return (invoke "longs" (u64.const 0) (u64.const 2)))
(assert_return (invoke "pair" (u64.const 65520)))
(component instance $i $Traps)
(assert_trap (invoke "utf8" (u64.const 0x100000010) (u64.const 3)) "string content out-of-bounds")
(component instance $i $Traps)
(assert_trap (invoke "utf8" (u64.const 0xffffffffffffffff) (u64.const 1)) "string content out-of-bounds")
(component instance $i $Traps)
(assert_trap (invoke "utf8" (u64.const 16) (u64.const 0x100000003)) "string too long")
;; The tag is bit 63, not bit 31.
(component instance $i $Traps)
(assert_trap (invoke "compact" (u64.const 16) (u64.const 0x80000001)) "string too long")
(component instance $i $Traps)
(assert_trap (invoke "longs" (u64.const 0xfffffffffffffff8) (u64.const 1)) "list content out-of-bounds")
;; Eight times this number is 8 in 64 bits.
(component instance $i $Traps)
(assert_trap (invoke "longs" (u64.const 0) (u64.const 0x2000000000000001)) "list too long")
(component instance $i $Traps)
(assert_trap (invoke "pair" (u64.const 0x100000000)) "pointer out of bounds of memory")
(component instance $i $Traps)
(assert_trap (invoke "pair" (u64.const 0xfffffffffffffff8)) "pointer out of bounds of memory")
(component instance $i $Traps)
(assert_return (invoke "set" (u64.const 0x100000000)))
(assert_trap (invoke "utf8" (u64.const 16) (u64.const 3)) "realloc return: beyond end of memory")
(component instance $i $Traps)
(assert_return (invoke "set" (u64.const 0xffffffffffffffff)))
(assert_trap (invoke "utf8" (u64.const 16) (u64.const 3)) "realloc return: beyond end of memory")
(component instance $i $Traps)
(assert_return (invoke "set" (u64.const 0x100000001)))
(assert_trap (invoke "longs" (u64.const 0) (u64.const 1)) "realloc return: result not aligned")
(component instance $i $Traps)
(assert_return (invoke "set" (u64.const 0x100000000)))
(assert_trap (invoke "pair" (u64.const 0)) "pointer out of bounds of memory")

;; Messages of error contexts.
(component
  (core module $Libc
    (memory (export "mem") i64 1)
    ;; 16: two UTF-16 characters that are not Latin-1; 32: Latin-1
    (data (i64.const 16) "\34\6c\34\6c") (data (i64.const 32) "abc")
    (func (export "realloc") (param i64 i64 i64 i64) (result i64) (i64.const 1024)))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "mem" (core memory $mem))
  (core func $new (canon error-context.new string-encoding=latin1+utf16 (memory $mem)))
  (core func $read (canon error-context.debug-message string-encoding=latin1+utf16 (memory $mem)
    (realloc (core func $libc "realloc"))))
  (core module $M
    (import "" "mem" (memory i64 1))
    (import "" "new" (func $new (param i64 i64) (result i32)))
    (import "" "read" (func $read (param i32 i64)))
    (func (export "length") (param i64 i64) (result i64)
      (call $read (call $new (local.get 0) (local.get 1)) (i64.const 64))
      (if (i64.ne (i64.load (i64.const 64)) (i64.const 1024)) (then (unreachable)))
      (i64.load (i64.const 72))))
  (core instance $m (instantiate $M (with "" (instance
    (export "mem" (memory $mem)) (export "new" (func $new)) (export "read" (func $read))))))
  (func (export "length") (param "ptr" u64) (param "len" u64) (result u64) (canon lift (core func $m "length"))))
(assert_return (invoke "length" (u64.const 16) (u64.const 0x8000000000000002)) (u64.const 0x8000000000000002))
(assert_return (invoke "length" (u64.const 32) (u64.const 3)) (u64.const 3))
(assert_trap (invoke "length" (u64.const 32) (u64.const 0x80000003)) "string too long")

;; The host does not pass values through 64-bit memories.
(assert_invalid
  (component
    (core module $M
      (memory (export "mem") i64 1)
      (func (export "f") (result i64) (i64.const 0)))
    (core instance $m (instantiate $M))
    (func (export "f") (result string) (canon lift (core func $m "f") (memory (core memory $m "mem")))))
  "supported between components only")
(assert_invalid
  (component
    (import "f" (func $f (param "x" string)))
    (core module $Libc (memory (export "mem") i64 1))
    (core instance $libc (instantiate $Libc))
    (core func $f (canon lower (func $f) (memory (core memory $libc "mem"))))
    (core module $M
      (import "" "f" (func $f (param i64 i64)))
      (func (export "run") (call $f (i64.const 0) (i64.const 0))))
    (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
    (func (export "run") (canon lift (core func $m "run"))))
  "supported between components only")
(assert_invalid
  (component (type (resource (rep i64))))
  "represented by i64, which is not supported yet")

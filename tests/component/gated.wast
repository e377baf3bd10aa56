;; Features that are off by default, through an adapter: maps and fixed-length lists.

(component
  (component $C
    (core module $M
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 256))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))
      ;; Entries of a map of `u8` to `u32` take 8 bytes each. Returns the sum of the values times the first key.
      (func (export "sum") (param $at i32) (param $count i32) (result i32)
        (local $sum i32) (local $key i32)
        (local.set $key (i32.load8_u (local.get $at)))
        (loop $next
          (if (local.get $count)
            (then
              (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 8)))
              (local.set $count (i32.sub (local.get $count) (i32.const 1)))
              (br $next))))
        (i32.mul (local.get $sum) (local.get $key)))
      ;; Three numbers are three parameters, and six bytes in memory.
      (func (export "reverse") (param i32 i32 i32) (result i32)
        (i32.store16 (i32.const 0) (local.get 2))
        (i32.store16 (i32.const 2) (local.get 1))
        (i32.store16 (i32.const 4) (local.get 0))
        (i32.const 0))
      ;; Seventeen numbers are passed in memory.
      (func (export "last") (param i32) (result i32) (i32.load8_u offset=16 (local.get 0))))
    (core instance $m (instantiate $M))
    (func (export "sum") (param "m" (map u8 u32)) (result u32)
      (canon lift (core func $m "sum") (memory (core memory $m "mem")) (realloc (core func $m "realloc"))))
    (func (export "reverse") (param "l" (list u16 3)) (result (list u16 3))
      (canon lift (core func $m "reverse") (memory (core memory $m "mem"))))
    (func (export "last") (param "l" (list u8 17)) (result u8)
      (canon lift (core func $m "last") (memory (core memory $m "mem")) (realloc (core func $m "realloc")))))
  (instance $c (instantiate $C))
  (component $D
    (import "c" (instance $c
      (export "sum" (func (param "m" (map u8 u32)) (result u32)))
      (export "reverse" (func (param "l" (list u16 3)) (result (list u16 3))))
      (export "last" (func (param "l" (list u8 17)) (result u8)))))
    (core module $Libc
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $Libc))
    (core func $sum (canon lower (func $c "sum") (memory (core memory $libc "mem"))))
    (core func $reverse (canon lower (func $c "reverse") (memory (core memory $libc "mem"))))
    (core func $last (canon lower (func $c "last") (memory (core memory $libc "mem"))))
    (core module $M
      (import "" "reverse" (func $reverse (param i32 i32 i32 i32)))
      (func (export "reverse") (param i32 i32 i32) (result i32)
        (call $reverse (local.get 0) (local.get 1) (local.get 2) (i32.const 64))
        (i32.const 64)))
    (core instance $m (instantiate $M (with "" (instance (export "reverse" (func $reverse))))))
    (func (export "sum") (param "m" (map u8 u32)) (result u32)
      (canon lift (core func $sum) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (func (export "reverse") (param "l" (list u16 3)) (result (list u16 3))
      (canon lift (core func $m "reverse") (memory (core memory $libc "mem"))))
    (func (export "last") (param "l" (list u8 17)) (result u8)
      (canon lift (core func $last) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")))))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (func (export "sum") (alias export $d "sum"))
  (func (export "reverse") (alias export $d "reverse"))
  (func (export "last") (alias export $d "last")))
(assert_return
  (invoke "sum" (map.const
    (entry (u8.const 2) (u32.const 10)) (entry (u8.const 3) (u32.const 20)) (entry (u8.const 4) (u32.const 30))))
  (u32.const 120))
(assert_return (invoke "sum" (map.const)) (u32.const 0))
;; A list of tuples is another type.
(assert_trap (invoke "sum" (list.const (tuple.const (u8.const 2) (u32.const 10)))) "expected `map<u8, u32>`")
(assert_return
  (invoke "reverse" (tuple.const (u16.const 1) (u16.const 2) (u16.const 0xffff)))
  (tuple.const (u16.const 0xffff) (u16.const 2) (u16.const 1)))
(assert_return
  (invoke "last" (tuple.const
    (u8.const 0) (u8.const 1) (u8.const 2) (u8.const 3) (u8.const 4) (u8.const 5) (u8.const 6) (u8.const 7) (u8.const 8)
    (u8.const 9) (u8.const 10) (u8.const 11) (u8.const 12) (u8.const 13) (u8.const 14) (u8.const 15) (u8.const 99)))
  (u8.const 99))

(assert_invalid (component (type (list u8 0))) "must have more than zero elements")
;; A fixed-length list in a function's type counts with all its elements.
(assert_invalid
  (component
    (import "f" (func (param "l" (list u8 100000000)))))
  "too large")

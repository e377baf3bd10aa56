;; Lowers are shared when all is equal, and dropped when nothing calls them.
(component
  (import "f" (func $f (param "x" u32) (result u32)))
  (import "wasi:io/api@0.2.0" (instance $api
    (type $r (record (field "a" u8) (field "b" string)))
    (export "r" (type $r2 (eq $r)))
    (export "g" (func (param "r" $r2) (result (list $r2))))
    (export "unused" (func))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core instance $libc (instantiate $libc))
  (alias export $api "g" (func $g))
  (alias export $api "unused" (func $unused))
  (core func $f1 (canon lower (func $f)))
  (core func $f2 (canon lower (func $f)))
  (core func $g1 (canon lower (func $g) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $g2 (canon lower (func $g) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")) string-encoding=latin1+utf16))
  (core func $unused1 (canon lower (func $unused)))
  (core module $m
    (import "host" "unused" (func $unused))
    (import "host" "f1" (func $f1 (param i32) (result i32)))
    (import "host" "f2" (func $f2 (param i32) (result i32)))
    (import "host" "g1" (func $g1 (param i32 i32 i32 i32)))
    (import "host" "g2" (func $g2 (param i32 i32 i32 i32)))
    (func (export "run")
      (drop (call $f1 (call $f2 (i32.const 1))))
      (call $g1 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  (core instance $m (instantiate $m (with "host" (instance
    (export "unused" (func $unused1))
    (export "f1" (func $f1))
    (export "f2" (func $f2))
    (export "g1" (func $g1))
    (export "g2" (func $g2))))))
  (func (export "run") (canon lift (core func $m "run"))))
;; =>
;; import f: import0 = func(x: u32) -> u32
;; import wasi:io/api@0.2.0: instance
;;   import r: type record { a: u8, b: string }
;;   import g: import1 = func(r: record { a: u8, b: string }) -> list<record { a: u8, b: string }>
;;   import unused: import2 = func()
;; export run: lift0 = func()
;; lift0: core[1]:f5 () -> () in domain0 calls=0,1
;; lower0: import0 (i32) -> (i32) in domain0
;; lower1: import1 (i32, i32, i32, i32) -> () in domain0 memory=mem0 realloc=core[0]:f0
;; domain0: main mem0
;; mem0: domain0 1.. pages
;; core0: module0 (libc) in domain0, memories mem0
;; core1: module1 (m) in domain0
;;   f0 = never called
;;   f1 = lower[0]
;;   f2 = lower[0]
;;   f3 = lower[1]
;;   f4 = never called
;; reachable in core0: 1 of 1: f0
;; reachable in core1: 1 of 1: f5
;; entry (i32, i32, i32, i32) -> (i32)
;; entry () -> ()

;; Resource types have an identity; functions with handles that nothing calls are no obstacle.
(component
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "stream" (type $s (sub resource)))
    (export "error" (type $e (sub resource)))
    (export "[method]stream.read" (func (param "self" (borrow $s)) (result (result (list u8) (error (own $e))))))))
  (alias export $streams "stream" (type $s))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $s (type $s))
    (export "stream" (type $s2 (eq $s)))
    (export "get" (func (result (own $s2))))))
  (core func $drop (canon resource.drop $s))
  (alias export $stdin "get" (func $get))
  (core func $get-lowered (canon lower (func $get)))
  (core module $m
    (import "io" "drop" (func (param i32)))
    (import "io" "get" (func (result i32)))
    (func (export "run")))
  (core instance $i (instantiate $m (with "io" (instance (export "drop" (func $drop)) (export "get" (func $get-lowered))))))
  (func (export "run") (canon lift (core func $i "run"))))
;; =>
;; import wasi:io/streams@0.2.0: instance
;;   import stream: resource0
;;   import error: resource1
;;   import [method]stream.read: import0 = func(self: borrow<stream>) -> result<list<u8>, own<error>>
;; import wasi:cli/stdin@0.2.0: instance
;;   import stream: resource0
;;   import get: import1 = func() -> own<stream>
;; export run: lift0 = func()
;; lift0: core[0]:f2 () -> () in domain0 calls=none
;; resource0: imported as wasi:io/streams@0.2.0 stream
;; resource1: imported as wasi:io/streams@0.2.0 error
;; domain0: no memory
;; core0: module0 (m) in domain0
;;   f0 = never called
;;   f1 = never called
;; reachable in core0: 1 of 1: f2
;; entry () -> ()

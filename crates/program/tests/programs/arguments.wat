;; Functions, instances, modules, components and types as arguments of nested components.
(component
  (import "host" (func $host (param "x" u8)))
  (import "api" (instance $api (export "get" (func (result string)))))
  (core module $m (func (export "f") (param i32)))
  (component $given (import "x" (func $x (param "x" u8))) (export "y" (func $x)))
    (component $c
    (type $u8 u8)
    (import "t" (type $t (eq $u8)))
    (import "f" (func $f (param "x" u8)))
    (import "api" (instance $api (export "get" (func (result string)))))
    (import "m" (core module $m (export "f" (func (param i32)))))
    (import "c" (component $c (import "x" (func (param "x" u8))) (export "y" (func (param "x" u8)))))
    (core instance $i (instantiate $m))
    (func $lifted (param "x" u8) (canon lift (core func $i "f")))
    (instance $through (instantiate $c (with "x" (func $lifted))))
    (instance $host (instantiate $c (with "x" (func $f))))
    (export "t2" (type $t))
    (export "through" (func $through "y"))
    (export "host" (func $host "y"))
    (export "get" (func $api "get"))
    (export "api2" (instance $api)))
  (type $u8 u8)
  (instance $i (instantiate $c
    (with "t" (type $u8))
    (with "f" (func $host))
    (with "api" (instance $api))
    (with "m" (core module $m))
    (with "c" (component $given))))
  (export "out" (instance $i)))
;; =>
;; import host: import0 = func(x: u8)
;; import api: instance
;;   import get: import1 = func() -> string
;; export out: instance
;;   export t2: type u8
;;   export through: lift0 = func(x: u8)
;;   export host: import0
;;   export get: import1
;;   export api2: instance
;;     export get: import1
;; lift0: core[0]:f0 (i32) -> () in domain1 calls=none
;; domain0: no memory
;; domain1: no memory
;; domain2: no memory
;; domain3: no memory
;; core0: module0 (m) in domain1
;; reachable in core0: 1 of 1: f0
;; entry (i32) -> ()

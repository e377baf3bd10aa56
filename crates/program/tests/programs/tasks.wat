(component
  (component $inner
    (core func $return (canon task.return (result u32)))
    (core module $m
      (import "" "return" (func $return (param i32)))
      (func (export "run") (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "run") async (param "a" u32) (result u32)
      (canon lift (core func $i "run") async (callback (core func $i "callback")))))
  (instance $inner (instantiate $inner))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $run (canon lower (func $inner "run") async (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "run" (func $run (param i32 i32) (result i32)))
    (func (export "start") (result i32) (call $run (i32.const 1) (i32.const 8))))
  (core instance $i (instantiate $m (with "" (instance (export "run" (func $run))))))
  (func (export "start") async (result u32) (canon lift (core func $i "start"))))
;; =>
;; export start: lift0 = async func() -> u32
;; lift0: core[2]:f1 () -> (i32) in domain0 calls=task
;; adapter0: async func(a: u32) -> u32 from in domain0 memory=mem0 async to core[0]:f1 (i32) -> (i32) in domain1 async callback=core[0]:f2 calls=task
;; canon[0]: task.return in domain1
;; domain0: main mem0
;; domain1: no memory
;; mem0: domain0 1.. pages
;; core0: module0 (m) in domain1
;;   f0 = canon[0]
;; core1: module1 (memory) in domain0, memories mem0
;; core2: module2 (m) in domain0
;;   f0 = adapter[0]
;; reachable in core0: 2 of 2: f1-f2
;; reachable in core1: 0 of 0
;; reachable in core2: 1 of 1: f1
;; entry (i32, i32, i32) -> (i32)
;; entry () -> (i32)

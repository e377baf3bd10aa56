;; What the tasks of functions of `async` type may call, and whether they wait: those that are called
;; from another component.
(component
  (import "now" (func $now))
  (import "later" (func $later async))
  (component $inner
    (import "now" (func $now))
    (import "later" (func $later async))
    (core func $now (canon lower (func $now)))
    (core func $sync (canon lower (func $later)))
    (core func $async (canon lower (func $later) async))
    (core func $return (canon task.return))
    (core func $cancel (canon subtask.cancel))
    (core func $yield (canon thread.yield))
    (core func $set (canon waitable-set.new))
    (core module $m
      (import "" "now" (func $now))
      (import "" "sync" (func $sync))
      (import "" "async" (func $async (result i32)))
      (import "" "return" (func $return))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (import "" "set" (func $set (result i32)))
      (func (export "nothing"))
      (func (export "returns") (result i32) (call $return) (i32.const 0))
      (func (export "makes-set") (drop (call $set)))
      (func (export "now") (call $now))
      (func (export "async") (drop (call $async)))
      (func (export "sync") (call $sync))
      (func (export "cancels") (drop (call $cancel (i32.const 1))))
      (func (export "yields") (drop (call $yield)))
      (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "now" (func $now))
      (export "sync" (func $sync))
      (export "async" (func $async))
      (export "return" (func $return))
      (export "cancel" (func $cancel))
      (export "yield" (func $yield))
      (export "set" (func $set))))))
    (func (export "nothing") async (canon lift (core func $i "nothing")))
    (func (export "returns") async
      (canon lift (core func $i "returns") async (callback (core func $i "callback"))))
    (func (export "makes-set") async (canon lift (core func $i "makes-set")))
    (func (export "now") async (canon lift (core func $i "now")))
    (func (export "async") async (canon lift (core func $i "async")))
    (func (export "sync") async (canon lift (core func $i "sync")))
    (func (export "cancels") async (canon lift (core func $i "cancels")))
    (func (export "yields") async (canon lift (core func $i "yields"))))
  (instance $inner (instantiate $inner (with "now" (func $now)) (with "later" (func $later))))
  (core func $nothing (canon lower (func $inner "nothing") async))
  (core func $returns (canon lower (func $inner "returns")))
  (core func $makes-set (canon lower (func $inner "makes-set") async))
  (core func $now (canon lower (func $inner "now") async))
  (core func $async (canon lower (func $inner "async") async))
  (core func $sync (canon lower (func $inner "sync") async))
  (core func $cancels (canon lower (func $inner "cancels") async))
  (core func $yields (canon lower (func $inner "yields") async))
  (core module $m
    (import "" "nothing" (func $nothing (result i32)))
    (import "" "returns" (func $returns))
    (import "" "makes-set" (func $makes-set (result i32)))
    (import "" "now" (func $now (result i32)))
    (import "" "async" (func $async (result i32)))
    (import "" "sync" (func $sync (result i32)))
    (import "" "cancels" (func $cancels (result i32)))
    (import "" "yields" (func $yields (result i32)))
    (func (export "asynchronous") (drop (call $now)))
    (func (export "synchronous") (call $returns))
    (func (export "rest")
      (drop (call $nothing)) (drop (call $makes-set)) (drop (call $async)) (drop (call $sync))
      (drop (call $cancels)) (drop (call $yields))))
  (core instance $i (instantiate $m (with "" (instance
    (export "nothing" (func $nothing))
    (export "returns" (func $returns))
    (export "makes-set" (func $makes-set))
    (export "now" (func $now))
    (export "async" (func $async))
    (export "sync" (func $sync))
    (export "cancels" (func $cancels))
    (export "yields" (func $yields))))))
  (func (export "asynchronous") async (canon lift (core func $i "asynchronous")))
  (func (export "synchronous") async (canon lift (core func $i "synchronous")))
  (func (export "rest") async (canon lift (core func $i "rest"))))
;; =>
;; import now: import0 = func()
;; import later: import1 = async func()
;; export asynchronous: lift0 = async func()
;; export synchronous: lift1 = async func()
;; export rest: lift2 = async func()
;; lift0: core[1]:f8 () -> () in domain0 calls=0
;; lift1: core[1]:f9 () -> () in domain0 calls=all
;; lift2: core[1]:f10 () -> () in domain0 calls=all
;; lower0: import0 () -> () in domain1
;; lower1: import1 () -> () in domain1
;; lower2: import1 () -> (i32) in domain1 async
;; adapter0: async func() from in domain0 async to core[0]:f7 () -> () in domain1 calls=none
;; adapter1: async func() from in domain0 to core[0]:f8 () -> (i32) in domain1 async callback=core[0]:f15 calls=task
;; adapter2: async func() from in domain0 async to core[0]:f9 () -> () in domain1 calls=none
;; adapter3: async func() from in domain0 async to core[0]:f10 () -> () in domain1 calls=0
;; adapter4: async func() from in domain0 async to core[0]:f11 () -> () in domain1 calls=1
;; adapter5: async func() from in domain0 async to core[0]:f12 () -> () in domain1 calls=all
;; adapter6: async func() from in domain0 async to core[0]:f13 () -> () in domain1 calls=all
;; adapter7: async func() from in domain0 async to core[0]:f14 () -> () in domain1 calls=all
;; canon[0]: task.return in domain1
;; canon[1]: subtask.cancel in domain1
;; canon[2]: thread.yield in domain1
;; canon[3]: waitable-set.new in domain1
;; domain0: no memory
;; domain1: no memory
;; core0: module0 (m) in domain1
;;   f0 = lower[0]
;;   f1 = lower[1]
;;   f2 = lower[2]
;;   f3 = canon[0]
;;   f4 = canon[1]
;;   f5 = canon[2]
;;   f6 = canon[3]
;; core1: module1 (m) in domain0
;;   f0 = adapter[0]
;;   f1 = adapter[1]
;;   f2 = adapter[2]
;;   f3 = adapter[3]
;;   f4 = adapter[4]
;;   f5 = adapter[5]
;;   f6 = adapter[6]
;;   f7 = adapter[7]
;; reachable in core0: 9 of 9: f7-f15
;; reachable in core1: 3 of 3: f8-f10
;; entry () -> ()
;; entry (i32, i32, i32) -> (i32)

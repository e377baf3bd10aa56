//! Calls that the host cancels or gives up: what their callers get, and what is left.

use super::guest::{AT_ONCE, linker};
use super::host::turns;
use super::{Guests, Host, run_once};
use crate::async_calls::{block_on, poll};
use crate::common::message;
use mintage::{Component, Config, Engine, Store, Trap, TypedFunc, Val};
use std::time::Duration;

/// A component whose functions wait for `wait`, and differ in what they do when they are cancelled.
const GUEST: &str = r#"(component
    (import "wait" (func $wait async (param "n" u32) (result u32)))
    (import "plain" (func $plain (param "n" u32) (result u32)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (canon lower (func $wait) (core func $wait-sync))
    (canon lower (func $wait) async (memory $mem) (core func $wait-async))
    (canon lower (func $plain) (core func $plain-sync))
    (canon task.return (result u32) (core func $return))
    (canon task.cancel (core func $task-cancel))
    (canon waitable-set.new (core func $set-new))
    (canon waitable-set.drop (core func $set-drop))
    (canon waitable.join (core func $join))
    (canon subtask.drop (core func $subtask-drop))
    (canon subtask.cancel (core func $subtask-cancel))
    (canon context.get i32 0 (core func $get))
    (canon context.set i32 0 (core func $set))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "wait-sync" (func $wait-sync (param i32) (result i32)))
        (import "" "wait-async" (func $wait-async (param i32 i32) (result i32)))
        (import "" "plain" (func $plain (param i32) (result i32)))
        (import "" "return" (func $return (param i32)))
        (import "" "task-cancel" (func $task-cancel))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "set-drop" (func $set-drop (param i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "subtask-drop" (func $subtask-drop (param i32)))
        (import "" "subtask-cancel" (func $subtask-cancel (param i32) (result i32)))
        (import "" "get" (func $get (result i32)))
        (import "" "set" (func $set (param i32)))
        ;; the number, the subtask and the set are in one word
        (func $n (result i32) (i32.shr_u (call $get) (i32.const 24)))
        (func $place (result i32) (i32.mul (call $n) (i32.const 16)))
        (func $subtask (result i32)
            (i32.and (i32.shr_u (call $get) (i32.const 12)) (i32.const 0xfff)))
        (func $waitables (result i32) (i32.and (call $get) (i32.const 0xfff)))
        (func $add (param i32 i32)
            (call $set (i32.or (call $get) (i32.shl (local.get 0) (local.get 1)))))
        (func $again (result i32)
            (i32.or (i32.const 2) (i32.shl (call $waitables) (i32.const 4))))
        (func (export "begin") (param i32) (result i32)
            (local $status i32)
            (call $add (local.get 0) (i32.const 24))
            (local.set $status (call $wait-async (local.get 0) (call $place)))
            (if (i32.eq (local.get $status) (i32.const 2))
                (then (call $return (i32.load (call $place))) (return (i32.const 0))))
            (local.set $status (i32.shr_u (local.get $status) (i32.const 4)))
            (call $add (local.get $status) (i32.const 12))
            (call $add (call $set-new) (i32.const 0))
            (call $join (local.get $status) (call $waitables))
            (call $again))
        ;; gives up the subtask
        (func $give-up
            (call $join (call $subtask) (i32.const 0))
            (drop (call $subtask-cancel (call $subtask)))
            (call $drop-all))
        (func $drop-all
            (call $subtask-drop (call $subtask))
            (call $set-drop (call $waitables)))
        (func $finish (result i32)
            (call $drop-all)
            (call $return (i32.load (call $place)))
            (i32.const 0))
        (func (export "ends") (param i32 i32 i32) (result i32)
            (if (i32.ne (local.get 0) (i32.const 6)) (then (return (call $finish))))
            (call $give-up)
            (call $task-cancel)
            (i32.const 0))
        ;; ends when the subtask has ended
        (func (export "lingers") (param i32 i32 i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 6)) (then (return (call $again))))
            (call $drop-all)
            (call $task-cancel)
            (i32.const 0))
        (func (export "keeps") (param i32 i32 i32) (result i32)
            (if (i32.ne (local.get 0) (i32.const 6)) (then (return (call $finish))))
            (call $give-up)
            (call $return (i32.const 77))
            (i32.const 0))
        (func (export "traps") (param i32 i32 i32) (result i32)
            unreachable)
        (func (export "blocks") (param i32) (result i32)
            (call $return (call $wait-sync (local.get 0)))
            (i32.const 0))
        (func (export "goes-on") (param i32) (result i32)
            (call $return (local.get 0))
            (drop (call $wait-sync (local.get 0)))
            (i32.const 0))
        (func (export "lifted") (param i32) (result i32) (call $wait-sync (local.get 0)))
        (func (export "plain") (param i32) (result i32) (call $plain (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $mem))
        (export "wait-sync" (func $wait-sync))
        (export "wait-async" (func $wait-async))
        (export "plain" (func $plain-sync))
        (export "return" (func $return))
        (export "task-cancel" (func $task-cancel))
        (export "set-new" (func $set-new))
        (export "set-drop" (func $set-drop))
        (export "join" (func $join))
        (export "subtask-drop" (func $subtask-drop))
        (export "subtask-cancel" (func $subtask-cancel))
        (export "get" (func $get))
        (export "set" (func $set))))))
    (func (export "ends") async (param "n" u32) (result u32)
        (canon lift (core func $i "begin") async (callback (core func $i "ends"))))
    (func (export "lingers") async (param "n" u32) (result u32)
        (canon lift (core func $i "begin") async (callback (core func $i "lingers"))))
    (func (export "keeps") async (param "n" u32) (result u32)
        (canon lift (core func $i "begin") async (callback (core func $i "keeps"))))
    (func (export "traps") async (param "n" u32) (result u32)
        (canon lift (core func $i "begin") async (callback (core func $i "traps"))))
    (func (export "blocks") async (param "n" u32) (result u32)
        (canon lift (core func $i "blocks") async (callback (core func $i "traps"))))
    (func (export "goes-on") async (param "n" u32) (result u32)
        (canon lift (core func $i "goes-on") async (callback (core func $i "traps"))))
    (func (export "lifted") async (param "n" u32) (result u32)
        (canon lift (core func $i "lifted")))
    (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $i "plain"))))"#;

/// A store with an instance of the guest.
fn guests() -> Guests {
    in_engine(&Engine::default())
}

fn in_engine(engine: &Engine) -> Guests {
    let component = Component::new(engine, GUEST).unwrap();
    let host = Host::default();
    let gates = host.gates.clone();
    let mut store = Store::new(engine, host);
    let instance = linker(engine).instantiate(&mut store, &component).unwrap();
    Guests {
        store,
        instances: vec![instance],
        gates,
    }
}

type Call = mintage::TypedFuncCallConcurrent<Host, (u32,), (u32,)>;

impl Guests {
    fn begin(&mut self, name: &str, number: u32) -> Call {
        let func: TypedFunc<(u32,), (u32,)> = self.func(0, name);
        func.start_call_concurrent(&mut self.store, (number,))
            .unwrap()
    }

    /// Runs the store for some turns.
    fn run(&mut self) {
        block_on(self.store.run_concurrent(async |_| turns(4).await)).unwrap();
    }

    fn cancel(&mut self, call: Call) -> mintage::Result<Option<(u32,)>> {
        let run = self
            .store
            .run_concurrent(async |accessor| call.cancel(accessor).await);
        block_on(run).unwrap()
    }

    fn finish(&mut self, call: Call) -> mintage::Result<(u32,)> {
        block_on(self.store.run_concurrent(async |_| call.await)).unwrap()
    }
}

#[test]
fn a_call_that_has_not_begun_ends_at_once() {
    let mut guests = guests();
    for name in ["ends", "blocks", "lifted", "plain"] {
        let call = guests.begin(name, 1);
        assert_eq!(guests.cancel(call).unwrap(), None, "{name}");
        assert_eq!(guests.gates.futures(), 0, "{name}");
        // Without running the store, too.
        let mut call = guests.begin(name, 1);
        call.request_cancel(&mut guests.store).unwrap();
        call.request_cancel(&mut guests.store).unwrap();
        assert_eq!(call.try_result().unwrap().unwrap(), None, "{name}");
        assert!(call.try_result().is_none(), "it was taken");
    }
    guests.run();
    assert_eq!(guests.gates.futures(), 0);
    guests.gates.open(1, 10);
    assert_eq!(guests.call(0, "ends", 1).unwrap(), 10);
}

#[test]
fn a_call_at_a_closed_gate_ends_at_once() {
    let mut guests = guests();
    let first = guests.begin("blocks", 1);
    let waiting = ["blocks", "ends", "lifted", "ends"].map(|name| guests.begin(name, 2));
    guests.run();
    assert_eq!(guests.gates.futures(), 1, "one holds the lock");
    let [one, two, three, mut last] = waiting;
    for call in [two, one, three] {
        assert_eq!(guests.cancel(call).unwrap(), None);
    }
    assert!(last.try_result().is_none());
    // Those before and after go on.
    guests.gates.open(1, 10);
    guests.gates.open(2, 20);
    assert_eq!(guests.finish(last).unwrap(), (20,));
    assert_eq!(guests.finish(first).unwrap(), (10,));
    assert_eq!(guests.store.data().returned, [1, 2]);
}

#[test]
fn a_guest_that_has_begun_learns_of_it() {
    let mut guests = guests();
    // More often than there may be tasks, so none is left.
    for round in 0..10_100 {
        let call = guests.begin("ends", 1);
        if round % 2 == 0 {
            guests.run();
            assert_eq!(guests.gates.futures(), 1);
        }
        assert_eq!(guests.cancel(call).unwrap(), None);
        assert_eq!(guests.gates.futures(), 0);
    }
    guests.gates.open(1, 10);
    assert_eq!(guests.call(0, "ends", 1).unwrap(), 10);
}

#[test]
fn a_guest_may_return_nevertheless() {
    let mut guests = guests();
    let call = guests.begin("keeps", 1);
    guests.run();
    assert_eq!(guests.cancel(call).unwrap(), Some((77,)));
    // Or it does not learn of it, since it does not give up the lock.
    for name in ["blocks", "lifted"] {
        let gates = guests.gates.clone();
        let number = if name == "blocks" { 2 } else { 3 };
        let call = guests.begin(name, number);
        guests.run();
        let run = guests.store.run_concurrent(async |accessor| {
            let mut cancel = Box::pin(call.cancel(accessor));
            assert!(poll(cancel.as_mut()).is_pending());
            turns(4).await;
            assert!(poll(cancel.as_mut()).is_pending(), "{name}");
            gates.open(number, 20);
            cancel.await.unwrap()
        });
        assert_eq!(block_on(run).unwrap(), Some((20,)), "{name}");
    }
}

#[test]
fn the_end_of_the_call_is_waited_for() {
    let mut guests = guests();
    let (call, gates) = (guests.begin("lingers", 1), guests.gates.clone());
    guests.run();
    let run = guests.store.run_concurrent(async |accessor| {
        let mut cancel = Box::pin(call.cancel(accessor));
        assert!(poll(cancel.as_mut()).is_pending());
        turns(4).await;
        assert!(poll(cancel.as_mut()).is_pending());
        assert_eq!(gates.futures(), 1);
        gates.open(1, 10);
        cancel.await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), None);
    // One that is not waited for is an error of whoever waits for the result.
    let call = guests.begin("ends", 2);
    guests.run();
    call.request_cancel(&mut guests.store).unwrap();
    let error = message(guests.finish(call));
    assert!(error.contains("cancelled"), "{error}");
}

#[test]
fn a_result_that_is_ready_stays() {
    let mut guests = guests();
    for name in ["ends", "blocks", "lifted", "plain"] {
        let mut call = guests.begin(name, AT_ONCE);
        guests.run();
        call.request_cancel(&mut guests.store).unwrap();
        assert_eq!(call.try_result().unwrap().unwrap(), Some((7,)), "{name}");
        let call = guests.begin(name, AT_ONCE);
        guests.run();
        assert_eq!(guests.cancel(call).unwrap(), Some((7,)), "{name}");
    }
    // The task itself goes on.
    let call = guests.begin("goes-on", 5);
    guests.run();
    assert_eq!(guests.cancel(call).unwrap(), Some((5,)));
    assert_eq!(guests.gates.futures(), 1);
    guests.gates.open(5, 0);
    guests.run();
    assert_eq!(guests.store.data().returned, [5]);
}

#[test]
fn results_outlive_what_runs_the_store() {
    let mut guests = guests();
    let mut calls: Vec<_> = [1, 2, 3]
        .map(|number| guests.begin("ends", number))
        .into_iter()
        .collect();
    guests.gates.open(2, 20);
    let waited = &mut calls;
    // The host gives up.
    assert!(run_once(&mut guests.store, async |_| {
        for call in waited {
            call.await.unwrap();
        }
    }));
    let ready: Vec<_> = calls
        .iter_mut()
        .map(|call| call.try_result().map(|result| result.unwrap()))
        .collect();
    assert_eq!(ready, [None, Some(Some((20,))), None]);
    let third = calls.pop().unwrap();
    assert_eq!(guests.cancel(third).unwrap(), None);
    guests.gates.open(1, 10);
    assert_eq!(guests.finish(calls.remove(0)).unwrap(), (10,));
}

#[test]
fn results_outlive_a_deadline() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    let mut guests = in_engine(&engine);
    let [mut first, mut second] = [1, 2].map(|number| guests.begin("ends", number));
    guests.gates.open(1, 10);
    guests
        .store
        .set_deadline(Duration::from_millis(50))
        .unwrap();
    let run = guests
        .store
        .run_concurrent(async |_| std::future::pending::<()>().await);
    let error = block_on(run).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    assert_eq!(first.try_result().unwrap().unwrap(), Some((10,)));
    let error = second.try_result().unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    // The call is gone, so there is nothing to cancel.
    second.request_cancel(&mut guests.store).unwrap();
}

#[test]
fn a_guest_that_traps_when_it_is_cancelled_is_stopped() {
    let mut guests = guests();
    let (call, mut other) = (guests.begin("traps", 1), guests.begin("ends", 2));
    guests.run();
    assert_eq!(guests.gates.futures(), 2);
    let error = guests.cancel(call).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Trap>(),
        Some(&Trap::UnreachableCodeReached)
    );
    assert_eq!(guests.gates.futures(), 0);
    assert!(other.try_result().unwrap().is_err());
    other.request_cancel(&mut guests.store).unwrap();
}

#[test]
fn dynamic_calls_are_cancelled() {
    let mut guests = guests();
    let func = guests.instances[0]
        .get_func(&mut guests.store, "keeps")
        .unwrap();
    let mut results = [Val::Bool(true)];
    for (number, expected) in [(0, 7), (1, 77)] {
        let params = [Val::U32(number)];
        let mut call = func
            .start_call_concurrent(&mut guests.store, &params, &mut results)
            .unwrap();
        assert!(call.try_result().is_none());
        block_on(guests.store.run_concurrent(async |_| turns(4).await)).unwrap();
        let run = guests
            .store
            .run_concurrent(async |accessor| call.cancel(accessor).await);
        assert!(block_on(run).unwrap().unwrap());
        assert_eq!(results, [Val::U32(expected)]);
    }
    // Nothing is set if there is no result.
    let params = [Val::U32(2)];
    let mut call = func
        .start_call_concurrent(&mut guests.store, &params, &mut results)
        .unwrap();
    call.request_cancel(&mut guests.store).unwrap();
    assert!(!call.try_result().unwrap().unwrap());
    assert_eq!(results, [Val::U32(77)]);
}

#[test]
fn a_call_is_one_of_its_store() {
    let [mut first, mut second] = [guests(), guests()];
    let (call, mut other) = (first.begin("ends", 1), second.begin("ends", 1));
    let error = message(call.request_cancel(&mut second.store));
    assert!(error.contains("another store"), "{error}");
    second.run();
    assert!(other.try_result().is_none());
}

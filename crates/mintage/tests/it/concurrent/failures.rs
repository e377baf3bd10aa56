//! What ends calls before they return, and what stays of the store then.

use super::guest::{FAILS, PANICS};
use super::{Guests, poll};
use crate::async_calls::block_on;
use mintage::{
    Component, Config, Engine, Error, ErrorKind, LimitKind, Linker, PoolConfig, Store, Trap,
    TypedFunc,
};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

/// Checks that an error is a trap.
#[track_caller]
fn is_trap(error: &Error, trap: Trap) {
    assert_eq!(error.downcast_ref(), Some(&trap), "{error:?}");
}

/// Begins a call of `name` with `number` beside others: one in the same instance, and one in
/// another, which goes on. Returns the errors of the first two.
fn fail(guests: &mut Guests, name: &str, number: u32) -> [Error; 2] {
    let (failing, same) = (guests.func(0, name), guests.func(0, "waits"));
    let other = guests.func(1, "waits");
    let gates = guests.gates.clone();
    let run = guests.store.run_concurrent(async |accessor| {
        let (first, second, third) = accessor.with(|mut store| {
            let first = failing
                .start_call_concurrent(&mut store, (number,))
                .unwrap();
            let second = same.start_call_concurrent(&mut store, (1,)).unwrap();
            (
                first,
                second,
                other.start_call_concurrent(&mut store, (2,)).unwrap(),
            )
        });
        super::host::turns(3).await;
        gates.open(number, 0);
        let errors = [
            failing
                .finish_call_concurrent(accessor, first)
                .await
                .unwrap_err(),
            same.finish_call_concurrent(accessor, second)
                .await
                .unwrap_err(),
        ];
        assert_eq!(gates.futures(), 1, "that of the other instance");
        gates.open(2, 20);
        let result = other.finish_call_concurrent(accessor, third).await;
        assert_eq!(result.unwrap(), (20,));
        errors
    });
    block_on(run).unwrap()
}

/// Checks that an instance cannot be entered any more, and that the other one can.
fn is_stopped(guests: &mut Guests) {
    for name in ["waits", "plain"] {
        let error = guests.call(0, name, 2).unwrap_err();
        let trap = error.downcast_ref::<Trap>();
        assert_eq!(trap, Some(&Trap::CannotEnterComponent), "{error:?}");
        let func = guests.func(0, name);
        let begun = func.start_call_concurrent(&mut guests.store, (2,));
        assert!(begun.is_err());
    }
    assert_eq!(guests.call(1, "waits", 2).unwrap(), 20);
}

#[test]
fn an_error_of_a_host_function_ends_its_instance() {
    for name in ["waits", "blocks"] {
        let mut guests = Guests::new(2);
        let [error, same] = fail(&mut guests, name, FAILS);
        assert_eq!(error.kind(), ErrorKind::Host, "{error:?}");
        let text = format!("{error:#}");
        assert!(
            text.contains("wait") && text.contains("an error of the test"),
            "{text}"
        );
        is_trap(&same, Trap::CannotEnterComponent);
        assert!(
            format!("{same:#}").contains("an error of the test"),
            "{same:#}"
        );
        is_stopped(&mut guests);
    }
}

#[test]
fn a_trap_ends_its_instance() {
    let mut guests = Guests::new(2);
    let [error, same] = fail(&mut guests, "traps", 3);
    let trap = error.downcast_ref::<Trap>();
    assert_eq!(trap, Some(&Trap::UnreachableCodeReached), "{error:?}");
    is_trap(&same, Trap::CannotEnterComponent);
    is_stopped(&mut guests);
}

/// A component that returns any bytes as a text, or never returns.
const SAYS: &str = r#"(component
    (core module $memory
        (memory (export "memory") 1)
        (data (i32.const 16) "ab\ff"))
    (core instance $memory (instantiate $memory))
    (core func $return (canon task.return (result string)
        (memory (core memory $memory "memory"))))
    (core module $m
        (import "" "return" (func $return (param i32 i32)))
        (func (export "say") (param i32 i32) (result i32)
            (call $return (local.get 0) (local.get 1))
            (i32.const 0))
        ;; yields forever
        (func (export "stay") (param i32 i32) (result i32) (i32.const 1))
        (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "say") async (param "at" u32) (param "len" u32) (result string)
        (canon lift (core func $i "say") async (memory (core memory $memory "memory"))
            (callback (core func $i "callback"))))
    (func (export "stay") async (param "at" u32) (param "len" u32) (result string)
        (canon lift (core func $i "stay") async (memory (core memory $memory "memory"))
            (callback (core func $i "callback")))))"#;

#[test]
fn a_bad_result_is_the_error_of_its_call() {
    let engine = Engine::default();
    let component = Component::new(&engine, SAYS).unwrap();
    for (at, len, expected) in [(16, 3, "utf-8"), (65_530, 7, "out of bounds")] {
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component);
        let instance = instance.unwrap();
        let [say, stay] = ["say", "stay"].map(|name| {
            let func = instance.get_typed_func::<(u32, u32), (String,)>(&mut store, name);
            func.unwrap()
        });
        let called = block_on(say.call_async(&mut store, (16, 2)));
        assert_eq!(called.unwrap().0, "ab");
        let run = store.run_concurrent(async |accessor| {
            let begin = |func: TypedFunc<(u32, u32), (String,)>, at, len| {
                accessor.with(|store| func.start_call_concurrent(store, (at, len)).unwrap())
            };
            // The first one that is under way gets other errors of the instance.
            let first = begin(stay, 0, 0);
            let (good, bad) = (begin(say, 16, 2), begin(say, at, len));
            let good = say.finish_call_concurrent(accessor, good).await;
            assert_eq!(good.unwrap().0, "ab");
            [
                say.finish_call_concurrent(accessor, bad).await.unwrap_err(),
                stay.finish_call_concurrent(accessor, first)
                    .await
                    .unwrap_err(),
            ]
        });
        let [bad, first] = block_on(run).unwrap();
        assert!(format!("{bad:#}").contains(expected), "{bad:#}");
        is_trap(&first, Trap::CannotEnterComponent);
        assert!(format!("{first:#}").contains(expected), "{first:#}");
        let error = block_on(say.call_async(&mut store, (16, 2))).unwrap_err();
        is_trap(&error, Trap::CannotEnterComponent);
    }
}

#[test]
fn a_trap_that_no_call_waits_for_ends_the_run() {
    let mut guests = Guests::new(2);
    let (goes_on, gates) = (guests.func(0, "goes-on"), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        assert_eq!(
            goes_on.call_concurrent(accessor, (FAILS,)).await.unwrap(),
            (FAILS,)
        );
        gates.open(FAILS, 0);
        gates.open(2, 20);
        pending::<()>().await
    });
    let error = block_on(run).unwrap_err();
    assert!(
        format!("{error:#}").contains("an error of the test"),
        "{error:#}"
    );
    is_stopped(&mut guests);
}

#[test]
fn a_panic_of_a_host_function_is_that_of_the_run() {
    for name in ["waits", "blocks", "plain"] {
        let mut guests = Guests::new(2);
        let (func, gates) = (guests.func(0, name), guests.gates.clone());
        let other = guests.func(1, "waits");
        let begun = other
            .start_call_concurrent(&mut guests.store, (2,))
            .unwrap();
        let run = guests.store.run_concurrent(async |accessor| {
            // What is run is not polled while a call has the store, but tasks are.
            let opens = super::host::task(move |_| {
                Box::pin(async move {
                    super::host::turns(3).await;
                    gates.open(PANICS, 0);
                    Ok(())
                })
            });
            accessor.spawn(opens).unwrap();
            func.call_concurrent(accessor, (PANICS,)).await
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| block_on(run))).unwrap_err();
        assert_eq!(
            panicked.downcast_ref(),
            Some(&"a panic of the test"),
            "{name}"
        );
        // What was under way elsewhere goes on.
        guests.gates.open(2, 20);
        let run = guests.store.run_concurrent(async |accessor| {
            other.finish_call_concurrent(accessor, begun).await.unwrap()
        });
        assert_eq!(block_on(run).unwrap(), (20,));
        is_stopped(&mut guests);
        assert_eq!(guests.gates.futures(), 0);
    }
}

#[test]
fn a_panic_at_the_first_poll() {
    for name in ["waits", "blocks", "plain"] {
        let mut guests = Guests::new(2);
        guests.gates.open(PANICS, 0);
        let func = guests.func(0, name);
        let run = guests
            .store
            .run_concurrent(async |accessor| func.call_concurrent(accessor, (PANICS,)).await);
        let panicked = catch_unwind(AssertUnwindSafe(|| block_on(run))).unwrap_err();
        assert_eq!(
            panicked.downcast_ref(),
            Some(&"a panic of the test"),
            "{name}"
        );
        guests.gates.open(2, 20);
        is_stopped(&mut guests);
        assert_eq!(guests.gates.futures(), 0);
    }
}

#[test]
fn a_synchronous_call_that_traps_ends_others_of_its_instance() {
    let mut guests = Guests::new(2);
    let (waits, plain) = (guests.func(0, "waits"), guests.func(0, "plain"));
    guests.gates.open(FAILS, 0);
    guests.gates.open(2, 20);
    let gates = guests.gates.clone();
    let run = guests.store.run_concurrent(async |accessor| {
        let call = accessor.with(|store| waits.start_call_concurrent(store, (1,)).unwrap());
        super::host::turns(3).await;
        assert_eq!(gates.futures(), 1);
        let error = accessor.with(|store| plain.call(store, (FAILS,)).unwrap_err());
        assert!(
            format!("{error:#}").contains("an error of the test"),
            "{error:#}"
        );
        waits
            .finish_call_concurrent(accessor, call)
            .await
            .unwrap_err()
    });
    let error = block_on(run).unwrap();
    is_trap(&error, Trap::CannotEnterComponent);
    assert_eq!(gates.futures(), 0);
    is_stopped(&mut guests);
}

#[test]
fn a_deadline_ends_what_waits() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    for names in [&["waits"][..], &["blocks"], &["plain"], &["waits", "plain"]] {
        let mut guests = Guests::in_engine(&engine, 3);
        let after = Duration::from_millis(20);
        guests.store.set_deadline(after).unwrap();
        let mut calls = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let func = guests.func(at, name);
            let params = (at as u32 + 1,);
            let call = func.start_call_concurrent(&mut guests.store, params);
            calls.push((func, call.unwrap()));
        }
        let run = guests.store.run_concurrent(async |_| pending::<()>().await);
        let error = block_on(run).unwrap_err();
        is_trap(&error, Trap::Interrupt);
        assert_eq!(guests.gates.futures(), 0, "{names:?}");
        guests.store.clear_deadline();
        let run = guests.store.run_concurrent(async |accessor| {
            for (func, call) in calls {
                let result = func.finish_call_concurrent(accessor, call).await;
                let error = result.unwrap_err();
                is_trap(&error, Trap::Interrupt);
            }
        });
        block_on(run).unwrap();
        // An instance without calls goes on.
        guests.gates.open(9, 90);
        assert_eq!(guests.call(2, "waits", 9).unwrap(), 90);
    }
}

#[test]
fn a_deadline_ends_an_asynchronous_call() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    for name in ["waits", "blocks", "plain"] {
        let mut guests = Guests::in_engine(&engine, 2);
        let after = Duration::from_millis(20);
        guests.store.set_deadline(after).unwrap();
        let error = guests.call(0, name, 1).unwrap_err();
        is_trap(&error, Trap::Interrupt);
        guests.store.clear_deadline();
        assert_eq!(guests.gates.futures(), 0, "{name}");
        guests.gates.open(2, 20);
        is_stopped(&mut guests);
    }
}

#[test]
fn a_run_that_nothing_goes_on_in_waits() {
    let mut guests = Guests::new(1);
    let waits = guests.func(0, "waits");
    let mut run = Box::pin(
        guests
            .store
            .run_concurrent(async |accessor| waits.call_concurrent(accessor, (1,)).await.unwrap()),
    );
    for _ in 0..10 {
        assert!(poll(run.as_mut()).is_pending());
    }
    guests.gates.open(1, 10);
    assert!(matches!(poll(run.as_mut()), Poll::Ready(Ok((10,)))));
}

#[test]
fn calls_of_host_functions_are_limited() {
    let mut guests = Guests::new(2);
    let begins = guests.func(0, "begins");
    guests.gates.open(2, 20);
    let error = block_on(begins.call_async(&mut guests.store, (20_000,))).unwrap_err();
    is_trap(&error, Trap::TooManyTasks);
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Tasks));
    assert_eq!(guests.gates.futures(), 0);
    is_stopped(&mut guests);
}

#[test]
fn calls_that_are_under_way_are_limited() {
    let mut guests = Guests::new(2);
    let waits = guests.func(0, "waits");
    let mut calls = Vec::new();
    let error = loop {
        match waits.start_call_concurrent(&mut guests.store, (1,)) {
            Ok(call) => calls.push(call),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Tasks));
    assert_eq!(calls.len(), 10_000);
    // Those that have begun go on.
    guests.gates.open(1, 10);
    let run = guests.store.run_concurrent(async |accessor| {
        for call in calls {
            let result = waits.finish_call_concurrent(accessor, call).await;
            assert_eq!(result.unwrap(), (10,));
        }
    });
    block_on(run).unwrap();
    assert_eq!(guests.call(0, "waits", 1).unwrap(), 10);
}

#[test]
fn stacks_of_calls_are_limited() {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(2))).unwrap();
    let mut guests = Guests::in_engine(&engine, 3);
    let funcs = [0, 1, 2].map(|instance| guests.func(instance, "blocks"));
    let gates = guests.gates.clone();
    let run = guests.store.run_concurrent(async |accessor| {
        let calls = funcs.map(|func| {
            let call = accessor.with(|store| func.start_call_concurrent(store, (1,)).unwrap());
            (func, call)
        });
        super::host::turns(3).await;
        gates.open(1, 10);
        let mut results = Vec::new();
        for (func, call) in calls {
            results.push(func.finish_call_concurrent(accessor, call).await);
        }
        results
    });
    let results = block_on(run).unwrap();
    assert!(
        matches!(results[..], [Ok((10,)), Ok((10,)), Err(_)]),
        "{results:?}"
    );
    let error = results[2].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Stacks));
}

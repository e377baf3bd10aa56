//! Calls that go on together.

use super::guest::{AT_ONCE, OPENS, linker};
use super::{Guests, Host, poll, run_once};
use crate::async_calls::block_on;
use crate::common::message;
use mintage::{Component, Engine, Linker, Store, Trap, Val};
use std::task::Poll;
use std::thread;

#[test]
fn calls_end_in_the_order_of_what_they_wait_for() {
    // In a function with a callback that blocks, no other one of the component instance runs. So
    // those are in two instances.
    for (name, instances) in [("waits", [0, 0]), ("waits", [0, 1]), ("blocks", [0, 1])] {
        let mut guests = Guests::new(2);
        let [first, second] = instances.map(|instance| guests.func(instance, name));
        let gates = guests.gates.clone();
        let run = guests.store.run_concurrent(async |accessor| {
            let begin = |func: mintage::TypedFunc<(u32,), (u32,)>, number| {
                accessor.with(|store| func.start_call_concurrent(store, (number,)).unwrap())
            };
            let (one, two) = (begin(first, 1), begin(second, 2));
            gates.open(2, 20);
            let two = second.finish_call_concurrent(accessor, two).await.unwrap();
            assert_eq!(accessor.with(|mut store| store.get().returned.clone()), [2]);
            gates.open(1, 10);
            let one = first.finish_call_concurrent(accessor, one).await.unwrap();
            (one, two)
        });
        assert_eq!(block_on(run).unwrap(), ((10,), (20,)), "{name}");
        assert_eq!(guests.store.data().returned, [2, 1]);
        assert_eq!(guests.gates.futures(), 0);
    }
}

#[test]
fn a_call_that_blocks_keeps_others_of_its_component_instance_out() {
    let mut guests = Guests::new(1);
    let (blocks, gates) = (guests.func(0, "blocks"), guests.gates.clone());
    gates.open(2, 20);
    let run = guests.store.run_concurrent(async |accessor| {
        let begin =
            |number| accessor.with(|store| blocks.start_call_concurrent(store, (number,)).unwrap());
        let (one, two) = (begin(1), begin(2));
        let mut two = Box::pin(blocks.finish_call_concurrent(accessor, two));
        // The other one has the lock, though the gate of this one is open.
        super::host::turns(10).await;
        assert!(poll(two.as_mut()).is_pending());
        gates.open(1, 10);
        let one = blocks.finish_call_concurrent(accessor, one).await.unwrap();
        (one, two.await.unwrap())
    });
    assert_eq!(block_on(run).unwrap(), ((10,), (20,)));
    assert_eq!(guests.store.data().returned, [1, 2]);
}

#[test]
fn a_function_that_is_ready_does_not_wait() {
    let mut guests = Guests::new(1);
    for name in ["blocks", "waits", "goes-on", "plain"] {
        let func = guests.func(0, name);
        // One poll is enough.
        let mut call = Box::pin(func.call_async(&mut guests.store, (AT_ONCE,)));
        let expected = if name == "goes-on" { AT_ONCE } else { 7 };
        assert!(
            matches!(poll(call.as_mut()), Poll::Ready(Ok((n,))) if n == expected),
            "{name}"
        );
        drop(call);
        let run = guests.store.run_concurrent(async |accessor| {
            func.call_concurrent(accessor, (AT_ONCE,)).await.unwrap()
        });
        assert_eq!(block_on(run).unwrap(), (expected,), "{name}");
    }
    // Not even in a synchronous call.
    let plain = guests.func(0, "plain");
    assert_eq!(plain.call(&mut guests.store, (AT_ONCE,)).unwrap(), (7,));
    let error = message(plain.call(&mut guests.store, (1,)));
    assert!(
        error.contains("plain") && error.contains("call_async"),
        "{error}"
    );
    assert_eq!(guests.gates.futures(), 0);
}

#[test]
fn asynchronous_calls_wait_too() {
    let mut guests = Guests::new(1);
    for (at, name) in ["blocks", "waits", "plain"].into_iter().enumerate() {
        let number = at as u32 + 1;
        let (func, gates) = (guests.func(0, name), guests.gates.clone());
        let mut call = Box::pin(func.call_async(&mut guests.store, (number,)));
        for _ in 0..3 {
            assert!(poll(call.as_mut()).is_pending());
        }
        gates.open(number, 30);
        assert_eq!(block_on(call).unwrap(), (30,), "{name}");
    }
    assert_eq!(guests.store.data().returned, [1, 2, 3]);
}

#[test]
fn a_task_goes_on_after_its_result() {
    let mut guests = Guests::new(1);
    let (goes_on, gates) = (guests.func(0, "goes-on"), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        assert_eq!(goes_on.call_concurrent(accessor, (5,)).await.unwrap(), (5,));
        assert_eq!(gates.futures(), 1, "it waits");
        gates.open(5, 0);
        while gates.futures() > 0 {
            super::host::turns(1).await;
        }
    });
    block_on(run).unwrap();
    assert_eq!(guests.store.data().returned, [5]);
    // The instance is free again.
    assert_eq!(guests.call(0, "blocks", 5).unwrap(), 0);
}

#[test]
fn a_call_that_waits_as_a_whole_lets_tasks_of_the_host_go_on() {
    let mut guests = Guests::new(1);
    let (plain, gates) = (guests.func(0, "plain"), guests.gates.clone());
    let opener = gates.clone();
    let run = guests.store.run_concurrent(async |accessor| {
        let task = super::host::task(move |_| {
            Box::pin(async move {
                super::host::turns(3).await;
                opener.open(1, 10);
                Ok(())
            })
        });
        accessor.spawn(task).unwrap();
        plain.call_concurrent(accessor, (1,)).await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), (10,));
}

#[test]
fn results_arrive_while_a_call_waits_as_a_whole() {
    // The result is lowered into the memory of the instance that waits.
    let mut guests = Guests::new(1);
    let (plain, gates) = (guests.func(0, "plain"), guests.gates.clone());
    let text = guests.instances[0]
        .get_typed_func::<(&str,), (String,)>(&mut guests.store, "text")
        .unwrap();
    let run = guests.store.run_concurrent(async |accessor| {
        let (first, second) = accessor.with(|mut store| {
            let first = text.start_call_concurrent(&mut store, ("four",)).unwrap();
            let second = plain.start_call_concurrent(&mut store, (1,)).unwrap();
            (first, second)
        });
        let opens = super::host::task(move |accessor| {
            Box::pin(async move {
                super::host::turns(3).await;
                gates.open(4, 40);
                while accessor.with(|mut store| store.get().returned.is_empty()) {
                    super::host::turns(1).await;
                }
                gates.open(1, 10);
                Ok(())
            })
        });
        accessor.spawn(opens).unwrap();
        let second = plain.finish_call_concurrent(accessor, second).await;
        let first = text.finish_call_concurrent(accessor, first).await;
        (first.unwrap().0, second.unwrap().0)
    });
    assert_eq!(block_on(run).unwrap(), ("four40".to_string(), 10));
    assert_eq!(guests.store.data().returned, [4, 1]);
}

#[test]
fn functions_without_values_wait() {
    let mut guests = Guests::new(1);
    assert_eq!(guests.call(0, "idles", 5).unwrap(), 5);
}

#[test]
fn strings_and_dynamic_values() {
    let engine = Engine::default();
    let mut dynamic = Linker::<Host>::new(&engine);
    let mut root = dynamic.root();
    root.func_new_concurrent("text", |accessor, ty, params, results| {
        assert_eq!(
            (ty.params().count(), params.len(), results.len()),
            (1, 1, 1)
        );
        Box::pin(async move {
            let gates = accessor.with(|mut store| store.get().gates.clone());
            let Val::String(text) = &params[0] else {
                panic!("{params:?}")
            };
            let number = gates.wait(text.len() as u32).await;
            results[0] = Val::String(format!("{text}{number}"));
            Ok(())
        })
    })
    .unwrap();
    for name in ["wait", "plain", "nothing"] {
        root.func_new_concurrent(name, |_, _, _, _| Box::pin(async { Ok(()) }))
            .unwrap();
    }
    for linker in [linker(&engine), dynamic] {
        let mut guests = Guests::linked(&engine, &linker, 1);
        let text = guests.instances[0]
            .get_func(&mut guests.store, "text")
            .unwrap();
        let gates = guests.gates.clone();
        let run = guests.store.run_concurrent(async |accessor| {
            let mut results = [Val::Bool(false)];
            let params = [Val::String("four".to_string())];
            let call = text.call_concurrent(accessor, &params, &mut results);
            let mut call = Box::pin(call);
            assert!(poll(call.as_mut()).is_pending());
            super::host::turns(2).await;
            gates.open(4, 44);
            call.await.unwrap();
            results
        });
        let expected = [Val::String("four44".to_string())];
        assert_eq!(block_on(run).unwrap(), expected);
    }
}

#[test]
fn a_result_that_is_not_set_is_an_error() {
    let engine = Engine::default();
    let mut linker = linker(&engine);
    linker.allow_shadowing(true);
    linker
        .root()
        .func_new_concurrent("wait", |_, _, _, _| Box::pin(async { Ok(()) }))
        .unwrap();
    let mut guests = Guests::linked(&engine, &linker, 1);
    let error = message(guests.call(0, "waits", 1));
    assert!(error.contains("wait"), "{error}");
}

#[test]
fn types_of_functions_are_checked() {
    let engine = Engine::default();
    let mut wrong = linker(&engine);
    wrong.allow_shadowing(true);
    wrong
        .root()
        .func_wrap_concurrent("wait", |_, (_,): (u64,)| Box::pin(async { Ok((1u32,)) }))
        .unwrap();
    let text = r#"(component (import "wait" (func async (param "n" u32) (result u32))))"#;
    let component = Component::new(&engine, text).unwrap();
    let error = message(wrong.instantiate_pre(&component).map(|_| ()));
    assert!(error.contains("wait") && error.contains("u64"), "{error}");
}

#[test]
fn a_subtask_that_is_cancelled_ends_its_future() {
    let mut guests = Guests::new(1);
    let (race, gates) = (race(&mut guests), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        let call = accessor.with(|store| race.start_call_concurrent(store, (1, 2)).unwrap());
        super::host::turns(2).await;
        assert_eq!(gates.futures(), 2);
        gates.open(1, 5);
        let result = race.finish_call_concurrent(accessor, call).await.unwrap();
        assert_eq!(gates.futures(), 0);
        result
    });
    // The second was cancelled before it returned, and has no result.
    assert_eq!(block_on(run).unwrap(), (5 * 100 + 4 * 10,));
    assert_eq!(guests.store.data().returned, [1]);
}

#[test]
fn cancellation_keeps_results() {
    // Both are ready before the guest cancels one: it has returned.
    let mut guests = Guests::new(1);
    let (race, gates) = (race(&mut guests), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        let call = accessor.with(|store| race.start_call_concurrent(store, (1, 2)).unwrap());
        super::host::turns(2).await;
        gates.open(1, 5);
        gates.open(2, 3);
        race.finish_call_concurrent(accessor, call).await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), (5 * 100 + 2 * 10 + 3,));
}

#[test]
fn cancellation_keeps_a_result_that_no_one_has_asked_for() {
    // The second is woken when the first has been polled, and the guest cancels it before it would
    // be polled.
    let mut guests = Guests::new(1);
    let (race, gates) = (race(&mut guests), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        let call = accessor.with(|store| race.start_call_concurrent(store, (OPENS, 2)).unwrap());
        super::host::turns(2).await;
        gates.open(OPENS, 5);
        race.finish_call_concurrent(accessor, call).await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), (5 * 100 + 2 * 10 + 3,));
    assert_eq!(guests.store.data().returned, [OPENS, 2]);
}

fn race(guests: &mut Guests) -> mintage::TypedFunc<(u32, u32), (u32,)> {
    let instance = guests.instances[0];
    instance.get_typed_func(&mut guests.store, "race").unwrap()
}

#[test]
fn a_call_whose_future_is_dropped_goes_on() {
    let mut guests = Guests::new(1);
    let (waits, gates) = (guests.func(0, "waits"), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        let mut call = Box::pin(waits.call_concurrent(accessor, (1,)));
        assert!(poll(call.as_mut()).is_pending());
        drop(call);
        super::host::turns(2).await;
        assert_eq!(gates.futures(), 1);
        gates.open(1, 5);
        super::host::turns(2).await;
        accessor.with(|mut store| store.get().returned.clone())
    });
    assert_eq!(block_on(run).unwrap(), [1]);
}

#[test]
fn calls_go_on_when_the_store_runs_again() {
    let mut guests = Guests::new(1);
    let (waits, gates) = (guests.func(0, "waits"), guests.gates.clone());
    let mut call = None;
    let begin = &mut call;
    assert!(!run_once(&mut guests.store, async |accessor| {
        let begun = accessor.with(|store| waits.start_call_concurrent(store, (1,)));
        *begin = Some(begun.unwrap());
    }));
    assert_eq!(gates.futures(), 0, "it has not begun");
    assert!(run_once(&mut guests.store, async |_| std::future::pending(
    )
    .await));
    assert_eq!(gates.futures(), 1);
    gates.open(1, 5);
    // An asynchronous call runs the store, too.
    assert_eq!(guests.call(0, "waits", 1).unwrap(), 5);
    let run = guests.store.run_concurrent(async |accessor| {
        let call = call.take().unwrap();
        waits.finish_call_concurrent(accessor, call).await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), (5,));
}

#[test]
fn an_asynchronous_call_that_is_dropped_ends_its_instance() {
    let mut guests = Guests::new(2);
    let waits = guests.func(0, "waits");
    let other = guests.func(1, "waits");
    let gates = guests.gates.clone();
    let begun = other
        .start_call_concurrent(&mut guests.store, (2,))
        .unwrap();
    let same = waits
        .start_call_concurrent(&mut guests.store, (3,))
        .unwrap();
    let mut call = Box::pin(waits.call_async(&mut guests.store, (1,)));
    assert!(poll(call.as_mut()).is_pending());
    assert_eq!(gates.futures(), 3);
    drop(call);
    assert_eq!(gates.futures(), 1, "that of the other instance");
    gates.open(2, 20);
    let run = guests.store.run_concurrent(async |accessor| {
        let error = waits
            .finish_call_concurrent(accessor, same)
            .await
            .unwrap_err();
        assert_eq!(
            error.downcast_ref::<Trap>(),
            Some(&Trap::CannotEnterComponent)
        );
        other.finish_call_concurrent(accessor, begun).await.unwrap()
    });
    assert_eq!(block_on(run).unwrap(), (20,));
    assert!(guests.call(0, "waits", 2).is_err());
}

#[test]
fn any_thread_may_poll() {
    let mut guests = Guests::new(2);
    let funcs = [
        guests.func(0, "waits"),
        guests.func(1, "blocks"),
        guests.func(0, "plain"),
    ];
    let gates = guests.gates.clone();
    let mut numbers = 1..;
    let run = guests.store.run_concurrent(async |accessor| {
        let mut sum = 0;
        for _ in 0..4 {
            let opener = gates.clone();
            let first = numbers.next().unwrap() * 3;
            let opens = super::host::task(move |_| {
                Box::pin(async move {
                    for number in first..first + 3 {
                        super::host::turns(2).await;
                        opener.open(number, number);
                    }
                    Ok(())
                })
            });
            accessor.spawn(opens).unwrap();
            let mut number = first..;
            let calls = funcs.map(|func| {
                let params = (number.next().unwrap(),);
                let begun = accessor.with(|store| func.start_call_concurrent(store, params));
                (func, begun.unwrap())
            });
            for (func, call) in calls {
                let (result,) = func.finish_call_concurrent(accessor, call).await.unwrap();
                sum += result;
            }
        }
        sum
    });
    let mut run = Box::pin(run);
    let sum = loop {
        let polled = thread::scope(|scope| scope.spawn(|| poll(run.as_mut())).join());
        match polled.unwrap() {
            Poll::Ready(sum) => break sum.unwrap(),
            Poll::Pending => {}
        }
    };
    drop(run);
    assert_eq!(sum, (3..15).sum::<u32>());
}

#[test]
fn many_calls_wait_at_once() {
    let mut guests = Guests::new(1);
    let (waits, gates) = (guests.func(0, "waits"), guests.gates.clone());
    let run = guests.store.run_concurrent(async |accessor| {
        let begin =
            |number| accessor.with(|store| waits.start_call_concurrent(store, (number,)).unwrap());
        let calls: Vec<_> = (1..=600).map(begin).collect();
        super::host::turns(100).await;
        assert_eq!(gates.futures(), 600);
        (1..=600)
            .rev()
            .for_each(|number| gates.open(number, number));
        let mut sum = 0;
        for call in calls {
            sum += waits
                .finish_call_concurrent(accessor, call)
                .await
                .unwrap()
                .0;
        }
        sum
    });
    assert_eq!(block_on(run).unwrap(), 180_300);
}

#[test]
fn a_store_of_data_that_is_not_shared_runs() {
    // `Cell` is not `Sync`.
    let engine = Engine::default();
    let mut store = Store::new(&engine, std::cell::Cell::new(1));
    let run =
        store.run_concurrent(async |accessor| accessor.with(|mut store| store.get().replace(2)));
    assert_eq!(block_on(run).unwrap(), 1);
}

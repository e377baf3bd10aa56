//! Functions of `async` type: calls of the host, and calls between components. The rules of the
//! specification are in its own scripts (`crates/wast`).

use crate::async_calls::waits;
use mintage::error::Context as _;
use mintage::{Component, Config, Engine, Instance, Linker, PoolConfig, Store, Trap, block_on};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A component with exports that have callbacks, and asynchronous imports.
const GUEST: &str = r#"(component
    (import "add" (func $add async (param "a" u32) (param "b" u32) (result u32)))
    (import "name" (func $name async (param "text" string) (result string)))
    (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $block i32)
            (local.set $block (global.get $next))
            (global.set $next (i32.and (i32.add (i32.add (global.get $next)
                (local.get 3)) (i32.const 7)) (i32.const -8)))
            (local.get $block)))
    (core instance $memory (instantiate $memory))
    (canon lower (func $add) async (memory (core memory $memory "memory")) (core func $add-async))
    (canon lower (func $add) (core func $add-sync))
    (canon lower (func $name) async (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc")) (core func $name'))
    (canon task.return (result u32) (core func $return))
    (canon task.return (result string) (memory (core memory $memory "memory"))
        (core func $return-text))
    (canon waitable-set.new (core func $set-new))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "add-async" (func $add-async (param i32 i32 i32) (result i32)))
        (import "" "add-sync" (func $add-sync (param i32 i32) (result i32)))
        (import "" "name" (func $name (param i32 i32 i32) (result i32)))
        (import "" "return" (func $return (param i32)))
        (import "" "return-text" (func $return-text (param i32 i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (func (export "sum") (param i32 i32) (result i32)
            ;; the host's function has returned when the call does
            (if (i32.ne (call $add-async (local.get 0) (local.get 1) (i32.const 16)) (i32.const 2))
                (then unreachable))
            (call $return (call $add-sync (i32.load (i32.const 16)) (i32.const 1)))
            (i32.const 0))
        (func (export "shout") (param i32 i32) (result i32)
            (if (i32.ne (call $name (local.get 0) (local.get 1) (i32.const 32)) (i32.const 2))
                (then unreachable))
            (call $return-text (i32.load (i32.const 32)) (i32.load (i32.const 36)))
            (i32.const 0))
        ;; yields to the event loop for ever
        (func (export "yield") (result i32) (i32.const 1))
        (func (export "again") (param i32 i32 i32) (result i32) (i32.const 1))
        ;; waits for what never happens
        (func (export "wait") (result i32)
            (i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4))))
        (func (export "nothing") (result i32) (i32.const 0))
        (func (export "unknown") (result i32) (i32.const 9))
        (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory "memory"))
        (export "add-async" (func $add-async))
        (export "add-sync" (func $add-sync))
        (export "name" (func $name'))
        (export "return" (func $return))
        (export "return-text" (func $return-text))
        (export "set-new" (func $set-new))))))
    (func (export "sum") async (param "a" u32) (param "b" u32) (result u32)
        (canon lift (core func $i "sum") async (callback (core func $i "callback"))))
    (func (export "shout") async (param "text" string) (result string)
        (canon lift (core func $i "shout") async (callback (core func $i "callback"))
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (func (export "yield") async
        (canon lift (core func $i "yield") async (callback (core func $i "again"))))
    (func (export "wait") async
        (canon lift (core func $i "wait") async (callback (core func $i "callback"))))
    (func (export "nothing") async
        (canon lift (core func $i "nothing") async (callback (core func $i "callback"))))
    (func (export "unknown") async
        (canon lift (core func $i "unknown") async (callback (core func $i "callback")))))"#;

fn guest(engine: &Engine) -> (Store<()>, Instance) {
    let component = Component::new(engine, GUEST).unwrap();
    let mut linker = Linker::new(engine);
    let mut root = linker.root();
    root.func_wrap("add", |_, (a, b): (u32, u32)| Ok((a + b,)))
        .unwrap();
    root.func_wrap_async("name", |_, (text,): (String,)| {
        Box::new(async move {
            waits(1).await;
            Ok((format!("{text}!"),))
        })
    })
    .unwrap();
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

#[test]
fn results_are_given_by_task_return() {
    let (mut store, instance) = guest(&Engine::default());
    let sum = instance
        .get_typed_func::<(u32, u32), (u32,)>(&mut store, "sum")
        .unwrap();
    for n in 0..100 {
        assert_eq!(
            block_on(sum.call_async(&mut store, (n, 1))).unwrap(),
            (n + 2,)
        );
    }
}

#[test]
fn a_task_waits_for_a_host_function_that_has_the_store() {
    let (mut store, instance) = guest(&Engine::default());
    let shout = instance
        .get_typed_func::<(&str,), (String,)>(&mut store, "shout")
        .unwrap();
    for _ in 0..3 {
        let (shouted,) = block_on(shout.call_async(&mut store, ("hello",))).unwrap();
        assert_eq!(shouted, "hello!");
    }
}

#[test]
fn synchronous_calls_are_refused() {
    let (mut store, instance) = guest(&Engine::default());
    let sum = instance
        .get_typed_func::<(u32, u32), (u32,)>(&mut store, "sum")
        .unwrap();
    let error = sum.call(&mut store, (1, 2)).unwrap_err().to_string();
    assert!(error.contains("call it by `call_async`"), "{error}");
    // Nothing has happened to the instance.
    assert_eq!(block_on(sum.call_async(&mut store, (1, 2))).unwrap(), (4,));
}

/// Returns the trap of a call without parameters and results.
fn trap_of(store: &mut Store<()>, instance: &Instance, name: &str) -> Trap {
    let func = instance
        .get_typed_func::<(), ()>(&mut *store, name)
        .unwrap();
    let error = block_on(func.call_async(&mut *store, ())).unwrap_err();
    let found = error.chain().find_map(|cause| cause.downcast_ref::<Trap>());
    *found.with_context(|| format!("{error:#}")).unwrap()
}

#[test]
fn tasks_that_cannot_go_on_end_with_an_error() {
    for (name, trap) in [
        ("wait", Trap::Deadlock),
        ("nothing", Trap::NoTaskResult),
        ("unknown", Trap::UnsupportedCallbackCode),
    ] {
        let engine = Engine::default();
        let (mut store, instance) = guest(&engine);
        assert_eq!(trap_of(&mut store, &instance, name), trap, "{name}");
        assert_eq!(
            trap_of(&mut store, &instance, name),
            Trap::CannotEnterComponent,
            "{name}"
        );
        // The second call has not entered the instance.
        assert_eq!(engine.metrics().traps, 1, "{name}");
    }
}

#[test]
fn a_deadline_ends_a_task_that_yields_for_ever() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    let (mut store, instance) = guest(&engine);
    store.set_deadline(Duration::from_millis(20)).unwrap();
    assert_eq!(trap_of(&mut store, &instance, "yield"), Trap::Interrupt);
}

/// A future that is dropped while its guest waits in the middle of a function.
#[test]
fn a_task_that_is_dropped_gives_its_stack_back() {
    let mut config = Config::new();
    config.pool(PoolConfig::new().total_stacks(1));
    let engine = Engine::new(&config).unwrap();
    for _ in 0..3 {
        let (mut store, instance) = guest(&engine);
        let shout = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, "shout")
            .unwrap();
        {
            let mut call = pin!(shout.call_async(&mut store, ("hello",)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut cx).is_pending());
            assert_eq!(engine.metrics().stacks_in_use, 1);
        }
        assert_eq!(
            trap_of(&mut store, &instance, "nothing"),
            Trap::CannotEnterComponent
        );
    }
    let (mut store, instance) = guest(&engine);
    let shout = instance
        .get_typed_func::<(&str,), (String,)>(&mut store, "shout")
        .unwrap();
    let (shouted,) = block_on(shout.call_async(&mut store, ("hello",))).unwrap();
    assert_eq!(shouted, "hello!");
}

/// Two components: the outer one calls the inner one, asynchronously and again and again, without
/// ever taking the results.
#[test]
fn a_guest_cannot_have_tasks_without_end() {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (component $inner
                (canon waitable-set.new (core func $set-new))
                (core module $m
                    (import "" "set-new" (func $set-new (result i32)))
                    (global $set (mut i32) (i32.const 0))
                    (func (export "wait") (result i32)
                        (if (i32.eqz (global.get $set))
                            (then (global.set $set (call $set-new))))
                        (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
                    (func (export "callback") (param i32 i32 i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance
                    (export "set-new" (func $set-new))))))
                (func (export "wait") async
                    (canon lift (core func $i "wait") async
                        (callback (core func $i "callback")))))
            (instance $inner (instantiate $inner))
            (canon lower (func $inner "wait") async (core func $wait))
            (core module $m
                (import "" "wait" (func $wait (result i32)))
                (func (export "run")
                    (loop $again (drop (call $wait)) (br $again))))
            (core instance $i (instantiate $m (with "" (instance
                (export "wait" (func $wait))))))
            (func (export "run") async (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    assert_eq!(trap_of(&mut store, &instance, "run"), Trap::TooManyTasks);
}

#[test]
fn block_on_sleeps_until_it_is_woken() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let waited = block_on(async move {
        let mut woken = false;
        std::future::poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            match std::mem::replace(&mut woken, true) {
                true => Poll::Ready(7),
                false => {
                    let waker = cx.waker().clone();
                    std::thread::spawn(move || waker.wake());
                    Poll::Pending
                }
            }
        })
        .await
    });
    assert_eq!((waited, polls.load(Ordering::Relaxed)), (7, 2));
}

//! Tasks of guests and host functions that end at bad moments. No future of the host may outlive
//! its call, and no guest may reach the state of another component instance.

use crate::async_calls::waits;
use mintage::{
    Component, Config, Engine, ErrorKind, Instance, LimitKind, Linker, Store, StoreContextMut,
    StoreLimits, StoreLimitsBuilder, Trap, block_on,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::Duration;

/// A component that calls `pause`, by itself and by an inner one.
const PAUSES: &str = r#"(component
    (import "pause" (func $pause))
    (component $inner
        (import "pause" (func $pause))
        (core func $pause (canon lower (func $pause)))
        (core func $return (canon task.return))
        (core module $m
            (import "" "pause" (func $pause))
            (import "" "return" (func $return))
            (func (export "wait") (result i32) (call $pause) (call $return) (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "pause" (func $pause)) (export "return" (func $return))))))
        (func (export "wait") async
            (canon lift (core func $i "wait") async (callback (core func $i "callback")))))
    (instance $inner (instantiate $inner (with "pause" (func $pause))))
    (core func $wait (canon lower (func $inner "wait")))
    (core func $wait-async (canon lower (func $inner "wait") async))
    (core func $pause (canon lower (func $pause)))
    (core func $return (canon task.return))
    (core module $m
        (import "" "wait" (func $wait))
        (import "" "wait-async" (func $wait-async (result i32)))
        (import "" "pause" (func $pause))
        (import "" "return" (func $return))
        (func (export "run") (result i32) (call $pause) (call $return) (i32.const 0))
        (func (export "late") (result i32) (call $return) (call $pause) (i32.const 0))
        (func (export "both") (result i32)
            (call $wait) (call $pause) (call $return) (i32.const 0))
        (func (export "both-async") (result i32)
            (drop (call $wait-async)) (call $pause) (call $return) (i32.const 0))
        (func (export "synchronous") (drop (call $wait-async)))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "wait" (func $wait)) (export "wait-async" (func $wait-async))
        (export "pause" (func $pause)) (export "return" (func $return))))))
    (func (export "run") async
        (canon lift (core func $i "run") async (callback (core func $i "callback"))))
    (func (export "late") async
        (canon lift (core func $i "late") async (callback (core func $i "callback"))))
    (func (export "both") async
        (canon lift (core func $i "both") async (callback (core func $i "callback"))))
    (func (export "both-async") async
        (canon lift (core func $i "both-async") async (callback (core func $i "callback"))))
    (func (export "synchronous") (canon lift (core func $i "synchronous"))))"#;

#[derive(Default)]
struct Host {
    /// How often `pause` is pending.
    polls: u32,
    /// How many calls of `pause` have begun, and have gone on to their end.
    begun: usize,
    finished: usize,
    ended: Arc<AtomicUsize>,
}

/// Borrows the host's data until it is dropped.
struct Borrowed<'a>(&'a mut Host);

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.0.begun += 100;
        self.0.ended.fetch_add(1, Relaxed);
    }
}

async fn pause(mut store: StoreContextMut<'_, Host>) -> mintage::Result<()> {
    let host = Borrowed(store.data_mut());
    host.0.begun += 1;
    waits(host.0.polls).await;
    host.0.finished += 1;
    Ok(())
}

fn pauses(engine: &Engine, polls: u32) -> (Store<Host>, Instance) {
    let component = Component::new(engine, PAUSES).unwrap();
    let mut linker = Linker::new(engine);
    let mut root = linker.root();
    root.func_wrap_async("pause", |store, (): ()| Box::new(pause(store)))
        .unwrap();
    let host = Host {
        polls,
        ..Host::default()
    };
    let mut store = Store::new(engine, host);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// Calls a function without parameters and results.
fn call<T: Send>(store: &mut Store<T>, instance: &Instance, name: &str) -> mintage::Result<()> {
    let func = instance.get_typed_func::<(), ()>(&mut *store, name)?;
    block_on(func.call_async(store, ()))
}

fn trap_of(result: mintage::Result<()>) -> Trap {
    let error = result.unwrap_err();
    let trap = error.chain().find_map(|cause| cause.downcast_ref::<Trap>());
    *trap.unwrap_or_else(|| panic!("{error:#}"))
}

#[test]
fn a_host_function_ends_when_its_call_is_dropped() {
    let (mut store, instance) = pauses(&Engine::default(), u32::MAX);
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    {
        let mut call = pin!(run.call_async(&mut store, ()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!((store.data().begun, store.data().finished), (101, 0));
    let ended = store.data().ended.clone();
    assert_eq!(ended.load(Relaxed), 1);
    let again = call(&mut store, &instance, "run");
    assert_eq!(trap_of(again), Trap::CannotEnterComponent);
    *store.data_mut() = Host::default();
    drop(store);
    assert_eq!(ended.load(Relaxed), 1);
}

#[test]
fn a_host_function_ends_with_its_deadline() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    for name in ["run", "late", "both"] {
        let begun = (0..10).find_map(|power| {
            let (mut store, instance) = pauses(&engine, u32::MAX);
            store
                .set_deadline(Duration::from_millis(10 << power))
                .unwrap();
            let result = call(&mut store, &instance, name);
            assert_eq!(trap_of(result), Trap::Interrupt, "{name}");
            // On a slow machine, a short time is over before the host function is called.
            Some(store.data().begun).filter(|&begun| begun > 0)
        });
        assert_eq!(begun, Some(101), "{name}");
    }
}

/// The borrows of the future have ended for the compiler, but not for the future.
#[test]
fn a_host_function_of_a_leaked_call_never_ends() {
    let (mut store, instance) = pauses(&Engine::default(), u32::MAX);
    let ended = store.data().ended.clone();
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    {
        let mut call = Box::pin(run.call_async(&mut store, ()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        std::mem::forget(call);
    }
    let again = call(&mut store, &instance, "late");
    assert_eq!(trap_of(again), Trap::CannotEnterComponent);
    drop(store);
    assert_eq!(ended.load(Relaxed), 0);
}

#[test]
fn a_call_lasts_as_long_as_its_host_functions() {
    for (name, calls) in [("run", 1), ("late", 1), ("both", 2)] {
        for polls in [0, 1, 3] {
            let (mut store, instance) = pauses(&Engine::default(), polls);
            for n in 1..4 {
                call(&mut store, &instance, name).unwrap();
                let host = store.data();
                assert_eq!(host.finished, n * calls, "{name} {polls}");
                assert_eq!(host.begun, n * calls * 101, "{name} {polls}");
            }
        }
    }
}

/// The caller of a task that waits for the host goes on when that is over, and waits itself.
#[test]
fn one_host_function_follows_another() {
    let (mut store, instance) = pauses(&Engine::default(), 2);
    call(&mut store, &instance, "both-async").unwrap();
    assert_eq!(store.data().finished, 2);
}

#[test]
fn a_synchronous_call_does_not_wait_for_the_host() {
    let (mut store, instance) = pauses(&Engine::default(), 1);
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "synchronous")
        .unwrap();
    assert_eq!(trap_of(run.call(&mut store, ())), Trap::CannotBlock);
    assert_eq!((store.data().begun, store.data().finished), (101, 0));
}

fn instance(engine: &Engine, text: &str) -> (Store<StoreLimits>, Instance) {
    let component = Component::new(engine, text).unwrap();
    let limits = StoreLimitsBuilder::new().stacks(4).build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance = Linker::new(engine)
        .instantiate(&mut store, &component)
        .unwrap();
    (store, instance)
}

fn call_u32(store: &mut Store<StoreLimits>, instance: &Instance) -> mintage::Result<u32> {
    let run = instance.get_typed_func::<(), (u32,)>(&mut *store, "run")?;
    block_on(run.call_async(store, ())).map(|(result,)| result)
}

/// A thread that is suspended has references to objects, while another one makes the collector
/// move them.
#[test]
fn the_collector_knows_suspended_threads() {
    let (mut store, instance) = instance(
        &Engine::default(),
        r#"(component
            (core module $shim
                (type $t (func))
                (table (export "table") 1 funcref)
                (func (export "wait") (call_indirect (type $t) (i32.const 0))))
            (core instance $shim (instantiate $shim))
            (core func $return (canon task.return (result u32)))
            (core module $main
                (type $array (array (mut i32)))
                (import "" "wait" (func $wait))
                (import "" "return" (func $return (param i32)))
                (func (export "churn") (local $n i32)
                    (loop $again
                        (drop (array.new $array (i32.const -1) (i32.const 10000)))
                        (local.set $n (i32.add (local.get $n) (i32.const 1)))
                        (br_if $again (i32.lt_u (local.get $n) (i32.const 2000)))))
                (func (export "run") (result i32) (local $a (ref $array))
                    (local.set $a (array.new $array (i32.const 7) (i32.const 64)))
                    (call $wait)
                    (call $return (i32.add
                        (array.len (local.get $a))
                        (array.get $array (local.get $a) (i32.const 63))))
                    (i32.const 0))
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $main (instantiate $main (with "" (instance
                (export "wait" (func $shim "wait")) (export "return" (func $return))))))
            (func $churn (canon lift (core func $main "churn")))
            (component $inner
                (import "churn" (func $churn))
                (core func $churn (canon lower (func $churn)))
                (core func $return (canon task.return))
                (core module $m
                    (import "" "churn" (func $churn))
                    (import "" "return" (func $return))
                    (func (export "wait") (result i32) (i32.const 1))
                    (func (export "callback") (param i32 i32 i32) (result i32)
                        (call $churn) (call $return) (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance
                    (export "churn" (func $churn)) (export "return" (func $return))))))
                (func (export "wait") async
                    (canon lift (core func $i "wait") async
                        (callback (core func $i "callback")))))
            (instance $inner (instantiate $inner (with "churn" (func $churn))))
            (core func $wait (canon lower (func $inner "wait")))
            (core module $fill
                (import "" "table" (table 1 funcref))
                (import "" "wait" (func $wait))
                (elem (i32.const 0) func $wait))
            (core instance (instantiate $fill (with "" (instance
                (export "table" (table $shim "table")) (export "wait" (func $wait))))))
            (func (export "run") async (result u32)
                (canon lift (core func $main "run") async
                    (callback (core func $main "callback")))))"#,
    );
    assert_eq!(call_u32(&mut store, &instance).unwrap(), 71);
}

/// `realloc` of the caller yields while the callee gives its result: frames of the host are between
/// it and the callee's.
#[test]
fn results_are_passed_without_yielding() {
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let (mut store, instance) = instance(
        &engine,
        r#"(component
            (component $inner
                (core module $memory (memory (export "memory") 1)
                    (data (i32.const 800) "abc"))
                (core instance $memory (instantiate $memory))
                (core func $return (canon task.return (result (list string))
                    (memory (core memory $memory "memory"))))
                (core module $m
                    (import "" "memory" (memory 1))
                    (import "" "return" (func $return (param i32 i32)))
                    (func (export "names") (result i32) (local $n i32)
                        (loop $again
                            (i32.store (i32.mul (local.get $n) (i32.const 8)) (i32.const 800))
                            (i32.store offset=4
                                (i32.mul (local.get $n) (i32.const 8)) (i32.const 3))
                            (local.set $n (i32.add (local.get $n) (i32.const 1)))
                            (br_if $again (i32.lt_u (local.get $n) (i32.const 90))))
                        (call $return (i32.const 0) (i32.const 90))
                        (i32.const 0))
                    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
                (core instance $i (instantiate $m (with "" (instance
                    (export "memory" (memory $memory "memory"))
                    (export "return" (func $return))))))
                (func (export "names") async (result (list string))
                    (canon lift (core func $i "names") async
                        (callback (core func $i "callback"))
                        (memory (core memory $memory "memory")))))
            (instance $inner (instantiate $inner))
            (core module $memory
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $n i32)
                    (loop $again
                        (local.set $n (i32.add (local.get $n) (i32.const 1)))
                        (br_if $again (i32.lt_u (local.get $n) (i32.const 100))))
                    (global.get $next)
                    (global.set $next (i32.and (i32.const -8) (i32.add (i32.const 7)
                        (i32.add (global.get $next) (local.get 3))))))
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $memory (instantiate $memory))
            (core func $names (canon lower (func $inner "names")
                (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc"))))
            (core func $return (canon task.return (result u32)))
            (core module $m
                (import "" "memory" (memory 1))
                (import "" "names" (func $names (param i32)))
                (import "" "return" (func $return (param i32)))
                (func (export "run") (result i32)
                    (call $names (i32.const 16))
                    (call $return (i32.load (i32.const 20)))
                    (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance
                (export "memory" (memory $memory "memory"))
                (export "names" (func $names)) (export "return" (func $return))))))
            (func (export "run") async (result u32)
                (canon lift (core func $i "run") async
                    (callback (core func $memory "callback")))))"#,
    );
    store.set_fuel(1 << 30).unwrap();
    store.fuel_async_yield_interval(Some(50)).unwrap();
    assert_eq!(call_u32(&mut store, &instance).unwrap(), 90);
}

/// A synchronous call waits for a set. From there another task runs, and in it another synchronous
/// call, which takes the event and would drop the set.
#[test]
fn what_is_waited_for_stays() {
    let (mut store, instance) = instance(
        &Engine::default(),
        r#"(component
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (type $s (stream u8))
            (core func $new (canon stream.new $s))
            (core func $read
                (canon stream.read $s async (memory (core memory $memory "memory"))))
            (core func $write
                (canon stream.write $s async (memory (core memory $memory "memory"))))
            (core func $set-new (canon waitable-set.new))
            (core func $set-wait
                (canon waitable-set.wait (memory (core memory $memory "memory"))))
            (core func $set-poll
                (canon waitable-set.poll (memory (core memory $memory "memory"))))
            (core func $set-drop (canon waitable-set.drop))
            (core func $join (canon waitable.join))
            (core func $yield (canon thread.yield))
            (core func $return (canon task.return))
            (core module $first
                (import "" "new" (func $new (result i64)))
                (import "" "read" (func $read (param i32 i32 i32) (result i32)))
                (import "" "write" (func $write (param i32 i32 i32) (result i32)))
                (import "" "set-new" (func $set-new (result i32)))
                (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
                (import "" "set-poll" (func $set-poll (param i32 i32) (result i32)))
                (import "" "set-drop" (func $set-drop (param i32)))
                (import "" "join" (func $join (param i32 i32)))
                (import "" "yield" (func $yield (result i32)))
                (global $reader (mut i32) (i32.const 0))
                (global $writer (mut i32) (i32.const 0))
                (global $set (mut i32) (i32.const 0))
                (func (export "wait") (local $ends i64)
                    (local.set $ends (call $new))
                    (global.set $reader (i32.wrap_i64 (local.get $ends)))
                    (global.set $writer
                        (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
                    (drop (call $read (global.get $reader) (i32.const 0) (i32.const 1)))
                    (global.set $set (call $set-new))
                    (call $join (global.get $reader) (global.get $set))
                    (drop (call $set-wait (global.get $set) (i32.const 64))))
                (func (export "disturb")
                    (drop (call $write (global.get $writer) (i32.const 8) (i32.const 1)))
                    (drop (call $yield))
                    (drop (call $set-poll (global.get $set) (i32.const 64)))
                    (call $join (global.get $reader) (i32.const 0))
                    (call $set-drop (global.get $set))))
            (core instance $first (instantiate $first (with "" (instance
                (export "new" (func $new)) (export "read" (func $read))
                (export "write" (func $write)) (export "set-new" (func $set-new))
                (export "set-wait" (func $set-wait)) (export "set-poll" (func $set-poll))
                (export "set-drop" (func $set-drop)) (export "join" (func $join))
                (export "yield" (func $yield))))))
            (func $disturb (canon lift (core func $first "disturb")))
            (core func $disturb (canon lower (func $disturb)))
            (core module $second
                (import "" "disturb" (func $disturb))
                (import "" "return" (func $return))
                (func (export "run") (result i32) (call $return) (i32.const 1))
                (func (export "callback") (param i32 i32 i32) (result i32)
                    (call $disturb) (i32.const 0)))
            (core instance $second (instantiate $second (with "" (instance
                (export "disturb" (func $disturb)) (export "return" (func $return))))))
            (func (export "wait") (canon lift (core func $first "wait")))
            (func (export "run") async
                (canon lift (core func $second "run") async
                    (callback (core func $second "callback")))))"#,
    );
    call(&mut store, &instance, "run").unwrap();
    let wait = instance
        .get_typed_func::<(), ()>(&mut store, "wait")
        .unwrap();
    assert_eq!(trap_of(wait.call(&mut store, ())), Trap::SetInUse);
}

/// `realloc` and the destructor of the inner component run while the outer one waits for them.
#[test]
fn storage_is_that_of_a_component_of_its_own() {
    let (mut store, instance) = instance(
        &Engine::default(),
        r#"(component
            (component $inner
                (core func $set (canon context.set i32 0))
                (core func $cancel (canon task.cancel))
                (core module $m
                    (import "" "set" (func $set (param i32)))
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                        (call $set (i32.const 100)) (i32.const 8))
                    (func (export "take") (param i32 i32))
                    (func (export "drop") (param i32) (call $set (i32.const 1000))))
                (core instance $m (instantiate $m (with "" (instance (export "set" (func $set))))))
                (type $r' (resource (rep i32) (dtor (core func $m "drop"))))
                (export $r "r" (type $r'))
                (core func $new (canon resource.new $r'))
                (core module $maker
                    (import "" "new" (func $new (param i32) (result i32)))
                    (func (export "make") (result i32) (call $new (i32.const 1))))
                (core instance $maker (instantiate $maker (with "" (instance
                    (export "new" (func $new))))))
                (func (export "make") (result (own $r)) (canon lift (core func $maker "make")))
                (func (export "take") (param "text" string)
                    (canon lift (core func $m "take") (memory (core memory $m "memory"))
                        (realloc (core func $m "realloc")))))
            (instance $inner (instantiate $inner))
            (alias export $inner "r" (type $r))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $take (canon lower (func $inner "take")
                (memory (core memory $memory "memory"))))
            (core func $make (canon lower (func $inner "make")))
            (core func $drop (canon resource.drop $r))
            (core func $set (canon context.set i32 0))
            (core func $get (canon context.get i32 0))
            (core func $return (canon task.return (result u32)))
            (core module $m
                (import "" "take" (func $take (param i32 i32)))
                (import "" "make" (func $make (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (import "" "set" (func $set (param i32)))
                (import "" "get" (func $get (result i32)))
                (import "" "return" (func $return (param i32)))
                (func (export "run") (result i32)
                    (call $set (i32.const 7))
                    (call $take (i32.const 0) (i32.const 5))
                    (call $drop (call $make))
                    (call $return (call $get))
                    (i32.const 0))
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m (with "" (instance
                (export "take" (func $take)) (export "make" (func $make))
                (export "drop" (func $drop)) (export "set" (func $set))
                (export "get" (func $get)) (export "return" (func $return))))))
            (func (export "run") async (result u32)
                (canon lift (core func $i "run") async (callback (core func $i "callback")))))"#,
    );
    assert_eq!(call_u32(&mut store, &instance).unwrap(), 7);
}

#[test]
fn a_guest_cannot_take_all_stacks() {
    let engine = Engine::new(Config::new().wasm_component_model_async_stackful(true)).unwrap();
    let (mut store, instance) = instance(
        &engine,
        r#"(component
            (component $inner
                (core module $memory (memory (export "memory") 1))
                (core instance $memory (instantiate $memory))
                (core func $set-new (canon waitable-set.new))
                (core func $set-wait
                    (canon waitable-set.wait (memory (core memory $memory "memory"))))
                (core module $m
                    (import "" "set-new" (func $set-new (result i32)))
                    (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
                    (func (export "wait") (drop
                        (call $set-wait (call $set-new) (i32.const 0)))))
                (core instance $i (instantiate $m (with "" (instance
                    (export "set-new" (func $set-new)) (export "set-wait" (func $set-wait))))))
                (func (export "wait") async (canon lift (core func $i "wait") async)))
            (instance $inner (instantiate $inner))
            (core func $wait (canon lower (func $inner "wait") async))
            (core module $m
                (import "" "wait" (func $wait (result i32)))
                (func (export "run") (result i32)
                    (loop $again (drop (call $wait)) (br $again))
                    unreachable)
                (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
            (func (export "run") async (result u32)
                (canon lift (core func $i "run") async (callback (core func $i "callback")))))"#,
    );
    let error = call_u32(&mut store, &instance).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Limit(LimitKind::Stacks),
        "{error:#}"
    );
    assert!(
        format!("{error:#}").contains("all of its 4 stacks"),
        "{error:#}"
    );
}

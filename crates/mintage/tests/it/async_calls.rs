//! Asynchronous calls: guests that are suspended while a host function waits.

use crate::common::{OPTIONS, message, module};
use mintage::{
    Component, Config, Engine, ErrorKind, Instance, InstancePre, InterruptHandle, LimitKind,
    Linker, PoolConfig, ResourceAny, ResourceLimiterAsync, ResourceType, Result, Store,
    StoreContextMut, StoreLimits, StoreLimitsBuilder, Trap, UpdateDeadline, Val, bail,
};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

type Returned<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on this thread until it is ready.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Polls a future once, with a waker that does nothing.
pub fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns a future that is pending `times` times.
pub fn waits(mut times: u32) -> impl Future<Output = ()> + Send {
    poll_fn(move |cx| match times {
        0 => Poll::Ready(()),
        _ => {
            times -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

/// A component whose functions call the host function that they are named after. `recurse` calls it
/// with more and more stack in use.
fn component(engine: &Engine) -> Result<Component> {
    let module = module(
        r#"(import "" "add" (func $add (param i32 i32) (result i32)))
        (import "" "greet" (func $greet (param i32 i32 i32)))
        (func (export "add") (param i32 i32) (result i32)
            (call $add (local.get 0) (local.get 1)))
        (func (export "add-all") (param i32) (result i32) (local $sum i32)
            (loop $again
                (local.set $sum (call $add (local.get $sum) (local.get 0)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br_if $again (local.get 0)))
            (local.get $sum))
        (func (export "greet") (param i32 i32) (result i32)
            (call $greet (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
        (func (export "plain") (param i32) (result i32) (local.get 0))
        (func (export "trap-after") (drop (call $add (i32.const 1) (i32.const 1))) unreachable)
        (func $deep (export "deep") (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (i32.const 1)
                    (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                (else (call $add (i32.const 1) (i32.const 2)))))"#,
    );
    let text = format!(
        r#"(component
        (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
        (import "greet" (func $greet (param "name" string) (result string)))
        (core module $libc (memory (export "mem") 4)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048)))
        (core instance $libc (instantiate $libc))
        (core func $add (canon lower (func $add)))
        (core func $greet (canon lower (func $greet) (memory (core memory $libc "mem"))
            (realloc (core func $libc "realloc"))))
        {}
        (core instance $i (instantiate $m (with "" (instance
            (export "add" (func $add)) (export "greet" (func $greet))))))
        (func (export "add") (param "a" u32) (param "b" u32) (result u32)
            (canon lift (core func $i "add")))
        (func (export "add-all") (param "n" u32) (result u32)
            (canon lift (core func $i "add-all")))
        (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $i "plain")))
        (func (export "deep") (param "n" u32) (result u32) (canon lift (core func $i "deep")))
        (func (export "trap-after") (canon lift (core func $i "trap-after")))
        (func (export "greet") (param "name" string) (result string)
            (canon lift (core func $i "greet") (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc")))))"#,
        module
    );
    Component::new(engine, text)
}

/// What host functions do.
#[derive(Default)]
struct Host {
    /// The number of times that each call waits.
    waits: u32,
    /// What happens after that.
    then: Then,
    calls: u32,
    dropped: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Then {
    #[default]
    Returns,
    Fails,
    Panics,
}

/// Counts when it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn work(store: &mut StoreContextMut<'_, Host>) -> Result<()> {
    let _counted = Counted(store.data().dropped.clone());
    store.data_mut().calls += 1;
    waits(store.data().waits).await;
    match store.data().then {
        Then::Returns => Ok(()),
        Then::Fails => bail!("no luck"),
        Then::Panics => panic!("out of luck"),
    }
}

fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    let mut root = linker.root();
    root.func_wrap_async(
        "add",
        |mut store, (a, b): (u32, u32)| -> Returned<'_, (u32,)> {
            Box::new(async move {
                work(&mut store).await?;
                Ok((a.wrapping_add(b),))
            })
        },
    )?;
    root.func_new_async("greet", |mut store, ty, params, results| {
        Box::new(async move {
            assert_eq!(ty.params().len(), 1);
            work(&mut store).await?;
            let Val::String(name) = &params[0] else {
                bail!("not a string")
            };
            results[0] = Val::String(format!("Hello, {name}!"));
            Ok(())
        })
    })?;
    Ok(linker)
}

fn setup(host: Host) -> Result<(Store<Host>, Instance)> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, host);
    let instance = linker(&engine)?.instantiate(&mut store, &component(&engine)?)?;
    Ok((store, instance))
}

#[test]
fn guests_go_on_when_the_host_function_is_ready() -> Result<()> {
    for waits in [0, 1, 3] {
        let (mut store, instance) = setup(Host {
            waits,
            ..Host::default()
        })?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        assert_eq!(block_on(add.call_async(&mut store, (40, 2)))?, (42,));
        let all = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "add-all")?;
        assert_eq!(block_on(all.call_async(&mut store, (100,)))?, (5050,));
        let greet = instance.get_typed_func::<(&str,), (String,)>(&mut store, "greet")?;
        let greeting = block_on(greet.call_async(&mut store, ("World",)))?;
        assert_eq!(greeting.0, "Hello, World!");
        let mut results = [Val::Bool(false)];
        let func = instance.get_func(&mut store, "greet").unwrap();
        let params = [Val::String("Val".into())];
        block_on(func.call_async(&mut store, &params, &mut results))?;
        assert_eq!(results, [Val::String("Hello, Val!".into())]);
        let plain = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "plain")?;
        assert_eq!(block_on(plain.call_async(&mut store, (7,)))?, (7,));
        assert_eq!(store.data().calls, 103);
        assert_eq!(store.data().dropped.load(Ordering::Relaxed), 103);
    }
    Ok(())
}

#[test]
fn synchronous_calls_take_what_is_ready() -> Result<()> {
    let (mut store, instance) = setup(Host::default())?;
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    assert_eq!(add.call(&mut store, (40, 2))?, (42,));
    store.data_mut().waits = 1;
    let text = message(add.call(&mut store, (40, 2)));
    assert!(
        text.contains("the host function `add` failed") && text.contains("call_async"),
        "{text}"
    );
    // The guest's call was ended.
    assert!(message(add.call(&mut store, (40, 2))).contains("cannot enter"));
    Ok(())
}

#[test]
fn each_poll_may_be_on_another_thread() -> Result<()> {
    let (mut store, instance) = setup(Host {
        waits: 2,
        ..Host::default()
    })?;
    let all = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "add-all")?;
    let mut future = Box::pin(all.call_async(&mut store, (10,)));
    let mut polls = 0;
    loop {
        polls += 1;
        let polled = thread::scope(|scope| scope.spawn(|| poll(future.as_mut())).join().unwrap());
        if let Poll::Ready(result) = polled {
            assert_eq!(result?, (55,));
            break;
        }
    }
    assert_eq!(polls, 21);
    drop(future);
    // A fault on yet another thread, in a call that began elsewhere.
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap-after")?;
    let mut future = Box::pin(trap.call_async(&mut store, ()));
    assert!(poll(future.as_mut()).is_pending());
    let result = thread::scope(|scope| {
        let rest = || {
            assert!(poll(future.as_mut()).is_pending());
            poll(future.as_mut())
        };
        scope.spawn(rest).join().unwrap()
    });
    let Poll::Ready(Err(error)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    Ok(())
}

#[test]
fn a_call_that_is_dropped_ends_the_instance_and_frees_everything() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(1)))?;
    let pre = linker(&engine)?.instantiate_pre(&component(&engine)?)?;
    let dropped = Arc::<AtomicUsize>::default();
    for round in 1..=10 {
        let mut store = Store::new(
            &engine,
            Host {
                waits: 5,
                dropped: dropped.clone(),
                ..Host::default()
            },
        );
        let instance = pre.instantiate(&mut store)?;
        let other = pre.instantiate(&mut store)?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        // It was never polled.
        drop(add.call_async(&mut store, (1, 2)));
        {
            let mut future = pin!(add.call_async(&mut store, (1, 2)));
            assert!(poll(future.as_mut()).is_pending());
            assert!(poll(future.as_mut()).is_pending());
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 2 * round - 1);
        let error = block_on(add.call_async(&mut store, (1, 2))).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
        // The store and its other instances go on, and so does the engine's only stack.
        let add = other.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        assert_eq!(block_on(add.call_async(&mut store, (1, 2)))?, (3,));
        assert_eq!(dropped.load(Ordering::Relaxed), 2 * round);
    }
    Ok(())
}

#[test]
fn a_call_that_is_forgotten_never_goes_on() -> Result<()> {
    let (mut store, instance) = setup(Host {
        waits: 5,
        ..Host::default()
    })?;
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    let mut future = Box::pin(add.call_async(&mut store, (1, 2)));
    assert!(poll(future.as_mut()).is_pending());
    std::mem::forget(future);
    let error = block_on(add.call_async(&mut store, (1, 2))).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    Ok(())
}

#[test]
fn host_functions_fail_after_waiting() -> Result<()> {
    for waits in [0, 2] {
        let (mut store, instance) = setup(Host {
            waits,
            then: Then::Fails,
            ..Host::default()
        })?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        let text = message(block_on(add.call_async(&mut store, (1, 2))));
        assert!(
            text.starts_with("the host function `add` failed at") && text.ends_with(": no luck"),
            "{text}"
        );

        let (mut store, instance) = setup(Host {
            waits,
            then: Then::Panics,
            ..Host::default()
        })?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        let call = || block_on(add.call_async(&mut store, (1, 2)));
        let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"out of luck"));
        assert!(message(block_on(add.call_async(&mut store, (1, 2)))).contains("cannot enter"));
    }
    Ok(())
}

#[test]
fn traps_on_a_stack_of_its_own_name_the_frames() -> Result<()> {
    let (mut store, instance) = setup(Host {
        waits: 1,
        ..Host::default()
    })?;
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap-after")?;
    let error = block_on(trap.call_async(&mut store, ())).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    let text = format!("{error:#}");
    assert!(
        text.contains("wasm backtrace:") && text.contains("trap-after"),
        "{text}"
    );
    Ok(())
}

#[test]
fn guests_have_their_whole_stack_and_no_more() -> Result<()> {
    let (mut store, instance) = setup(Host {
        waits: 1,
        ..Host::default()
    })?;
    let deep = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "deep")?;
    assert_eq!(block_on(deep.call_async(&mut store, (5_000,)))?, (5_003,));
    let error = block_on(deep.call_async(&mut store, (1 << 20,))).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Stack));
    Ok(())
}

#[test]
fn stacks_run_out_with_an_error() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(2)))?;
    let pre = linker(&engine)?.instantiate_pre(&component(&engine)?)?;
    let mut stores: Vec<_> = (0..3)
        .map(|_| {
            let host = Host {
                waits: 3,
                ..Host::default()
            };
            Store::new(&engine, host)
        })
        .collect();
    let mut futures: Vec<_> = stores
        .iter_mut()
        .map(|store| {
            let instance = pre.instantiate(&mut *store).unwrap();
            let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut *store, "add");
            let add = add.unwrap();
            Box::pin(async move { add.call_async(store, (1, 2)).await })
        })
        .collect();
    assert!(poll(futures[0].as_mut()).is_pending());
    assert!(poll(futures[1].as_mut()).is_pending());
    let Poll::Ready(Err(error)) = poll(futures[2].as_mut()) else {
        panic!("there are two stacks")
    };
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Stacks));
    assert!(
        error.to_string().contains("`PoolConfig::total_stacks`"),
        "{error}"
    );
    let second = futures.swap_remove(1);
    drop(second);
    assert_eq!(block_on(futures.swap_remove(0))?, (3,));
    Ok(())
}

#[test]
fn idle_stores_have_no_stack() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(1)))?;
    let pre = linker(&engine)?.instantiate_pre(&component(&engine)?)?;
    let mut stores = Vec::new();
    for _ in 0..3 {
        let mut store = Store::new(&engine, Host::default());
        let instance = pre.instantiate(&mut store)?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        assert_eq!(block_on(add.call_async(&mut store, (40, 2)))?, (42,));
        stores.push(store);
    }
    Ok(())
}

#[test]
fn a_call_that_reaches_no_asynchronous_function_needs_no_stack() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(0)))?;
    let pre = linker(&engine)?.instantiate_pre(&component(&engine)?)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = pre.instantiate(&mut store)?;
    let plain = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "plain")?;
    assert_eq!(block_on(plain.call_async(&mut store, (7,)))?, (7,));
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    let error = block_on(add.call_async(&mut store, (1, 2))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Stacks));
    Ok(())
}

/// A host function that calls the next instance, which calls the host function again.
#[test]
fn calls_within_waiting_host_functions() -> Result<()> {
    /// The instances, and the depth of the innermost call so far.
    type Nest = (Vec<Instance>, usize);
    let engine = Engine::default();
    let component = component(&engine)?;
    let mut linker = Linker::<Nest>::new(&engine);
    linker.root().func_wrap_async(
        "add",
        |mut store, (a, b): (u32, u32)| -> Returned<'_, (u32,)> {
            Box::new(async move {
                store.data_mut().1 += 1;
                waits(2).await;
                let (instances, depth) = store.data();
                let Some(next) = instances.get(*depth).copied() else {
                    return Ok((a + b,));
                };
                let add = next.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
                let (sum,) = add.call_async(&mut store, (a, b)).await?;
                waits(1).await;
                Ok((sum + 1,))
            })
        },
    )?;
    linker.define_unknown_imports_as_traps(&component)?;
    let pre = linker.instantiate_pre(&component)?;
    for depth in [1, 2, 10] {
        let mut store = Store::new(&engine, Nest::default());
        for _ in 0..depth {
            let instance = pre.instantiate(&mut store)?;
            store.data_mut().0.push(instance);
        }
        let first = store.data().0[0];
        let add = first.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        let (sum,) = block_on(add.call_async(&mut store, (1, 2)))?;
        assert_eq!(sum, 3 + depth as u32 - 1);
    }

    // Dropped at each point at which it waits.
    let polls_until_ready = 3 + 3 * 2;
    for polls in 0..polls_until_ready {
        let mut store = Store::new(&engine, Nest::default());
        for _ in 0..3 {
            let instance = pre.instantiate(&mut store)?;
            store.data_mut().0.push(instance);
        }
        let first = store.data().0[0];
        let add = first.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        let mut future = Box::pin(add.call_async(&mut store, (1, 2)));
        for _ in 0..polls {
            assert!(poll(future.as_mut()).is_pending());
        }
    }
    Ok(())
}

/// Instances whose host function makes an instance and calls it, and so on.
struct Chain {
    engine: Engine,
    pre: InstancePre<usize>,
}

impl Chain {
    /// Each host function waits `waits` times before its call. From the depth `most` on it only
    /// waits.
    fn new(pauses: u32, most: usize) -> Result<Chain> {
        let mut pool = PoolConfig::new();
        pool.total_component_instances(20_000).total_stacks(20_000);
        let engine = Engine::new(Config::new().pool(&pool))?;
        let component = component(&engine)?;
        let mut linker = Linker::<usize>::new(&engine);
        let next = Arc::new(Mutex::new(None));
        let again = next.clone();
        linker.root().func_wrap_async(
            "add",
            move |mut store, (a, b): (u32, u32)| -> Returned<'_, (u32,)> {
                let pre: Option<InstancePre<usize>> = again.lock().unwrap().clone();
                Box::new(async move {
                    *store.data_mut() += 1;
                    waits(pauses).await;
                    if *store.data() == most {
                        std::future::pending::<()>().await;
                    }
                    let instance = pre.unwrap().instantiate(&mut store)?;
                    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
                    add.call_async(&mut store, (a, b)).await
                })
            },
        )?;
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        *next.lock().unwrap() = Some(pre.clone());
        Ok(Chain { engine, pre })
    }

    /// Calls the first instance on a thread with a stack of 1 MiB, and polls the call so many times
    /// at most. Returns the result, if it is ready, and the depth that was reached.
    fn call(self, polls: u32) -> (Option<Result<(u32,)>>, usize) {
        let run = move || {
            let mut store = Store::new(&self.engine, 0);
            let instance = self.pre.instantiate(&mut store).unwrap();
            let add = instance
                .get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")
                .unwrap();
            let mut future = Box::pin(add.call_async(&mut store, (1, 2)));
            let result = (0..polls).find_map(|_| match poll(future.as_mut()) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            });
            drop(future);
            (result, *store.data())
        };
        let thread = thread::Builder::new().stack_size(1 << 20);
        thread.spawn(run).unwrap().join().unwrap()
    }
}

/// Without a bound, calls that wait for each other would use up the stack of the thread that polls
/// or drops them. The first polls alone do not: each is on the stack of the call before.
#[test]
fn recursion_through_the_host_ends() -> Result<()> {
    for pauses in [0, 1] {
        for polls in [1, 2, 100_000] {
            let (result, depth) = Chain::new(pauses, 4_000)?.call(polls);
            if let Some(result) = result {
                assert!(depth > 10, "{depth}: {result:?}");
                let error = result.unwrap_err();
                assert_eq!(
                    error.downcast_ref(),
                    Some(&Trap::StackOverflow),
                    "{error:?}"
                );
            }
            assert!(depth < 4_000, "{depth}");
        }
    }
    Ok(())
}

#[test]
fn deep_calls_are_polled_and_dropped() -> Result<()> {
    for polls in [1, 2] {
        let (result, depth) = Chain::new(0, 150)?.call(polls);
        assert!(result.is_none(), "{result:?}");
        assert_eq!(depth, 150);
    }
    Ok(())
}

#[test]
fn start_functions_wait() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "get" (func $get (result u32)))
            (core func $get (canon lower (func $get)))
            (core module $m (import "" "get" (func $get (result i32)))
                (global $got (mut i32) (i32.const 0))
                (func $start (global.set $got (call $get)))
                (start $start)
                (func (export "got") (result i32) (global.get $got)))
            (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
            (core instance $j (instantiate $m (with "" (instance (export "get" (func $get))))))
            (func (export "first") (result u32) (canon lift (core func $i "got")))
            (func (export "second") (result u32) (canon lift (core func $j "got"))))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .root()
        .func_wrap_async("get", |mut store, (): ()| -> Returned<'_, (u32,)> {
            Box::new(async move {
                waits(2).await;
                *store.data_mut() += 1;
                Ok((*store.data(),))
            })
        })?;
    for _ in 0..2 {
        let mut store = Store::new(&engine, 41);
        let instance = block_on(linker.instantiate_async(&mut store, &component))?;
        for (name, expected) in [("first", 42), ("second", 43)] {
            let got = instance.get_typed_func::<(), (u32,)>(&mut store, name)?;
            assert_eq!(got.call(&mut store, ())?, (expected,));
        }
    }
    let text = message(linker.instantiate(&mut Store::new(&engine, 0), &component));
    assert!(text.contains("instantiate_async"), "{text}");
    Ok(())
}

/// A component whose start function calls the host.
fn starter(engine: &Engine) -> Result<Component> {
    Component::new(
        engine,
        r#"(component
            (import "go" (func $go))
            (core func $go (canon lower (func $go)))
            (core module $m
                (import "" "go" (func $go))
                (memory 1)
                (start $go))
            (core instance (instantiate $m (with "" (instance (export "go" (func $go)))))))"#,
    )
}

/// The store and the pool have room for one instance, and the limiter for one page.
fn store_for_one(engine: &Engine) -> Store<StoreLimits> {
    let limits = StoreLimitsBuilder::new().total_memory_size(1 << 16);
    let mut store = Store::new(engine, limits.instances(1).build());
    store.limiter(|limits| limits);
    store
}

#[test]
fn an_instance_whose_start_function_does_not_return_is_gone() -> Result<()> {
    let mut pool = PoolConfig::new();
    let engine = Engine::new(Config::new().pool(pool.total_component_instances(1)))?;
    let component = starter(&engine)?;
    let mut store = store_for_one(&engine);

    let mut waiting = Linker::new(&engine);
    waiting.root().func_wrap_async("go", |_, (): ()| {
        Box::new(async {
            waits(u32::MAX).await;
            Ok(())
        })
    })?;
    for polls in [0, 1, 2] {
        let mut future = Box::pin(waiting.instantiate_async(&mut store, &component));
        for _ in 0..polls {
            assert!(poll(future.as_mut()).is_pending());
        }
    }

    let mut panicking = Linker::new(&engine);
    panicking
        .root()
        .func_wrap("go", |_, (): ()| -> Result<()> { panic!("out of luck") })?;
    let mut instantiate = || _ = panicking.instantiate(&mut store, &component);
    catch_unwind(AssertUnwindSafe(&mut instantiate)).unwrap_err();
    let pending = panicking.instantiate_async(&mut store, &component);
    catch_unwind(AssertUnwindSafe(|| block_on(pending))).unwrap_err();

    let mut linker = Linker::new(&engine);
    linker.root().func_wrap("go", |_, (): ()| Ok(()))?;
    linker.instantiate(&mut store, &component)?;
    assert!(linker.instantiate(&mut store, &component).is_err());
    Ok(())
}

#[test]
fn destructors_wait() -> Result<()> {
    struct Thing;
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "thing" (type $thing (sub resource)))
            (core func $drop (canon resource.drop $thing))
            (core module $m (import "" "drop" (func $drop (param i32)))
                (func (export "take") (param i32) (call $drop (local.get 0)))
                (func (export "dtor") (param i32) (call $drop (local.get 0)))
                (func (export "id") (param i32) (result i32) (local.get 0)))
            (core module $late (import "" "new" (func $new (param i32) (result i32)))
                (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
            (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
            (type $own (resource (rep i32) (dtor (core func $i "dtor"))))
            (core func $new (canon resource.new $own))
            (core instance $j (instantiate $late
                (with "" (instance (export "new" (func $new))))))
            (export $wrapper "wrapper" (type $own))
            (func (export "take") (param "thing" (own $thing))
                (canon lift (core func $i "take")))
            (func (export "pass") (param "thing" (own $thing)) (result (own $thing))
                (canon lift (core func $i "id")))
            (func (export "wrap") (param "thing" (own $thing)) (result (own $wrapper))
                (canon lift (core func $j "make"))))"#,
    )?;
    let mut linker = Linker::<Vec<u32>>::new(&engine);
    linker
        .root()
        .resource_async("thing", ResourceType::host::<Thing>(), |mut store, rep| {
            Box::new(async move {
                waits(2).await;
                store.data_mut().push(rep);
                Ok(())
            })
        })?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &component)?;
    let thing = |rep| mintage::Resource::<Thing>::new_own(rep);
    let take = instance.get_typed_func::<(mintage::Resource<Thing>,), ()>(&mut store, "take")?;
    block_on(take.call_async(&mut store, (thing(1),)))?;
    // The guest's destructor drops a resource of the host.
    let wrap = instance
        .get_typed_func::<(mintage::Resource<Thing>,), (ResourceAny,)>(&mut store, "wrap")?;
    let (wrapper,) = block_on(wrap.call_async(&mut store, (thing(2),)))?;
    block_on(wrapper.resource_drop_async(&mut store))?;
    // The host drops its own.
    let pass = instance
        .get_typed_func::<(mintage::Resource<Thing>,), (ResourceAny,)>(&mut store, "pass")?;
    let (any,) = block_on(pass.call_async(&mut store, (thing(3),)))?;
    block_on(any.resource_drop_async(&mut store))?;
    assert_eq!(store.data(), &[1, 2, 3]);
    let (any,) = block_on(pass.call_async(&mut store, (thing(4),)))?;
    let text = message(any.resource_drop(&mut store));
    assert!(text.contains("resource_drop_async"), "{text}");
    Ok(())
}

#[test]
fn exported_imports_wait() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "join" (func $join (param "a" string) (param "b" string) (result string)))
            (export "joined" (func $join)))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker.root().func_wrap_async(
        "join",
        |store, (a, b): (String, String)| -> Returned<'_, (String,)> {
            Box::new(async move {
                waits(*store.data()).await;
                Ok((a + &b,))
            })
        },
    )?;
    for times in [0, 3] {
        let mut store = Store::new(&engine, times);
        let instance = linker.instantiate(&mut store, &component)?;
        let joined = instance.get_typed_func::<(&str, &str), (String,)>(&mut store, "joined")?;
        let (text,) = block_on(joined.call_async(&mut store, ("a", "b")))?;
        assert_eq!(text, "ab");
        match times {
            0 => assert_eq!(joined.call(&mut store, ("a", "b"))?.0, "ab"),
            _ => assert!(message(joined.call(&mut store, ("a", "b"))).contains("call_async")),
        }
    }
    Ok(())
}

/// A guest without asynchronous imports runs within the first poll and needs no stack.
#[test]
fn calls_that_cannot_wait_need_no_stack() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_stacks(0)))?;
    let component = Component::new(
        &engine,
        format!(
            "(component {} (core instance $i (instantiate $m))
            (func (export \"id\") (param \"x\" string) (result string)
                (canon lift (core func $i \"id\") {OPTIONS})))",
            module(
                r#"(func (export "id") (param i32 i32) (result i32)
                    (i32.store (i32.const 64) (local.get 0))
                    (i32.store (i32.const 68) (local.get 1)) (i32.const 64))"#
            )
        ),
    )?;
    let mut store = Store::new(&engine, ());
    let instance = block_on(Linker::new(&engine).instantiate_async(&mut store, &component))?;
    let id = instance.get_typed_func::<(&str,), (String,)>(&mut store, "id")?;
    let mut future = pin!(id.call_async(&mut store, ("same",)));
    let Poll::Ready(result) = poll(future.as_mut()) else {
        panic!("it cannot wait")
    };
    assert_eq!(result?.0, "same");
    Ok(())
}

/// A component with a guest that runs until it is stopped, and counts its rounds.
fn spinner(engine: &Engine) -> Result<Component> {
    Component::new(
        engine,
        r#"(component
            (core module $m (global $n (mut i32) (i32.const 0))
                (func (export "spin") (param i32) (result i32)
                    (loop $again
                        (global.set $n (i32.add (global.get $n) (i32.const 1)))
                        (br_if $again (i32.lt_u (global.get $n) (local.get 0))))
                    (global.get $n)))
            (core instance $i (instantiate $m))
            (func (export "spin") (param "rounds" u32) (result u32)
                (canon lift (core func $i "spin"))))"#,
    )
}

#[test]
fn a_host_function_that_never_wakes_ends_at_the_deadline() -> Result<()> {
    let engine = Engine::new(Config::new().interruptible(true))?;
    let component = component(&engine)?;
    let mut linker = Linker::<Arc<AtomicUsize>>::new(&engine);
    linker
        .root()
        .func_wrap_async("add", |store, (_, _): (u32, u32)| -> Returned<'_, (u32,)> {
            let counted = Counted(store.data().clone());
            Box::new(async move {
                std::future::pending::<()>().await;
                drop(counted);
                Ok((0,))
            })
        })?;
    linker.define_unknown_imports_as_traps(&component)?;
    let pre = linker.instantiate_pre(&component)?;
    let dropped = Arc::<AtomicUsize>::default();
    for way in ["deadline", "handle", "handle before", "deadline before"] {
        let mut store = Store::new(&engine, dropped.clone());
        let instance = pre.instantiate(&mut store)?;
        let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
        let handle = store.interrupt_handle()?;
        let mut other = None;
        match way {
            "deadline" => store.set_deadline(Duration::from_millis(20))?,
            "deadline before" => store.set_deadline(Duration::ZERO)?,
            "handle before" => handle.interrupt(),
            _ => {
                other = Some(thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    handle.interrupt();
                }));
            }
        }
        let error = block_on(add.call_async(&mut store, (1, 2))).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{way}");
        if !way.ends_with("before") {
            // It names the guest that waited.
            assert!(
                format!("{error:#}").contains("wasm backtrace:"),
                "{error:#}"
            );
        }
        if let Some(other) = other {
            other.join().unwrap();
        }
        store.clear_interrupt();
        store.clear_deadline();
        assert!(message(block_on(add.call_async(&mut store, (1, 2)))).contains("cannot enter"));
    }
    assert!(dropped.load(Ordering::Relaxed) >= 2);
    Ok(())
}

/// Interrupts when it is dropped, as an executor may whose last waker ends a task.
struct InterruptsWhenDropped(InterruptHandle);

impl Wake for InterruptsWhenDropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for InterruptsWhenDropped {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

#[test]
fn dropping_a_waker_may_interrupt() -> Result<()> {
    let engine = Engine::new(Config::new().interruptible(true))?;
    let pre = linker(&engine)?.instantiate_pre(&component(&engine)?)?;
    let host = Host {
        waits: u32::MAX,
        ..Host::default()
    };
    let mut store = Store::new(&engine, host);
    let instance = pre.instantiate(&mut store)?;
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    let handle = store.interrupt_handle()?;
    let (sender, receiver) = std::sync::mpsc::channel();
    // It would hang.
    thread::spawn(move || {
        let mut future = Box::pin(add.call_async(&mut store, (1, 2)));
        let first = Waker::from(Arc::new(InterruptsWhenDropped(handle)));
        assert!(
            future
                .as_mut()
                .poll(&mut Context::from_waker(&first))
                .is_pending()
        );
        drop(first);
        // The store drops its copy of the waker.
        let Poll::Ready(result) = poll(future.as_mut()) else {
            panic!("it is interrupted")
        };
        sender.send(result.map_err(|error| error.downcast_ref::<Trap>().copied()))
    });
    let result = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(result, Err(Some(Trap::Interrupt)));
    Ok(())
}

#[test]
fn guests_yield_at_epochs() -> Result<()> {
    let engine = Engine::new(Config::new().epoch_interruption(true))?;
    let component = spinner(&engine)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let spin = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "spin")?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                engine.increment_epoch();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut future = pin!(spin.call_async(&mut store, (u32::MAX,)));
        let yields = (0..5).all(|_| poll(future.as_mut()).is_pending());
        is_over.store(true, Ordering::Relaxed);
        assert!(yields);
    });
    // A synchronous call cannot yield.
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let spin = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "spin")?;
    engine.increment_epoch();
    let text = message(spin.call(&mut store, (u32::MAX,)));
    assert!(text.contains("is to yield"), "{text}");

    // The callback decides, each time anew.
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let mut answers = 0;
    store.epoch_deadline_callback(move |_| {
        answers += 1;
        Ok(match answers {
            1 => UpdateDeadline::Continue(0),
            2 => UpdateDeadline::Yield(0),
            3 => UpdateDeadline::YieldCustom(0, Box::pin(waits(3))),
            _ => UpdateDeadline::Interrupt,
        })
    });
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let spin = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "spin")?;
    engine.increment_epoch();
    let mut future = pin!(spin.call_async(&mut store, (u32::MAX,)));
    for _ in 0..4 {
        assert!(poll(future.as_mut()).is_pending());
    }
    let Poll::Ready(Err(error)) = poll(future.as_mut()) else {
        panic!("it is interrupted")
    };
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
    Ok(())
}

#[test]
fn guests_yield_after_some_fuel() -> Result<()> {
    let engine = Engine::new(Config::new().consume_fuel(true))?;
    let component = spinner(&engine)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(1_000_000)?;
    store.fuel_async_yield_interval(Some(10_000))?;
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let spin = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "spin")?;
    let mut polls = 1;
    {
        let mut future = pin!(spin.call_async(&mut store, (10_000,)));
        let result = loop {
            match poll(future.as_mut()) {
                Poll::Ready(result) => break result,
                Poll::Pending => polls += 1,
            }
        };
        assert_eq!(result?, (10_000,));
    }
    let consumed = 1_000_000 - store.get_fuel()?;
    // An interval ends at the next test, at most one round of the loop later.
    assert!(
        (consumed / 10_020..=consumed.div_ceil(10_000)).contains(&polls),
        "{polls}"
    );
    Ok(())
}

/// References in frames of a suspended guest are found by the collector, which runs while the
/// results of the host function are lowered.
#[test]
fn collections_see_the_frames_of_suspended_guests() -> Result<()> {
    let engine = Engine::new(Config::new().gc_heap_reservation(1 << 20))?;
    let component = Component::new(
        &engine,
        r#"(component
            (import "get" (func $get (param "n" u32) (result string)))
            (core module $libc (memory (export "mem") 1)
                (type $node (struct (field i64)))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $n i32)
                    ;; Makes garbage, several times as much as fits the heap.
                    (loop $again
                        (drop (struct.new $node (i64.const -1)))
                        (local.set $n (i32.add (local.get $n) (i32.const 1)))
                        (br_if $again (i32.lt_u (local.get $n) (i32.const 200000))))
                    (i32.const 1024))
                (func (export "live") (param i32) (result i32) (local (ref null $node))
                    (unreachable)))
            (core instance $libc (instantiate $libc))
            (core func $get (canon lower (func $get) (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc"))))
            (core module $m
                (import "" "get" (func $get (param i32 i32)))
                (type $node (struct (field i64)))
                (func (export "run") (param i32) (result i32)
                    (local $node (ref null $node))
                    (local.set $node (struct.new $node (i64.extend_i32_u (local.get 0))))
                    (call $get (local.get 0) (i32.const 64))
                    (call $get (local.get 0) (i32.const 64))
                    (i32.wrap_i64 (struct.get $node 0 (local.get $node)))))
            (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
            (func (export "run") (param "n" u32) (result u32)
                (canon lift (core func $i "run"))))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .root()
        .func_wrap_async("get", |store, (n,): (u32,)| -> Returned<'_, (String,)> {
            Box::new(async move {
                waits(*store.data()).await;
                Ok((n.to_string(),))
            })
        })?;
    for times in [0, 1] {
        let mut store = Store::new(&engine, times);
        let instance = linker.instantiate(&mut store, &component)?;
        let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
        assert_eq!(block_on(run.call_async(&mut store, (77,)))?, (77,));
    }
    Ok(())
}

/// A limiter that waits before each answer.
struct Slow {
    waits: u32,
    limit: usize,
    asked: Vec<(usize, usize)>,
    released: usize,
}

#[async_trait::async_trait]
impl ResourceLimiterAsync for Slow {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        waits(self.waits).await;
        self.asked.push((current, desired));
        match desired {
            0xbad0000 => bail!("an unlucky number"),
            _ => Ok(desired <= self.limit),
        }
    }

    async fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        waits(self.waits).await;
        Ok(desired <= 100)
    }

    fn memory_released(&mut self, bytes: usize) {
        self.released += bytes;
    }
}

#[test]
fn limiters_wait() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (core module $m (memory 1) (table 10 funcref)
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "grow-table") (param i32) (result i32)
                    (table.grow (ref.null func) (local.get 0))))
            (core instance $i (instantiate $m))
            (func (export "grow") (param "pages" u32) (result s32)
                (canon lift (core func $i "grow")))
            (func (export "grow-table") (param "entries" u32) (result s32)
                (canon lift (core func $i "grow-table"))))"#,
    )?;
    let pre = Linker::<Slow>::new(&engine).instantiate_pre(&component)?;
    let store = |waits, limit| {
        let slow = Slow {
            waits,
            limit,
            asked: Vec::new(),
            released: 0,
        };
        let mut store = Store::new(&engine, slow);
        store.limiter_async(|slow| slow);
        store
    };
    for waits in [0, 3] {
        let mut store = store(waits, 10 << 16);
        let instance = block_on(pre.instantiate_async(&mut store))?;
        let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow")?;
        let grow_table = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow-table")?;
        assert_eq!(block_on(grow.call_async(&mut store, (2,)))?, (1,));
        assert_eq!(block_on(grow.call_async(&mut store, (8,)))?, (-1,));
        assert_eq!(block_on(grow.call_async(&mut store, (7,)))?, (3,));
        assert_eq!(block_on(grow_table.call_async(&mut store, (90,)))?, (10,));
        assert_eq!(block_on(grow_table.call_async(&mut store, (1,)))?, (-1,));
        let pages = [(0, 1), (1, 3), (3, 11), (3, 10)];
        assert_eq!(store.data().asked, pages.map(|(a, b)| (a << 16, b << 16)));
        // Where the guest cannot wait.
        let grown = grow.call(&mut store, (0xbad - 10,));
        match waits {
            0 => assert!(message(grown).contains("the store's limiter failed: an unlucky number")),
            _ => assert!(message(grown).contains("does not answer at once")),
        }
    }
    // Instances that are not made.
    let mut refusing = store(1, 0);
    let error = block_on(pre.instantiate_async(&mut refusing)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Memory));
    let text = message(pre.instantiate(&mut store(1, 1 << 20)));
    assert!(text.contains("does not answer at once"), "{text}");
    // Instantiation that is dropped while the limiter is asked about the table.
    let mut dropped = store(1, 1 << 20);
    let mut future = Box::pin(pre.instantiate_async(&mut dropped));
    assert!(poll(future.as_mut()).is_pending() && poll(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(dropped.data().asked, [(0, 1 << 16)]);
    assert_eq!(dropped.data().released, 1 << 16);
    // A call that is dropped while the limiter is asked.
    let mut dropped = store(5, 1 << 20);
    let instance = block_on(pre.instantiate_async(&mut dropped))?;
    let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut dropped, "grow")?;
    assert!(poll(Box::pin(grow.call_async(&mut dropped, (1,))).as_mut()).is_pending());
    assert!(message(block_on(grow.call_async(&mut dropped, (1,)))).contains("cannot enter"));
    Ok(())
}

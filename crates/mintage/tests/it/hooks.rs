//! The hook of calls between host and guests.
#![cfg(feature = "compiler")]

use mintage::CallHook::{CallingHost, CallingWasm, ReturningFromHost, ReturningFromWasm};
use mintage::error::{Result, format_err};
use mintage::{
    AsContextMut, CallHook, Component, Engine, Instance, Linker, ResourceAny, ResourceType, Store,
    StoreContextMut, Trap,
};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

type Event = (CallHook, Option<String>);
type Log = Vec<Event>;

const TEXT: &str = r#"(component
    (import "a:b/c@1.0.0" (instance $c
        (export "f" (func (param "x" u32) (result u32)))
        (export "r" (type (sub resource)))))
    (alias export $c "f" (func $f))
    (alias export $c "r" (type $r))
    (core func $f (canon lower (func $f)))
    (core func $drop (canon resource.drop $r))
    (core module $m
        (import "" "f" (func $f (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (param i32) (result i32) (call $f (local.get 0)))
        (func (export "trap") (unreachable))
        (func (export "drop") (param i32) (call $drop (local.get 0))))
    (core instance $i (instantiate $m
        (with "" (instance (export "f" (func $f)) (export "drop" (func $drop))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run")))
    (func (export "trap") (canon lift (core func $i "trap")))
    (func (export "drop") (param "r" (own $r)) (canon lift (core func $i "drop"))))"#;

struct Handle;

/// Makes a store whose hook keeps a log and fails at `fail`.
fn store(engine: &Engine, fail: Option<CallHook>) -> Store<Log> {
    let mut store = Store::new(engine, Log::new());
    store.call_hook(move |mut store, hook| {
        let name = store.host_function().map(|name| name.to_string());
        store.data_mut().push((hook, name));
        match fail == Some(hook) {
            true => Err(format_err!("the hook fails at {hook:?}")),
            false => Ok(()),
        }
    });
    store
}

fn instantiate(
    store: &mut Store<Log>,
    f: impl Fn(StoreContextMut<'_, Log>, u32) -> Result<u32> + Send + Sync + 'static,
) -> Instance {
    let engine = store.engine().clone();
    let component = Component::new(&engine, TEXT).unwrap();
    let mut linker = Linker::new(&engine);
    let mut c = linker.instance("a:b/c@1.0.0").unwrap();
    c.func_wrap("f", move |store, (x,): (u32,)| Ok((f(store, x)?,)))
        .unwrap();
    c.resource("r", ResourceType::host::<Handle>(), |_, _| Ok(()))
        .unwrap();
    linker.instantiate(store, &component).unwrap()
}

fn run(store: &mut Store<Log>, instance: &Instance, x: u32) -> Result<u32> {
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "run")?;
    Ok(run.call(store, (x,))?.0)
}

fn named(hook: CallHook) -> Event {
    (hook, Some("a:b/c@1.0.0.f".into()))
}

fn events() -> [Event; 4] {
    [
        (CallingWasm, None),
        named(CallingHost),
        named(ReturningFromHost),
        (ReturningFromWasm, None),
    ]
}

#[test]
fn each_crossing_is_seen() {
    let engine = Engine::default();
    let mut store = store(&engine, None);
    let instance = instantiate(&mut store, |store, x| {
        // The name is for the hook.
        assert!(store.host_function().is_none());
        Ok(x + 1)
    });
    assert_eq!(store.data()[..], [], "no start function");
    assert_eq!(run(&mut store, &instance, 6).unwrap(), 7);
    assert_eq!(store.data()[..], events());

    // Failures are crossings, too.
    store.data_mut().clear();
    let trap = instance
        .get_typed_func::<(), ()>(&mut store, "trap")
        .unwrap();
    trap.call(&mut store, ()).unwrap_err();
    assert_eq!(
        store.data()[..],
        [(CallingWasm, None), (ReturningFromWasm, None)]
    );
    store.data_mut().clear();
    let instance = instantiate(&mut store, |_, _| Err(format_err!("the host fails")));
    let error = run(&mut store, &instance, 6).unwrap_err();
    assert!(format!("{error:#}").contains("the host fails"), "{error:#}");
    assert_eq!(store.data()[..], events());
}

#[test]
fn errors_of_hooks_end_calls() {
    let engine = Engine::default();
    for (number, fail) in [
        CallingWasm,
        CallingHost,
        ReturningFromHost,
        ReturningFromWasm,
    ]
    .into_iter()
    .enumerate()
    {
        let mut store = store(&engine, Some(fail));
        let instance = instantiate(&mut store, move |_, x| {
            assert!(fail != CallingHost && fail != CallingWasm, "not called");
            Ok(x)
        });
        let error = run(&mut store, &instance, 1).unwrap_err();
        assert!(
            format!("{error:#}").contains(&format!("the hook fails at {fail:?}")),
            "{error:#}"
        );
        let seen = store.data().clone();
        assert_eq!(seen[..=number], events()[..=number]);
        // A guest that was entered is left.
        let left = (fail != CallingWasm).then_some((ReturningFromWasm, None));
        assert_eq!(seen.last(), left.as_ref().or(Some(&(CallingWasm, None))));
        let error = run(&mut store, &instance, 1).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    }
}

#[test]
fn destructors_have_no_name() {
    let engine = Engine::default();
    let mut store = store(&engine, None);
    let instance = instantiate(&mut store, |_, x| Ok(x));
    let drop = instance
        .get_typed_func::<(ResourceAny,), ()>(&mut store, "drop")
        .unwrap();
    let resource = mintage::Resource::<Handle>::new_own(7);
    let resource = ResourceAny::try_from_resource(resource, &mut store).unwrap();
    drop.call(&mut store, (resource,)).unwrap();
    let events = [
        CallingWasm,
        CallingHost,
        ReturningFromHost,
        ReturningFromWasm,
    ];
    assert_eq!(store.data()[..], events.map(|event| (event, None)));
}

/// Calls of the hook call no hook. A later hook replaces the first.
#[test]
fn hooks_call_guests() {
    let engine = Engine::default();
    let mut store = store(&engine, None);
    let [outer, inner] = [(); 2].map(|()| instantiate(&mut store, |_, x| Ok(x + 1)));
    store.call_hook(move |mut store, hook| {
        store.data_mut().push((hook, None));
        let run = inner.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
        assert_eq!(run.call(&mut store, (8,))?, (9,));
        Ok(())
    });
    assert_eq!(run(&mut store, &outer, 6).unwrap(), 7);
    let hooks: Vec<_> = store.data().iter().map(|&(hook, _)| hook).collect();
    assert_eq!(
        hooks,
        [
            CallingWasm,
            CallingHost,
            ReturningFromHost,
            ReturningFromWasm
        ]
    );
}

/// A host function that calls a guest crosses twice as often.
#[test]
fn nested_calls_nest_their_crossings() {
    let engine = Engine::default();
    let mut store = store(&engine, None);
    let inner = instantiate(&mut store, |_, x| Ok(x));
    let outer = instantiate(&mut store, move |mut store, x| {
        let run = inner.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
        Ok(run.call(&mut store, (x,))?.0)
    });
    assert_eq!(run(&mut store, &outer, 6).unwrap(), 6);
    let inside = events();
    let mut expected = inside[..2].to_vec();
    expected.extend(inside.clone());
    expected.extend(inside[2..].iter().cloned());
    assert_eq!(*store.data(), expected);
}

#[test]
fn start_functions_are_called() {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        "(component (core module $m (func $f) (start $f)) (core instance (instantiate $m)))",
    )
    .unwrap();
    let mut store = store(&engine, None);
    Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    assert_eq!(
        store.data()[..],
        [(CallingWasm, None), (ReturningFromWasm, None)]
    );
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    let mut future = pin!(future);
    loop {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(result) = polled {
            return result;
        }
    }
}

#[test]
fn asynchronous_calls_cross_once() {
    let engine = Engine::default();
    let component = Component::new(&engine, TEXT).unwrap();
    for waits in [false, true] {
        let mut linker = Linker::new(&engine);
        let mut c = linker.instance("a:b/c@1.0.0").unwrap();
        c.func_wrap_async("f", move |_, (x,): (u32,)| {
            let mut left = u32::from(waits);
            Box::new(async move {
                poll_fn(|_| match left {
                    0 => Poll::Ready(()),
                    _ => {
                        left -= 1;
                        Poll::Pending
                    }
                })
                .await;
                Ok((x + 1,))
            })
        })
        .unwrap();
        c.resource("r", ResourceType::host::<Handle>(), |_, _| Ok(()))
            .unwrap();
        for fail in [None, Some(CallingHost), Some(ReturningFromHost)] {
            let mut store = store(&engine, fail);
            let instance = linker.instantiate_async(&mut store, &component);
            let instance = block_on(instance).unwrap();
            let run = instance
                .get_typed_func::<(u32,), (u32,)>(&mut store, "run")
                .unwrap();
            let result = block_on(run.call_async(&mut store, (6,)));
            match fail {
                None => {
                    assert_eq!(result.unwrap(), (7,));
                    assert_eq!(store.data()[..], events());
                }
                Some(fail) => {
                    let error = format!("{:#}", result.unwrap_err());
                    assert!(error.contains(&format!("fails at {fail:?}")), "{error}");
                    let last = (ReturningFromWasm, None);
                    assert_eq!(store.data().last(), Some(&last));
                }
            }
        }
    }
}

/// The hook stays, and a later one has nothing of the function because of which it ran.
#[test]
fn hooks_may_panic() {
    let engine = Engine::default();
    let component = Component::new(&engine, TEXT).unwrap();
    let mut linker = Linker::new(&engine);
    let mut c = linker.instance("a:b/c@1.0.0").unwrap();
    c.func_wrap("f", |_, (x,): (u32,)| Ok((x,))).unwrap();
    c.resource("r", ResourceType::host::<Handle>(), |_, _| Ok(()))
        .unwrap();
    let mut store = Store::new(&engine, Log::new());
    let mut calls = 0;
    store.call_hook(move |mut store, hook| {
        let name = store.host_function().map(|name| name.to_string());
        store.data_mut().push((hook, name));
        calls += usize::from(hook == CallingHost);
        assert!(hook != CallingHost || calls > 1, "the hook panics");
        Ok(())
    });
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let panics = AssertUnwindSafe(|| run(&mut store, &instance, 6));
    catch_unwind(panics).unwrap_err();
    assert!(store.as_context_mut().host_function().is_none());
    store.drop_instance(instance).unwrap();
    store.data_mut().clear();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    assert_eq!(run(&mut store, &instance, 6).unwrap(), 6);
    assert_eq!(store.data()[..], events());
}

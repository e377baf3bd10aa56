//! [`Engine::metrics`]: the numbers follow what a host does.

use crate::async_calls::{block_on, waits};
use crate::common::component;
use mintage::{
    Component, Config, Engine, EngineMetrics, Linker, PoolConfig, Store, StoreContextMut,
};
use std::pin::pin;
use std::task::{Context, Waker};

/// Returns an engine whose slots are reset by the thread that drops an instance.
fn engine() -> Engine {
    Engine::new(&Config::new()).unwrap()
}

fn app(engine: &Engine) -> Component {
    let lifts = r#"
        (func (export "touch") (canon lift (core func $i "touch")))
        (func (export "trap") (canon lift (core func $i "trap")))
        (func (export "text") (result string)
            (canon lift (core func $i "text") (memory (core memory $i "mem"))))"#;
    let fields = r#"
        (func (export "touch") (i32.store (i32.const 0) (i32.const 1)))
        (func (export "trap") unreachable)
        (func (export "text") (result i32)
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 1))
            (i32.store8 (i32.const 64) (i32.const 255))
            (i32.const 0))"#;
    component(engine, fields, lifts).unwrap()
}

#[test]
fn instances_and_resets_are_counted() {
    let engine = engine();
    assert_eq!(engine.metrics(), EngineMetrics::default());
    let component = app(&engine);
    let linker = Linker::<()>::new(&engine);
    assert_eq!(engine.metrics().components, 1);

    let mut stores: Vec<_> = (0..3).map(|_| Store::new(&engine, ())).collect();
    for store in &mut stores {
        let instance = linker.instantiate(&mut *store, &component).unwrap();
        let touch = instance.get_typed_func::<(), ()>(&mut *store, "touch");
        touch.unwrap().call(&mut *store, ()).unwrap();
    }
    let live = engine.metrics();
    assert_eq!((live.instances_live, live.slots_idle), (3, 0));
    assert_eq!((live.instances_created, live.resets), (3, 0));
    assert!(
        live.address_space > 3 << 32 && live.mappings > 0,
        "{live:?}"
    );

    drop(stores);
    let idle = engine.metrics();
    assert_eq!((idle.instances_live, idle.slots_idle), (0, 3));
    assert_eq!((idle.instances_created, idle.resets), (3, 3));
    assert!(idle.resident_bytes > 0, "{idle:?}");

    // One that is not used needs no reset.
    let mut store = Store::new(&engine, ());
    linker.instantiate(&mut store, &component).unwrap();
    drop(store);
    let unused = engine.metrics();
    assert_eq!((unused.instances_created, unused.resets), (4, 3));

    // What was counted stays when the component is gone.
    drop(component);
    let gone = engine.metrics();
    assert_eq!((gone.components, gone.slots_idle), (0, 0));
    assert_eq!((gone.instances_created, gone.resets), (4, 3));
    assert_eq!((gone.address_space, gone.resident_bytes), (0, 0));
}

#[test]
fn slots_that_wait_for_the_background_are_not_live() {
    let mut config = Config::new();
    config.pool(PoolConfig::new().background_reset(true));
    let engine = Engine::new(&config).unwrap();
    let component = app(&engine);
    let linker = Linker::<()>::new(&engine);
    for _ in 0..20 {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let touch = instance.get_typed_func::<(), ()>(&mut store, "touch");
        touch.unwrap().call(&mut store, ()).unwrap();
    }
    let metrics = engine.metrics();
    assert_eq!(metrics.instances_created, 20);
    assert_eq!(metrics.instances_live, 0, "{metrics:?}");
    assert!(
        metrics.slots_idle + metrics.slots_waiting > 0,
        "{metrics:?}"
    );
}

#[test]
fn traps_are_counted_where_the_guest_or_its_results_trap() {
    let engine = engine();
    let component = app(&engine);
    let linker = Linker::<()>::new(&engine);
    for (i, name) in ["trap", "text"].into_iter().enumerate() {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let func = instance.get_func(&mut store, name).unwrap();
        let mut results = [mintage::Val::Bool(false)];
        let results = if name == "text" {
            &mut results[..]
        } else {
            &mut []
        };
        func.call(&mut store, &[], results).unwrap_err();
        assert_eq!(engine.metrics().traps, i as u64 + 1, "{name}");
        // The instance is broken, which is not another trap.
        func.call(&mut store, &[], results).unwrap_err();
        assert_eq!(engine.metrics().traps, i as u64 + 1, "{name}");
    }
}

#[test]
fn stacks_are_counted_while_a_call_waits() {
    let engine = engine();
    let component = Component::new(
        &engine,
        r#"(component
            (import "wait" (func $wait))
            (core func $wait (canon lower (func $wait)))
            (core module $m
                (import "" "wait" (func $wait))
                (func (export "f") (call $wait)))
            (core instance $i (instantiate $m
                (with "" (instance (export "wait" (func $wait))))))
            (func (export "f") (canon lift (core func $i "f"))))"#,
    )
    .unwrap();
    let mut linker = Linker::<()>::new(&engine);
    let mut root = linker.root();
    root.func_wrap_async("wait", |_: StoreContextMut<'_, ()>, (): ()| {
        Box::new(async {
            waits(1).await;
            Ok(())
        })
    })
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = block_on(linker.instantiate_async(&mut store, &component)).unwrap();
    let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
    let mut call = Box::pin(f.call_async(&mut store, ()));
    let polled = pin!(&mut call).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(engine.metrics().stacks_in_use, 1);
    drop(call);
    let metrics = engine.metrics();
    assert_eq!((metrics.stacks_in_use, metrics.traps), (0, 0));
    assert!(metrics.stacks_idle > 0);
}

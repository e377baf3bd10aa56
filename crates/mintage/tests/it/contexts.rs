//! Stores and references to them, in all forms that hosts pass.
#![cfg(feature = "compiler")]

use crate::common::message;
use mintage::{
    AsContext, AsContextMut, Component, Config, Engine, Linker, Store, StoreContext,
    StoreContextMut, Trap,
};
use std::time::Duration;

/// Adds one to the data by whatever leads to a store.
fn add(mut store: impl AsContextMut<Data = u32>) -> u32 {
    *store.as_context_mut().data_mut() += 1;
    *store.as_context().data()
}

#[test]
fn all_forms_of_a_store_are_one() {
    let mut store = Box::new(Store::<u32>::default());
    assert_eq!(add(&mut store), 1);
    assert_eq!(add(&mut *store), 2);
    assert_eq!(add(&mut &mut store), 3);
    assert_eq!(add(store.as_context_mut()), 4);
    assert_eq!(add(StoreContextMut::from(&mut *store)), 5);
    let mut context = store.as_context_mut();
    assert_eq!(add(&mut context), 6);
    assert_eq!(add(Box::new(context)), 7);
    assert_eq!(*StoreContext::from(&*store).data(), 7);
    assert_eq!(*StoreContext::from(&mut *store).data(), 7);
    assert_eq!(add(store), 8);
}

#[test]
fn contexts_have_the_limits_of_their_store() {
    let mut store = Store::try_new(&Engine::default(), ()).unwrap();
    store.gc(None).unwrap();
    let mut context = store.as_context_mut();
    context.gc(None).unwrap();
    context.set_hostcall_fuel(77);
    assert_eq!(context.hostcall_fuel(), 77);
    assert_eq!(context.as_context().hostcall_fuel(), 77);
    let error = message(context.set_deadline(Duration::ZERO));
    assert!(error.contains("`Config::interruptible(true)`"), "{error}");
    context.clear_deadline();
    assert_eq!(store.hostcall_fuel(), 77);
}

/// A host function sets a new deadline for the guest that has called it.
#[test]
fn host_functions_move_the_deadline_of_their_guest() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    let component = Component::new(
        &engine,
        r#"(component
            (import "host" (func $host))
            (core func $host (canon lower (func $host)))
            (core module $m
                (import "" "host" (func $host))
                (func (export "run") (call $host) (loop (br 0))))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )
    .unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    let host = |mut store: StoreContextMut<'_, ()>, (): ()| {
        store.clear_deadline();
        store.set_deadline(Duration::from_millis(1))
    };
    linker.root().func_wrap("host", host).unwrap();
    let mut store = Store::new(&engine, ());
    store.set_deadline(Duration::from_secs(3600)).unwrap();
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    let error = run.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
}

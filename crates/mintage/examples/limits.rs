//! Limits what guests may take: memory of a store, and instances of an engine.

use mintage::{
    Component, Config, Engine, ErrorKind, LimitKind, Linker, PoolConfig, Result, Store,
    StoreLimitsBuilder,
};

/// `grow` returns how many pages the memory had before, or -1.
const COMPONENT: &str = r#"(component
    (core module $m
        (memory 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
    (core instance $i (instantiate $m))
    (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow"))))"#;

fn main() -> Result<()> {
    // At most two instances at a time.
    let mut pool = PoolConfig::new();
    let engine = Engine::new(Config::new().pool(pool.total_component_instances(2)))?;
    let component = Component::new(&engine, COMPONENT)?;
    let pre = Linker::new(&engine).instantiate_pre(&component)?;

    // The limits are part of the store's data. Growth beyond them fails in the guest.
    let limits = StoreLimitsBuilder::new().memory_size(4 << 16);
    let mut store = Store::new(&engine, limits.build());
    store.limiter(|limits| limits);
    let grow = pre
        .instantiate(&mut store)?
        .get_typed_func::<(u32,), (i32,)>(&mut store, "grow")?;
    assert_eq!(grow.call(&mut store, (3,))?, (1,));
    assert_eq!(grow.call(&mut store, (1,))?, (-1,));

    // Or it ends the call.
    let limits = StoreLimitsBuilder::new()
        .memory_size(4 << 16)
        .trap_on_grow_failure(true);
    let mut other = Store::new(&engine, limits.build());
    other.limiter(|limits| limits);
    let grow = pre
        .instantiate(&mut other)?
        .get_typed_func::<(u32,), (i32,)>(&mut other, "grow")?;
    let error = grow.call(&mut other, (4,)).unwrap_err();
    println!("{error:#}");
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Memory));

    // A full pool has a kind of its own, so that a host can wait until an instance is dropped.
    let error = pre.instantiate(&mut Store::new(&engine, Default::default()));
    let error = error.unwrap_err();
    println!("{error:#}");
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::PoolFull));
    drop(other);
    pre.instantiate(&mut Store::new(&engine, Default::default()))?;
    Ok(())
}

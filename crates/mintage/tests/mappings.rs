//! A binary of its own, because it takes all mappings that the process may have for instances.

use mintage::{
    Component, Config, Engine, ErrorKind, LimitKind, Linker, PoolConfig, Result, Store,
    StoreLimitsBuilder,
};

/// Component instances with a memory and a table each: hundreds of mappings for one slot.
fn component() -> String {
    let instances: String = (0..50)
        .map(|i| {
            format!(
                "(component $c{i}
                    (core module $m (memory 1) (table 1 funcref) (data (i32.const 0) \"x\"))
                    (core instance (instantiate $m)))
                 (instance (instantiate $c{i}))"
            )
        })
        .collect();
    format!("(component {instances})")
}

#[test]
fn mappings_are_a_limit_with_a_kind() -> Result<()> {
    let engine = Engine::new(
        Config::new()
            .memory_reservation(1 << 16)
            .memory_guard_size(1 << 16)
            .table_reservation(16)
            .pool(PoolConfig::new().total_component_instances(1_000_000)),
    )?;
    let pre = Linker::new(&engine).instantiate_pre(&Component::new(&engine, component())?)?;
    let limits = StoreLimitsBuilder::new()
        .instances(usize::MAX)
        .memories(usize::MAX)
        .tables(usize::MAX);
    let mut store = Store::new(&engine, limits.build());
    store.limiter(|limits| limits);
    let mut instances = Vec::new();
    let error = loop {
        match pre.instantiate(&mut store) {
            Ok(instance) => instances.push(instance),
            Err(error) => break error,
        }
    };
    assert_eq!(
        error.kind(),
        ErrorKind::Limit(LimitKind::Mappings),
        "{error:#}"
    );
    let message = error.to_string();
    assert!(message.contains("raise `vm.max_map_count`"), "{message}");

    // Dropping an instance makes room.
    let last = instances.pop().expect("there is room for some instances");
    store.drop_instance(last)?;
    pre.instantiate(&mut store)?;
    Ok(())
}

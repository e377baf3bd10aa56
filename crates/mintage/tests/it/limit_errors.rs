//! The error of each limit: its kind, the numbers in its message, and the setting that it names.
//! (`tests/mappings.rs` has the limit on mappings, which is one of the process.)

use mintage::{
    Component, Config, Engine, Error, ErrorKind, LimitKind, Linker, PoolConfig, Result, Store,
    StoreLimitsBuilder,
};

const MEMORY: &str = "(component (core module $m (memory 2)) (core instance (instantiate $m)))";
const TABLE: &str =
    "(component (core module $m (table 5 funcref)) (core instance (instantiate $m)))";

/// Creates instances in a store with these limits until that fails.
fn fill(config: &Config, limits: StoreLimitsBuilder, text: &str) -> Result<Error> {
    let engine = Engine::new(config)?;
    let pre = Linker::new(&engine).instantiate_pre(&Component::new(&engine, text)?)?;
    let mut store = Store::new(&engine, limits.build());
    store.limiter(|limits| limits);
    for _ in 0..100 {
        if let Err(error) = pre.instantiate(&mut store) {
            return Ok(error);
        }
    }
    mintage::error::bail!("there is no limit for {text}")
}

fn pool(set: impl FnOnce(&mut PoolConfig)) -> Config {
    let mut pool = PoolConfig::new();
    set(&mut pool);
    let mut config = Config::new();
    config.pool(&pool);
    config
}

#[test]
fn limits_on_instances_have_kinds_numbers_and_settings() -> Result<()> {
    let limits = StoreLimitsBuilder::new;
    let default = Config::new();
    let mut small = Config::new();
    small.max_instance_address_space(5 << 30);
    for (config, limits, text, kind, parts) in [
        (
            &pool(|pool| _ = pool.total_component_instances(3)),
            limits(),
            MEMORY,
            LimitKind::PoolFull,
            &[
                "all 3 slots are in use, with 18.1 GiB of address space",
                "raise `PoolConfig::total_component_instances`",
                // Those that fit the mappings, or 64 TiB.
                "address space and mappings for ",
            ][..],
        ),
        (
            &pool(|pool| _ = pool.total_address_space(20 << 30)),
            limits(),
            MEMORY,
            LimitKind::PoolFull,
            &[
                "3 slots take 18.1 GiB of address space, another one of 6.1 GiB would make it 24.1 \
                 GiB, and the limit is 20 GiB, enough for 3 of this size",
                "raise `PoolConfig::total_address_space`, or reduce `Config::memory_reservation`",
            ],
        ),
        // Too big for any slot: dropping others does not help.
        (
            &pool(|pool| _ = pool.total_address_space(5 << 30)),
            limits(),
            MEMORY,
            LimitKind::AddressSpace,
            &["takes 6.1 GiB of address space, more than the 5 GiB that \
                 `PoolConfig::total_address_space` allows for all instances together"],
        ),
        (
            &small,
            limits(),
            MEMORY,
            LimitKind::AddressSpace,
            &[
                "7 GiB",
                "5 GiB that `Config::max_instance_address_space` allows",
            ],
        ),
        (
            &default,
            limits().memory_size(100_000),
            MEMORY,
            LimitKind::Memory,
            &[
                "memory 0 starts with 131072 bytes, more than the 100000 that \
                 `StoreLimitsBuilder::memory_size` allows",
            ],
        ),
        (
            &default,
            limits().total_memory_size(300_000),
            MEMORY,
            LimitKind::TotalMemory,
            &[
                "memory 0 starts with 131072 bytes, but all memories, GC heaps and tables of the \
                 store together already have 262144 of the 300000 bytes that \
                 `StoreLimitsBuilder::total_memory_size` allows",
            ],
        ),
        (
            &default,
            limits().table_elements(4),
            TABLE,
            LimitKind::Table,
            &["table 0 starts with 5 entries, more than the 4 that \
                 `StoreLimitsBuilder::table_elements` allows"],
        ),
        (
            &default,
            limits().total_memory_size(50),
            TABLE,
            LimitKind::TotalMemory,
            &["table 0 starts with 5 entries", "40 of the 50 bytes"],
        ),
        (
            &default,
            limits().instances(2),
            MEMORY,
            LimitKind::Instances,
            &[
                "3 instances, more than the 2",
                "`StoreLimitsBuilder::instances`",
            ],
        ),
        (
            &default,
            limits().memories(2),
            MEMORY,
            LimitKind::Memories,
            &[
                "3 memories, more than the 2",
                "`StoreLimitsBuilder::memories`",
            ],
        ),
        (
            &default,
            limits().tables(2),
            TABLE,
            LimitKind::Tables,
            &["3 tables, more than the 2", "`StoreLimitsBuilder::tables`"],
        ),
    ] {
        let error = fill(config, limits, text)?;
        assert_eq!(error.kind(), ErrorKind::Limit(kind), "{error:#}");
        let message = format!("{error:#}");
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    Ok(())
}

#[test]
fn growth_past_the_total_has_a_kind_of_its_own() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (core module $m (memory 1)
            (func (export "grow") (drop (memory.grow (i32.const 2)))))
        (core instance $i (instantiate $m))
        (func (export "grow") (canon lift (core func $i "grow"))))"#;
    let limits = StoreLimitsBuilder::new().trap_on_grow_failure(true);
    for (limits, kind) in [
        (limits.clone().memory_size(1 << 17), LimitKind::Memory),
        (limits.total_memory_size(1 << 17), LimitKind::TotalMemory),
    ] {
        let mut store = Store::new(&engine, limits.build());
        store.limiter(|limits| limits);
        let component = Component::new(&engine, text)?;
        let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
        let grow = instance.get_typed_func::<(), ()>(&mut store, "grow")?;
        let error = grow.call(&mut store, ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit(kind), "{error:#}");
    }
    Ok(())
}

//! Settings of engines by the names that hosts of Wasmtime use.
#![cfg(feature = "compiler")]

use crate::common::message;
use mintage::{
    Component, Config, Engine, ErrorKind, Instance, InstanceAllocationStrategy, LimitKind, Linker,
    PoolingAllocationConfig, Precompiled, Result, Store, StoreLimitsBuilder,
};

fn pooled(set: impl FnOnce(&mut PoolingAllocationConfig)) -> Engine {
    let mut pooling = PoolingAllocationConfig::new();
    set(&mut pooling);
    Engine::new(Config::new().allocation_strategy(pooling)).unwrap()
}

/// Instantiates a component with two memories of one page and a table of ten entries, which grow.
fn instantiate<T: 'static>(engine: &Engine, store: &mut Store<T>) -> Result<Instance> {
    let component = Component::new(
        engine,
        r#"(component
            (core module $m
                (memory $a 1) (memory $b 1) (table $t 10 funcref)
                (func (export "memory") (param i32) (result i32)
                    (memory.grow $b (local.get 0)))
                (func (export "table") (param i32) (result i32)
                    (table.grow $t (ref.null func) (local.get 0))))
            (core instance $i (instantiate $m))
            (func (export "memory") (param "n" u32) (result s32)
                (canon lift (core func $i "memory")))
            (func (export "table") (param "n" u32) (result s32)
                (canon lift (core func $i "table"))))"#,
    )?;
    Linker::new(engine).instantiate(store, &component)
}

fn grow<T: 'static>(store: &mut Store<T>, instance: &Instance, what: &str, by: u32) -> i32 {
    let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut *store, what);
    grow.unwrap().call(store, (by,)).unwrap().0
}

#[test]
fn pools_limit_memories_and_tables_of_all_stores() {
    let engine = pooled(|pool| {
        pool.max_memory_size(3 << 16).table_elements(12);
        pool.max_memories_per_component(2)
            .max_tables_per_component(1);
    });
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&engine, &mut store).unwrap();
    assert_eq!(grow(&mut store, &instance, "memory", 3), -1);
    assert_eq!(grow(&mut store, &instance, "memory", 2), 1);
    assert_eq!(grow(&mut store, &instance, "table", 3), -1);
    assert_eq!(grow(&mut store, &instance, "table", 2), 10);

    // The store's own limits count as well.
    let limits = StoreLimitsBuilder::new().memory_size(2 << 16).build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let instance = instantiate(&engine, &mut store).unwrap();
    assert_eq!(grow(&mut store, &instance, "memory", 2), -1);
    assert_eq!(grow(&mut store, &instance, "memory", 1), 1);
    assert_eq!(grow(&mut store, &instance, "table", 3), -1);
}

#[test]
fn instances_beyond_the_limits_of_a_pool_are_not_created() {
    type Set = fn(&mut PoolingAllocationConfig) -> &mut PoolingAllocationConfig;
    let cases: [(&str, LimitKind, Set); 4] = [
        ("max_memory_size", LimitKind::Memory, |pool| {
            pool.max_memory_size((1 << 16) - 1)
        }),
        ("table_elements", LimitKind::Table, |pool| {
            pool.table_elements(9)
        }),
        ("max_memories_per_component", LimitKind::Memories, |pool| {
            pool.max_memories_per_component(1)
        }),
        ("max_tables_per_component", LimitKind::Tables, |pool| {
            pool.max_tables_per_component(0)
        }),
    ];
    for (setting, kind, set) in cases {
        let engine = pooled(|pool| _ = set(pool));
        let mut store = Store::new(&engine, ());
        let error = instantiate(&engine, &mut store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit(kind), "{error:?}");
        let error = format!("{error:#}");
        assert!(
            error.contains(&format!("`PoolingAllocationConfig::{setting}`")),
            "{error}"
        );
    }
}

#[test]
fn strategies_replace_each_other() {
    let mut pooling = PoolingAllocationConfig::new();
    pooling.max_memory_size(0);
    let mut config = Config::new();
    config.allocation_strategy(pooling);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let engine = Engine::new(&config).unwrap();
    instantiate(&engine, &mut Store::new(&engine, ())).unwrap();
}

#[test]
fn artifacts_are_detected() {
    let engine = Engine::default();
    let artifact = engine.precompile_component(b"(component)").unwrap();
    let found = Some(Precompiled::Component);
    assert_eq!(Engine::detect_precompiled(&artifact), found);
    let mut elf = artifact.clone();
    elf[16..].fill(0);
    for other in [
        &b""[..],
        b"(component)",
        b"\0asm\x0d\0\x01\0",
        b"\x7fELF",
        &elf,
    ] {
        assert_eq!(Engine::detect_precompiled(other), None);
    }

    let path = std::env::temp_dir().join(format!("mintage-detect-{}", std::process::id()));
    for (contents, expected) in [(&artifact[..], found), (b"(component)", None), (b"", None)] {
        std::fs::write(&path, contents).unwrap();
        assert_eq!(Engine::detect_precompiled_file(&path).unwrap(), expected);
    }
    std::fs::remove_file(&path).unwrap();
    let error = message(Engine::detect_precompiled_file(&path));
    assert!(error.contains("mintage-detect-"), "{error}");
}

#[test]
fn engines_that_compile_nothing_load_artifacts() {
    let artifact = Engine::default()
        .precompile_component(b"(component)")
        .unwrap();
    let engine = Engine::new(Config::new().enable_compiler(false)).unwrap();
    let error = message(Component::new(&engine, "(component)"));
    assert!(
        error.contains("`Config::enable_compiler(false)`"),
        "{error}"
    );
    // SAFETY: the artifact was made just now.
    unsafe { Component::deserialize(&engine, artifact) }.unwrap();
}

#[test]
fn settings_that_cannot_be_honoured_are_errors() {
    let error = message(Engine::new(Config::new().wmemcheck(true)));
    assert!(error.contains("`Config::wmemcheck`"), "{error}");
    let error = message(Engine::new(Config::new().max_wasm_stack(0)));
    assert!(error.contains("`Config::max_wasm_stack`"), "{error}");
}

#[test]
fn threads_can_be_prepared() {
    Engine::tls_eager_initialize();
    let engine = Engine::default();
    assert!(!engine.is_pulley());
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&engine, &mut store).unwrap();
    assert_eq!(grow(&mut store, &instance, "memory", 1), 1);
}

#[test]
fn artifacts_for_other_targets_are_refused() {
    let host = std::env::consts::ARCH;
    let other = if host == "aarch64" {
        "x86_64"
    } else {
        "aarch64"
    };
    let engine = Engine::new(Config::new().target(other).unwrap()).unwrap();
    let artifact = engine.precompile_component(b"(component)").unwrap();
    let expected = format!("was made for {other}-unknown-linux-gnu, this host is {host}-");
    for engine in [&engine, &Engine::default()] {
        // SAFETY: the compiler made the artifact.
        let error = message(unsafe { Component::deserialize(engine, &artifact) });
        assert!(error.contains(&expected), "{error}");
    }
    let error = message(Component::new(&engine, "(component)"));
    assert!(error.contains(&expected), "{error}");

    // Code for every processor runs here.
    let baseline = Engine::new(Config::new().cpu("baseline")).unwrap();
    let artifact = baseline.precompile_component(b"(component)").unwrap();
    // SAFETY: as above.
    unsafe { Component::deserialize(&Engine::default(), artifact) }.unwrap();
}

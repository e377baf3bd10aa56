//! A binary of its own, because it measures the whole process.
//!
//! Replaces an instance 100,000 times in one store, and checks that the process's memory and
//! mappings stay flat.

use mintage::{
    Component, Engine, Linker, Resource, ResourceAny, ResourceType, Result, Store,
    StoreLimitsBuilder,
};

struct File;

/// Grows, keeps a resource of the host, gives one of its own, and traps for 0.
const PLUGIN: &str = r#"(component
    (import "file" (type $file (sub resource)))
    (import "open" (func $open (result (own $file))))
    (core func $open (canon lower (func $open)))
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "new" (func $new (param i32) (result i32)))
        (memory 1)
        (table $t 2 10 funcref)
        (func (export "run") (param $n i32) (result i32)
            (drop (call $open))
            (drop (memory.grow (i32.const 2)))
            (memory.fill (i32.const 60000) (local.get $n) (i32.const 20000))
            (drop (table.grow $t (ref.null func) (i32.const 3)))
            (if (i32.eqz (local.get $n)) (then unreachable))
            (call $new (local.get $n))))
    (core instance $m (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "new" (func $new))))))
    (export $exported "thing" (type $thing))
    (func (export "run") (param "n" u32) (result (own $exported))
        (canon lift (core func $m "run"))))"#;

/// Returns the resident bytes and the mappings of the process.
fn footprint() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (kilobytes << 10, maps.lines().count())
}

#[test]
fn a_store_in_which_instances_are_replaced_does_not_grow() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    let mut root = linker.root();
    root.resource("file", ResourceType::host::<File>(), |_, _| Ok(()))?;
    root.func_wrap("open", |_, (): ()| Ok((Resource::<File>::new_own(7),)))?;
    let pre = linker.instantiate_pre(&Component::new(&engine, PLUGIN)?)?;
    let limits = StoreLimitsBuilder::new()
        .instances(4)
        .total_memory_size(1 << 20)
        .build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    // Three that stay, around which the others come and go.
    let stay = [(); 3].map(|()| pre.instantiate(&mut store));
    let mut replace = |times: u32| -> Result<()> {
        for n in 0..times {
            let instance = pre.instantiate(&mut store)?;
            let run = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "run")?;
            let called = run.call(&mut store, (n % 10,));
            assert_eq!(called.is_err(), n % 10 == 0);
            if let Ok((thing,)) = called {
                thing.resource_drop(&mut store)?;
            }
            assert_eq!(store.drop_instance(instance)?.len(), 1);
            assert!(run.call(&mut store, (1,)).is_err());
        }
        Ok(())
    };
    replace(2000)?;
    let before = footprint();
    replace(100_000)?;
    let after = footprint();
    println!("{before:?}, then {after:?}");
    assert!(
        after.0 <= before.0 + (4 << 20),
        "{before:?}, then {after:?}"
    );
    assert!(after.1 <= before.1 + 16, "{before:?}, then {after:?}");
    for instance in stay {
        let instance = instance?;
        let run = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "run")?;
        run.call(&mut store, (1,))?;
    }
    Ok(())
}

//! A binary of its own, because it measures the whole process.
//!
//! Mints, uses and drops instances of mixed components on two threads, and checks that the
//! process's memory, file descriptors and mappings stay flat. It runs some thousand cycles by
//! default. A million cycles take some minutes in an optimized build:
//!
//! ```sh
//! MINTAGE_CYCLES=1000000 cargo test --release -p mintage --test cycles
//! ```

use mintage::{Component, Config, Engine, InstancePre, Linker, PoolConfig, Result, Store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The texts of components that export `run: func(n: u32) -> u32`. It changes as much state as it
/// can and returns how often it was called, which is once in a clean instance.
fn components() -> Vec<String> {
    let lift =
        r#"(func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run")))"#;
    let host = r#"(import "host" (func $host (param "n" u32) (result u32)))
        (core func $host (canon lower (func $host)))"#;
    // A counter in memory, a global and a table.
    let count = r#"(memory 1) (global $calls (mut i32) (i32.const 0)) (table $t 4 8 funcref)
        (func $count (result i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (i32.store (i32.const 5000) (i32.add (i32.load (i32.const 5000)) (i32.const 1)))
          (drop (table.grow $t (ref.null func) (i32.const 1)))
          (i32.add (i32.load (i32.const 5000)) (i32.sub (global.get $calls) (i32.sub
            (table.size $t) (i32.const 4)))))"#;
    let module = |fields: &str, body: &str| {
        format!(
            r#"(core module $m (import "" "host" (func $host (param i32)
              (result i32))) {count} {fields}
                 (func (export "run") (param i32) (result i32) {body}))
               (core instance $i (instantiate $m (with "" (instance (export "host"
                 (func $host))))))"#
        )
    };
    let chain: String = (0..30)
        .map(|number| {
            format!(
                r#"(core module $m{number} (memory (export "m") 1) (table 3 3 funcref) (global
                  (mut i32) (i32.const {number}))
                     (func $f (export "f") (i32.store (i32.const {number}) (i32.const 1))) (elem
                       (i32.const 1) func $f)
                     (func (call $f)) )
                   (core instance $c{number} (instantiate $m{number}))"#
            )
        })
        .collect();
    let calls_host = "(drop (call $host (local.get 0)))";
    [
        module("", "(call $count)"),
        // A start function whose outcome is kept, and one that calls the host.
        module(
            "(func $s (i32.store (i32.const 64) (i32.const 1)) (drop (memory.grow (i32.const 2))))
             (start $s)",
            "(call $count)",
        ),
        module(
            "(func $s (drop (call $host (i32.const 0)))) (start $s)",
            "(call $count)",
        ),
        // Growth, and more than is kept in memory.
        module(
            "",
            "(drop (memory.grow (i32.const 40))) (memory.fill (i32.const 65536) (i32.const 1) \
             (i32.const 2000000)) (call $count)",
        ),
        // Now and then a trap, an error of the host, or its panic.
        module(
            "",
            &format!(
                "{calls_host} (if (i32.eq (local.get 0) (i32.const 3)) (then unreachable))
                 (call $count)"
            ),
        ),
        format!("{chain} {}", module("", "(call $count)")),
    ]
    .map(|fields| format!("(component {host} {fields} {lift})"))
    .into()
}

fn linked(engine: &Engine) -> Result<Vec<InstancePre<u32>>> {
    let mut linker = Linker::<u32>::new(engine);
    linker.root().func_wrap("host", |mut store, (n,): (u32,)| {
        *mintage::StoreContextMut::<u32>::data_mut(&mut store) += 1;
        match n {
            1 => Err(mintage::Error::msg("the host refuses")),
            2 => panic!("the host panics"),
            n => Ok((n,)),
        }
    })?;
    let link = |text: String| linker.instantiate_pre(&Component::new(engine, text)?);
    components().into_iter().map(link).collect()
}

/// Makes, uses and drops an instance. Some instances are kept until after the next one.
fn cycle(pre: &InstancePre<u32>, number: usize, kept: &mut Vec<Store<u32>>) -> Result<()> {
    let mut store = Store::new(pre.engine(), 0);
    let instance = pre.instantiate(&mut store)?;
    if !number.is_multiple_of(7) {
        let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
        let n = (number % 101) as u32;
        match catch_unwind(AssertUnwindSafe(|| run.call(&mut store, (n,)))) {
            Ok(Ok((calls,))) => assert_eq!(calls, 1, "the instance is not new"),
            Ok(Err(_)) | Err(_) => assert!((1..4).contains(&n), "only some calls fail"),
        }
    }
    if number.is_multiple_of(5) {
        kept.push(store);
    }
    if kept.len() > 3 {
        kept.swap_remove(number % 3);
    }
    Ok(())
}

/// The resources of the process.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    resident: usize,
    descriptors: usize,
    mappings: usize,
}

impl Footprint {
    fn now() -> Footprint {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kilobytes: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
        Footprint {
            resident: kilobytes << 10,
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .lines()
                .count(),
        }
    }
}

#[test]
fn the_process_does_not_grow() -> Result<()> {
    let cycles = std::env::var("MINTAGE_CYCLES")
        .map_or(6000, |count| count.parse().expect("a number of cycles"));
    // Most of the output would be the messages of the host's panics.
    std::panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref() != Some(&"the host panics") {
            eprintln!("{info}");
        }
    }));
    let mut linked_components = Vec::new();
    for config in [
        &mut PoolConfig::new(),
        PoolConfig::new().background_reset(true),
        PoolConfig::new()
            .pagemap_scan(false)
            .memfd(false)
            .max_unused_warm_slots(2),
    ] {
        linked_components.extend(linked(&Engine::new(Config::new().pool(config))?)?);
    }
    let run = |cycles: usize| {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= cycles {
                            break;
                        }
                        let pre = &linked_components[number * 31 % linked_components.len()];
                        cycle(pre, number, &mut kept).unwrap();
                    }
                });
            }
        });
    };
    // As many of each at a time as the two threads can ever have, so that the pools are as large as
    // they get.
    for pre in &linked_components {
        let stores = (0..10).map(|_| {
            let mut store = Store::new(pre.engine(), 0);
            pre.instantiate(&mut store)?;
            Ok(store)
        });
        stores.collect::<Result<Vec<_>>>()?;
    }
    run(600);
    let before = Footprint::now();
    run(cycles);
    let after = Footprint::now();
    println!("{cycles} cycles: {before:?}, then {after:?}");
    assert_eq!(after.descriptors, before.descriptors);
    // The number of slots that are being reset or given back varies with the threads' luck, by a
    // few of them.
    assert!(
        after.mappings <= before.mappings + 300,
        "{before:?}, then {after:?}"
    );
    assert!(
        after.resident <= before.resident + (24 << 20),
        "{before:?}, then {after:?}"
    );
    Ok(())
}

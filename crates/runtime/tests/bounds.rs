//! Bounds of what small components can make the process keep: memory and page tables of idle slabs,
//! and mappings. The whole process is measured, so this is a binary of its own with one test.

#[path = "it/common.rs"]
mod common;

use common::*;
use mintage_runtime::{Code, Instance, Limits, Pool, PoolConfig, StoreWords};
use std::fmt::Write;
use std::sync::Arc;
use std::thread;

/// The number of instances at a time, and of idle slabs later.
const COUNT: usize = 10;
/// Bytes that a slab may keep, by default.
const KEPT: u64 = 1 << 20;

/// Returns the process's memory that is not of files, and its page tables, in bytes.
fn memory_of_process() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    ["RssAnon:", "VmPTE:"].map(|name| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            << 10
    })
}

fn mappings_of_process() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

#[test]
fn idle_memory_and_mappings_are_bounded() {
    start_functions_that_write_everywhere();
    data_everywhere();
    page_tables_of_what_is_read();
    mappings_of_domains();
}

/// Uses and drops instances twice. Returns what the process has more of afterwards.
fn kept_by_idle_slabs(code: &Arc<Code>) -> [u64; 2] {
    let before = memory_of_process();
    for _ in 0..2 {
        let instances: Vec<Instance> = (0..COUNT).map(|_| instantiate(code)).collect();
        for instance in &instances {
            invoke(instance.handle(), "run", &[]).unwrap();
        }
    }
    let after = memory_of_process();
    [0, 1].map(|what| after[what].saturating_sub(before[what]))
}

/// Pages and page tables count together.
fn assert_bounded(kept: [u64; 2]) {
    // The test and the allocator take some, too.
    let limit = COUNT as u64 * KEPT + (8 << 20);
    assert!(
        kept[0] + kept[1] <= limit,
        "{kept:?} bytes are kept, more than {limit}"
    );
}

fn start_functions_that_write_everywhere() {
    assert_bounded(kept_by_idle_slabs(&code(
        r#"(memory 1000)
           (func $start (local i32)
             (loop $next
               (i32.store8 (local.get 0) (i32.const 1))
               (local.set 0 (i32.add (local.get 0) (i32.const 8192)))
               (br_if $next (i32.lt_u (local.get 0) (i32.const 65536000)))))
           (start $start)
           (func (export "run"))"#,
    )));
}

fn data_everywhere() {
    let mut fields = "(memory 1000) (func (export \"run\"))".to_owned();
    for at in (0..65_536_000).step_by(8192) {
        write!(fields, "(data (i32.const {at}) \"x\")").unwrap();
    }
    assert_bounded(kept_by_idle_slabs(&code(&fields)));
}

/// The guest reads in each 2 MiB of four memories: page tables without pages.
fn page_tables_of_what_is_read() {
    let (mut memories, mut reads) = (String::new(), String::new());
    for memory in 0..4 {
        write!(memories, "(memory $m{memory} 65536)").unwrap();
        write!(reads, "(drop (i32.load8_u $m{memory} (local.get 0)))").unwrap();
    }
    assert_bounded(kept_by_idle_slabs(&code(&format!(
        r#"{memories}
           (func (export "run") (local i32)
             (loop $next
               {reads}
               (local.set 0 (i32.add (local.get 0) (i32.const 0x200000)))
               (br_if $next (local.get 0))))"#
    ))));
}

/// Component instances with a table each, which takes two mappings.
fn mappings_of_domains() {
    let mut text = r#"(component
        (component $c
          (core module $m (table 1 2 funcref) (func (export "run") (drop (table.grow
            (ref.null func) (i32.const 1)))))
          (core instance $i (instantiate $m))
          (func (export "run") (canon lift (core func $i "run"))))"#
        .to_owned();
    for i in 0..990 {
        write!(
            text,
            "(instance $x{i} (instantiate $c)) (alias export $x{i} \"run\" (func $f{i}))
             (export \"x{i}\" (func $f{i}))"
        )
        .unwrap();
    }
    text.push(')');
    let pool = Pool::new(&PoolConfig::default());
    let greedy = load_in(&artifact(&text), &pool);
    let modest = load_in(
        &artifact("(component (core module $m (memory 1)) (core instance (instantiate $m)))"),
        &pool,
    );
    let mint = |code: &Arc<Code>| {
        let imports = table(code, |_| Ok(()));
        new_instance(&imports, Limits::default(), StoreWords::default())
    };
    let most: usize = match std::fs::read_to_string("/proc/sys/vm/max_map_count") {
        Ok(count) => count.trim().parse().unwrap(),
        Err(_) => 65_530,
    };
    if most > 70_000 {
        eprintln!("this system gives so many mappings that using them up takes too long");
        return;
    }
    let before = mappings_of_process();
    let mut instances = Vec::new();
    let error = loop {
        match mint(&greedy) {
            Ok(instance) => instances.push(instance),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("the component has"), "{error}");
    assert!(mappings_of_process() - before <= most / 8 * 7 + 100);
    // Other components and the host still have room.
    let others: Vec<_> = (0..100).map(|_| mint(&modest).unwrap()).collect();
    assert!(thread::spawn(|| ()).join().is_ok());
    drop(others);
    // Idle slabs keep fewer mappings.
    drop(instances);
    assert!(mappings_of_process() - before <= most / 4 * 3 + 1000);

    // A component alone may have everything that slabs may have.
    drop(modest);
    let mut instances = Vec::new();
    let error = loop {
        match mint(&greedy) {
            Ok(instance) => instances.push(instance),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("raise `vm.max_map_count`"), "{error}");
    assert!(mappings_of_process() - before <= most / 8 * 7 + 100);
    assert!(thread::spawn(|| ()).join().is_ok());
}

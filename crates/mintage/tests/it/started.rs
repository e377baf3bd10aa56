//! Start functions: they run once for all instances where the difference cannot be observed, and
//! each time where it can.
//!
//! Whether guest code runs is seen by an interrupted store, in which any of it traps.

use mintage::{
    AsContextMut, Component, Config, Engine, Instance, InstancePre, Linker, PoolConfig, Resource,
    ResourceType, Result, Store, StoreLimits, StoreLimitsBuilder, Trap,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn engine(pool: &PoolConfig) -> Engine {
    Engine::new(Config::new().interruptible(true).pool(pool)).unwrap()
}

/// All ways to keep and to map an image.
fn engines() -> Vec<Engine> {
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    ways.map(|(memfd, scan)| engine(PoolConfig::new().memfd(memfd).pagemap_scan(scan)))
        .into()
}

/// Host data: limits, and how often the host was called.
#[derive(Clone, Default)]
struct Host {
    limits: StoreLimits,
    calls: Arc<AtomicU32>,
}

fn store(engine: &Engine, host: &Host) -> Store<Host> {
    let mut store = Store::new(engine, host.clone());
    store.limiter(|host| &mut host.limits);
    store
}

fn linked(engine: &Engine, text: &str) -> InstancePre<Host> {
    let component = Component::new(engine, text).unwrap_or_else(|error| panic!("{error:?}"));
    let mut linker = Linker::new(engine);
    let mut root = linker.root();
    root.func_wrap("host", |store, (): ()| {
        let calls = &mintage::StoreContextMut::<Host>::data(&store).calls;
        Ok((calls.fetch_add(1, Ordering::Relaxed),))
    })
    .unwrap();
    linker
        .instantiate_pre(&component)
        .unwrap_or_else(|error| panic!("{error:?}"))
}

/// Whether an instance can be made without running guest code.
fn runs_nothing(pre: &InstancePre<Host>, host: &Host) -> bool {
    let mut store = store(pre.engine(), host);
    store.interrupt_handle().unwrap().interrupt();
    match pre.instantiate(&mut store) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{error:?}");
            false
        }
    }
}

fn call(
    mut store: impl AsContextMut,
    instance: &Instance,
    name: &str,
    argument: u32,
) -> Result<u32> {
    let func = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name)?;
    Ok(func.call(&mut store, (argument,))?.0)
}

/// A component of one core module with these fields, with exports of `u32` to `u32` by name.
fn component(fields: &str, exports: &[&str]) -> String {
    let lifts: String = exports
        .iter()
        .map(|name| {
            format!(
                r#"(func (export "{name}") (param "x" u32) (result u32)
                     (canon lift (core func $i "{name}")))"#
            )
        })
        .collect();
    format!(
        r#"(component
             (import "host" (func $host (result u32)))
             (core func $host (canon lower (func $host)))
             (core module $m (import "" "host" (func $host (result i32))) {fields})
             (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
             {lifts})"#
    )
}

/// All kinds of state: memories that are written and grown, globals, tables, segments that are
/// dropped.
const WORK: &str = r#"
    (memory 2 200) (memory $second 1)
    (data (i32.const 8) "data") (data $passive "passive")
    (global $count (mut i64) (i64.const 5))
    (table $table 3 300 funcref) (elem $passive-elem func $two $two)
    (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
    (elem (table $table) (i32.const 0) func $one)
    (func $start (local $i i32)
      (loop $more
        ;; Every third page of the grown memory, and a part of the second.
        (drop (memory.grow (i32.const 1)))
        (i32.store (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 12288)))
          (local.get $i))
        (i64.store $second (i32.mul (local.get $i) (i32.const 8)) (i64.const -1))
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
          (i32.const 100))))
      (i32.store (i32.const 8) (i32.const 0))
      (memory.init $passive (i32.const 20) (i32.const 0) (i32.const 7))
      (data.drop $passive)
      (drop (table.grow $table (ref.func $two) (i32.const 100)))
      (table.init $table $passive-elem (i32.const 1) (i32.const 0) (i32.const 1))
      (elem.drop $passive-elem))
    (start $start)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "store") (param i32) (result i32) (i32.store (local.get 0) (i32.const -1))
      (i32.load (local.get 0)))
    (func (export "second") (param i32) (result i32) (i32.load $second (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "count") (param i32) (result i32)
      (global.set $count (i64.add (global.get $count) (i64.const 1))) (i32.wrap_i64
        (global.get $count)))
    (func (export "tables") (param i32) (result i32) (table.size $table))
    (func (export "call") (param i32) (result i32) (call_indirect $table (result i32)
      (local.get 0)))
    (func (export "clear") (param i32) (result i32) (table.set $table (local.get 0)
      (ref.null func)) (i32.const 0))
    (func (export "init") (param i32) (result i32)
      (memory.init $passive (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0))
    (func (export "init-elem") (param i32) (result i32)
      (table.init $table $passive-elem (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0))"#;
const EXPORTS: &[&str] = &[
    "load",
    "store",
    "second",
    "grow",
    "count",
    "tables",
    "call",
    "clear",
    "init",
    "init-elem",
];

/// What an instance of `WORK` looks like; then changes all of it.
fn inspect(pre: &InstancePre<Host>) -> Vec<String> {
    let mut seen = Vec::new();
    let questions = (0..40).map(|i| ("load", i * 8 * 4096)).chain([
        ("load", 102 * 65536 - 4),
        ("load", 102 * 65536),
        ("load", 8),
        ("load", 20),
        ("second", 792),
        ("second", 800),
        ("count", 0),
        ("tables", 0),
        ("call", 0),
        ("call", 1),
        ("call", 2),
        ("call", 3),
        ("call", 102),
        ("call", 103),
        ("init", 0),
        ("init", 1),
        ("init-elem", 1),
        ("grow", 98),
        ("grow", 99),
    ]);
    for (name, argument) in questions {
        // A trap ends an instance.
        let mut store = store(pre.engine(), &Host::default());
        let instance = pre.instantiate(&mut store).unwrap();
        let result = call(&mut store, &instance, name, argument);
        let result = result.map_err(|error| error.downcast_ref::<Trap>().copied());
        seen.push(format!("{name}({argument}) = {result:?}"));
        for (name, argument) in [
            ("store", argument & !4095),
            ("clear", 1),
            ("clear", 3),
            ("count", 0),
            ("grow", 3),
        ] {
            let _ = call(&mut store, &instance, name, argument);
        }
    }
    seen
}

#[test]
fn kept_results_of_start_functions_equal_fresh_ones() {
    let text = component(WORK, EXPORTS);
    let each_time = engine(PoolConfig::new().keep_started(false));
    let pre = linked(&each_time, &text);
    let expected = inspect(&pre);
    assert!(!runs_nothing(&pre, &Host::default()));
    for answer in [
        "load(163840) = Ok(0)",
        "load(131072) = Ok(0)",
        "load(425984) = Ok(24)",
        "load(6684668) = Ok(0)",
        "load(6684672) = Err(Some(MemoryOutOfBounds))",
        "load(8) = Ok(0)",
        "load(20) = Ok(1936941424)",
        "second(792) = Ok(4294967295)",
        "second(800) = Ok(0)",
        "count(0) = Ok(106)",
        "tables(0) = Ok(103)",
        "call(0) = Ok(1)",
        "call(1) = Ok(2)",
        "call(2) = Err(Some(IndirectCallToNull))",
        "call(102) = Ok(2)",
        "call(103) = Err(Some(TableOutOfBounds))",
        "init(1) = Err(Some(MemoryOutOfBounds))",
        "init-elem(1) = Err(Some(TableOutOfBounds))",
        "grow(98) = Ok(102)",
        "grow(99) = Ok(4294967295)",
    ] {
        assert!(
            expected.iter().any(|line| line == answer),
            "{answer} is not among {expected:#?}"
        );
    }
    for engine in engines() {
        let pre = linked(&engine, &text);
        assert_eq!(inspect(&pre), expected);
        assert!(runs_nothing(&pre, &Host::default()));
    }
}

#[test]
fn start_functions_that_call_the_host_run_each_time() {
    let text = component("(func $start (drop (call $host))) (start $start)", &[]);
    for engine in engines() {
        let (pre, host) = (linked(&engine, &text), Host::default());
        for count in 1..4 {
            pre.instantiate(store(&engine, &host)).unwrap();
            assert_eq!(host.calls.load(Ordering::Relaxed), count);
        }
        assert!(!runs_nothing(&pre, &host));
    }
}

/// Handles are kept outside of the slab.
#[test]
fn start_functions_that_make_resources_run_each_time() {
    for drop in ["", "(call $drop (local.get 0))"] {
        let text = format!(
            r#"(component
                 (type $r (resource (rep i32)))
                 (core func $new (canon resource.new $r)) (core func $rep (canon resource.rep $r))
                 (core func $drop (canon resource.drop $r))
                 (core module $m
                   (import "" "new" (func $new (param i32) (result i32)))
                   (import "" "rep" (func $rep (param i32) (result i32)))
                   (import "" "drop" (func $drop (param i32)))
                   (func $start (local i32) (local.set 0 (call $new (i32.const 42))) {drop})
                   (start $start)
                   (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
                   (func (export "rep") (param i32) (result i32) (call $rep (local.get 0))))
                 (core instance $i (instantiate $m (with "" (instance
                   (export "new" (func $new)) (export "rep" (func $rep)) (export "drop"
                     (func $drop))))))
                 (func (export "new") (param "x" u32) (result u32) (canon lift
                   (core func $i "new")))
                 (func (export "rep") (param "x" u32) (result u32) (canon lift
                   (core func $i "rep"))))"#
        );
        let engine = engine(&PoolConfig::new());
        let pre = linked(&engine, &text);
        for _ in 0..3 {
            let mut store = store(&engine, &Host::default());
            let instance = pre.instantiate(&mut store).unwrap();
            let next = if drop.is_empty() { 2 } else { 1 };
            assert_eq!(call(&mut store, &instance, "new", 7).unwrap(), next);
            let first = if drop.is_empty() { 42 } else { 7 };
            assert_eq!(call(&mut store, &instance, "rep", 1).unwrap(), first);
        }
        assert!(!runs_nothing(&pre, &Host::default()));
    }
}

/// A start function that asks for memory and notes what it got.
const ASKS: &str = r#"
    (memory 1) (global $got (mut i32) (i32.const 0))
    (func $start (global.set $got (memory.grow (i32.const 3))))
    (start $start)
    (func (export "got") (param i32) (result i32) (global.get $got))
    (func (export "size") (param i32) (result i32) (memory.size))"#;

#[test]
fn growth_is_kept_for_stores_that_allow_it() {
    let text = component(ASKS, &["got", "size"]);
    let host = |pages: usize| Host {
        limits: StoreLimitsBuilder::new().memory_size(pages << 16).build(),
        ..Host::default()
    };
    for engine in engines() {
        let pre = linked(&engine, &text);
        let ask = |host: &Host| {
            let mut store = store(&engine, host);
            let instance = pre.instantiate(&mut store).unwrap();
            ["got", "size"].map(|name| call(&mut store, &instance, name, 0).unwrap() as i32)
        };
        // Refused, which the next store need not do.
        assert_eq!(ask(&host(3)), [-1, 1]);
        assert!(!runs_nothing(&pre, &host(4)));
        assert_eq!(ask(&host(4)), [1, 4]);
        assert!(runs_nothing(&pre, &host(4)));
        assert!(runs_nothing(&pre, &Host::default()));
        // What was kept is too large for this one.
        assert_eq!(ask(&host(3)), [-1, 1]);
        assert!(!runs_nothing(&pre, &host(3)));
        assert_eq!(ask(&host(5)), [1, 4]);
        let error = pre
            .instantiate(store(&engine, &host(0)))
            .unwrap_err()
            .to_string();
        assert!(error.contains("starts with"), "{error}");
    }
}

#[test]
fn start_functions_that_trap_do_so_each_time() {
    let text = component(
        "(memory 1)
         (func $start (i32.store (i32.const 0) (i32.const 1)) unreachable)
         (start $start)",
        &[],
    );
    let engine = engine(&PoolConfig::new());
    let pre = linked(&engine, &text);
    for _ in 0..3 {
        let error = pre
            .instantiate(store(&engine, &Host::default()))
            .unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    }
}

/// The heap is kept as it has grown, at first to as much as is needed, as the store allows no more.
#[test]
fn grown_gc_heaps_are_kept_for_stores_that_allow_them() {
    let text = component(
        r#"(type $bytes (array (mut i8)))
           (global $first (mut (ref null $bytes)) (ref.null $bytes)) (global $second (mut
             (ref null $bytes)) (ref.null $bytes))
           (func $start
             (global.set $first (array.new $bytes (i32.const 7) (i32.const 100000)))
             (global.set $second (array.new $bytes (i32.const 8) (i32.const 200000))))
           (start $start)
           (func (export "first") (param i32) (result i32) (array.get_u $bytes (global.get $first)
             (local.get 0)))
           (func (export "second") (param i32) (result i32) (array.get_u $bytes
             (global.get $second) (local.get 0)))"#,
        &["first", "second"],
    );
    for trap in [false, true] {
        let engine = Engine::new(Config::new().interruptible(true).wasm_gc(true)).unwrap();
        let pre = linked(&engine, &text);
        let use_one = |host: &Host| {
            let mut store = store(&engine, host);
            let instance = pre.instantiate(&mut store).unwrap();
            assert_eq!(call(&mut store, &instance, "first", 99_999).unwrap(), 7);
            assert_eq!(call(&mut store, &instance, "second", 199_999).unwrap(), 8);
        };
        // Two halves of five pages, which is what is needed; more is refused, maybe with an error.
        let limits = StoreLimitsBuilder::new()
            .memory_size(10 << 16)
            .trap_on_grow_failure(trap);
        let limited = Host {
            limits: limits.build(),
            ..Host::default()
        };
        use_one(&limited);
        assert!(!runs_nothing(&pre, &Host::default()));
        use_one(&Host::default());
        assert!(runs_nothing(&pre, &Host::default()));
        use_one(&Host::default());
        assert!(!runs_nothing(&pre, &limited));
        use_one(&limited);
    }
}

/// What takes the host too much memory to keep is made each time.
#[test]
fn start_functions_that_write_a_lot_run_each_time() {
    for (pages, of_eight, kept) in [
        (1000, 8, true),
        (1100, 8, false),
        (1000, 3, true),
        (1100, 3, false),
    ] {
        // So many of every eight pages of the host.
        let text = component(
            &format!(
                r#"(memory {pages})
                   (func $start (local $at i32)
                     (loop $more
                       (memory.fill (local.get $at) (i32.const 7) (i32.const {}))
                       (local.set $at (i32.add (local.get $at) (i32.const 32768)))
                       (br_if $more (i32.lt_u (local.get $at) (i32.const {})))))
                   (start $start)
                   (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))"#,
                of_eight << 12,
                pages << 16,
            ),
            &["load"],
        );
        let engine = engine(&PoolConfig::new());
        let pre = linked(&engine, &text);
        for _ in 0..2 {
            let mut store = store(&engine, &Host::default());
            let instance = pre.instantiate(&mut store).unwrap();
            assert_eq!(
                call(&mut store, &instance, "load", 0x123_0000).unwrap(),
                0x0707_0707
            );
        }
        assert_eq!(
            runs_nothing(&pre, &Host::default()),
            kept,
            "{pages} {of_eight}"
        );
    }
}

/// Several components inside, each with a start function, and segments behind them.
#[test]
fn results_of_nested_start_functions_are_kept() {
    let text = r#"(component
        (component $inner
          (core module $m
            (memory (export "memory") 1) (global $g (mut i32) (i32.const 1))
            (func $start (i32.store (i32.const 0) (i32.const 0x01010101)) (global.set $g
              (i32.const 2)))
            (start $start)
            (func (export "g") (param i32) (result i32) (i32.add (global.get $g) (local.get 0))))
          (core instance $a (instantiate $m))
          (core module $n (import "a" "memory" (memory 1)) (data (i32.const 1) "\40")
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))
          (core instance $b (instantiate $n (with "a" (instance $a))))
          (func (export "g") (param "x" u32) (result u32) (canon lift (core func $a "g")))
          (func (export "load") (param "x" u32) (result u32) (canon lift (core func $b "load"))))
        (instance $first (instantiate $inner)) (instance $second (instantiate $inner))
        (alias export $second "g" (func $g)) (alias export $first "load" (func $load))
        (export "g" (func $g)) (export "load" (func $load)))"#;
    for engine in engines() {
        let pre = linked(&engine, text);
        for _ in 0..3 {
            let mut store = store(&engine, &Host::default());
            let instance = pre.instantiate(&mut store).unwrap();
            assert_eq!(call(&mut store, &instance, "g", 5).unwrap(), 7);
            assert_eq!(call(&mut store, &instance, "load", 0).unwrap(), 0x0101_4001);
        }
        assert!(runs_nothing(&pre, &Host::default()));
    }
}

/// The host's resources in a start function are calls of the host, by their destructor, too.
#[test]
fn start_functions_that_drop_host_resources_run_each_time() {
    struct Thing;
    let engine = engine(&PoolConfig::new());
    let text = r#"(component
        (import "thing" (type $t (sub resource)))
        (import "make" (func $make (result (own $t))))
        (core func $make (canon lower (func $make))) (core func $drop (canon resource.drop $t))
        (core module $m (import "" "make" (func $make (result i32))) (import "" "drop" (func $drop
          (param i32)))
          (func $start (call $drop (call $make))) (start $start))
        (core instance (instantiate $m (with "" (instance (export "make" (func $make))
          (export "drop" (func $drop)))))))"#;
    let dropped = Arc::new(AtomicU32::new(0));
    let mut linker = Linker::<()>::new(&engine);
    let count = dropped.clone();
    linker
        .root()
        .resource("thing", ResourceType::host::<Thing>(), move |_, rep| {
            count.fetch_add(rep, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    linker
        .root()
        .func_wrap("make", |_, (): ()| Ok((Resource::<Thing>::new_own(3),)))
        .unwrap();
    let pre = linker
        .instantiate_pre(&Component::new(&engine, text).unwrap())
        .unwrap();
    for count in 1..4 {
        pre.instantiate(&mut Store::new(&engine, ())).unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 3 * count);
    }
}

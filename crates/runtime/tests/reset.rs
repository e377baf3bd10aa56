//! Whatever guests and hosts do to instances, in any order, the next instance reads what the image says. On every way to reset.

mod common;

use common::*;
use mintage_environ::component::CoreItem;
use mintage_environ::{GlobalId, MemoryId, TableId, ValType};
use mintage_runtime::{
    Code, HostTable, Instance, Limits, LoadCheck, Pool, PoolConfig, Stopped, StoreWords, run_initializers,
};
use proptest::prelude::*;
use std::ptr;
use std::sync::{Arc, OnceLock};

const MEMORY: u64 = 5 << 16;

/// A guest with everything that can be written, and whose host function fails as it is told. With `start`, the image is what
/// the start function leaves.
fn fields(start: &str) -> String {
    let data = "0123456789abcdef".repeat(3000);
    format!(
        r#"(memory (export "memory") 5 9) (memory (export "small") 1 3)
           (table $t (export "table") 700 3000 funcref) (table $u (export "sparse") 2 funcref)
           (global $g (export "global") (mut i64) (i64.const 77))
           (data (i32.const 100) "short") (data (i32.const 70000) "{data}") (data (memory 1) (i32.const 65530) "end")
           (data $passive "passive") (elem $functions func $f $f)
           (func $f) (elem (table $t) (i32.const 0) func {functions})
           (func $work
             (i32.store (i32.const 40000) (i32.const 1)) (memory.fill (i32.const 200000) (i32.const 3) (i32.const 30000))
             (drop (memory.grow 1 (i32.const 1))) (i32.store 1 (i32.const 65536) (i32.const 5))
             (drop (table.grow $t (ref.func $f) (i32.const 10))) (global.set $g (i64.const 78)))
           {start}
           (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
           (func (export "store_small") (param i32 i32) (i32.store8 1 (local.get 0) (local.get 1)))
           (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 0xa5) (local.get 1)))
           (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
           (func (export "grow_small") (param i32) (result i32) (memory.grow 1 (local.get 0)))
           (func (export "grow_table") (param i32) (result i32) (table.grow $t (ref.func $f) (local.get 0)))
           (func (export "set") (param i32) (table.set $t (local.get 0) (ref.null func)))
           (func (export "fill_table") (param i32 i32) (table.fill $t (local.get 0) (ref.null func) (local.get 1)))
           (func (export "set_sparse") (table.set $u (i32.const 1) (ref.func $f)))
           (func (export "global_set") (param i64) (global.set $g (local.get 0)))
           (func (export "drop") (data.drop $passive) (elem.drop $functions))
           (func (export "init") (memory.init $passive (i32.const 9) (i32.const 0) (i32.const 7))
             (table.init $u $functions (i32.const 0) (i32.const 0) (i32.const 2)))
           (func (export "trap") (param i32) (i32.store8 (local.get 0) (i32.const 1)) unreachable)
           (func $overflow (export "overflow") (param i32) (i32.store8 (local.get 0) (i32.const 1)) (call $overflow (local.get 0)))
           (func (export "host") (param i32) (result i32)
             (i32.store8 (i32.const 3) (i32.const 1)) (call $f_host (local.get 0)))"#,
        functions = "$f ".repeat(700)
    )
    .replace("$f_host", "$f0")
}

/// One way to map and reset slabs, with a component whose image is the artifact's or the start function's.
struct Way {
    code: Arc<Code>,
    imports: Arc<HostTable>,
    initial: State,
}

/// All that a guest can see of an instance.
#[derive(Debug, PartialEq, Eq)]
struct State {
    memories: Vec<Vec<u8>>,
    tables: Vec<Vec<Option<u64>>>,
    global: [u64; 2],
}

struct Ids {
    memories: [MemoryId; 2],
    tables: [TableId; 2],
    global: GlobalId,
}

impl Ids {
    fn of(code: &Code) -> Ids {
        let exports = &code.interface().core_exports;
        let global = exports.iter().find_map(|export| match export.item {
            CoreItem::Global(id, _) => Some(id),
            _ => None,
        });
        Ids {
            memories: ["memory", "small"].map(|name| memory(code, name)),
            tables: ["table", "sparse"].map(|name| exported_table(code, name)),
            global: global.unwrap(),
        }
    }
}

impl State {
    fn of(instance: &Instance) -> State {
        let ids = Ids::of(instance.code());
        let entries = |id| {
            (0..=instance.table_size(id))
                .map(|index| instance.table_get(id, index))
                .collect()
        };
        State {
            memories: ids.memories.iter().map(|&id| instance.memory(id).to_vec()).collect(),
            tables: ids.tables.iter().map(|&id| entries(id)).collect(),
            global: instance.global(ids.global, ValType::I64),
        }
    }
}

impl Way {
    fn new(config: &PoolConfig, start: &str) -> Way {
        let fields = fields(start).replace("$f0", "$host");
        let text = format!(
            r#"(component
                 (import "f" (func $f (param "x" u32) (result u32)))
                 (core func $lowered (canon lower (func $f)))
                 (core module $m (import "host" "f" (func $host (param i32) (result i32))) {fields})
                 (core instance (instantiate $m (with "host" (instance (export "f" (func $lowered)))))))"#
        );
        let check = LoadCheck {
            tunables: tunables(),
            ..LoadCheck::default()
        };
        // SAFETY: the compiler made it.
        let code = unsafe { Code::from_bytes(&artifact(&text), &check, &Pool::new(config)) }.unwrap();
        let imports = table(&code, |call| match call.words[0] as u32 {
            0 => Ok(()),
            1 => anyhow::bail!("the host refuses"),
            _ => panic!("the host panics"),
        });
        let first = Way::instantiate_with(&imports);
        let initial = State::of(&first);
        drop(first);
        Way { code, imports, initial }
    }

    fn instantiate_with(imports: &Arc<HostTable>) -> Instance {
        let code = imports.code();
        let words = StoreWords::default();
        let instance = Instance::new(code, code.image(), imports, Limits::default(), 0, words).unwrap();
        // SAFETY: the instance is new, and its start function calls no host function.
        unsafe { run_initializers(instance.handle(), ptr::null_mut()) }.unwrap();
        instance
    }

    fn instantiate(&self) -> Instance {
        Way::instantiate_with(&self.imports)
    }
}

/// Every combination of what can be switched, over both kinds of image; made once, since compiling takes longest.
fn ways() -> &'static [Way] {
    static WAYS: OnceLock<Vec<Way>> = OnceLock::new();
    WAYS.get_or_init(|| {
        // What guests' panics print helps nobody here.
        std::panic::set_hook(Box::new(|info| {
            let text = info.payload().downcast_ref::<&str>();
            if text != Some(&"the host panics") {
                eprintln!("{info}");
            }
        }));
        let mut ways = Vec::new();
        for number in 0..16 {
            let switch = |bit: u32| number >> bit & 1 == 0;
            let mut config = PoolConfig::new();
            config
                .pagemap_scan(switch(0))
                .memfd(switch(1))
                .background_reset(!switch(2));
            let start = if switch(3) { "" } else { "(start $work)" };
            config.keep_resident([1 << 20, 64 << 10, 0][number % 3]);
            ways.push(Way::new(&config, start));
        }
        // New mappings each time, and starts that run each time.
        ways.push(Way::new(PoolConfig::new().max_unused_warm_slots(0), ""));
        ways.push(Way::new(PoolConfig::new().keep_started(false), "(start $work)"));
        ways.push(Way::new(
            PoolConfig::new().total_keep_resident(100_000),
            "(start $work)",
        ));
        ways
    })
}

#[derive(Clone, Debug)]
enum Step {
    New,
    /// The instance with this number, of those that live, is dropped.
    Drop(usize),
    /// A call of an export with arguments; whether it traps is its own business.
    Call(usize, &'static str, Vec<u64>),
    /// The host writes to guest memory.
    Write(usize, usize, usize),
    /// The host writes to a global and a table.
    Poke(usize, u64),
    HostGrows(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..4usize;
    // Often at the ends of pages, sometimes outside.
    let address = prop_oneof![
        0..MEMORY,
        (0..MEMORY / 4096).prop_map(|page| page * 4096 + 4095),
        0..MEMORY * 2
    ];
    let call = |name: &'static str| move |(which, args)| Step::Call(which, name, args);
    let one = |range: std::ops::Range<u64>| (which.clone(), range.prop_map(|value| vec![value]));
    let two = |first: std::ops::Range<u64>, second: std::ops::Range<u64>| {
        (
            which.clone(),
            (first, second).prop_map(|(first, second)| vec![first, second]),
        )
    };
    let none = (which.clone(), Just(Vec::new()));
    prop_oneof![
        4 => Just(Step::New),
        3 => which.clone().prop_map(Step::Drop),
        8 => (which.clone(), (address, 1..256u64).prop_map(|(at, value)| vec![at, value])).prop_map(call("store")),
        2 => two(0..3 << 16, 1..256).prop_map(call("store_small")),
        2 => two(0..MEMORY, 0..MEMORY).prop_map(call("fill")),
        2 => one(0..6).prop_map(call("grow")),
        2 => one(0..3).prop_map(call("grow_small")),
        1 => one(0..3000).prop_map(call("grow_table")),
        2 => one(0..1000).prop_map(call("set")),
        1 => two(0..700, 0..800).prop_map(call("fill_table")),
        1 => none.clone().prop_map(call("set_sparse")),
        1 => one(0..u64::MAX).prop_map(call("global_set")),
        1 => none.clone().prop_map(call("drop")),
        1 => none.prop_map(call("init")),
        1 => one(0..MEMORY).prop_map(call("trap")),
        1 => one(0..MEMORY).prop_map(call("overflow")),
        2 => one(0..3).prop_map(call("host")),
        2 => (which.clone(), 0..MEMORY as usize, 1..20_000usize).prop_map(|(which, at, len)| Step::Write(which, at, len)),
        1 => (which.clone(), 0..700u64).prop_map(|(which, index)| Step::Poke(which, index)),
        1 => (which.clone(), 0..3u64).prop_map(|(which, pages)| Step::HostGrows(which, pages)),
    ]
}

fn take(way: &Way, step: &Step, live: &mut Vec<Instance>) {
    let ids = Ids::of(&way.code);
    match step {
        Step::New => {
            let instance = way.instantiate();
            assert!(
                State::of(&instance) == way.initial,
                "a new instance is not as the image says"
            );
            live.push(instance);
        }
        Step::Drop(which) if !live.is_empty() => drop(live.swap_remove(which % live.len())),
        Step::Call(which, name, args) if !live.is_empty() => {
            match invoke(live[which % live.len()].handle(), name, args) {
                Ok(_) | Err(Stopped::Trap(_)) => {}
                Err(Stopped::Host(error)) => assert_eq!(error.to_string(), "the host refuses"),
                Err(Stopped::Panic(payload)) => assert_eq!(payload.downcast_ref(), Some(&"the host panics")),
            }
        }
        Step::Write(which, at, len) if !live.is_empty() => {
            let count = live.len();
            let bytes = live[which % count].memory_mut(ids.memories[0]);
            let end = (at + len).min(bytes.len());
            bytes[*at..end].fill(0x5a);
        }
        Step::Poke(which, index) if !live.is_empty() => {
            let count = live.len();
            let instance = &mut live[which % count];
            // SAFETY: the global is an `i64`, and null is a value of the table.
            unsafe {
                instance.set_global(ids.global, ValType::I64, [*index, 0]);
                instance.table_set(ids.tables[0], *index, 0);
            }
        }
        Step::HostGrows(which, pages) if !live.is_empty() => {
            let count = live.len();
            let _ = live[which % count].memory_grow(ids.memories[1], *pages);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn new_instances_read_the_image(steps in prop::collection::vec(step(), 1..60)) {
        for way in ways() {
            let mut live = Vec::new();
            for step in &steps {
                take(way, step, &mut live);
            }
            drop(live);
            take(way, &Step::New, &mut Vec::new());
        }
    }
}

/// The initial state is what the text says, and not just the same each time.
#[test]
fn images_hold_what_the_component_says() {
    for way in ways() {
        let State {
            memories,
            tables,
            global,
        } = &way.initial;
        let started = global[0] == 78;
        assert_eq!(memories[0][100..105], *b"short");
        assert_eq!(memories[0][40000], started as u8);
        assert_eq!(memories[0][229_999], if started { 3 } else { 0 });
        assert_eq!(memories[0].len(), MEMORY as usize);
        assert_eq!(memories[1].len(), if started { 2 << 16 } else { 1 << 16 });
        assert_eq!(tables[0].len(), if started { 711 } else { 701 });
        assert_eq!(tables[1], [Some(0), Some(0), None]);
    }
    assert!(ways().iter().any(|way| way.initial.global[0] == 77));
    assert!(ways().iter().any(|way| way.initial.global[0] == 78));
}

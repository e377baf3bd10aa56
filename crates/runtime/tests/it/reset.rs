//! Resets: whatever guests and hosts do to instances, in any order, the next instance reads what
//! the image says. All combinations of settings are tested.

use crate::common::*;
use mintage_environ::component::CoreItem;
use mintage_environ::{GlobalId, MemoryId, ObjectTypeId, TableId, Trap, ValType};
use mintage_runtime::{
    Code, Growth, HostAccess, HostTable, Instance, Limiter, Limits, LoadCheck, Pool, PoolConfig,
    Stopped, StoreWords, run_initializers,
};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};
use std::thread;

const MEMORY: u64 = 5 << 16;

/// A guest with everything that can be written, and with a host function that fails when told to.
/// With `start`, the image is what the start function leaves.
fn fields(start: &str) -> String {
    let data = "0123456789abcdef".repeat(3000);
    format!(
        r#"(memory (export "memory") 5 9) (memory (export "small") 1 3)
           (table $t (export "table") 700 3000 funcref) (table $u (export "sparse") 2 funcref)
           (global $g (export "global") (mut i64) (i64.const 77))
           (data (i32.const 100) "short") (data (i32.const 70000) "{data}") (data (memory 1)
             (i32.const 65530) "end")
           (data $passive "passive") (elem $functions func $f $f)
           (func $f) (elem (table $t) (i32.const 0) func {functions})
           (func $work
             (i32.store (i32.const 40000) (i32.const 1)) (memory.fill (i32.const 200000)
               (i32.const 3) (i32.const 30000))
             (drop (memory.grow 1 (i32.const 1))) (i32.store 1 (i32.const 65536) (i32.const 5))
             (drop (table.grow $t (ref.func $f) (i32.const 10))) (global.set $g (i64.const 78))
             (call $keep (i32.const 5000)) (call $churn (i32.const 9000)) (call $set_fixed
               (i32.const 3)))
           {start}
           (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
           (func (export "store_small") (param i32 i32) (i32.store8 1 (local.get 0) (local.get 1)))
           (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 0xa5)
             (local.get 1)))
           (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
           (func (export "grow_small") (param i32) (result i32) (memory.grow 1 (local.get 0)))
           (func (export "grow_table") (param i32) (result i32) (table.grow $t (ref.func $f)
             (local.get 0)))
           (func (export "set") (param i32) (table.set $t (local.get 0) (ref.null func)))
           (func (export "fill_table") (param i32 i32) (table.fill $t (local.get 0) (ref.null func)
             (local.get 1)))
           (func (export "set_sparse") (table.set $u (i32.const 1) (ref.func $f)))
           (func (export "global_set") (param i64) (global.set $g (local.get 0)))
           (func (export "drop") (data.drop $passive) (elem.drop $functions))
           (func (export "init") (memory.init $passive (i32.const 9) (i32.const 0) (i32.const 7))
             (table.init $u $functions (i32.const 0) (i32.const 0) (i32.const 2)))
           (func (export "trap") (param i32) (i32.store8 (local.get 0) (i32.const 1)) unreachable)
           (func $overflow (export "overflow") (param i32) (i32.store8 (local.get 0) (i32.const 1))
             (call $overflow (local.get 0)))
           (func (export "host") (param i32) (result i32)
             (i32.store8 (i32.const 3) (i32.const 1)) (call $f_host (local.get 0)))
           {OBJECTS}"#,
        functions = "$f ".repeat(700)
    )
    .replace("$f_host", "$f0")
}

/// GC objects: a static one, a list, an array and a table that globals lead to, and exceptions.
/// `objects` returns a number that depends on all reachable objects.
const OBJECTS: &str = r#"
    (type $node (struct (field (mut i32)) (field (mut (ref null $node)))))
    (type $bytes (array (mut i8)))
    (tag $bad (param i32))
    (global $fixed (ref $node) (struct.new $node (i32.const 41) (ref.null $node)))
    (global $list (export "list") (mut (ref null $node)) (ref.null $node))
    (global $bytes (export "bytes") (mut (ref null $bytes)) (ref.null $bytes))
    (table $nodes (export "nodes") 3 3 (ref null $node))
    (func $node (export "node") (param i32) (result (ref $node)) (struct.new $node (local.get 0)
      (ref.null $node)))
    (func $churn (export "churn") (param i32)
      (loop $more
        (drop (call $node (local.get 0)))
        (br_if $more (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))))
    (func $keep (export "keep") (param i32)
      (loop $more
        (global.set $list (struct.new $node (local.get 0) (global.get $list)))
        (br_if $more (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))))
    (func (export "forget") (global.set $list (ref.null $node)))
    (func (export "array") (param i32 i32) (global.set $bytes (array.new $bytes (local.get 1)
      (local.get 0))))
    (func $set_fixed (export "set_fixed") (param i32)
      (struct.set $node 0 (global.get $fixed) (local.get 0))
      (struct.set $node 1 (global.get $fixed) (call $node (local.get 0))))
    (func (export "set_node") (param i32 i32) (table.set $nodes (local.get 0) (call $node
      (local.get 1))))
    (func $throw (export "throw") (param i32) (throw $bad (local.get 0)))
    (func (export "catch") (param i32)
      (block $caught (result i32)
        (try_table (catch $bad $caught) (call $throw (local.get 0)))
        (unreachable))
      (i32.store8 (i32.const 1)))
    (func $mix (param i64 i32) (result i64)
      (i64.add (i64.mul (local.get 0) (i64.const 31)) (i64.extend_i32_u (local.get 1))))
    (func $mix_node (param i64 (ref null $node)) (result i64)
      (if (result i64) (ref.is_null (local.get 1))
        (then (call $mix (local.get 0) (i32.const -1)))
        (else (call $mix (local.get 0) (struct.get $node 0 (local.get 1))))))
    (func (export "objects") (result i64) (local $sum i64) (local $at (ref null $node))
      (local $i i32)
      (local.set $at (global.get $list))
      (block $end
        (loop $more
          (br_if $end (ref.is_null (local.get $at)))
          (local.set $sum (call $mix_node (local.get $sum) (local.get $at)))
          (local.set $at (struct.get $node 1 (local.get $at)))
          (br $more)))
      (local.set $sum (call $mix_node (local.get $sum) (global.get $fixed)))
      (local.set $sum (call $mix_node (local.get $sum) (struct.get $node 1 (global.get $fixed))))
      (loop $more
        (local.set $sum (call $mix_node (local.get $sum) (table.get $nodes (local.get $i))))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
          (i32.const 3))))
      (if (i32.eqz (ref.is_null (global.get $bytes)))
        (then (local.set $sum (call $mix (local.get $sum) (array.len (global.get $bytes))))))
      (local.get $sum))"#;

/// One combination of settings, with a component whose image is the artifact's or the start
/// function's.
struct Way {
    code: Arc<Code>,
    imports: Arc<HostTable>,
    initial: Report,
}

/// What the host can read of an instance.
#[derive(Debug, PartialEq, Eq)]
struct State {
    memories: Vec<Vec<u8>>,
    tables: Vec<Vec<Option<u64>>>,
    globals: Vec<[u64; 2]>,
    flags: u64,
    poisoned: bool,
}

/// Everything that can be read of an instance.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    state: State,
    /// The results of calls that read, and change, everything else.
    answers: Vec<Result<u64, Trap>>,
    /// The type of a new object.
    object: Option<ObjectTypeId>,
    /// The questions of the calls to the limiter.
    growth: Vec<Growth>,
    /// The state after these calls, with memories grown to their limits.
    left: State,
}

struct Ids {
    memories: [MemoryId; 2],
    tables: [TableId; 3],
    globals: Vec<(GlobalId, ValType)>,
}

impl Ids {
    fn of(code: &Code) -> Ids {
        let exports = &code.interface().core_exports;
        let globals = exports.iter().filter_map(|export| match export.item {
            CoreItem::Global(id, ty) => Some((id, ty)),
            _ => None,
        });
        Ids {
            memories: ["memory", "small"].map(|name| memory(code, name)),
            tables: ["table", "sparse", "nodes"].map(|name| exported_table(code, name)),
            globals: globals.collect(),
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
        let (_, domain) = function(instance.code(), "objects");
        State {
            memories: ids
                .memories
                .iter()
                .map(|&id| instance.memory(id).to_vec())
                .collect(),
            tables: ids.tables.iter().map(|&id| entries(id)).collect(),
            globals: ids
                .globals
                .iter()
                .map(|&(id, ty)| instance.global(id, ty))
                .collect(),
            flags: instance.flags(domain),
            poisoned: instance.is_poisoned(),
        }
    }
}

impl Report {
    fn of(instance: Instance) -> Report {
        let state = State::of(&instance);
        let (mut growth, mut object) = (Vec::new(), None);
        let (_, domain) = function(instance.code(), "objects");
        let ends = [0, 1].map(|memory| state.memories[memory].len() as u64);
        let calls: &[(&str, &[u64])] = &[
            ("objects", &[]),
            ("node", &[0]),
            // More than the heap has room for, so that the limiter learns its size.
            ("array", &[100_000, 1]),
            ("node", &[0]),
            ("objects", &[]),
            ("init", &[]),
            ("store", &[ends[0], 1]),
            ("store_small", &[ends[1], 1]),
            ("set", &[state.tables[0].len() as u64 - 1]),
            ("grow", &[9 - (ends[0] >> 16)]),
            ("grow_small", &[3 - (ends[1] >> 16)]),
        ];
        let mut ask = |&(name, args): &(&str, &[u64])| {
            let result = invoke_with(instance.handle(), name, args, (&raw mut growth).cast());
            let answer = result.map_err(|stopped| trap(Err(stopped)).trap);
            if name == "node" {
                object = answer
                    .ok()
                    .and_then(|reference| instance.object_type(domain, reference));
            }
            answer
        };
        Report {
            answers: calls.iter().map(&mut ask).collect(),
            state,
            object,
            growth,
            left: State::of(&instance),
        }
    }
}

/// Allows everything, and notes it if the caller wants that.
///
/// # Safety
///
/// `host` is null, or points to a list that no one else uses.
unsafe fn growing(host: HostAccess, growth: &Growth) -> anyhow::Result<mintage_runtime::Permit> {
    // SAFETY: as the caller promises.
    if let Some(noted) = unsafe { pointer(host).cast::<Vec<Growth>>().as_mut() } {
        noted.push(*growth);
    }
    Ok(mintage_runtime::Permit::Granted)
}

/// # Safety
///
/// None needed.
unsafe fn failed(_: HostAccess, _: &Growth, error: anyhow::Error) -> anyhow::Result<()> {
    Err(error)
}

impl Way {
    fn new(config: &PoolConfig, start: &str) -> Way {
        let fields = fields(start).replace("$f0", "$host");
        let text = format!(
            r#"(component
                 (import "f" (func $f (param "x" u32) (result u32)))
                 (core func $lowered (canon lower (func $f)))
                 (core module $m (import "host" "f" (func $host (param i32) (result i32))) {fields})
                 (core instance (instantiate $m (with "host" (instance (export "f"
                   (func $lowered)))))))"#
        );
        let check = LoadCheck {
            tunables: tunables(),
            ..LoadCheck::default()
        };
        // SAFETY: the compiler made it.
        let code =
            unsafe { Code::from_bytes(&artifact(&text), &check, &Pool::new(config)) }.unwrap();
        let id = memory(&code, "memory");
        let imports = table(&code, move |call| match call.words[0] as u32 {
            0 => Ok(()),
            1 => anyhow::bail!("the host refuses"),
            2 => panic!("the host panics"),
            at => {
                // SAFETY: the instance calls this, so it lives and no one else uses it. The memory
                // has as many bytes.
                unsafe {
                    let (base, _) = call.instance.instance().memory_raw(id);
                    base.add(at as usize % MEMORY as usize).write(0x3c);
                }
                Ok(())
            }
        });
        let initial = Report::of(Way::instantiate_with(&imports));
        Way {
            code,
            imports,
            initial,
        }
    }

    fn instantiate_with(imports: &Arc<HostTable>) -> Instance {
        let limits = Limits {
            limiter: Some(Limiter { growing, failed }),
            ..Limits::default()
        };
        let instance = new_instance(imports, limits, StoreWords::default()).unwrap();
        // SAFETY: the instance is new, and its start function calls no host function.
        unsafe { run_initializers(instance.handle(), HostAccess::Nothing) }.unwrap();
        instance
    }

    fn instantiate(&self) -> Instance {
        Way::instantiate_with(&self.imports)
    }
}

/// Every combination of settings, over both kinds of image. They are made once, since compiling
/// takes longest.
fn ways() -> &'static [Way] {
    static WAYS: OnceLock<Vec<Way>> = OnceLock::new();
    WAYS.get_or_init(|| {
        // The messages of expected panics are not printed.
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
        // New mappings for each instance, and start functions that run for each.
        ways.push(Way::new(PoolConfig::new().max_unused_warm_slots(0), ""));
        ways.push(Way::new(
            PoolConfig::new().keep_started(false),
            "(start $work)",
        ));
        ways.push(Way::new(PoolConfig::new().page_fault_count(false), ""));
        ways.push(Way::new(
            PoolConfig::new().total_keep_resident(100_000),
            "(start $work)",
        ));
        ways
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// Makes an instance, and perhaps reads everything that the host can.
    New(bool),
    /// Drops one of the live instances.
    Drop(usize),
    /// Calls an export with arguments. It may trap.
    Call(usize, &'static str, Vec<u64>),
    /// The host writes to guest memory, perhaps on another thread.
    Write(usize, usize, usize, bool),
    /// Another thread gets the instance, writes to it by a call, and perhaps gives it back.
    Move(usize, u64, bool),
    /// The host writes to a global and a table.
    Poke(usize, u64),
    HostGrows(usize, u64),
}

/// Calls that make and change GC objects.
fn objects() -> impl Strategy<Value = Step> {
    let call = |name: &'static str| move |(which, args)| Step::Call(which, name, args);
    let with = |args: BoxedStrategy<Vec<u64>>| (0..4usize, args);
    let one = |range: std::ops::Range<u64>| with(range.prop_map(|value| vec![value]).boxed());
    let two = |first, second| {
        with(
            (first, second)
                .prop_map(|(first, second): (u64, u64)| vec![first, second])
                .boxed(),
        )
    };
    prop_oneof![
        1 => one(1..20_000).prop_map(call("churn")),
        2 => one(1..6000).prop_map(call("keep")),
        1 => with(Just(Vec::new()).boxed()).prop_map(call("forget")),
        1 => two((0..400_000u64).boxed(), (0..256u64).boxed()).prop_map(call("array")),
        1 => one(0..1000).prop_map(call("set_fixed")),
        1 => two((0..4u64).boxed(), (0..1000u64).boxed()).prop_map(call("set_node")),
        1 => one(0..1000).prop_map(call("throw")),
        1 => one(0..MEMORY).prop_map(call("catch")),
    ]
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
    let store = (address, 1..256u64).prop_map(|(at, value)| vec![at, value]);
    let none = (which.clone(), Just(Vec::new()));
    prop_oneof![
        4 => any::<bool>().prop_map(Step::New),
        3 => which.clone().prop_map(Step::Drop),
        8 => (which.clone(), store).prop_map(call("store")),
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
        2 => one(0..4).prop_map(call("host")),
        2 => one(3..MEMORY).prop_map(call("host")),
        2 => (which.clone(), 0..MEMORY as usize, 1..20_000usize, any::<bool>())
            .prop_map(|(which, at, len, elsewhere)| Step::Write(which, at, len, elsewhere)),
        2 => (which.clone(), 0..MEMORY, any::<bool>())
            .prop_map(|(which, at, back)| Step::Move(which, at, back)),
        2 => objects(),
        1 => (which.clone(), 0..700u64).prop_map(|(which, index)| Step::Poke(which, index)),
        1 => (which.clone(), 0..3u64).prop_map(|(which, pages)| Step::HostGrows(which, pages)),
    ]
}

fn take(way: &Way, step: &Step, live: &mut Vec<Instance>) {
    let ids = Ids::of(&way.code);
    match step {
        Step::New(look) => {
            let instance = way.instantiate();
            assert!(
                !look || State::of(&instance) == way.initial.state,
                "a new instance is not as the image says"
            );
            live.push(instance);
        }
        Step::Drop(which) if !live.is_empty() => drop(live.swap_remove(which % live.len())),
        Step::Call(which, name, args) if !live.is_empty() => {
            match invoke(live[which % live.len()].handle(), name, args) {
                Ok(_) | Err(Stopped::Trap(_)) => {}
                Err(Stopped::Host { error, .. }) => {
                    assert_eq!(error.to_string(), "the host refuses")
                }
                Err(Stopped::Panic(payload)) => {
                    assert_eq!(payload.downcast_ref(), Some(&"the host panics"))
                }
            }
        }
        Step::Write(which, at, len, elsewhere) if !live.is_empty() => {
            let count = live.len();
            let bytes = live[which % count].memory_mut(ids.memories[0]);
            let end = (at + len).min(bytes.len());
            let bytes = &mut bytes[*at..end];
            match elsewhere {
                true => thread::scope(|scope| drop(scope.spawn(|| bytes.fill(0x5a)))),
                false => bytes.fill(0x5a),
            }
        }
        Step::Move(which, at, back) if !live.is_empty() => {
            let instance = live.swap_remove(which % live.len());
            let other = || {
                let _ = invoke(instance.handle(), "store", &[*at, 0x77]);
                back.then_some(instance)
            };
            live.extend(thread::scope(|scope| scope.spawn(other).join().unwrap()));
        }
        Step::Poke(which, index) if !live.is_empty() => {
            let count = live.len();
            let instance = &mut live[which % count];
            // SAFETY: the global is an `i64`, and null is a value of the table.
            unsafe {
                instance.set_global(ids.globals[0].0, ValType::I64, [*index, 0]);
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
            // As many instances at a time as before.
            let next = live.len() + 1;
            drop(live);
            let next: Vec<Instance> = (0..next).map(|_| way.instantiate()).collect();
            for instance in next {
                let is_initial = Report::of(instance) == way.initial;
                assert!(is_initial, "a new instance differs from the image");
            }
        }
    }
}

/// The initial state is what the text says, not only the same for each instance.
#[test]
fn images_hold_what_the_component_says() {
    for way in ways() {
        let Report {
            state:
                State {
                    memories,
                    tables,
                    globals,
                    flags,
                    poisoned,
                },
            answers,
            object,
            growth,
            left,
        } = &way.initial;
        let started = globals[0][0] == 78;
        assert_eq!(memories[0][100..105], *b"short");
        assert_eq!(memories[0][40000], started as u8);
        assert_eq!(memories[0][229_999], if started { 3 } else { 0 });
        assert_eq!(memories[0].len(), MEMORY as usize);
        assert_eq!(memories[1].len(), if started { 2 << 16 } else { 1 << 16 });
        assert_eq!(tables[0].len(), if started { 711 } else { 701 });
        assert_eq!(
            tables[1..],
            [
                vec![Some(0), Some(0), None],
                vec![Some(0), Some(0), Some(0), None]
            ]
        );
        assert_eq!((globals[1][0] != 0, globals[2][0]), (started, 0));
        assert!(*flags != 0 && !poisoned);

        let [
            sum,
            node,
            array,
            moved,
            after,
            init,
            out,
            out_small,
            set,
            grow,
            grow_small,
        ] = answers[..]
        else {
            panic!("{answers:?}");
        };
        assert!(
            object.is_some() && node != Ok(0) && moved != node && array.is_ok() && after != sum,
            "{answers:?}"
        );
        assert_eq!(
            (out, out_small),
            (Err(Trap::MemoryOutOfBounds), Err(Trap::MemoryOutOfBounds))
        );
        assert_eq!((init.is_ok(), set), (true, Err(Trap::TableOutOfBounds)));
        assert_eq!(
            (
                grow.map(|pages| pages as u32),
                grow_small.map(|pages| pages as u32)
            ),
            (Ok(5), Ok(1 + started as u32))
        );
        // Static objects, and two halves, which may have grown.
        assert_eq!(
            growth[0].current,
            (if started { 1 + 2 * 3 } else { 1 + 2 }) << 16
        );
        assert_eq!(
            left.memories.iter().map(Vec::len).collect::<Vec<_>>(),
            [9 << 16, 3 << 16]
        );
        assert_eq!(left.memories[0][9..16], *b"passive");
        assert!(left.poisoned);
    }
    assert!(
        ways()
            .iter()
            .any(|way| way.initial.state.globals[0][0] == 77)
    );
    assert!(
        ways()
            .iter()
            .any(|way| way.initial.state.globals[0][0] == 78)
    );
}

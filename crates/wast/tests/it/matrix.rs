//! What the tests of script suites share: the matrix of settings, and how a suite is run.

use mintage::{Config, Engine, OptLevel};
use mintage_wast::{Exclusions, Script, run_all};
use std::fs;
use std::path::Path;

/// How memory accesses are kept in bounds.
#[derive(Clone, Copy)]
pub enum Bounds {
    /// By reserving all that an index can reach.
    Guard,
    /// By a comparison before each access, since only 256 MiB are reserved. (The suites grow
    /// memories to 50 MiB.)
    Explicit,
}

/// The engine of a cell of the matrix.
pub fn engine(opt_level: OptLevel, bounds: Bounds) -> Engine {
    Engine::new(&config(opt_level, bounds)).unwrap()
}

/// The settings of a cell of the matrix.
pub fn config(opt_level: OptLevel, bounds: Bounds) -> Config {
    let mut config = Config::new();
    config
        .core_exports(true)
        .opt_level(opt_level)
        .wasm_all_features();
    if let Bounds::Explicit = bounds {
        // The collector is tested here, too: it runs at each allocation.
        config
            .memory_reservation(256 << 20)
            .memory_guard_size(0)
            .gc_zeal(true);
    }
    config
}

/// Runs scripts and demands that all is well and that `at_least` so many assertions hold: scripts
/// must not get lost.
pub fn check(
    name: &str,
    engine: &Engine,
    scripts: &[Script],
    exclusions: &Exclusions,
    at_least: usize,
) {
    let summary = run_all(engine, scripts, &exclusions.of_suite(name));
    println!("{name}: {summary}");
    assert!(
        summary.problems.is_empty(),
        "{name}:\n{}",
        summary.problems.join("\n")
    );
    assert!(
        summary.assertions >= at_least,
        "{name}: only {} assertions",
        summary.assertions
    );
}

/// The scripts in `folder` and the folders in it, in order of their names, which start with
/// `prefix/`.
pub fn scripts_in(folder: &Path, prefix: &str) -> Vec<Script> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            scripts.extend(scripts_in(&path, &name));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wast")
        {
            let text = fs::read_to_string(&path).unwrap();
            scripts.push(Script { name, text });
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

/// Makes a test of each `name: function` in every cell of the matrix; the function takes an engine.
macro_rules! matrix {
    ($($name:ident: $run:expr;)*) => {
        $crate::matrix::matrix!(@cell speed_guard Speed Guard { $($name: $run;)* });
        $crate::matrix::matrix!(@cell speed_explicit Speed Explicit { $($name: $run;)* });
        $crate::matrix::matrix!(@cell none_guard None Guard { $($name: $run;)* });
        $crate::matrix::matrix!(@cell none_explicit None Explicit { $($name: $run;)* });
    };
    (@cell $cell:ident $opt_level:ident $bounds:ident { $($name:ident: $run:expr;)* }) => {
        mod $cell {
            use super::*;

            $(#[test]
            fn $name() {
                let run: fn(&mintage::Engine) = $run;
                run(&$crate::matrix::engine(mintage::OptLevel::$opt_level, $crate::matrix::Bounds::$bounds));
            })*
        }
    };
}
pub(crate) use matrix;

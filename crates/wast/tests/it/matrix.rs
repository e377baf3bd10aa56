//! The matrix of settings in which suites run.

use mintage::{Config, Engine, OptLevel};
use mintage_wast::{Exclusions, Script, run_all};
use std::fs;
use std::path::Path;

/// The kind of bounds checks of memory accesses.
#[derive(Clone, Copy)]
pub enum Bounds {
    /// Guard pages: all addresses that an index can reach are reserved.
    Guard,
    /// A comparison before each access, because only 256 MiB are reserved. (The suites grow
    /// memories to 50 MiB.)
    Explicit,
}

/// Creates the engine of a cell.
pub fn engine(opt_level: OptLevel, bounds: Bounds) -> Engine {
    Engine::new(&config(opt_level, bounds)).unwrap()
}

/// Returns the settings of a cell.
pub fn config(opt_level: OptLevel, bounds: Bounds) -> Config {
    let mut config = Config::new();
    config
        .core_exports(true)
        .opt_level(opt_level)
        .wasm_all_features();
    if let Bounds::Explicit = bounds {
        // Tests the collector, too, by running it at each allocation.
        config
            .memory_reservation(256 << 20)
            .memory_guard_size(0)
            .gc_zeal(true);
    }
    config
}

/// Runs scripts and checks that there are no problems. At least `at_least` assertions must hold,
/// which notices missing scripts.
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

/// Returns the scripts in `folder` and its subfolders, sorted by name. Names start with `prefix/`.
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

/// Defines a test of each `name: function` in every cell. The function takes the cell's engine.
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
                run(&$crate::matrix::engine(
                    mintage::OptLevel::$opt_level,
                    $crate::matrix::Bounds::$bounds,
                ));
            })*
        }
    };
}
pub(crate) use matrix;

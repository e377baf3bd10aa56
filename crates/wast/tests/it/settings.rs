//! Suites under further settings that change machine code. Each runs in two opposite cells of the
//! matrix, which covers both values of each axis.

use crate::core;
use crate::matrix::{Bounds, check, config, scripts_in};
use mintage::{Config, Engine, OptLevel};
use mintage_wast::Exclusions;
use std::path::Path;

/// Runs suites of the specification, and the project's script `script` in `tests/settings`.
fn run(set: fn(&mut Config) -> &mut Config, script: Option<&str>, suites: &[&str]) {
    for (opt_level, bounds) in [
        (OptLevel::Speed, Bounds::Guard),
        (OptLevel::None, Bounds::Explicit),
    ] {
        let mut config = config(opt_level, bounds);
        set(&mut config);
        let engine = Engine::new(&config).unwrap();
        if let Some(name) = script {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/settings");
            let mut scripts = scripts_in(&folder, "settings");
            scripts.retain(|script| script.name == format!("settings/{name}"));
            check("settings", &engine, &scripts, &Exclusions::default(), 10);
        }
        core::run(&engine, |suite| suites.contains(&suite));
    }
}

#[test]
fn nan_canonicalization() {
    run(
        |config| config.cranelift_nan_canonicalization(true),
        Some("nan.wast"),
        &["v1", "relaxed-simd"],
    );
}

#[test]
fn relaxed_simd_deterministic() {
    run(
        |config| config.relaxed_simd_deterministic(true),
        Some("relaxed-simd-deterministic.wast"),
        &["relaxed-simd"],
    );
}

#[test]
fn fuel() {
    run(
        |config| config.consume_fuel(true),
        None,
        &["v2", "tail-call", "exceptions", "core", "component"],
    );
}

#[test]
fn interruptible() {
    run(
        |config| config.interruptible(true),
        None,
        &["v2", "tail-call", "exceptions", "core", "component"],
    );
}

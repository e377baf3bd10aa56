//! The repository's own rules: module docs, who may name whom, where `unsafe` may stand, and that
//! the documents name paths that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that each crate of the project may depend on (development dependencies aside).
const EDGES: &[(&str, &[&str])] = &[
    ("environ", &[]),
    ("program", &["environ"]),
    ("codegen", &["environ", "program"]),
    ("artifact", &["environ"]),
    ("compile", &["artifact", "codegen", "environ", "program"]),
    ("runtime", &["artifact", "environ"]),
    ("mintage", &["artifact", "compile", "environ", "runtime"]),
    ("wast", &["mintage"]),
    ("cli", &["artifact", "environ", "mintage", "wast"]),
    ("fuzzing", &["artifact", "environ", "mintage", "program"]),
];

/// Files outside `crates/runtime` that may hold `unsafe`, with the reason.
const UNSAFE_FILES: &[(&str, &str)] = &[
    (
        "crates/mintage/src",
        "files that enter machine code or take artifacts; each is listed at the crate root",
    ),
    (
        "crates/mintage/tests",
        "artifacts made by the tests themselves",
    ),
    (
        "crates/cli/src/load.rs",
        "loads artifacts with all hashes checked",
    ),
    ("crates/cli/tests", "artifacts made by the tests themselves"),
    (
        "crates/fuzzing/src/mintage.rs",
        "loads artifacts of snapshots that it took",
    ),
    ("benches", "loads the artifacts that it wrote"),
    (
        "examples/spidermonkey/src/main.rs",
        "loads the artifact that it wrote",
    ),
    (
        "crates/cli/src/output.rs",
        "a signal handler removes a half-written file",
    ),
    ("crates/mintage/tests/fork.rs", "forks a child"),
    (
        "crates/mintage/tests/it/stacks.rs",
        "suspends coroutines in host functions",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust sources of the project, as paths from the root with their text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["crates", "benches", "examples", "fuzz", "tests"] {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the walk finds the sources");
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" {
                walk(&path, found);
            }
        } else if name.ends_with(".rs") {
            let relative = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Fails with all `complaints` at once.
fn none(complaints: Vec<String>, rule: &str) {
    assert!(
        complaints.is_empty(),
        "{rule}:\n  {}",
        complaints.join("\n  ")
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let complaints = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    none(complaints, "each file starts with `//!` documentation");
}

#[test]
fn only_codegen_names_the_code_generator() {
    let crates = [
        "cranelift_codegen",
        "cranelift_frontend",
        "cranelift_native",
    ];
    let allowed = |path: &str| path.starts_with("crates/codegen/") || path.ends_with("/tidy.rs");
    let names = |text: &str| {
        let mut code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        code.any(|line| crates.iter().any(|name| line.contains(name)))
    };
    let complaints = sources()
        .into_iter()
        .filter(|(path, text)| !allowed(path) && names(text))
        .map(|(path, _)| path)
        .collect();
    none(complaints, "only crates/codegen names cranelift crates");
}

#[test]
fn unsafe_stands_only_where_it_is_expected() {
    let allowed = |path: &str| {
        path.starts_with("crates/runtime/")
            || UNSAFE_FILES
                .iter()
                .any(|(prefix, _)| path.starts_with(prefix))
    };
    let holds = |text: &str| {
        text.lines().any(|line| {
            let code = line.trim_start();
            let uses = |rest: &str| {
                ["{", "fn ", "impl "]
                    .iter()
                    .any(|what| rest.starts_with(what))
            };
            !code.starts_with("//") && code.split("unsafe ").skip(1).any(uses)
        })
    };
    let complaints = sources()
        .into_iter()
        .filter(|(path, text)| !allowed(path) && !path.ends_with("/tidy.rs") && holds(text))
        .map(|(path, _)| path)
        .collect();
    none(
        complaints,
        "unsafe code is in crates/runtime and a short list of files",
    );
}

#[test]
fn crates_depend_downwards_only() {
    let mut complaints = Vec::new();
    for (name, allowed) in EDGES {
        let manifest =
            fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let ordinary = manifest.split("[dev-dependencies]").next().unwrap();
        for line in ordinary
            .split("[dependencies]")
            .nth(1)
            .unwrap_or("")
            .lines()
        {
            let dependency = line.split(['.', ' ', '=']).next().unwrap();
            let Some(short) = dependency
                .strip_prefix("mintage-")
                .or((dependency == "mintage").then_some("mintage"))
            else {
                continue;
            };
            if !allowed.contains(&short) {
                complaints.push(format!("{name} depends on {short}"));
            }
        }
    }
    none(complaints, "crate dependencies follow ARCHITECTURE.md");
}

#[test]
fn documents_name_paths_that_exist() {
    let mut complaints = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = [
                "crates/",
                "benches/",
                "examples/",
                "fuzz/",
                "tests/",
                "wit/",
                ".ci/",
            ]
            .iter()
            .any(|top| quoted.starts_with(top));
            if is_path && !quoted.contains(['*', ' ']) && !root().join(quoted).exists() {
                complaints.push(format!("{document}: {quoted}"));
            }
        }
    }
    none(complaints, "documents name paths that exist");
}

/// The layers of `crates/runtime`, from the table in the documentation of its root: each folder
/// with those that it may use, all of which come before it.
fn runtime_layers() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(root().join("crates/runtime/src/lib.rs")).unwrap();
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("//! folder "))
        .skip(1)
        .take_while(|line| *line != "//! ```");
    let mut layers: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let mut columns = row["//! ".len()..]
            .split("  ")
            .filter(|column| !column.is_empty());
        let folder = columns.next().unwrap().trim();
        let uses: Vec<String> = columns
            .next()
            .unwrap()
            .split_whitespace()
            .filter(|name| *name != "-")
            .map(str::to_owned)
            .collect();
        for name in &uses {
            assert!(
                layers.iter().any(|(above, _)| above == name),
                "{folder} may use {name}, which is not above it"
            );
        }
        layers.push((folder.to_owned(), uses));
    }
    assert!(layers.len() > 10, "the table is found");
    layers
}

/// The code lines of the runtime's files, tests aside: folder, path, line.
fn runtime_lines() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let Some(inside) = path.strip_prefix("crates/runtime/src/") else {
            continue;
        };
        if inside == "lib.rs" || inside.ends_with("/tests.rs") {
            continue;
        }
        let folder = inside.split('/').next().unwrap().trim_end_matches(".rs");
        let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            found.push((folder.to_owned(), path.clone(), line.to_owned()));
        }
    }
    assert!(found.len() > 1000, "the walk finds the runtime");
    found
}

#[test]
fn folders_of_the_runtime_depend_downwards_only() {
    let layers = runtime_layers();
    let mut complaints = Vec::new();
    for (folder, path, line) in runtime_lines() {
        let Some((_, allowed)) = layers.iter().find(|(name, _)| *name == folder) else {
            complaints.push(format!("{path}: {folder} is not in the table"));
            continue;
        };
        for used in line.split("crate::").skip(1) {
            let end = used.find(|char: char| !char.is_alphanumeric() && char != '_');
            let used = &used[..end.unwrap_or(used.len())];
            if used != folder && !allowed.iter().any(|name| name == used) {
                complaints.push(format!("{path}: `crate::{used}`"));
            }
        }
    }
    none(
        complaints,
        "uses follow the table in crates/runtime/src/lib.rs",
    );
}

#[test]
fn facts_of_system_and_processor_have_one_place() {
    let system = ["libc::", "rustix::", "std::os::", "target_os", "target_env"];
    let processor = ["asm!", "target_arch", "is_x86_feature_detected"];
    let mut complaints = Vec::new();
    for (folder, path, line) in runtime_lines() {
        let names = |words: &[&str]| words.iter().any(|word| line.contains(word));
        // `arch` reads the registers of a signal's context.
        let in_system = folder == "sys" || (folder == "arch" && line.contains("libc::"));
        let is_misplaced = names(&system) && !in_system || names(&processor) && folder != "arch";
        let extends = line.starts_with("impl InstanceData") && folder != "instance";
        if is_misplaced || extends {
            complaints.push(format!("{path}: {}", line.trim()));
        }
    }
    none(
        complaints,
        "the system is in `sys`, the processor in `arch`, and `InstanceData` in `instance`",
    );
}

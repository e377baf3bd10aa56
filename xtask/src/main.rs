//! `cargo xtask tidy`: checks the repository's own rules.
//!
//! Each rule is a function from the files of the repository to complaints, so that its tests are
//! made of texts. `rules` has those on single files, `layers` those on who may use whom, and
//! `documents` those on Markdown.

mod documents;
mod layers;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A file of the repository.
struct File {
    /// From the root, with `/` between folders.
    path: String,
    text: String,
}

/// A rule: what it demands, and what breaks it.
type Rule = (&'static str, fn(&[File]) -> Vec<String>);

const RULES: &[Rule] = &[
    (
        "every Rust file starts with `//!` documentation",
        rules::documented,
    ),
    ("lines have at most 100 columns", rules::short_lines),
    ("only `crates/codegen` names Cranelift", rules::cranelift),
    (
        "unsafe code is in `crates/runtime` and a short list of files",
        rules::unsafe_code,
    ),
    ("fields of machine structs are read", rules::read_fields),
    ("crates depend on those below them only", layers::crates),
    (
        "folders use those that their crate's table allows",
        layers::folders,
    ),
    (
        "facts of system and processor have one place",
        layers::facts,
    ),
    ("documents name paths that exist", documents::paths),
    ("links of documents lead to files", documents::links),
    (
        "the index of the rationale has every decision",
        documents::indexed,
    ),
];

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => tidy(),
        _ => {
            eprintln!("usage: cargo xtask tidy");
            ExitCode::from(2)
        }
    }
}

fn tidy() -> ExitCode {
    let files = match files() {
        Ok(files) => files,
        Err(error) => {
            eprintln!("cannot read the repository: {error}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for (rule, check) in RULES {
        let complaints = check(&files);
        if !complaints.is_empty() {
            failed += 1;
            eprintln!("{rule}, but not here:");
            for complaint in complaints {
                eprintln!("  {complaint}");
            }
        }
    }
    match failed {
        0 => {
            println!("{} rules hold in {} files", RULES.len(), files.len());
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// Reads all text files that rules look at: Rust, Markdown and manifests. Of other files only the
/// path is kept.
fn files() -> std::io::Result<Vec<File>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "target" | "node_modules" | ".git") {
                continue;
            }
            let path = folder.join(&name);
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let is_text = [".rs", ".md", ".toml"]
                .iter()
                .any(|end| name.ends_with(end));
            found.push(File {
                text: match is_text {
                    true => fs::read_to_string(root.join(&path))?,
                    false => String::new(),
                },
                path: path.to_string_lossy().replace('\\', "/"),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_string(),
        text: text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_found() {
        let files = files().unwrap();
        for path in [
            "README.md",
            "xtask/src/main.rs",
            "crates/runtime/src/lib.rs",
        ] {
            assert!(files.iter().any(|file| file.path == path), "{path}");
        }
    }
}

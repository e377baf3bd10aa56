//! Rules on Markdown.

use crate::File;

/// The folders at the top, by which a path in a text is known.
const FOLDERS: &[&str] = &[
    "crates/",
    "benches/",
    "docs/",
    "examples/",
    "fuzz/",
    "tests/",
    "wit/",
    "xtask/",
    ".ci/",
];

/// Paths between backticks that do not exist.
pub fn paths(files: &[File]) -> Vec<String> {
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        files.iter().any(|file| {
            let rest = file.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (i, line) in file.text.lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                let is_path = FOLDERS.iter().any(|folder| quoted.starts_with(folder));
                if is_path && !quoted.contains(['*', ' ', '{', '<']) && !exists(quoted) {
                    complaints.push(format!("{}:{}: {quoted}", file.path, i + 1));
                }
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn paths_that_do_not_exist_are_found() {
        let text = "In `crates/a/src` and `crates/a/src/b.rs`, not in `crates/a/sr` or\n\
                    `docs/none.md`; see `cargo doc` and `crates/*/src`.";
        let files = [file("README.md", text), file("crates/a/src/b.rs", "")];
        assert_eq!(
            paths(&files),
            ["README.md:1: crates/a/sr", "README.md:2: docs/none.md"]
        );
    }
}

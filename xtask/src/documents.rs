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

/// Relative links to files that do not exist.
pub fn links(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (i, line) in file.text.lines().enumerate() {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let target = target.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let path = resolve(folder, target);
                if !files.iter().any(|file| file.path == path) {
                    complaints.push(format!("{}:{}: {target}", file.path, i + 1));
                }
            }
        }
    }
    complaints
}

/// Returns the path of `target`, as a document in `folder` means it.
fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => _ = parts.pop(),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The folder of the rationale.
const RATIONALE: &str = "docs/rationale/";

/// Headings of the rationale that its index does not have.
pub fn indexed(files: &[File]) -> Vec<String> {
    let find = |name: &str| {
        files
            .iter()
            .find(|file| file.path == format!("{RATIONALE}{name}"))
    };
    let Some(index) = find("README.md") else {
        return vec![format!("{RATIONALE}README.md is gone")];
    };
    let mut complaints = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix(RATIONALE) else {
            continue;
        };
        if name == "README.md" || !name.ends_with(".md") {
            continue;
        }
        for heading in file
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
        {
            if !index.text.contains(&format!("[{heading}]({name}#")) {
                complaints.push(format!("{}: {heading}", file.path));
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

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "[a](../b.md#x) [c](c.md)\n[d](https://e.f) [g](#g) [h](../h.md)";
        let files = [
            file("docs/a.md", text),
            file("b.md", ""),
            file("docs/c.md", ""),
        ];
        assert_eq!(links(&files), ["docs/a.md:2: ../h.md"]);
    }

    #[test]
    fn decisions_that_the_index_lacks_are_found() {
        let index = "- [Why a?](a.md#why-a)\n";
        let files = [
            file("docs/rationale/README.md", index),
            file("docs/rationale/a.md", "# A\n\n## Why a?\n\n## Why b?\n"),
        ];
        assert_eq!(indexed(&files), ["docs/rationale/a.md: Why b?"]);
        assert_eq!(indexed(&[]).len(), 1);
    }
}

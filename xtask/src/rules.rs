//! Rules on single Rust files, and on what they may name.

use crate::File;

/// Files outside `crates/runtime` that may have unsafe code, by the start of their path, with the
/// reason.
const UNSAFE_FILES: &[(&str, &str)] = &[
    (
        "crates/mintage/src/component/",
        "takes artifacts, which are machine code",
    ),
    (
        "crates/mintage/src/store/",
        "enters machine code, and comes back from it to the store",
    ),
    (
        "crates/mintage/src/call/concurrent.rs",
        "takes a store along with a host function that waits",
    ),
    ("crates/mintage/src/abi/guest.rs", "looks at guest memory"),
    ("crates/mintage/src/lib.rs", "says where unsafe code is"),
    ("crates/mintage/tests/fork.rs", "forks a child"),
    (
        "crates/mintage/tests/",
        "loads artifacts that the tests made",
    ),
    (
        "crates/mintage/examples/",
        "loads an artifact that it wrote",
    ),
    (
        "crates/cli/src/load.rs",
        "loads artifacts with all hashes checked",
    ),
    (
        "crates/cli/src/output.rs",
        "a signal handler removes a half-written file",
    ),
    (
        "crates/cli/src/commands/serve/listen.rs",
        "takes over a socket by its number",
    ),
    (
        "crates/cli/src/commands/serve/memory.rs",
        "unmaps pages of machine code, and calls the allocator",
    ),
    (
        "crates/cli/src/signals.rs",
        "sets the default action of a signal",
    ),
    ("crates/cli/tests/", "loads artifacts that the tests made"),
    (
        "crates/fuzzing/src/engines/mintage.rs",
        "loads artifacts of snapshots that it took",
    ),
    ("benches/", "loads the artifacts that it wrote"),
    (
        "examples/spidermonkey/src/main.rs",
        "loads the artifact that it wrote",
    ),
];

/// The most columns of a line.
const COLUMNS: usize = 100;

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

/// The lines of a file that are not comments, with their numbers.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Rust files without documentation of what they are for.
pub fn documented(files: &[File]) -> Vec<String> {
    rust(files)
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect()
}

/// Lines that are too long. In Markdown, rows of tables and lines with a link may be.
pub fn short_lines(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let is_markdown = file.path.ends_with(".md");
        if !is_markdown && !file.path.ends_with(".rs") {
            continue;
        }
        for (i, line) in file.text.lines().enumerate() {
            let may_be_long =
                is_markdown && (line.trim_start().starts_with('|') || line.contains("]("));
            let columns = line.chars().count();
            if columns > COLUMNS && !may_be_long {
                complaints.push(format!("{}:{}: {columns} columns", file.path, i + 1));
            }
        }
    }
    complaints
}

/// Files other than the code generator's that name Cranelift's crates.
pub fn cranelift(files: &[File]) -> Vec<String> {
    // Written in parts, so that this file does not name them.
    let crates = ["codegen", "frontend", "native"].map(|part| format!("cranelift_{part}"));
    rust(files)
        .filter(|file| !file.path.starts_with("crates/codegen/"))
        .flat_map(|file| code(&file.text).map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| crates.iter().any(|name| line.contains(name)))
        .map(|(file, number, _)| format!("{}:{number}", file.path))
        .collect()
}

/// Unsafe code in files where none is expected.
pub fn unsafe_code(files: &[File]) -> Vec<String> {
    let keyword = format!("{} ", "unsafe");
    let has_some = |line: &str| {
        let mut rests = line.split(keyword.as_str()).skip(1);
        rests.any(|rest| {
            ["{", "fn ", "impl "]
                .iter()
                .any(|next| rest.starts_with(next))
        })
    };
    let is_expected = |path: &str| {
        path.starts_with("crates/runtime/")
            || UNSAFE_FILES
                .iter()
                .any(|(start, _)| path.starts_with(start))
    };
    rust(files)
        .filter(|file| !is_expected(&file.path) && !file.path.starts_with("xtask/"))
        .flat_map(|file| code(&file.text).map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| has_some(line))
        .map(|(file, number, _)| format!("{}:{number}", file.path))
        .collect()
}

/// The file with the structs that machine code reads.
const MACHINE_STRUCTS: &str = "crates/environ/src/control.rs";

/// Fields and flags of machine structs that no other file names.
pub fn read_fields(files: &[File]) -> Vec<String> {
    let Some(structs) = files.iter().find(|file| file.path == MACHINE_STRUCTS) else {
        return vec![format!(
            "{MACHINE_STRUCTS} is gone; say in this rule where it went"
        )];
    };
    let others: Vec<&File> = rust(files)
        .filter(|file| file.path != MACHINE_STRUCTS)
        .collect();
    // A field is `name: type = offset,`, a flag `pub const NAME: u64 = value;`.
    let names = code(&structs.text).filter_map(|(_, line)| {
        let line = line.trim();
        let (name, rest) = line.split_once(": ")?;
        match name.strip_prefix("pub const ") {
            Some(flag) => rest.starts_with("u64 = ").then_some(flag),
            None => (rest.contains(" = ") && line.ends_with(',')).then_some(name),
        }
    });
    names
        .filter(|name| *name != "reserved" && !name.contains([' ', '$', '(']))
        .filter(|name| {
            let uses = [format!(".{name}"), format!("::{name}")];
            !others
                .iter()
                .any(|file| uses.iter().any(|used| contains_word(&file.text, used)))
        })
        .map(|name| format!("{MACHINE_STRUCTS}: `{name}`"))
        .collect()
}

/// Returns whether `text` has `word` as a whole word.
fn contains_word(text: &str, word: &str) -> bool {
    let mut rests = text.split(word).skip(1);
    rests.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;

    #[test]
    fn files_say_what_they_are_for() {
        let files = [
            file("a.rs", "//! A.\n"),
            file("b.rs", "fn b() {}\n"),
            file("c.md", "c"),
        ];
        assert_eq!(documented(&files), ["b.rs"]);
    }

    #[test]
    fn long_lines_are_found() {
        let (fits, long) = ("x".repeat(100), "y".repeat(101));
        let files = [
            file("a.rs", &format!("{fits}\n{long}\n")),
            file("b.md", &format!("| {long} |\n[a]({long})\n{long}\n")),
            file("c.toml", &long),
        ];
        assert_eq!(
            short_lines(&files),
            ["a.rs:2: 101 columns", "b.md:3: 101 columns"]
        );
    }

    #[test]
    fn the_code_generator_has_one_place() {
        let name = format!("use cranelift_{};\n", "codegen");
        let files = [
            file("crates/codegen/src/a.rs", &name),
            file("crates/compile/src/b.rs", &format!("// {name}{name}")),
        ];
        assert_eq!(cranelift(&files), ["crates/compile/src/b.rs:2"]);
    }

    #[test]
    fn unsafe_code_is_found() {
        let block = format!("let x = {} {{ f() }};\n", "unsafe");
        let files = [
            file("crates/runtime/src/a.rs", &block),
            file("crates/program/src/b.rs", &format!("/// {block}\n{block}")),
            file("benches/src/c.rs", &block),
        ];
        assert_eq!(unsafe_code(&files), ["crates/program/src/b.rs:3"]);
    }

    #[test]
    fn fields_that_no_file_reads_are_found() {
        let structs = "    read: u64 = 0,\n    idle: u64 = 8,\n    reserved: u64 = 16,\n\
                       pub const SET: u64 = 1;\n    pub const UNSET: u64 = 2;\n";
        let reader = "let a = block.read + block.idleness | Flags::SET;";
        let files = [file(MACHINE_STRUCTS, structs), file("a.rs", reader)];
        let named = |name| format!("{MACHINE_STRUCTS}: `{name}`");
        assert_eq!(read_fields(&files), ["idle", "UNSET"].map(named));
        assert_eq!(read_fields(&files[1..]).len(), 1, "the file must be there");
    }
}

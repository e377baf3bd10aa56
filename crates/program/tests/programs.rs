//! Programs as text: each `programs/*.wat` holds a component and, behind a line `;; =>`, the program or the error that it
//! gives. `BLESS=1` rewrites what is expected. A first line `;; core-exports` sets `Tunables::core_exports`.

use mintage_environ::Tunables;
use std::fmt::Write;
use std::path::Path;

const MARK: &str = ";; =>\n";

#[test]
fn programs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "only {} programs found", paths.len());
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path)).collect();
    assert!(
        failures.is_empty(),
        "{}\n(BLESS=1 accepts what is new)",
        failures.join("\n")
    );
}

/// Builds one program; the difference to what is expected, if any.
fn check(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let (input, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let actual = describe(path, input).lines().fold(String::new(), |mut lines, line| {
        writeln!(lines, ";; {line}").unwrap();
        lines
    });
    if actual == expected {
        return None;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, format!("{input}{MARK}{actual}")).unwrap();
        return None;
    }
    Some(format!("{}:\n{}", path.display(), diff(expected, &actual)))
}

fn describe(path: &Path, input: &str) -> String {
    let tunables = Tunables {
        core_exports: input.starts_with(";; core-exports"),
        ..Tunables::default()
    };
    let bytes = match wat::parse_str(input) {
        Ok(bytes) => bytes,
        Err(error) => return format!("the test's text is malformed: {error}"),
    };
    match mintage_program::build(&bytes, &tunables) {
        Ok(program) => {
            mintage_program::verify(&program).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
            program.to_string()
        }
        Err(error) => format!("error: {error:#}"),
    }
}

/// The lines that differ, after and before those that do not.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old[same..]
        .iter()
        .rev()
        .zip(new[same..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = String::new();
    old[same.saturating_sub(2)..same]
        .iter()
        .for_each(|line| writeln!(text, "  {line}").unwrap());
    old[same..old.len() - rest]
        .iter()
        .for_each(|line| writeln!(text, "- {line}").unwrap());
    new[same..new.len() - rest]
        .iter()
        .for_each(|line| writeln!(text, "+ {line}").unwrap());
    text
}

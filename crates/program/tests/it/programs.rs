//! Programs as text.
//!
//! Each `tests/programs/*.wat` contains a component and, after a line `;; =>`, the expected program
//! or error. `BLESS=1` rewrites what is expected. A first line `;; core-exports` sets
//! `Tunables::core_exports`, and `;; error-context` turns the feature of that name on.

use mintage_environ::{Features, Tunables};
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

/// Builds one program. Returns the difference to what is expected, if there is one.
fn check(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let (input, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let actual = describe(path, input)
        .lines()
        .fold(String::new(), |mut lines, line| {
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
        features: Features {
            error_context: input.starts_with(";; error-context"),
            ..Features::default()
        },
        ..Tunables::default()
    };
    let bytes = match wat::parse_str(input) {
        Ok(bytes) => bytes,
        Err(error) => return format!("the test's text is malformed: {error}"),
    };
    match mintage_program::build(&bytes, &tunables) {
        Ok(program) => {
            mintage_program::verify(&program)
                .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
            program.to_string()
        }
        Err(error) => format!("error: {error:#}"),
    }
}

/// Returns the lines that differ, with two lines before them.
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

/// Bytes that are not a component, and part of the error.
#[test]
fn other_bytes_than_components() {
    let component = wat::parse_str("(component (core module (func)))").unwrap();
    let cases: &[(&[u8], &str)] = &[
        (b"", "the input is empty"),
        (b"\n ;; text\n(component)", "`wasm-tools parse`"),
        (b"(module)", "`wasm-tools parse`"),
        (b"\x7fELF\x02", "starts with 7f 45 4c 46"),
        (b"\0asm", "unexpected end-of-file"),
        (b"\0asm\x01\0\0\0", "`Component::from_module`"),
        (b"\0asm\x01\0\0\0\xff", "`Component::from_module`"),
        (b"\0asm\x0e\0\x01\0", "unknown binary version"),
        (&component[..component.len() - 1], "unexpected end-of-file"),
        (
            &[&component[..], &[77, 0]].concat(),
            "malformed section id: 77",
        ),
    ];
    for (bytes, expected) in cases {
        let error = mintage_program::build(bytes, &Tunables::default())
            .map(|_| ())
            .unwrap_err();
        assert!(
            format!("{error:#}").contains(expected),
            "{bytes:?}: {error:#}"
        );
    }
}

/// An interface can be read without building the program.
#[test]
fn interface_alone() {
    let text = include_str!("../programs/handle-lower.wat");
    let interface =
        mintage_program::interface(&wat::parse_str(text).unwrap(), Features::default()).unwrap();
    let ty = interface.import_funcs.values().next().unwrap().ty;
    assert_eq!(interface.types.display_func(ty), "func() -> own<r>");
}

/// Damaged components result in errors or in programs that the verifier accepts, never in a panic.
#[test]
fn damaged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut built = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = wat::parse_file(entry.unwrap().path()).unwrap();
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=next(3) {
                let at = next(damaged.len() - 8) + 8;
                damaged[at] = [next(256) as u8, damaged[at] ^ 1 << next(8)][next(2)];
            }
            let tunables = Tunables {
                core_exports: next(2) == 0,
                ..Tunables::default()
            };
            if let Ok(program) = mintage_program::build(&damaged, &tunables) {
                mintage_program::verify(&program).unwrap();
                built += 1;
            }
        }
    }
    assert!(
        built > 100,
        "only {built} damaged components could be built: the test does not cover much"
    );
}

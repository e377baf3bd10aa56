//! The cache of compiled components, as the command uses it.

use crate::common::Sandbox;
use std::fmt::Write;
use std::fs;

/// A component that takes long enough to compile for its user to notice.
fn slow(functions: u32) -> String {
    // Each function calls the one before, so that none is left out.
    let mut text = "(func (export \"f0\") (param i64) (result i64) local.get 0)".to_string();
    for i in 1..functions {
        let _ = write!(
            text,
            "(func (export \"f{i}\") (param i64) (result i64) (call {} (local.get 0))",
            i - 1
        );
        for j in 0..400 {
            let _ = write!(
                text,
                " i64.const {} i64.mul local.get 0 i64.xor",
                i * 1000 + j
            );
        }
        text.push(')');
    }
    let last = functions - 1;
    format!(
        r#"(component
            (core module $m {text} (func (export "seven") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" u64) (result u64) (canon lift (core func $i "f{last}")))
            (func (export "seven") (result u32) (canon lift (core func $i "seven"))))"#
    )
}

const SMALL: &str = r#"(component
    (core module $m (func (export "f") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "seven") (result u8) (canon lift (core func $i "f"))))"#;

fn entries(sandbox: &Sandbox) -> usize {
    let folder = sandbox.cache().join("mintage");
    let Ok(files) = fs::read_dir(folder) else {
        return 0;
    };
    files
        .filter(|file| file.as_ref().unwrap().file_name().len() == 64)
        .count()
}

#[test]
fn components_are_compiled_once() {
    let sandbox = Sandbox::with(SMALL);
    sandbox.write("app.wasm", wat::parse_str(SMALL).unwrap());
    for (args, count) in [
        (&["run", "--no-cache", "app.wasm"][..], 0),
        (&["run", "app.wasm"], 1),
        (&["run", "app.wasm"], 1),
        (&["app.wasm"], 1),
        // The text has the same binary form.
        (&["run", "app.wat"], 1),
        (&["run", "--fuel", "10", "app.wasm"], 2),
        (&["run", "-O0", "app.wasm"], 3),
    ] {
        assert_eq!(sandbox.succeed(args), "7\n");
        assert_eq!(entries(&sandbox), count, "{args:?}");
    }
    let path = sandbox.succeed(&["cache", "path"]);
    assert_eq!(
        path.trim_end(),
        sandbox.cache().join("mintage").to_str().unwrap()
    );
    assert!(
        sandbox
            .succeed(&["cache", "stats"])
            .contains("entries  3\n")
    );
    assert!(
        sandbox
            .succeed(&["cache", "clear"])
            .starts_with("removed 3 entries, ")
    );
    assert_eq!(entries(&sandbox), 0);
    assert!(
        sandbox
            .succeed(&["cache", "stats"])
            .contains("entries  0\n")
    );
    assert_eq!(sandbox.succeed(&["run", "app.wasm"]), "7\n");
}

/// A second run loads what the first one has compiled: it takes a small part of the time.
#[test]
fn the_second_run_does_not_compile() {
    let sandbox = Sandbox::with(&slow(150));
    sandbox.write("app.wasm", wat::parse_str(slow(150)).unwrap());
    let time = || {
        let start = std::time::Instant::now();
        let outcome = sandbox.run(&["--invoke", "seven()", "app.wasm"]);
        assert_eq!((&*outcome.stdout, &*outcome.stderr), ("7\n", ""));
        start.elapsed()
    };
    let first = time();
    let others = (0..3).map(|_| time()).min().unwrap();
    assert!(others * 4 < first, "{first:?}, then {others:?}");
}

/// Without a cache everything works. If compiling took long, a sentence says why it will again.
#[test]
fn a_cache_that_cannot_be_used_is_mentioned_where_it_matters() {
    let sandbox = Sandbox::with(SMALL);
    sandbox.write("slow.wat", slow(600));
    sandbox.write("file", "");
    let run = |settings: &str, app: &str| {
        let command = format!("{settings} $MINTAGE --invoke 'seven()' {app}");
        let outcome = sandbox.shell(&command);
        assert_eq!(
            (outcome.code, &*outcome.stdout),
            (Some(0), "7\n"),
            "{outcome:?}"
        );
        outcome.stderr
    };
    let none = "unset HOME XDG_CACHE_HOME;";
    let broken = "export XDG_CACHE_HOME=$PWD/file;";
    for (settings, message) in [
        (
            none,
            "neither `XDG_CACHE_HOME` nor `HOME` is an absolute path",
        ),
        (broken, "cannot read the secret of the cache"),
    ] {
        assert_eq!(run(settings, "app.wat"), "");
        let text = run(settings, "slow.wat");
        assert!(
            text.starts_with("note: compiling took ") && text.contains(message),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(run(settings, "--no-cache slow.wat"), "");
    }
    for line in ["cache path", "cache stats", "cache clear"] {
        let outcome = sandbox.shell(&format!("{none} $MINTAGE {line}"));
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.contains("there is no cache"), "{outcome:?}");
    }
}

#[test]
fn settings_come_from_a_file() {
    let sandbox = Sandbox::with(SMALL);
    let folder = sandbox.path("other");
    sandbox.write(
        "cache.toml",
        format!("[cache]\ndirectory = \"{}\"\n", folder.display()),
    );
    assert_eq!(
        sandbox.succeed(&["--cache-config", "cache.toml", "app.wat"]),
        "7\n"
    );
    assert!(folder.join("secret").exists() && !sandbox.cache().exists());
    sandbox.write("cache.toml", "[cache]\nfly = 1\n");
    sandbox.fail(
        &["--cache-config", "cache.toml", "app.wat"],
        1,
        &[
            "cannot use `cache.toml`",
            "line 2: there is no setting `fly`",
        ],
    );
    sandbox.fail(
        &["--cache-config", "none.toml", "app.wat"],
        1,
        &["cannot read `none.toml`"],
    );
    sandbox.fail(
        &["--no-cache", "--cache-config", "cache.toml", "app.wat"],
        2,
        &["cannot be used"],
    );
}

//! Files that the command reads and writes: which it loads, which it overwrites, and which it
//! removes.

use crate::common::{Sandbox, outcome};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

const APP: &str = r#"(component
    (core module $m (func (export "f") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "seven") (result u8) (canon lift (core func $i "f"))))"#;

/// A component whose artifact takes a while to write.
const LARGE: &str = r#"(component
    (core module $m (memory 1024) (data (i32.const 0) "DATA") (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))"#;

/// The parts of the error for an artifact that is not allowed.
const NOT_ALLOWED: &[&str] = &[
    "is an artifact",
    "all rights of this process",
    "--allow-precompiled",
];

/// Machine code runs only if the user allows it, whatever the name of the file.
#[test]
fn artifacts_are_loaded_only_when_allowed() {
    let sandbox = Sandbox::with(APP);
    sandbox.succeed(&["compile", "app.wat", "-o", "app.wasm"]);
    sandbox.fail(&["run", "app.wasm"], 1, NOT_ALLOWED);
    assert_eq!(
        sandbox.succeed(&["run", "--allow-precompiled", "app.wasm"]),
        "7\n"
    );
    let piped = |flag: &str| sandbox.shell(&format!("$MINTAGE run {flag} - < app.wasm"));
    let rejected = piped("");
    assert_eq!(rejected.code, Some(1));
    assert!(rejected.stderr.contains(NOT_ALLOWED[2]), "{rejected:?}");
    assert_eq!(piped("--allow-precompiled").stdout, "7\n");
    assert!(
        sandbox
            .succeed(&["inspect", "app.wasm"])
            .contains("with all rights of the process")
    );
    assert!(
        sandbox
            .succeed(&["run", "--help"])
            .contains("--allow-precompiled")
    );
}

/// `-` stands for standard input and output.
#[test]
fn commands_work_in_pipes() {
    let sandbox = Sandbox::with(APP);
    for line in [
        "$MINTAGE run - < app.wat",
        "cat app.wat | $MINTAGE run -",
        "$MINTAGE compile app.wat -o - | $MINTAGE run --allow-precompiled -",
        "$MINTAGE compile - < app.wat | $MINTAGE run --allow-precompiled -",
        "$MINTAGE compile - -o out.mint < app.wat && $MINTAGE run --allow-precompiled out.mint",
    ] {
        let outcome = sandbox.shell(line);
        assert_eq!(
            (outcome.code, &*outcome.stdout),
            (Some(0), "7\n"),
            "{line}: {outcome:?}"
        );
    }
    assert!(
        sandbox
            .shell("$MINTAGE inspect - < app.wat")
            .stdout
            .contains("seven")
    );
    let none = sandbox.shell("$MINTAGE run - < /dev/null");
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("cannot use `-`"), "{none:?}");
}

/// Only regular files are replaced. Links are followed, and the mode is kept.
#[test]
fn special_files_are_written_in_place() {
    let sandbox = Sandbox::with(APP);
    let compile = |output: &str| sandbox.succeed(&["compile", "app.wat", "-o", output]);
    let runs = |file: &str| sandbox.succeed(&["run", "--allow-precompiled", file]);

    compile("/dev/null");
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );

    sandbox.write("target.mint", "old");
    fs::set_permissions(
        sandbox.path("target.mint"),
        PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    symlink("target.mint", sandbox.path("link.mint")).unwrap();
    symlink("absent.mint", sandbox.path("dangling.mint")).unwrap();
    for (output, target) in [
        ("link.mint", "target.mint"),
        ("dangling.mint", "absent.mint"),
    ] {
        compile(output);
        assert!(
            fs::symlink_metadata(sandbox.path(output))
                .unwrap()
                .is_symlink()
        );
        assert!(
            fs::symlink_metadata(sandbox.path(target))
                .unwrap()
                .is_file()
        );
        assert_eq!(runs(target), "7\n");
    }
    assert_eq!(
        fs::metadata(sandbox.path("target.mint")).unwrap().mode() & 0o777,
        0o640
    );

    let fifo = sandbox.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    compile("fifo");
    assert_eq!(
        reader.join().unwrap(),
        fs::read(sandbox.path("target.mint")).unwrap()
    );
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());

    sandbox.fail(
        &["compile", "app.wat", "-o", "."],
        1,
        &["`.` is a directory"],
    );
    sandbox.fail(
        &["compile", "app.wat", "-o", "no/such"],
        1,
        &["cannot write `no/such`"],
    );
}

#[test]
fn a_source_is_not_overwritten_by_its_artifact() {
    let sandbox = Sandbox::with(APP);
    sandbox.write("app.mint", APP);
    symlink("app.wat", sandbox.path("link")).unwrap();
    fs::hard_link(sandbox.path("app.wat"), sandbox.path("hard")).unwrap();
    for args in [
        &["compile", "app.mint"][..],
        &["compile", "app.wat", "-o", "app.wat"],
        &["compile", "app.wat", "-o", "./app.wat"],
        &["compile", "app.wat", "-o", "link"],
        &["compile", "app.wat", "-o", "hard"],
        &["compile", "link", "-o", "app.wat"],
    ] {
        sandbox.fail(args, 1, &["would overwrite the input", "-o"]);
    }
    sandbox.write("module.wat", "(module)");
    sandbox.write("user.wat", r#"(component (import "m" (core module)))"#);
    let args = [
        "compile",
        "user.wat",
        "--module",
        "m=module.wat",
        "-o",
        "module.wat",
    ];
    sandbox.fail(&args, 1, &["would overwrite the input"]);
    for name in ["app.wat", "app.mint"] {
        assert_eq!(fs::read_to_string(sandbox.path(name)).unwrap(), APP);
    }
}

/// A signal during a write leaves neither a partial artifact nor a temporary file.
#[test]
fn a_signal_leaves_no_temporary_file() {
    let sandbox = Sandbox::with(&LARGE.replace("DATA", &"x".repeat(32 << 20)));
    sandbox.succeed(&["compile", "app.wat", "-o", "whole.mint"]);
    let temporary = || {
        let names = fs::read_dir(sandbox.path("."))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".tmp"))
            .count()
    };
    let mut interrupted = 0;
    for signal in ["INT", "TERM", "HUP"].repeat(4) {
        let mut child = sandbox
            .command(&["compile", "app.wat", "-o", "out.mint"])
            .spawn()
            .unwrap();
        while temporary() == 0 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let kill = format!("kill -{signal} {}", child.id());
        sandbox.shell(&kill);
        interrupted += usize::from(!child.wait().unwrap().success());
        assert_eq!(temporary(), 0, "after SIG{signal}");
    }
    assert!(interrupted > 0, "no signal came in time");
    if let Ok(out) = fs::read(sandbox.path("out.mint")) {
        assert!(
            out == fs::read(sandbox.path("whole.mint")).unwrap(),
            "the artifact is not complete"
        );
    }
}

/// A limit on file sizes makes writing a large file fail. It does not affect `run`, which uses
/// memory instead.
#[test]
fn a_limit_on_the_size_of_files_is_respected() {
    let sandbox = Sandbox::with(APP);
    sandbox.succeed(&["compile", "app.wat"]);
    for line in [
        "$MINTAGE run app.wat",
        "$MINTAGE run --allow-precompiled app.mint",
    ] {
        let outcome = sandbox.shell(&format!("ulimit -f 1; exec {line}"));
        assert_eq!(
            (outcome.code, &*outcome.stdout),
            (Some(0), "7\n"),
            "{line}: {outcome:?}"
        );
    }
    let outcome = sandbox.shell("ulimit -f 1; exec $MINTAGE compile app.wat -o limited.mint");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("cannot write `limited.mint`"),
        "{outcome:?}"
    );
    assert!(!sandbox.path("limited.mint").exists());
}

/// The exit code is right even if standard error cannot be written to.
#[test]
fn errors_that_cannot_be_printed_keep_their_exit_code() {
    let sandbox = Sandbox::with(
        r#"(component (core module $m (func (export "f") unreachable)) (core instance $i
          (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    for end in ["2> /dev/full", "2>&-", "2>&- >&-"] {
        assert_eq!(
            sandbox
                .shell(&format!("exec $MINTAGE run app.wat {end}"))
                .code,
            Some(134),
            "{end}"
        );
        assert_eq!(
            sandbox
                .shell(&format!("exec $MINTAGE run absent {end}"))
                .code,
            Some(1),
            "{end}"
        );
        assert_eq!(
            sandbox
                .shell(&format!("exec $MINTAGE compile app.wat --time {end}"))
                .code,
            Some(0),
            "{end}"
        );
    }
    let full = sandbox.shell("exec $MINTAGE inspect app.wat > /dev/full");
    assert_eq!(full.code, Some(1), "{full:?}");
}

/// If no thread can be started, the command works with the one that it has. Here, the requested
/// thread stacks do not fit the address space.
#[test]
fn components_compile_without_threads() {
    let sandbox = Sandbox::with(APP);
    let mut command = sandbox.command(&["run", "app.wat"]);
    let outcome = outcome(
        command
            .env("RUST_MIN_STACK", (1u64 << 46).to_string())
            .output()
            .unwrap(),
    );
    assert_eq!(
        (outcome.code, &*outcome.stdout),
        (Some(0), "7\n"),
        "{outcome:?}"
    );
}

#[test]
fn core_modules_are_given_by_name() {
    let sandbox = Sandbox::with(
        r#"(component
            (import "math" (core module $math (export "f" (func (result i32)))))
            (core instance $i (instantiate $math))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
    );
    sandbox.write(
        "math.wat",
        r#"(module (func (export "f") (result i32) (i32.const 42)))"#,
    );
    sandbox.write(
        "math.wasm",
        wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 43)))"#).unwrap(),
    );
    assert_eq!(
        sandbox.succeed(&["run", "--module", "math=math.wat", "app.wat"]),
        "42\n"
    );
    sandbox.succeed(&["compile", "--module", "math=math.wasm", "app.wat"]);
    assert_eq!(
        sandbox.succeed(&["run", "--allow-precompiled", "app.mint"]),
        "43\n"
    );
    let both = [
        "run",
        "--allow-precompiled",
        "--module",
        "math=math.wat",
        "app.mint",
    ];
    sandbox.fail(&both, 1, &["already compiled", "--module"]);
    sandbox.fail(&["run", "app.wat"], 1, &["`math`, which it imports"]);
    sandbox.fail(&["run", "--module", "math", "app.wat"], 2, &["NAME=FILE"]);
    sandbox.fail(
        &["run", "--module", "x=math.wat", "app.wat"],
        1,
        &["imports the core modules `math`"],
    );
    sandbox.fail(
        &["run", "--module", "math=absent", "app.wat"],
        1,
        &["cannot read `absent`"],
    );
    sandbox.fail(
        &["run", "--module", "math=app.wat", "app.wat"],
        1,
        &["not a core module"],
    );
}

/// The reader of a pipe may close it early.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let sandbox = Sandbox::with(APP);
    let mut child = sandbox.command(&["inspect", "-"]);
    let mut child = child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(APP.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

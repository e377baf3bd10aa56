//! Programs: core modules for WASI preview 1 and components for WASI 0.2, with what they have of
//! the host.

use crate::common::{Outcome, Sandbox, outcome};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Returns a module for preview 1 that imports all that the tests need, and runs `body`. Address 0
/// is for results, 100 has a buffer of 4000 bytes in the form that reading and writing take.
fn program(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read"
                (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get"
                (func $args_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get"
                (func $args_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $environ_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get"
                (func $environ_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
                (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory"
                (func $path_create_directory (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 100) "\c8\00\00\00\a0\0f\00\00")
            (data (i32.const 200) "hello\n")
            (func $write (param $fd i32) (param $len i32)
                (i32.store (i32.const 104) (local.get $len))
                (call $check (call $fd_write (local.get $fd) (i32.const 100) (i32.const 1)
                  (i32.const 0))))
            (func $check (param $errno i32)
                (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
            (func $inner (unreachable))
            (func (export "_start") {body}))"#
    )
}

/// Writes the standard input to the standard output.
const CAT: &str = r#"(loop
    (i32.store (i32.const 104) (i32.const 4000))
    (call $check (call $fd_read (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 0)))
    (if (i32.load (i32.const 0))
        (then (call $write (i32.const 1) (i32.load (i32.const 0))) (br 1))))"#;
/// Writes the arguments, each with a zero byte.
const ARGS: &str = r#"
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (call $check (call $args_get (i32.const 5000) (i32.const 200)))
    (call $write (i32.const 1) (i32.load (i32.const 4)))"#;
/// Writes the environment, each variable with a zero byte.
const ENVIRONMENT: &str = r#"
    (call $check (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (call $check (call $environ_get (i32.const 5000) (i32.const 200)))
    (call $write (i32.const 1) (i32.load (i32.const 4)))"#;
/// Writes 100 bytes for ever.
const YES: &str = r#"(loop (call $write (i32.const 1) (i32.const 100)) (br 0))"#;
/// Makes a folder `new` in the first folder.
const MAKE_FOLDER: &str = r#"
    (i32.store (i32.const 200) (i32.const 0x0077656e))
    (call $check (call $path_create_directory (i32.const 3) (i32.const 200) (i32.const 3)))"#;
/// Sleeps for an hour.
const SLEEP: &str = r#"
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 3600000000000))
    (call $check (call $poll_oneoff (i32.const 1000) (i32.const 2000) (i32.const 1)
      (i32.const 0)))"#;

/// Creates a sandbox with a program in `app.wat`.
fn sandbox(body: &str) -> Sandbox {
    Sandbox::with(&program(body))
}

#[test]
fn programs_write_and_exit() {
    let sandbox = sandbox("(call $write (i32.const 1) (i32.const 6))");
    assert_eq!(sandbox.succeed(&["app.wat"]), "hello\n");
    assert_eq!(sandbox.succeed(&["run", "app.wat", "--unused"]), "hello\n");
    sandbox.write(
        "app.wat",
        program("(call $write (i32.const 2) (i32.const 6)) (call $proc_exit (i32.const 42))"),
    );
    for _ in ["compiled", "from the cache"] {
        let Outcome {
            code,
            stdout,
            stderr,
        } = sandbox.run(&["app.wat"]);
        assert_eq!((code, &*stdout, &*stderr), (Some(42), "", "hello\n"));
    }
    // As an artifact, too.
    sandbox.succeed(&["compile", "app.wat"]);
    let artifact = sandbox.run(&["--allow-precompiled", "app.mint"]);
    assert_eq!((artifact.code, &*artifact.stderr), (Some(42), "hello\n"));
    sandbox.write("app.wat", program("(call $inner)"));
    sandbox.fail(
        &["app.wat"],
        134,
        &[
            "wasm trap: wasm `unreachable` instruction executed",
            "inner",
        ],
    );
}

#[test]
fn programs_get_arguments_and_variables() {
    let sandbox = sandbox(ARGS);
    for (args, printed) in [
        (&["app.wat"][..], "app.wat\0"),
        (&["./app.wat", "", "a b", "☃"], "app.wat\0\0a b\0☃\0"),
        (&["app.wat", "--dir", "."], "app.wat\0--dir\0.\0"),
        (&["app.wat", "-W", "fly"], "app.wat\0-W\0fly\0"),
        (&["app.wat", "run", "--help"], "app.wat\0run\0--help\0"),
        (&["--argv0", "tool", "app.wat", "x"], "tool\0x\0"),
    ] {
        assert_eq!(sandbox.succeed(args), printed, "{args:?}");
    }
    let wrong = sandbox.shell(r#"$MINTAGE app.wat good "$(printf '\377')""#);
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong
            .stderr
            .contains("argument 2 of the program is not valid UTF-8"),
        "{wrong:?}"
    );

    sandbox.write("app.wat", program(ENVIRONMENT));
    let run = |args: &str| sandbox.shell(&format!("export HERE=1; $MINTAGE {args} app.wat"));
    for (args, printed) in [
        ("", ""),
        ("--env A=1 --env B=", "A=1\0B=\0"),
        ("--env A=b=c --env A=2", "A=2\0"),
        ("--env HERE", "HERE=1\0"),
    ] {
        assert_eq!(run(args).stdout, printed, "{args}");
    }
    for args in ["--inherit-env", "-S inherit-env", "-Sinherit-env=y"] {
        assert!(run(args).stdout.contains("HERE=1\0"), "{args}");
    }
    let replaced = run("--env HERE=2 --inherit-env").stdout;
    assert!(replaced.contains("HERE=2\0") && !replaced.contains("HERE=1\0"));
    for (args, code, message) in [
        (
            "--env NONE",
            1,
            "`--env NONE`: the variable is not set here; write `--env NONE=VALUE`",
        ),
        ("--env =1", 2, "the name is missing: write NAME=VALUE"),
        ("--env ''", 2, "the name is missing"),
        (
            "-S fly",
            2,
            "there is no key `fly`; `-S help` lists the keys",
        ),
        (
            "-S nn",
            2,
            "`-S nn`: neural networks of WASI are not supported",
        ),
        ("-S inherit-env=2", 2, "write `=y` or `=n`, not `=2`"),
    ] {
        let outcome = run(args);
        let named = outcome.stderr.contains(message);
        assert!(outcome.code == Some(code) && named, "{args}: {outcome:?}");
    }
    assert!(
        sandbox
            .succeed(&["-S", "help", "app.wat"])
            .contains("inherit-env")
    );
}

#[test]
fn standard_streams_can_be_files() {
    let sandbox = sandbox(CAT);
    sandbox.write("in", "some\ntext\n");
    assert_eq!(
        sandbox.shell("$MINTAGE app.wat < in").stdout,
        "some\ntext\n"
    );
    assert_eq!(
        sandbox.shell("cat in | $MINTAGE app.wat").stdout,
        "some\ntext\n"
    );
    assert_eq!(
        sandbox.succeed(&["--stdin", "in", "app.wat"]),
        "some\ntext\n"
    );
    assert_eq!(
        sandbox.succeed(&["--stdin", "in", "--stdout", "out", "app.wat"]),
        ""
    );
    assert_eq!(
        fs::read_to_string(sandbox.path("out")).unwrap(),
        "some\ntext\n"
    );
    assert_eq!(
        sandbox
            .shell("$MINTAGE -S inherit-stdin=n app.wat < in")
            .stdout,
        ""
    );
    assert_eq!(
        sandbox
            .shell("$MINTAGE -S inherit-stdout=n app.wat < in")
            .stdout,
        ""
    );
    // Streams that are closed are empty, and take all.
    for end in ["<&-", "< in >&-", "<&- >&- 2>&-"] {
        let outcome = sandbox.shell(&format!("exec $MINTAGE app.wat {end}"));
        assert_eq!((outcome.code, &*outcome.stdout), (Some(0), ""), "{end}");
    }
    sandbox.fail(
        &["--stdin", "none", "app.wat"],
        1,
        &["cannot read standard input from `none`", "No such file"],
    );
    for path in [".", "none/out"] {
        sandbox.fail(
            &["--stdout", path, "app.wat"],
            1,
            &[&format!("cannot write standard output to `{path}`")],
        );
    }
    // The disk is full: the program learns that.
    let full = sandbox.shell("exec $MINTAGE app.wat < in > /dev/full");
    assert_eq!(full.code, Some(51), "{full:?}");
}

/// A program ends when no one reads what it writes, as others do.
#[test]
fn a_closed_pipe_ends_a_program() {
    let sandbox = sandbox(YES);
    let outcome = sandbox.shell("($MINTAGE app.wat; echo $? > code) | head -c 5");
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("hello", ""));
    assert_eq!(fs::read_to_string(sandbox.path("code")).unwrap(), "141\n");
}

#[test]
fn folders_are_what_the_program_sees() {
    let sandbox = sandbox(MAKE_FOLDER);
    fs::create_dir(sandbox.path("data")).unwrap();
    let exists = || {
        let path = sandbox.path("data/new");
        fs::remove_dir(path).is_ok()
    };
    for args in [
        &["--dir", "data", "app.wat"][..],
        &["--dir=data::/", "app.wat"],
    ] {
        sandbox.succeed(args);
        assert!(exists(), "{args:?}");
    }
    for args in [
        &["app.wat"][..],
        &["--dir", "data:ro", "app.wat"],
        &["--dir", "data::/:ro", "app.wat"],
    ] {
        let outcome = sandbox.run(args);
        let is_errno = matches!(outcome.code, Some(1..=76)) && outcome.stderr.is_empty();
        assert!(is_errno && !exists(), "{args:?}: {outcome:?}");
    }
    sandbox.write("file", "");
    for (args, code, messages) in [
        (
            &["--dir", "none"][..],
            1,
            &["`--dir none`: the folder does not exist; create it first"][..],
        ),
        (
            &["--dir", "file"],
            1,
            &["`--dir file`: it is a file; `--dir` takes the folder"],
        ),
        (
            &["--dir", "data:/x"],
            1,
            &["`--dir` is written HOST::GUEST, so `data:/x` is all of the path here"],
        ),
        (
            &["--dir", "data", "--dir", ".::data"],
            2,
            &["gives the program `data` twice", "`--dir HOST::GUEST`"],
        ),
        (&["--dir", "::x"], 2, &["expected HOST or HOST::GUEST"]),
    ] {
        sandbox.fail(&[args, &["app.wat"]].concat(), code, messages);
    }
    // An option that comes too late is the program's, which is mentioned when it fails.
    sandbox.fail(
        &["app.wat", "--dir", "data"],
        8,
        &["note: `--dir` comes after `app.wat`, so the program got it"],
    );
}

#[test]
fn addresses_are_checked_when_they_are_given() {
    let sandbox = sandbox("(call $write (i32.const 1) (i32.const 6))");
    for options in [
        &["--inherit-network"][..],
        &["-S", "inherit-network,allow-ip-name-lookup,tcp=n,udp"],
        &["--tcp-connect", "127.0.0.1:80", "--tcp-connect", "[::1]:80"],
        &[
            "--tcp-listen",
            "127.0.0.1:8080",
            "--udp-listen",
            "127.0.0.1:53",
        ],
        &["--udp-connect", "10.0.0.0/8:*", "--allow-ip-name-lookup"],
    ] {
        let args = [options, &["app.wat"]].concat();
        assert_eq!(sandbox.succeed(&args), "hello\n", "{options:?}");
    }
    for option in [
        "--tcp-connect",
        "--tcp-listen",
        "--udp-connect",
        "--udp-listen",
    ] {
        sandbox.fail(&[option, "nowhere", "app.wat"], 2, &["'nowhere'", option]);
    }
}

/// A timeout ends a program that waits in a function of the host, too.
#[test]
fn waiting_programs_are_stopped() {
    for body in [CAT, SLEEP, "(loop (br 0))"] {
        let sandbox = sandbox(body);
        let mut command = sandbox.command(&["--timeout", "200ms", "app.wat"]);
        let start = Instant::now();
        // No one writes to the pipe.
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _open = child.stdin.take();
        let outcome = outcome(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(124), "{outcome:?}");
        assert!(
            outcome.stderr.contains("timed out after 200ms"),
            "{outcome:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn ctrl_c_ends_programs() {
    for (body, options, messages) in [
        (
            "(loop (br 0))",
            &["--timeout", "60"][..],
            "interrupted by Ctrl-C",
        ),
        ("(loop (br 0))", &[], ""),
        (SLEEP, &[], ""),
    ] {
        let ready = format!("(call $write (i32.const 1) (i32.const 6)) {body}");
        let sandbox = sandbox(&ready);
        // Whatever a shell starts in the background ignores the signal.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_mintage")]);
        command.args(options).arg("app.wat");
        sandbox.prepare(&mut command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut [0; 6])
            .unwrap();
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(2), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(messages), "{stderr}");
        assert_eq!(stderr.is_empty(), messages.is_empty(), "{stderr}");
    }
}

#[test]
fn modules_that_are_no_programs_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "library.wat",
        r#"(module
            (global $ready (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.const 40)))
            (func (export "add") (param i32) (result i32)
                (i32.add (local.get 0) (global.get $ready))))"#,
    );
    sandbox.fail(
        &["library.wat"],
        1,
        &[
            "has no `_start`, so it is a library and not a program",
            "--invoke",
            "add",
        ],
    );
    for args in [
        &["--invoke", "add(2)", "library.wat"][..],
        &["--invoke", "add", "library.wat", "2"],
    ] {
        assert_eq!(sandbox.succeed(args), "42\n", "{args:?}");
    }
    sandbox.fail(
        &["--invoke", "add", "library.wat", "--fuel"],
        2,
        &["options of this command come before the file"],
    );
    sandbox.write(
        "imports.wat",
        r#"(module (import "env" "log" (func (param i32))) (func (export "_start")))"#,
    );
    sandbox.fail(
        &["imports.wat"],
        1,
        &[
            "cannot instantiate `imports.wat`",
            "only WASI preview 1",
            "env",
            "log",
        ],
    );
    sandbox.fail(
        &["inspect", "library.wat"],
        1,
        &["`library.wat` is a core module", "--program"],
    );
    assert!(
        sandbox
            .succeed(&["inspect", "--program", "library.wat"])
            .contains("core0")
    );
    sandbox.fail(
        &["--plug", "library.wat", "library.wat"],
        1,
        &["`library.wat` is a core module; `--plug` is for components"],
    );
}

/// A component for WASI 0.2 that returns what `result` makes of its number of arguments.
fn component(result: &str) -> String {
    format!(
        r#"(component
            (import "wasi:cli/environment@0.2.0" (instance $environment
                (export "get-arguments" (func (result (list string))))))
            (import "wasi:cli/exit@0.2.0" (instance $exit
                (export "exit" (func (param "status" (result))))))
            (core module $memory
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.add (global.get $next) (i32.add (local.get 3)
                      (i32.const 16))))
                    (i32.and (i32.sub (global.get $next) (local.get 3)) (i32.const -8))))
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $m))
            (core func $get-arguments (canon lower (func $environment "get-arguments")
                (memory $m) (realloc (core func $memory "realloc"))))
            (core func $exit (canon lower (func $exit "exit")))
            (core module $main
                (import "" "memory" (memory 1))
                (import "" "get-arguments" (func $get-arguments (param i32)))
                (import "" "exit" (func $exit (param i32)))
                (func (export "run") (result i32)
                    (call $get-arguments (i32.const 0))
                    (i32.load (i32.const 4)) {result}))
            (core instance $main (instantiate $main (with "" (instance
                (export "memory" (memory $m))
                (export "get-arguments" (func $get-arguments))
                (export "exit" (func $exit))))))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $exports (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $exports)))"#
    )
}

#[test]
fn components_are_programs_too() {
    let sandbox = Sandbox::with(&component("i32.const 3 i32.ne"));
    for (args, code) in [
        (&["app.wat", "1", "2"][..], 0),
        (&["app.wat"], 1),
        (&["app.wat", "1", "2", "3"], 1),
    ] {
        let outcome = sandbox.run(args);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(code), ""),
            "{args:?}"
        );
    }
    // `wasi:cli/exit` with an error, and without.
    for (result, code) in [
        ("call $exit unreachable", 1),
        ("drop i32.const 0 call $exit", 0),
    ] {
        sandbox.write("app.wat", component(&format!("{result} unreachable")));
        let outcome = sandbox.run(&["app.wat"]);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(code), ""),
            "{result}"
        );
    }
    for call in [
        "wasi:cli/run@0.2.0/run()",
        "wasi:cli/run.run@0.2.0()",
        "run()",
    ] {
        sandbox.write("app.wat", component("drop i32.const 0"));
        assert_eq!(
            sandbox.succeed(&["--invoke", call, "app.wat"]),
            "ok\n",
            "{call}"
        );
    }
}

#[test]
fn imports_that_nothing_provides_are_explained() {
    let sandbox = Sandbox::new();
    for (import, messages) in [
        (
            "ns:pkg/iface@1.0.0",
            &["ns:pkg/iface@1.0.0", "`--plug FILE`"][..],
        ),
        (
            "wasi:http/types@0.2.0",
            &["`wasi:http` is not in the part of WASI 0.2"],
        ),
        (
            "wasi:nn/graph@0.2.0",
            &["`wasi:nn` is not in the part of WASI 0.2"],
        ),
        (
            "wasi:tls/client@0.3.0",
            &["`wasi:tls` is not in the part of WASI 0.3"],
        ),
    ] {
        sandbox.write(
            "app.wat",
            format!(
                r#"(component
                    (import "{import}" (instance $i (export "f" (func))))
                    (core func $f (canon lower (func $i "f")))
                    (core module $m (import "" "f" (func $f)) (func (export "g") (call $f)))
                    (core instance $m (instantiate $m
                        (with "" (instance (export "f" (func $f))))))
                    (func (export "g") (canon lift (core func $m "g"))))"#
            ),
        );
        let all = [messages, &["nothing provides some of its imports"]].concat();
        sandbox.fail(&["app.wat"], 1, &all);
    }
    // One of types only is not needed.
    sandbox.write(
        "app.wat",
        r#"(component
            (import "wasi:http/types@0.2.0" (instance
                (type $scheme (enum "http" "https"))
                (export "scheme" (type (eq $scheme)))))
            (core module $m (func (export "g"))) (core instance $m (instantiate $m))
            (func (export "g") (canon lift (core func $m "g"))))"#,
    );
    assert_eq!(sandbox.succeed(&["app.wat"]), "()\n");
}

/// Input and output are not buffered between program and pipe.
#[test]
fn programs_read_what_is_piped() {
    let sandbox = sandbox(CAT);
    let mut child = sandbox
        .command(&["app.wat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // What is written arrives before the end of the input.
    for line in ["one\n", "two\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut echo = [0; 4];
        stdout.read_exact(&mut echo).unwrap();
        assert_eq!(echo, line.as_bytes());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

//! `wasi:cli`.

use crate::common::{MODES, error, exit_code, guest, output, run_with};
use mintage_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use mintage_wasi::p2::pipe::MemoryOutputPipe;

const IMPORTS: &str = r#"
    (import "wasi:cli/environment@0.2.12" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.12" "get-arguments" (func $arguments (param i32)))
    (import "wasi:cli/environment@0.2.12" "initial-cwd" (func $cwd (param i32)))
    (import "wasi:cli/exit@0.2.12" "exit" (func $exit (param i32)))
    (import "wasi:cli/exit@0.2.12" "exit-with-code" (func $exit-with-code (param i32)))
    (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $get-stderr (result i32)))
    (import "wasi:cli/terminal-stdin@0.2.12" "get-terminal-stdin"
        (func $terminal-stdin (param i32)))
    (import "wasi:cli/terminal-stdout@0.2.12" "get-terminal-stdout"
        (func $terminal-stdout (param i32)))
    (import "wasi:cli/terminal-stderr@0.2.12" "get-terminal-stderr"
        (func $terminal-stderr (param i32)))
    (import "wasi:cli/terminal-input@0.2.12" "[resource-drop]terminal-input"
        (func $drop-terminal-input (param i32)))"#;

/// Prints a list of strings at 96, whose elements have `strings` strings each.
fn print_list(strings: u32) -> String {
    format!(
        r#"(func $print-all
            (local $at i32) (local $left i32)
            (local.set $at (i32.load (i32.const 96)))
            (local.set $left (i32.mul (i32.load (i32.const 100)) (i32.const {strings})))
            (loop $more
                (if (local.get $left) (then
                    (call $print-list (local.get $at))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br $more)))))"#
    )
}

#[test]
fn arguments_and_environment() {
    let arguments = format!(
        "{IMPORTS} {} (func $run (result i32)
            (call $arguments (i32.const 96)) (call $print-all) (i32.const 0))",
        print_list(1)
    );
    assert_eq!(output(&arguments, |_| {}), "");
    let printed = output(&arguments, |builder| {
        builder.args(&["program", "--verbose"]).arg("ä ö");
    });
    assert_eq!(printed, "program\n--verbose\nä ö\n");
    let environment = format!(
        "{IMPORTS} {} (func $run (result i32)
            (call $environment (i32.const 96)) (call $print-all) (i32.const 0))",
        print_list(2)
    );
    assert_eq!(output(&environment, |_| {}), "");
    let printed = output(&environment, |builder| {
        builder.env("A", "1").envs(&[("B", "2"), ("EMPTY", " ")]);
    });
    assert_eq!(printed, "A\n1\nB\n2\nEMPTY\n \n");
    // Whoever runs the tests has a PATH.
    let inherited = output(&environment, |builder| {
        builder.inherit_env();
    });
    assert!(inherited.contains("PATH\n"));
}

#[test]
fn the_working_directory() {
    let fields = format!(
        "{IMPORTS} (func $run (result i32)
            (call $cwd (i32.const 96))
            (if (i32.load8_u (i32.const 96)) (then (call $print-list (i32.const 100))))
            (i32.const 0))"
    );
    assert_eq!(output(&fields, |_| {}), "");
    let printed = output(&fields, |builder| {
        builder.initial_cwd("/work dir");
    });
    assert_eq!(printed, "/work dir\n");
}

#[test]
fn exit_ends_the_call() {
    let exit = |call: &str| {
        let fields = format!("{IMPORTS} (func $run (result i32) {call} (unreachable))");
        exit_code(&error(&fields, |_| {}))
    };
    assert_eq!(exit("(call $exit (i32.const 0))"), 0);
    assert_eq!(exit("(call $exit (i32.const 1))"), 1);
    assert_eq!(exit("(call $exit-with-code (i32.const 7))"), 7);
    assert_eq!(exit("(call $exit-with-code (i32.const 255))"), 255);
    // Without `exit`, the result of `run` says whether the guest has succeeded.
    for mode in MODES {
        let failed = run_with(
            &guest("(func $run (result i32) (i32.const 1))"),
            mode,
            |_| {},
        );
        assert_eq!(failed.unwrap(), Err(()));
    }
}

#[test]
fn standard_error_is_another_stream() {
    let fields = format!(
        r#"{IMPORTS} (data (i32.const 128) "an error")
        (func $run (result i32)
            (call $blocking-write-and-flush
                (call $get-stderr) (i32.const 128) (i32.const 8) (i32.const 96))
            (call $ok (i32.const 96))
            (i32.const 0))"#
    );
    let stderr = MemoryOutputPipe::new(100);
    let printed = output(&fields, |builder| {
        builder.stderr(stderr.clone());
    });
    assert_eq!(printed, "");
    assert_eq!(stderr.contents(), "an erroran error");
}

/// A terminal, or what says so.
struct Terminal;

impl IsTerminal for Terminal {
    fn is_terminal(&self) -> bool {
        true
    }
}

impl StdinStream for Terminal {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

impl StdoutStream for Terminal {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

#[test]
fn terminals_are_known() {
    let fields = format!(
        "{IMPORTS} (func $run (result i32)
            (call $terminal-stdin (i32.const 96))
            (call $print-number (i64.load8_u (i32.const 96)))
            (if (i32.load8_u (i32.const 96)) (then
                (call $drop-terminal-input (i32.load (i32.const 100)))))
            (call $terminal-stdout (i32.const 96))
            (call $print-number (i64.load8_u (i32.const 96)))
            (call $terminal-stderr (i32.const 96))
            (call $print-number (i64.load8_u (i32.const 96)))
            (i32.const 0))"
    );
    let printed = output(&fields, |builder| {
        builder.stdin(Terminal).stderr(Terminal);
    });
    assert_eq!(printed, "1\n0\n1\n");
}

#[test]
fn a_context_is_built_once() {
    let twice = std::panic::catch_unwind(|| {
        let mut builder = mintage_wasi::WasiCtx::builder();
        builder.build();
        builder.build();
    });
    let message = *twice.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "`WasiCtxBuilder::build` was called twice");
}

//! Calls on the command line: names of functions, sources of the text, limits on running time.

use crate::common::{APP, Sandbox, outcome};
use std::io::Write;
use std::process::Stdio;

/// A component with functions at the root and in instances, some of which share names.
const NAMES: &str = r#"(component
    (core module $m
        (func (export "one") (result i32) (i32.const 1))
        (func (export "two") (result i32) (i32.const 2))
        (func (export "three") (result i32) (i32.const 3))
        (func (export "nothing")))
    (core instance $i (instantiate $m))
    (func $one (result u32) (canon lift (core func $i "one")))
    (func $two (result u32) (canon lift (core func $i "two")))
    (func $three (result u32) (canon lift (core func $i "three")))
    (func (export "nothing") (canon lift (core func $i "nothing")))
    (export "root" (func $one))
    (instance $a (export "root" (func $two)) (export "only" (func $two)) (export "shared"
      (func $two)))
    (instance $b (export "shared" (func $three)))
    (instance $outer (export "inner" (instance $b)))
    (export "ns:pkg/iface@1.0.0" (instance $a))
    (export "ns:pkg/other" (instance $b))
    (export "deep" (instance $outer)))"#;

#[test]
fn functions_have_many_names() {
    let sandbox = Sandbox::with(NAMES);
    for (name, printed) in [
        // At the root, the function's own name is its full name.
        ("root", "1\n"),
        ("only", "2\n"),
        ("nothing", "()\n"),
        ("iface/shared", "2\n"),
        ("iface#shared", "2\n"),
        ("iface.shared", "2\n"),
        ("ns:pkg/iface/root", "2\n"),
        ("ns:pkg/iface#root", "2\n"),
        ("ns:pkg/iface@1.0.0/root", "2\n"),
        ("ns:pkg/iface@1.0.0#root", "2\n"),
        ("ns:pkg/iface.root", "2\n"),
        ("ns:pkg/iface.root@1.0.0", "2\n"),
        ("other.shared", "3\n"),
        ("ns:pkg/other.shared", "3\n"),
        ("deep/inner/shared", "3\n"),
        ("inner/shared", "3\n"),
    ] {
        for call in [
            name.to_string(),
            format!("{name}()"),
            format!(" {name} ( ) "),
        ] {
            assert_eq!(
                sandbox.succeed(&["run", "--invoke", &call, "app.wat"]),
                printed,
                "{call}"
            );
        }
    }
    let shared = ["`ns:pkg/iface@1.0.0/shared`, `ns:pkg/other/shared`, `deep/inner/shared`"];
    for (name, messages) in [
        ("shared", &shared[..]),
        (
            "ns:pkg/iface@2.0.0/root",
            &[
                "does not export a function",
                "ns:pkg/iface@1.0.0/root: func() -> u32",
            ],
        ),
        ("ns:pkg/iface.root@2.0.0", &["does not export a function"]),
        ("ns:other/iface.root", &["does not export a function"]),
        ("ifaceroot", &["does not export a function"]),
        ("iface/", &["does not export a function"]),
        ("", &["does not export a function"]),
    ] {
        sandbox.fail(&["run", "--invoke", name, "app.wat"], 1, messages);
    }
}

#[test]
fn calls_come_from_files_and_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (core module $m (func (export "f") (param i32 i32) (result i32) (i32.sub (local.get 0)
              (local.get 1))))
            (core instance $i (instantiate $m))
            (func (export "sub") (param "a" u32) (param "b" u32) (result u32) (canon lift
              (core func $i "f"))))"#,
    );
    sandbox.write("call", "\nsub(\n  7,  // of which\n  2\n)\n");
    sandbox.write("binary", b"\xff");
    let piped = |args: &[&str], input: &[u8]| {
        let mut command = sandbox.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may fail before it reads.
        let _ = child.stdin.take().unwrap().write_all(input);
        outcome(child.wait_with_output().unwrap())
    };
    assert_eq!(
        sandbox.succeed(&["run", "--invoke", "@call", "app.wat"]),
        "5\n"
    );
    let outcome = piped(&["run", "--invoke", "-", "app.wat"], b"sub(9, 1)\n");
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "8\n"),
        "{outcome:?}"
    );
    sandbox.succeed(&["compile", "app.wat", "--warm-up", "@call"]);
    for (args, message) in [
        (
            ["run", "--invoke", "@none", "app.wat"],
            "cannot read the call in `none`",
        ),
        (["run", "--invoke", "@binary", "app.wat"], "not UTF-8"),
        (
            ["run", "--invoke", "-", "-"],
            "standard input can be either the component or the call",
        ),
    ] {
        let outcome = piped(&args, b"(component)");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(message), "{outcome:?}");
    }
}

/// The functions trap, so that the exit code would differ if one were called.
#[test]
fn handles_are_rejected_before_the_call() {
    let sandbox = Sandbox::with(
        r#"(component
            (core module $m
                (func (export "make") (result i32) unreachable)
                (func (export "use") (param i32) unreachable)
                (func (export "deep") (param i32) (result i32) unreachable)
                (memory (export "memory") 1))
            (core instance $i (instantiate $m))
            (type $r (resource (rep i32)))
            (export $x "thing" (type $r))
            (func (export "make") (result (own $x)) (canon lift (core func $i "make")))
            (func (export "use") (param "thing" (borrow $x)) (canon lift (core func $i "use")))
            (func (export "deep") (param "n" u32) (result (option (tuple u8 (result (list
              (own $x))))))
                (canon lift (core func $i "deep") (memory (core memory $i "memory")))))"#,
    );
    for (call, signature) in [
        ("make()", "make: func() -> "),
        ("use(1)", "use: func(thing: borrow"),
        ("deep(1)", "deep: func(n: u32) -> option<"),
    ] {
        let messages = ["passes handles", signature];
        sandbox.fail(&["run", "--invoke", call, "app.wat"], 1, &messages);
    }
}

#[test]
fn errors_of_mismatched_calls_show_the_signature() {
    let sandbox = Sandbox::with(APP);
    let add = "add: func(a: s32, b: s32) -> s32";
    for (call, messages) in [
        (
            "add(1)",
            &[add, "the function takes 2 arguments, but 1 are given"][..],
        ),
        (
            "add(1, 2, 3)",
            &[add, "the function takes 2 arguments, but 3 are given"],
        ),
        (
            "add",
            &[add, "the function takes 2 arguments, but 0 are given"],
        ),
        (
            r#"add(1, "x")"#,
            &[add, "argument `b`: expected a `s32`", r#"found `"x"`"#],
        ),
        (
            "add(1, 99999999999)",
            &[
                add,
                "argument `b`",
                "from -2147483648 to 2147483647",
                "99999999999",
            ],
        ),
        ("add(1, 2", &[add, "end of input"]),
        ("add(1, 2) 3", &[add, "`3`"]),
        (
            "subtract(1)",
            &[
                "does not export a function `subtract`",
                add,
                "echo: func(text: string) -> string",
            ],
        ),
        (
            "numbers/answer()",
            &[
                "`test:app/numbers@1.2.0/answer`",
                "`test:other/numbers@1.0.0/answer`",
            ],
        ),
        ("test:app/numbers@1.2.0", &["does not export a function"]),
    ] {
        sandbox.fail(
            &["run", "--allow-precompiled", "--invoke", call, "app.wat"],
            1,
            messages,
        );
    }
    sandbox.fail(&["run", "app.wat"], 1, &["--invoke", add]);
}

#[test]
fn endless_guests_are_stopped_by_fuel_and_timeout() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (core module $m
                (func $spin (export "spin") (loop (br 0)))
                (func (export "seven") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "spin") (canon lift (core func $i "spin")))
            (func (export "seven") (result u8) (canon lift (core func $i "seven"))))"#,
    );
    let run = |options: &[&str], function: &str, app: &str| {
        let given = ["run", "--allow-precompiled", "--invoke", function];
        sandbox.run(&[&given, options, &[app]].concat())
    };
    let out_of_fuel = (134, "all fuel consumed");
    let timed_out = (124, "error: timed out after 10ms\n");
    let stopped = |options: &[&str], app: &str, (code, message): (i32, &str)| {
        let outcome = run(options, "spin", app);
        assert_eq!(outcome.code, Some(code), "{options:?} {app}: {outcome:?}");
        let explained = outcome.stderr.contains(message) && outcome.stderr.contains("spin");
        assert!(explained, "{options:?} {app}: {outcome:?}");
    };
    stopped(&["--fuel", "1000"], "app.wat", out_of_fuel);
    stopped(&["--timeout", "0.01"], "app.wat", timed_out);
    stopped(&["--timeout", "10ms"], "app.wat", timed_out);
    stopped(&["-W", "timeout=10ms"], "app.wat", timed_out);
    stopped(&["-W", "fuel=1000"], "app.wat", out_of_fuel);
    sandbox.succeed(&[
        "compile",
        "--consume-fuel",
        "--interruptible",
        "app.wat",
        "-o",
        "both.mint",
    ]);
    sandbox.succeed(&["compile", "app.wat", "-o", "plain.mint"]);
    // Artifacts keep their settings.
    for options in [
        &[][..],
        &["--fuel", "2"],
        &["--timeout", "60"],
        &["--fuel", "2", "--timeout", "60"],
    ] {
        let outcome = run(options, "seven", "both.mint");
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), "7\n"),
            "{options:?}: {outcome:?}"
        );
    }
    stopped(
        &["--fuel", "1000", "--timeout", "60"],
        "both.mint",
        out_of_fuel,
    );
    stopped(&["--timeout", "0.01"], "both.mint", timed_out);
    for (option, value, needed) in [
        ("--fuel", "2", "--consume-fuel"),
        ("--timeout", "60", "--interruptible"),
    ] {
        let outcome = run(&[option, value], "seven", "plain.mint");
        let advice = format!("compile it with `{needed}`");
        let advised = outcome.stderr.contains(&advice);
        assert!(outcome.code == Some(1) && advised, "{outcome:?}");
    }
    sandbox.fail(
        &["run", "--timeout=-1", "--invoke", "spin", "app.wat"],
        2,
        &["expected a time such as 100ms"],
    );
    sandbox.fail(
        &["run", "--fuel", "much", "--invoke", "spin", "app.wat"],
        2,
        &["invalid digit"],
    );
}

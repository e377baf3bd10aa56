//! How the command line is read: the default command, groups of options, completions.

use crate::common::Sandbox;

const APP: &str = r#"(component
    (core module $m
        (memory 1)
        (func (export "f") (result i32) (i32.const 7))
        (func (export "grow") (result i32) (memory.grow (i32.const 1))))
    (core instance $i (instantiate $m))
    (func (export "seven") (result u8) (canon lift (core func $i "f")))
    (func (export "grow") (result s32) (canon lift (core func $i "grow"))))"#;

#[test]
fn run_is_the_default_command() {
    let sandbox = Sandbox::with(APP);
    for args in [
        &["run", "--invoke", "seven()", "app.wat"][..],
        &["--invoke", "seven()", "app.wat"],
        &["--invoke=seven", "-O", "0", "app.wat"],
        &[
            "-O0",
            "-W",
            "simd=n,relaxed-simd=n",
            "--invoke",
            "seven",
            "./app.wat",
        ],
    ] {
        assert_eq!(sandbox.succeed(args), "7\n", "{args:?}");
    }
    sandbox.fail(
        &["none.wasm"],
        1,
        &["cannot read `none.wasm`", "No such file"],
    );
    // Not a subcommand, so a file.
    sandbox.fail(
        &["fly", "app.wat"],
        1,
        &["`fly` is neither a file nor a command; `mintage help` lists the commands"],
    );
    sandbox.fail(&["run", "fly"], 1, &["error: cannot read `fly`"]);
    sandbox.fail(&["."], 1, &["cannot read `.`", "directory"]);
    sandbox.fail(&["--fly", "app.wat"], 2, &["'--fly'"]);
    let help = sandbox.succeed(&["--help"]);
    for part in ["APP [ARGS]", "completions", "--invoke", "Without a command"] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
}

/// What comes after the file is for the program, so options there are a mistake if there is none.
#[test]
fn options_after_the_file_are_explained() {
    let sandbox = Sandbox::with(APP);
    for option in [
        "--invoke",
        "--fuel=1",
        "-W",
        "-Wsimd",
        "--max-total-memory-size",
    ] {
        for command in [
            &["run", "app.wat", option, "1"][..],
            &["app.wat", option, "1"],
        ] {
            sandbox.fail(
                command,
                2,
                &[
                    &format!("`{option}` comes after `app.wat`"),
                    "options of this command come before the file",
                ],
            );
        }
    }
    sandbox.fail(
        &["--invoke", "seven", "app.wat", "1"],
        2,
        &["`1` comes after `app.wat`", "--invoke 'name(arguments)'"],
    );
}

#[test]
fn groups_of_options_are_those_of_other_commands() {
    let sandbox = Sandbox::with(APP);
    let grow =
        |options: &[&str]| sandbox.run(&[options, &["--invoke", "grow", "app.wat"]].concat());
    for (options, code, printed) in [
        (&[][..], 0, "1\n"),
        (&["-W", "max-memory-size=64K"], 0, "-1\n"),
        (&["-W", "max-memory-size=65536,simd"], 0, "-1\n"),
        (
            &["-W", "max_memory_size=64K", "-W", "trap-on-grow-failure"],
            1,
            "",
        ),
        (&["-O", "memory-reservation=64K,opt-level=s"], 0, "-1\n"),
        (&["-O2", "-Omemory-reservation=1M"], 0, "1\n"),
        // The option counts more than the key.
        (
            &["--max-memory-size", "1M", "-W", "max-memory-size=64K"],
            0,
            "1\n",
        ),
        // Accepted without effect.
        (
            &["-W", "component-model,bulk-memory=y,reference-types=n"],
            0,
            "1\n",
        ),
        (
            &[
                "-O",
                "pooling-allocator=y,memory-init-cow=n,pooling-total-stacks=9",
            ],
            0,
            "1\n",
        ),
        (&["-W", "all-proposals"], 0, "1\n"),
    ] {
        let outcome = grow(options);
        assert_eq!(
            (outcome.code, &*outcome.stdout),
            (Some(code), printed),
            "{options:?}: {outcome:?}"
        );
    }
    for (options, message) in [
        (
            ["-W", "fly"],
            "there is no feature `fly`; `-W help` lists the features",
        ),
        (["-W", "fuel"], "`-W fuel`: a value is missing"),
        (["-W", "fuel=x"], "`-W fuel`: `x` is not a number"),
        (
            ["-W", "timeout=soon"],
            "`-W timeout`: expected a time such as 100ms",
        ),
        (
            ["-W", "trap-on-grow-failure=2"],
            "write `=y` or `=n`, not `=2`",
        ),
        (
            ["-O", "fly"],
            "there is no key `fly`; `-O help` lists the keys",
        ),
        (["-O", "opt-level=9"], "`-O opt-level`: expected 0, 1 or 2"),
        (["-O", "9"], "expected 0, 1 or 2"),
    ] {
        let outcome = grow(&options);
        let named = outcome.stderr.contains(message);
        assert!(outcome.code == Some(2) && named, "{options:?}: {outcome:?}");
    }
    for (letter, key) in [("-W", "fuel=N"), ("-O", "opt-level=0|1|2|s")] {
        assert!(sandbox.succeed(&[letter, "help", "app.wat"]).contains(key));
    }
}

#[test]
fn shells_get_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.succeed(&["completions", shell]);
        assert!(
            script.contains("mintage") && script.contains("allow-precompiled"),
            "{shell}"
        );
    }
    sandbox.fail(&["completions", "csh"], 2, &["possible values", "bash"]);
    let full = sandbox.shell("$MINTAGE completions bash > /dev/full");
    assert_eq!(full.code, Some(1), "{full:?}");
    let head = sandbox.shell("$MINTAGE completions bash | head -n 1 > /dev/null");
    assert_eq!((head.code, &*head.stderr), (Some(0), ""));
}

#[test]
fn results_that_cannot_be_printed_are_an_error() {
    let sandbox = Sandbox::with(APP);
    let full = sandbox.shell("exec $MINTAGE --invoke seven app.wat > /dev/full");
    assert_eq!(full.code, Some(1));
    assert!(
        full.stderr
            .contains("cannot write the result to standard output")
            && full.stderr.contains("No space left"),
        "{full:?}"
    );
    // Nobody reads: the process ends as others do, with no message.
    let closed = sandbox.shell(
        "mkfifo f; (exec 3< f; exec 3<&-) & exec 4> f; wait; \
         exec $MINTAGE --invoke seven app.wat >&4",
    );
    assert_eq!((closed.code, &*closed.stderr), (None, ""), "{closed:?}");
}

//! Options for the library's settings, and errors that name them.

use crate::common::{APP, Sandbox};
use std::env::consts::ARCH;

/// Wraps a core module in a component that exports its function `f`, which has no parameters.
fn component(module: &str) -> String {
    format!(
        r#"(component
            (core module $m {module})
            (core instance $i (instantiate $m))
            (func (export "f") (result s32) (canon lift (core func $i "f"))))"#
    )
}

#[test]
fn features_are_options_and_errors_name_them() {
    let sandbox = Sandbox::new();
    let byte_pages =
        component(r#"(memory 7 (pagesize 1)) (func (export "f") (result i32) memory.size)"#);
    let simd = component(
        r#"(func (export "f") (result i32) (i32x4.extract_lane 0 (v128.const i32x4 7 0 0 0)))"#,
    );
    let extended = component(
        r#"(global i32 (i32.add (i32.const 1) (i32.const 2))) (func (export "f") (result i32)
          (i32.const 7))"#,
    );
    let map = component(r#"(func (export "f") (result i32) (i32.const 7))"#).replacen(
        "(component",
        "(component (type (map u8 u8))",
        1,
    );
    for (app, option, off, on) in [
        (
            &byte_pages,
            "custom-page-sizes",
            "simd",
            "custom-page-sizes",
        ),
        (&simd, "simd", "simd=n,relaxed-simd=n", "simd=y"),
        (&simd, "simd", "all=n", "all=n,simd"),
        (
            &extended,
            "extended-const",
            "extended_const=off",
            "extended_const=on",
        ),
        (&map, "map", "all,map=n", "map"),
        (&map, "map", "component-model-map=n", "component-model-map"),
        (&map, "map", "all,map=false", "all"),
    ] {
        sandbox.write("app.wat", app);
        let message = format!("(which `-W {option}` turns on)");
        for command in ["run", "compile"] {
            sandbox.fail(
                &[command, "-W", off, "app.wat"],
                1,
                &[&message, "unsupported component"],
            );
        }
        assert_eq!(
            sandbox.succeed(&["run", "-W", on, "app.wat"]),
            "7\n",
            "{on}"
        );
        // An artifact runs without the options that it was compiled with.
        sandbox.succeed(&["compile", "app.wat", "-W", on]);
        assert_eq!(
            sandbox.succeed(&["run", "--allow-precompiled", "app.mint"]),
            "7\n"
        );
        assert!(
            sandbox
                .succeed(&["inspect", "--program", "app.wat", "-W", on])
                .contains("core0")
        );
    }
    sandbox.fail(
        &["run", "--allow-precompiled", "-W", "map", "app.mint"],
        1,
        &["`app.mint` is already compiled; pass `-W` to `mintage compile`"],
    );
    let list = sandbox.succeed(&["run", "-W", "help"]);
    assert!(list.starts_with("Features for `-W"), "{list}");
    for part in [
        "map ",
        "off  components may use `map<k, v>`",
        "simd ",
        "custom-page-sizes",
    ] {
        assert!(list.contains(part), "{list}");
    }
    sandbox.fail(
        &["run", "-W", "fly", "app.wat"],
        2,
        &["no feature `fly`", "-W help"],
    );
    sandbox.fail(
        &["run", "-W", "map=maybe", "app.wat"],
        2,
        &["`-W map=y` or `-W map=n`"],
    );
}

#[test]
fn errors_of_unsupported_features_name_no_option() {
    let sandbox = Sandbox::with("(component (core func (canon thread.available_parallelism)))");
    sandbox.fail(
        &["run", "app.wat"],
        1,
        &["unsupported component", "not supported yet"],
    );
    sandbox.write(
        "app.wat",
        component("(func (export \"f\") (result i32) (i64.const 1))"),
    );
    sandbox.fail(
        &["run", "app.wat"],
        1,
        &["invalid component at byte", "type mismatch"],
    );
}

#[test]
fn reservations_and_limits_are_options_and_errors_name_them() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        component(
            r#"(memory 16) (table 1000 funcref)
            (func (export "f") (result i32) (memory.grow (i32.const 1)))"#,
        ),
    );
    let reserved = [
        "compile",
        "app.wat",
        "--memory-reservation",
        "1MiB",
        "--memory-guard-size",
        "64K",
    ];
    sandbox.succeed(&reserved);
    let text = sandbox.succeed(&["inspect", "app.mint"]);
    assert!(
        text.contains("memory 0: 1048576 bytes, grows to 1048576"),
        "{text}"
    );
    assert_eq!(
        sandbox.succeed(&["run", "--allow-precompiled", "app.mint"]),
        "-1\n"
    );
    assert_eq!(sandbox.succeed(&["run", "app.wat"]), "16\n");
    for (options, printed) in [
        (&["--max-memory-size", "1M"][..], "-1\n"),
        (
            &[
                "--max-memory-size",
                "2M",
                "--max-total-memory-size",
                "1200K",
            ],
            "16\n",
        ),
        (&["--max-address-space", "8G"], "16\n"),
        (
            &[
                "--max-address-space",
                "1G",
                "--memory-reservation",
                "64M",
                "--memory-guard-size",
                "1M",
            ],
            "16\n",
        ),
        (
            &[
                "--table-reservation",
                "1000",
                "--max-table-elements",
                "1000",
            ],
            "16\n",
        ),
        (
            &[
                "--max-wasm-stack",
                "64K",
                "--max-memories",
                "1",
                "--max-tables",
                "1",
            ],
            "16\n",
        ),
        (
            &["--nan-canonicalization", "--relaxed-simd-deterministic"],
            "16\n",
        ),
    ] {
        let arguments = [&["run"], options, &["app.wat"]].concat();
        assert_eq!(sandbox.succeed(&arguments), printed, "{options:?}");
    }
    let wide = component(
        r#"(memory i64 1)
        (func (export "f") (result i32) (i32.wrap_i64 (memory.grow (i64.const 1))))"#,
    );
    sandbox.write("wide.wat", wide);
    assert_eq!(sandbox.succeed(&["run", "wide.wat"]), "1\n");
    let narrow = ["run", "--memory64-reservation", "64K", "wide.wat"];
    assert_eq!(sandbox.succeed(&narrow), "-1\n");
    for (options, messages) in [
        (
            &["--memory-reservation", "64K"][..],
            &["starts with 16 pages, more than `--memory-reservation`"][..],
        ),
        (
            &["--max-address-space", "1G"],
            &["`--max-address-space` allows; raise it, or reduce `--memory-reservation`"],
        ),
        (
            &["--max-memory-size", "64K"],
            &[
                "starts with 1048576 bytes",
                "more than the 65536 that `--max-memory-size` allows\n",
            ],
        ),
        (
            &["--max-table-elements", "9"],
            &[
                "starts with 1000 entries",
                "more than the 9 that `--max-table-elements` allows\n",
            ],
        ),
        (
            &["--max-code-size", "16"],
            &["that `--max-code-size` allows"],
        ),
        (
            &["--max-compile-time", "0"],
            &["that `--max-compile-time` allows"],
        ),
        (
            &["--max-function-values", "1"],
            &["`--max-function-values`"],
        ),
        (&["--max-memories", "0"], &["raise `--max-memories`\n"]),
        (&["--max-tables", "0"], &["raise `--max-tables`\n"]),
    ] {
        let args = [&["run", "--no-cache"], options, &["app.wat"]].concat();
        sandbox.fail(&args, 1, messages);
    }
    for (option, message) in [
        ("--max-memory-size=64kb", "in units of K, M, G or T"),
        ("--memory-reservation=-1", "expected a number of bytes"),
        ("--gc-heap-reservation=99999999T", "does not fit 64 bits"),
    ] {
        sandbox.fail(&["run", option, "app.wat"], 2, &[message]);
    }
    sandbox.fail(
        &["run", "--gc-heap-reservation=2G", "app.wat"],
        1,
        &["at most 1G"],
    );
}

#[test]
fn parse_errors_show_the_line() {
    let sandbox = Sandbox::new();
    for (text, messages) in [
        (
            "(component\n  (fnc))",
            &["--> app.wat:2:4", "   2 |   (fnc))"][..],
        ),
        (
            "(component\n  (core module\n    (func (get_local 0))))",
            &[
                "--> app.wat:3:12",
                "(func (get_local 0))",
                "`get_local` is old syntax; write `local.get`",
            ],
        ),
        (
            "(component (module))",
            &["`module` is old syntax; write `core module`"],
        ),
    ] {
        sandbox.write("app.wat", text);
        for command in ["run", "compile", "inspect"] {
            let messages = [messages, &["the text does not parse"]].concat();
            sandbox.fail(&[command, "app.wat"], 1, &messages);
        }
    }
    sandbox.write("good.wat", "(component (import \"m\" (core module)))");
    let module = ["run", "--module", "m=app.wat", "good.wat"];
    sandbox.write("app.wat", "(module (func\n get_local 0))");
    sandbox.fail(&module, 1, &["--> app.wat:2:2", "write `local.get`"]);
}

#[test]
fn artifacts_are_made_for_other_targets() {
    let sandbox = Sandbox::with(APP);
    let other = if ARCH == "aarch64" {
        "x86_64"
    } else {
        "aarch64"
    };
    let triple = format!("{other}-unknown-linux-gnu");
    let refused = format!("the artifact was made for {triple}, this host is {ARCH}-");
    sandbox.succeed(&["compile", "--target", &triple, "app.wat"]);
    let run = [
        "run",
        "--allow-precompiled",
        "--invoke",
        "nothing()",
        "app.mint",
    ];
    sandbox.fail(&run, 1, &[&refused]);
    let inspected = sandbox.succeed(&["inspect", "app.mint"]);
    assert!(inspected.contains(&triple), "{inspected}");
    sandbox.fail(
        &[
            "compile",
            "--target",
            other,
            "--warm-up",
            "nothing()",
            "app.wat",
        ],
        1,
        &["cannot warm up `app.wat`", &refused],
    );
    sandbox.fail(
        &[
            "compile",
            "--target",
            "riscv64gc-unknown-linux-gnu",
            "app.wat",
        ],
        1,
        &["`--target`", "only x86-64 and aarch64 are supported"],
    );
    sandbox.fail(
        &["compile", "--target", other, "--cpu", "lse,mmx", "app.wat"],
        1,
        &["`--cpu`", "unknown CPU feature `"],
    );
    sandbox.succeed(&["compile", "--cpu", "baseline", "app.wat"]);
    sandbox.succeed(&run);
}

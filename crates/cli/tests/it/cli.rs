//! Each subcommand with valid and invalid input: its output, exit code and errors.

use crate::common::{APP, Sandbox};
use std::fs;

#[test]
fn components_and_artifacts_run_alike() {
    let sandbox = Sandbox::with(APP);
    assert_eq!(
        sandbox.succeed(&["compile", "app.wat", "-o", "app.mint"]),
        ""
    );
    sandbox.write("app.wasm", wat::parse_str(APP).unwrap());
    for app in ["app.wat", "app.wasm", "app.mint"] {
        for (call, printed) in [
            (r#"echo("hello ☃")"#, "\"hello ☃\"\n"),
            ("echo-list([1, 2, 65535])", "[1, 2, 65535]\n"),
            ("add(-3, 5)", "2\n"),
            ("nothing()", "()\n"),
            ("nothing", "()\n"),
            ("test:app/numbers@1.2.0/answer()", "42\n"),
            ("single/answer", "42\n"),
        ] {
            assert_eq!(
                sandbox.succeed(&["run", "--allow-precompiled", "--invoke", call, app]),
                printed,
                "{app} {call}"
            );
        }
    }
}

#[test]
fn the_only_function_needs_no_name() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "seven") (result u8) (canon lift (core func $i "f"))))"#,
    );
    assert_eq!(sandbox.succeed(&["run", "app.wat"]), "7\n");
}

#[test]
fn every_optimization_level_compiles_and_phases_are_timed() {
    let sandbox = Sandbox::with(APP);
    for level in ["0", "1", "2"] {
        let outcome = sandbox.run(&["compile", "app.wat", "-O", level, "--time"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        for phase in ["program", "functions", "link", "image", "write", "total"] {
            assert!(outcome.stderr.contains(phase), "{phase}: {outcome:?}");
        }
        assert_eq!(
            sandbox.succeed(&[
                "run",
                "--allow-precompiled",
                "--invoke",
                "add(40, 2)",
                "app.mint"
            ]),
            "42\n"
        );
    }
}

#[test]
fn artifacts_can_be_warmed_up() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (core module $m (global $sum (mut i32) (i32.const 5))
              (func (export "add") (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then unreachable))
                (global.set $sum (i32.add (global.get $sum) (local.get 0))) (global.get $sum)))
            (core instance $i (instantiate $m))
            (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add"))))"#,
    );
    let run =
        |name: &str| sandbox.succeed(&["run", "--allow-precompiled", "--invoke", "add(1)", name]);
    sandbox.succeed(&[
        "compile",
        "app.wat",
        "--warm-up",
        "add(10)",
        "--warm-up",
        "add(100)",
    ]);
    assert_eq!(
        (run("app.wat"), run("app.mint")),
        ("6\n".into(), "116\n".into())
    );
    let compile = |call: &str, code, messages: &[&str]| {
        sandbox.fail(
            &["compile", "app.wat", "-o", "no.mint", "--warm-up", call],
            code,
            messages,
        );
        assert!(!sandbox.path("no.mint").exists());
    };
    compile(
        "add(0)",
        134,
        &[
            "cannot warm up `app.wat`",
            "the call `add(0)` failed",
            "unreachable",
        ],
    );
    compile(
        "sub(1)",
        1,
        &["the component does not export a function `sub`"],
    );
}

#[test]
fn traps_show_their_kind_and_backtrace() {
    let sandbox = Sandbox::with(APP);
    sandbox.succeed(&["compile", "app.wat", "-o", "app.mint"]);
    for app in ["app.wat", "app.mint"] {
        for (call, messages) in [
            (
                "unreachable()",
                &[
                    "wasm trap: wasm `unreachable` instruction executed",
                    "inner",
                    "unreachable",
                ][..],
            ),
            (
                "divide(0)",
                &["wasm trap: integer divide by zero", "divide"],
            ),
            (
                "peek(65536)",
                &["wasm trap: out of bounds memory access", "peek"],
            ),
            (
                "peek(4294967295)",
                &["wasm trap: out of bounds memory access", "peek"],
            ),
            ("recurse()", &["wasm trap: call stack exhausted", "recurse"]),
        ] {
            sandbox.fail(
                &["run", "--allow-precompiled", "--invoke", call, app],
                134,
                messages,
            );
        }
    }
}

#[test]
fn traps_while_instantiating_name_the_start_function() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (core module $m
                (func $begin (unreachable))
                (func (export "f"))
                (start $begin))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
    );
    sandbox.fail(
        &["run", "app.wat"],
        134,
        &["cannot instantiate `app.wat`", "unreachable", "begin"],
    );
}

#[test]
fn errors_tell_what_a_file_is_if_it_is_not_a_component() {
    let sandbox = Sandbox::new();
    sandbox.write("garbage", [0x17, 0xff, 0x00, 0x80]);
    sandbox.write("text", "This is not a component.");
    sandbox.write("typo.wat", "(component (fnc))");
    sandbox.write("empty", "");
    sandbox.write("elf", b"\x7fELF\x02\x01\x01\0 and nothing else");
    let mut cut = wat::parse_str(APP).unwrap();
    cut.truncate(cut.len() / 2);
    sandbox.write("cut.wasm", cut);
    sandbox.write(
        "invalid.wat",
        r#"(component (core module (func (result i32) (i64.const 0))))"#,
    );
    for (file, message) in [
        ("none.wasm", "cannot read `none.wasm`"),
        ("garbage", "neither WebAssembly"),
        ("text", "neither WebAssembly"),
        ("typo.wat", "fnc"),
        ("empty", "neither WebAssembly"),
        ("elf", "elf"),
        ("cut.wasm", "cut.wasm"),
        ("invalid.wat", "type mismatch"),
    ] {
        sandbox.fail(
            &["run", "--allow-precompiled", "--invoke", "f()", file],
            1,
            &[message],
        );
        // `inspect` does not validate function bodies.
        if file != "invalid.wat" {
            sandbox.fail(&["inspect", file], 1, &["error:"]);
        }
        if file != "elf" {
            sandbox.fail(&["compile", file], 1, &[message]);
        }
    }
}

#[test]
fn missing_imports_are_named_with_their_types() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "app.wat",
        r#"(component
            (import "test:host/log@1.0.0" (instance $log (export "write" (func
              (param "line" string)))))
            (import "now" (func $now (result u64)))
            (core func $now (canon lower (func $now)))
            (core module $m
                (import "host" "now" (func $now (result i64)))
                (func (export "f") (result i64) (call $now)))
            (core instance $i (instantiate $m (with "host" (instance (export "now" (func $now))))))
            (func (export "f") (result u64) (canon lift (core func $i "f"))))"#,
    );
    let messages = [
        "cannot instantiate",
        "now",
        "func() -> u64",
        "test:host/log@1.0.0",
        "write",
        "func(line: string)",
    ];
    sandbox.fail(&["run", "app.wat"], 1, &messages);
}

#[test]
fn damaged_artifacts_are_rejected() {
    let sandbox = Sandbox::with(APP);
    sandbox.succeed(&["compile", "app.wat", "-o", "app.mint"]);
    let artifact = fs::read(sandbox.path("app.mint")).unwrap();
    for length in [16, 64, artifact.len() / 2, artifact.len() - 1] {
        sandbox.write("cut.mint", &artifact[..length]);
        sandbox.fail(
            &[
                "run",
                "--allow-precompiled",
                "--invoke",
                "nothing",
                "cut.mint",
            ],
            1,
            &["cannot load `cut.mint`"],
        );
    }
    // Change one byte at a time, in code and image among others. Padding between sections may have
    // any value.
    let mut rejected = 0;
    for position in (0..artifact.len()).step_by(artifact.len() / 40) {
        let mut damaged = artifact.clone();
        damaged[position] ^= 0x40;
        sandbox.write("damaged.mint", damaged);
        let outcome = sandbox.run(&[
            "run",
            "--allow-precompiled",
            "--invoke",
            "nothing",
            "damaged.mint",
        ]);
        assert!(
            matches!(outcome.code, Some(0 | 1)),
            "byte {position}: {outcome:?}"
        );
        rejected += usize::from(outcome.code == Some(1));
    }
    assert!(rejected > 0, "no damage was noticed");
    sandbox.fail(&["compile", "app.mint"], 1, &["already compiled"]);
}

#[test]
fn artifacts_of_another_version_are_rejected() {
    let sandbox = Sandbox::with(APP);
    sandbox.succeed(&["compile", "app.wat", "-o", "app.mint"]);
    let mut artifact = fs::read(sandbox.path("app.mint")).unwrap();
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let position = artifact
        .windows(version.len())
        .position(|window| window == version);
    let position = position.expect("an artifact contains the version");
    artifact[position] = b'9';
    sandbox.write("old.mint", artifact);
    sandbox.fail(
        &[
            "run",
            "--allow-precompiled",
            "--invoke",
            "nothing",
            "old.mint",
        ],
        1,
        &["cannot load `old.mint`", "made by Mintage 9"],
    );
}

#[test]
fn inspect_shows_wit_programs_and_artifacts() {
    let sandbox = Sandbox::with(APP);
    sandbox.write(
        "small.wat",
        r#"(component
            (core module $m (memory 3) (func (export "f") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func (export "double") (param "x" u32) (result u32) (canon lift
              (core func $i "f"))))"#,
    );
    assert!(
        sandbox
            .succeed(&["inspect", "small.wat"])
            .contains("export double: func(x: u32) -> u32;")
    );
    let text = sandbox.succeed(&["inspect", "--program", "small.wat"]);
    for part in [
        "core0: module0",
        "mem0: domain0 3.. pages",
        "bounds checked by guard pages",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    // None of these exports can be written as WIT.
    sandbox.write(
        "types.wat",
        r#"(component
            (type $v (variant (case "a") (case "b" u8)))
            (export $w "v" (type $v))
            (type $t (resource (rep i32)))
            (export "thing" (type $t))
            (type $m (map string u8))
            (export "names" (type $m))
            (core module $m (func (export "f") (param i32 i32)))
            (export "code" (core module $m))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $w) (canon lift (core func $i "f"))))"#,
    );
    let text = sandbox.succeed(&["inspect", "types.wat"]);
    for part in [
        "cannot be written as WIT",
        "\n  v: type variant { a, b(u8) }\n",
        "\n  thing: resource\n",
        "\n  names: type map<string, u8>\n",
        "\n  code: component, core module",
        "\n  f: func(x: variant { a, b(u8) })\n",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    sandbox.succeed(&[
        "compile",
        "small.wat",
        "--memory64-reservation",
        "64M",
        "-W",
        "map,simd=n",
    ]);
    let text = sandbox.succeed(&["inspect", "small.mint"]);
    assert!(!text.contains(" simd,"), "{text}");
    for part in [
        "optimization level         Speed\n",
        "memory reservation         4294967296 bytes\n",
        "memory64 reservation       67108864 bytes\n",
        "fuel                       not counted\n",
        " map",
        ".text",
        "core ",
        "memory 0: 196608 bytes",
        "double: func(x: u32) -> u32",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn wast_runs_scripts() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "good.wast",
        r#"(module (func (export "f") (result i32) (i32.const 1))) (assert_return (invoke "f")
          (i32.const 1))"#,
    );
    sandbox.write(
        "bad.wast",
        "(module (func (export \"f\") (result i32) (i32.const 1)))\n\
         (assert_return (invoke \"f\") (i32.const 2))",
    );
    assert!(
        sandbox
            .succeed(&["wast", "good.wast"])
            .contains("1 assertions")
    );
    sandbox.fail(
        &["wast", "good.wast", "bad.wast"],
        1,
        &["bad.wast: line 2", "(i32.const 2)"],
    );
    sandbox.fail(&["wast", "none.wast"], 1, &["cannot read `none.wast`"]);
}

/// All features are on unless an option turns them off.
#[test]
fn wast_takes_options_for_features() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "byte-pages.wast",
        r#"(module (memory 7 (pagesize 1)) (func (export "f") (result i32) memory.size))
        (assert_return (invoke "f") (i32.const 7))"#,
    );
    sandbox.write(
        "map.wast",
        "(assert_invalid (component (type (map u8 u8))) \"map\")",
    );
    let off = "(which `-W custom-page-sizes` turns on)";
    sandbox.succeed(&["wast", "byte-pages.wast"]);
    sandbox.fail(&["wast", "byte-pages.wast", "-W", "all=n"], 1, &[off]);
    sandbox.fail(
        &["wast", "-W", "custom-page-sizes=n", "byte-pages.wast"],
        1,
        &[off],
    );
    sandbox.fail(&["wast", "map.wast"], 1, &["map.wast: line 1"]);
    sandbox.succeed(&["wast", "map.wast", "-W", "map=n"]);
    sandbox.fail(&["wast", "map.wast", "-W", "fly"], 2, &["no feature `fly`"]);
}

/// Scripts in folders are named relative to the folder in a list of expected failures.
#[test]
fn wast_compares_with_a_list() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("all/inner")).unwrap();
    let module = "(module (func (export \"f\") (result i32) (i32.const 1)))\n";
    sandbox.write(
        "all/good.wast",
        format!("{module}(assert_return (invoke \"f\") (i32.const 1))"),
    );
    sandbox.write(
        "all/inner/bad.wast",
        format!("{module}(assert_return (invoke \"f\") (i32.const 2))"),
    );
    sandbox.write("all/inner/not-a-script.wat", "(");
    sandbox.fail(
        &["wast", "all"],
        1,
        &["inner/bad.wast: line 2", "1 problems"],
    );
    let list = |text: &str| sandbox.write("list.txt", text);
    let args = ["wast", "--expected-failures", "list.txt", "all"];
    list("# why\ninner/bad.wast:2 is two");
    assert!(sandbox.succeed(&args).contains("1 expected failures"));
    list("inner/bad.wast is not run");
    assert!(sandbox.succeed(&args).contains("1 scripts excluded"));
    for (text, expected) in [
        (
            "inner/bad.wast:2 why\ngood.wast:2 why",
            "good.wast:2 is listed as an expected failure, but passes",
        ),
        (
            "inner/bad.wast:2 why\nbad.wast why",
            "bad.wast is excluded but there is no such script",
        ),
        ("inner/bad.wast:2", "`inner/bad.wast:2`: no reason"),
    ] {
        list(text);
        sandbox.fail(&args, 1, &[expected]);
    }
}

#[test]
fn wrong_usage_exits_with_two() {
    let sandbox = Sandbox::with(APP);
    for args in [&[][..], &["--fly"], &["run"], &["compile"], &["wast"]] {
        sandbox.fail(args, 2, &["Usage"]);
    }
    sandbox.fail(
        &["compile", "app.wat", "-O", "9"],
        2,
        &["'9'", "expected 0, 1 or 2"],
    );
    assert!(
        sandbox
            .succeed(&["--version"])
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

//! Components that implement imports of the app: `--plug`, and `mintage compose`.

use crate::common::Sandbox;

/// Imports `double`, whose result it makes one larger.
const APP: &str = r#"(component
    (import "demo:math/math@1.0.0" (instance $math
        (export "double" (func (param "x" u32) (result u32)))))
    (core func $double (canon lower (func $math "double")))
    (core module $m
        (import "" "double" (func $double (param i32) (result i32)))
        (func (export "run") (param i32) (result i32)
            (i32.add (call $double (local.get 0)) (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "double" (func $double))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#;

const MATH: &str = r#"(component
    (core module $m
        (func (export "double") (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m))
    (func $double (param "x" u32) (result u32) (canon lift (core func $i "double")))
    (instance $math (export "double" (func $double)))
    (export "demo:math/math@1.1.0" (instance $math)))"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with(APP);
    sandbox.write("math.wat", MATH);
    sandbox
}

#[test]
fn plugs_are_composed_compiled_and_run() {
    let sandbox = sandbox();
    let call = ["--invoke", "run(20)"];
    let run = |args: &[&str]| sandbox.succeed(&[&["run"], &call[..], args].concat());
    assert_eq!(run(&["--plug", "math.wat", "app.wat"]), "41\n");

    let out = sandbox.succeed(&[
        "compose",
        "app.wat",
        "--plug",
        "math.wat",
        "-o",
        "both.wasm",
    ]);
    assert_eq!(out, "");
    assert_eq!(run(&["both.wasm"]), "41\n");
    assert!(
        !sandbox
            .succeed(&["inspect", "both.wasm"])
            .contains("import")
    );

    sandbox.succeed(&[
        "compile",
        "app.wat",
        "--plug",
        "math.wat",
        "-o",
        "both.mint",
    ]);
    assert_eq!(run(&["--allow-precompiled", "both.mint"]), "41\n");

    let piped = sandbox.shell(
        "$MINTAGE compose - --plug math.wat -o - < app.wat | $MINTAGE run --invoke 'run(1)' -",
    );
    assert_eq!(piped.stdout, "3\n", "{piped:?}");
}

#[test]
fn what_cannot_be_composed_is_an_error() {
    let sandbox = sandbox();
    sandbox.write("module.wat", "(module)");
    sandbox.write("other.wat", "(component)");
    sandbox.succeed(&["compile", "math.wat"]);
    let plug = |file| vec!["run", "--plug", file, "app.wat"];
    for (args, messages) in [
        (plug("none.wat"), &["cannot read `none.wat`"][..]),
        (plug("module.wat"), &["`module.wat`", "core module"]),
        (
            plug("math.mint"),
            &["`math.mint` is already compiled", "--plug"],
        ),
        (
            plug("other.wat"),
            &[
                "no component imports anything from `other.wat`",
                "`app.wat` imports `demo:math/math@1.0.0`",
            ],
        ),
        (
            vec![
                "run",
                "--allow-precompiled",
                "--plug",
                "math.wat",
                "math.mint",
            ],
            &["`math.mint` is already compiled; pass `--plug` to `mintage compile`"],
        ),
        (
            vec!["compose", "app.wat", "-o", "out.wasm"],
            &["nothing to compose with `app.wat`; add `--plug FILE`"],
        ),
        (
            vec!["compose", "app.wat", "--plug", "math.wat", "-o", "math.wat"],
            &["would overwrite the input `math.wat`"],
        ),
    ] {
        sandbox.fail(&args, 1, messages);
    }
    sandbox.fail(
        &["compose", "app.wat", "--plug", "math.wat"],
        2,
        &["--output"],
    );
}

//! Core modules that the host supplies for a component's imports.

use mintage::{CodeBuilder, Component, Engine, Linker, Result, Store};

/// Imports two modules among functions; one is used by a nested component. `run(x)` is
/// `inc(double(x)) + base`.
const APP: &str = r#"(component
    (core type $double (module (export "f" (func (param i32) (result i32)))))
    (core type $inc (module
        (import "env" "by" (func (result i32)))
        (export "f" (func (param i32) (result i32)))))
    (import "base" (func $base (result u32)))
    (import "double" (core module $double (type $double)))
    (import "other" (func $other))
    (import "inc" (core module $inc (type $inc)))
    (import "last" (func $last))
    (core func $base (canon lower (func $base)))
    (core instance $double (instantiate $double))
    (core module $by (func (export "by") (result i32) (i32.const 1)))
    (component $nested)
    (core instance $by (instantiate $by))
    (component $user
        (alias outer 1 $inc (core module $inc))
        (alias outer 1 $by (core module $by))
        (core instance $by (instantiate $by))
        (core instance $i (instantiate $inc (with "env" (instance $by))))
        (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))
    (instance $user (instantiate $user))
    (core func $inc (canon lower (func $user "f")))
    (core module $m
        (import "" "base" (func $base (result i32)))
        (import "" "double" (func $double (param i32) (result i32)))
        (import "" "inc" (func $inc (param i32) (result i32)))
        (func (export "run") (param i32) (result i32)
            (i32.add (call $base) (call $inc (call $double (local.get 0))))))
    (core instance $m (instantiate $m (with "" (instance
        (export "base" (func $base)) (export "double" (func $double "f")) (export "inc"
          (func $inc))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $m "run"))))"#;

const DOUBLE: &str = r#"(module
    (func (export "more"))
    (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"#;
const INC: &str = r#"(module
    (import "env" "by" (func $by (result i32)))
    (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (call $by))))"#;

fn compile(app: &str, modules: &[(&str, &str)]) -> Result<Component> {
    let engine = Engine::default();
    let mut builder = CodeBuilder::new(&engine);
    builder.wasm_binary_or_text(app.as_bytes(), None)?;
    for (name, module) in modules {
        builder.core_module(name, module.as_bytes())?;
    }
    builder.compile_component()
}

#[test]
fn given_modules_are_part_of_the_component() -> Result<()> {
    let component = compile(APP, &[("inc", INC), ("double", DOUBLE)])?;
    let mut linker = Linker::<()>::new(component.engine());
    linker.root().func_wrap("base", |_, ()| Ok((100u32,)))?;
    linker.root().func_wrap("other", |_, ()| Ok(()))?;
    linker.root().func_wrap("last", |_, ()| Ok(()))?;
    let mut store = Store::new(component.engine(), ());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (20,))?, (141,));
    Ok(())
}

#[test]
fn modules_that_do_not_fit_are_refused() {
    let app = r#"(component
        (import "m" (core module $m (export "f" (func (param i32) (result i32)))))
        (core instance (instantiate $m)))"#;
    let fits = r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#;
    for (app, modules, message) in [
        (
            app,
            &[][..],
            "the core module `m`, which it imports; give the module",
        ),
        (
            app,
            &[("m", fits), ("m", fits)],
            "two core modules are given for the import `m`",
        ),
        (
            app,
            &[("x", fits)],
            "given for `x`, which the component does not import; it imports the core modules `m`",
        ),
        ("(component)", &[("x", fits)], "it imports no core module"),
        (
            app,
            &[("m", "(module)")],
            "`m` is not of the type that the component imports",
        ),
        (
            app,
            &[(
                "m",
                r#"(module (func (export "f") (param i64) (result i32) (i32.const 0)))"#,
            )],
            "`m` is not of the type that the component imports",
        ),
        (
            app,
            &[(
                "m",
                r#"(module (import "a" "b" (func)) (func (export "f") (param i32) (result i32)
                  (local.get 0)))"#,
            )],
            "`m` is not of the type that the component imports",
        ),
        (app, &[("m", "(component)")], "is not a core module"),
        (
            app,
            &[("m", "(module (func (i32.const)))")],
            "in the core module for the import `m`",
        ),
        (
            app,
            &[("m", "(module (func (result i32)))")],
            "given for the import `m`: invalid core module at byte",
        ),
        (
            "(module)",
            &[("m", fits)],
            "core WebAssembly module, not a component",
        ),
    ] {
        let error = format!("{:#}", compile(app, modules).unwrap_err());
        assert!(error.contains(message), "{app} with {modules:?}: {error}");
    }
}

/// Every prefix of the component, and the component with any one byte changed, works or is an
/// error.
#[test]
fn damaged_components_are_errors() -> Result<()> {
    let engine = Engine::default();
    let app = wat::parse_str(
        r#"(component
            (import "a" (func))
            (import "m" (core module $m (export "f" (func))))
            (import "b" (func))
            (core instance (instantiate $m)))"#,
    )?;
    let module = wat::parse_str(r#"(module (func (export "f")))"#)?;
    let supply = |bytes: &[u8]| -> Result<usize> {
        let mut builder = CodeBuilder::new(&engine);
        builder
            .wasm_binary(bytes, None)?
            .core_module("m", &module)?;
        Ok(builder.input()?.len())
    };
    assert!(supply(&app)? > app.len());
    let mut refused = 0;
    for len in 0..app.len() {
        refused += usize::from(supply(&app[..len]).is_err());
    }
    for at in 0..app.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = app.clone();
            damaged[at] ^= flip;
            refused += usize::from(supply(&damaged).is_err());
        }
    }
    assert!(refused > app.len());
    Ok(())
}

//! Limits of compiling: time, size of code and functions.

use mintage::{CompileLimits, Component, Config, Engine, Result};
use std::time::Duration;

/// Returns the text of a component with `functions` functions, whose bodies are `body`.
fn component(functions: usize, declarations: &str, body: &str) -> String {
    let funcs: String = (0..functions)
        .map(|n| format!(r#"(func (export "f{n}") {body})"#))
        .collect();
    let lifts: String = (0..functions)
        .map(|n| format!(r#"(func (export "f{n}") (canon lift (core func $i "f{n}")))"#))
        .collect();
    format!(
        "(component
            (core module $m {declarations} {funcs})
            (core instance $i (instantiate $m))
            {lifts})"
    )
}

fn error(limits: &CompileLimits, text: &str) -> String {
    let engine = Engine::new(Config::new().compile_limits(limits)).unwrap();
    format!("{:#}", Component::new(&engine, text).unwrap_err())
}

#[test]
fn each_limit_says_what_was_exceeded() {
    let text = component(
        20,
        "(memory 1)",
        "(i32.store (i32.const 0) (i32.load (i32.const 4)))",
    );
    let mut limits = CompileLimits::new();
    let slow = error(limits.time(Some(Duration::ZERO)), &text);
    assert!(
        slow.contains("longer than the 0ns that `CompileLimits::time` allows"),
        "{slow}"
    );
    let mut limits = CompileLimits::new();
    let large = error(limits.code_size(200), &text);
    assert!(
        large.contains("exceed the 200 bytes that `CompileLimits::code_size`"),
        "{large}"
    );
    let mut limits = CompileLimits::new();
    let many = error(limits.function_values(50), &text);
    assert!(
        many.contains("more than 50 values") && many.contains("core[0]:f0"),
        "{many}"
    );
}

#[test]
fn limits_do_not_show_in_artifacts() -> Result<()> {
    let text = wat::parse_str(component(3, "", "")).unwrap();
    let mut limits = CompileLimits::new();
    limits
        .time(Some(Duration::from_secs(3600)))
        .code_size(1 << 20)
        .function_values(10_000);
    let limited =
        Engine::new(Config::new().compile_limits(&limits))?.precompile_component(&text)?;
    assert!(limited == Engine::default().precompile_component(&text)?);
    Ok(())
}

/// Calls of two bytes that pass a thousand values each are a hundred times what they take in the
/// component.
#[test]
fn values_are_in_proportion_to_code() {
    let values = "i32 ".repeat(1000);
    let declarations = format!(
        "(type $t (func (param {values}) (result {values}))) (func $f (type $t) {})",
        (0..1000)
            .map(|n| format!("(local.get {n})"))
            .collect::<String>()
    );
    let body = format!(
        "{} {} {}",
        "(i32.const 0)".repeat(1000),
        "call $f ".repeat(1000),
        "drop ".repeat(1000)
    );
    let error = error(&CompileLimits::new(), &component(6, &declarations, &body));
    assert!(error.contains("16 for each byte of code"), "{error}");
}

/// Small functions count for more than their bytes when modules are instantiated again and again.
#[test]
fn small_functions_that_are_repeated_have_a_limit() {
    let functions: String = (0..20_000).map(|n| format!("(func $f{n})")).collect();
    let names: String = (0..20_000).map(|n| format!("$f{n} ")).collect();
    let module = format!(
        r#"(core module $m {functions} (table (export "t") funcref (elem {names})) (func
          (export "f") (call_indirect (i32.const 0))))"#
    );
    let instances: String = (0..60)
        .map(|n| format!("(core instance $i{n} (instantiate $m))"))
        .collect();
    let lifts: String = (0..60)
        .map(|n| format!(r#"(func (export "f{n}") (canon lift (core func $i{n} "f")))"#))
        .collect();
    let error = error(
        &CompileLimits::new(),
        &format!("(component {module} {instances} {lifts})"),
    );
    assert!(
        error.contains("instantiates core modules so often"),
        "{error}"
    );
}

/// What a component repeats by instantiating a module again, or by types that share parts, does not
/// multiply its bytes.
#[test]
fn names_and_segments_are_not_multiplied() -> Result<()> {
    let (name, data) = ("n".repeat(100_000), "d".repeat(100_000));
    let module = format!(
        r#"(core module $m (memory 2) (data $d "{data}")
            (func $begin (@name "{name}") (memory.init $d (i32.const 0) (i32.const 0)
              (i32.const 9)))
            (func (export "f") (call $begin)))"#
    );
    let instances: String = (0..50)
        .map(|n| format!("(core instance $i{n} (instantiate $m))"))
        .collect();
    let lifts: String = (0..50)
        .map(|n| format!(r#"(func (export "f{n}") (canon lift (core func $i{n} "f")))"#))
        .collect();
    let artifact = Engine::default()
        .precompile_component(format!("(component {module} {instances} {lifts})").as_bytes())?;
    assert!(artifact.len() < 1_000_000, "{}", artifact.len());

    let mut types = format!(
        r#"(type $t0 (instance (export "{}" (func))))"#,
        "a".repeat(90_000)
    );
    for n in 1..16 {
        types += &format!(
            r#"(type $t{n} (instance (alias outer 1 $t{} (type)) (export "x" (instance (type 0)))
              (export "y" (instance (type 0)))))"#,
            n - 1
        );
    }
    let nested = error(
        &CompileLimits::new(),
        &format!(r#"(component {types} (import "i" (instance (type $t15))))"#),
    );
    assert!(nested.contains("takes more than 8000000 steps"), "{nested}");
    Ok(())
}

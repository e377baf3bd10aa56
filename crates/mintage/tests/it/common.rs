//! Helpers that several modules share: texts of components, messages of errors.

use mintage::{Component, Engine, Result};

/// Returns the text of a core module with a memory, an allocator, and further fields.
pub fn module(fields: &str) -> String {
    format!(
        r#"(core module $m {fields}
            (memory (export "mem") 4)
            (global $next (mut i32) (i32.const 4096))
            (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
                (local $start i32)
                (local.set $start (i32.and
                    (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get 2))))
                (global.set $next (i32.add (local.get $start) (local.get 3)))
                (local.get $start)))"#
    )
}

/// The canonical options that use everything in [`module`], for an instance `$i` of it.
pub const OPTIONS: &str = r#"(memory (core memory $i "mem")) (realloc (core func $i "realloc"))"#;

/// Compiles a component with a [`module`] of the given fields, followed by its functions (`lifts`).
pub fn component(engine: &Engine, fields: &str, lifts: &str) -> Result<Component> {
    Component::new(
        engine,
        format!(
            "(component {} (core instance $i (instantiate $m)) {lifts})",
            module(fields)
        ),
    )
}

/// A component with `echo: func(x: ty) -> ty`, which passes what it gets to its import `host`, of
/// the same type, and gives back what that returns. Values cross the border four times.
///
/// `defs` defines the types that `ty` names; `flat` are the core types of a flat value, none when
/// it has more than 16. `post-return` counts its calls, which the function `freed: func() -> u32`
/// tells.
pub fn echo(
    engine: &Engine,
    defs: &str,
    ty: &str,
    flat: &[&str],
    encoding: &str,
) -> Result<Component> {
    let params = if flat.is_empty() {
        "i32".to_string()
    } else {
        flat.join(" ")
    };
    let args: String = (0..flat.len().max(1))
        .map(|i| format!("(local.get {i}) "))
        .collect();
    let (result, host_type, body) = if let [result] = flat {
        (
            *result,
            format!("(param {params}) (result {result})"),
            format!("(call $host {args})"),
        )
    } else {
        let body = format!("(call $host {args} (i32.const 64)) (i32.const 64)");
        ("i32", format!("(param {params} i32)"), body)
    };
    let text = format!(
        r#"(component {defs}
            (import "host" (func $host (param "x" {ty}) (result {ty})))
            (core module $libc (memory (export "mem") 4)
                (global $next (export "next") (mut i32) (i32.const 4096))
                (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $start i32)
                    (local.set $start (i32.and
                        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get 2))))
                    (global.set $next (i32.add (local.get $start) (local.get 3)))
                    (local.get $start)))
            (core instance $libc (instantiate $libc))
            (core func $host (canon lower (func $host) (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc")) string-encoding={encoding}))
            (core module $m
                (import "" "host" (func $host {host_type}))
                (import "libc" "next" (global $next (mut i32)))
                (global $freed (mut i32) (i32.const 0))
                (func (export "echo") (param {params}) (result {result}) {body})
                (func (export "post") (param {result})
                    (global.set $freed (i32.add (global.get $freed) (i32.const 1)))
                    (global.set $next (i32.const 4096)))
                (func (export "freed") (result i32) (global.get $freed)))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))
              (with "libc" (instance $libc))))
            (func (export "freed") (result u32) (canon lift (core func $i "freed")))
            (func (export "echo") (param "x" {ty}) (result {ty})
                (canon lift (core func $i "echo") (memory (core memory $libc "mem"))
                    (realloc (core func $libc "realloc")) (post-return
                      (core func $i "post")) string-encoding={encoding})))"#
    );
    Component::new(engine, text)
}

/// Returns the message of an error with all its causes.
///
/// # Panics
///
/// When `result` is not an error.
pub fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("an error is expected"),
        Err(error) => format!("{error:#}"),
    }
}

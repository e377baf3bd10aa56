//! Calls an exported function with Rust types, which are checked once.

use mintage::{Component, Engine, Linker, Result, Store};

/// `greet` returns its parameter, as any function over strings would do it: through memory.
const COMPONENT: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "greet") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (local.get 1))
            (i32.const 0))
        (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "greet") (param "name" string) (result string)
        (canon lift (core func $i "greet") (memory (core memory $i "memory"))
            (realloc (core func $i "realloc"))))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32)
        (canon lift (core func $i "add"))))"#;

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;

    // Parameters and results are tuples.
    let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
    assert_eq!(add.call(&mut store, (40, 2))?, (42,));

    // Strings are borrowed on the way in, and owned on the way out.
    let greet = instance.get_typed_func::<(&str,), (String,)>(&mut store, "greet")?;
    let (greeting,) = greet.call(&mut store, ("world",))?;
    println!("hello, {greeting}");
    assert_eq!(greeting, "world");

    // Other types than the component's are an error, which says how they differ.
    let error = instance.get_typed_func::<(u64, u32), (u32,)>(&mut store, "add");
    println!("{:#}", error.unwrap_err());
    Ok(())
}

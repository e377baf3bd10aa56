//! A binary of its own, because it is built without the feature `compiler`:
//!
//! ```sh
//! cargo test -p mintage --no-default-features
//! ```
//!
//! Tests that artifacts load, link and run, and that those that do not fit are refused.

#![cfg(not(feature = "compiler"))]

use mintage::{
    ArtifactFault, Component, Config, Engine, ErrorKind, LinkError, Linker, Result, Store, Trap,
    WasmBacktrace,
};
use mintage_environ::Tunables;

const TEXT: &str = r#"(component
    (import "twice" (func $twice (param "x" u32) (result u32)))
    (core func $twice (canon lower (func $twice)))
    (core module $m
        (import "" "twice" (func $twice (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "run") (param i32) (result i32) (call $twice (local.get 0)))
        (func (export "trap") unreachable)
        (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (local.get 1))
            (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "twice" (func $twice))))))
    (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run")))
    (func (export "trap") (canon lift (core func $i "trap")))
    (func (export "echo") (param "s" string) (result string)
        (canon lift (core func $i "echo") (memory (core memory $i "memory"))
            (realloc (core func $i "realloc")))))"#;

/// Compiles [`TEXT`] for an engine with the default settings.
fn artifact() -> Vec<u8> {
    let binary = wat::parse_str(TEXT).unwrap();
    let progress = &mintage_compile::NoProgress;
    mintage_compile::compile(&binary, &Tunables::default(), progress).unwrap()
}

fn check(engine: &Engine, component: &Component) -> Result<()> {
    let mut linker = Linker::<u32>::new(engine);
    let error = linker.instantiate_pre(component).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    let imports = error.downcast_ref::<LinkError>().unwrap().imports();
    assert_eq!(imports[0].name(), "twice");

    linker
        .root()
        .func_wrap("twice", |mut store, (x,): (u32,)| {
            *store.data_mut() += 1;
            Ok((2 * x,))
        })?;
    let mut store = Store::new(engine, 0);
    let instance = linker.instantiate(&mut store, component)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (21,))?, (42,));
    assert_eq!(*store.data(), 1);
    let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
    assert_eq!(echo.call(&mut store, ("grüße",))?, ("grüße".into(),));
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap")?;
    let error = trap.call(&mut store, ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::UnreachableCodeReached));
    assert!(error.is::<WasmBacktrace>());
    Ok(())
}

#[test]
fn artifacts_load_and_run() -> Result<()> {
    let artifact = artifact();
    let engine = Engine::default();
    // SAFETY: the compiler has made the artifact.
    let component = unsafe { Component::deserialize(&engine, &artifact) }?;
    check(&engine, &component)?;

    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, component.serialize()?)?;
    // SAFETY: as above, and nobody else changes the file.
    let component = unsafe { Component::deserialize_file(&engine, file.path()) }?;
    check(&engine, &component)
}

#[test]
fn artifacts_that_do_not_fit_are_refused() -> Result<()> {
    let mut artifact = artifact();
    let fault = |engine: &Engine, bytes: &[u8]| {
        // SAFETY: the bytes are refused before anything of them is run.
        let loaded = unsafe { Component::deserialize(engine, bytes) };
        loaded.map(|_| ()).unwrap_err().kind()
    };
    let other = Engine::new(Config::new().consume_fuel(true))?;
    let settings = ErrorKind::Artifact(ArtifactFault::Settings);
    assert_eq!(fault(&other, &artifact), settings);

    let engine = Engine::default();
    let text = ErrorKind::Artifact(ArtifactFault::NotAnArtifact);
    assert_eq!(fault(&engine, TEXT.as_bytes()), text);
    let middle = artifact.len() / 2;
    artifact[middle] ^= 1;
    let damaged = ErrorKind::Artifact(ArtifactFault::Damaged);
    assert_eq!(fault(&engine, &artifact), damaged);
    Ok(())
}

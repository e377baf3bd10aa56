//! Compiles a component to an artifact in a file, and loads it: what a build and a server do.

use mintage::error::Context;
use mintage::{ArtifactFault, Component, Config, Engine, ErrorKind, Linker, Result, Store};
use std::path::Path;

const COMPONENT: &str = r#"(component
    (core module $m (func (export "answer") (result i32) (i32.const 42)))
    (core instance $i (instantiate $m))
    (func (export "answer") (result u32) (canon lift (core func $i "answer"))))"#;

/// Loads an artifact, or says what is wrong with it.
fn load(engine: &Engine, path: &Path) -> Result<Component> {
    // SAFETY: `main` has written the file, from the compiler's output, and nobody else changes it.
    // An artifact holds machine code: never load one that comes from anyone else.
    unsafe { Component::deserialize_file(engine, path) }
}

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("mintage-example-{}", std::process::id()));
    let engine = Engine::default();
    let artifact = engine.precompile_component(COMPONENT.as_bytes())?;
    std::fs::write(&path, artifact).context("cannot write the artifact")?;

    // The file is mapped, and its machine code is used where it is.
    let component = load(&engine, &path)?;
    let mut store = Store::new(&engine, ());
    let answer = Linker::new(&engine)
        .instantiate(&mut store, &component)?
        .get_typed_func::<(), (u32,)>(&mut store, "answer")?;
    assert_eq!(answer.call(&mut store, ())?, (42,));

    // An artifact is for the settings that it was compiled with.
    let other = Engine::new(Config::new().interruptible(true))?;
    let error = load(&other, &path).map(|_| ()).unwrap_err();
    println!("{error:#}");
    match error.kind() {
        ErrorKind::Artifact(ArtifactFault::Settings) => println!("so it is compiled again"),
        kind => panic!("{kind:?}"),
    }
    std::fs::remove_file(&path).context("cannot remove the artifact")
}

//! Runs a JavaScript program: compiles a component that contains SpiderMonkey, loads, instantiates
//! and calls it, and prints the time of each step.
//!
//! `cargo run --release -p mintage-example-spidermonkey [NAME]`

use mintage::{Component, Engine, Linker, Result, Store};
use mintage_example_spidermonkey::{Clock, guest};

fn main() -> Result<()> {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "world".to_string());
    let guest = guest::path()?;
    let artifact = guest.with_extension("mint");
    let mut clock = Clock::start();

    // Once per program: compile it, and write the machine code to a file.
    let engine = Engine::default();
    std::fs::write(
        &artifact,
        Component::from_file(&engine, &guest)?.serialize()?,
    )?;
    clock.lap("compile");

    // Once per process: load the machine code and link it. The guest has no imports, so the linker
    // is empty. SAFETY: this program has just written the file, and nothing changes it.
    let component = unsafe { Component::deserialize_file(&engine, &artifact)? };
    let linked = Linker::new(&engine).instantiate_pre(&component)?;
    clock.lap("load");

    // Once per request: create an instance, call it and drop it.
    let mut store = Store::new(&engine, ());
    let instance = linked.instantiate(&mut store)?;
    clock.lap("instantiate");
    let greet = instance.get_typed_func::<(&str,), (String,)>(&mut store, "greet")?;
    let (answer,) = greet.call(&mut store, (&name,))?;
    clock.lap("call");
    drop(store);
    clock.lap("drop");

    println!("{answer}");
    clock.report();
    Ok(())
}

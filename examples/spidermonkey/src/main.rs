//! Hosts a JavaScript program: compiles a component with SpiderMonkey inside, loads it,
//! instantiates it and calls it, and says how long each step took.
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

    // Once per program: compile, and keep the machine code in a file.
    let engine = Engine::default();
    std::fs::write(
        &artifact,
        Component::from_file(&engine, &guest)?.serialize()?,
    )?;
    clock.lap("compile");

    // Once per process: load the machine code, and link. The guest imports nothing, so the linker
    // stays empty. SAFETY: the file was written above by this very program, and nothing changes it.
    let component = unsafe { Component::deserialize_file(&engine, &artifact)? };
    let linked = Linker::new(&engine).instantiate_pre(&component)?;
    clock.lap("load");

    // Once per request: mint an instance, call it, drop it.
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

//! The JavaScript guest from bytes to answers. Building it needs Node with npm, and says so when
//! they are absent.

use mintage::{Component, Engine, Linker, Result, Store};
use mintage_example_spidermonkey::guest;

#[test]
fn the_guest_greets_and_counts_in_every_instance() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, guest::path()?)?;
    let linked = Linker::new(&engine).instantiate_pre(&component)?;
    for name in ["world", "", "Zoë 🦀", &"x".repeat(100_000)] {
        let mut store = Store::new(&engine, ());
        let instance = linked.instantiate(&mut store)?;
        let greet = instance.get_typed_func::<(&str,), (String,)>(&mut store, "greet")?;
        assert_eq!(
            greet.call(&mut store, (name,))?.0,
            format!("Hello, {name}!")
        );
        let fib = instance.get_typed_func::<(u32,), (u64,)>(&mut store, "fib")?;
        assert_eq!(fib.call(&mut store, (20,))?.0, 6765);
    }
    Ok(())
}

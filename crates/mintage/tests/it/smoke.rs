//! The shortest test that touches everything.

use mintage::{Component, Engine, Linker, Result, Store, Trap, Val, WasmBacktrace};

const TEXT: &str = include_str!("smoke.wat");

#[test]
fn strings_and_integers_cross() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, TEXT)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let add = instance.get_typed_func::<(i32, i32), (i32,)>(&mut store, "add")?;
    assert_eq!(add.call(&mut store, (40, 2))?, (42,));
    assert_eq!(add.call(&mut store, (-40, -2))?, (-42,));
    let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
    for text in ["", "world", "grüße, 世界 🌍"] {
        assert_eq!(echo.call(&mut store, (text,))?, (text.to_string(),));
    }
    let echo = instance
        .get_func(&mut store, "echo")
        .expect("the component exports `echo`");
    let mut results = [Val::Bool(false)];
    echo.call(&mut store, &[Val::String("again".into())], &mut results)?;
    assert_eq!(results, [Val::String("again".into())]);

    let trap = instance.get_typed_func::<(i32,), ()>(&mut store, "trap")?;
    let error = trap.call(&mut store, (1,)).expect_err("`trap` traps");
    assert_eq!(
        error.downcast_ref::<Trap>(),
        Some(&Trap::UnreachableCodeReached)
    );
    assert!(
        error
            .downcast_ref::<WasmBacktrace>()
            .is_some_and(|trace| !trace.frames().is_empty()),
        "{error:?}"
    );
    let error = add
        .call(&mut store, (1, 2))
        .expect_err("the instance is done for");
    assert_eq!(
        error.to_string(),
        "wasm trap: cannot enter component instance"
    );
    Ok(())
}

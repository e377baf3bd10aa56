//! A guest goes on after `task.return` before another task begins.

use mintage::{Component, Config, Engine, Linker, Store, block_on};

/// A function that traps if another call of it begins while it gives its result.
const GUEST: &str = r#"(component
    (canon task.return (result u32) (core func $return))
    (core module $m
        (import "" "return" (func $return (param i32)))
        (global $begun (mut i32) (i32.const 0))
        (func (export "run")
            (local $number i32)
            (global.set $begun (i32.add (global.get $begun) (i32.const 1)))
            (local.set $number (global.get $begun))
            (call $return (local.get $number))
            (if (i32.ne (local.get $number) (global.get $begun)) (then unreachable))))
    (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run") async)))"#;

#[test]
fn no_call_begins_while_another_one_returns() {
    let engine = Engine::new(Config::new().wasm_component_model_async_stackful(true)).unwrap();
    let component = Component::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = instance
        .get_typed_func::<(), (u32,)>(&mut store, "run")
        .unwrap();
    let numbers = block_on(store.run_concurrent(async |accessor| {
        let begun = [(); 3].map(|()| {
            let call = accessor.with(|store| run.start_call_concurrent(store, ()));
            call.unwrap()
        });
        let mut numbers = Vec::new();
        for call in begun {
            numbers.push(call.await.unwrap().0);
        }
        numbers
    }));
    assert_eq!(numbers.unwrap(), [1, 2, 3]);
}

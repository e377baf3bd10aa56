//! Objects, where the host sees more of them than scripts do: what instances leave to each other,
//! and structs that are larger than the bytes below the heap that fault.

use mintage::{
    Component, Config, Engine, Instance, Linker, Result, Store, StoreLimitsBuilder, Trap, TypedFunc,
};

fn engine() -> Engine {
    Engine::new(Config::new().wasm_gc(true)).unwrap()
}

fn instance(component: &Component) -> (Store<()>, Instance) {
    let mut store = Store::new(component.engine(), ());
    let linker = Linker::new(component.engine());
    let instance = linker.instantiate(&mut store, component).unwrap();
    (store, instance)
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str, n: u32) -> Result<u32> {
    let func: TypedFunc<(u32,), (u32,)> = instance.get_typed_func(&mut *store, name)?;
    Ok(func.call(store, (n,))?.0)
}

#[test]
fn static_objects_start_anew_in_each_instance() {
    let component = Component::new(
        &engine(),
        r#"(component
            (core module $M
                (type $cell (struct (field (mut i32)) (field (mut (ref null $cell)))))
                (global $kept (ref $cell) (struct.new $cell (i32.const 5) (ref.null $cell)))
                (func (export "swap") (param i32) (result i32)
                    (struct.get $cell 0 (global.get $kept))
                    (struct.set $cell 0 (global.get $kept) (local.get 0))
                    (struct.set $cell 1 (global.get $kept) (struct.new $cell (i32.const 1)
                      (global.get $kept))))
                (func (export "linked") (param i32) (result i32)
                    (i32.eqz (ref.is_null (struct.get $cell 1 (global.get $kept))))))
            (core instance $m (instantiate $M))
            (func (export "swap") (param "n" u32) (result u32) (canon lift (core func $m "swap")))
            (func (export "linked") (param "n" u32) (result u32) (canon lift
              (core func $m "linked"))))"#,
    )
    .unwrap();
    for _ in 0..3 {
        let (mut store, instance) = instance(&component);
        assert_eq!(call(&mut store, &instance, "linked", 0).unwrap(), 0);
        assert_eq!(call(&mut store, &instance, "swap", 8).unwrap(), 5);
        assert_eq!(call(&mut store, &instance, "swap", 9).unwrap(), 8);
        assert_eq!(call(&mut store, &instance, "linked", 0).unwrap(), 1);
    }
}

/// Fields whose offset is larger than the inaccessible part at the start of the heap.
#[test]
fn all_fields_of_null_trap() {
    let fields = "v128 ".repeat(9_000);
    let component = Component::new(
        &engine(),
        format!(
            r#"(component
                (core module $M
                    (type $large (struct (field (mut i32)) (field {fields}) (field (mut i32))))
                    (func $choose (param i32) (result (ref null $large))
                        (if (result (ref null $large)) (local.get 0)
                            (then (struct.new_default $large))
                            (else (ref.null $large))))
                    (func (export "first") (param i32) (result i32) (struct.get $large 0
                      (call $choose (local.get 0))))
                    (func (export "last") (param i32) (result i32) (struct.get $large 9001
                      (call $choose (local.get 0))))
                    (func (export "set") (param i32) (result i32) (local $object (ref null $large))
                        (local.set $object (call $choose (local.get 0)))
                        (struct.set $large 9001 (local.get $object) (i32.const 3))
                        (struct.get $large 9001 (local.get $object))))
                (core instance $m (instantiate $M))
                (func (export "first") (param "n" u32) (result u32) (canon lift
                  (core func $m "first")))
                (func (export "last") (param "n" u32) (result u32) (canon lift
                  (core func $m "last")))
                (func (export "set") (param "n" u32) (result u32) (canon lift
                  (core func $m "set"))))"#
        ),
    )
    .unwrap();
    for (name, value) in [("first", 0), ("last", 0), ("set", 3)] {
        let (mut store, good) = instance(&component);
        assert_eq!(call(&mut store, &good, name, 1).unwrap(), value, "{name}");
        let error = call(&mut store, &good, name, 0).unwrap_err();
        assert_eq!(
            error.downcast_ref::<Trap>(),
            Some(&Trap::NullReference),
            "{name}"
        );
    }
}

#[test]
fn static_objects_count_for_limits() {
    let component = Component::new(
        &engine(),
        "(component
            (core module $M
                (type $a (array i64))
                (global (ref $a) (array.new $a (i64.const 1) (i32.const 100000))))
            (core instance $m (instantiate $M)))",
    )
    .unwrap();
    // 800,000 bytes in whole regions of 64 KiB, and two halves of one region.
    for (limit, fits) in [(15 << 16, true), ((15 << 16) - 1, false)] {
        let limits = StoreLimitsBuilder::new().memory_size(limit).build();
        let mut store = Store::new(component.engine(), limits);
        store.limiter(|limits| limits);
        let outcome = Linker::new(component.engine()).instantiate(&mut store, &component);
        match outcome {
            Ok(_) => assert!(fits),
            Err(error) => assert!(
                !fits && format!("{error:#}").contains("GC heap"),
                "{error:#}"
            ),
        }
    }
}

//! Gives a component a resource of the host: counters, which the guest has handles of.

use mintage::{Component, Engine, Linker, Resource, ResourceTable, ResourceType, Result, Store};

/// `run` makes a counter, raises it twice, and drops it.
const COMPONENT: &str = r#"(component
    (import "example:host/counters" (instance $counters
        (export "counter" (type $counter (sub resource)))
        (export "[constructor]counter" (func (param "start" u32) (result (own $counter))))
        (export "[method]counter.raise"
            (func (param "self" (borrow $counter)) (result u32)))))
    (alias export $counters "counter" (type $counter))
    (core func $new (canon lower (func $counters "[constructor]counter")))
    (core func $raise (canon lower (func $counters "[method]counter.raise")))
    (core func $drop (canon resource.drop $counter))
    (core module $m
        (import "counter" "new" (func $new (param i32) (result i32)))
        (import "counter" "raise" (func $raise (param i32) (result i32)))
        (import "counter" "drop" (func $drop (param i32)))
        (func (export "run") (param i32) (result i32) (local $counter i32)
            (local.set $counter (call $new (local.get 0)))
            (drop (call $raise (local.get $counter)))
            (call $raise (local.get $counter))
            (call $drop (local.get $counter))))
    (core instance $i (instantiate $m (with "counter" (instance
        (export "new" (func $new))
        (export "raise" (func $raise))
        (export "drop" (func $drop))))))
    (func (export "run") (param "start" u32) (result u32) (canon lift (core func $i "run"))))"#;

/// The resource that a handle of the guest stands for.
struct Counter(u32);

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;

    // A table gives each resource a number, by which the guest's handles name it.
    let mut linker = Linker::<ResourceTable>::new(&engine);
    let mut counters = linker.instance("example:host/counters")?;
    counters.resource(
        "counter",
        ResourceType::host::<Counter>(),
        // The guest has dropped its handle.
        |mut store, rep| {
            let Counter(last) = store.data_mut().delete(Resource::new_own(rep))?;
            println!("a counter ends at {last}");
            Ok(())
        },
    )?;
    counters.func_wrap("[constructor]counter", |mut store, (start,): (u32,)| {
        Ok((store.data_mut().push(Counter(start))?,))
    })?;
    counters.func_wrap(
        "[method]counter.raise",
        |mut store, (counter,): (Resource<Counter>,)| {
            let Counter(value) = store.data_mut().get_mut(&counter)?;
            *value += 1;
            Ok((*value,))
        },
    )?;

    let mut store = Store::new(&engine, ResourceTable::new());
    let run = linker
        .instantiate(&mut store, &component)?
        .get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (5,))?, (7,));
    assert!(store.data().is_empty());
    Ok(())
}

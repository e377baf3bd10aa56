//! Meters what guests execute.

use mintage::{Component, Config, Engine, ErrorKind, LimitKind, Linker, Result, Store};

/// `sum` adds the numbers up to `n`.
const COMPONENT: &str = r#"(component
    (core module $m
        (func (export "sum") (param $n i32) (result i32) (local $sum i32)
            (loop
                (local.set $sum (i32.add (local.get $sum) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if 0 (local.get $n)))
            (local.get $sum)))
    (core instance $i (instantiate $m))
    (func (export "sum") (param "n" u32) (result u32) (canon lift (core func $i "sum"))))"#;

fn main() -> Result<()> {
    let engine = Engine::new(Config::new().consume_fuel(true))?;
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(10_000)?;
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let sum = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "sum")?;

    // What a call costs depends on neither optimization nor processor.
    let cost = |store: &mut Store<()>, n| -> Result<u64> {
        let before = store.get_fuel()?;
        sum.call(&mut *store, (n,))?;
        Ok(before - store.get_fuel()?)
    };
    let (ten, twenty) = (cost(&mut store, 10)?, cost(&mut store, 20)?);
    println!("ten numbers cost {ten}, twenty cost {twenty}");
    assert_eq!(cost(&mut store, 30)? - twenty, twenty - ten);

    store.set_fuel(50)?;
    let error = sum.call(&mut store, (1000,)).unwrap_err();
    println!("{error:#}");
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Fuel));
    Ok(())
}

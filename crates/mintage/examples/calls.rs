//! Times typed calls: a quick look, to be run in release mode. The benches proper are in
//! `benches/`.

use mintage::{Component, Engine, Linker, Result, Store, Val};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Nanoseconds of one run of `call`: the best of several rounds.
fn time(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    const CALLS: u32 = 20_000;
    let mut best = Duration::MAX;
    for _ in 0..30 {
        let start = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        best = best.min(start.elapsed());
    }
    Ok(best.as_nanos() as f64 / f64::from(CALLS))
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("../tests/it/smoke.wat"))?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;

    let add = instance.get_typed_func::<(i32, i32), (i32,)>(&mut store, "add")?;
    let nanos = time(|| {
        black_box(add.call(&mut store, black_box((40, 2)))?);
        Ok(())
    })?;
    println!("add(s32, s32), typed: {nanos:6.1} ns");

    let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
    let nanos = time(|| {
        black_box(echo.call(&mut store, black_box(("hello, world",)))?);
        Ok(())
    })?;
    println!("echo(string), typed:  {nanos:6.1} ns");

    let add = instance
        .get_func(&mut store, "add")
        .expect("an exported function");
    let mut results = [Val::Bool(false)];
    let nanos = time(|| add.call(&mut store, &[Val::S32(40), Val::S32(2)], &mut results))?;
    println!("add(s32, s32), `Val`: {nanos:6.1} ns");

    let caller = Component::new(
        &engine,
        r#"(component
            (import "host" (func $host (param "x" u32) (result u32)))
            (core func $host (canon lower (func $host)))
            (core module $m
                (import "" "host" (func $host (param i32) (result i32)))
                (func (export "run") (param i32)
                    (loop
                        (local.set 0 (call $host (local.get 0)))
                        (br_if 0 (local.get 0)))))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "run") (param "x" u32) (canon lift (core func $i "run"))))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker
        .root()
        .func_wrap("host", |_, (x,): (u32,)| Ok((x - 1,)))?;
    let run = linker
        .instantiate(&mut store, &caller)?
        .get_typed_func::<(u32,), ()>(&mut store, "run")?;
    let nanos = time(|| run.call(&mut store, (100,)))? / 100.0;
    println!("host(u32), typed:     {nanos:6.1} ns");

    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    let start = Instant::now();
    for _ in 0..1000 {
        pre.instantiate(&mut Store::new(&engine, ()))?;
    }
    println!(
        "store and instance:   {:6.1} us",
        start.elapsed().as_nanos() as f64 / 1e6
    );
    Ok(())
}

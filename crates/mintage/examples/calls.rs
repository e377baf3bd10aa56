//! Times typed calls: a quick look, to be run in release mode. The benches proper are in `benches/`.

use mintage::{Component, Engine, Linker, Result, Store, Val};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Nanoseconds of one run of `call`: the best of several rounds.
fn time(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    const CALLS: u32 = 100_000;
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
    let component = Component::new(&engine, include_str!("../tests/smoke.wat"))?;
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

    let add = instance.get_func(&mut store, "add").expect("an exported function");
    let mut results = [Val::Bool(false)];
    let nanos = time(|| add.call(&mut store, &[Val::S32(40), Val::S32(2)], &mut results))?;
    println!("add(s32, s32), `Val`: {nanos:6.1} ns");

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

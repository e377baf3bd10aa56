//! Warms an instance up once, and starts all others from its state.

use mintage::{Component, Engine, Linker, Result, Store};

/// `warm-up` fills a table of squares, which `square` looks up.
const COMPONENT: &str = r#"(component
    (core module $m
        (memory 1)
        (func (export "warm-up") (local $n i32)
            (loop
                (i32.store (i32.mul (local.get $n) (i32.const 4))
                    (i32.mul (local.get $n) (local.get $n)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const 1000)))))
        (func (export "square") (param i32) (result i32)
            (i32.load (i32.mul (local.get 0) (i32.const 4)))))
    (core instance $i (instantiate $m))
    (func (export "warm-up") (canon lift (core func $i "warm-up")))
    (func (export "square") (param "n" u32) (result u32) (canon lift (core func $i "square"))))"#;

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "warm-up")?
        .call(&mut store, ())?;

    // The snapshot is a component as any other: it can be linked, and serialized.
    let warm = instance.snapshot(&mut store)?;
    let pre = linker.instantiate_pre(&warm)?;
    for n in [3, 30, 300] {
        let mut store = Store::new(&engine, ());
        let square = pre
            .instantiate(&mut store)?
            .get_typed_func::<(u32,), (u32,)>(&mut store, "square")?;
        let (result,) = square.call(&mut store, (n,))?;
        println!("{n} squared is {result}");
        assert_eq!(result, n * n);
    }
    Ok(())
}

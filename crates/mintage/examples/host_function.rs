//! Gives a component functions of the host to call.

use mintage::error::bail;
use mintage::{Component, Engine, ErrorKind, Linker, Result, Store};

const COMPONENT: &str = r#"(component
    (import "example:host/random@1.0.0" (instance $random
        (export "below" (func (param "limit" u32) (result u32)))))
    (core func $below (canon lower (func $random "below")))
    (core module $m
        (import "random" "below" (func $below (param i32) (result i32)))
        (func (export "roll") (param i32) (result i32)
            (i32.add (call $below (local.get 0)) (i32.const 1))))
    (core instance $i (instantiate $m
        (with "random" (instance (export "below" (func $below))))))
    (func (export "roll") (param "sides" u32) (result u32) (canon lift (core func $i "roll"))))"#;

/// The data of a store, which host functions reach.
struct Host {
    seed: u32,
    calls: u32,
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;

    // An import is also met by a definition of a compatible version.
    let mut linker = Linker::<Host>::new(&engine);
    let mut random = linker.instance("example:host/random@1.0.3")?;
    random.func_wrap("below", |mut store, (limit,): (u32,)| {
        if limit == 0 {
            // The error ends the call of the guest, and comes back to the host.
            bail!("there is no number below 0");
        }
        let host = store.data_mut();
        host.calls += 1;
        host.seed = host
            .seed
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        Ok((host.seed % limit,))
    })?;

    // Imports are checked once for all instances.
    let pre = linker.instantiate_pre(&component)?;
    let mut store = Store::new(&engine, Host { seed: 1, calls: 0 });
    let roll = pre
        .instantiate(&mut store)?
        .get_typed_func::<(u32,), (u32,)>(&mut store, "roll")?;
    for _ in 0..3 {
        let (number,) = roll.call(&mut store, (6,))?;
        println!("rolled {number}");
        assert!((1..=6).contains(&number));
    }
    assert_eq!(store.data().calls, 3);

    let error = roll.call(&mut store, (0,)).unwrap_err();
    println!("{error:#}");
    assert_eq!(error.kind(), ErrorKind::Host);
    Ok(())
}

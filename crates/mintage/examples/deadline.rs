//! Stops guests that take too long, by a deadline and from another thread.

use mintage::{Component, Config, Engine, ErrorKind, InstancePre, Linker, Result, Store};
use std::time::{Duration, Instant};

const COMPONENT: &str = r#"(component
    (core module $m (func (export "spin") (loop (br 0))))
    (core instance $i (instantiate $m))
    (func (export "spin") (canon lift (core func $i "spin"))))"#;

/// Makes an instance and calls `spin`, which does not return.
fn spin(store: &mut Store<()>, pre: &InstancePre<()>) -> ErrorKind {
    let instance = pre.instantiate(&mut *store).expect("an instance");
    let spin = instance
        .get_typed_func::<(), ()>(&mut *store, "spin")
        .expect("the component exports `spin`");
    let error = spin.call(store, ()).unwrap_err();
    println!("{error:#}");
    error.kind()
}

fn main() -> Result<()> {
    // Machine code looks at a flag at each turn of a loop then.
    let engine = Engine::new(Config::new().interruptible(true))?;
    let component = Component::new(&engine, COMPONENT)?;
    let pre = Linker::new(&engine).instantiate_pre(&component)?;

    let mut store = Store::new(&engine, ());
    let start = Instant::now();
    store.set_deadline(Duration::from_millis(20))?;
    assert_eq!(spin(&mut store, &pre), ErrorKind::Cancelled);
    assert!(start.elapsed() >= Duration::from_millis(20));

    // The instance that was stopped cannot be entered again. The store can go on with another one.
    store.clear_deadline();
    let handle = store.interrupt_handle()?;
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        handle.interrupt();
    });
    assert_eq!(spin(&mut store, &pre), ErrorKind::Cancelled);
    other.join().expect("the other thread ends");
    Ok(())
}

//! Engines in a child that was forked, which has none of the parent's threads.

use mintage::{Component, Config, Engine, InstancePre, Linker, PoolConfig, Result, Store, Trap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const APP: &str = r#"(component
    (core module $m
        (memory 1)
        (func (export "run") (param i32)
            (i32.store (i32.const 8) (i32.const 1))
            (if (local.get 0) (then (loop $spin (br $spin))))))
    (core instance $i (instantiate $m))
    (func (export "run") (param "spin" bool) (canon lift (core func $i "run"))))"#;

fn engine(background_reset: bool) -> Result<Engine> {
    let mut pool = PoolConfig::new();
    Engine::new(
        Config::new()
            .interruptible(true)
            .pool(pool.background_reset(background_reset)),
    )
}

fn pre(engine: &Engine) -> Result<InstancePre<()>> {
    Linker::new(engine).instantiate_pre(&Component::new(engine, APP)?)
}

fn run(store: &mut Store<()>, pre: &InstancePre<()>, spin: bool) -> Result<()> {
    let instance = pre.instantiate(&mut *store)?;
    instance
        .get_typed_func::<(bool,), ()>(&mut *store, "run")?
        .call(store, (spin,))
}

/// A guest that never ends is stopped by a deadline.
fn is_stopped(store: &mut Store<()>, pre: &InstancePre<()>) -> bool {
    let error = run(store, pre, true).unwrap_err();
    error.downcast_ref() == Some(&Trap::Interrupt)
}

fn with_deadline(engine: &Engine, millis: u64) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.set_deadline(Duration::from_millis(millis)).unwrap();
    store
}

/// Taken by each test: a child must not be forked while another thread has a lock, as all that the child has of it is the lock.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `body` says so in a child.
fn in_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child uses what no other thread of this process had in use: an engine of the test's own.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: a child that hangs ends.
        unsafe { libc::alarm(60) };
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
        // SAFETY: nothing of the child is needed any more; what the test harness has open is the parent's.
        unsafe { libc::_exit(if ok { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the status is written.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status == 0
}

#[test]
fn deadlines_pass_in_a_forked_child() -> Result<()> {
    let _alone = alone();
    for warm in [false, true] {
        let engine = engine(false)?;
        let pre = pre(&engine)?;
        if warm {
            // The thread that watches deadlines is the parent's.
            run(&mut with_deadline(&engine, 60_000), &pre, false)?;
        }
        let mut earlier = with_deadline(&engine, 50);
        assert!(in_child(|| {
            let later = is_stopped(&mut with_deadline(&engine, 20), &pre);
            // One that was set before the fork passes, too.
            later && is_stopped(&mut earlier, &pre)
        }));
        assert!(is_stopped(&mut with_deadline(&engine, 20), &pre));
    }
    Ok(())
}

#[test]
fn engines_are_dropped_in_a_forked_child() -> Result<()> {
    let _alone = alone();
    for background in [false, true] {
        let engine = engine(background)?;
        let pre = pre(&engine)?;
        for _ in 0..8 {
            run(&mut with_deadline(&engine, 60_000), &pre, false)?;
        }
        let waiting = with_deadline(&engine, 60_000);
        assert!(in_child(move || {
            drop((waiting, pre, engine));
            true
        }));
    }
    Ok(())
}

/// Slabs are reset by those who drop instances, where the thread for that is the parent's.
#[test]
fn instances_are_clean_in_a_forked_child() -> Result<()> {
    let _alone = alone();
    let engine = engine(true)?;
    let pre = pre(&engine)?;
    for _ in 0..8 {
        run(&mut Store::new(&engine, ()), &pre, false)?;
    }
    assert!(in_child(|| (0..300).all(|_| run(
        &mut Store::new(&engine, ()),
        &pre,
        false
    )
    .is_ok())));
    Ok(())
}

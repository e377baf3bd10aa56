//! A binary of its own, because it forks: no thread of another test may hold a lock meanwhile.
//!
//! Tests that engines work in a forked child, which has none of the parent's threads.

use mintage::{
    Component, Config, Engine, InstancePre, Linker, PoolConfig, Result, Store, StoreContextMut,
    Trap,
};
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

/// Returns true if a deadline stops an endless guest.
fn is_stopped(store: &mut Store<()>, pre: &InstancePre<()>) -> bool {
    let error = run(store, pre, true).unwrap_err();
    error.downcast_ref() == Some(&Trap::Interrupt)
}

fn with_deadline(engine: &Engine, millis: u64) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.set_deadline(Duration::from_millis(millis)).unwrap();
    store
}

/// Taken by each test: a child must not be forked while another thread has a lock, as all that the
/// child has of it is the lock.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forks, and returns the result of `body` in the child.
fn in_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child uses what no other thread of this process had in use: an engine of the
    // test's own.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: a child that hangs ends.
        unsafe { libc::alarm(60) };
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
        // SAFETY: nothing of the child is needed any more; what the test harness has open is the
        // parent's.
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

/// Counts the threads of this process with a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

/// Returns true once a thread with this name runs. Threads name themselves, which takes a moment.
fn has_thread(name: &str) -> bool {
    (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        threads(name) > 0
    })
}

/// A child starts a thread of its own that resets slabs.
#[test]
fn instances_are_reset_in_a_forked_child() -> Result<()> {
    let _alone = alone();
    let engine = engine(true)?;
    let pre = pre(&engine)?;
    let many = || (0..300).all(|_| run(&mut Store::new(&engine, ()), &pre, false).is_ok());
    assert!(many() && has_thread("mintage-reset"));
    assert!(in_child(|| threads("mintage-reset") == 0
        && many()
        && has_thread("mintage-reset")));
    assert!(many());
    Ok(())
}

/// A fork waits until the thread that resets slabs holds no locks.
#[test]
fn forks_wait_for_locks_of_the_engines_threads() -> Result<()> {
    let _alone = alone();
    let engine = engine(true)?;
    let pre = pre(&engine)?;
    for _ in 0..100 {
        for _ in 0..20 {
            run(&mut Store::new(&engine, ()), &pre, false)?;
        }
        assert!(in_child(|| (0..20).all(|_| run(
            &mut Store::new(&engine, ()),
            &pre,
            false
        )
        .is_ok())));
    }
    Ok(())
}

/// A guest that goes on in a child, after a host function that has forked, is stopped there too.
#[test]
fn deadlines_pass_in_calls_that_were_under_way() -> Result<()> {
    let _alone = alone();
    let engine = engine(false)?;
    let text = r#"(component
        (import "fork" (func $fork))
        (core func $fork (canon lower (func $fork)))
        (core module $m
            (import "" "fork" (func $fork))
            (func (export "run") (call $fork) (loop $spin (br $spin))))
        (core instance $i (instantiate $m (with "" (instance (export "fork" (func $fork))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<libc::pid_t>::new(&engine);
    linker.root().func_wrap(
        "fork",
        |mut store: StoreContextMut<'_, libc::pid_t>, (): ()| {
            // SAFETY: as in `in_child`.
            *store.data_mut() = unsafe { libc::fork() };
            // SAFETY: a child that hangs ends.
            _ = (*store.data() == 0).then(|| unsafe { libc::alarm(60) });
            Ok(())
        },
    )?;
    let mut store = Store::new(&engine, -1);
    let instance = linker.instantiate(&mut store, &component)?;
    store.set_deadline(Duration::from_millis(50))?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    let error = run.call(&mut store, ()).unwrap_err();
    let stopped = error.downcast_ref() == Some(&Trap::Interrupt);
    match *store.data() {
        // SAFETY: as in `in_child`.
        0 => unsafe { libc::_exit(if stopped { 0 } else { 1 }) },
        child => {
            let mut status = 0;
            // SAFETY: the status is written.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!((status, stopped), (0, true));
        }
    }
    Ok(())
}

/// A child starts threads of its own to compile.
#[test]
fn components_are_compiled_in_a_forked_child() -> Result<()> {
    let _alone = alone();
    let mut config = Config::new();
    for engine in [
        Engine::default(),
        Engine::new(&config)?,
        Engine::new(config.compilation_threads(2))?,
    ] {
        pre(&engine)?;
        assert!(in_child(|| pre(&engine).is_ok()));
        assert!(in_child(move || {
            drop(engine);
            true
        }));
    }
    Ok(())
}

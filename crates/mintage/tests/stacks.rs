//! Calls at the end of a thread's stack, and on stacks that are not the thread's own.

use corosensei::{Coroutine, CoroutineResult, Yielder};
use mintage::{Component, Engine, InstancePre, Linker, Result, Store, StoreContextMut, Trap};
use std::cell::Cell;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// `run(trap)` calls the host, then traps or returns; `recurse` calls the host and itself.
const APP: &str = r#"(component
    (import "go" (func $go))
    (core func $go (canon lower (func $go)))
    (core module $m
        (import "" "go" (func $go))
        (func (export "run") (param i32) (call $go) (if (local.get 0) (then unreachable)))
        (func $recurse (export "recurse") (call $go) (call $recurse)))
    (core instance $i (instantiate $m (with "" (instance (export "go" (func $go))))))
    (func (export "run") (param "trap" bool) (canon lift (core func $i "run")))
    (func (export "recurse") (canon lift (core func $i "recurse"))))"#;

fn pre(go: impl Fn() + Send + Sync + 'static) -> Result<InstancePre<()>> {
    let engine = Engine::default();
    let component = Component::new(&engine, APP)?;
    let mut linker = Linker::<()>::new(&engine);
    linker
        .root()
        .func_wrap("go", move |_: StoreContextMut<'_, ()>, (): ()| {
            go();
            Ok(())
        })?;
    linker.instantiate_pre(&component)
}

fn call(pre: &InstancePre<()>, name: &str) -> Result<()> {
    let mut store = Store::new(pre.engine(), ());
    let instance = pre.instantiate(&mut store)?;
    match name {
        "run" => instance
            .get_typed_func::<(bool,), ()>(&mut store, "run")?
            .call(&mut store, (false,)),
        _ => instance
            .get_typed_func::<(), ()>(&mut store, name)?
            .call(&mut store, ()),
    }
}

/// Uses so many KiB of stack, then calls `f`.
#[inline(never)]
fn descend(kib: usize, f: &mut dyn FnMut()) {
    let frame = black_box([0u8; 1024]);
    match kib {
        0 => f(),
        _ => descend(kib - 1, f),
    }
    black_box(&frame);
}

fn on_stack(kib: usize, run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(kib << 10)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

/// Wherever on its stack a thread calls a guest that recurses without end, through a host function that needs some stack
/// itself: it is a trap.
#[test]
fn guests_leave_the_host_its_reserve() -> Result<()> {
    let pre = pre(|| descend(8, &mut || ()))?;
    on_stack(1024, move || {
        for depth in (0..820).step_by(20) {
            descend(depth, &mut || {
                let error = call(&pre, "recurse").unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow), "{depth}: {error:?}");
            });
        }
    });
    Ok(())
}

#[test]
fn threads_with_too_small_a_stack_are_told() -> Result<()> {
    let pre = pre(|| ())?;
    // So small that the system does not reuse the larger stack of another test's thread.
    on_stack(64, move || {
        let error = call(&pre, "run").unwrap_err().to_string();
        assert!(error.contains("too small for calls into guests"), "{error}");
    });
    Ok(())
}

/// A deep value is lifted by a host function that is called at the end of what a guest may use.
#[test]
fn deep_values_are_lifted_at_the_end_of_the_stack() -> Result<()> {
    let mut types = String::from("(type $t0 (tuple u8))");
    for n in 1..90 {
        types += &format!("(type $t{n} (list $t{}))", n - 1);
    }
    let text = format!(
        r#"(component
            {types}
            (import "go" (func $go (param "x" $t89)))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $go (canon lower (func $go) (memory (core memory $memory "memory"))))
            (core module $m
                (import "" "go" (func $go (param i32 i32)))
                (import "" "memory" (memory 1))
                ;; Each list is at 0 and has one element: itself.
                (func (export "run")
                    (i32.store (i32.const 4) (i32.const 1))
                    (call $deep))
                (func $deep (call $go (i32.const 0) (i32.const 1)) (call $deep)))
            (core instance $i (instantiate $m (with "" (instance
                (export "go" (func $go)) (export "memory" (memory $memory "memory"))))))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    let engine = Engine::default();
    let component = Component::new(&engine, &text)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_new("go", |_, _, _, _| Ok(()))?;
    let pre = linker.instantiate_pre(&component)?;
    on_stack(320, move || {
        let mut store = Store::new(pre.engine(), ());
        let instance = pre.instantiate(&mut store).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        let error = run.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow), "{error:?}");
    });
    Ok(())
}

thread_local! {
    /// The coroutine that runs, for host functions to suspend.
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
}

fn suspend() {
    let yielder = YIELDER.get();
    if !yielder.is_null() {
        // SAFETY: it is set only while the coroutine runs that it belongs to.
        unsafe { (*yielder).suspend(()) }
    }
}

type Guest = Coroutine<(), (), Option<String>>;

/// A coroutine that calls a guest, which suspends it once.
fn guest(trap: bool) -> Guest {
    let pre = pre(suspend).unwrap();
    Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        let mut store = Store::new(pre.engine(), ());
        let instance = pre.instantiate(&mut store).unwrap();
        let run = instance.get_typed_func::<(bool,), ()>(&mut store, "run").unwrap();
        YIELDER.set(yielder);
        let result = run.call(&mut store, (trap,));
        YIELDER.set(std::ptr::null());
        result.err().map(|error| error.root_cause().to_string())
    })
}

fn start(guest: &mut Guest) {
    assert!(matches!(guest.resume(()), CoroutineResult::Yield(())));
    YIELDER.set(std::ptr::null());
}

fn end(guest: &mut Guest) -> Option<String> {
    match guest.resume(()) {
        CoroutineResult::Return(result) => result,
        CoroutineResult::Yield(()) => panic!("it suspends again"),
    }
}

#[test]
fn calls_on_other_stacks_may_nest() -> Result<()> {
    let unreachable = Some(Trap::UnreachableCodeReached.to_string());
    let (mut outer, mut inner) = (guest(false), guest(true));
    start(&mut outer);
    start(&mut inner);
    // A call on the thread's own stack, while both wait.
    let here = pre(|| descend(8, &mut || ()))?;
    call(&here, "run")?;
    let error = call(&here, "recurse").unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    assert_eq!(end(&mut inner), unreachable);
    assert_eq!(end(&mut outer), None);
    // One that is dropped while it waits ends by unwinding.
    let mut dropped = guest(false);
    start(&mut dropped);
    drop(dropped);
    let mut last = guest(true);
    start(&mut last);
    assert_eq!(end(&mut last), unreachable);
    Ok(())
}

/// Runs `body` in a child, which must end itself and say why.
fn aborts(test: &str, body: impl FnOnce()) {
    if std::env::var_os("ABORTS").is_some() {
        body();
        // Nobody ended it.
        std::process::exit(0);
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args([test, "--exact", "--nocapture"]).env("ABORTS", "1");
    let output = child.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{stderr}");
    assert!(stderr.contains("must end in the reverse order"), "{stderr}");
}

#[test]
fn a_call_that_ends_before_a_later_one_ends_the_process() {
    aborts("a_call_that_ends_before_a_later_one_ends_the_process", || {
        let (mut first, mut second) = (guest(false), guest(true));
        start(&mut first);
        start(&mut second);
        end(&mut first);
    });
}

/// The guest in the coroutine would trap while a call of the thread's own stack is the innermost.
#[test]
fn a_call_that_goes_on_inside_a_later_one_ends_the_process() {
    thread_local! { static OTHER: Cell<Option<Guest>> = const { Cell::new(None) }; }
    aborts("a_call_that_goes_on_inside_a_later_one_ends_the_process", || {
        let mut other = guest(true);
        start(&mut other);
        OTHER.set(Some(other));
        let pre = pre(|| _ = end(&mut OTHER.take().unwrap())).unwrap();
        let _ = call(&pre, "run");
    });
}

//! Calls at the end of a thread's stack, and on stacks that are not the thread's own.

use crate::async_calls::{block_on, waits};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mintage::__internal::{CanonicalAbi, InstanceTypes, InterfaceType, LowerContext};
use mintage::{
    Component, ComponentType, Engine, InstancePre, Linker, Lower, Result, Store, StoreContextMut,
    Trap, TypedFunc, Val,
};
use std::cell::Cell;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;

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

/// As [`pre`], with a host function that may wait.
fn pre_async<F: Future<Output = ()> + Send + 'static>(
    go: impl Fn() -> F + Send + Sync + 'static,
) -> Result<InstancePre<()>> {
    let engine = Engine::default();
    let component = Component::new(&engine, APP)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap_async("go", move |_, (): ()| {
        let going = go();
        Box::new(async move {
            going.await;
            Ok(())
        })
    })?;
    linker.instantiate_pre(&component)
}

async fn call_async(pre: &InstancePre<()>) -> Result<()> {
    let mut store = Store::new(pre.engine(), ());
    let instance = pre.instantiate(&mut store)?;
    let run = instance.get_typed_func::<(bool,), ()>(&mut store, "run")?;
    run.call_async(&mut store, (false,)).await
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

/// Uses `kib` KiB of stack, then calls `f`.
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

/// Wherever on its stack a thread calls a guest that recurses without end, through a host function
/// that needs some stack itself: it is a trap.
#[test]
fn guests_leave_the_host_its_reserve() -> Result<()> {
    let pre = pre(|| descend(8, &mut || ()))?;
    on_stack(1024, move || {
        for depth in (0..820).step_by(20) {
            descend(depth, &mut || {
                let error = call(&pre, "recurse").unwrap_err();
                assert_eq!(
                    error.downcast_ref(),
                    Some(&Trap::StackOverflow),
                    "{depth}: {error:?}"
                );
            });
        }
    });
    Ok(())
}

#[test]
fn threads_with_small_stacks_get_an_error() -> Result<()> {
    let pre = pre(|| ())?;
    on_small_stack(move || {
        let error = call(&pre, "run").unwrap_err().to_string();
        assert!(error.contains("too small for calls into guests"), "{error}");
    });
    Ok(())
}

/// Runs on the smallest stack that there is. A larger one that the system has left of another
/// thread stays in use meanwhile.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    on_stack(64, move || match stack_kib() > 192 {
        true => on_small_stack(run),
        false => run(),
    });
}

/// A component with types `$t0` to `$t96`, each a list of the one before, and what `fields` says.
/// In the memory of `$m`, each list is at 0 and has one element: itself.
fn deep_lists(fields: &str) -> String {
    let mut types = String::from("(type $t0 (tuple u8))");
    for n in 1..97 {
        types += &format!("(type $t{n} (list $t{}))", n - 1);
    }
    format!(
        r#"(component
            {types}
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 4) "\01")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "value") (result i32) (i32.const 0)))
            (core instance $memory (instantiate $m))
            {fields})"#
    )
}

/// A deep value is lifted by a host function that is called at the end of what a guest may use, and
/// is lowered there again.
#[test]
fn deep_values_are_passed_at_the_end_of_the_stack() -> Result<()> {
    let text = deep_lists(
        r#"(import "go" (func $go (param "x" $t96) (result $t96)))
            (core func $go (canon lower (func $go) (memory (core memory $memory "memory"))
                (realloc (core func $memory "realloc"))))
            (core module $r
                (import "" "go" (func $go (param i32 i32 i32)))
                (func $recurse (export "recurse")
                    (call $go (i32.const 0) (i32.const 1) (i32.const 0))
                    (call $recurse)))
            (core instance $i (instantiate $r (with "" (instance (export "go" (func $go))))))
            (func (export "recurse") (canon lift (core func $i "recurse")))"#,
    );
    let engine = Engine::default();
    let component = Component::new(&engine, &text)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_new("go", |_, _, params, results| {
        results[0] = params[0].clone();
        Ok(())
    })?;
    let pre = linker.instantiate_pre(&component)?;
    on_stack(320, move || {
        let error = call(&pre, "recurse").unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::StackOverflow),
            "{error:?}"
        );
    });
    Ok(())
}

/// The size of the current thread's stack.
fn stack_kib() -> usize {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the first call initializes the attributes, which the second reads and the third
    // destroys.
    unsafe {
        assert_eq!(
            libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()),
            0
        );
        assert_eq!(
            libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size),
            0
        );
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    size >> 10
}

/// A host function that uses the reserve itself calls a guest. The guest's function needs no stack,
/// but its result does.
#[test]
fn no_guest_runs_in_the_reserve() -> Result<()> {
    let engine = Engine::default();
    let text = deep_lists(
        r#"(func (export "value") (result $t96)
                (canon lift (core func $memory "value") (memory (core memory $memory "memory"))))"#,
    );
    let inner = Linker::<()>::new(&engine).instantiate_pre(&Component::new(&engine, &text)?)?;
    let value = move || {
        let mut store = Store::new(inner.engine(), ());
        let instance = inner.instantiate(&mut store)?;
        let value = instance.get_func(&mut store, "value").unwrap();
        value.call(&mut store, &[], &mut [Val::Bool(false)])
    };
    let kib = 512;
    let depths = (0..kib - 112).step_by(10);
    let returned = depths.clone().filter(move |&depth| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let value = value.clone();
        let outer = pre(move || {
            descend(depth, &mut || sender.send(value()).unwrap());
        });
        on_stack(kib, move || {
            // The system may reuse the larger stack of another test's thread.
            if stack_kib() < kib + 64 {
                call(&outer.unwrap(), "run").unwrap();
            }
        });
        match receiver.recv() {
            Err(_) => false,
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                assert_eq!(
                    error.downcast_ref(),
                    Some(&Trap::StackOverflow),
                    "{depth}: {error:?}"
                );
                false
            }
        }
    });
    // All where there is more stack than the reserve, and none where there is less.
    let deepest = returned.max();
    assert!(
        deepest.is_none_or(|deepest| deepest < kib - 256),
        "{deepest:?}"
    );
    Ok(())
}

/// As `guests_leave_the_host_its_reserve`, on the stack of an asynchronous call: a host function
/// runs there when it is polled for the first time.
#[test]
fn guests_leave_the_host_its_reserve_on_stacks_of_calls() -> Result<()> {
    let inner = pre(|| descend(8, &mut || ()))?;
    for depth in (0..1800).step_by(25) {
        let inner = inner.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        let outer = pre_async(move || {
            let (inner, sender) = (inner.clone(), sender.clone());
            async move {
                let call = &mut || sender.send(call(&inner, "recurse").unwrap_err()).unwrap();
                descend(depth, call);
            }
        })?;
        block_on(call_async(&outer))?;
        let error = receiver.recv().unwrap();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::StackOverflow),
            "{depth}: {error:?}"
        );
    }
    Ok(())
}

/// A host function that runs on the stack of an asynchronous call makes another such call and waits
/// for it there, and so on. The innermost call fails.
#[test]
fn calls_that_are_waited_for_on_stacks_of_calls_end() -> Result<()> {
    static PRE: Mutex<Option<InstancePre<()>>> = Mutex::new(None);
    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        static FAILED_AT: Cell<u32> = const { Cell::new(0) };
    }
    let pre = pre_async(|| async {
        let depth = DEPTH.replace(DEPTH.get() + 1);
        waits(depth.min(1)).await;
        let pre = PRE.lock().unwrap().clone().unwrap();
        descend(64, &mut || {
            if let Err(error) = block_on(call_async(&pre)) {
                let trap = error.downcast_ref();
                assert_eq!(trap, Some(&Trap::StackOverflow), "{error:?}");
                assert_eq!(FAILED_AT.replace(DEPTH.get()), 0);
            }
        });
    })?;
    *PRE.lock().unwrap() = Some(pre.clone());
    block_on(call_async(&pre))?;
    assert!(DEPTH.get() > 3, "{}", DEPTH.get());
    assert_eq!(FAILED_AT.get(), DEPTH.get());
    Ok(())
}

/// A string that is lowered on another stack.
struct OnOtherStack(&'static str);

impl ComponentType for OnOtherStack {
    const ABI: CanonicalAbi = <str as ComponentType>::ABI;

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        <str as ComponentType>::matches(ty, types)
    }

    fn describe() -> String {
        "string".into()
    }
}

impl Lower for OnOtherStack {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        let stack = DefaultStack::new(1 << 20)?;
        corosensei::on_stack(stack, || self.0.lower_flat(cx, ty, dst))
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let stack = DefaultStack::new(1 << 20)?;
        corosensei::on_stack(stack, || self.0.lower_memory(cx, ty, offset))
    }
}

/// `realloc` runs on another stack than the code that has called the host function. That code goes
/// on with the limit of its own stack.
#[test]
fn limits_of_another_stack_end_with_the_call_there() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (import "go" (func $go (result string)))
        (core module $memory
            (memory (export "memory") 1)
            (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
        (core instance $memory (instantiate $memory))
        (core func $go (canon lower (func $go) (memory (core memory $memory "memory"))
            (realloc (core func $memory "realloc"))))
        (core module $m
            (import "" "go" (func $go (param i32)))
            (func $deep (param i32)
                (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
            (func $recurse (call $go (i32.const 0)) (call $recurse))
            (func (export "shallow") (call $go (i32.const 0)) (call $deep (i32.const 1000)))
            (func (export "recurse") (call $recurse)))
        (core instance $i (instantiate $m (with "" (instance (export "go" (func $go))))))
        (func (export "shallow") (canon lift (core func $i "shallow")))
        (func (export "recurse") (canon lift (core func $i "recurse"))))"#;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("go", |_, (): ()| {
        descend(8, &mut || ());
        Ok((OnOtherStack("hello"),))
    })?;
    let pre = linker.instantiate_pre(&component)?;
    on_stack(512, move || {
        call(&pre, "shallow").unwrap();
        let error = call(&pre, "recurse").unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::StackOverflow),
            "{error:?}"
        );
        // The other stack is above the thread's now, or below.
        let stack = DefaultStack::new(1 << 20).unwrap();
        corosensei::on_stack(stack, || call(&pre, "shallow")).unwrap();
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
        call_in_coroutine(&pre, yielder, |run, store| run.call(store, (trap,)))
    })
}

/// As [`guest`], with an asynchronous call. The host function waits first: it suspends the
/// coroutine when it is polled again.
fn waiting_guest(trap: bool) -> Guest {
    let pre = pre_async(|| async {
        waits(1).await;
        suspend();
    });
    let pre = pre.unwrap();
    Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        call_in_coroutine(&pre, yielder, |run, store| {
            block_on(run.call_async(store, (trap,)))
        })
    })
}

fn call_in_coroutine(
    pre: &InstancePre<()>,
    yielder: &Yielder<(), ()>,
    call: impl FnOnce(TypedFunc<(bool,), ()>, &mut Store<()>) -> Result<()>,
) -> Option<String> {
    let mut store = Store::new(pre.engine(), ());
    let instance = pre.instantiate(&mut store).unwrap();
    let run = instance
        .get_typed_func::<(bool,), ()>(&mut store, "run")
        .unwrap();
    YIELDER.set(yielder);
    let result = call(run, &mut store);
    YIELDER.set(std::ptr::null());
    result.err().map(|error| error.root_cause().to_string())
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
fn aborts(test: &str, how: &str, body: impl FnOnce()) {
    if std::env::var_os("ABORTS").is_some() {
        body();
        // Nobody ended it.
        std::process::exit(0);
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child
        .args([&format!("stacks::{test}"), "--exact", "--nocapture"])
        .env("ABORTS", "1");
    let output = child.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{stderr}");
    assert!(stderr.contains("must end in the reverse order"), "{stderr}");
    assert!(stderr.contains(how), "{stderr}");
}

/// How a call ends before it should.
const EARLY: &str = "before another one that began later";

#[test]
fn a_call_that_ends_before_a_later_one_ends_the_process() {
    aborts(
        "a_call_that_ends_before_a_later_one_ends_the_process",
        EARLY,
        || {
            let (mut first, mut second) = (guest(false), guest(true));
            start(&mut first);
            start(&mut second);
            end(&mut first);
        },
    );
}

/// The guest in the coroutine would trap while a call of the thread's own stack is the innermost.
#[test]
fn a_call_that_goes_on_inside_a_later_one_ends_the_process() {
    thread_local! { static OTHER: Cell<Option<Guest>> = const { Cell::new(None) }; }
    aborts(
        "a_call_that_goes_on_inside_a_later_one_ends_the_process",
        EARLY,
        || {
            let mut other = guest(true);
            start(&mut other);
            OTHER.set(Some(other));
            let pre = pre(|| _ = end(&mut OTHER.take().unwrap())).unwrap();
            let _ = call(&pre, "run");
        },
    );
}

/// The guest in the first coroutine would trap while the call in the second is the innermost.
#[test]
fn an_asynchronous_call_that_goes_on_inside_a_later_one_ends_the_process() {
    let name = "an_asynchronous_call_that_goes_on_inside_a_later_one_ends_the_process";
    aborts(name, EARLY, || {
        let (mut first, mut second) = (waiting_guest(true), waiting_guest(false));
        start(&mut first);
        start(&mut second);
        end(&mut first);
    });
}

#[test]
fn asynchronous_calls_on_other_stacks_may_nest() {
    let (mut outer, mut inner) = (waiting_guest(true), waiting_guest(true));
    start(&mut outer);
    start(&mut inner);
    let unreachable = Some(Trap::UnreachableCodeReached.to_string());
    assert_eq!(end(&mut inner), unreachable);
    assert_eq!(end(&mut outer), unreachable);
}

/// A coroutine whose own library would not let it go to another thread.
struct Moved(Guest);

// SAFETY: what it does there is what the test is about: the process ends before anything is used.
unsafe impl Send for Moved {}

#[test]
fn a_call_that_goes_on_on_another_thread_ends_the_process() {
    let name = "a_call_that_goes_on_on_another_thread_ends_the_process";
    aborts(
        name,
        "on another thread than the one on which it began",
        || {
            go_on_on_another_thread(guest(false));
        },
    );
}

#[test]
fn an_asynchronous_call_that_goes_on_on_another_thread_ends_the_process() {
    let name = "an_asynchronous_call_that_goes_on_on_another_thread_ends_the_process";
    aborts(
        name,
        "on another thread than the one on which it began",
        || go_on_on_another_thread(waiting_guest(true)),
    );
}

fn go_on_on_another_thread(guest: Guest) {
    let mut moved = Moved(guest);
    start(&mut moved.0);
    let go_on = move || {
        let mut moved = moved;
        end(&mut moved.0)
    };
    let _ = std::thread::spawn(go_on).join();
}

/// The same for a coroutine that is dropped while it waits for a later one.
#[test]
fn a_call_that_is_dropped_before_a_later_one_ends_the_process() {
    aborts(
        "a_call_that_is_dropped_before_a_later_one_ends_the_process",
        EARLY,
        || {
            let (mut first, mut second) = (guest(false), guest(true));
            start(&mut first);
            start(&mut second);
            drop(first);
        },
    );
}

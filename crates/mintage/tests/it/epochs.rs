//! Epoch deadlines: guests check in, and trap, go on or fail.
#![cfg(feature = "compiler")]

use crate::common::{OPTIONS, component as with_memory, message};
use mintage::error::{Error, format_err};
use mintage::{
    Component, Config, Engine, Instance, Linker, OptLevel, Result, Store, StoreContextMut, Trap,
    UpdateDeadline,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

fn engine() -> Engine {
    Engine::new(Config::new().epoch_interruption(true)).unwrap()
}

/// Compiles a component with the core module `$m` of the given fields, whose export `run` is the
/// component's.
fn component(engine: &Engine, fields: &str) -> Component {
    let text = format!(
        r#"(component
            (import "host" (func $host))
            (core func $host (canon lower (func $host)))
            (core module $m (import "" "host" (func $host)) {fields})
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#
    );
    Component::new(engine, text).unwrap()
}

fn instantiate<T: 'static>(
    store: &mut Store<T>,
    component: &Component,
    host: impl Fn(StoreContextMut<'_, T>) -> Result<()> + Send + Sync + 'static,
) -> Instance {
    let mut linker = Linker::new(component.engine());
    linker
        .root()
        .func_wrap("host", move |store, (): ()| host(store))
        .unwrap();
    linker.instantiate(store, component).unwrap()
}

fn run<T: 'static>(store: &mut Store<T>, instance: &Instance, argument: u32) -> Result<u32> {
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "run")?;
    Ok(run.call(store, (argument,))?.0)
}

/// Makes a store with an instance of these fields.
fn start(engine: &Engine, fields: &str) -> (Store<u32>, Instance) {
    let mut store = Store::new(engine, 0);
    let instance = instantiate(&mut store, &component(engine, fields), |_| Ok(()));
    (store, instance)
}

fn assert_interrupted<R>(result: Result<R>) {
    let error = result.err().expect("the guest is stopped");
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{error:?}");
}

/// Begins epochs until it is dropped.
struct Ticker {
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: &Engine) -> Ticker {
        let (engine, ended) = (engine.clone(), Arc::new(AtomicBool::new(false)));
        let end = ended.clone();
        let tick = move || {
            while !end.load(SeqCst) {
                engine.increment_epoch();
                thread::sleep(Duration::from_micros(200));
            }
        };
        Ticker {
            ended,
            thread: Some(thread::spawn(tick)),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.ended.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

const ENDLESS: &str =
    r#"(func (export "run") (param i32) (result i32) (loop (br 0)) (i32.const 0))"#;
const COUNT: &str = r#"(func (export "run") (param $n i32) (result i32) (local $i i32)
    (loop $next
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $i))"#;

/// A loop with as many live values of each kind as there are registers, and more, in a recursive
/// function.
fn many_values() -> String {
    let (mut locals, mut body, mut sum) = (String::new(), String::new(), String::new());
    for i in 0..20 {
        locals += &format!("(local $a{i} i64) (local $b{i} f64) (local $c{i} v128)");
        let next = (i + 1) % 20;
        body += &format!(
            "(local.set $a{i} (i64.add (i64.mul (local.get $a{i}) (i64.const 3))
                (i64.extend_i32_u (i32.add (local.get $n) (i32.const {i})))))
             (local.set $b{i} (f64.add (f64.mul (local.get $b{next}) (f64.const 0.5))
                (f64.convert_i32_u (local.get $n))))
             (local.set $c{i} (i64x2.add (local.get $c{i})
                (i64x2.replace_lane 1 (i64x2.splat (local.get $a{next})) (local.get $a{i}))))"
        );
        sum += &format!(
            "(local.set $s (i64.add (i64.rotl (local.get $s) (i64.const 5))
                (i64.xor (i64.xor (local.get $a{i}) (i64.reinterpret_f64 (local.get $b{i})))
                    (i64.xor (i64x2.extract_lane 0 (local.get $c{i}))
                        (i64x2.extract_lane 1 (local.get $c{i}))))))"
        );
    }
    format!(
        r#"(func $f (export "run") (param $n i32) (result i32) (local $s i64) {locals}
            (loop $next
                {body}
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            {sum}
            (i32.wrap_i64 (i64.xor (local.get $s) (i64.shr_u (local.get $s) (i64.const 32)))))"#
    )
}

/// With `Continue(0)`, the deadline has passed at each function entry and loop head.
#[test]
fn callback_continues_where_the_guest_is() {
    let plain = Engine::default();
    for level in [OptLevel::None, OptLevel::Speed, OptLevel::SpeedAndSize] {
        for fuel in [false, true] {
            let mut config = Config::new();
            config.epoch_interruption(true).opt_level(level);
            config.consume_fuel(fuel);
            let engine = Engine::new(&config).unwrap();
            for fields in [COUNT, &many_values()] {
                let (mut expected, instance) = start(&plain, fields);
                let expected = run(&mut expected, &instance, 50).unwrap();

                let (mut store, instance) = start(&engine, fields);
                if fuel {
                    store.set_fuel(1 << 40).unwrap();
                }
                store.epoch_deadline_callback(|mut store| {
                    *store.data_mut() += 1;
                    Ok(UpdateDeadline::Continue(0))
                });
                assert_eq!(run(&mut store, &instance, 50).unwrap(), expected);
                assert_eq!(*store.data(), 51, "one entry and 50 turns");
            }
        }
    }
}

/// References that are live while a guest checks in are found by the collector afterwards.
#[test]
fn callback_continues_with_objects() {
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_gc(true).gc_zeal(true);
    let fields = r#"(type $cell (struct (field i32) (field (ref null $cell))))
        (func (export "run") (param $n i32) (result i32)
            (local $list (ref null $cell)) (local $sum i32)
            (loop $next
                (local.set $list (struct.new $cell (local.get $n) (local.get $list)))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (loop $next
                (local.set $sum (i32.add (local.get $sum)
                    (struct.get $cell 0 (local.get $list))))
                (local.set $list (struct.get $cell 1 (local.get $list)))
                (br_if $next (i32.eqz (ref.is_null (local.get $list)))))
            (local.get $sum))"#;
    let (mut store, instance) = start(&Engine::new(&config).unwrap(), fields);
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        Ok(UpdateDeadline::Continue(0))
    });
    assert_eq!(run(&mut store, &instance, 100).unwrap(), 5050);
    assert_eq!(*store.data(), 201);
}

#[test]
fn guests_trap_until_there_is_a_deadline_and_after_it() {
    let engine = engine();
    let (mut store, instance) = start(&engine, COUNT);
    assert_interrupted(run(&mut store, &instance, 1));

    store.set_epoch_deadline(2);
    let component = component(&engine, COUNT);
    let instance = instantiate(&mut store, &component, |_| Ok(()));
    engine.increment_epoch();
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
    engine.clone().increment_epoch();
    assert_interrupted(run(&mut store, &instance, 7));
    // As after any trap.
    store.set_epoch_deadline(1);
    let error = run(&mut store, &instance, 7).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    let instance = instantiate(&mut store, &component, |_| Ok(()));
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
}

#[test]
fn too_late_deadlines_never_come() {
    let engine = engine();
    let (mut store, instance) = start(&engine, COUNT);
    for _ in 0..3 {
        for ticks in [u64::MAX, u64::MAX - 1] {
            store.set_epoch_deadline(ticks);
            engine.increment_epoch();
            assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
        }
    }
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(u64::MAX)));
    store.set_epoch_deadline(0);
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
    engine.increment_epoch();
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
}

#[test]
fn epochs_of_another_thread_stop_an_endless_guest() {
    let engine = engine();
    let _ticker = Ticker::start(&engine);
    for _ in 0..20 {
        let (mut store, instance) = start(&engine, ENDLESS);
        store.set_epoch_deadline(2);
        assert_interrupted(run(&mut store, &instance, 0));
    }
}

#[test]
fn callback_updates_the_deadline_of_an_endless_guest() {
    let engine = engine();
    let _ticker = Ticker::start(&engine);
    let (mut store, instance) = start(&engine, ENDLESS);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        Ok(match *store.data() {
            10 => UpdateDeadline::Interrupt,
            _ => UpdateDeadline::Continue(1),
        })
    });
    assert_interrupted(run(&mut store, &instance, 0));
    assert_eq!(*store.data(), 10);
}

/// Each store is told of its own deadline, among many that come and go.
#[test]
fn stores_have_deadlines_of_their_own() {
    let engine = engine();
    let component = component(&engine, COUNT);
    let mut stores: Vec<_> = (0..100)
        .map(|ticks| {
            let mut store = Store::new(&engine, ());
            store.set_epoch_deadline(ticks + 1);
            let instance = instantiate(&mut store, &component, |_| Ok(()));
            (ticks, store, instance)
        })
        .collect();
    for now in 0..100 {
        for (ticks, store, instance) in &mut stores {
            match *ticks >= now {
                true => assert_eq!(run(store, instance, 3).unwrap(), 3),
                false => assert!(run(store, instance, 3).is_err()),
            }
        }
        engine.increment_epoch();
        // Others get their places.
        stores.retain(|&(ticks, ..)| ticks >= now);
        drop(Store::new(&engine, ()));
    }
}

#[test]
fn failing_callbacks_end_the_call() {
    let engine = engine();
    let (mut store, instance) = start(&engine, ENDLESS);
    store.epoch_deadline_callback(|_| Err(format_err!("enough of this")));
    let error = run(&mut store, &instance, 0).unwrap_err();
    assert_eq!(error.root_cause().to_string(), "enough of this");
    assert!(error.downcast_ref::<Trap>().is_none());

    let (mut store, instance) = start(&engine, ENDLESS);
    store.epoch_deadline_callback(|_| std::panic::panic_any("in the callback"));
    let panic = catch_unwind(AssertUnwindSafe(|| run(&mut store, &instance, 0))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"in the callback"));
    // The store remains usable.
    store.epoch_deadline_trap();
    store.set_epoch_deadline(1);
    let instance = instantiate(&mut store, &component(&engine, COUNT), |_| Ok(()));
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
}

/// A synchronous call cannot yield, and says so.
#[test]
fn yields_of_synchronous_calls_are_errors() {
    let engine = engine();
    type Setting = fn(&mut Store<u32>);
    let settings: [Setting; 3] = [
        |store| store.epoch_deadline_async_yield_and_update(1),
        |store| store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1))),
        |store| {
            store.epoch_deadline_callback(|_| {
                let ready = Box::pin(std::future::ready(()));
                Ok(UpdateDeadline::YieldCustom(1, ready))
            });
        },
    ];
    for set in settings {
        let (mut store, instance) = start(&engine, ENDLESS);
        set(&mut store);
        let error = message(run(&mut store, &instance, 0));
        assert!(error.contains("a synchronous call cannot"), "{error}");
        assert!(
            error.contains("epoch_deadline_async_yield_and_update"),
            "{error}"
        );
    }
}

#[test]
fn deadlines_and_handles_stop_guests_whose_callback_continues() {
    let engine = engine();
    let endless = || {
        let (mut store, instance) = start(&engine, ENDLESS);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(0)));
        (store, instance)
    };
    let (mut store, instance) = endless();
    store.set_deadline(Duration::from_millis(20)).unwrap();
    assert_interrupted(run(&mut store, &instance, 0));

    let (mut store, instance) = endless();
    let handle = store.interrupt_handle().unwrap();
    let thread = thread::spawn(move || handle.interrupt());
    assert_interrupted(run(&mut store, &instance, 0));
    thread.join().unwrap();

    // The epoch is first.
    let (mut store, instance) = start(&engine, ENDLESS);
    store.set_deadline(Duration::from_secs(3600)).unwrap();
    store.set_epoch_deadline(2);
    let _ticker = Ticker::start(&engine);
    assert_interrupted(run(&mut store, &instance, 0));
    // Clearing the one leaves the other.
    store.clear_deadline();
    store.clear_interrupt();
    let instance = instantiate(&mut store, &component(&engine, COUNT), |_| Ok(()));
    assert_interrupted(run(&mut store, &instance, 1));
}

#[test]
fn engines_without_epochs_ignore_them() {
    let engine = Engine::new(Config::new().interruptible(true)).unwrap();
    let (mut store, instance) = start(&engine, COUNT);
    store.set_epoch_deadline(0);
    store.epoch_deadline_trap();
    engine.increment_epoch();
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
    // Their handles work, and so do those of engines with epochs that are not set interruptible.
    store.interrupt_handle().unwrap().interrupt();
    assert_interrupted(run(&mut store, &instance, 7));
    let engine = Engine::new(Config::new().epoch_interruption(true)).unwrap();
    let (mut store, instance) = start(&engine, COUNT);
    store.set_epoch_deadline(1);
    assert_eq!(run(&mut store, &instance, 7).unwrap(), 7);
    store.interrupt_handle().unwrap().interrupt();
    assert_interrupted(run(&mut store, &instance, 7));
}

/// A handle of a store that is gone does not stop the next store, which gets its place.
#[test]
fn handles_of_former_stores_have_no_effect() {
    let engine = engine();
    for _ in 0..5 {
        let (mut store, instance) = start(&engine, COUNT);
        let handle = store.interrupt_handle().unwrap();
        drop(store);
        (store, _) = start(&engine, COUNT);
        store.set_epoch_deadline(1);
        let instance_2 = instantiate(&mut store, &component(&engine, COUNT), |_| Ok(()));
        handle.interrupt();
        assert_eq!(run(&mut store, &instance_2, 7).unwrap(), 7);
        let _ = instance;
    }
}

#[test]
fn epochs_that_begin_in_a_host_function_count() {
    // A function that is not inlined.
    const CALL: &str = r#"(func $f (block))
        (func (export "run") (param i32) (result i32) (call $host) (call $f) (i32.const 7))"#;
    let engine = engine();
    let component = component(&engine, CALL);
    let host = |store: StoreContextMut<'_, bool>| {
        store.engine().increment_epoch();
        let mut store = store;
        if *store.data() {
            store.set_epoch_deadline(1);
        }
        Ok(())
    };
    for extended in [false, true] {
        let mut store = Store::new(&engine, extended);
        store.set_epoch_deadline(1);
        let instance = instantiate(&mut store, &component, host);
        match extended {
            false => assert_interrupted(run(&mut store, &instance, 0)),
            true => assert_eq!(run(&mut store, &instance, 0).unwrap(), 7),
        }
    }
}

/// A callback may call guests. They trap, unless it has set a new deadline before.
#[test]
fn callbacks_call_guests() {
    let engine = engine();
    for extended in [false, true] {
        let component = component(&engine, COUNT);
        let mut store = Store::new(&engine, Vec::new());
        let [outer, inner] = [(); 2].map(|()| instantiate(&mut store, &component, |_| Ok(())));
        store.epoch_deadline_callback(move |mut store| {
            if extended {
                store.set_epoch_deadline(1);
            }
            let run = inner.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
            let result = run.call(&mut store, (7,));
            store.data_mut().push(result.is_ok());
            Ok(UpdateDeadline::Continue(1))
        });
        assert_eq!(run(&mut store, &outer, 7).unwrap(), 7);
        assert_eq!(*store.data(), [extended]);
    }
}

/// The callback's own choice of what follows next time stays.
#[test]
fn callbacks_replace_themselves() {
    let engine = engine();
    let (mut store, instance) = start(&engine, COUNT);
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        store.epoch_deadline_trap();
        Ok(UpdateDeadline::Continue(0))
    });
    assert_interrupted(run(&mut store, &instance, 7));
    assert_eq!(*store.data(), 1);
}

/// Fuel that a callback sets is what the guest has afterwards.
#[test]
fn callbacks_set_fuel() {
    let engine = Engine::new(Config::new().epoch_interruption(true).consume_fuel(true)).unwrap();
    let (mut store, instance) = start(&engine, COUNT);
    store.set_fuel(20).unwrap();
    store.epoch_deadline_callback(|mut store| {
        store.set_fuel(20)?;
        Ok(UpdateDeadline::Continue(0))
    });
    assert_eq!(run(&mut store, &instance, 1000).unwrap(), 1000);
    store.epoch_deadline_callback(|mut store| {
        store.set_fuel(store.get_fuel()?.saturating_sub(3))?;
        Ok(UpdateDeadline::Continue(0))
    });
    let error = run(&mut store, &instance, 1000).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
}

/// `realloc` cannot ask the callback. It goes on for a while, and traps at once without a callback.
#[test]
fn functions_that_may_not_call_out() {
    let lifts = format!(
        r#"(func (export "run") (param "x" string) (result u32)
            (canon lift (core func $i "run") {OPTIONS}))"#
    );
    let run_with = |store: &mut Store<u32>, instance: &Instance| {
        let run = instance.get_typed_func::<(&str,), (u32,)>(&mut *store, "run")?;
        Ok::<_, Error>(run.call(store, ("text",))?.0)
    };
    let run_func = r#"(func (export "run") (param i32 i32) (result i32) (local.get 1))"#;
    let engine = engine();
    let component = with_memory(&engine, run_func, &lifts).unwrap();
    let instantiate = |store: &mut Store<u32>, component| {
        Linker::new(&engine).instantiate(store, component).unwrap()
    };
    let mut store = Store::new(&engine, 0);
    let instance = instantiate(&mut store, &component);
    assert_interrupted(run_with(&mut store, &instance));
    store.epoch_deadline_callback(|mut store| {
        *store.data_mut() += 1;
        Ok(UpdateDeadline::Continue(0))
    });
    let instance = instantiate(&mut store, &component);
    assert_eq!(run_with(&mut store, &instance).unwrap(), 4);
    assert_eq!(*store.data(), 1, "for `run`, not for `realloc`");

    // An endless one.
    let text = format!(
        r#"(component
            (core module $m (memory (export "mem") 1) {run_func}
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (loop (br 0)) (i32.const 0)))
            (core instance $i (instantiate $m)) {lifts})"#
    );
    let component = Component::new(&engine, text).unwrap();
    let instance = instantiate(&mut store, &component);
    let begin = Instant::now();
    assert_interrupted(run_with(&mut store, &instance));
    assert!(begin.elapsed() > Duration::from_millis(900));
}

/// Loops of adapters over elements check in as well.
#[test]
fn adapters_check_in() {
    let text = r#"(component
        (component $callee
            (core module $m
                (memory (export "mem") 16)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "f") (param i32 i32) (result i32) (local.get 1)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" (list string)) (result u32)
                (canon lift (core func $i "f") (memory (core memory $i "mem"))
                    (realloc (core func $i "realloc")))))
        (instance $callee (instantiate $callee))
        (core module $libc (memory (export "mem") 16))
        (core instance $libc (instantiate $libc))
        (core func $f (canon lower (func $callee "f") (memory (core memory $libc "mem"))))
        (core module $m
            (import "" "f" (func $f (param i32 i32) (result i32)))
            (func (export "run") (param i32) (result i32) (call $f (i32.const 0) (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#;
    let engine = engine();
    let component = Component::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    store.epoch_deadline_callback(move |_| {
        count.fetch_add(1, SeqCst);
        Ok(UpdateDeadline::Continue(0))
    });
    assert_eq!(run(&mut store, &instance, 100).unwrap(), 100);
    assert!(asked.load(SeqCst) >= 100, "{asked:?}");
}

#[test]
fn intervals_of_fuel() {
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let (mut store, instance) = start(&engine, COUNT);
    let error = message(store.fuel_async_yield_interval(Some(0)));
    assert!(error.contains("`fuel_async_yield_interval`"), "{error}");
    store.set_fuel(10_000).unwrap();
    assert_eq!(run(&mut store, &instance, 100).unwrap(), 100);
    let cost = 10_000 - store.get_fuel().unwrap();

    // A guest that consumes less than an interval does not yield, and pays what it pays otherwise.
    for interval in [Some(cost), Some(u64::MAX), None] {
        store.fuel_async_yield_interval(interval).unwrap();
        store.set_fuel(10_000).unwrap();
        assert_eq!(run(&mut store, &instance, 100).unwrap(), 100);
        assert_eq!(10_000 - store.get_fuel().unwrap(), cost);
    }
    store.fuel_async_yield_interval(Some(cost / 2)).unwrap();
    let error = message(run(&mut store, &instance, 100));
    assert!(error.contains("a synchronous call cannot"), "{error}");
    assert!(error.contains("fuel_async_yield_interval"), "{error}");
    assert!(store.get_fuel().unwrap() > 10_000 - 2 * cost);

    let mut store = Store::new(&Engine::default(), ());
    let error = message(store.fuel_async_yield_interval(Some(1)));
    assert!(error.contains("Config::consume_fuel"), "{error}");
}

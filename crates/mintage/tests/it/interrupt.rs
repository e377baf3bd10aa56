//! Interruption of endless guests by a handle or a deadline, wherever they run.
#![cfg(feature = "compiler")]

use mintage::{
    Component, Config, Engine, Instance, InterruptHandle, Linker, Result, Store, StoreContextMut,
    Trap,
};
use std::thread;
use std::time::{Duration, Instant};

/// A time that only a failing test waits for.
const LONG: Duration = Duration::from_secs(3600);

fn engine() -> Engine {
    Engine::new(Config::new().interruptible(true).wasm_gc(true)).unwrap()
}

/// A component with the core module `$m` of the given fields, whose exports `run` and `seven` are
/// the component's.
fn component(engine: &Engine, fields: &str) -> Component {
    let text = format!(
        r#"(component
            (core module $m {fields} (func (export "seven") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run")))
            (func (export "seven") (result u32) (canon lift (core func $i "seven"))))"#
    );
    Component::new(engine, text).unwrap()
}

fn instantiate(store: &mut Store<()>, component: &Component) -> Result<Instance> {
    Linker::new(component.engine()).instantiate(store, component)
}

fn run(store: &mut Store<()>, instance: &Instance) -> Result<()> {
    let run = instance.get_typed_func::<(), ()>(&mut *store, "run")?;
    run.call(store, ())
}

fn seven(store: &mut Store<()>, instance: &Instance) -> Result<(u32,)> {
    let seven = instance.get_typed_func::<(), (u32,)>(&mut *store, "seven")?;
    seven.call(store, ())
}

fn assert_interrupted<R>(result: Result<R>) {
    let error = result.err().expect("an endless guest does not return");
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{error:?}");
}

/// Interrupts the guests of the store from another thread, a moment later.
fn interrupt_soon(store: &Store<()>) -> thread::JoinHandle<()> {
    let handle = store.interrupt_handle().unwrap();
    thread::spawn(move || {
        // The guest is in its loop by then, or, on a busy machine, is stopped where it enters.
        thread::sleep(Duration::from_millis(20));
        handle.interrupt();
    })
}

/// Runs `run` of a component with these fields until another thread interrupts it.
fn stop(fields: &str) {
    let engine = engine();
    let component = component(&engine, fields);
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&mut store, &component).unwrap();
    assert_eq!(seven(&mut store, &instance).unwrap(), (7,));
    let thread = interrupt_soon(&store);
    assert_interrupted(run(&mut store, &instance));
    thread.join().unwrap();
}

const ENDLESS: &str = r#"(func (export "run") (loop (br 0)))"#;

#[test]
fn endless_loop() {
    stop(ENDLESS);
}

#[test]
fn endless_loops_of_other_forms() {
    // Calls, stores and values carried round make the loop's memory and locals differ from turn to
    // turn.
    stop(
        r#"(memory 1) (func $f)
        (func (export "run") (local i32)
            (i32.const 0)
            (loop (param i32)
                (i32.store (i32.and (i32.const 255)) (i32.const 8)) (call $f) (local.set 0 (i32.add
                  (local.get 0) (i32.const 1)))
                (br 0 (local.get 0))))"#,
    );
    stop(
        r#"(func (export "run") (loop (loop (br_if 0 (i32.const 0))) (br_table 0 0
          (i32.const 0))))"#,
    );
}

/// Some of these operations are loops themselves, or leave machine code. Each ends by itself.
#[test]
fn endless_loops_of_bulk_operations() {
    for operation in [
        "(array.fill $bytes (local.get $a) (i32.const 1) (i32.const 7) (i32.const 99000))",
        "(drop (array.new $words (i64.const 1) (i32.const 100000)))",
        "(drop (array.new_default $refs (i32.const 100000)))",
        "(drop (array.new_data $bytes $d (i32.const 1) (i32.const 8)))",
        "(drop (array.new_elem $funcs $e (i32.const 0) (i32.const 1)))",
        "(array.copy $bytes $bytes (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) \
         (i32.const 99000))",
        "(array.init_data $bytes $d (local.get $a) (i32.const 5) (i32.const 0) (i32.const 9))",
        "(drop (array.new_fixed $refs 2 (local.get $a) (local.get $a)))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 64))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0xfffff))",
        "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 8))",
        "(drop (memory.grow (i32.const 0)))",
        "(table.fill $t (i32.const 1) (ref.null func) (i32.const 999))",
        "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 999))",
        "(table.init $t $e (i32.const 9) (i32.const 0) (i32.const 1))",
        "(drop (table.grow $t (ref.null func) (i32.const 0)))",
    ] {
        stop(&format!(
            r#"(memory 16) (data $d "some bytes") (table $t 1000 funcref) (elem $e func $f)
              (func $f)
            (type $bytes (array (mut i8))) (type $words (array (mut i64)))
            (type $funcs (array (mut funcref))) (type $refs (array (mut anyref)))
            (func (export "run") (local $a (ref null $bytes))
                (local.set $a (array.new_default $bytes (i32.const 100000)))
                (loop {operation} (br 0)))"#
        ));
    }
}

#[test]
fn endless_chain_of_calls() {
    // 2^60 calls without a loop or recursion.
    let mut fields = "(func $f0)".to_string();
    for i in 1..=60 {
        let callee = i - 1;
        fields += &format!("(func $f{i} (call $f{callee}) (call $f{callee}))");
    }
    fields += r#"(func (export "run") (call $f60))"#;
    stop(&fields);
}

/// A component that calls `run` of a component inside it, whose instance the outer one's functions
/// know only by an adapter.
fn nested(engine: &Engine) -> Component {
    let text = format!(
        r#"(component
            (component $inner
                (core module $m {ENDLESS})
                (core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "run"))))
            (instance $inner (instantiate $inner))
            (core func $run (canon lower (func $inner "run")))
            (core module $m (import "" "run" (func $run)) (func (export "run") (call $run)))
            (core instance $i (instantiate $m (with "" (instance (export "run" (func $run))))))
            (func (export "run") (canon lift (core func $i "run"))))"#
    );
    Component::new(engine, text).unwrap()
}

#[test]
fn endless_loop_in_a_nested_component() {
    let engine = engine();
    let component = nested(&engine);
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&mut store, &component).unwrap();
    let thread = interrupt_soon(&store);
    assert_interrupted(run(&mut store, &instance));
    thread.join().unwrap();

    let instance = instantiate(&mut store, &component).unwrap();
    store.clear_interrupt();
    store.set_deadline(Duration::from_millis(20)).unwrap();
    assert_interrupted(run(&mut store, &instance));
}

#[test]
fn start_function_that_never_ends() {
    let engine = engine();
    let component = component(
        &engine,
        r#"(func $f (loop (br 0))) (start $f) (func (export "run"))"#,
    );
    let mut store = Store::new(&engine, ());
    let thread = interrupt_soon(&store);
    assert_interrupted(instantiate(&mut store, &component));
    thread.join().unwrap();
    store.clear_interrupt();
    store.set_deadline(Duration::from_millis(20)).unwrap();
    assert_interrupted(instantiate(&mut store, &component));
}

#[test]
fn host_function_that_interrupts_its_guest() {
    let component = core(r#"(func (export "run") (call $stop) (loop (br 0)))"#);
    assert_interrupted(run_and_stop(&mut Config::new(), &component));
}

/// An engine and a component that imports `stop`, a host function that interrupts the guest that
/// calls it. `text` is the component behind this import; its core function `$stop` is to be called
/// where all but a piece of what follows is to be prevented.
fn stops_itself(config: &mut Config, text: &str) -> (Store<Option<InterruptHandle>>, Instance) {
    let engine = Engine::new(config.interruptible(true).wasm_gc(true)).unwrap();
    let text = format!(
        r#"(component (import "stop" (func $stop)) (core func $stop (canon lower
          (func $stop))) {text})"#
    );
    let component = Component::new(&engine, text).unwrap();
    let mut linker = Linker::new(&engine);
    let stop = |store: StoreContextMut<'_, Option<InterruptHandle>>, (): ()| {
        store.data().as_ref().unwrap().interrupt();
        Ok(())
    };
    linker.root().func_wrap("stop", stop).unwrap();
    let mut store = Store::new(&engine, None);
    *store.data_mut() = Some(store.interrupt_handle().unwrap());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// Calls `run` of a component that interrupts itself, and returns its result.
fn run_and_stop(config: &mut Config, text: &str) -> Result<()> {
    let (mut store, instance) = stops_itself(config, text);
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    run.call(&mut store, ())
}

/// The text of a core module that can stop itself, and of its instance.
fn core(fields: &str) -> String {
    format!(
        r#"(core module $m (import "" "stop" (func $stop)) {fields})
        (core instance $i (instantiate $m (with "" (instance (export "stop" (func $stop))))))
        (func (export "run") (canon lift (core func $i "run")))"#
    )
}

/// No loop or call follows that would test the interrupt word.
#[test]
fn bulk_operations_end_before_they_are_done() {
    let (bytes, funcs) = ("x".repeat(600_000), "$f ".repeat(80_000));
    for operation in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0xfffff))",
        "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0xfffff))",
        "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 599999))",
        "(table.fill $t (i32.const 1) (ref.func $f) (i32.const 99999))",
        "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 99999))",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 80000))",
        "(drop (table.grow $t (ref.func $f) (i32.const 100000)))",
        "(array.fill $words (local.get $a) (i32.const 1) (i64.const 7) (i32.const 99000))",
        "(array.copy $words $words (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) \
         (i32.const 99000))",
        "(array.init_data $words $d (local.get $a) (i32.const 5) (i32.const 0) (i32.const 75000))",
        "(array.init_elem $funcs $e (local.get $b) (i32.const 5) (i32.const 0) (i32.const 80000))",
        "(drop (array.new $words (i64.const 1) (i32.const 100000)))",
        "(drop (array.new_default $words (i32.const 100000)))",
        "(drop (array.new_data $words $d (i32.const 1) (i32.const 70000)))",
        "(drop (array.new_elem $funcs $e (i32.const 0) (i32.const 80000)))",
    ] {
        let module = |stop: &str| {
            core(&format!(
                r#"(memory 16) (data $d "{bytes}") (table $t 100000 funcref) (elem $e func {funcs})
                  (func $f)
                (type $words (array (mut i64))) (type $funcs (array (mut funcref)))
                (func (export "run") (local $a (ref null $words)) (local $b (ref null $funcs))
                    (local.set $a (array.new_default $words (i32.const 100000)))
                    (local.set $b (array.new_default $funcs (i32.const 100000)))
                    {stop} {operation})"#
            ))
        };
        run_and_stop(&mut Config::new(), &module("")).unwrap();
        assert_interrupted(run_and_stop(&mut Config::new(), &module("(call $stop)")));
    }
}

/// A result of fixed length is copied after the callee has returned, to a place that its caller
/// gave.
#[test]
fn adapters_end_before_they_are_done() {
    for ty in ["u8", "char", "(tuple u8 u32)"] {
        let component = |stop: &str| {
            format!(
                r#"(component $inner
                    (import "stop" (func $stop))
                    (core func $stop (canon lower (func $stop)))
                    (core module $m
                        (import "" "stop" (func $stop))
                        (memory (export "memory") 100)
                        (func (export "get") (result i32) {stop} (i32.const 0)))
                    (core instance $i (instantiate $m (with "" (instance (export "stop"
                      (func $stop))))))
                    (func (export "get") (result (list {ty} 600000))
                        (canon lift (core func $i "get") (memory (core memory $i "memory")))))
                (instance $inner (instantiate $inner (with "stop" (func $stop))))
                (core module $libc (memory (export "memory") 100))
                (core instance $libc (instantiate $libc))
                (core func $get (canon lower (func $inner "get") (memory
                  (core memory $libc "memory"))))
                (core module $m (import "" "get" (func $get (param i32))) (func (export "run")
                  (call $get (i32.const 0))))
                (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
                (func (export "run") (canon lift (core func $i "run")))"#
            )
        };
        let config = || {
            Config::new()
                .wasm_component_model_fixed_length_lists(true)
                .clone()
        };
        run_and_stop(&mut config(), &component("")).unwrap();
        assert_interrupted(run_and_stop(&mut config(), &component("(call $stop)")));
    }
}

#[test]
fn checks_of_long_messages_end_before_they_are_done() {
    for encoding in ["utf8", "utf16"] {
        let component = |stop: &str| {
            format!(
                r#"(core module $libc (memory (export "memory") 20))
                (core instance $libc (instantiate $libc))
                (core func $new (canon error-context.new (memory
                  (core memory $libc "memory")) string-encoding={encoding}))
                (core module $m
                    (import "" "stop" (func $stop))
                    (import "" "new" (func $new (param i32 i32) (result i32)))
                    (func (export "run") {stop} (drop (call $new (i32.const 0)
                      (i32.const 600000)))))
                (core instance $i (instantiate $m
                    (with "" (instance (export "stop" (func $stop)) (export "new" (func $new))))))
                (func (export "run") (canon lift (core func $i "run")))"#
            )
        };
        let config = || {
            Config::new()
                .wasm_component_model_error_context(true)
                .clone()
        };
        run_and_stop(&mut config(), &component("")).unwrap();
        assert_interrupted(run_and_stop(&mut config(), &component("(call $stop)")));
    }
}

/// Objects that a collection moves: a long one, a chain of many, and many in an array.
const OBJECTS: &str = r#"
    (type $bytes (array (mut i8))) (type $all (array (mut anyref))) (type $cell (struct
      (field $next (ref null $cell))))
    (global $bytes (mut (ref null $bytes)) (ref.null $bytes))
    (global $all (mut (ref null $all)) (ref.null $all))
    (global $cells (mut (ref null $cell)) (ref.null $cell))
    (func $cells (param $n i32)
        (loop $next
            (global.set $cells (struct.new $cell (global.get $cells)))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"#;

#[test]
fn collections_end_before_they_are_done() {
    for make in [
        "(global.set $bytes (array.new $bytes (i32.const 1) (i32.const 1000000)))",
        "(global.set $all (array.new $all (ref.i31 (i32.const 1)) (i32.const 250000)))",
        "(call $cells (i32.const 3000))",
    ] {
        // Each allocation collects.
        let module = |stop: &str| {
            core(&format!(
                r#"{OBJECTS} (func (export "run") {make} {stop} (drop (struct.new_default $cell)))"#
            ))
        };
        run_and_stop(Config::new().gc_zeal(true), &module("")).unwrap();
        assert_interrupted(run_and_stop(
            Config::new().gc_zeal(true),
            &module("(call $stop)"),
        ));
    }
}

#[test]
fn later_calls_are_stopped_until_it_is_cleared() {
    let engine = engine();
    let component = component(&engine, ENDLESS);
    let (mut store, mut other) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let (first, second) = (
        instantiate(&mut store, &component).unwrap(),
        instantiate(&mut store, &component).unwrap(),
    );
    let handle = store.interrupt_handle().unwrap();
    handle.clone().interrupt();
    assert_interrupted(seven(&mut store, &first));
    // All instances of the store are stopped, also those made meanwhile.
    let third = instantiate(&mut store, &component).unwrap();
    assert_interrupted(seven(&mut store, &third));
    // Another store is not.
    let elsewhere = instantiate(&mut other, &component).unwrap();
    assert_eq!(seven(&mut other, &elsewhere).unwrap(), (7,));

    store.clear_interrupt();
    assert_eq!(seven(&mut store, &second).unwrap(), (7,));
    let error = seven(&mut store, &first).unwrap_err();
    assert_eq!(
        error.downcast_ref(),
        Some(&Trap::CannotEnterComponent),
        "{error:?}"
    );
    let fresh = instantiate(&mut store, &component).unwrap();
    assert_eq!(seven(&mut store, &fresh).unwrap(), (7,));

    // A handle may outlive its store.
    drop(store);
    handle.interrupt();
}

#[test]
fn deadline() {
    let engine = engine();
    let component = component(&engine, ENDLESS);
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&mut store, &component).unwrap();
    let start = Instant::now();
    store.set_deadline(Duration::from_millis(30)).unwrap();
    assert_interrupted(run(&mut store, &instance));
    assert!(
        start.elapsed() >= Duration::from_millis(30),
        "{:?}",
        start.elapsed()
    );

    // A deadline that has passed stays until it is cleared. The interruption by handles is another
    // matter.
    let instance = instantiate(&mut store, &component).unwrap();
    store.clear_interrupt();
    assert_interrupted(seven(&mut store, &instance));
    store.clear_deadline();
    let instance = instantiate(&mut store, &component).unwrap();
    assert_eq!(seven(&mut store, &instance).unwrap(), (7,));

    // A deadline that is cleared or replaced does not pass.
    store.set_deadline(Duration::from_millis(20)).unwrap();
    store.clear_deadline();
    store.set_deadline(Duration::from_millis(20)).unwrap();
    store.set_deadline(LONG).unwrap();
    thread::sleep(Duration::from_millis(60));
    assert_eq!(seven(&mut store, &instance).unwrap(), (7,));
    store.interrupt_handle().unwrap().interrupt();
    store.clear_deadline();
    assert_interrupted(seven(&mut store, &instance));
    store.clear_interrupt();

    // A time beyond what the clock can count is no deadline.
    store.set_deadline(Duration::MAX).unwrap();
    let instance = instantiate(&mut store, &component).unwrap();
    assert_eq!(seven(&mut store, &instance).unwrap(), (7,));
}

#[test]
fn deadlines_of_many_stores() {
    let engine = engine();
    let component = component(&engine, ENDLESS);
    thread::scope(|scope| {
        for i in 0..8 {
            let (engine, component) = (&engine, &component);
            scope.spawn(move || {
                let mut store = Store::new(engine, ());
                let instance = instantiate(&mut store, component).unwrap();
                store
                    .set_deadline(Duration::from_millis(10 + 5 * (i % 4)))
                    .unwrap();
                assert_interrupted(run(&mut store, &instance));
            });
        }
    });
}

#[test]
fn engine_that_is_not_interruptible() {
    let engine = Engine::default();
    let component = component(&engine, r#"(func (export "run"))"#);
    let mut store = Store::new(&engine, ());
    for error in [
        store.interrupt_handle().err().unwrap(),
        store.set_deadline(LONG).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "guests of this engine cannot be interrupted: make it with \
             `Config::interruptible(true)`"
        );
    }
    // Clearing what is not set is not an error.
    store.clear_interrupt();
    store.clear_deadline();
    let instance = instantiate(&mut store, &component).unwrap();
    assert_eq!(seven(&mut store, &instance).unwrap(), (7,));
}

#[test]
fn artifacts_of_the_other_setting() {
    let engines = [Engine::default(), engine()];
    for (from, to) in [(0, 1), (1, 0)] {
        let artifact = engines[from].precompile_component(b"(component)").unwrap();
        // SAFETY: the engine made the artifact just now.
        let error = unsafe { Component::deserialize(&engines[to], &artifact) }
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("`Config::interruptible`"),
            "{error:?}"
        );
        // SAFETY: as above.
        unsafe { Component::deserialize(&engines[from], &artifact) }.unwrap();
    }
}

/// After other traps the instance can be used through this door. A collection that is interrupted
/// leaves a heap that no one may use.
#[test]
fn interrupted_core_calls_end_the_instance() {
    let engine = Engine::new(Config::new().interruptible(true).core_exports(true)).unwrap();
    let fields = r#"(func (export "run") (loop (br 0))) (func (export "trap") unreachable)"#;
    let component = component(&engine, fields);
    let mut store = Store::new(&engine, ());
    let instance = instantiate(&mut store, &component).unwrap();
    let call = |store: &mut Store<()>, name| {
        mintage::core::call(store, &instance, 0, name, &[]).map(|values| values.len())
    };
    assert!(call(&mut store, "trap").is_err());
    assert_eq!(call(&mut store, "seven").unwrap(), 1);
    let handle = store.interrupt_handle().unwrap();
    handle.interrupt();
    assert_interrupted(call(&mut store, "run"));
    let error = call(&mut store, "seven").unwrap_err();
    let trap = error.downcast_ref();
    assert_eq!(trap, Some(&Trap::CannotEnterComponent), "{error:?}");
}

//! Backtraces of traps in calls between components: adapters have no frames of their own, whether
//! their code stands by itself or in place of the call.

use crate::common::message;
use mintage::{
    Component, Config, Engine, Inlining, Instance, Linker, Result, Store, StoreContextMut, Trap,
    WasmBacktrace,
};

/// `$caller` passes a character to `$callee`, directly (`run`) or through a table (`through`);
/// `$callee` traps when it gets a `u`.
const COMPONENT: &str = r#"(component
    (component $C
        (core module $M
            (func $callee (export "f") (param i32)
                (if (i32.eq (local.get 0) (i32.const 0x75)) (then (unreachable)))))
        (core instance $m (instantiate $M))
        (func (export "f") (param "c" char) (canon lift (core func $m "f"))))
    (instance $c (instantiate $C))
    (component $D
        (import "f" (func $f (param "c" char)))
        (core func $f (canon lower (func $f)))
        (core module $M
            (type $f (func (param i32)))
            (import "" "f" (func $f (type $f)))
            (table (export "table") 1 1 funcref)
            (elem (i32.const 0) func $f)
            (func $caller (export "run") (param i32) (call $f (local.get 0)))
            (func $caller-through (export "through") (param i32)
                (table.set (i32.const 0) (table.get (i32.const 0)))
                (call_indirect (type $f) (local.get 0) (i32.const 0))))
        (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
        (func (export "run") (param "c" u32) (canon lift (core func $m "run")))
        (func (export "through") (param "c" u32) (canon lift (core func $m "through"))))
    (instance $d (instantiate $D (with "f" (func $c "f"))))
    (export "run" (func $d "run"))
    (export "through" (func $d "through")))"#;

/// Returns the trap of a call, and the names and offsets of its frames, innermost first.
fn trap(function: &str, c: u32) -> Result<(Trap, Vec<(String, usize)>)> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let function = instance.get_typed_func::<(u32,), ()>(&mut store, function)?;
    function.call(&mut store, (u32::from('a'),))?;
    let error = function.call(&mut store, (c,)).expect_err("it traps");
    let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
    let frames = backtrace.frames().iter().map(|frame| {
        let name = frame.func_name().unwrap_or("no name").to_string();
        (name, frame.module_offset().expect("an offset"))
    });
    let trap = *error.downcast_ref::<Trap>().expect("a trap");
    Ok((trap, frames.collect()))
}

#[test]
fn adapters_have_no_frames() -> Result<()> {
    for (function, caller) in [("run", "caller"), ("through", "caller-through")] {
        let (trapped, in_callee) = trap(function, u32::from('u'))?;
        assert_eq!(trapped, Trap::UnreachableCodeReached);
        let names: Vec<_> = in_callee.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["callee", caller]);

        // The adapter's own trap is the caller's, at the instruction that calls.
        let (trapped, in_adapter) = trap(function, 0xd800)?;
        assert_eq!(trapped, Trap::InvalidChar);
        assert_eq!(in_adapter, in_callee[1..]);
    }
    Ok(())
}

/// Returns an engine whose backtraces have all functions.
fn without_inlining() -> Result<Engine> {
    Engine::new(Config::new().compiler_inlining(Inlining::No))
}

/// What happens in a function that is inlined is reported at the call.
#[test]
fn inlined_functions_have_no_frames() -> Result<()> {
    const TEXT: &str = r#"(component
        (core module $m
            (func $divide (param i32) (drop (i32.div_u (i32.const 1) (local.get 0))))
            (func $between (param i32) (call $divide (local.get 0)))
            (func (export "run") (param i32) (nop) (call $between (local.get 0))))
        (core instance $i (instantiate $m))
        (func (export "run") (param "x" u32) (canon lift (core func $i "run"))))"#;
    for (engine, frames, offset) in [
        (Engine::default(), vec!["run"], 4),
        (without_inlining()?, vec!["divide", "between", "run"], 5),
    ] {
        let component = Component::new(&engine, TEXT)?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
        let run = instance.get_typed_func::<(u32,), ()>(&mut store, "run")?;
        let error = run.call(&mut store, (0,)).expect_err("it traps");
        let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
        assert_eq!(names(backtrace), frames);
        // Of the call after `nop` and `local.get`, or of the division.
        assert_eq!(backtrace.frames()[0].func_offset(), Some(offset));
    }
    Ok(())
}

#[test]
fn frames_tell_where_they_are() -> Result<()> {
    let engine = without_inlining()?;
    let text = r#"(component
        (core module $guest
            (import "" "unused" (func $unused))
            (func $inner (param i32) (local i64)
                (drop (i32.const 1))
                (drop (i32.div_u (i32.const 1) (local.get 0))))
            (func (export "run") (param i32) (call $inner (local.get 0))))
        (core module $none (func (export "unused")))
        (core instance $none (instantiate $none))
        (core instance $i (instantiate $guest (with "" (instance $none))))
        (func (export "run") (param "x" u32) (canon lift (core func $i "run"))))"#;
    let binary = wat::parse_str(text).expect("the text is right");
    let component = Component::new(&engine, &binary)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(u32,), ()>(&mut store, "run")?;
    let error = run.call(&mut store, (0,)).expect_err("it traps");
    let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
    let [inner, outer] = backtrace.frames() else {
        panic!("there are two frames: {backtrace}")
    };
    // The index space of functions begins with the import.
    assert_eq!((inner.func_index(), outer.func_index()), (1, 2));
    assert_eq!(inner.module().name(), Some("guest"));
    assert_eq!(
        (inner.func_name(), outer.func_name()),
        (Some("inner"), Some("run"))
    );
    assert!(inner.symbols().is_empty());

    // The offsets name the bytes of the instructions.
    const DIVIDE: u8 = 0x6e;
    const CALL: u8 = 0x10;
    for (frame, instruction) in [(inner, DIVIDE), (outer, CALL)] {
        let offset = frame.module_offset().expect("an address map");
        assert_eq!(binary[offset], instruction);
        // The body begins with the declarations of its locals, after its length.
        let start = offset - frame.func_offset().expect("an address map");
        let locals: &[u8] = match instruction {
            CALL => &[0],
            _ => &[1, 1, 0x7e],
        };
        assert!(binary[start..].starts_with(locals), "{frame}");
    }
    assert_eq!(inner.func_offset(), Some(3 + 3 + 4));
    Ok(())
}

/// `run` calls the host function `host`, through a function named after the depth.
const CALLER: &str = r#"(component
    (import "host" (func $host (param "depth" u32)))
    (core func $host (canon lower (func $host)))
    (core module $guest
        (import "" "host" (func $host (param i32)))
        (func $outer (export "run") (param i32)
            (if (local.get 0) (then (call $deep (local.get 0))) (else (call $flat))))
        (func $flat (call $host (i32.const 0)))
        (func $deep (param i32) (call $host (local.get 0))))
    (core instance $i (instantiate $guest (with "" (instance (export "host" (func $host))))))
    (func (export "run") (param "depth" u32) (canon lift (core func $i "run"))))"#;

/// An instance to call, and the names of frames that a host function found.
#[derive(Default)]
struct Nested {
    inner: Option<(Store<Nested>, Instance)>,
    found: Vec<Vec<String>>,
}

fn names(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames = backtrace.frames().iter();
    frames
        .map(|frame| frame.func_name().unwrap_or("no name").to_string())
        .collect()
}

fn run(store: &mut Store<Nested>, instance: &Instance, depth: u32) -> Result<()> {
    let run = instance.get_typed_func::<(u32,), ()>(&mut *store, "run")?;
    run.call(store, (depth,))
}

/// Calls the instance in the store's data if there is one, and fails at depth 0 if there is none.
/// Notes the frames of the own store before, and afterwards.
fn nested(mut store: StoreContextMut<'_, Nested>, (depth,): (u32,)) -> Result<()> {
    let before = names(&WasmBacktrace::capture(&store));
    store.data_mut().found.push(before);
    let called = match store.data_mut().inner.take() {
        Some((mut other, instance)) => {
            let called = run(&mut other, &instance, 0);
            store.data_mut().inner = Some((other, instance));
            called
        }
        None if depth == 0 => mintage::bail!("the host fails"),
        None => Ok(()),
    };
    let after = names(&WasmBacktrace::force_capture(&store));
    store.data_mut().found.push(after);
    called
}

#[test]
fn errors_of_host_functions_tell_who_called_them() -> Result<()> {
    let engine = without_inlining()?;
    let component = Component::new(&engine, CALLER)?;
    let mut linker = Linker::new(&engine);
    linker.root().func_wrap("host", nested)?;

    let mut store = Store::new(&engine, Nested::default());
    let instance = linker.instantiate(&mut store, &component)?;
    run(&mut store, &instance, 1)?;
    let error = run(&mut store, &instance, 0).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
    assert_eq!(names(backtrace), ["flat", "outer"]);
    assert!(error.downcast_ref::<Trap>().is_none());
    let text = message(Err::<(), _>(error));
    assert!(
        text.starts_with("the host function `host` failed at wasm backtrace:"),
        "{text}"
    );
    assert!(text.ends_with(": the host fails"), "{text}");
    let frames = ["deep", "deep", "flat"].map(|inner| vec![inner.to_string(), "outer".into()]);
    assert_eq!(store.data().found, frames);
    assert!(WasmBacktrace::capture(&store).frames().is_empty());
    Ok(())
}

#[test]
fn backtraces_are_of_one_store_and_the_innermost_is_kept() -> Result<()> {
    let engine = without_inlining()?;
    let component = Component::new(&engine, CALLER)?;
    let mut linker = Linker::new(&engine);
    linker.root().func_wrap("host", nested)?;
    let mut inner = Store::new(&engine, Nested::default());
    let inner_instance = linker.instantiate(&mut inner, &component)?;
    let mut outer = Store::new(&engine, Nested::default());
    let instance = linker.instantiate(&mut outer, &component)?;
    outer.data_mut().inner = Some((inner, inner_instance));

    let error = run(&mut outer, &instance, 1).unwrap_err();
    // The backtrace of an error has the frames of all stores, from where it happened outwards.
    let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a backtrace");
    assert_eq!(names(backtrace), ["flat", "outer", "deep", "outer"]);
    assert_eq!(
        message(Err::<(), _>(error))
            .matches("wasm backtrace")
            .count(),
        1
    );
    let Nested { inner, found } = outer.into_data();
    let of = |inner: &str| vec![inner.to_string(), "outer".into()];
    assert_eq!(
        found,
        [of("deep"), of("deep")],
        "before and after the inner call"
    );
    let (inner, _) = inner.expect("the inner store");
    assert_eq!(inner.data().found, [of("flat")]);
    Ok(())
}

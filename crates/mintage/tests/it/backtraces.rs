//! Backtraces of traps in calls between components: adapters have no frames of their own, whether
//! their code stands by itself or in place of the call.

use mintage::{Component, Engine, Linker, Result, Store, Trap, WasmBacktrace};

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

#[test]
fn frames_tell_where_they_are() -> Result<()> {
    let engine = Engine::default();
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

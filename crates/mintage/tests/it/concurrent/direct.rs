//! Calls between components that need no stack of their own, since the callee cannot be suspended.

use mintage::{
    Component, Config, Engine, ErrorKind, Instance, LimitKind, Linker, Result, Store, StoreLimits,
    StoreLimitsBuilder, Trap, block_on,
};

/// A component whose function `run` calls a function of another one, by its number.
const GUEST: &str = r#"(component
    (component $callee
        (core func $return (canon task.return (result u32)))
        (core func $inc (canon backpressure.inc))
        (core module $m
            (import "" "return" (func $return (param i32)))
            (import "" "inc" (func $inc))
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (global $kept (mut i32) (i32.const 0))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.add (global.get $next) (local.get 3)))
                (i32.sub (global.get $next) (local.get 3)))
            (func (export "double") (param i32) (result i32)
                (i32.mul (local.get 0) (i32.const 2)))
            ;; the text twice
            (func (export "text") (param i32 i32) (result i32)
                (memory.copy (i32.add (local.get 0) (local.get 1)) (local.get 0) (local.get 1))
                (i32.store (i32.const 8) (local.get 0))
                (i32.store (i32.const 12) (i32.mul (local.get 1) (i32.const 2)))
                (i32.const 8))
            (func (export "returns") (param i32) (result i32)
                (call $return (i32.mul (local.get 0) (i32.const 3)))
                (i32.const 0))
            ;; returns after it has yielded twice
            (func (export "later") (param i32) (result i32)
                (global.set $kept (local.get 0))
                (i32.const 1))
            (func (export "callback") (param i32 i32 i32) (result i32)
                (global.set $kept (i32.mul (global.get $kept) (i32.const 5)))
                (if (result i32) (i32.rem_u (global.get $kept) (i32.const 25))
                    (then (i32.const 1))
                    (else (call $return (global.get $kept)) (i32.const 0))))
            (func (export "traps") (param i32) (result i32) unreachable)
            (func $deep (export "deep") (param i32) (result i32)
                (i32.add (call $deep (local.get 0)) (i32.const 1)))
            (func (export "closes") (param i32) (result i32)
                (call $inc)
                (local.get 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "return" (func $return))
            (export "inc" (func $inc))))))
        (func (export "double") async (param "a" u32) (result u32)
            (canon lift (core func $i "double")))
        (func (export "text") async (param "text" string) (result string)
            (canon lift (core func $i "text") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc"))))
        (func (export "returns") async (param "a" u32) (result u32)
            (canon lift (core func $i "returns") async (callback (core func $i "callback"))))
        (func (export "later") async (param "a" u32) (result u32)
            (canon lift (core func $i "later") async (callback (core func $i "callback"))))
        (func (export "traps") async (param "a" u32) (result u32)
            (canon lift (core func $i "traps")))
        (func (export "deep") async (param "a" u32) (result u32)
            (canon lift (core func $i "deep")))
        (func (export "closes") async (param "a" u32) (result u32)
            (canon lift (core func $i "closes"))))
    (instance $callee (instantiate $callee))
    (export "double" (func $callee "double"))
    (export "text" (func $callee "text"))
    (export "returns" (func $callee "returns"))
    (export "later" (func $callee "later"))
    (core module $memory
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 512)))
    (core instance $memory (instantiate $memory))
    (core func $double (canon lower (func $callee "double")))
    (core func $double' (canon lower (func $callee "double") async
        (memory (core memory $memory "memory"))))
    (core func $text (canon lower (func $callee "text") (memory (core memory $memory "memory"))
        (realloc (core func $memory "realloc"))))
    (core func $returns (canon lower (func $callee "returns")))
    (core func $returns' (canon lower (func $callee "returns") async
        (memory (core memory $memory "memory"))))
    (core func $later (canon lower (func $callee "later")))
    (core func $traps (canon lower (func $callee "traps")))
    (core func $deep (canon lower (func $callee "deep")))
    (core func $closes (canon lower (func $callee "closes")))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "double" (func $double (param i32) (result i32)))
        (import "" "double'" (func $double' (param i32 i32) (result i32)))
        (import "" "text" (func $text (param i32 i32 i32)))
        (import "" "returns" (func $returns (param i32) (result i32)))
        (import "" "returns'" (func $returns' (param i32 i32) (result i32)))
        (import "" "later" (func $later (param i32) (result i32)))
        (import "" "traps" (func $traps (param i32) (result i32)))
        (import "" "deep" (func $deep (param i32) (result i32)))
        (import "" "closes" (func $closes (param i32) (result i32)))
        (data (i32.const 64) "text")
        ;; 1000 times the state of an asynchronous call, and its result
        (func $state (param i32) (result i32)
            (i32.add (i32.mul (local.get 0) (i32.const 1000)) (i32.load (i32.const 16))))
        (func (export "run") (param $what i32) (param $a i32) (result i32)
            (block $closes (block $deep (block $traps (block $later (block $returns'
            (block $returns (block $text (block $double' (block $double
                (br_table $double $double' $text $returns $returns' $later $traps $deep $closes
                    (local.get $what)))
                (return (call $double (local.get $a))))
                (return (call $state (call $double' (local.get $a) (i32.const 16)))))
                (call $text (i32.const 64) (i32.const 4) (i32.const 16))
                ;; where the result is, how long, and its last two letters
                (return (i32.add
                    (i32.add (i32.mul (i32.load (i32.const 16)) (i32.const 10))
                        (i32.load (i32.const 20)))
                    (i32.mul (i32.load16_u (i32.const 518)) (i32.const 10000)))))
                (return (call $returns (local.get $a))))
                (return (call $state (call $returns' (local.get $a) (i32.const 16)))))
                (return (call $later (local.get $a))))
                (return (call $traps (local.get $a))))
                (return (call $deep (local.get $a))))
            ;; the first call closes the gate, so the second one waits
            (drop (call $closes (local.get $a)))
            (i32.and (call $double' (local.get $a) (i32.const 16)) (i32.const 15))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $memory "memory"))
        (export "double" (func $double))
        (export "double'" (func $double'))
        (export "text" (func $text))
        (export "returns" (func $returns))
        (export "returns'" (func $returns'))
        (export "later" (func $later))
        (export "traps" (func $traps))
        (export "deep" (func $deep))
        (export "closes" (func $closes))))))
    (func (export "run") async (param "what" u32) (param "a" u32) (result u32)
        (canon lift (core func $i "run"))))"#;

/// Makes an instance in a new store, in which guests may be suspended anywhere if `pauses` says so,
/// and where each instance may have `stacks`.
fn instance(pauses: bool, stacks: usize) -> Result<(Store<StoreLimits>, Instance)> {
    let engine = Engine::new(Config::new().epoch_interruption(true))?;
    let component = Component::new(&engine, GUEST)?;
    let limits = StoreLimitsBuilder::new().stacks(stacks).build();
    let mut store: Store<StoreLimits> = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    store.set_epoch_deadline(1_000_000);
    if pauses {
        store.epoch_deadline_async_yield_and_update(1);
    }
    let instance = block_on(Linker::new(&engine).instantiate_async(&mut store, &component))?;
    Ok((store, instance))
}

/// Calls `run` in a [new instance](instance).
fn run(what: u32, pauses: bool, stacks: usize) -> Result<u32> {
    let (mut store, instance) = instance(pauses, stacks)?;
    let run = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "run")?;
    let (result,) = block_on(run.call_async(&mut store, (what, 7)))?;
    Ok(result)
}

#[test]
fn results_are_those_of_calls_with_stacks() {
    let (start, returned) = (0, 2000);
    let text = u32::from(u16::from_le_bytes(*b"xt")) * 10_000 + 512 * 10 + 8;
    let expected = [14, returned + 14, text, 21, returned + 21, 7 * 25];
    for (what, expected) in expected.into_iter().enumerate() {
        for pauses in [false, true] {
            let result = run(what as u32, pauses, 2).unwrap();
            assert_eq!(result, expected, "function {what}, pauses: {pauses}");
        }
    }
    for pauses in [false, true] {
        assert_eq!(run(8, pauses, 2).unwrap(), start);
    }
}

#[test]
fn no_stack_is_used() {
    for what in 0..6 {
        run(what, false, 1).unwrap();
        let error = run(what, true, 1).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Limit(LimitKind::Stacks),
            "{error:?}"
        );
    }
}

#[test]
fn calls_of_the_host_use_no_stack() {
    let (mut store, instance) = instance(false, 0).unwrap();
    for (name, expected) in [("double", 14), ("returns", 21), ("later", 175)] {
        let func = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name);
        let func = func.unwrap();
        let called = block_on(func.call_async(&mut store, (7,)));
        assert_eq!(called.unwrap(), (expected,), "{name}");
        let run = store.run_concurrent(async |store| func.call_concurrent(store, (7,)).await);
        assert_eq!(block_on(run).unwrap().unwrap(), (expected,), "{name}");
    }
    let text = instance.get_typed_func::<(String,), (String,)>(&mut store, "text");
    let text = text.unwrap();
    let called = block_on(text.call_async(&mut store, ("ab".into(),)));
    assert_eq!(called.unwrap().0, "abab");
    let run = store.run_concurrent(async |store| text.call_concurrent(store, ("c".into(),)).await);
    assert_eq!(block_on(run).unwrap().unwrap().0, "cc");
}

#[test]
fn traps_end_the_caller() {
    for (what, trap) in [(6, Trap::UnreachableCodeReached), (7, Trap::StackOverflow)] {
        for pauses in [false, true] {
            let error = run(what, pauses, 2).unwrap_err();
            assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{error:?}");
        }
    }
}

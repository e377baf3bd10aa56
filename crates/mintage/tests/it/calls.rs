//! Failures of calls, each with its message: bad values from the guest, traps, re-entrance, host
//! errors and panics.

use crate::common::{self, OPTIONS, message};
use mintage::{
    AsContextMut, Component, Config, Engine, Func, Instance, Linker, Result, Store,
    StoreContextMut, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc, Val,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn instance(engine: &Engine, component: &Component) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, component)?;
    Ok((store, instance))
}

/// Invalid results of a guest: type, body of `f`, message.
const BAD_RESULTS: &[(&str, &str, &str)] = &[
    (
        "char",
        "(i32.const 0xd800)",
        "invalid `char` bit pattern 0xd800",
    ),
    (
        "(result)",
        "(i32.const 2)",
        "invalid variant discriminant 2: the type has 2 cases",
    ),
    (
        "string",
        "(i32.const 1)",
        "unaligned pointer: 0x1 is not a multiple of 4",
    ),
    (
        "string",
        "(i32.const 0x3fffc)",
        "pointer out of bounds of memory: 8 bytes at 0x3fffc, the memory has 0x40000",
    ),
    (
        "string",
        "(i32.const -4)",
        "pointer out of bounds of memory: 8 bytes at 0xfffffffc, the memory has 0x40000",
    ),
    (
        "string",
        "(call $pair (i32.const 0x3ffff) (i32.const 2))",
        "string pointer/length out of bounds of memory: 2 bytes at 0x3ffff, the memory has 0x40000",
    ),
    (
        "string",
        "(call $pair (i32.const 200) (i32.const 1))",
        "invalid utf-8 sequence of 1 bytes from index 0",
    ),
    (
        "(list u32)",
        "(call $pair (i32.const 2) (i32.const 1))",
        "unaligned pointer: 0x2 of a list is not a multiple of 4",
    ),
    (
        "(list u32)",
        "(call $pair (i32.const 0) (i32.const 0x10001))",
        "list pointer/length out of bounds of memory: 262148 bytes at 0x0, the memory has 0x40000",
    ),
    (
        "(option char)",
        "(call $pair (i32.const 2) (i32.const 0))",
        "invalid variant discriminant 2: the type has 2 cases",
    ),
    (
        "(option char)",
        "(call $pair (i32.const 1) (i32.const 0x110000))",
        "invalid `char` bit pattern 0x110000",
    ),
    (
        "u32",
        "unreachable",
        "error while executing at wasm backtrace",
    ),
];

#[test]
fn bad_results_are_errors_and_end_the_instance() -> Result<()> {
    let engine = Engine::default();
    for (ty, body, expected) in BAD_RESULTS {
        let fields = format!(
            r#"(func $pair (param i32 i32) (result i32)
                (i32.store (i32.const 64) (local.get 0)) (i32.store (i32.const 68) (local.get 1))
                  (i32.const 64))
            (func (export "f") (result i32) {body})
            (data (i32.const 200) "\ff")"#
        );
        let lifts = format!(
            r#"(func (export "f") (result {ty}) (canon lift (core func $i "f") {OPTIONS}))"#
        );
        let (mut store, instance) =
            instance(&engine, &common::component(&engine, &fields, &lifts)?)?;
        let func = instance
            .get_func(&mut store, "f")
            .expect("an exported function");
        let error = func
            .call(&mut store, &[], &mut [Val::Bool(false)])
            .expect_err("the result is bad");
        assert!(
            error.to_string().starts_with(expected),
            "{ty}, {body}: {error:#}"
        );
        assert!(
            error.downcast_ref::<Trap>().is_some(),
            "{ty}, {body}: {error:#}"
        );
        let error = func
            .call(&mut store, &[], &mut [Val::Bool(false)])
            .expect_err("the instance is done for");
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::CannotEnterComponent),
            "{ty}, {body}"
        );
    }
    Ok(())
}

/// Invalid arguments for a host function: type of the parameter, what the guest passes, message.
const BAD_ARGUMENTS: &[(&str, &str, &str, &str)] = &[
    (
        "char",
        "i32",
        "(i32.const 0xdfff)",
        "invalid `char` bit pattern 0xdfff",
    ),
    (
        "string",
        "i32 i32",
        "(i32.const 0x3ffff) (i32.const 2)",
        "string pointer/length out of bounds of memory: 2 bytes",
    ),
    (
        "(list u16)",
        "i32 i32",
        "(i32.const 1) (i32.const 0)",
        "unaligned pointer: 0x1 of a list is not a multiple of 2",
    ),
    (
        "(option u8)",
        "i32 i32",
        "(i32.const 9) (i32.const 0)",
        "invalid variant discriminant 9: the type has 2 cases",
    ),
    (
        SPILLED,
        "i32",
        "(i32.const 3)",
        "unaligned pointer: 0x3 is not a multiple of 8",
    ),
    (
        SPILLED,
        "i32",
        "(i32.const 0x3fff8)",
        "pointer out of bounds of memory: 136 bytes at 0x3fff8",
    ),
];

/// 17 flat values.
const SPILLED: &str = "(tuple u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64)";

/// A component whose `run` calls its import `host: func(x: ty)` with `args`, or `host: func() ->
/// ty` when `result`.
fn caller(
    engine: &Engine,
    signature: &str,
    core: &str,
    args: &str,
    memory: &str,
) -> Result<Component> {
    Component::new(
        engine,
        format!(
            r#"(component
                (import "host" (func $host {signature}))
                (core module $libc {memory})
                (core instance $libc (instantiate $libc))
                (core func $host (canon lower (func $host) (memory (core memory $libc "mem"))
                  (realloc (core func $libc "realloc"))))
                (core module $m (import "" "host" (func $host {core})) (func (export "run")
                  (call $host {args})))
                (core instance $i (instantiate $m (with "" (instance (export "host"
                  (func $host))))))
                (func (export "run") (canon lift (core func $i "run"))))"#
        ),
    )
}

const LIBC: &str = r#"(memory (export "mem") 4)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))"#;

fn run(engine: &Engine, component: &Component, results: &'static [Val]) -> Result<()> {
    let mut linker = Linker::new(engine);
    linker.root().func_new("host", move |_, _, _, slots| {
        slots.clone_from_slice(results);
        Ok(())
    })?;
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, component)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "run")?
        .call(&mut store, ())
}

#[test]
fn bad_arguments_to_host_functions_are_errors() -> Result<()> {
    let engine = Engine::default();
    for (ty, core, args, expected) in BAD_ARGUMENTS {
        let component = caller(
            &engine,
            &format!(r#"(param "x" {ty})"#),
            &format!("(param {core})"),
            args,
            LIBC,
        )?;
        let error = run(&engine, &component, &[]).expect_err("an argument is bad");
        assert!(
            format!("{error:#}").contains(expected),
            "{ty}, {args}: {error:#}"
        );
        assert!(
            error.downcast_ref::<Trap>().is_some(),
            "{ty}, {args}: {error:#}"
        );
    }
    Ok(())
}

#[test]
fn bad_room_for_results_is_an_error() -> Result<()> {
    let engine = Engine::default();
    let text = || std::slice::from_ref(Box::leak(Box::new(Val::String("four".into()))));
    let failing = |answer: &str| {
        format!(
            r#"(memory (export "mem") 4) (func (export "realloc") (param i32 i32 i32 i32)
              (result i32) {answer})"#
        )
    };
    for (args, libc, expected) in [
        (
            "(i32.const 2)",
            LIBC.to_string(),
            "unaligned pointer: 0x2 is not a multiple of 4",
        ),
        (
            "(i32.const 0x3fffc)",
            LIBC.to_string(),
            "pointer out of bounds of memory: 8 bytes at 0x3fffc",
        ),
        (
            "(i32.const 64)",
            failing("(i32.const -1)"),
            "realloc return: beyond end of memory: 4 bytes at 0xffffffff",
        ),
        (
            "(i32.const 64)",
            failing("(i32.const 0x3fffd)"),
            "realloc return: beyond end of memory: 4 bytes at 0x3fffd",
        ),
        (
            "(i32.const 64)",
            failing("unreachable"),
            "error while executing at wasm backtrace",
        ),
    ] {
        let component = caller(&engine, "(result string)", "(param i32)", args, &libc)?;
        let error = message(run(&engine, &component, text()));
        assert!(error.contains(expected), "{args}, {libc}: {error}");
    }
    let component = caller(
        &engine,
        "(result string)",
        "(param i32)",
        "(i32.const 64)",
        LIBC,
    )?;
    let error = message(run(&engine, &component, &[Val::U8(3)]));
    let expected = "in the result of the host function: type mismatch: expected `string`, found a \
                    value of kind `u8`";
    assert!(error.ends_with(expected), "{error}");
    run(&engine, &component, text())
}

#[test]
fn bad_reallocs_for_parameters_are_errors() -> Result<()> {
    let engine = Engine::default();
    for (answer, expected, alive) in [
        (
            "(i32.const -4)",
            "realloc return: beyond end of memory",
            false,
        ),
        (
            "(i32.const 2)",
            "realloc return: result not aligned: 0x2 is not a multiple of 4",
            false,
        ),
        (
            "unreachable",
            "error while executing at wasm backtrace",
            false,
        ),
        ("(i32.const 8)", "", true),
    ] {
        let text = format!(
            r#"(component
                (core module $m
                    (memory (export "mem") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {answer})
                    (func (export "f") (param i32 i32)))
                (core instance $i (instantiate $m))
                (func (export "f") (param "x" (list u32)) (canon lift
                  (core func $i "f") {OPTIONS})))"#
        );
        let (mut store, instance) = instance(&engine, &Component::new(&engine, text)?)?;
        let f = instance.get_typed_func::<(&[u32],), ()>(&mut store, "f")?;
        // An empty list asks for memory, too.
        let result = f.call(&mut store, (&[],));
        assert_eq!(result.is_ok(), alive, "{answer}");
        if let Err(error) = result {
            assert!(format!("{error:#}").starts_with(expected), "{error:?}");
            let error = f
                .call(&mut store, (&[1, 2],))
                .expect_err("the instance is done for");
            assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
        }
    }
    Ok(())
}

#[test]
fn wrong_parameters_leave_the_instance_alive() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("smoke.wat"))?;
    let (mut store, instance) = instance(&engine, &component)?;
    let add = instance
        .get_func(&mut store, "add")
        .expect("an exported function");
    let mut results = [Val::Bool(false)];
    for (params, expected) in [
        (&[Val::S32(1)][..], "expected 2 parameters, got 1"),
        (
            &[Val::S32(1), Val::U32(2)],
            "in parameter 2: type mismatch: expected `s32`, found a value of kind `u32`",
        ),
    ] {
        let error = add.call(&mut store, params, &mut results).unwrap_err();
        // Without its causes, too.
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(
        message(add.call(&mut store, &[Val::S32(1), Val::S32(1)], &mut [])),
        "expected room for 1 results, got room for 0"
    );
    add.call(&mut store, &[Val::S32(1), Val::S32(1)], &mut results)?;
    assert_eq!(results, [Val::S32(2)]);

    for (error, expected) in [
        (
            message(add.typed::<(i32, String), (i32,)>(&store)),
            "type mismatch in parameter 2 (`b`): the component has `s32`, the Rust type has \
             `string`",
        ),
        (
            message(add.typed::<(i32, i32), (Vec<u8>,)>(&store)),
            "type mismatch in the result: the component has `s32`, the Rust type has `list<u8>`",
        ),
        (
            message(add.typed::<(i32,), (i32,)>(&store)),
            "the component's function `func(a: s32, b: s32) -> s32` has 2 parameters, the Rust \
             type has 1",
        ),
        (
            message(add.typed::<(i32, i32), ()>(&store)),
            "the component's function `func(a: s32, b: s32) -> s32` has 1 results, the Rust type \
             has 0",
        ),
        (
            message(instance.get_typed_func::<(), ()>(&mut store, "nothing")),
            "the component exports no function `nothing`",
        ),
    ] {
        assert_eq!(error, expected);
    }
    let mut other = Store::new(&engine, ());
    let expected = "the function belongs to another `Store` than the one that was passed";
    assert_eq!(message(add.call(&mut other, &[], &mut [])), expected);
    Ok(())
}

/// A component whose exports call `host: func(x: u32) -> u32` in all ways: `run` plainly, `alloc`
/// from its `realloc`, `clean` from its `post-return`, `start` (optional) from its start function.
fn caller_of_host(engine: &Engine, start: &str) -> Result<Component> {
    Component::new(
        engine,
        format!(
            r#"(component
            (import "host" (func $host (param "x" u32) (result u32)))
            (core func $host (canon lower (func $host)))
            (core module $m
                (import "" "host" (func $host (param i32) (result i32)))
                (memory (export "mem") 1)
                (func $start (drop (call $host (i32.const 0)))) {start}
                (func (export "run") (param i32) (result i32) (i32.add (call $host (local.get 0))
                  (i32.const 1)))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $host
                  (i32.const 16)))
                (func (export "alloc") (param i32 i32))
                (func (export "clean") (result i32) (i32.const 3))
                (func (export "post") (param i32) (drop (call $host (local.get 0)))))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run")))
            (func (export "alloc") (param "x" string) (canon lift (core func $i "alloc") {OPTIONS}))
            (func (export "clean") (result u32) (canon lift (core func $i "clean") (post-return
              (core func $i "post")))))"#
        ),
    )
}

/// The type of `run`.
type Run = TypedFunc<(u32,), (u32,)>;

/// The data of the store: what the host function does.
#[derive(Default)]
struct Plan {
    reenter: Option<Run>,
    calls: u32,
}

fn host_linker(engine: &Engine) -> Result<Linker<Plan>> {
    let mut linker = Linker::new(engine);
    linker.root().func_wrap(
        "host",
        |mut store: StoreContextMut<'_, Plan>, (x,): (u32,)| {
            store.data_mut().calls += 1;
            if let Some(func) = store.data().reenter {
                return func.call(&mut store, (x,));
            }
            match x {
                13 => Err(std::io::Error::other("unlucky").into()),
                99 => panic!("the host's own panic"),
                _ => Ok((x * 10,)),
            }
        },
    )?;
    Ok(linker)
}

#[test]
fn host_errors_panics_and_flags() -> Result<()> {
    let engine = Engine::default();
    let component = caller_of_host(&engine, "")?;
    let pre = host_linker(&engine)?.instantiate_pre(&component)?;
    let mut store = Store::new(&engine, Plan::default());
    let make = |store: &mut Store<Plan>| -> Result<(Instance, Run)> {
        let instance = pre.instantiate(&mut *store)?;
        Ok((instance, instance.get_typed_func(store, "run")?))
    };
    let dead = |store: &mut Store<Plan>, run: Run| {
        let error = run.call(store, (1,)).expect_err("the instance is done for");
        assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    };

    let (_, run) = make(&mut store)?;
    assert_eq!(run.call(&mut store, (4,))?, (41,));
    let error = run
        .call(&mut store, (13,))
        .expect_err("the host function fails");
    assert_eq!(
        error
            .downcast_ref::<std::io::Error>()
            .map(ToString::to_string),
        Some("unlucky".into())
    );
    dead(&mut store, run);

    let (_, run) = make(&mut store)?;
    let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, (99,))))
        .expect_err("the host function panics");
    assert_eq!(panic.downcast_ref(), Some(&"the host's own panic"));
    dead(&mut store, run);

    // Calls out of `realloc` and `post-return`.
    let calls = store.data().calls;
    let (instance, run) = make(&mut store)?;
    let alloc = instance.get_typed_func::<(&str,), ()>(&mut store, "alloc")?;
    let error = alloc
        .call(&mut store, ("x",))
        .expect_err("`realloc` calls out");
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotLeaveComponent));
    dead(&mut store, run);
    let (instance, run) = make(&mut store)?;
    let clean = instance.get_typed_func::<(), (u32,)>(&mut store, "clean")?;
    let error = clean
        .call(&mut store, ())
        .expect_err("`post-return` calls out");
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotLeaveComponent));
    dead(&mut store, run);
    assert_eq!(store.data().calls, calls, "the host function never ran");

    // Re-entrance, directly and through another instance.
    let (_, outer) = make(&mut store)?;
    store.data_mut().reenter = Some(outer);
    let error = outer
        .call(&mut store, (1,))
        .expect_err("the instance is entered while it is active");
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    let (_, outer) = make(&mut store)?;
    let (_, inner) = make(&mut store)?;
    store.data_mut().reenter = Some(inner);
    let error = outer
        .call(&mut store, (1,))
        .expect_err("the inner instance's host function enters it again");
    assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
    Ok(())
}

#[test]
fn one_instance_calls_another_through_the_host() -> Result<()> {
    let engine = Engine::default();
    let component = caller_of_host(&engine, "")?;
    let leaf = Component::new(
        &engine,
        r#"(component
            (core module $m (func (export "run") (param i32) (result i32) (i32.mul (local.get 0)
              (i32.const 2))))
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#,
    )?;
    let mut store = Store::new(&engine, Plan::default());
    let linker = host_linker(&engine)?;
    let outer = linker
        .instantiate(&mut store, &component)?
        .get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    let inner = linker
        .instantiate(&mut store, &leaf)?
        .get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    store.data_mut().reenter = Some(inner);
    assert_eq!(outer.call(&mut store, (20,))?, (41,));
    assert_eq!(outer.call(&mut store, (21,))?, (43,));
    Ok(())
}

/// A host function makes instances in the store that its caller is in, so that the store's list
/// moves.
#[test]
fn host_functions_can_instantiate() -> Result<()> {
    let engine = Engine::default();
    let component = caller_of_host(&engine, "")?;
    let leaf = Component::new(&engine, include_str!("smoke.wat"))?;
    let pre = Linker::<()>::new(&engine).instantiate_pre(&leaf)?;
    let mut linker = Linker::new(&engine);
    linker.root().func_wrap(
        "host",
        move |mut store: StoreContextMut<'_, ()>, (x,): (u32,)| {
            let mut sum = 0;
            for n in 0..40 {
                let instance = pre.instantiate(&mut store)?;
                let add = instance.get_typed_func::<(i32, i32), (i32,)>(&mut store, "add")?;
                sum += add.call(&mut store, (n, x as i32))?.0;
            }
            Ok((sum as u32,))
        },
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (1,))?, (780 + 40 + 1,));
    assert_eq!(run.call(&mut store, (0,))?, (780 + 1,));
    Ok(())
}

#[test]
fn start_functions_call_the_host_and_can_trap() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, Plan::default());
    let linker = host_linker(&engine)?;
    linker.instantiate(&mut store, &caller_of_host(&engine, "(start $start)")?)?;
    assert_eq!(store.data().calls, 1);
    let component = caller_of_host(&engine, "(func $bad unreachable) (start $bad)")?;
    let error = linker
        .instantiate(&mut store, &component)
        .expect_err("the start function traps");
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    Ok(())
}

#[test]
fn limits_hold() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (core module $m (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow
              (local.get 0))))
            (core instance $i (instantiate $m))
            (func (export "grow") (param "pages" u32) (result s32) (canon lift
              (core func $i "grow"))))"#,
    )?;
    let pre = Linker::<StoreLimits>::new(&engine).instantiate_pre(&component)?;
    let make = |limits| {
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        store
    };
    let mut store = make(
        StoreLimitsBuilder::new()
            .memory_size(3 << 16)
            .instances(2)
            .build(),
    );
    let instance = pre.instantiate(&mut store)?;
    let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow")?;
    assert_eq!(grow.call(&mut store, (2,))?, (1,));
    assert_eq!(grow.call(&mut store, (1,))?, (-1,));
    pre.instantiate(&mut store)?;
    let error = message(pre.instantiate(&mut store));
    assert_eq!(
        error,
        "the store would hold 3 instances, more than the 2 that its limiter allows; raise \
         `StoreLimitsBuilder::instances`, or change what `Store::limiter` was given"
    );
    pre.instantiate(make(StoreLimitsBuilder::new().memory_size(100).build()))
        .expect_err("the memory starts larger");
    Ok(())
}

/// The limits of memories and tables hold for all instances of a store together.
#[test]
fn memories_and_tables_are_counted() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (core module $m (memory 1) (memory 1) (table 1 funcref) (table 1 funcref) (table 1 funcref))
        (core instance (instantiate $m)))"#;
    let pre =
        Linker::<StoreLimits>::new(&engine).instantiate_pre(&Component::new(&engine, text)?)?;
    let make = |limits| {
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        store
    };
    for (what, limits, sum, limit) in [
        ("memories", StoreLimitsBuilder::new().memories(4), 6, 4),
        ("tables", StoreLimitsBuilder::new().tables(8), 9, 8),
    ] {
        let mut store = make(limits.build());
        pre.instantiate(&mut store)?;
        pre.instantiate(&mut store)?;
        let expected = format!(
            "the store would hold {sum} {what}, more than the {limit} that its limiter allows; \
             raise `StoreLimitsBuilder::{what}`, or change what `Store::limiter` was given"
        );
        assert_eq!(message(pre.instantiate(&mut store)), expected);
    }
    Ok(())
}

/// The address space of an instance has a limit.
#[test]
fn address_space_is_limited() -> Result<()> {
    let text = format!(
        "(component (core module $m {}) (core instance (instantiate $m)))",
        "(memory 1) ".repeat(4)
    );
    for (gigabytes, fits) in [(25, true), (24, false)] {
        let engine = Engine::new(Config::new().max_instance_address_space(gigabytes << 30))?;
        let component = Component::new(&engine, &text)?;
        let result = Linker::new(&engine).instantiate(&mut Store::new(&engine, ()), &component);
        match fits {
            true => _ = result?,
            false => assert_eq!(
                message(result),
                "an instance of the component takes 25 GiB of address space for its 4 memories and \
                 0 tables, more than the 24 GiB that `Config::max_instance_address_space` allows; \
                 raise it, or reduce `Config::memory_reservation` (for 64-bit memories, \
                 `Config::memory64_reservation`)"
            ),
        }
    }
    Ok(())
}

/// The host memory for values that a guest passes has a limit.
#[test]
fn large_values_run_out_of_hostcall_fuel() -> Result<()> {
    let engine = Engine::default();
    let fields = r#"(func (export "f") (result i32)
        (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (i32.const 100000))
          (i32.const 64))"#;
    let lifts = format!(
        r#"(func (export "f") (result (list u8)) (canon lift (core func $i "f") {OPTIONS}))"#
    );
    let (mut store, instance) = instance(&engine, &common::component(&engine, fields, &lifts)?)?;
    let f = instance.get_typed_func::<(), (Vec<u8>,)>(&mut store, "f")?;
    assert_eq!(f.call(&mut store, ())?.0.len(), 100_000);
    store.set_hostcall_fuel(99_999);
    assert!(message(f.call(&mut store, ())).contains("Store::set_hostcall_fuel"));
    Ok(())
}

/// `Func` is small and is copied.
#[test]
fn functions_are_small_copies() {
    fn copy<T: Copy + Send + Sync>() {}
    copy::<Func>();
    copy::<TypedFunc<(String,), (Vec<u8>,)>>();
    assert_eq!(size_of::<Func>(), 16);
}

/// Contexts can be passed in place of their store.
#[test]
fn contexts_pass_on() -> Result<()> {
    fn call(mut store: impl AsContextMut, instance: &Instance) -> Result<i32> {
        let add = instance.get_typed_func::<(i32, i32), (i32,)>(&mut store, "add")?;
        Ok(add.call(&mut store.as_context_mut(), (1, 2))?.0)
    }
    let engine = Engine::default();
    let (mut store, instance) = instance(
        &engine,
        &Component::new(&engine, include_str!("smoke.wat"))?,
    )?;
    assert_eq!(call(&mut store, &instance)?, 3);
    assert_eq!(call(store.as_context_mut(), &instance)?, 3);
    Ok(())
}

/// The hidden API for core functions does not enter an instance that is on the stack.
#[test]
fn the_door_to_core_functions_does_not_enter_active_instances() -> Result<()> {
    let text = r#"(component
        (import "go" (func $go))
        (core func $go (canon lower (func $go)))
        (core module $m (import "" "go" (func $go)) (func (export "nop")) (func (export "run")
          (call $go)))
        (core instance $i (instantiate $m (with "" (instance (export "go" (func $go))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let engine = Engine::new(Config::new().core_exports(true))?;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<Option<Instance>>::new(&engine);
    linker.root().func_wrap(
        "go",
        |mut store: StoreContextMut<'_, Option<Instance>>, (): ()| {
            let instance = store.data().unwrap();
            let call = |store: &mut StoreContextMut<'_, _>| {
                mintage::core::call(store, &instance, 0, "nop", &[])
            };
            let error = call(&mut store).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
            std::thread::scope(|scope| {
                let error = scope
                    .spawn(|| call(&mut store).unwrap_err())
                    .join()
                    .unwrap();
                assert_eq!(error.downcast_ref(), Some(&Trap::CannotEnterComponent));
            });
            Ok(())
        },
    )?;
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &component)?;
    *store.data_mut() = Some(instance);
    instance
        .get_typed_func::<(), ()>(&mut store, "run")?
        .call(&mut store, ())?;
    mintage::core::call(&mut store, &instance, 0, "run", &[])?;
    mintage::core::call(&mut store, &instance, 0, "nop", &[])?;
    Ok(())
}

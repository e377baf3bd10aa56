//! Core modules that are compiled as components, and host functions that use their memory.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "one block is a list of one range"
)]

use crate::async_calls::{block_on, waits};
use crate::common::message;
use mintage::{
    Caller, CodeBuilder, Component, Config, Engine, ErrorKind, Instance, LinkError, Linker, Result,
    Store, Trap,
};

/// Passes numbers of each type to the host and back, under names that components cannot have.
const NUMBERS: &str = r#"(module
    (import "env" "Mix_1" (func $mix (param i32 i64 f32 f64) (result f64)))
    (import "" "" (func $empty (result i64)))
    (import "env" "tick" (func $tick))
    (import "env" "tick" (func $copy))
    (import "env" "tick#2" (func $other))
    (global $started (mut i32) (i32.const 0))
    (start $start)
    (func $start (call $tick) (global.set $started (i32.const 1)))
    (func (export "_start") (call $copy))
    (func (export "Mix!") (param i32 i64 f32 f64) (result f64)
        (call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "") (result i64) (call $empty))
    (func (export "started") (result i32) (global.get $started))
    (func (export "other") (call $other))
    (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))
    (func (export "vector") (param v128))
    (export "again" (func $tick))
    (memory (export "memory") 1))"#;

#[test]
fn names_and_numbers_are_those_of_the_module() -> Result<()> {
    let engine = Engine::default();
    let compiled = Component::from_module(&engine, NUMBERS)?;
    // SAFETY: the bytes are an artifact that no one has changed.
    let loaded =
        unsafe { Component::deserialize(&engine, engine.precompile_module(NUMBERS.as_bytes())?) };
    let built = CodeBuilder::new(&engine)
        .module_binary_or_text(NUMBERS.as_bytes(), None)?
        .compile_component()?;
    for component in [compiled, loaded?, built] {
        let mut linker = Linker::<u32>::new(&engine);
        linker
            .instance("")?
            .func_wrap("", |_, (): ()| Ok((-7i64,)))?;
        let mut env = linker.instance("env")?;
        env.func_wrap("Mix_1", |_, (a, b, c, d): (i32, i64, f32, f64)| {
            Ok((f64::from(a) + b as f64 + f64::from(c) + d,))
        })?;
        env.func_wrap(
            "tick",
            |mut store: mintage::StoreContextMut<'_, u32>, (): ()| {
                *store.data_mut() += 1;
                Ok(())
            },
        )?;
        env.func_wrap(
            "tick#2",
            |mut store: mintage::StoreContextMut<'_, u32>, (): ()| {
                *store.data_mut() += 100;
                Ok(())
            },
        )?;
        let mut store = Store::new(&engine, 0);
        let instance = linker.instantiate(&mut store, &component)?;
        assert_eq!(*store.data(), 1, "the start function calls the host");
        let mix = instance.get_typed_func::<(i32, i64, f32, f64), (f64,)>(&mut store, "Mix!")?;
        assert_eq!(
            mix.call(&mut store, (-1, 1 << 40, 0.5, 0.25))?,
            ((1u64 << 40) as f64 - 0.25,)
        );
        let empty = instance.get_typed_func::<(), (i64,)>(&mut store, "")?;
        assert_eq!(empty.call(&mut store, ())?, (-7,));
        let started = instance.get_typed_func::<(), (i32,)>(&mut store, "started")?;
        assert_eq!(started.call(&mut store, ())?, (1,));
        for name in ["_start", "again", "other"] {
            instance
                .get_typed_func::<(), ()>(&mut store, name)?
                .call(&mut store, ())?;
        }
        assert_eq!(*store.data(), 103);
        for hidden in ["two", "vector", "memory", "e0"] {
            assert!(instance.get_func(&mut store, hidden).is_none(), "{hidden}");
        }
        let ty = component.component_type();
        let imports: Vec<_> = ty
            .imports(&engine)
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(imports, ["env", ""]);
    }
    Ok(())
}

#[test]
fn missing_definitions_have_the_names_of_the_module() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(&engine, NUMBERS)?;
    let error = Linker::<()>::new(&engine).instantiate_pre(&component).err();
    let error = error.expect("nothing is defined");
    let link = error
        .downcast_ref::<LinkError>()
        .expect("it is a link error");
    let names: Vec<_> = link.imports().iter().map(|unmet| unmet.name()).collect();
    assert_eq!(names, ["env.Mix_1", "env.tick", "env.tick#2", "."]);
    let mut linker = Linker::<()>::new(&engine);
    linker
        .instance("env")?
        .func_wrap("tick", |_, (_,): (u32,)| Ok(()))?;
    let error = linker
        .instantiate_pre(&component)
        .err()
        .map(|error| format!("{error:#}"));
    assert!(
        error.is_some_and(|error| error.contains("env.tick")),
        "another type is an error"
    );
    Ok(())
}

#[test]
fn what_a_module_may_not_have() {
    let mut config = Config::new();
    config.wasm_multi_memory(true);
    let engine = Engine::new(&config).unwrap();
    let cases: &[(&str, ErrorKind, &[&str])] = &[
        (
            "(component)",
            ErrorKind::InvalidComponent,
            &["not a core module"],
        ),
        ("", ErrorKind::InvalidComponent, &["the input is empty"]),
        (
            "(module (func (result i32)))",
            ErrorKind::InvalidComponent,
            &["type mismatch"],
        ),
        (
            r#"(module
                (import "env" "memory" (memory 1))
                (import "env" "table" (table 1 funcref))
                (import "env" "global" (global i32))
                (import "env" "ok" (func))
                (import "env" "vector" (func (param v128)))
                (import "env" "results" (func (result i32 i32)))
                (import "env" "many" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32
                    i32 i32 i32 i32 i32)))
                (import "twice" "f" (func))
                (import "twice" "f" (func (param i32))))"#,
            ErrorKind::Unsupported,
            &[
                "`env.memory` (a memory)",
                "`env.table` (a table)",
                "`env.global` (a global)",
                "`env.vector` (a function with a value of type `v128`)",
                "`env.results` (a function with 2 results)",
                "`env.many` (a function with 17 parameters)",
                "`twice.f` (with two types)",
            ],
        ),
        (
            r#"(module (memory 1) (memory (export "memory") 1))"#,
            ErrorKind::Unsupported,
            &["exports memory 1 as `memory`"],
        ),
    ];
    for (text, kind, parts) in cases {
        let error = Component::from_module(&engine, text).unwrap_err();
        assert_eq!(error.kind(), *kind, "{text}: {error:?}");
        let error = format!("{error:#}");
        for part in *parts {
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(!error.contains("env.ok"), "{error}");
    }
    let error = Component::new(&engine, "(module)").unwrap_err();
    assert!(
        format!("{error:#}").contains("`Component::from_module`"),
        "{error:#}"
    );
    let mut builder = CodeBuilder::new(&engine);
    let error = builder
        .module_binary_or_text(b"(component)", Some("a.wat".as_ref()))
        .err();
    let error = format!("{:#}", error.expect("it is a component"));
    assert!(
        error.contains("a.wat") && error.contains("not a core module"),
        "{error}"
    );
}

/// The names of a module are in a section of the component, which anyone can change.
#[test]
fn names_that_do_not_fit_are_refused() -> Result<()> {
    let engine = Engine::default();
    let text = br#"(module (import "env" "f" (func $f)) (func (export "run") (call $f)))"#;
    let mut builder = CodeBuilder::new(&engine);
    let wrapped = builder
        .module_binary_or_text(text, None)?
        .input()?
        .into_owned();
    Component::new(&engine, &wrapped)?;
    let section = b"mintage.core-names";
    let start = wrapped
        .windows(section.len())
        .position(|bytes| bytes == section);
    let flag = start.expect("the section is there") + section.len();
    assert_eq!(wrapped[flag], 0, "the module has no memory");
    // A memory that does not exist; paths that name nothing; the same name twice.
    let changes: [(usize, &[u8]); 4] = [
        (flag, b"\x01"),
        (find(&wrapped, b"\x02e0"), b"\x02e1"),
        (find(&wrapped, b"\x05m0.f0"), b"\x05m0.f1"),
        (find(&wrapped, b"\x02m0"), b"\x02m1"),
    ];
    for (at, bytes) in changes {
        let mut changed = wrapped.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        let error = Component::new(&engine, &changed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidComponent);
        assert!(
            format!("{error:#}").contains("was changed since then"),
            "{error:#}"
        );
    }
    // A section that ends too early.
    let mut changed = wrapped.clone();
    changed[flag + 1] = 100;
    assert!(Component::new(&engine, &changed).is_err());
    Ok(())
}

/// Returns the first place of `part` in `bytes`.
fn find(bytes: &[u8], part: &[u8]) -> usize {
    let at = bytes.windows(part.len()).position(|bytes| bytes == part);
    at.expect("the part is there")
}

/// `touch(f, address, length)` calls the host function number `f`. `load` reads a byte and `grow`
/// grows the memory.
const MEMORY: &str = r#"(module
    (import "env" "fill" (func $fill (param i32 i32)))
    (import "env" "write" (func $write (param i32 i32)))
    (import "env" "sum" (func $sum (param i32 i32) (result i32)))
    (import "env" "any" (func $any (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "fill") (param i32 i32) (call $fill (local.get 0) (local.get 1)))
    (func (export "write") (param i32 i32) (call $write (local.get 0) (local.get 1)))
    (func (export "any") (param i32 i32) (call $any (local.get 0) (local.get 1)))
    (func (export "sum") (param i32 i32) (result i32) (call $sum (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

/// The linker for [`MEMORY`]. The data of a store is the byte that functions write, and counts the
/// calls.
fn linker(engine: &Engine) -> Result<Linker<u8>> {
    let mut linker = Linker::new(engine);
    let mut env = linker.instance("env")?;
    env.func_wrap_caller(
        "fill",
        |mut caller: Caller<'_, u8>, (at, len): (i32, i32)| {
            let (at, len) = (at as u32 as usize, len as u32 as usize);
            let ([block], byte) = caller.blocks_mut([at..at + len])?;
            let byte = *byte;
            // By another thread, whose page faults this one does not count.
            std::thread::scope(|scope| scope.spawn(|| block.fill(byte)).join().unwrap());
            Ok(())
        },
    )?;
    env.func_wrap_caller(
        "write",
        |mut caller: Caller<'_, u8>, (at, len): (i32, i32)| {
            let bytes = vec![*caller.data(); len as usize];
            caller.write(at as u32, &bytes)?;
            *caller.data_mut() += 1;
            Ok(())
        },
    )?;
    env.func_wrap_caller(
        "any",
        |mut caller: Caller<'_, u8>, (at, len): (i32, i32)| {
            let (memory, byte) = caller.memory_mut()?;
            let byte = *byte;
            let block = &mut memory[at as usize..][..len as usize];
            std::thread::scope(|scope| scope.spawn(|| block.fill(byte)).join().unwrap());
            Ok(())
        },
    )?;
    env.func_wrap_caller(
        "sum",
        |mut caller: Caller<'_, u8>, (at, len): (i32, i32)| {
            let size = caller.memory()?.len();
            let (memory, byte) = caller.memory_and_data()?;
            *byte = (size >> 16) as u8;
            let bytes = memory
                .get(at as usize..)
                .and_then(|memory| memory.get(..len as usize));
            Ok((bytes.map_or(-1, |bytes| bytes.iter().map(|&byte| i32::from(byte)).sum()),))
        },
    )?;
    Ok(linker)
}

/// An instance of [`MEMORY`].
struct Guest {
    store: Store<u8>,
    instance: Instance,
}

impl Guest {
    fn new(linker: &Linker<u8>, component: &Component, byte: u8) -> Result<Guest> {
        let mut store = Store::new(linker.engine(), byte);
        let instance = linker.instantiate(&mut store, component)?;
        Ok(Guest { store, instance })
    }

    fn call(&mut self, name: &str, at: u32, len: u32) -> Result<()> {
        let func = self
            .instance
            .get_typed_func::<(i32, i32), ()>(&mut self.store, name)?;
        func.call(&mut self.store, (at as i32, len as i32))
    }

    fn sum(&mut self, at: u32, len: u32) -> Result<i32> {
        let func = self
            .instance
            .get_typed_func::<(i32, i32), (i32,)>(&mut self.store, "sum")?;
        Ok(func.call(&mut self.store, (at as i32, len as i32))?.0)
    }
}

#[test]
fn host_functions_use_the_memory_of_their_caller() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(&engine, MEMORY)?;
    let linker = linker(&engine)?;
    let mut guest = Guest::new(&linker, &component, 3)?;
    guest.call("fill", 60_000, 10)?;
    guest.call("write", 60_010, 10)?;
    *guest.store.data_mut() = 5;
    guest.call("any", 60_020, 10)?;
    assert_eq!(guest.sum(60_000, 30)?, 110);
    assert_eq!(*guest.store.data(), 1, "one page");
    assert_eq!(guest.sum(65_536, 1)?, -1);
    let grow = guest
        .instance
        .get_typed_func::<(), (i32,)>(&mut guest.store, "grow")?;
    assert_eq!(grow.call(&mut guest.store, ())?, (1,));
    // The same functions see the memory after growth.
    guest.call("write", 130_536, 536)?;
    assert_eq!(guest.sum(131_000, 73)?, -1);
    assert_eq!(guest.sum(65_536, 65_536)?, 536);
    assert_eq!(*guest.store.data(), 2);
    Ok(())
}

#[test]
fn bad_addresses_are_traps() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(&engine, MEMORY)?;
    let linker = linker(&engine)?;
    for (name, at, len) in [
        ("write", 65_530, 7),
        ("write", u32::MAX, 1),
        ("fill", 65_536, 1),
        ("fill", u32::MAX, u32::MAX),
        ("fill", 0, u32::MAX),
    ] {
        let mut guest = Guest::new(&linker, &component, 1)?;
        let error = guest.call(name, at, len).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::PointerOutOfBounds),
            "{name}: {error:?}"
        );
        assert!(
            message(Err::<(), _>(error)).contains("0x10000"),
            "{name} {at} {len}"
        );
    }
    Ok(())
}

#[test]
fn blocks_may_not_overlap() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(
        &engine,
        r#"(module (import "env" "f" (func $f (param i32) (result i32))) (memory 1)
            (func (export "f") (param i32) (result i32) (call $f (local.get 0))))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker.instance("env")?.func_wrap_caller(
        "f",
        |mut caller: Caller<'_, ()>, (at,): (i32,)| {
            let at = at as usize;
            let ([a, b, none], ()) = caller.blocks_mut([0..8, at..at + 8, 0..0])?;
            a.fill(1);
            b.fill(2);
            assert!(none.is_empty());
            Ok((caller
                .memory()?
                .iter()
                .map(|&byte| i32::from(byte))
                .sum::<i32>(),))
        },
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let f = instance.get_typed_func::<(i32,), (i32,)>(&mut store, "f")?;
    assert_eq!(f.call(&mut store, (8,))?, (24,));
    let error = message(f.call(&mut store, (7,)));
    assert!(error.contains("two blocks of memory overlap"), "{error}");
    Ok(())
}

#[test]
fn callers_without_a_memory_for_the_host() -> Result<()> {
    let mut config = Config::new();
    config.wasm_memory64(true);
    let engine = Engine::new(&config)?;
    for memory in ["", "(memory i64 1)"] {
        let text = format!(
            r#"(module (import "env" "f" (func $f)) {memory} (func (export "f") (call $f)))"#
        );
        let component = Component::from_module(&engine, text)?;
        let mut linker = Linker::<()>::new(&engine);
        linker
            .instance("env")?
            .func_wrap_caller("f", |mut caller: Caller<'_, ()>, (): ()| {
                let errors = [
                    message(caller.memory().map(drop)),
                    message(caller.memory_and_data().map(drop)),
                    message(caller.memory_mut().map(drop)),
                    message(caller.blocks_mut([0..0]).map(drop)),
                ];
                for error in errors {
                    assert!(
                        error.contains("the caller has no memory for host functions"),
                        "{error}"
                    );
                }
                caller.write(0, b"")
            })?;
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        let f = instance.get_typed_func::<(), ()>(&mut store, "f")?;
        let error = message(f.call(&mut store, ()));
        assert!(
            error.contains("the caller has no memory for host functions"),
            "{error}"
        );
    }
    Ok(())
}

/// A component can name the memory in the canonical options of the import.
#[test]
fn host_functions_of_components_get_the_memory_of_the_options() -> Result<()> {
    let engine = Engine::default();
    for (options, found) in [(r#"(memory (core memory $libc "m"))"#, true), ("", false)] {
        let component = Component::new(
            &engine,
            format!(
                r#"(component
                    (import "f" (func $f (result bool)))
                    (core module $libc (memory (export "m") 3))
                    (core instance $libc (instantiate $libc))
                    (core func $f (canon lower (func $f) {options}))
                    (core module $m (import "" "f" (func $f (result i32))) (memory 1)
                        (func (export "f") (result i32) (call $f)))
                    (core instance $m (instantiate $m
                        (with "" (instance (export "f" (func $f))))))
                    (func (export "f") (result bool) (canon lift (core func $m "f"))))"#
            ),
        )?;
        let mut linker = Linker::<()>::new(&engine);
        linker
            .root()
            .func_wrap_caller("f", |caller: Caller<'_, ()>, (): ()| {
                Ok((caller.memory().is_ok_and(|memory| memory.len() == 3 << 16),))
            })?;
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        let f = instance.get_typed_func::<(), (bool,)>(&mut store, "f")?;
        assert_eq!(f.call(&mut store, ())?, (found,), "{options}");
    }
    Ok(())
}

#[test]
fn no_instance_sees_bytes_that_the_host_wrote_for_another() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(&engine, MEMORY)?;
    let linker = linker(&engine)?;
    for round in 0..60u32 {
        let mut guest = Guest::new(&linker, &component, 7)?;
        let grow = guest
            .instance
            .get_typed_func::<(), (i32,)>(&mut guest.store, "grow")?;
        grow.call(&mut guest.store, ())?;
        assert_eq!(guest.sum(0, 1 << 17)?, 0, "round {round}");
        *guest.store.data_mut() = 7;
        // In turns: what was known to be written before, and other pages.
        let at = (round / 3 % 4) * 20_000;
        match round % 5 {
            0 => guest.call("write", at, 9_000)?,
            1 => guest.call("fill", at, 9_000)?,
            2 => guest.call("any", at, 9_000)?,
            3 => guest.call("fill", 66_000, 60_000)?,
            _ => {
                guest.call("write", 70_000, 60_000)?;
                guest.call("fill", 0, 0)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_reactor_can_be_a_snapshot() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(&engine, MEMORY)?;
    let linker = linker(&engine)?;
    let mut guest = Guest::new(&linker, &component, 2)?;
    guest.call("write", 100, 50)?;
    let snapshot = guest.instance.snapshot(&mut guest.store)?;
    // SAFETY: the bytes are an artifact that no one has changed.
    let loaded = unsafe { Component::deserialize(&engine, snapshot.serialize()?) }?;
    for component in [snapshot, loaded] {
        for _ in 0..3 {
            let mut guest = Guest::new(&linker, &component, 1)?;
            assert_eq!(guest.sum(0, 1 << 16)?, 100);
            *guest.store.data_mut() = 9;
            guest.call("fill", 120, 5_000)?;
        }
    }
    Ok(())
}

#[test]
fn asynchronous_host_functions_use_memory_between_waits() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_module(
        &engine,
        r#"(module (import "env" "read" (func $read (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "run") (result i32)
                (call $read (i32.const 65532) (i32.const 4))
                (i32.add (i32.load (i32.const 65532)))))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker.instance("env")?.func_wrap_caller_async(
        "read",
        |mut caller: Caller<'_, u32>, (at, len): (i32, i32)| {
            Box::new(async move {
                let at = at as usize;
                let ([block], waited) = caller.blocks_mut([at..at + len as usize])?;
                for (byte, value) in block.iter_mut().zip([1, 2]) {
                    waits(2).await;
                    *byte = value;
                    *waited += 2;
                }
                waits(1).await;
                caller.write(65_534, &[3])?;
                let (memory, _) = caller.memory_and_data()?;
                Ok((i32::from(memory[at]),))
            })
        },
    )?;
    let mut store = Store::new(&engine, 0);
    let instance = block_on(linker.instantiate_async(&mut store, &component))?;
    let run = instance.get_typed_func::<(), (i32,)>(&mut store, "run")?;
    assert_eq!(block_on(run.call_async(&mut store, ()))?, (0x03_02_01 + 1,));
    assert_eq!(*store.data(), 4);
    Ok(())
}

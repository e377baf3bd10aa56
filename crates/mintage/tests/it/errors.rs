//! Errors: each kind, made through the public API, and conversions from and to other libraries.

use mintage::error::{Context, Result, bail, ensure, format_err};
use mintage::{
    ArtifactFault, CompileLimits, Component, Config, Engine, Error, ErrorKind, Instance, LimitKind,
    LinkError, Linker, PoolConfig, Store, StoreLimits, StoreLimitsBuilder, Trap, Val,
    WasmBacktrace,
};
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// An error of the host's own.
#[derive(Debug, PartialEq)]
struct OwnError(u32);

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "own error {}", self.0)
    }
}

impl StdError for OwnError {}

/// Returns the kind of the error.
fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("an error is expected"),
        Err(error) => error.kind(),
    }
}

fn limit<T>(result: Result<T>) -> LimitKind {
    match kind(result) {
        ErrorKind::Limit(limit) => limit,
        kind => panic!("{kind:?} is not a limit"),
    }
}

/// A component that exports `run: func()` of a core module with the given fields.
fn runs(fields: &str) -> String {
    format!(
        r#"(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

/// Makes an instance of `text` and calls `run`.
fn run(store: &mut Store<StoreLimits>, text: &str) -> Result<()> {
    let engine = store.engine().clone();
    let instance =
        Linker::new(&engine).instantiate(&mut *store, &Component::new(&engine, text)?)?;
    instance
        .get_typed_func::<(), ()>(&mut *store, "run")?
        .call(store, ())
}

fn limited(engine: &Engine, limits: StoreLimitsBuilder) -> Store<StoreLimits> {
    let mut store = Store::new(engine, limits.build());
    store.limiter(|limits| limits);
    store
}

#[test]
fn invalid_components() {
    let engine = Engine::default();
    let inputs: &[&[u8]] = &[
        b"",
        b"\x01\x02\x03",
        b"\0asm\x01\0\0\0",
        b"\0asm\x0d\0\x01\0\xff",
        b"\x7fELF",
        b"(component",
        br#"(component (core module (func (result i32))))"#,
        br#"(component (export "f" (func 3)))"#,
    ];
    for input in inputs {
        let kind = kind(Component::new(&engine, input));
        assert_eq!(
            kind,
            ErrorKind::InvalidComponent,
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn unsupported_features() {
    let engine = Engine::default();
    let unsupported: &[&str] = &[
        "(component (core module (memory 1 1 shared)))",
        "(component (core module (type $f (func)) (type (cont $f))))",
        "(component (core func (canon thread.available_parallelism)))",
        "(component (core func (canon thread.index)))",
        r#"(component (import "v" (value u32)) (export "w" (value 0)))"#,
        r#"(component (import "c" (component $c)) (instance (instantiate $c)))"#,
        r#"(component (core module (tag) (func try catch_all end)))"#,
    ];
    for text in unsupported {
        let error = Component::new(&engine, text).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{text}: {error:#}");
    }
    // The setting decides.
    let simd = "(component (core module (func (drop (v128.const i64x2 0 0)))))";
    Component::new(&engine, simd).unwrap();
    let engine = Engine::new(Config::new().wasm_simd(false).wasm_relaxed_simd(false)).unwrap();
    assert_eq!(kind(Component::new(&engine, simd)), ErrorKind::Unsupported);
    // Whether a feature is on does not make an invalid module unsupported.
    let wrong = "(component (core module (func (result v128))))";
    let engine = Engine::default();
    assert_eq!(
        kind(Component::new(&engine, wrong)),
        ErrorKind::InvalidComponent
    );
}

#[test]
fn link_errors_list_all_imports() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "a" (func (param "x" u32)))
            (import "b" (func (result string)))
            (import "ns:pkg/iface@1.2.0" (instance
                (export "c" (func))
                (export "d" (func (param "y" bool))))))"#,
    )?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("a", |_, (_,): (String,)| Ok(()))?;
    let mut instance = linker.instance("ns:pkg/iface@1.2.0")?;
    instance.func_wrap("c", |_, ()| Ok(()))?;
    instance.instance("d")?;

    let error = linker.instantiate_pre(&component).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    let imports = error.downcast_ref::<LinkError>().unwrap().imports();
    let found: Vec<_> = imports
        .iter()
        .map(|import| (import.name(), import.ty(), import.mismatch().is_some()))
        .collect();
    assert_eq!(
        found,
        [
            ("a", "func(x: u32)", true),
            ("b", "func() -> string", false),
            ("ns:pkg/iface@1.2.0.d", "func(y: bool)", true),
        ]
    );
    let message = error.to_string();
    for part in [
        "lacks 1 of the component's imports:\n  b: func() -> string",
        "defines 2 of the component's imports with another type:\n  a: type mismatch",
        "ns:pkg/iface@1.2.0.d: the component has `func(y: bool)`, and the linker defines an inst",
    ] {
        assert!(message.contains(part), "{message}");
    }
    Ok(())
}

#[test]
fn limits_of_compiling() -> Result<()> {
    let text = runs(r#"(memory 1) (func (export "run") (i32.store (i32.const 0) (i32.const 1)))"#);
    let compile = |limits: &CompileLimits| {
        Component::new(&Engine::new(Config::new().compile_limits(limits))?, &text)
    };
    let mut limits = CompileLimits::new();
    limits.time(Some(Duration::ZERO));
    assert_eq!(limit(compile(&limits)), LimitKind::CompileTime);
    let mut limits = CompileLimits::new();
    limits.code_size(10);
    assert_eq!(limit(compile(&limits)), LimitKind::ComponentSize);
    let mut limits = CompileLimits::new();
    limits.function_values(2);
    assert_eq!(limit(compile(&limits)), LimitKind::ComponentSize);
    Ok(())
}

#[test]
fn limits_of_the_engine() -> Result<()> {
    let mut pool = PoolConfig::new();
    let engine = Engine::new(Config::new().pool(pool.total_component_instances(1)))?;
    let component = Component::new(&engine, "(component (core module (memory 1)))")?;
    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    let mut store = Store::new(&engine, ());
    pre.instantiate(&mut store)?;
    assert_eq!(limit(pre.instantiate(&mut store)), LimitKind::PoolFull);
    drop(store);
    pre.instantiate(&mut Store::new(&engine, ()))?;

    let memory = runs(r#"(memory 1) (func (export "run"))"#);
    let engine = Engine::new(Config::new().max_instance_address_space(1 << 20))?;
    let mut store = limited(&engine, StoreLimitsBuilder::new());
    assert_eq!(limit(run(&mut store, &memory)), LimitKind::AddressSpace);
    let engine = Engine::new(Config::new().memory_reservation(1 << 16))?;
    let large = memory.replace("memory 1", "memory 2");
    assert_eq!(limit(Component::new(&engine, large)), LimitKind::Memory);
    Ok(())
}

#[test]
fn limits_of_a_store() -> Result<()> {
    let engine = Engine::default();
    let text = runs(
        r#"(memory 2) (table 3 funcref)
        (func (export "run")
            (drop (memory.grow (i32.const 1)))
            (drop (table.grow (ref.null func) (i32.const 2))))"#,
    );
    let limits = StoreLimitsBuilder::new;
    let starts = |limits| limit(run(&mut limited(&engine, limits), &text));
    assert_eq!(starts(limits().memory_size(1 << 16)), LimitKind::Memory);
    assert_eq!(starts(limits().table_elements(2)), LimitKind::Table);
    assert_eq!(starts(limits().instances(0)), LimitKind::Instances);
    assert_eq!(starts(limits().memories(0)), LimitKind::Memories);
    assert_eq!(starts(limits().tables(0)), LimitKind::Tables);
    // Growth fails in the guest, or ends the call.
    let grows = |limits: StoreLimitsBuilder| run(&mut limited(&engine, limits), &text);
    grows(limits().memory_size(2 << 16))?;
    let trap = || limits().trap_on_grow_failure(true);
    assert_eq!(limit(grows(trap().memory_size(2 << 16))), LimitKind::Memory);
    assert_eq!(limit(grows(trap().table_elements(3))), LimitKind::Table);
    Ok(())
}

/// A host resource that a guest takes handles of.
struct Thing;

#[test]
fn limits_that_stop_a_guest() -> Result<()> {
    let engine = Engine::new(Config::new().consume_fuel(true))?;
    let mut store = limited(&engine, StoreLimitsBuilder::new());
    store.set_fuel(100)?;
    let endless = runs(r#"(func (export "run") (loop (br 0)))"#);
    let error = run(&mut store, &endless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Fuel));
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));

    let engine = Engine::default();
    let mut store = limited(&engine, StoreLimitsBuilder::new());
    let deep = runs(r#"(func $run (export "run") (call $run))"#);
    assert_eq!(limit(run(&mut store, &deep)), LimitKind::Stack);

    let objects = runs(
        r#"(type $list (struct (field (ref null $list)) (field i64 i64 i64 i64)))
        (func (export "run") (local $list (ref null $list))
            (loop
                (local.set $list (struct.new $list (local.get $list)
                    (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
                (br 0)))"#,
    );
    let limits = StoreLimitsBuilder::new().memory_size(1 << 20);
    let error = run(&mut limited(&engine, limits), &objects).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Memory));

    let handles = Component::new(
        &engine,
        r#"(component
            (import "thing" (type $thing (sub resource)))
            (import "make" (func $make (result (own $thing))))
            (core func $make (canon lower (func $make)))
            (core module $m
                (import "" "make" (func $make (result i32)))
                (func (export "run") (loop (drop (call $make)) (br 0))))
            (core instance $i (instantiate $m
                (with "" (instance (export "make" (func $make))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )?;
    let mut linker = Linker::new(&engine);
    let ty = mintage::ResourceType::host::<Thing>();
    linker.root().resource("thing", ty, |_, _| Ok(()))?;
    linker.root().func_wrap("make", |_, ()| {
        Ok((mintage::Resource::<Thing>::new_own(1),))
    })?;
    let mut store = limited(&engine, StoreLimitsBuilder::new().handles(10));
    let run = linker
        .instantiate(&mut store, &handles)?
        .get_typed_func::<(), ()>(&mut store, "run")?;
    assert_eq!(limit(run.call(&mut store, ())), LimitKind::Handles);
    Ok(())
}

#[test]
fn limits_of_values_and_snapshots() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (core module $m
                (memory (export "mem") 1100)
                (func (export "text") (result i32)
                    (i32.store (i32.const 4) (i32.const 1000))
                    (i32.const 0))
                (func (export "fill")
                    (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x44c0000))))
            (core instance $i (instantiate $m))
            (func (export "text") (result string)
                (canon lift (core func $i "text") (memory (core memory $i "mem"))))
            (func (export "fill") (canon lift (core func $i "fill"))))"#,
    )?;
    let mut store = Store::new(&engine, ());
    store.set_hostcall_fuel(999);
    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    let instance = pre.instantiate(&mut store)?;
    let text = instance.get_typed_func::<(), (String,)>(&mut store, "text")?;
    assert_eq!(limit(text.call(&mut store, ())), LimitKind::HostcallFuel);

    let instance = pre.instantiate(&mut store)?;
    let fill = instance.get_typed_func::<(), ()>(&mut store, "fill")?;
    fill.call(&mut store, ())?;
    let snapshot = instance.snapshot(&mut store);
    assert_eq!(limit(snapshot), LimitKind::SnapshotSize);
    Ok(())
}

#[test]
fn artifacts() -> Result<()> {
    let engine = Engine::default();
    let artifact = engine.precompile_component(b"(component)")?;
    // SAFETY: the bytes come from the compiler, or are refused before anything of them is run.
    let load = |engine: &Engine, bytes: &[u8]| unsafe { Component::deserialize(engine, bytes) };
    load(&engine, &artifact)?;
    let fault = |engine: &Engine, bytes: &[u8]| match kind(load(engine, bytes)) {
        ErrorKind::Artifact(fault) => fault,
        kind => panic!("{kind:?} is not about an artifact"),
    };
    let changed = |from: &[u8], to: &[u8]| {
        let mut bytes = artifact.clone();
        let at = bytes.windows(from.len()).position(|part| part == from);
        bytes[at.expect("the artifact has the bytes")..][..to.len()].copy_from_slice(to);
        bytes
    };

    for other in [&b""[..], b"text", b"\0asm", b"(component)", b"\x7fELF"] {
        let fault = fault(&engine, other);
        // A file that starts as an artifact may be the start of one.
        let expected = match other {
            b"\x7fELF" => ArtifactFault::Damaged,
            _ => ArtifactFault::NotAnArtifact,
        };
        assert_eq!(fault, expected, "{}", other.escape_ascii());
    }
    assert_eq!(
        fault(&engine, &artifact[..artifact.len() - 1]),
        ArtifactFault::Damaged
    );
    let mut flipped = artifact.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(fault(&engine, &flipped), ArtifactFault::Damaged);

    let mut version = b"MINTAGE\n".to_vec();
    version.extend(u32::MAX.to_le_bytes());
    let version = changed(b"MINTAGE\n", &version);
    assert_eq!(fault(&engine, &version), ArtifactFault::Version);
    let mut target = changed(b"-unknown-linux-", b"-unknown-other-");
    // Otherwise the change is found as damage.
    mintage_artifact::forge::reseal(&mut target);
    assert_eq!(fault(&engine, &target), ArtifactFault::Target);
    let engine = Engine::new(Config::new().consume_fuel(true))?;
    assert_eq!(fault(&engine, &artifact), ArtifactFault::Settings);

    // The file system's errors are not the artifact's.
    // SAFETY: there is no such file.
    let missing = unsafe { Component::deserialize_file(&engine, "no/such/file") };
    let error = missing.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let cause = error.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    Ok(())
}

#[test]
fn traps() {
    let mut store = limited(&Engine::default(), StoreLimitsBuilder::new());
    let text = runs(r#"(func (export "run") unreachable)"#);
    let error = run(&mut store, &text).unwrap_err();
    let trap = Trap::UnreachableCodeReached;
    assert_eq!(error.kind(), ErrorKind::Trap(trap));
    // Context changes neither the kind nor what is found under it.
    let error = error.context("in the test");
    assert_eq!(error.kind(), ErrorKind::Trap(trap));
    assert_eq!(error.downcast_ref(), Some(&trap));
    assert_eq!(error.downcast_ref(), Some(&"in the test"));
    assert_eq!(
        error
            .downcast_ref::<WasmBacktrace>()
            .unwrap()
            .frames()
            .len(),
        1
    );
    assert_eq!(error.chain().count(), 3);
    assert_eq!(error.root_cause().to_string(), trap.to_string());
    assert_eq!(error.downcast::<Trap>().unwrap(), trap);
}

#[test]
fn cancelled_guests() -> Result<()> {
    let engine = Engine::new(Config::new().interruptible(true))?;
    let endless = runs(r#"(func (export "run") (loop (br 0)))"#);
    let mut store = limited(&engine, StoreLimitsBuilder::new());
    store.set_deadline(Duration::from_millis(1))?;
    let error = run(&mut store, &endless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
    store.clear_deadline();
    store.interrupt_handle()?.interrupt();
    assert_eq!(kind(run(&mut store, &endless)), ErrorKind::Cancelled);
    Ok(())
}

#[test]
fn other_errors() -> Result<()> {
    let (engine, other) = (Engine::default(), Engine::default());
    let component = Component::new(&engine, "(component)")?;
    let linker = Linker::<()>::new(&other);
    assert_eq!(kind(linker.instantiate_pre(&component)), ErrorKind::Other);
    assert_eq!(Error::msg("a message").kind(), ErrorKind::Other);
    assert_eq!(Error::new(OwnError(1)).kind(), ErrorKind::Other);
    Ok(())
}

/// An instance that exports `run: func()`, which calls the import of that name.
fn caller<F>(store: &mut Store<()>, host: F) -> Result<Instance>
where
    F: Fn() -> Result<()> + Send + Sync + 'static,
{
    let engine = store.engine().clone();
    let component = Component::new(
        &engine,
        r#"(component
            (import "ns:pkg/iface" (instance $iface (export "run" (func))))
            (core func $run (canon lower (func $iface "run")))
            (core module $m
                (import "" "run" (func $run))
                (func (export "run") (call $run)))
            (core instance $i (instantiate $m (with "" (instance (export "run" (func $run))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker
        .instance("ns:pkg/iface")?
        .func_wrap("run", move |_, ()| host())?;
    linker.instantiate(store, &component)
}

/// The error of a guest's call of a host function that returns the error of `host`.
fn host_error<F>(host: F) -> Error
where
    F: Fn() -> Result<()> + Send + Sync + 'static,
{
    let mut store = Store::new(&Engine::default(), ());
    let instance = caller(&mut store, host).unwrap();
    let run = instance.get_func(&mut store, "run").unwrap();
    run.call(&mut store, &[], &mut []).unwrap_err()
}

#[test]
fn errors_of_host_functions_come_back() {
    let error = host_error(|| Err(OwnError(5).into()));
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(5)));
    let start = "the host function `ns:pkg/iface.run` failed at wasm backtrace:\n";
    assert!(error.to_string().starts_with(start), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "own error 5");
    assert_eq!(error.downcast::<OwnError>().unwrap(), OwnError(5));

    // With context, from `anyhow`, and from what is not an error type.
    let error = host_error(|| Err(OwnError(6)).context("no luck"));
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(6)));
    assert_eq!(error.downcast_ref(), Some(&"no luck"));
    let error = host_error(|| Ok(anyhow::Context::context(Err(OwnError(7)), "no luck")?));
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(7)));
    assert_eq!(host_error(|| bail!("a text")).kind(), ErrorKind::Host);
}

#[test]
fn errors_that_host_functions_pass_on_keep_their_kind() {
    let trap = Trap::UnreachableCodeReached;
    let error = host_error(move || Err(trap.into()));
    assert_eq!(error.kind(), ErrorKind::Trap(trap));
    let error = host_error(|| {
        Component::new(&Engine::default(), "(component")?;
        Ok(())
    });
    assert_eq!(error.kind(), ErrorKind::InvalidComponent);
    // The error of an inner host function.
    let error = host_error(|| Err(host_error(|| Err(OwnError(8).into()))));
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(8)));
}

#[test]
fn errors_of_destructors_and_limiters_are_the_hosts() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "thing" (type $thing (sub resource)))
            (core func $drop (canon resource.drop $thing))
            (core module $m
                (import "" "drop" (func $drop (param i32)))
                (func (export "run") (param i32) (call $drop (local.get 0))))
            (core instance $i (instantiate $m
                (with "" (instance (export "drop" (func $drop))))))
            (func (export "run") (param "x" (own $thing)) (canon lift (core func $i "run"))))"#,
    )?;
    let mut linker = Linker::<()>::new(&engine);
    let ty = mintage::ResourceType::host::<Thing>();
    linker
        .root()
        .resource("thing", ty, |_, rep| Err(OwnError(rep).into()))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_func(&mut store, "run").unwrap();
    let thing = mintage::Resource::<Thing>::new_own(3).try_into_resource_any(&mut store)?;
    let error = run
        .call(&mut store, &[Val::Resource(thing)], &mut [])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(3)));

    struct Refuses;
    impl mintage::ResourceLimiter for Refuses {
        fn memory_growing(&mut self, current: usize, _: usize, _: Option<usize>) -> Result<bool> {
            ensure!(current == 0, OwnError(4));
            Ok(true)
        }
        fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            Ok(true)
        }
    }
    let grows = runs(r#"(memory 1) (func (export "run") (drop (memory.grow (i32.const 1))))"#);
    let mut store = Store::new(&engine, Refuses);
    store.limiter(|limiter| limiter);
    let instance =
        Linker::new(&engine).instantiate(&mut store, &Component::new(&engine, grows)?)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    let error = run.call(&mut store, ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Host);
    assert_eq!(error.downcast_ref(), Some(&OwnError(4)));
    Ok(())
}

fn io() -> std::io::Result<()> {
    Err(std::io::ErrorKind::NotFound.into())
}

fn own() -> std::result::Result<(), OwnError> {
    Err(OwnError(1))
}

fn with_anyhow() -> anyhow::Result<()> {
    anyhow::bail!(OwnError(2))
}

fn with_mintage() -> Result<()> {
    Err(Error::from(Trap::CastFailure).context("a cast"))
}

/// Compiles only if `?` converts from and to all of these.
#[test]
fn the_operator_converts_in_all_directions() {
    fn into_mintage(which: u32) -> Result<()> {
        match which {
            0 => io()?,
            1 => own()?,
            2 => with_anyhow()?,
            3 => with_mintage()?,
            4 => _ = "x".parse::<u32>()?,
            _ => return Err(Error::from_boxed("text".into())),
        }
        Ok(())
    }
    fn into_anyhow(which: u32) -> anyhow::Result<()> {
        Ok(into_mintage(which)?)
    }
    fn into_box(which: u32) -> std::result::Result<(), Box<dyn StdError>> {
        Ok(into_mintage(which)?)
    }
    fn into_send_box(which: u32) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(into_mintage(which)?)
    }
    fn and_back(which: u32) -> Result<()> {
        Ok(into_anyhow(which)?)
    }
    for which in 0..6 {
        let message = into_mintage(which).unwrap_err().to_string();
        assert_eq!(into_anyhow(which).unwrap_err().to_string(), message);
        assert_eq!(into_box(which).unwrap_err().to_string(), message);
        assert_eq!(into_send_box(which).unwrap_err().to_string(), message);
        assert_eq!(and_back(which).unwrap_err().to_string(), message);
    }
    // Types and kinds are not lost on the way.
    assert!(into_mintage(0).unwrap_err().is::<std::io::Error>());
    assert_eq!(
        into_mintage(2).unwrap_err().downcast_ref(),
        Some(&OwnError(2))
    );
    let error = into_anyhow(3).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::CastFailure));
    assert_eq!(error.downcast_ref(), Some(&"a cast"));
    let error = and_back(3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap(Trap::CastFailure));
    let host = anyhow::Error::from(host_error(|| Err(OwnError(9).into())));
    assert_eq!(host.downcast_ref(), Some(&OwnError(9)));
    assert_eq!(Error::from(host).kind(), ErrorKind::Host);
}

#[test]
fn context_is_for_all_results() {
    let errors = [
        io().context("outer").unwrap_err(),
        own().with_context(|| "outer").unwrap_err(),
        with_anyhow().context("outer").unwrap_err(),
        with_mintage().context("outer").unwrap_err(),
        None::<u32>.context("outer").unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "outer");
        assert_eq!(error.downcast_ref(), Some(&"outer"));
    }
}

#[test]
fn errors_are_formatted_with_their_causes() {
    let error = format_err!("a{}", 1).context("b").context("c");
    assert_eq!(error.to_string(), "c");
    assert_eq!(format!("{error:#}"), "c: b: a1");
    assert!(format!("{error:?}").starts_with("c\n\nCaused by:\n    0: b\n    1: a1"));
    assert_eq!(error.source().unwrap().to_string(), "b");
    let checked = |x: u32| -> Result<()> {
        ensure!(x > 1);
        Ok(())
    };
    let error = checked(1).unwrap_err();
    assert_eq!(error.to_string(), "condition failed: `x > 1`");
}

#[test]
fn errors_take_one_word_and_cross_threads() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    let thread = std::thread::spawn(|| Error::new(OwnError(1)));
    assert!(thread.join().unwrap().is::<OwnError>());
}

//! Exceptions and the host: uncaught exceptions, and host functions in between.

use mintage::{
    Component, Config, Engine, Instance, Linker, OptLevel, Result, Store, StoreContextMut,
    StoreLimits, StoreLimitsBuilder, Trap, TypedFunc,
};

/// A component whose `outer` catches everything and calls the host, which calls `inner`, which
/// throws.
const NESTED: &str = r#"(component
    (import "host" (func $host (param "n" u32) (result u32)))
    (core func $host (canon lower (func $host)))
    (core module $M
        (import "" "host" (func $host (param i32) (result i32)))
        (tag $bad (param i32))
        (tag $other (export "exported"))
        (tag)
        (func (export "outer") (param i32) (result i32)
            (block $h (result i32 exnref)
                (try_table (catch_ref $bad $h) (return (call $host (local.get 0))))
                (unreachable))
            (drop) (drop) (i32.const 1000))
        (func $inner (export "inner") (param i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $bad (i32.const 5))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $other)))
            (if (i32.eq (local.get 0) (i32.const 3)) (then (throw 2)))
            (local.get 0))
        (func (export "caught") (param i32) (result i32)
            (block $h (try_table (catch_all $h) (return (call $inner (local.get 0)))))
            (i32.const -1)))
    (core instance $m (instantiate $M (with "" (instance (export "host" (func $host))))))
    (func (export "outer") (param "n" u32) (result u32) (canon lift (core func $m "outer")))
    (func (export "inner") (param "n" u32) (result u32) (canon lift (core func $m "inner")))
    (func (export "caught") (param "n" u32) (result u32) (canon lift (core func $m "caught"))))"#;

type Call = TypedFunc<(u32,), (u32,)>;

fn engines() -> Vec<Engine> {
    let engine = |level| Engine::new(Config::new().opt_level(level)).unwrap();
    vec![engine(OptLevel::Speed), engine(OptLevel::None)]
}

/// What the host function of a [`NESTED`] instance does: calls `inner` of another instance of it.
#[derive(Default)]
struct Host {
    other: Option<Instance>,
    seen: Option<String>,
    limits: StoreLimits,
}

fn host(mut store: StoreContextMut<'_, Host>, (n,): (u32,)) -> Result<(u32,)> {
    let Some(other) = store.data().other else {
        return Ok((n + 1,));
    };
    let inner: Call = other.get_typed_func(&mut store, "inner")?;
    match inner.call(&mut store, (n,)) {
        Ok((n,)) => Ok((n + 100,)),
        Err(error) => {
            store.data_mut().seen = Some(format!("{error:#}"));
            Err(error)
        }
    }
}

fn nested(engine: &Engine) -> Result<(Store<Host>, Linker<Host>, Component)> {
    let component = Component::new(engine, NESTED)?;
    let mut linker = Linker::new(engine);
    linker.root().func_wrap("host", host)?;
    let store = Store::new(engine, Host::default());
    Ok((store, linker, component))
}

#[test]
fn an_uncaught_exception_is_a_trap_that_names_its_tag() {
    for engine in engines() {
        for (n, tag) in [(1, "`bad`"), (2, "`other`"), (3, "2")] {
            let (mut store, linker, component) = nested(&engine).unwrap();
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let inner: Call = instance.get_typed_func(&mut store, "inner").unwrap();
            let error = inner.call(&mut store, (n,)).unwrap_err();
            assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UncaughtException));
            let text = format!("{error:?}");
            assert!(
                text.contains(&format!("an exception of tag {tag} ")),
                "{text}"
            );
            assert!(
                text.contains("inner"),
                "the backtrace names the function: {text}"
            );
        }
    }
}

#[test]
fn a_caught_exception_leaves_the_instance_usable() {
    for engine in engines() {
        let (mut store, linker, component) = nested(&engine).unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let caught: Call = instance.get_typed_func(&mut store, "caught").unwrap();
        for n in 1..4 {
            assert_eq!(caught.call(&mut store, (n,)).unwrap(), (u32::MAX,));
        }
        assert_eq!(caught.call(&mut store, (4,)).unwrap(), (4,));
    }
}

/// The guest calls the host, the host the guest: the exception of the inner call is the host's
/// error, and what the host returns then ends the outer call, whose `catch` is for exceptions only.
#[test]
fn exceptions_do_not_cross_the_host() {
    for engine in engines() {
        let (mut store, linker, component) = nested(&engine).unwrap();
        let other = linker.instantiate(&mut store, &component).unwrap();
        let instance = linker.instantiate(&mut store, &component).unwrap();
        store.data_mut().other = Some(other);
        let outer: Call = instance.get_typed_func(&mut store, "outer").unwrap();
        assert_eq!(outer.call(&mut store, (7,)).unwrap(), (107,));
        let error = outer.call(&mut store, (1,)).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UncaughtException));
        let seen = store.data_mut().seen.take().unwrap();
        assert!(seen.contains("an exception of tag `bad` "), "{seen}");
    }
}

#[test]
fn legacy_exceptions_are_refused_by_name() {
    let text =
        "(component (core module $M (func try catch_all end)) (core instance (instantiate $M)))";
    let error = Component::new(&Engine::default(), text)
        .map(drop)
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("legacy exceptions"),
        "{error:#}"
    );
}

/// Exceptions take room in the GC heap, which has a limit.
#[test]
fn a_heap_that_is_too_small_is_an_error() {
    let (mut store, linker, component) = nested(&Engine::default()).unwrap();
    store.data_mut().limits = StoreLimitsBuilder::new().memory_size(1 << 16).build();
    store.limiter(|host| &mut host.limits);
    let error = linker.instantiate(&mut store, &component).unwrap_err();
    assert!(format!("{error:#}").contains("GC heap"), "{error:#}");
}

//! Memories of more than 4 GiB: they work with the default settings, and errors name the setting to
//! raise.

use crate::common::message;
use mintage::{
    Component, Config, Engine, Instance, Linker, PoolConfig, Result, Store, StoreLimitsBuilder,
    Trap,
};

const GIB: u64 = 1 << 30;
/// The number of 64 KiB pages in a gibibyte.
const PAGES: u64 = GIB >> 16;

/// A component around a module with the memory type `memory`, its size, growth and accesses.
fn text(memory: &str) -> String {
    format!(
        r#"(component
            (core module $m
              (memory {memory})
              (func (export "size") (result i64) (memory.size))
              (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
              (func (export "load") (param i64) (result i64) (i64.load (local.get 0)))
              (func (export "store") (param i64 i64) (i64.store (local.get 0) (local.get 1))))
            (core instance $i (instantiate $m))
            (func (export "size") (result u64) (canon lift (core func $i "size")))
            (func (export "grow") (param "n" u64) (result s64) (canon lift (core func $i "grow")))
            (func (export "load") (param "at" u64) (result u64) (canon lift (core func $i "load")))
            (func (export "store") (param "at" u64) (param "x" u64) (canon lift
              (core func $i "store"))))"#
    )
}

struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(component: &Component) -> Result<Guest> {
        let engine = component.engine();
        let mut store = Store::new(engine, ());
        let instance = Linker::new(engine).instantiate(&mut store, component)?;
        Ok(Guest { store, instance })
    }

    fn get<P, R>(&mut self, name: &str, params: P) -> Result<R>
    where
        P: mintage::Lower + mintage::ComponentNamedList,
        (R,): mintage::Lift + mintage::ComponentNamedList,
        R: 'static,
        P: 'static,
    {
        let func = self
            .instance
            .get_typed_func::<P, (R,)>(&mut self.store, name)?;
        Ok(func.call(&mut self.store, params)?.0)
    }

    fn run<P>(&mut self, name: &str, params: P) -> Result<()>
    where
        P: mintage::Lower + mintage::ComponentNamedList + 'static,
    {
        let func = self
            .instance
            .get_typed_func::<P, ()>(&mut self.store, name)?;
        func.call(&mut self.store, params)
    }
}

/// The next instance gets a slot in which 4 GiB and more were written, and finds nothing of that.
#[test]
fn nothing_is_left_beyond_4_gib() -> Result<()> {
    let component = Component::new(&Engine::default(), text("i64 1"))?;
    for _ in 0..3 {
        let mut guest = Guest::new(&component)?;
        assert_eq!(guest.get::<_, u64>("size", ())?, 1);
        assert_eq!(guest.get::<_, i64>("grow", (5 * PAGES - 1,))?, 1);
        for at in [4 * GIB - 8, 4 * GIB, 5 * GIB - 8] {
            assert_eq!(guest.get::<_, u64>("load", (at,))?, 0, "{at:#x}");
            guest.run("store", (at, at))?;
            assert_eq!(guest.get::<_, u64>("load", (at,))?, at, "{at:#x}");
        }
        let trap = guest.get::<_, u64>("load", (5 * GIB - 7,)).unwrap_err();
        assert_eq!(trap.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
    }
    Ok(())
}

/// A limiter gets sizes beyond 32 bits unchanged.
#[test]
fn limiters_see_sizes_beyond_4_gib() -> Result<()> {
    let component = Component::new(&Engine::default(), text("i64 1"))?;
    let engine = component.engine();
    let limits = StoreLimitsBuilder::new().memory_size(5 << 30).build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance = Linker::new(engine).instantiate(&mut store, &component)?;
    let grow = instance.get_typed_func::<(u64,), (i64,)>(&mut store, "grow")?;
    assert_eq!(grow.call(&mut store, (5 * PAGES,))?, (-1,));
    assert_eq!(grow.call(&mut store, (5 * PAGES - 1,))?, (1,));
    assert_eq!(grow.call(&mut store, (1,))?, (-1,));
    Ok(())
}

#[test]
fn errors_name_the_setting_to_raise() -> Result<()> {
    let refused = |engine: &Engine, memory: &str| {
        Component::new(engine, text(memory)).and_then(|component| Guest::new(&component))
    };
    // The sum of minimum and guard is more than an instance may take.
    let terabyte = format!("i64 {}", 1024 * PAGES);
    let error = message(refused(&Engine::default(), &terabyte));
    assert!(
        error.contains("`Config::max_instance_address_space` allows; raise it"),
        "{error}"
    );
    assert!(error.contains("`Config::memory64_reservation`"), "{error}");
    // ... or than the pool has.
    let mut pool = PoolConfig::new();
    pool.total_address_space(10 * GIB);
    let engine = Engine::new(Config::new().pool(&pool))?;
    let error = message(refused(&engine, "i64 1"));
    assert!(
        error.contains(
            "`PoolConfig::total_address_space` allows for all instances together; raise it"
        ),
        "{error}"
    );
    assert!(error.contains("`Config::memory64_reservation`"), "{error}");
    // ... or than a slab can have.
    let error = message(refused(&engine, &format!("i64 {}", 1u64 << 40)));
    assert!(
        error.contains("more than the address space of an instance"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_reservation_is_a_setting() -> Result<()> {
    let engine = Engine::new(Config::new().memory64_reservation(5 * GIB))?;
    let mut guest = Guest::new(&Component::new(&engine, text("i64 1"))?)?;
    assert_eq!(guest.get::<_, i64>("grow", (5 * PAGES,))?, -1);
    assert_eq!(guest.get::<_, i64>("grow", (5 * PAGES - 1,))?, 1);
    // With a pool that has no more address space than that.
    let mut pool = PoolConfig::new();
    pool.total_address_space(10 * GIB);
    let mut config = engine.config().clone();
    let engine = Engine::new(config.pool(&pool))?;
    Guest::new(&Component::new(&engine, text("i64 1"))?)?;
    Ok(())
}

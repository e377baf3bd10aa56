//! Instances that are dropped before their store, and replaced.

use crate::common::message;
use mintage::{
    Component, Engine, ErrorKind, Instance, InstancePre, LimitKind, Linker, Resource, ResourceAny,
    ResourceLimiter, ResourceType, Result, Store, StoreContextMut, StoreLimitsBuilder, TypedFunc,
};

/// A plug-in that counts its calls (`run`, which traps for 0), keeps files of the host and gives
/// them back, has a resource type of its own, and exports a function of the host again (`nap`).
const PLUGIN: &str = r#"(component
    (import "host" (instance $host
        (export "file" (type $file (sub resource)))
        (export "open" (func (result (own $file))))
        (export "nap" (func (param "n" u32)))))
    (alias export $host "file" (type $file))
    (core func $open (canon lower (func $host "open")))
    (core func $nap (canon lower (func $host "nap")))
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "nap" (func $nap (param i32)))
        (import "" "new" (func $new (param i32) (result i32)))
        (memory 1)
        (table $t 2 10 funcref)
        (func (export "run") (param $n i32) (result i32)
            (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
            (drop (memory.grow (i32.const 2)))
            (drop (table.grow $t (ref.null func) (i32.const 3)))
            (if (i32.eqz (local.get $n)) (then unreachable))
            (call $nap (local.get $n))
            (i32.load (i32.const 0)))
        (func (export "keep") (drop (call $open)))
        (func (export "give") (result i32) (call $open))
        (func (export "make") (result i32) (call $new (i32.const 5)))
        (func (export "rep") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "nap" (func $nap)) (export "new" (func $new))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run")))
    (func (export "keep") (canon lift (core func $m "keep")))
    (func (export "give") (result (own $file)) (canon lift (core func $m "give")))
    (export $exported "thing" (type $thing))
    (func (export "make") (result (own $exported)) (canon lift (core func $m "make")))
    (func (export "rep") (param "of" (borrow $exported)) (result u32)
        (canon lift (core func $m "rep")))
    (export "nap" (func $host "nap")))"#;

struct File;

/// What the host functions use.
#[derive(Default)]
struct Host {
    files: u32,
    closed: Vec<u32>,
    /// The instance that `nap` drops, and what came of it.
    victim: Option<Instance>,
    dropped: Option<Result<usize>>,
}

fn plugin(engine: &Engine) -> Result<InstancePre<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    let mut host = linker.instance("host")?;
    host.resource(
        "file",
        ResourceType::host::<File>(),
        |mut store: StoreContextMut<'_, Host>, rep| {
            store.data_mut().closed.push(rep);
            Ok(())
        },
    )?;
    host.func_wrap("open", |mut store: StoreContextMut<'_, Host>, (): ()| {
        store.data_mut().files += 1;
        Ok((Resource::<File>::new_own(store.data().files),))
    })?;
    host.func_wrap(
        "nap",
        |mut store: StoreContextMut<'_, Host>, (_,): (u32,)| {
            if let Some(victim) = store.data_mut().victim.take() {
                let dropped = store.drop_instance(victim).map(|left| left.len());
                store.data_mut().dropped = Some(dropped);
            }
            Ok(())
        },
    )?;
    linker.instantiate_pre(&Component::new(engine, PLUGIN)?)
}

type Run = TypedFunc<(u32,), (u32,)>;

fn start(pre: &InstancePre<Host>, store: &mut Store<Host>) -> Result<(Instance, Run)> {
    let instance = pre.instantiate(&mut *store)?;
    let run = instance.get_typed_func(&mut *store, "run")?;
    Ok((instance, run))
}

const GONE: &str = "belongs to an instance that was dropped (`Store::drop_instance`)";

#[test]
fn a_plug_in_that_traps_is_replaced() -> Result<()> {
    let engine = Engine::default();
    let pre = plugin(&engine)?;
    let mut store = Store::new(&engine, Host::default());
    let (other, other_run) = start(&pre, &mut store)?;
    assert_eq!(other_run.call(&mut store, (1,))?, (1,));
    let (mut instance, mut run) = start(&pre, &mut store)?;
    for _ in 0..3 {
        assert_eq!(run.call(&mut store, (1,))?, (1,));
        assert_eq!(run.call(&mut store, (1,))?, (2,));
        assert!(matches!(
            run.call(&mut store, (0,)).unwrap_err().kind(),
            ErrorKind::Trap(_)
        ));
        assert!(run.call(&mut store, (1,)).is_err());
        store.drop_instance(instance)?;
        (instance, run) = start(&pre, &mut store)?;
    }
    // The other instance has its state.
    assert_eq!(other_run.call(&mut store, (1,))?, (2,));
    store.drop_instance(other)?;
    assert_eq!(run.call(&mut store, (1,))?, (1,));
    Ok(())
}

#[test]
fn names_of_a_dropped_instance_are_errors() -> Result<()> {
    let engine = Engine::default();
    let pre = plugin(&engine)?;
    let mut store = Store::new(&engine, Host::default());
    let (instance, run) = start(&pre, &mut store)?;
    let make = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "make")?;
    let thing = make.call(&mut store, ())?.0;
    let ty = instance.get_resource(&mut store, "thing");
    store.drop_instance(instance)?;

    for _ in 0..2 {
        assert_eq!(
            message(run.call(&mut store, (1,))),
            format!("the function {GONE}")
        );
        assert_eq!(
            message(run.func().typed::<(u32,), (u32,)>(&store)),
            format!("the function {GONE}")
        );
        let typed = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run");
        assert_eq!(message(typed), format!("the instance {GONE}"));
        assert_eq!(
            message(store.drop_instance(instance)),
            format!("the instance {GONE}")
        );
        // Instances in the same place are other ones.
        let (next, next_run) = start(&pre, &mut store)?;
        assert_ne!(instance, next);
        assert_ne!(next.get_resource(&mut store, "thing"), ty);
        let rep = next.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "rep")?;
        assert!(message(rep.call(&mut store, (thing,))).contains("resource type mismatch"));
        assert_eq!(next_run.call(&mut store, (1,))?, (1,));
        store.drop_instance(next)?;
    }
    assert_eq!(
        message(thing.resource_drop(&mut store)),
        format!("the resource {GONE}")
    );
    // The handle is gone then.
    assert!(message(thing.resource_drop(&mut store)).contains("dropped or given away"));

    let (instance, _) = start(&pre, &mut store)?;
    let mut elsewhere = Store::new(&engine, Host::default());
    assert!(message(elsewhere.drop_instance(instance)).contains("another `Store`"));
    Ok(())
}

#[test]
fn resources_of_the_host_outlive_the_instance() -> Result<()> {
    let engine = Engine::default();
    let pre = plugin(&engine)?;
    let mut store = Store::new(&engine, Host::default());
    let (instance, _) = start(&pre, &mut store)?;
    let give = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "give")?;
    let given = give.call(&mut store, ())?.0;
    let keep = instance.get_typed_func::<(), ()>(&mut store, "keep")?;
    keep.call(&mut store, ())?;
    keep.call(&mut store, ())?;

    // Those that it owns come back, and no destructor is called.
    let file = ResourceType::host::<File>();
    assert_eq!(store.drop_instance(instance)?, [(file, 2), (file, 3)]);
    assert!(store.data().closed.is_empty());
    given.resource_drop(&mut store)?;
    assert_eq!(store.data().closed, [1]);
    Ok(())
}

#[test]
fn an_instance_that_is_in_use_stays() -> Result<()> {
    const IN_USE: &str = "a call into the instance is under way, so that it cannot be dropped";
    let engine = Engine::default();
    let pre = plugin(&engine)?;
    let mut store = Store::new(&engine, Host::default());
    let (instance, run) = start(&pre, &mut store)?;
    store.data_mut().victim = Some(instance);
    assert_eq!(run.call(&mut store, (1,))?, (1,));
    assert_eq!(message(store.data_mut().dropped.take().unwrap()), IN_USE);
    assert_eq!(run.call(&mut store, (1,))?, (2,));

    // A function of the host that the instance exports again.
    let nap = instance.get_typed_func::<(u32,), ()>(&mut store, "nap")?;
    store.data_mut().victim = Some(instance);
    nap.call(&mut store, (1,))?;
    assert_eq!(message(store.data_mut().dropped.take().unwrap()), IN_USE);

    // Another instance can be dropped meanwhile.
    let (other, other_run) = start(&pre, &mut store)?;
    store.data_mut().victim = Some(other);
    assert_eq!(run.call(&mut store, (1,))?, (3,));
    assert_eq!(store.data_mut().dropped.take().unwrap()?, 0);
    assert!(message(other_run.call(&mut store, (1,))).contains(GONE));
    store.drop_instance(instance)?;
    Ok(())
}

#[test]
fn limits_get_back_what_they_counted() -> Result<()> {
    /// Counts what is granted and given back.
    #[derive(Default)]
    struct Count {
        bytes: usize,
        entries: usize,
        most: usize,
    }
    impl ResourceLimiter for Count {
        fn memory_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> Result<bool> {
            self.bytes += to - from;
            self.most = self.most.max(self.bytes);
            Ok(true)
        }
        fn memory_released(&mut self, bytes: usize) {
            self.bytes -= bytes;
        }
        fn table_growing(&mut self, from: usize, to: usize, _: Option<usize>) -> Result<bool> {
            self.entries += to - from;
            Ok(true)
        }
        fn table_released(&mut self, entries: usize) {
            self.entries -= entries;
        }
    }
    // A memory, a table and a GC heap, all of which grow.
    let text = r#"(component
        (core module $m
            (type $array (array i64))
            (memory 1) (table $t 2 10 funcref)
            (global $kept (mut (ref null $array)) (ref.null $array))
            (func (export "grow")
                (drop (memory.grow (i32.const 3)))
                (drop (table.grow $t (ref.null func) (i32.const 4)))
                (global.set $kept (array.new $array (i64.const 7) (i32.const 100000)))))
        (core instance $m (instantiate $m))
        (func (export "grow") (canon lift (core func $m "grow"))))"#;
    let engine = Engine::default();
    let component = Component::new(&engine, text)?;
    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    let mut store = Store::new(&engine, Count::default());
    store.limiter(|count| count);
    for grow in [false, true] {
        let instance = pre.instantiate(&mut store)?;
        assert!(store.data().bytes > 0 && store.data().entries == 2);
        if grow {
            let grow = instance.get_typed_func::<(), ()>(&mut store, "grow")?;
            grow.call(&mut store, ())?;
            assert!(store.data().bytes > 4 * 65536 + 800_000 && store.data().entries == 6);
        }
        store.drop_instance(instance)?;
        assert_eq!((store.data().bytes, store.data().entries), (0, 0));
    }

    // Fixed limits that are used up by one instance.
    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    let limits = StoreLimitsBuilder::new()
        .instances(1)
        .memories(2)
        .tables(1)
        .total_memory_size(8 << 20)
        .build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    for _ in 0..20 {
        let instance = pre.instantiate(&mut store)?;
        let error = pre.instantiate(&mut store).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Instances));
        let grow = instance.get_typed_func::<(), ()>(&mut store, "grow")?;
        grow.call(&mut store, ())?;
        store.drop_instance(instance)?;
    }
    Ok(())
}

#[test]
fn an_instance_whose_start_fails_is_gone() -> Result<()> {
    let engine = Engine::default();
    let failing = r#"(component
        (core module $m (memory 1) (func $s unreachable) (start $s))
        (core instance (instantiate $m)))"#;
    let failing = Component::new(&engine, failing)?;
    let limits = StoreLimitsBuilder::new()
        .instances(1)
        .total_memory_size(65536)
        .build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let linker = Linker::new(&engine);
    for _ in 0..3 {
        let error = linker.instantiate(&mut store, &failing).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error:#}");
    }
    linker.instantiate(&mut store, &Component::new(&engine, "(component)")?)?;
    Ok(())
}

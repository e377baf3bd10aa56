//! Snapshots: instances that start from the state of another one, in this process and from an
//! artifact.

use mintage::{
    AsContextMut, Component, Config, Engine, Instance, InstancePre, Linker, PoolConfig, Resource,
    ResourceType, Result, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder, Trap,
};

/// The data of a store.
#[derive(Default)]
struct Host {
    limits: StoreLimits,
    /// The number of calls of the host.
    calls: u32,
    /// The number of resources that were destroyed.
    dropped: u32,
    /// The instance whose snapshot the host takes when it is called, and the error.
    wanted: Option<Instance>,
    error: Option<String>,
}

fn store(engine: &Engine) -> Store<Host> {
    let mut store = Store::new(engine, Host::default());
    store.limiter(|host| &mut host.limits);
    store
}

/// Links the import `host`, and resources of a type `thing`, where there are such imports.
fn linked(component: &Component) -> InstancePre<Host> {
    let mut linker = Linker::new(component.engine());
    let mut root = linker.root();
    root.func_wrap("host", |mut store: StoreContextMut<'_, Host>, (): ()| {
        store.data_mut().calls += 1;
        if let Some(instance) = store.data().wanted {
            let error = instance.snapshot(&mut store).err();
            store.data_mut().error = error.map(|error| error.to_string());
        }
        Ok((7u32,))
    })
    .unwrap();
    root.resource(
        "thing",
        ResourceType::host::<Thing>(),
        |mut store: StoreContextMut<'_, Host>, _| {
            store.data_mut().dropped += 1;
            Ok(())
        },
    )
    .unwrap();
    root.func_wrap("use", |_, (_,): (Resource<Thing>,)| Ok((9u32,)))
        .unwrap();
    root.func_wrap("make", |_, (): ()| Ok((Resource::<Thing>::new_own(5),)))
        .unwrap();
    linker
        .instantiate_pre(component)
        .unwrap_or_else(|error| panic!("{error:?}"))
}

struct Thing;

fn call(
    mut store: impl AsContextMut,
    instance: &Instance,
    name: &str,
    argument: u32,
) -> Result<u32> {
    let func = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name)?;
    Ok(func.call(&mut store, (argument,))?.0)
}

/// All kinds of state, an import that counts its calls, and a start function that calls it.
const GUEST: &str = r#"(component
    (import "host" (func $host (result u32)))
    (core func $host (canon lower (func $host)))
    (core module $m
        (import "" "host" (func $host (result i32)))
        (type $box (struct (field (mut i32))))
        (memory 1 20) (memory $second 1)
        (data (i32.const 8) "data") (data $passive "passive")
        (global $count (mut i32) (i32.const 0)) (global $box (mut (ref null $box)) (ref.null $box))
        (table $t 2 30 funcref) (func $five (result i32) (i32.const 5)) (elem declare func $five)
        (func $start (i32.store (i32.const 100) (call $host))) (start $start)
        (func (export "warm") (param i32) (result i32)
            (drop (memory.grow (i32.const 3)))
            (i32.store (i32.const 200000) (local.get 0))
            (i32.store (i32.const 8) (i32.const 0))
            (i32.store $second (i32.const 4) (local.get 0))
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.set $box (struct.new $box (local.get 0)))
            (drop (table.grow $t (ref.func $five) (i32.const 4)))
            (data.drop $passive)
            (i32.add (call $host) (global.get $count)))
        (func (export "sum") (param i32) (result i32) (local $sum i32)
            (local.set $sum (i32.load (i32.const 200000)))
            (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 8))))
            (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 100))))
            (local.set $sum (i32.add (local.get $sum) (i32.load $second (i32.const 4))))
            (local.set $sum (i32.add (local.get $sum) (struct.get $box 0 (global.get $box))))
            (local.set $sum (i32.add (local.get $sum) (call_indirect $t (result i32)
              (local.get 0))))
            (i32.add (local.get $sum) (global.get $count)))
        (func (export "size") (param i32) (result i32)
            (i32.add (i32.mul (memory.size) (i32.const 100)) (table.size $t)))
        (func (export "init") (param i32) (result i32)
            (memory.init $passive (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0))
        (func (export "fill") (param i32) (result i32)
            (loop $more
                (if (i32.ge_u (local.get 0) (i32.mul (memory.size) (i32.const 65536))) (then
                  (return (i32.const 0))))
                (i32.store (local.get 0) (i32.const 1))
                (local.set 0 (i32.add (local.get 0) (i32.const 4096)))
                (br $more))
            unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
    (func (export "warm") (param "x" u32) (result u32) (canon lift (core func $i "warm")))
    (func (export "sum") (param "x" u32) (result u32) (canon lift (core func $i "sum")))
    (func (export "size") (param "x" u32) (result u32) (canon lift (core func $i "size")))
    (func (export "fill") (param "x" u32) (result u32) (canon lift (core func $i "fill")))
    (func (export "init") (param "x" u32) (result u32) (canon lift (core func $i "init"))))"#;

fn component(engine: &Engine, text: &str) -> Component {
    Component::new(engine, text).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Returns engines for all ways to keep and map an image.
fn engines() -> impl Iterator<Item = Engine> {
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    ways.into_iter().map(|(memfd, scan)| {
        let mut pool = PoolConfig::new();
        pool.memfd(memfd).pagemap_scan(scan);
        Engine::new(Config::new().pool(&pool)).unwrap()
    })
}

/// Returns an instance whose `warm` was called with 1,000, and its snapshot.
fn warm(engine: &Engine) -> (Store<Host>, Instance, Component) {
    let mut store = store(engine);
    let instance = linked(&component(engine, GUEST))
        .instantiate(&mut store)
        .unwrap();
    assert_eq!(call(&mut store, &instance, "warm", 1000).unwrap(), 8);
    let snapshot = instance.snapshot(&mut store).unwrap();
    (store, instance, snapshot)
}

/// What `sum` gives in an instance of the snapshot: what was written, what the host gave the start
/// function, what the new table entry answers, and the count.
const SUM: u32 = 3 * 1000 + 7 + 5 + 1;

fn check(snapshot: &Component) {
    let pre = linked(snapshot);
    let mut store = store(snapshot.engine());
    // The second one is of a slab that was used, the third of one beside it.
    for round in 0..4 {
        let instance = pre.instantiate(&mut store).unwrap();
        assert_eq!(store.data().calls, round, "the start function ran");
        assert_eq!(call(&mut store, &instance, "sum", 4).unwrap(), SUM);
        assert_eq!(call(&mut store, &instance, "size", 0).unwrap(), 406);
        assert_eq!(call(&mut store, &instance, "init", 0).unwrap(), 0);
        assert_eq!(call(&mut store, &instance, "warm", 2000).unwrap(), 9);
        assert_eq!(
            call(&mut store, &instance, "sum", 9).unwrap(),
            3 * 2000 + 7 + 5 + 2
        );
        assert_eq!(call(&mut store, &instance, "size", 0).unwrap(), 710);
        let error = call(&mut store, &instance, "init", 1).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::MemoryOutOfBounds),
            "{error:?}"
        );
        if round == 1 {
            let calls = store.data().calls;
            store = self::store(snapshot.engine());
            store.data_mut().calls = calls;
        }
    }
}

#[test]
fn instances_start_from_the_snapshot() {
    for engine in engines() {
        let (mut store, instance, snapshot) = warm(&engine);
        check(&snapshot);
        // The instance itself goes on by itself, and its component makes instances as before.
        assert_eq!(call(&mut store, &instance, "warm", 1).unwrap(), 9);
        check(&snapshot);
        let fresh = linked(instance.component(&store))
            .instantiate(&mut store)
            .unwrap();
        assert_eq!(call(&mut store, &fresh, "size", 0).unwrap(), 102);
    }
}

#[test]
fn snapshots_are_serialized() {
    for engine in engines() {
        let (_, _, snapshot) = warm(&engine);
        let artifact = snapshot.serialize().unwrap();
        // SAFETY: `serialize` made the bytes.
        let loaded = unsafe { Component::deserialize(&engine, &artifact) }.unwrap();
        check(&loaded);
        assert!(loaded.serialize().unwrap() == artifact);
        // A snapshot of an instance of the loaded snapshot, loaded again.
        let mut store = store(&engine);
        let instance = linked(&loaded).instantiate(&mut store).unwrap();
        let again = instance.snapshot(&mut store).unwrap();
        check(&again);
        // SAFETY: as above.
        check(&unsafe { Component::deserialize(&engine, again.serialize().unwrap()) }.unwrap());
    }
}

#[test]
fn a_fresh_instance_has_a_snapshot() {
    let engine = Engine::default();
    let mut store = store(&engine);
    let text = r#"(component
        (core module $m (memory 1) (data (i32.const 0) "\2a")
          (func (export "f") (param i32) (result i32) (i32.load (local.get 0))))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#;
    let instance = linked(&component(&engine, text))
        .instantiate(&mut store)
        .unwrap();
    let snapshot = instance.snapshot(&mut store).unwrap();
    let instance = linked(&snapshot).instantiate(&mut store).unwrap();
    assert_eq!(call(&mut store, &instance, "f", 0).unwrap(), 42);
}

#[test]
fn a_running_or_stopped_instance_has_no_snapshot() {
    let engine = Engine::default();
    let mut store = store(&engine);
    let instance = linked(&component(&engine, GUEST))
        .instantiate(&mut store)
        .unwrap();
    store.data_mut().wanted = Some(instance);
    call(&mut store, &instance, "warm", 1).unwrap();
    let error = store.data_mut().error.take().unwrap();
    assert!(error.contains("under way or was stopped"), "{error}");
    // After the call it has a snapshot, until it traps.
    instance.snapshot(&mut store).unwrap();
    call(&mut store, &instance, "init", 1).unwrap_err();
    let error = instance.snapshot(&mut store).unwrap_err().to_string();
    assert!(error.contains("under way or was stopped"), "{error}");
}

/// A component with handles of resources of the host's and of its own.
fn handles() -> String {
    let names = ["make", "drop", "use", "new", "forget", "rep"];
    let functions = names.map(|name| {
        format!(
            r#"(func (export "{name}") (param "x" u32) (result u32)
                 (canon lift (core func $i "{name}")))"#
        )
    });
    r#"(component
      (import "thing" (type $thing (sub resource)))
      (import "make" (func $make (result (own $thing))))
      (import "use" (func $use (param "x" (borrow $thing)) (result u32)))
      (type $own (resource (rep i32)))
      (core func $make (canon lower (func $make)))
      (core func $use (canon lower (func $use)))
      (core func $drop (canon resource.drop $thing))
      (core func $new (canon resource.new $own))
      (core func $forget (canon resource.drop $own))
      (core func $rep (canon resource.rep $own))
      (core module $m
        (import "" "make" (func $make (result i32))) (import "" "drop" (func $drop (param i32)))
        (import "" "use" (func $use (param i32) (result i32)))
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "forget" (func $forget (param i32)))
        (import "" "rep" (func $rep (param i32) (result i32)))
        (func (export "make") (param i32) (result i32) (call $make))
        (func (export "use") (param i32) (result i32) (call $use (local.get 0)))
        (func (export "drop") (param i32) (result i32) (call $drop (local.get 0)) (i32.const 0))
        (func (export "new") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "rep") (param i32) (result i32) (call $rep (local.get 0)))
        (func (export "forget") (param i32) (result i32)
          (call $forget (local.get 0)) (i32.const 0)))
      (core instance $i (instantiate $m (with "" (instance
        (export "make" (func $make)) (export "drop" (func $drop)) (export "use" (func $use))
        (export "new" (func $new)) (export "forget" (func $forget)) (export "rep" (func $rep))))))
      FUNCTIONS)"#
        .replace("FUNCTIONS", &functions.concat())
}

#[test]
fn handles_are_retired() {
    let engine = Engine::default();
    let mut store = store(&engine);
    let first = linked(&component(&engine, &handles()))
        .instantiate(&mut store)
        .unwrap();
    let [thing, other, freed] = [0; 3].map(|x| call(&mut store, &first, "make", x).unwrap());
    let own = call(&mut store, &first, "new", 77).unwrap();
    call(&mut store, &first, "drop", freed).unwrap();
    let snapshot = first.snapshot_retiring_handles(&mut store).unwrap();
    let dropped = store.data().dropped;
    let pre = linked(&snapshot);
    for _ in 0..3 {
        let instance = pre.instantiate(&mut store).unwrap();
        // The freed index is the next one, and those of retired handles are not used again.
        assert_eq!(call(&mut store, &instance, "make", 0).unwrap(), freed);
        let next = call(&mut store, &instance, "make", 0).unwrap();
        assert_eq!(next, own + 1);
        assert_eq!(call(&mut store, &instance, "use", next).unwrap(), 9);
        // What the guest defines means the same.
        assert_eq!(call(&mut store, &instance, "rep", own).unwrap(), 77);
        // Dropping destroys nothing.
        call(&mut store, &instance, "drop", thing).unwrap();
        assert_eq!(store.data().dropped, dropped);
        assert_eq!(call(&mut store, &instance, "make", 0).unwrap(), thing);
        call(&mut store, &instance, "drop", thing).unwrap();
        assert_eq!(store.data().dropped, dropped + 1);
        store.data_mut().dropped = dropped;
        // The snapshot of an instance of a snapshot.
        let again = instance.snapshot_retiring_handles(&mut store).unwrap();
        for component in [&snapshot, &again] {
            let instance = linked(component).instantiate(&mut store).unwrap();
            let error = call(&mut store, &instance, "use", other).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::UnknownHandle));
            let error = format!("{error:?}");
            assert!(error.contains("when the snapshot was taken"), "{error}");
            // A handle of another type stays one.
            let instance = linked(component).instantiate(&mut store).unwrap();
            let error = call(&mut store, &instance, "forget", other).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::WrongHandleType));
        }
    }
    // The first instance still has its own.
    assert_eq!(call(&mut store, &first, "use", other).unwrap(), 9);
    let error = snapshot.serialize().unwrap_err().to_string();
    assert!(error.contains("no place for the handles"), "{error}");
    // Without handles it is as any other snapshot.
    let fresh = linked(&component(&engine, &handles()))
        .instantiate(&mut store)
        .unwrap();
    let snapshot = fresh.snapshot_retiring_handles(&mut store).unwrap();
    snapshot.serialize().unwrap();
}

#[test]
fn retired_handles_count_in_the_limit() {
    let engine = Engine::default();
    let mut store = store(&engine);
    let first = linked(&component(&engine, &handles()))
        .instantiate(&mut store)
        .unwrap();
    for _ in 0..3 {
        call(&mut store, &first, "make", 0).unwrap();
    }
    let snapshot = first.snapshot_retiring_handles(&mut store).unwrap();
    for (limit, room) in [(1, 0), (3, 0), (5, 2)] {
        let mut store = self::store(&engine);
        store.data_mut().limits = StoreLimitsBuilder::new().handles(limit).build();
        let instance = linked(&snapshot).instantiate(&mut store).unwrap();
        for _ in 0..room {
            call(&mut store, &instance, "make", 0).unwrap();
        }
        let error = call(&mut store, &instance, "make", 0).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::HandleTableFull));
    }
}

#[test]
fn handles_have_to_be_dropped_before() {
    let text = &handles();
    let engine = Engine::default();
    let mut store = store(&engine);
    let instance = linked(&component(&engine, text))
        .instantiate(&mut store)
        .unwrap();
    let handle = call(&mut store, &instance, "make", 0).unwrap();
    let error = format!("{:#}", instance.snapshot(&mut store).unwrap_err());
    assert!(error.contains("holds handles"), "{error}");
    call(&mut store, &instance, "drop", handle).unwrap();
    let snapshot = instance.snapshot(&mut store).unwrap();
    let instance = linked(&snapshot).instantiate(&mut store).unwrap();
    let error = call(&mut store, &instance, "drop", handle).unwrap_err();
    assert_eq!(
        error.downcast_ref(),
        Some(&Trap::UnknownHandle),
        "{error:?}"
    );
}

#[test]
fn limiters_are_asked_about_the_sizes_of_a_snapshot() {
    let engine = Engine::default();
    let (_, _, snapshot) = warm(&engine);
    // SAFETY: `serialize` made the bytes.
    let loaded = unsafe { Component::deserialize(&engine, snapshot.serialize().unwrap()) }.unwrap();
    for component in [&snapshot, &loaded] {
        let pre = linked(component);
        let mut store = store(&engine);
        // The first memory has four pages now.
        store.data_mut().limits = StoreLimitsBuilder::new().memory_size(3 << 16).build();
        assert!(pre.instantiate(&mut store).is_err());
        store.data_mut().limits = StoreLimitsBuilder::new().memory_size(4 << 16).build();
        pre.instantiate(&mut store).unwrap();
    }
}

#[test]
fn too_much_state_is_an_error() {
    let engine = Engine::default();
    let text = GUEST.replace("(memory 1 20)", "(memory 1100)");
    let mut store = store(&engine);
    let instance = linked(&component(&engine, &text))
        .instantiate(&mut store)
        .unwrap();
    call(&mut store, &instance, "fill", 0).unwrap();
    let error = format!("{:#}", instance.snapshot(&mut store).unwrap_err());
    assert!(error.contains("more than 64 MiB"), "{error}");
}

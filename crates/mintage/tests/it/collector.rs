//! The garbage collector with calls of the host, limits, and instances that follow each other.

use mintage::{
    Component, Config, Engine, Instance, Linker, OptLevel, Result, Store, StoreContextMut,
    StoreLimits, StoreLimitsBuilder, Trap, TypedFunc,
};

/// `churn(n)` makes `n` objects that nobody keeps; `keep(n)` keeps as many; `across(n)` has objects
/// in a frame only while the host is called, whose result makes it call `realloc`, which makes
/// objects; `array(n)` makes an array of `n` bytes.
const COMPONENT: &str = r#"(component
    (import "host" (func $host (param "n" u32) (result string)))
    (core module $Memory
        (type $pair (struct (field i64) (field i64)))
        (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $n i32)
            (loop $more
                (drop (struct.new $pair (i64.const -1) (i64.const -1)))
                (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                  (i32.const 10000))))
            (i32.const 64)))
    (core instance $memory (instantiate $Memory))
    (core func $host (canon lower (func $host) (memory (core memory $memory "mem"))
        (realloc (core func $memory "realloc"))))
    (core module $M
        (import "" "host" (func $host (param i32 i32)))
        (type $node (struct (field (mut i32)) (field (mut (ref null $node)))))
        (type $bytes (array (mut i8)))
        (global $kept (mut (ref null $node)) (ref.null $node))
        (func $churn (export "churn") (param $n i32) (result i32)
            (loop $more
                (drop (struct.new $node (local.get $n) (ref.null $node)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i32.const 0))
        (func (export "keep") (param $n i32) (result i32) (local $sum i32) (local $at
          (ref null $node))
            (loop $more
                (global.set $kept (struct.new $node (local.get $n) (global.get $kept)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.set $at (global.get $kept))
            (loop $more
                (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
                (br_if $more (i32.eqz (ref.is_null
                    (local.tee $at (struct.get $node 1 (local.get $at)))))))
            (local.get $sum))
        (func (export "across") (param $n i32) (result i32) (local $a (ref null $node)) (local $b
          (ref null $node))
            (local.set $a (struct.new $node (i32.const 30) (ref.null $node)))
            (local.set $b (struct.new $node (i32.const 4) (local.get $a)))
            (call $host (local.get $n) (i32.const 16))
            (i32.add
                (struct.get $node 0 (struct.get $node 1 (local.get $b)))
                (i32.add (struct.get $node 0 (local.get $b))
                    (ref.eq (local.get $a) (struct.get $node 1 (local.get $b))))))
        (func (export "array") (param $n i32) (result i32)
            (array.len (array.new_default $bytes (local.get $n)))))
    (core instance $m (instantiate $M (with "" (instance (export "host" (func $host))))))
    (func (export "churn") (param "n" u32) (result u32) (canon lift (core func $m "churn")))
    (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $m "keep")))
    (func (export "across") (param "n" u32) (result u32) (canon lift (core func $m "across")))
    (func (export "array") (param "n" u32) (result u32) (canon lift (core func $m "array"))))"#;

#[derive(Default)]
struct Host {
    /// The instances whose exports the host function calls.
    instances: Vec<Instance>,
    limits: StoreLimits,
}

/// Calls `across(n - 1)` of instance `n - 1`, if there is one.
fn host(mut store: StoreContextMut<'_, Host>, (n,): (u32,)) -> Result<(String,)> {
    if let Some(n) = n.checked_sub(1) {
        let next = store.data().instances[n as usize];
        let sum = call(&mut store, next, "across", n)?;
        assert_eq!(sum, 35);
    }
    Ok(("some text".into(),))
}

fn call(
    store: impl mintage::AsContextMut<Data = Host>,
    instance: Instance,
    name: &str,
    n: u32,
) -> Result<u32> {
    let mut store = store;
    let func: TypedFunc<(u32,), (u32,)> = instance.get_typed_func(&mut store, name)?;
    Ok(func.call(&mut store, (n,))?.0)
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_gc(true);
    config
}

struct Fixture {
    store: Store<Host>,
    linker: Linker<Host>,
    component: Component,
}

impl Fixture {
    fn new(config: &Config) -> Fixture {
        let engine = Engine::new(config).unwrap();
        let mut linker = Linker::new(&engine);
        linker.root().func_wrap("host", host).unwrap();
        Fixture {
            store: Store::new(&engine, Host::default()),
            linker,
            component: Component::new(&engine, COMPONENT).unwrap(),
        }
    }

    fn instance(&mut self) -> Instance {
        let instance = self
            .linker
            .instantiate(&mut self.store, &self.component)
            .unwrap();
        self.store.data_mut().instances.push(instance);
        instance
    }

    fn call(&mut self, instance: Instance, name: &str, n: u32) -> Result<u32> {
        call(&mut self.store, instance, name, n)
    }
}

fn trap(result: Result<u32>) -> Trap {
    *result.unwrap_err().downcast_ref::<Trap>().unwrap()
}

/// Calls nest through the host into one instance after the other. On the way back each is called
/// for room for the result, in an activation of its own, and collects, with objects in frames
/// further out.
#[test]
fn objects_in_frames_survive_calls_of_the_host() {
    for level in [OptLevel::Speed, OptLevel::None] {
        for zeal in [false, true] {
            let mut fixture = Fixture::new(config().opt_level(level).gc_zeal(zeal));
            let instances = [(); 4].map(|()| fixture.instance());
            for (depth, instance) in (0..).zip(instances) {
                assert_eq!(fixture.call(instance, "across", depth).unwrap(), 35);
            }
        }
    }
}

/// Makes 1.5 GB of garbage in a heap of a few megabytes.
#[test]
fn garbage_takes_no_room() {
    let mut fixture = Fixture::new(config().gc_heap_reservation(1 << 20));
    let instance = fixture.instance();
    assert_eq!(fixture.call(instance, "keep", 1000).unwrap(), 1000);
    for _ in 0..10 {
        fixture.call(instance, "churn", 10_000_000).unwrap();
    }
    assert_eq!(fixture.call(instance, "keep", 1000).unwrap(), 2000);
}

/// The heap grows to its reservation, and then an allocation is a trap. An object that fits no heap
/// is one at once.
#[test]
fn a_full_heap_is_a_trap() {
    let mut fixture = Fixture::new(config().gc_heap_reservation(1 << 20));
    let instance = fixture.instance();
    assert_eq!(fixture.call(instance, "array", 400_000).unwrap(), 400_000);
    assert_eq!(fixture.call(instance, "keep", 20_000).unwrap(), 20_000);
    assert_eq!(
        trap(fixture.call(instance, "keep", 20_000)),
        Trap::HeapExhausted
    );
    let instance = fixture.instance();
    assert_eq!(
        trap(fixture.call(instance, "array", 1 << 20)),
        Trap::AllocationTooLarge
    );
    let instance = fixture.instance();
    assert_eq!(
        trap(fixture.call(instance, "array", u32::MAX)),
        Trap::AllocationTooLarge
    );
    // What the others have filled is not what the next one has.
    fixture.store = Store::new(fixture.component.engine(), Host::default());
    let instance = fixture.instance();
    assert_eq!(fixture.call(instance, "keep", 20_000).unwrap(), 20_000);
}

/// The limit of memory sizes holds for GC heaps, where both halves count.
#[test]
fn limits_apply_to_heaps() {
    let mut fixture = Fixture::new(&config());
    fixture.store.data_mut().limits = StoreLimitsBuilder::new()
        .memory_size(1 << 20)
        .memories(2)
        .build();
    fixture.store.limiter(|host| &mut host.limits);
    let instance = fixture.instance();
    assert_eq!(fixture.call(instance, "keep", 30_000).unwrap(), 30_000);
    assert_eq!(
        trap(fixture.call(instance, "keep", 30_000)),
        Trap::HeapExhausted
    );
    let error = fixture
        .linker
        .instantiate(&mut fixture.store, &fixture.component)
        .unwrap_err();
    assert!(format!("{error:#}").contains("memories"), "{error:#}");
}

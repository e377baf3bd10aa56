//! Limiters: when they are asked, and the effect of their answers.

use mintage::{
    Component, Config, Engine, Error, Instance, Linker, PoolConfig, ResourceLimiter, Result, Store,
    StoreLimits, StoreLimitsBuilder, Trap,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text of a guest that grows its memory by a page in `realloc`, in a function, and in
/// `post-return`.
const GROWS: &str = r#"(component
    (import "host" (func $host (param "s" string) (result string)))
    (core module $lib
      (memory (export "memory") 1) (table $t 2 funcref)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "grow-table") (param i32) (result i32) (table.grow $t (ref.null func)
        (local.get 0)))
      (func (export "pages") (result i32) (memory.size)))
    (core instance $lib (instantiate $lib))
    (core func $host (canon lower (func $host) (memory (core memory $lib "memory")) (realloc
      (core func $lib "realloc"))))
    (core module $main
      (import "lib" "memory" (memory 1)) (import "" "host" (func $host (param i32 i32 i32)))
      (func (export "through") (param i32 i32) (result i32)
        (call $host (local.get 0) (local.get 1) (i32.const 16))
        (i32.load (i32.const 16)))
      (func (export "after") (param i32) (drop (memory.grow (i32.const 1)))))
    (core instance $main (instantiate $main
      (with "lib" (instance $lib)) (with "" (instance (export "host" (func $host))))))
    (func (export "grow") (param "n" u32) (result s32) (canon lift (core func $lib "grow")))
    (func (export "grow-table") (param "n" u32) (result s32) (canon lift
      (core func $lib "grow-table")))
    (func (export "pages") (result u32) (canon lift (core func $lib "pages")))
    (func (export "through") (param "s" string) (result u32)
      (canon lift (core func $main "through") (memory (core memory $lib "memory")) (realloc
        (core func $lib "realloc"))
        (post-return (core func $main "after")))))"#;

/// A limiter of the host that records the requests, in pages and entries.
#[derive(Debug, Default)]
struct Own {
    asked: Vec<(char, usize, usize)>,
    /// The maximum size in pages.
    pages: usize,
    /// The answer to larger requests.
    verdict: Option<Verdict>,
    released: usize,
    instances: usize,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Error,
    Panic,
}

impl ResourceLimiter for Own {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        assert!(maximum >= Some(desired));
        self.asked.push(('m', current >> 16, desired >> 16));
        match self.verdict {
            _ if desired >> 16 <= self.pages => Ok(true),
            None => Ok(false),
            Some(Verdict::Error) => anyhow_error("no more memory for you"),
            Some(Verdict::Panic) => panic!("the limiter panics"),
        }
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.asked.push(('t', current, desired));
        Ok(desired < 10)
    }

    fn memory_released(&mut self, bytes: usize) {
        self.released += bytes >> 16;
    }

    fn instances(&self) -> usize {
        self.instances
    }
}

fn anyhow_error<T>(message: &'static str) -> Result<T> {
    Err(Error::msg(message))
}

fn make(engine: &Engine, own: Own) -> Result<(Store<Own>, Instance)> {
    let component = Component::new(engine, GROWS)?;
    let mut linker = Linker::<Own>::new(engine);
    linker
        .root()
        .func_wrap("host", |_, (text,): (String,)| Ok((text,)))?;
    let mut store = Store::new(engine, own);
    store.limiter(|own| own);
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

fn grow(store: &mut Store<Own>, instance: &Instance, name: &str, by: u32) -> Result<i32> {
    let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut *store, name)?;
    Ok(grow.call(store, (by,))?.0)
}

#[test]
fn a_limiter_is_asked_wherever_guest_code_runs() -> Result<()> {
    let own = Own {
        pages: 100,
        instances: 1,
        ..Own::default()
    };
    let (mut store, instance) = make(&Engine::default(), own)?;
    assert_eq!(
        std::mem::take(&mut store.data_mut().asked),
        [('m', 0, 1), ('t', 0, 2)]
    );
    assert_eq!(grow(&mut store, &instance, "grow", 2)?, 1);
    assert_eq!(grow(&mut store, &instance, "grow-table", 3)?, 2);
    assert_eq!(grow(&mut store, &instance, "grow-table", 5)?, -1);
    assert_eq!(
        std::mem::take(&mut store.data_mut().asked),
        [('m', 1, 3), ('t', 2, 5), ('t', 5, 10)]
    );
    // Once for the parameter, once for the result of the host, once in `post-return`.
    let through = instance.get_typed_func::<(&str,), (u32,)>(&mut store, "through")?;
    assert_eq!(through.call(&mut store, ("text",))?, (4 << 16,));
    assert_eq!(
        std::mem::take(&mut store.data_mut().asked),
        [('m', 3, 4), ('m', 4, 5), ('m', 5, 6)]
    );
    let pages = instance.get_typed_func::<(), (u32,)>(&mut store, "pages")?;
    assert_eq!(pages.call(&mut store, ())?, (6,));
    Ok(())
}

/// An error or a panic of the limiter is the call's, be it in a function, in `realloc` on either
/// way, or in `post-return`.
#[test]
fn errors_and_panics_of_limiters_end_the_call() -> Result<()> {
    let engine = Engine::default();
    for (pages, own_call) in [(1, true), (1, false), (2, false), (3, false)] {
        for verdict in [Verdict::Error, Verdict::Panic] {
            let own = Own {
                pages,
                instances: 1,
                verdict: Some(verdict),
                ..Own::default()
            };
            let (mut store, instance) = make(&engine, own)?;
            let result = catch_unwind(AssertUnwindSafe(|| match own_call {
                true => grow(&mut store, &instance, "grow", 1).map(drop),
                false => {
                    let through =
                        instance.get_typed_func::<(&str,), (u32,)>(&mut store, "through")?;
                    through.call(&mut store, ("text",)).map(drop)
                }
            }));
            match (verdict, result) {
                (Verdict::Error, Ok(Err(error))) => {
                    assert_eq!(error.root_cause().to_string(), "no more memory for you")
                }
                (Verdict::Panic, Err(payload)) => {
                    assert_eq!(payload.downcast_ref(), Some(&"the limiter panics"))
                }
                (_, other) => panic!("{pages} {own_call}: {other:?}"),
            }
            // The instance cannot be entered again.
            assert!(grow(&mut store, &instance, "grow", 0).is_err());
        }
    }
    Ok(())
}

#[test]
fn initial_sizes_are_requested_and_released() -> Result<()> {
    let engine = Engine::default();
    let own = |pages, instances| Own {
        pages,
        instances,
        ..Own::default()
    };
    let error = make(&engine, own(0, 1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "memory 0 starts with 65536 bytes, which the store's limiter refuses; raise \
         `StoreLimitsBuilder::memory_size` or `StoreLimitsBuilder::total_memory_size`, or change \
         what `Store::limiter` was given"
    );
    let error = make(&engine, own(1, 0)).unwrap_err().to_string();
    assert!(
        error.contains("1 instances, more than the 0 that its limiter allows"),
        "{error}"
    );

    // The second of two memories is too large.
    let text =
        "(component (core module $m (memory 2) (memory 5)) (core instance (instantiate $m)))";
    let mut store = Store::new(&engine, own(4, 1));
    store.limiter(|own| own);
    let component = Component::new(&engine, text)?;
    let linker = Linker::new(&engine);
    linker.instantiate(&mut store, &component).unwrap_err();
    assert_eq!(store.data().asked, [('m', 0, 2), ('m', 0, 5)]);
    assert_eq!(store.data().released, 2);
    // The pool has no free slot.
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_component_instances(0)))?;
    let mut store = Store::new(&engine, own(9, 1));
    store.limiter(|own| own);
    let error = Linker::new(&engine)
        .instantiate(&mut store, &Component::new(&engine, text)?)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("PoolConfig::total_component_instances"),
        "{error}"
    );
    assert_eq!(store.data().released, 7);
    Ok(())
}

fn limited(engine: &Engine, limits: StoreLimits) -> Result<(Store<StoreLimits>, Instance)> {
    let component = Component::new(engine, GROWS)?;
    let mut linker = Linker::<StoreLimits>::new(engine);
    linker
        .root()
        .func_wrap("host", |_, (text,): (String,)| Ok((text,)))?;
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

#[test]
fn all_memories_of_a_store_have_a_limit_together() -> Result<()> {
    let engine = Engine::default();
    // Room for five pages, and for the tables of two instances.
    let limits = StoreLimitsBuilder::new()
        .total_memory_size((5 << 16) + 2 * 2 * 8)
        .build();
    let (mut store, first) = limited(&engine, limits)?;
    let mut linker = Linker::<StoreLimits>::new(&engine);
    linker
        .root()
        .func_wrap("host", |_, (text,): (String,)| Ok((text,)))?;
    let pre = linker.instantiate_pre(first.component(&store))?;
    let second = pre.instantiate(&mut store)?;
    let mut grow = |instance: &Instance, by| -> Result<i32> {
        let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow")?;
        Ok(grow.call(&mut store, (by,))?.0)
    };
    assert_eq!(grow(&first, 2)?, 1);
    assert_eq!(grow(&second, 2)?, -1);
    assert_eq!(grow(&second, 1)?, 1);
    assert_eq!(grow(&first, 1)?, -1);
    let error = pre.instantiate(&mut store).unwrap_err().to_string();
    assert!(error.contains("total_memory_size"), "{error}");
    Ok(())
}

#[test]
fn growth_can_trap_instead_of_failing() -> Result<()> {
    let engine = Engine::default();
    for (limits, name, message) in [
        (
            StoreLimitsBuilder::new().memory_size(2 << 16),
            "grow",
            "a memory is to grow from 65536 to 196608 bytes, more than the 131072 that \
             `StoreLimitsBuilder::memory_size` allows",
        ),
        (
            StoreLimitsBuilder::new().total_memory_size((2 << 16) + 2 * 8),
            "grow",
            "a memory is to grow from 65536 to 196608 bytes, but all memories, GC heaps and tables \
             of the store together already have 65552 of the 131088 bytes that \
             `StoreLimitsBuilder::total_memory_size` allows",
        ),
        (
            StoreLimitsBuilder::new().total_memory_size((1 << 16) + 3 * 8),
            "grow-table",
            "a table is to grow from 2 to 4 entries, but all memories, GC heaps and tables of the \
             store together already have 65552 of the 65560 bytes that \
             `StoreLimitsBuilder::total_memory_size` allows",
        ),
        (
            StoreLimitsBuilder::new().table_elements(3),
            "grow-table",
            "a table is to grow from 2 to 4 entries, more than the 3 that \
             `StoreLimitsBuilder::table_elements` allows",
        ),
    ] {
        for trap in [false, true] {
            let (mut store, instance) =
                limited(&engine, limits.clone().trap_on_grow_failure(trap).build())?;
            let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, name)?;
            match grow.call(&mut store, (2,)) {
                Ok(result) => assert!(!trap && result == (-1,)),
                Err(error) => assert!(
                    trap && error.root_cause().to_string() == message,
                    "{error:?}"
                ),
            }
        }
    }
    Ok(())
}

/// A guest with a memory and a GC heap, which starts with 64 KiB for objects that never move
/// and as much in each half. `grow` makes an array of so many bytes, which it keeps in place of the
/// last one.
const OBJECTS: &str = r#"(component
    (core module $m
      (type $bytes (array (mut i8)))
      (memory 1)
      (global $fixed (ref $bytes) (array.new $bytes (i32.const 1) (i32.const 10)))
      (global $kept (mut (ref null $bytes)) (ref.null $bytes))
      (func (export "grow") (param i32) (result i32)
        (global.set $kept (array.new_default $bytes (local.get 0)))
        (i32.add (array.len (global.get $kept)) (array.get_u $bytes (global.get $fixed)
          (i32.const 0)))))
    (core instance $i (instantiate $m))
    (func (export "grow") (param "n" u32) (result s32) (canon lift (core func $i "grow"))))"#;

fn with_objects<T: ResourceLimiter + 'static>(
    engine: &Engine,
    limiter: T,
) -> (Store<T>, Result<Instance>) {
    let component = Component::new(engine, OBJECTS).unwrap();
    let mut store = Store::new(engine, limiter);
    store.limiter(|limiter| limiter);
    let instance = Linker::new(engine).instantiate(&mut store, &component);
    (store, instance)
}

/// What a heap starts with and grows to, with all that belongs to it. It is first asked for more
/// than is needed, and then for that.
#[test]
fn limiters_are_asked_about_gc_heaps() -> Result<()> {
    let engine = Engine::new(Config::new().wasm_gc(true))?;
    let own = |pages, verdict| Own {
        pages,
        verdict,
        instances: 1,
        ..Own::default()
    };
    let start = [('m', 0, 1), ('m', 0, 3)];
    let (mut store, instance) = with_objects(&engine, own(100, None));
    let instance = instance?;
    assert_eq!(std::mem::take(&mut store.data_mut().asked), start);
    for (bytes, asked) in [
        (100_000, &[('m', 3, 5)][..]),
        (200_000, &[('m', 5, 15)]),
        (100_000, &[]),
    ] {
        assert_eq!(
            grow(&mut store, &instance, "grow", bytes)?,
            bytes as i32 + 1
        );
        assert_eq!(std::mem::take(&mut store.data_mut().asked), asked);
    }

    for verdict in [None, Some(Verdict::Error), Some(Verdict::Panic)] {
        // The larger request is refused. An error of the limiter has no effect then.
        let (mut store, instance) = with_objects(&engine, own(11, verdict));
        let instance = instance?;
        assert_eq!(grow(&mut store, &instance, "grow", 100_000)?, 100_001);
        assert_eq!(grow(&mut store, &instance, "grow", 200_000)?, 200_001);
        assert_eq!(
            store.data().asked[2..],
            [('m', 3, 5), ('m', 5, 15), ('m', 5, 11)]
        );
        let error = grow(&mut store, &instance, "grow", u32::MAX).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&Trap::AllocationTooLarge),
            "{error:?}"
        );
        // No growth is needed.
        let (mut store, instance) = with_objects(&engine, own(3, verdict));
        let instance = instance?;
        for _ in 0..5 {
            assert_eq!(grow(&mut store, &instance, "grow", 30_000)?, 30_001);
        }
        assert!(
            store.data().asked[2..]
                .iter()
                .all(|&asked| asked == ('m', 3, 5))
        );
        assert!(store.data().asked.len() > 2);
        // The smaller request is refused as well.
        let (mut store, instance) = with_objects(&engine, own(10, verdict));
        let instance = instance?;
        assert_eq!(grow(&mut store, &instance, "grow", 100_000)?, 100_001);
        let result = catch_unwind(AssertUnwindSafe(|| {
            grow(&mut store, &instance, "grow", 200_000)
        }));
        match (verdict, result) {
            (None, Ok(Err(error))) => assert_eq!(
                error.downcast_ref(),
                Some(&Trap::HeapExhausted),
                "{error:?}"
            ),
            (Some(Verdict::Error), Ok(Err(error))) => {
                assert_eq!(error.root_cause().to_string(), "no more memory for you")
            }
            (Some(Verdict::Panic), Err(payload)) => {
                assert_eq!(payload.downcast_ref(), Some(&"the limiter panics"))
            }
            (_, other) => panic!("{verdict:?}: {other:?}"),
        }
        assert_eq!(store.data().asked[3..], [('m', 5, 15), ('m', 5, 11)]);
        assert!(
            grow(&mut store, &instance, "grow", 0).is_err(),
            "the instance is done for"
        );
        assert_eq!(store.data().released, 0);
    }

    // An instance whose heap is refused at the start is not made, and has no memory, either.
    let (store, instance) = with_objects(&engine, own(2, None));
    let error = instance.unwrap_err().to_string();
    assert!(
        error.starts_with("the GC heap of component instance 0 starts with 196608 bytes"),
        "{error}"
    );
    assert_eq!(
        (&store.data().asked[..], store.data().released),
        (&start[..], 1)
    );
    let mut config = Config::new();
    let engine = Engine::new(
        config
            .wasm_gc(true)
            .pool(PoolConfig::new().total_component_instances(0)),
    )?;
    let (store, instance) = with_objects(&engine, own(9, None));
    assert!(instance.is_err());
    assert_eq!(store.data().released, 4);
    Ok(())
}

/// `StoreLimits` limits GC heaps as memories, each and in total.
#[test]
fn gc_heaps_count_as_memories() -> Result<()> {
    let engine = Engine::new(Config::new().wasm_gc(true))?;
    for (limits, setting) in [
        (
            StoreLimitsBuilder::new().memory_size(10 << 16),
            "memory_size",
        ),
        (
            StoreLimitsBuilder::new().total_memory_size(11 << 16),
            "total_memory_size",
        ),
    ] {
        for trap in [false, true] {
            let (mut store, instance) =
                with_objects(&engine, limits.clone().trap_on_grow_failure(trap).build());
            let instance = instance?;
            let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow")?;
            assert_eq!(grow.call(&mut store, (100_000,))?, (100_001,));
            let error = grow.call(&mut store, (200_000,)).unwrap_err();
            if trap {
                let start = format!(
                    "a memory is to grow from {} to {} bytes, ",
                    5 << 16,
                    11 << 16
                );
                let setting = format!("`StoreLimitsBuilder::{setting}` allows");
                let message = error.root_cause().to_string();
                assert!(
                    message.starts_with(&start) && message.ends_with(&setting),
                    "{message}"
                );
            } else {
                assert_eq!(
                    error.downcast_ref(),
                    Some(&Trap::HeapExhausted),
                    "{error:?}"
                );
            }
        }
    }
    for memories in [1, 2] {
        let limits = StoreLimitsBuilder::new().memories(memories).build();
        assert_eq!(with_objects(&engine, limits).1.is_ok(), memories == 2);
    }
    Ok(())
}

/// With a pool of one slot, an idle slot that starts after the start function makes room for an
/// instance that is not allowed to, and so has to start before it.
#[test]
fn idle_slots_of_the_same_component_make_room() -> Result<()> {
    let engine = Engine::new(Config::new().pool(PoolConfig::new().total_component_instances(1)))?;
    let component = Component::new(
        &engine,
        "(component
           (core module $m (memory 1) (func $start (drop (memory.grow (i32.const 10))))
             (start $start))
           (core instance (instantiate $m)))",
    )?;
    let linker = Linker::<StoreLimits>::new(&engine);
    let make = |bytes: usize| {
        let mut store = Store::new(
            &engine,
            StoreLimitsBuilder::new().memory_size(bytes).build(),
        );
        store.limiter(|limits| limits);
        linker.instantiate(&mut store, &component)?;
        Ok::<_, Error>(store)
    };
    for bytes in [
        usize::MAX,
        usize::MAX,
        65536,
        65536,
        usize::MAX,
        65536,
        65536,
    ] {
        let used = make(bytes)?;
        let error = make(bytes).map(drop).unwrap_err().to_string();
        assert!(error.contains("all 1 slots are in use"), "{error}");
        drop(used);
    }
    Ok(())
}

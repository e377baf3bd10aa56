//! Lists of bytes that the host writes straight into guest memory.

use crate::common::message;
use mintage::component::{Component, InPlaceList, Instance, Linker};
use mintage::{ComponentType, Engine, Error, Lower, Result, Store, StoreContextMut, Trap};
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

const OPTIONS: &str = r#"(memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))"#;

/// A component that sums the bytes of lists: those that its imports return and those that it is
/// passed. `realloc` moves a block that is made smaller, and counts such calls.
fn component(engine: &Engine) -> Result<Component> {
    let text = format!(
        r#"(component
            (import "read" (func $read (result (result (list u8) (error u8)))))
            (type $wrapped' (record
                (field "number" u8) (field "bytes" (option (list u8))) (field "after" u32)))
            (import "wrapped-type" (type $wrapped (eq $wrapped')))
            (import "wrapped" (func $wrapped (result $wrapped)))
            (core module $libc
                (memory (export "mem") 4)
                (global $next (mut i32) (i32.const 4096))
                (global $smaller (export "smaller") (mut i32) (i32.const 0))
                (func (export "realloc") (param $old i32) (param $old-size i32) (param i32)
                    (param $size i32) (result i32)
                    (local $start i32)
                    (local.set $start (global.get $next))
                    (global.set $next (i32.add (global.get $next) (local.get $size)))
                    (if (local.get $old-size) (then
                        (if (i32.ge_u (local.get $size) (local.get $old-size))
                            (then (unreachable)))
                        (global.set $smaller (i32.add (global.get $smaller) (i32.const 1)))
                        (memory.copy (local.get $start) (local.get $old) (local.get $size))
                        (memory.fill (local.get $old) (i32.const 255) (local.get $old-size))))
                    (local.get $start)))
            (core instance $libc (instantiate $libc))
            (core func $read (canon lower (func $read) {OPTIONS}))
            (core func $wrapped (canon lower (func $wrapped) {OPTIONS}))
            (core module $m
                (import "" "read" (func $read (param i32)))
                (import "" "wrapped" (func $wrapped (param i32)))
                (import "libc" "mem" (memory 4))
                (import "libc" "smaller" (global $smaller (mut i32)))
                (func $sum (export "sum") (param $at i32) (param $len i32) (result i32)
                    (local $end i32) (local $sum i32)
                    (local.set $end (i32.add (local.get $at) (local.get $len)))
                    (block $done (loop $next
                        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                        (local.set $sum
                            (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br $next)))
                    (local.get $sum))
                ;; The sum of the list, or a million and the number of an error.
                (func (export "read") (result i32)
                    (call $read (i32.const 64))
                    (if (result i32) (i32.load8_u (i32.const 64))
                        (then (i32.add (i32.const 1000000) (i32.load8_u (i32.const 68))))
                        (else
                            (call $sum (i32.load (i32.const 68)) (i32.load (i32.const 72))))))
                ;; The sum of the list and of the fields around it.
                (func (export "wrapped") (result i32)
                    (call $wrapped (i32.const 64))
                    (i32.add (i32.load8_u (i32.const 64))
                        (i32.add (i32.load (i32.const 80))
                            (call $sum (i32.load (i32.const 72)) (i32.load (i32.const 76))))))
                (func (export "smaller") (result i32) (global.get $smaller)))
            (core instance $i (instantiate $m
                (with "" (instance (export "read" (func $read)) (export "wrapped" (func $wrapped))))
                (with "libc" (instance $libc))))
            (func (export "read") (result u32) (canon lift (core func $i "read")))
            (func (export "wrapped") (result u32) (canon lift (core func $i "wrapped")))
            (func (export "smaller") (result u32) (canon lift (core func $i "smaller")))
            (func (export "sum") (param "x" (list u8)) (result u32)
                (canon lift (core func $i "sum") {OPTIONS})))"#
    );
    Component::new(engine, text)
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Wrapped {
    number: u8,
    bytes: InPlaceList<Option<usize>>,
    after: u32,
}

/// A block of 100 ones, of which `outcome` says how they are used.
fn ones<O>(outcome: O) -> InPlaceList<O>
where
    O: mintage::InPlaceOutcome + Send + 'static,
{
    InPlaceList::new(100, move |block: &mut [u8]| {
        block.fill(1);
        Ok(outcome)
    })
}

struct Host {
    /// The sum of all blocks that were written.
    written: u64,
    file: Option<std::fs::File>,
}

type Reading = InPlaceList<Result<usize, u8>>;

fn instantiate(
    read: impl Fn(StoreContextMut<'_, Host>) -> Result<Reading> + Send + Sync + 'static,
) -> Result<(Store<Host>, Instance)> {
    let engine = Engine::default();
    let component = component(&engine)?;
    let mut linker = Linker::<Host>::new(&engine);
    linker
        .root()
        .func_wrap("read", move |store, ()| Ok((read(store)?,)))?;
    linker.root().func_wrap("wrapped", |_, ()| {
        let bytes = ones(Some(40));
        Ok((Wrapped {
            number: 100,
            bytes,
            after: 1000,
        },))
    })?;
    let host = Host {
        written: 0,
        file: None,
    };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

fn call(store: &mut Store<Host>, instance: Instance, name: &str) -> Result<u32> {
    let func = instance.get_typed_func::<(), (u32,)>(&mut *store, name)?;
    Ok(func.call(store, ())?.0)
}

#[test]
fn results_are_written_where_they_stay() -> Result<()> {
    let (mut store, instance) = instantiate(|_| Ok(ones(Ok(100))))?;
    assert_eq!(call(&mut store, instance, "read")?, 100);
    assert_eq!(call(&mut store, instance, "smaller")?, 0);
    assert_eq!(call(&mut store, instance, "wrapped")?, 1140);
    assert_eq!(call(&mut store, instance, "smaller")?, 1);
    Ok(())
}

/// The function decides after it was given the block: with fewer bytes, none, or an error.
#[test]
fn less_than_was_reserved_is_fine() -> Result<()> {
    for (outcome, expected) in [(Ok(99), 99), (Ok(1), 1), (Ok(0), 0), (Err(4), 1_000_004)] {
        let (mut store, instance) = instantiate(move |_| Ok(ones(outcome)))?;
        assert_eq!(call(&mut store, instance, "read")?, expected);
        assert_eq!(call(&mut store, instance, "smaller")?, 1, "{outcome:?}");
    }
    let (mut store, instance) = instantiate(|_| Ok(InPlaceList::new(0, |_| Ok(Err(7)))))?;
    assert_eq!(call(&mut store, instance, "read")?, 1_000_007);
    assert_eq!(call(&mut store, instance, "smaller")?, 0);
    Ok(())
}

#[test]
fn parameters_are_written_in_place() -> Result<()> {
    let (mut store, instance) = instantiate(|_| Ok(ones(Ok(0))))?;
    let sum = instance.get_typed_func::<(InPlaceList,), (u32,)>(&mut store, "sum")?;
    assert_eq!(sum.call(&mut store, (ones(100usize),))?, (100,));
    assert_eq!(sum.call(&mut store, (ones(10usize),))?, (10,));
    // An error leaves the instance as it was.
    let error = message(sum.call(&mut store, (ones(101usize),)));
    assert!(
        error.contains("has written 101 bytes, and 100 were reserved"),
        "{error}"
    );
    let failing = InPlaceList::<usize>::new(1, |_| Err(Error::msg("disk on fire")));
    assert_eq!(message(sum.call(&mut store, (failing,))), "disk on fire");
    assert_eq!(sum.call(&mut store, (ones(3usize),))?, (3,));
    Ok(())
}

/// A file is read into guest memory; what is left of it is asked for before.
#[test]
fn files_are_read_with_the_hosts_data() -> Result<()> {
    let (mut store, instance) = instantiate(|store| {
        let file = store.data().file.as_ref().expect("there is a file");
        let left = file.metadata()?.len() - (&*file).stream_position()?;
        let len = 100.min(left as usize);
        Ok(InPlaceList::with_data(
            len,
            |block: &mut [u8], host: &mut Host| {
                let read = host.file.as_mut().expect("there is a file").read(block)?;
                host.written += block[..read]
                    .iter()
                    .map(|&byte| u64::from(byte))
                    .sum::<u64>();
                Ok(if read == 0 { Err(1) } else { Ok(read) })
            },
        ))
    })?;
    let mut file = tempfile::tempfile()?;
    file.write_all(&[2; 130])?;
    file.rewind()?;
    store.data_mut().file = Some(file);
    for expected in [200, 60, 1_000_001] {
        assert_eq!(call(&mut store, instance, "read")?, expected);
    }
    assert_eq!(store.data().written, 260);
    assert_eq!(call(&mut store, instance, "smaller")?, 0);
    Ok(())
}

#[test]
fn data_of_another_type_is_an_error() -> Result<()> {
    let (mut store, instance) = instantiate(|_| {
        Ok(InPlaceList::with_data(1, |_: &mut [u8], _: &mut String| {
            Ok(Ok(0))
        }))
    })?;
    let error = message(call(&mut store, instance, "read"));
    assert!(
        error.contains("host data of type `alloc::string::String`"),
        "{error}"
    );
    Ok(())
}

/// An error or panic of the function is one of the host function, and ends the guest.
#[test]
fn failing_functions_stop_the_guest() -> Result<()> {
    let (mut store, instance) =
        instantiate(|_| Ok(InPlaceList::new(9, |_| Err(Error::msg("disk on fire")))))?;
    let error = message(call(&mut store, instance, "read"));
    assert!(error.contains("disk on fire"), "{error}");
    let again = call(&mut store, instance, "smaller").unwrap_err();
    assert_eq!(again.downcast_ref(), Some(&Trap::CannotEnterComponent));

    let (mut store, instance) = instantiate(|_| Ok(InPlaceList::new(9, |_| panic!("head crash"))))?;
    let panic = catch_unwind(AssertUnwindSafe(|| call(&mut store, instance, "read")));
    let payload = panic.expect_err("the panic is passed on");
    assert_eq!(payload.downcast_ref(), Some(&"head crash"));
    let again = call(&mut store, instance, "smaller").unwrap_err();
    assert_eq!(again.downcast_ref(), Some(&Trap::CannotEnterComponent));

    // For parameters, too.
    let (mut store, instance) = instantiate(|_| Ok(ones(Ok(0))))?;
    let sum = instance.get_typed_func::<(InPlaceList,), (u32,)>(&mut store, "sum")?;
    let list = InPlaceList::<usize>::new(9, |_| panic!("head crash"));
    let panic = catch_unwind(AssertUnwindSafe(|| sum.call(&mut store, (list,))));
    assert!(panic.is_err());
    assert!(sum.call(&mut store, (ones(1usize),)).is_err());
    Ok(())
}

/// Where the host calls what it has itself defined, a memory of the host stands in for a guest's.
#[test]
fn no_guest_is_needed() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component (import "f" (func $f (result (list u8)))) (export "g" (func $f)))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker.root().func_wrap("f", |_, ()| {
        Ok((InPlaceList::with_data(
            10,
            |block: &mut [u8], data: &mut u32| {
                *data = block.len() as u32;
                block[..3].copy_from_slice(b"abc");
                Ok(3usize)
            },
        ),))
    })?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component)?;
    let g = instance.get_typed_func::<(), (Vec<u8>,)>(&mut store, "g")?;
    assert_eq!(g.call(&mut store, ())?, (b"abc".to_vec(),));
    assert_eq!(*store.data(), 10);
    Ok(())
}

#[test]
fn types_are_checked() -> Result<()> {
    let (mut store, instance) = instantiate(|_| Ok(ones(Ok(0))))?;
    let sum = instance.get_typed_func::<(InPlaceList<Option<usize>>,), (u32,)>(&mut store, "sum");
    let error = message(sum);
    assert!(
        error.contains("`list<u8>`") && error.contains("`option<list<u8>>`"),
        "{error}"
    );
    Ok(())
}

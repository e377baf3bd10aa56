//! Views of strings and lists that stay in guest memory.

use crate::common::{self, OPTIONS, message};
use mintage::component::{Component, Instance, Lift, Linker, TypedFunc, WasmList, WasmStr};
use mintage::{ComponentNamedList, Engine, Error, Resource, Result, Store, StoreContextMut, Trap};
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A component that passes any address and length to its import `host`, as a value of type `ty`.
fn passing(engine: &Engine, ty: &str, encoding: &str, data: &str) -> Result<Component> {
    let text = format!(
        r#"(component
            (import "file" (type $file (sub resource)))
            (import "host" (func $host (param "x" {ty})))
            (core module $libc (memory (export "mem") 1) {data})
            (core instance $libc (instantiate $libc))
            (core func $host (canon lower (func $host) (memory (core memory $libc "mem"))
                string-encoding={encoding}))
            (core module $m (import "" "host" (func $host (param i32 i32)))
                (func (export "pass") (param i32 i32)
                    (call $host (local.get 0) (local.get 1))))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $host))))))
            (func (export "pass") (param "pointer" u32) (param "len" u32)
                (canon lift (core func $i "pass"))))"#
    );
    Component::new(engine, text)
}

/// Calls `host` with what is at `pointer`.
fn pass<P: ComponentNamedList + Lift + 'static>(
    component: &Component,
    (pointer, len): (u32, u32),
    host: impl Fn(StoreContextMut<'_, ()>, P) -> Result<()> + Send + Sync + 'static,
) -> Result<()> {
    let mut linker = Linker::<()>::new(component.engine());
    linker.root().func_wrap("host", host)?;
    let ty = mintage::ResourceType::host::<()>();
    linker.root().resource("file", ty, |_, _| Ok(()))?;
    let mut store = Store::new(component.engine(), ());
    let instance = linker.instantiate(&mut store, component)?;
    let pass = instance.get_typed_func::<(u32, u32), ()>(&mut store, "pass")?;
    pass.call(&mut store, (pointer, len))
}

#[test]
fn strings_stay_where_they_are_in_utf8_only() -> Result<()> {
    let engine = Engine::default();
    let utf8 = passing(
        &engine,
        "string",
        "utf8",
        r#"(data (i32.const 9) "gr\c3\bc\c3\9fe")"#,
    )?;
    pass(&utf8, (9, 7), |store, (text,): (WasmStr,)| {
        let text = text.to_str(&store)?;
        assert!(matches!(text, Cow::Borrowed("grüße")), "{text:?}");
        Ok(())
    })?;
    let utf16 = passing(
        &engine,
        "string",
        "utf16",
        r#"(data (i32.const 8) "h\00\fc\00")"#,
    )?;
    pass(&utf16, (8, 2), |mut store, (text,): (WasmStr,)| {
        assert_eq!(text.to_str(&mut store)?, "hü");
        Ok(())
    })?;
    let latin1 = passing(
        &engine,
        "string",
        "latin1+utf16",
        r#"(data (i32.const 8) "h\fc")"#,
    )?;
    pass(&latin1, (8, 2), |store, (text,): (WasmStr,)| {
        assert_eq!(text.to_str(store)?, "hü");
        Ok(())
    })?;
    pass(&latin1, (8, 1 | 1 << 31), |store, (text,): (WasmStr,)| {
        assert_eq!(text.to_str(store)?, "\u{fc68}");
        Ok(())
    })
}

/// The elements are checked when they are looked at, the place when the call begins.
#[test]
fn bad_strings_are_errors() -> Result<()> {
    let engine = Engine::default();
    let see = |store: StoreContextMut<'_, ()>, (text,): (WasmStr,)| {
        let error = text.to_str(&store).map(|_| ()).unwrap_err();
        assert!(error.downcast_ref::<Trap>().is_some(), "{error:?}");
        Ok(())
    };
    let never = |_: StoreContextMut<'_, ()>, _: (WasmStr,)| -> Result<()> {
        panic!("the string is not in memory")
    };
    let utf8 = passing(&engine, "string", "utf8", r#"(data (i32.const 0) "\ff")"#)?;
    pass(&utf8, (0, 1), see)?;
    pass(&utf8, (65536, 0), |store, (text,): (WasmStr,)| {
        assert_eq!(text.to_str(store)?, "");
        Ok(())
    })?;
    for place in [
        (65536, 1),
        (65537, 0),
        (u32::MAX, 1),
        (1, u32::MAX),
        (0, 65537),
    ] {
        let error = pass(&utf8, place, never).unwrap_err();
        let trap = error.downcast_ref::<Trap>();
        let expected = [Trap::StringOutOfBounds, Trap::StringTooLong];
        assert!(
            trap.is_some_and(|trap| expected.contains(trap)),
            "{place:?}: {error:?}"
        );
    }
    let utf16 = passing(
        &engine,
        "string",
        "utf16",
        r#"(data (i32.const 0) "\00\d8")"#,
    )?;
    pass(&utf16, (0, 1), see)?;
    let error = pass(&utf16, (1, 1), never).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::UnalignedPointer));
    let error = pass(&utf16, (65534, 2), never).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StringOutOfBounds));
    Ok(())
}

#[test]
fn lists_of_integers_are_slices_of_guest_memory() -> Result<()> {
    let engine = Engine::default();
    let data = r#"(data (i32.const 8) "\01\02\03\04\05\06\07\08\ff\ff\ff\ff\ff\ff\ff\ff")"#;
    let bytes = passing(&engine, "(list u8)", "utf8", data)?;
    pass(&bytes, (10, 3), |mut store, (list,): (WasmList<u8>,)| {
        assert_eq!((list.len(), list.is_empty()), (3, false));
        let slice = list.as_le_slice(&store);
        assert_eq!(slice, [3, 4, 5]);
        assert_eq!(list.get(&mut store, 2).transpose()?, Some(5));
        assert!(list.get(&mut store, 3).is_none());
        assert!(list.get(&mut store, usize::MAX).is_none());
        let (slice, ()) = list.slice_and_data(&mut store)?;
        assert_eq!(slice, [3, 4, 5]);
        Ok(())
    })?;
    let longs = passing(&engine, "(list s64)", "utf8", data)?;
    pass(&longs, (8, 2), |mut store, (list,): (WasmList<i64>,)| {
        assert_eq!(list.as_le_slice(&store), [0x0807_0605_0403_0201, -1]);
        let items = list.iter(&mut store)?;
        assert_eq!(items.len(), 2);
        assert_eq!(
            items.collect::<Result<Vec<_>>>()?,
            [0x0807_0605_0403_0201, -1]
        );
        Ok(())
    })
}

#[test]
fn lists_of_other_types_are_lifted_element_by_element() -> Result<()> {
    let engine = Engine::default();
    // Two strings, of which the second is not UTF-8, and one that is out of bounds.
    let data = r#"(data (i32.const 8)
        "\20\00\00\00\02\00\00\00" "\22\00\00\00\01\00\00\00" "\22\00\00\00\ff\ff\ff\00")
        (data (i32.const 32) "hi\ff")"#;
    let names = passing(&engine, "(list string)", "utf8", data)?;
    pass(&names, (8, 3), |mut store, (list,): (WasmList<String>,)| {
        assert_eq!(list.get(&mut store, 0).transpose()?.as_deref(), Some("hi"));
        let traps: Vec<_> = list
            .iter(&mut store)?
            .map(|item| item.map_err(|error| error.downcast::<Trap>().expect("a trap")))
            .collect();
        let expected = [
            Ok("hi".to_string()),
            Err(Trap::InvalidUtf8),
            Err(Trap::StringOutOfBounds),
        ];
        assert_eq!(traps, expected);
        Ok(())
    })?;
    pass(
        &names,
        (8, 2),
        |mut store, (list,): (WasmList<WasmStr>,)| {
            let first = list.get(&mut store, 0).transpose()?.expect("an element");
            assert_eq!(first.to_str(&store)?, "hi");
            Ok(())
        },
    )?;
    let pairs = passing(&engine, "(list (tuple u8 (option u32)))", "utf8", data)?;
    pass(
        &pairs,
        (8, 2),
        |mut store, (list,): (WasmList<(u8, Option<u32>)>,)| {
            assert!(
                list.get(&mut store, 0).expect("an element").is_err(),
                "no such discriminant"
            );
            Ok(())
        },
    )
}

#[test]
fn bad_lists_are_errors() -> Result<()> {
    let engine = Engine::default();
    let never = |_: StoreContextMut<'_, ()>, _: (WasmList<u64>,)| -> Result<()> {
        panic!("the list is not in memory")
    };
    let list = passing(&engine, "(list u64)", "utf8", "")?;
    pass(&list, (65536, 0), |store, (list,): (WasmList<u64>,)| {
        assert!(list.is_empty() && list.as_le_slice(&store).is_empty());
        Ok(())
    })?;
    let cases = [
        ((4, 1), Trap::UnalignedPointer),
        ((65536, 1), Trap::ListOutOfBounds),
        ((65528, 2), Trap::ListOutOfBounds),
        ((0xffff_fff8, 2), Trap::ListOutOfBounds),
        ((0, u32::MAX), Trap::ListTooLong),
    ];
    for (place, expected) in cases {
        let error = pass(&list, place, never).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&expected),
            "{place:?}: {error:?}"
        );
    }
    Ok(())
}

/// A view takes no memory of the host, so it is not charged for. What is lifted from it is.
#[test]
fn only_copies_are_limited() -> Result<()> {
    let engine = Engine::default();
    let bytes = passing(&engine, "(list u8)", "utf8", "")?;
    let run = |copy: bool| {
        let mut linker = Linker::<()>::new(&engine);
        let ty = mintage::ResourceType::host::<()>();
        linker.root().resource("file", ty, |_, _| Ok(()))?;
        match copy {
            true => linker
                .root()
                .func_wrap("host", |_, (_,): (Vec<u8>,)| Ok(()))?,
            false => linker
                .root()
                .func_wrap("host", |store, (list,): (WasmList<u8>,)| {
                    assert_eq!(list.as_le_slice(&store).len(), 60_000);
                    Ok(())
                })?,
        }
        let mut store = Store::new(&engine, ());
        store.set_hostcall_fuel(1000);
        let instance = linker.instantiate(&mut store, &bytes)?;
        let pass = instance.get_typed_func::<(u32, u32), ()>(&mut store, "pass")?;
        pass.call(&mut store, (0, 60_000))
    };
    run(false)?;
    assert!(message(run(true)).contains("set_hostcall_fuel"));
    Ok(())
}

#[test]
fn handles_are_taken_once_and_borrows_are_not_for_views() -> Result<()> {
    let engine = Engine::default();
    let borrows = passing(&engine, "(list (borrow $file))", "utf8", "")?;
    pass(
        &borrows,
        (0, 1),
        |mut store, (list,): (WasmList<Resource<()>>,)| {
            let error = message(list.get(&mut store, 0).expect("an element"));
            assert!(
                error.contains("take a `Vec` instead of a `WasmList`"),
                "{error}"
            );
            Ok(())
        },
    )?;
    let owns = passing(&engine, "(list (own $file))", "utf8", "")?;
    pass(
        &owns,
        (0, 1),
        |mut store, (list,): (WasmList<Resource<()>>,)| {
            assert!(
                list.get(&mut store, 0).expect("an element").is_err(),
                "there is no handle 0"
            );
            Ok(())
        },
    )
}

/// A component that returns what is in its memory, changes it, grows it and traps.
fn returning(engine: &Engine) -> Result<Component> {
    common::component(
        engine,
        r#"(data (i32.const 16) "old text")
           (data (i32.const 64) "\10\00\00\00\08\00\00\00")
           (func (export "get") (result i32) (i32.const 64))
           (func (export "change") (memory.fill (i32.const 16) (i32.const 120) (i32.const 3)))
           (func (export "grow") (drop (memory.grow (i32.const 8))))
           (func (export "trap") unreachable)"#,
        &format!(
            r#"(func (export "text") (result string) (canon lift (core func $i "get") {OPTIONS}))
               (func (export "bytes") (result (list u8))
                   (canon lift (core func $i "get") {OPTIONS}))
               (func (export "change") (canon lift (core func $i "change")))
               (func (export "grow") (canon lift (core func $i "grow")))
               (func (export "trap") (canon lift (core func $i "trap")))"#
        ),
    )
}

fn func<R: ComponentNamedList + Lift>(
    store: &mut Store<()>,
    instance: Instance,
    name: &str,
) -> Result<TypedFunc<(), R>> {
    instance.get_typed_func::<(), R>(store, name)
}

#[test]
fn results_follow_their_memory() -> Result<()> {
    let engine = Engine::default();
    let component = returning(&engine)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let (text,) = func::<(WasmStr,)>(&mut store, instance, "text")?.call(&mut store, ())?;
    let (bytes,) = func::<(WasmList<u8>,)>(&mut store, instance, "bytes")?.call(&mut store, ())?;
    assert_eq!(text.to_str(&store)?, "old text");
    func::<()>(&mut store, instance, "grow")?.call(&mut store, ())?;
    assert_eq!(text.to_str(&store)?, "old text");
    func::<()>(&mut store, instance, "change")?.call(&mut store, ())?;
    assert_eq!(text.to_str(&store)?, "xxx text");
    assert_eq!(bytes.as_le_slice(&store), b"xxx text");
    // An instance that trapped cannot be entered, but its memory lasts as long as the store.
    assert!(
        func::<()>(&mut store, instance, "trap")?
            .call(&mut store, ())
            .is_err()
    );
    assert!(
        func::<()>(&mut store, instance, "grow")?
            .call(&mut store, ())
            .is_err()
    );
    assert_eq!(text.to_str(&store)?, "xxx text");
    assert_eq!(bytes.get(&mut store, 7).transpose()?, Some(b't'));
    Ok(())
}

#[test]
fn views_belong_to_one_store() -> Result<()> {
    let engine = Engine::default();
    let component = returning(&engine)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let (text,) = func::<(WasmStr,)>(&mut store, instance, "text")?.call(&mut store, ())?;
    let (bytes,) = func::<(WasmList<u8>,)>(&mut store, instance, "bytes")?.call(&mut store, ())?;
    drop(store);

    let mut other = Store::new(&engine, ());
    Linker::new(&engine).instantiate(&mut other, &component)?;
    let errors: [Error; 5] = [
        text.to_str(&other).map(|_| ()).unwrap_err(),
        bytes.get(&mut other, 0).expect("an element").unwrap_err(),
        bytes.iter(&mut other).map(|_| ()).unwrap_err(),
        bytes.try_as_le_slice(&other).unwrap_err(),
        bytes.slice_and_data(&mut other).unwrap_err(),
    ];
    for error in errors {
        let message = error.to_string();
        assert!(message.contains("another `Store`"), "{message}");
    }
    let slice = catch_unwind(AssertUnwindSafe(|| bytes.as_le_slice(&other).len()));
    assert!(slice.is_err());
    Ok(())
}

/// Where the host calls what it has itself defined, no guest has the values in its memory.
#[test]
fn without_a_guest_there_is_no_view() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component (import "f" (func $f (param "x" string))) (export "g" (func $f)))"#,
    )?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("f", |_, (_,): (WasmStr,)| Ok(()))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let g = instance.get_typed_func::<(&str,), ()>(&mut store, "g")?;
    let error = message(g.call(&mut store, ("text",)));
    assert!(error.contains("use `String` or `Vec`"), "{error}");
    Ok(())
}

/// Views can wait in host data, and move to other threads.
#[test]
fn views_are_send_and_sync_whatever_they_are_of() {
    fn check<T: Send + Sync + 'static>() {}
    check::<WasmStr>();
    check::<WasmList<std::rc::Rc<Cell<u8>>>>();
}

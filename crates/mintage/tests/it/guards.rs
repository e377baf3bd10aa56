//! Guards, which drop the resources of guests, and resource types of the host that are known only
//! at run time.

use crate::common::message;
use crate::resources::{counter, dropped, make};
use mintage::component::{
    Component, Linker, Resource, ResourceAny, ResourceDynamic, ResourceTable, ResourceType,
};
use mintage::{AsContextMut, Engine, Result, Store, StoreContextMut, Trap};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_guard_drops_its_resource_however_the_scope_ends() -> Result<()> {
    let (mut store, instance) = counter()?;
    let get = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "get")?;

    let resource = make(&mut store, &instance, 1)?;
    {
        let mut guard = resource.guard(&mut store);
        let resource = guard.resource();
        assert_eq!(get.call(&mut guard, (resource,))?, (1,));
        assert_eq!(get.call(guard.as_context_mut(), (resource,))?, (1,));
    }
    assert_eq!(dropped(&mut store, &instance)?, 1);
    assert!(resource.resource_drop(&mut store).is_err());

    let resource = make(&mut store, &instance, 2)?;
    let fails = |store: &mut Store<()>| -> Result<()> {
        let _guard = resource.guard(store);
        mintage::bail!("the host gives up")
    };
    assert_eq!(message(fails(&mut store)), "the host gives up");
    assert_eq!(dropped(&mut store, &instance)?, 12);

    let resource = make(&mut store, &instance, 3)?;
    resource.guard(&mut store).close()?;
    assert_eq!(dropped(&mut store, &instance)?, 123);

    let resource = make(&mut store, &instance, 4)?;
    assert_eq!(resource.guard(&mut store).release(), resource);
    assert_eq!(dropped(&mut store, &instance)?, 123, "it was released");
    assert_eq!(get.call(&mut store, (resource,))?, (4,));
    Ok(())
}

#[test]
fn guards_nest_and_own_stores() -> Result<()> {
    let (mut store, instance) = counter()?;
    let (first, second) = (
        make(&mut store, &instance, 1)?,
        make(&mut store, &instance, 2)?,
    );
    let mut outer = first.guard(store);
    {
        let mut inner = second.guard(&mut outer);
        let get = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut inner, "get")?;
        assert_eq!(get.call(&mut inner, (first,))?, (1,));
    }
    let dropped = instance.get_typed_func::<(), (u32,)>(&mut outer, "dropped")?;
    assert_eq!(
        dropped.call(&mut outer, ())?,
        (2,),
        "the inner one goes first"
    );
    outer.close()
}

#[test]
fn a_guard_leaves_what_was_given_away() -> Result<()> {
    let (mut store, instance) = counter()?;
    let take = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "take")?;
    let resource = make(&mut store, &instance, 1)?;
    {
        let mut guard = resource.guard(&mut store);
        take.call(&mut guard, (resource,))?;
        // A new resource in the same place is not the guard's.
        make_another(&mut guard, &instance)?;
    }
    assert_eq!(dropped(&mut store, &instance)?, 1);

    let resource = make(&mut store, &instance, 3)?;
    let mut guard = resource.guard(&mut store);
    take.call(&mut guard, (resource,))?;
    let error = message(guard.close());
    assert!(error.contains("given away before"), "{error}");
    Ok(())
}

fn make_another(
    mut store: impl AsContextMut,
    instance: &mintage::component::Instance,
) -> Result<ResourceAny> {
    let make = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "make")?;
    Ok(make.call(store, (2,))?.0)
}

#[test]
fn closing_a_guard_tells_how_the_destructor_failed() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (core module $d (func (export "drop") (param i32) unreachable))
            (core instance $d (instantiate $d))
            (type $r (resource (rep i32) (dtor (core func $d "drop"))))
            (core func $new (canon resource.new $r))
            (export $e "r" (type $r))
            (func (export "new") (param "rep" u32) (result (own $e))
                (canon lift (core func $new))))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    for closed in [true, false] {
        let instance = linker.instantiate(&mut store, &component)?;
        let new = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "new")?;
        let (resource,) = new.call(&mut store, (1,))?;
        let guard = resource.guard(&mut store);
        match closed {
            true => {
                let error = guard.close().unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
            }
            false => drop(guard),
        }
        // The trap has ended the instance either way.
        let again = new.call(&mut store, (1,)).unwrap_err();
        assert_eq!(again.downcast_ref(), Some(&Trap::CannotEnterComponent));
    }
    Ok(())
}

#[test]
fn a_panic_passes_a_guard() -> Result<()> {
    let (mut store, instance) = counter()?;
    let resource = make(&mut store, &instance, 1)?;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = resource.guard(&mut store);
        panic!("the host panics");
    }));
    assert!(panicked.is_err());
    assert_eq!(
        dropped(&mut store, &instance)?,
        0,
        "no code ran in the unwinding"
    );
    resource.resource_drop(&mut store)?;
    assert_eq!(dropped(&mut store, &instance)?, 1);
    Ok(())
}

const NUMBERED: &str = r#"(component
    (import "host" (instance $host
        (export "file" (type $file (sub resource)))
        (export "socket" (type $socket (sub resource)))
        (export "open" (func (result (own $file))))
        (export "size" (func (param "file" (borrow $file)) (result u32)))))
    (alias export $host "file" (type $file))
    (core func $open (canon lower (func $host "open")))
    (core func $size (canon lower (func $host "size")))
    (core func $drop (canon resource.drop $file))
    (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "size" (func $size (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (result i32)
            (local $file i32)
            (local.set $file (call $open))
            (call $size (local.get $file))
            (call $drop (local.get $file)))
        (func (export "echo") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "size" (func $size)) (export "drop" (func $drop))))))
    (func (export "run") (result u32) (canon lift (core func $i "run")))
    (func (export "echo") (param "file" (own $file)) (result (own $file))
        (canon lift (core func $i "echo"))))"#;

fn numbered(engine: &Engine, opens: u32) -> Result<Linker<Vec<u32>>> {
    let mut linker = Linker::new(engine);
    let mut host = linker.instance("host")?;
    for (number, name) in [(1, "file"), (2, "socket")] {
        host.resource(
            name,
            ResourceType::host_dynamic(number),
            |mut store: StoreContextMut<'_, Vec<u32>>, rep| {
                store.data_mut().push(rep);
                Ok(())
            },
        )?;
    }
    host.func_wrap("open", move |_, (): ()| {
        Ok((ResourceDynamic::new_own(7, opens),))
    })?;
    host.func_wrap("size", |_, (file,): (ResourceDynamic,)| {
        assert!(!file.owned());
        Ok((file.rep() * 10 + file.ty(),))
    })?;
    Ok(linker)
}

#[test]
fn resource_types_of_the_host_can_be_numbers() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, NUMBERED)?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = numbered(&engine, 1)?.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, (71,));
    assert_eq!(store.data(), &[7], "the destructor was called");

    // Through the guest and back, and as a handle.
    let echo =
        instance.get_typed_func::<(ResourceDynamic,), (ResourceDynamic,)>(&mut store, "echo")?;
    let (file,) = echo.call(&mut store, (ResourceDynamic::new_own(8, 1),))?;
    assert_eq!((file.rep(), file.ty(), file.owned()), (8, 1, true));
    let any = file.try_into_resource_any(&mut store)?;
    assert_eq!(any.ty(), ResourceType::host_dynamic(1));
    let echo_any = instance.get_typed_func::<(ResourceAny,), (ResourceAny,)>(&mut store, "echo")?;
    let (any,) = echo_any.call(&mut store, (any,))?;
    assert!(any.try_into_resource::<()>(&mut store).is_err());
    let file = ResourceDynamic::try_from_resource_any(any, &mut store)?;
    assert_eq!((file.rep(), file.ty()), (8, 1));

    let error = message(echo.call(&mut store, (ResourceDynamic::new_own(9, 2),)));
    assert!(
        error.contains("type number 2") && error.contains("has 1"),
        "{error}"
    );
    let borrowed = ResourceDynamic::new_borrow(9, 1);
    assert!(message(echo.call(&mut store, (borrowed,))).contains("borrow"));
    Ok(())
}

#[test]
fn a_resource_of_another_number_is_refused() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, NUMBERED)?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = numbered(&engine, 2)?.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
    let error = message(run.call(&mut store, ()));
    assert!(error.contains("resource type mismatch"), "{error}");

    // A static type is not a numbered one, at link time and in conversions.
    let file = Resource::<u8>::new_own(1);
    let any = file.try_into_resource_any(&mut store)?;
    let error = message(any.try_into_resource_dynamic(&mut store));
    assert!(error.contains("not of a numbered type"), "{error}");
    let echo = instance.get_typed_func::<(Resource<u8>,), (Resource<u8>,)>(&mut store, "echo");
    assert!(message(echo).contains("u8"));
    Ok(())
}

#[test]
fn entries_of_a_table_are_found_by_any_map() -> Result<()> {
    let mut table = ResourceTable::with_capacity(4);
    let (text, number) = (table.push("a")?, table.push(5u8)?);
    let ordered = BTreeMap::from([(number.rep(), 'n'), (text.rep(), 't'), (99, 'x')]);
    let hashed: HashMap<u32, char> = ordered.clone().into_iter().collect();
    for (value, tag) in table.iter_entries(ordered) {
        match tag {
            't' => assert!(value?.is::<&str>()),
            'n' => *value?.downcast_mut::<u8>().expect("a number") += 1,
            _ => assert!(value.is_err()),
        }
    }
    assert_eq!(table.iter_entries(hashed).count(), 3);
    assert_eq!(*table.get(&number)?, 6);
    Ok(())
}

//! What hosts ask of components and instances besides calls: exports by name and index, further
//! instances, sizes and places in memory, and what there is instead of core modules.

#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "names can be given by reference, too"
)]

use crate::common::message;
use mintage::component::{Component, ComponentExportIndex, Instance, Linker, types::ComponentItem};
use mintage::{Engine, ErrorKind, Module, Result, Store};
use std::ptr::NonNull;

const COMPONENT: &str = r#"(component
    (import "seed" (func $seed (result u32)))
    (core func $seed (canon lower (func $seed)))
    (core module $m
        (import "" "seed" (func $seed (result i32)))
        (memory (export "memory") 2)
        (table 5 funcref)
        (func (export "get") (result i32)
            (drop (table.get (i32.load (i32.const 0))))
            (call $seed)))
    (core instance $i (instantiate $m (with "" (instance (export "seed" (func $seed))))))
    (type $thing (resource (rep i32)))
    (component $api
        (import "get" (func $get (result u32)))
        (import "thing" (type $thing (sub resource)))
        (export "get" (func $get))
        (export "thing" (type $thing)))
    (func $get (result u32) (canon lift (core func $i "get")))
    (instance $api (instantiate $api (with "get" (func $get)) (with "thing" (type $thing))))
    (export "a:b/api@1.2.0" (instance $api)))"#;

fn linker(engine: &Engine) -> Result<Linker<u32>> {
    let mut linker = Linker::new(engine);
    linker
        .root()
        .func_wrap("seed", |store, (): ()| Ok((*store.data(),)))?;
    Ok(linker)
}

/// Calls the function behind whatever names it.
fn get(
    store: &mut Store<u32>,
    instance: &Instance,
    name: impl mintage::component::ExportLookup,
) -> Result<u32> {
    let get = instance.get_typed_func::<(), (u32,)>(&mut *store, name)?;
    let (value,) = get.call(&mut *store, ())?;
    get.post_return(&mut *store)?;
    get.func().post_return(store)?;
    Ok(value)
}

#[test]
fn exports_are_found_by_everything_that_names_them() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, 3);
    let instance = linker(&engine)?.instantiate(&mut store, &component)?;

    // As generated code does: the instance first, then the items in it.
    let (item, api) = component
        .get_export(None, "a:b/api@1.2.0")
        .expect("the instance");
    assert!(matches!(item, ComponentItem::ComponentInstance(_)));
    let (item, by_str) = component.get_export(Some(&api), "get").expect("a function");
    assert!(matches!(item, ComponentItem::ComponentFunc(_)));
    let by_string = component.get_export_index(Some(&api), String::from("get"));
    let by_reference = component.get_export_index(Some(&api), &String::from("get"));
    let by_index = component.get_export_index(None, by_str);
    for index in [by_string, by_reference, by_index] {
        assert_eq!(index, Some(by_str));
    }
    let (item, index) = component.get_export(None, &by_str).expect("a function");
    assert!(matches!(item, ComponentItem::ComponentFunc(_)) && index == by_str);

    assert_eq!(get(&mut store, &instance, by_str)?, 3);
    assert_eq!(get(&mut store, &instance, &by_str)?, 3);
    let index = |store: &mut Store<u32>, name: &str| -> Option<ComponentExportIndex> {
        let api = instance.get_export_index(&mut *store, None, "a:b/api@1.1.0")?;
        instance.get_export_index(store, Some(&api), name)
    };
    let found = index(&mut store, "get").expect("a compatible version has it");
    assert!(instance.get_func(&mut store, found).is_some());
    assert_eq!(index(&mut store, "other"), None);
    let thing = index(&mut store, "thing").expect("the resource type");
    assert!(instance.get_resource(&mut store, thing).is_some());
    assert!(instance.get_resource(&mut store, found).is_none());

    // An index of another component names nothing, even if that is equal.
    let other = Component::new(&engine, COMPONENT)?;
    assert!(other.get_export(None, by_str).is_none());
    let error = message(instance.get_typed_func::<(), (u32,)>(&mut store, "get"));
    assert!(error.contains("`get`"), "{error}");
    Ok(())
}

#[test]
fn an_instance_tells_what_it_was_made_from() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let api = component.get_export_index(None, "a:b/api@1.2.0");
    let name = component.get_export_index(api.as_ref(), "get").unwrap();
    let mut first = Store::new(&engine, 1);
    let instance = linker(&engine)?.instantiate(&mut first, &component)?;
    let pre = instance.instance_pre(&first);
    assert!(Engine::same(pre.engine(), &engine));

    let mut second = Store::new(&engine, 2);
    let again = pre.instantiate(&mut second)?;
    assert_eq!(
        get(&mut second, &again, name)?,
        2,
        "with its host functions"
    );
    assert_eq!(get(&mut first, &instance, name)?, 1);

    // As code does that `bindgen!` of Wasmtime has generated.
    let types = pre.instance_type();
    let (ComponentItem::ComponentFunc(ty), _) = pre.component().get_export(None, name).unwrap()
    else {
        panic!("`get` is a function")
    };
    ty.typecheck::<(), (u32,)>(&types)?;
    let error = message(ty.typecheck::<(), (u64,)>(&types));
    assert!(
        error.contains("`u32`") && error.contains("`u64`"),
        "{error}"
    );
    let other = Component::new(&engine, "(component)")?;
    let other = Linker::<()>::new(&engine).instantiate_pre(&other)?;
    let error = message(ty.typecheck::<(), (u32,)>(&other.instance_type()));
    assert!(error.contains("another component"), "{error}");
    Ok(())
}

#[test]
fn a_component_tells_what_it_needs_and_where_it_is() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let required = component.resources_required().expect("it is known");
    assert_eq!(required.num_memories, 1);
    assert_eq!(required.max_initial_memory_size, Some(2));
    assert_eq!(required.num_tables, 1);
    assert_eq!(required.max_initial_table_size, Some(5));
    let none = Component::new(&engine, "(component)")?;
    let required = none.resources_required().expect("it is known");
    assert_eq!((required.num_memories, required.num_tables), (0, 0));
    assert_eq!(required.max_initial_memory_size, None);

    let artifact = component.serialize()?;
    let (image, text) = (component.image_range(), component.text().as_ptr_range());
    assert!(image.end.addr() - image.start.addr() >= artifact.len());
    assert!(image.start <= text.start && text.end <= image.end && !text.is_empty());
    component.initialize_copy_on_write_image()?;

    // The bytes are needed during the call only.
    let mut bytes = artifact.into_boxed_slice();
    // SAFETY: the bytes are an artifact of this engine, and live through the call.
    let loaded = unsafe { Component::deserialize_raw(&engine, NonNull::from(&mut *bytes)) }?;
    drop(bytes);
    let mut store = Store::new(&engine, 9);
    let instance = linker(&engine)?.instantiate(&mut store, &loaded)?;
    let api = loaded.get_export_index(None, "a:b/api@1.2.0");
    let name = loaded.get_export_index(api.as_ref(), "get").unwrap();
    assert_eq!(get(&mut store, &instance, name)?, 9);

    let mut damaged = *b"not an artifact";
    // SAFETY: the bytes are refused.
    let error = unsafe { Component::deserialize_raw(&engine, NonNull::from(&mut damaged)) };
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::Artifact(_)));
    Ok(())
}

#[test]
fn core_modules_by_themselves_are_refused_with_advice() {
    let error = Module::new(&Engine::default(), "(module)").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = error.to_string();
    for advice in ["CodeBuilder::core_module", "Component::from_module"] {
        assert!(error.contains(advice), "{error}");
    }
}

//! Types of items as hosts match them: every kind, with annotations.

use mintage::component::types::{ComponentItem, Type};
use mintage::component::{Component, Linker, Val};
use mintage::{Config, Engine, Result, Store};

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model_implements(true)
        .wasm_component_model_fixed_length_lists(true)
        .wasm_component_model_map(true);
    Engine::new(&config)
}

/// Names the kind of an item. The match is exhaustive, as in hosts.
fn kind(item: &ComponentItem) -> &'static str {
    match item {
        ComponentItem::ComponentFunc(_) => "function",
        ComponentItem::CoreFunc(func) => match *func {},
        ComponentItem::Module(_) => "module",
        ComponentItem::Component(_) => "component",
        ComponentItem::ComponentInstance(_) => "instance",
        ComponentItem::Type(_) => "type",
        ComponentItem::Resource(_) => "resource",
    }
}

#[test]
fn items_of_every_kind_are_listed() -> Result<()> {
    let engine = engine()?;
    let component = Component::new(
        &engine,
        r#"(component
            (import "f" (func $f))
            (type $byte u8)
            (import "t" (type $t (eq $byte)))
            (import "r" (type $r (sub resource)))
            (type $hidden (func))
            (import "hidden" (type (eq $hidden)))
            (core module $m (func (export "f")))
            (component $c (import "x" (func)) (export "y" (func 0)))
            (instance $i (export "f" (func $f)))
            (export "i" (instance $i))
            (export "m" (core module $m))
            (export "c" (component $c))
            (export "f2" (func $f)))"#,
    )?;
    let ty = component.component_type();
    let imports: Vec<_> = ty
        .imports(&engine)
        .map(|(name, item)| (name, kind(&item.ty)))
        .collect();
    assert_eq!(
        imports,
        [("f", "function"), ("t", "type"), ("r", "resource")],
        "a type of functions is not an item"
    );
    let exports: Vec<_> = ty
        .exports(&engine)
        .map(|(name, item)| (name, kind(&item.ty)))
        .collect();
    assert_eq!(
        exports,
        [
            ("i", "instance"),
            ("m", "module"),
            ("c", "component"),
            ("f2", "function")
        ]
    );
    let inner = ty.get_export(&engine, "c").expect("the component").ty;
    let ComponentItem::Component(inner) = inner else {
        panic!("`c` is a component")
    };
    assert_eq!(
        inner.imports(&engine).len() + inner.exports(&engine).len(),
        0
    );
    assert!(component.get_export(None, "m").is_some());
    Ok(())
}

#[test]
fn annotations_are_told() -> Result<()> {
    let engine = engine()?;
    let component = Component::new(
        &engine,
        r#"(component
            (import "primary" (implements "a:b/store@1.2.0") (external-id "db-1") (instance $p
                (export "get" (func (result u32)))))
            (import "plain" (instance (export "get" (func))))
            (export "again" (external-id "out") (instance $p)))"#,
    )?;
    let ty = component.component_type();
    let primary = ty.get_import(&engine, "primary").expect("the import");
    assert_eq!(primary.implements, Some("a:b/store@1.2.0"));
    assert_eq!(primary.external_id, Some("db-1"));
    for (name, implemented) in [
        ("a:b/store@1.2.0", true),
        ("a:b/store@1.0.5", true),
        ("a:b/store@2.0.0", false),
        ("a:b/store", false),
        ("primary", false),
    ] {
        assert_eq!(primary.is_implements(name), implemented, "{name}");
    }
    let plain = ty.get_import(&engine, "plain").expect("the import");
    assert_eq!((plain.implements, plain.external_id), (None, None));
    assert!(!plain.is_implements("plain"));
    let again = ty.get_export(&engine, "again").expect("the export");
    assert_eq!(again.external_id, Some("out"));

    // They are in the artifact as well.
    // SAFETY: the bytes are an artifact of this engine.
    let loaded = unsafe { Component::deserialize(&engine, component.serialize()?) }?;
    let ty = loaded.component_type();
    let primary = ty.get_import(&engine, "primary").expect("the import");
    assert_eq!(primary.external_id, Some("db-1"));
    Ok(())
}

#[test]
fn types_are_unwrapped() -> Result<()> {
    let engine = engine()?;
    let component = Component::new(
        &engine,
        r#"(component (import "f" (func
            (param "list" (list u8)) (param "tuple" (tuple u8 char)) (param "option" (option s8))
            (param "result" (result u8)) (param "fixed" (list u16 3))
            (param "map" (map u8 char)))))"#,
    )?;
    let ty = component.component_type();
    let ComponentItem::ComponentFunc(func) = ty.get_import(&engine, "f").unwrap().ty else {
        panic!("`f` is a function")
    };
    let types: Vec<_> = func.params().map(|(_, ty)| ty).collect();
    assert_eq!(types[0].unwrap_list().ty(), Type::U8);
    assert_eq!(types[1].unwrap_tuple().types().len(), 2);
    assert_eq!(types[2].unwrap_option().ty(), Type::S8);
    assert_eq!(types[3].unwrap_result().ok(), Some(Type::U8));
    let Type::FixedLengthList(list) = &types[4] else {
        panic!("`fixed` is a list of fixed length")
    };
    assert_eq!((list.ty(), list.len()), (Type::U16, 3));
    assert_eq!(types[4].to_string(), "list<u16, 3>");
    let Type::Map(map) = &types[5] else {
        panic!("`map` is a map")
    };
    assert_eq!((map.key(), map.value()), (Type::U8, Type::Char));
    let panicked = std::panic::catch_unwind(|| types[0].unwrap_record().clone());
    let message = panicked.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, "expected a record, found the type `list<u8>`");
    Ok(())
}

#[test]
fn lists_of_fixed_length_are_values_of_their_own() -> Result<()> {
    let engine = engine()?;
    let component = Component::new(
        &engine,
        r#"(component
            (core module $m
                (memory (export "mem") 1)
                (func (export "pair") (param i32 i32) (result i32)
                    (i32.store (i32.const 8) (local.get 1))
                    (i32.store (i32.const 12) (local.get 0))
                    (i32.const 8)))
            (core instance $i (instantiate $m))
            (func (export "list") (param "x" (list u32 2)) (result (list u32 2))
                (canon lift (core func $i "pair") (memory (core memory $i "mem"))))
            (func (export "tuple") (param "x" (tuple u32 u32)) (result (tuple u32 u32))
                (canon lift (core func $i "pair") (memory (core memory $i "mem")))))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let pair = || vec![Val::U32(1), Val::U32(2)];
    let reversed = || vec![Val::U32(2), Val::U32(1)];
    let (list, tuple) = (Val::FixedLengthList, Val::Tuple);
    let mut results = [Val::Bool(false)];
    for (name, value, expected) in [
        ("list", list(pair()), Ok(list(reversed()))),
        ("tuple", tuple(pair()), Ok(tuple(reversed()))),
        (
            "list",
            tuple(pair()),
            Err("expected `list<u32, 2>`, found a value of kind `tuple`"),
        ),
        (
            "tuple",
            list(pair()),
            Err("found a value of kind `list of fixed length`"),
        ),
        (
            "list",
            list(vec![Val::U32(1)]),
            Err("found a list of fixed length of 1 values"),
        ),
        (
            "list",
            Val::List(pair()),
            Err("found a value of kind `list`"),
        ),
    ] {
        let func = instance.get_func(&mut store, name).expect("a function");
        let called = func.call(&mut store, &[value], &mut results);
        match expected {
            Ok(expected) => {
                called?;
                assert_eq!(results[0], expected);
            }
            Err(expected) => {
                let error = crate::common::message(called);
                assert!(error.contains(expected), "{error}");
            }
        }
    }
    Ok(())
}

#[test]
fn hosts_match_every_value_and_type() {
    // Without a wildcard: it fails to compile when a variant is missing or new.
    fn is_handle(value: &Val) -> bool {
        match value {
            Val::Bool(_) | Val::S8(_) | Val::U8(_) | Val::S16(_) | Val::U16(_) => false,
            Val::S32(_) | Val::U32(_) | Val::S64(_) | Val::U64(_) => false,
            Val::Float32(_) | Val::Float64(_) | Val::Char(_) | Val::String(_) => false,
            Val::List(_) | Val::Map(_) | Val::Record(_) | Val::Tuple(_) => false,
            Val::Variant(..) | Val::Enum(_) | Val::Option(_) | Val::Result(_) => false,
            Val::Flags(_) | Val::FixedLengthList(_) => false,
            Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => true,
        }
    }
    fn is_number(ty: &Type) -> bool {
        match ty {
            Type::S8 | Type::U8 | Type::S16 | Type::U16 | Type::S32 | Type::U32 => true,
            Type::S64 | Type::U64 | Type::Float32 | Type::Float64 => true,
            Type::Bool | Type::Char | Type::String | Type::List(_) | Type::Map(_) => false,
            Type::Record(_) | Type::Tuple(_) | Type::Variant(_) | Type::Enum(_) => false,
            Type::Option(_) | Type::Result(_) | Type::Flags(_) | Type::Own(_) => false,
            Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => false,
            Type::FixedLengthList(_) => false,
        }
    }
    assert!(!is_handle(&Val::from(1u8)) && is_number(&Type::U8));
    assert_eq!(Val::from('x'), Val::Char('x'));
    assert_eq!(Val::from(String::from("x")), Val::from("x"));
    assert_eq!(Val::Float32(f32::NAN), Val::Float32(-f32::NAN));
    assert_ne!(Val::Float64(0.0), Val::Float64(-0.0));
    let flags = |names: [&str; 2]| Val::Flags(names.map(String::from).to_vec());
    assert_eq!(flags(["a", "b"]), flags(["b", "a"]));
}

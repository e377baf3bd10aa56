//! Imports by name and type, exports by name and index, reflection, artifacts.

use crate::common::message;
use mintage::types::ComponentItem;
use mintage::{
    Component, Config, Engine, Linker, LinkerInstance, Resource, ResourceType, Result, Store,
    StoreContextMut, Val,
};

/// Imports functions at the root and in instances, one of them twice at two versions; calls the
/// last.
const IMPORTER: &str = r#"(component
    (import "plain" (func $plain (param "x" u32)))
    (import "a:b/c@0.2.3" (instance $c
        (type $r' (record (field "a" u8)))
        (export "r" (type $r (eq $r')))
        (export "get" (func (param "r" $r) (param "s" string) (result (list u8))))
        (export "number" (func (result u32)))))
    (import "a:b/types@1.0.0" (instance (type $t' (enum "x")) (export "t" (type (eq $t')))))
    (core func $number (canon lower (func $c "number")))
    (core module $m
        (import "" "number" (func $number (result i32)))
        (func (export "f") (result i32) (call $number)))
    (core instance $i (instantiate $m (with "" (instance (export "number" (func $number))))))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

type Define = fn(&mut Linker<u32>) -> Result<()>;

fn number(mut instance: LinkerInstance<'_, u32>) -> Result<()> {
    instance.func_wrap("number", |store, (): ()| Ok((*store.data(),)))
}

fn any(mut instance: LinkerInstance<'_, u32>, name: &str) -> Result<()> {
    instance.func_new(name, |_, _, _, _| Ok(()))
}

#[test]
fn missing_and_wrong_imports_are_named_with_their_types() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, IMPORTER)?;
    let cases: &[(Define, &str)] = &[
        (
            |_| Ok(()),
            "the linker lacks 3 of the component's imports:\n  \
             plain: func(x: u32)\n  \
             a:b/c@0.2.3.get: func(r: record { a: u8 }, s: string) -> list<u8>\n  \
             a:b/c@0.2.3.number: func() -> u32",
        ),
        (
            |linker| {
                any(linker.root(), "plain")?;
                number(linker.instance("a:b/c@0.2.12")?)
            },
            "the linker lacks 1 of the component's imports:\n  \
             a:b/c@0.2.3.get: func(r: record { a: u8 }, s: string) -> list<u8>",
        ),
        (
            |linker| {
                any(linker.root(), "plain")?;
                number(linker.instance("a:b/c@0.3.0")?)
            },
            "the linker lacks 2 of the component's imports:\n  \
             a:b/c@0.2.3.get: func(r: record { a: u8 }, s: string) -> list<u8>\n  \
             a:b/c@0.2.3.number: func() -> u32",
        ),
        (
            |linker| linker.root().func_wrap("plain", |_, (_,): (u64,)| Ok(())),
            "with another type:\n  plain: type mismatch in parameter 1 (`x`): the component has \
             `u32`, the host function has `u64`",
        ),
        (
            |linker| {
                linker
                    .root()
                    .func_wrap("plain", |_, (_,): (u32,)| Ok((String::new(),)))
            },
            "plain: the component's function `func(x: u32)` has 0 results, the host function has 1",
        ),
        (
            |linker| {
                linker
                    .instance("a:b/c@0.2.3")?
                    .func_wrap("number", |_, (): ()| Ok((Some('x'),)))
            },
            "a:b/c@0.2.3.number: type mismatch in the result: the component has `u32`, the host \
             function has `option<char>`",
        ),
        (
            |linker| linker.instance("plain").map(|_| ()),
            "plain: the component has `func(x: u32)`, and the linker defines an instance of that \
             name",
        ),
        (
            |linker| any(linker.root(), "a:b/c@0.2.0"),
            "a:b/c@0.2.3: the component has `instance`, and the linker defines a function of that \
             name",
        ),
    ];
    for (define, expected) in cases {
        let mut linker = Linker::new(&engine);
        define(&mut linker)?;
        let message = message(linker.instantiate_pre(&component));
        assert!(message.contains(expected), "{message}");
    }
    Ok(())
}

#[test]
fn compatible_versions_link() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, IMPORTER)?;
    let mut linker = Linker::new(&engine);
    any(linker.root(), "plain")?;
    let mut instance = linker.instance("a:b/c@0.2.0")?;
    any(instance.instance("nested")?, "unused")?;
    any(instance, "get")?;
    number(linker.instance("a:b/c@0.2.0")?)?;
    let mut store = Store::new(&engine, 77);
    let instance = linker
        .instantiate_pre(&component)?
        .clone()
        .instantiate(&mut store)?;
    assert_eq!(
        instance
            .get_typed_func::<(), (u32,)>(&mut store, "f")?
            .call(&mut store, ())?,
        (77,)
    );
    assert_eq!(store.into_data(), 77);
    Ok(())
}

#[test]
fn names_are_defined_once_unless_shadowing_is_allowed() -> Result<()> {
    let mut linker = Linker::<u32>::new(&Engine::default());
    any(linker.root(), "f")?;
    let expected =
        "`f` is already defined in the linker, as a function; see `Linker::allow_shadowing`";
    assert_eq!(message(any(linker.root(), "f")), expected);
    assert_eq!(
        message(linker.instance("f")),
        "`f` is already defined in the linker, as a function"
    );
    linker.allow_shadowing(true);
    any(linker.root(), "f")?;
    linker
        .root()
        .resource("r", ResourceType::host::<u8>(), |_, _| Ok(()))?;
    assert_eq!(
        message(linker.instance("r")),
        "`r` is already defined in the linker, as a resource type"
    );
    Ok(())
}

#[test]
fn unknown_imports_become_traps() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, IMPORTER)?;
    let mut linker = Linker::<u32>::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(&engine, 1);
    let instance = linker.instantiate(&mut store, &component)?;
    let f = instance.get_typed_func::<(), (u32,)>(&mut store, "f")?;
    let error = message(f.call(&mut store, ()));
    let start = "the host function `a:b/c@0.2.3.number` failed at wasm backtrace:";
    let end = ": it is defined as a trap (`Linker::define_unknown_imports_as_traps`)";
    assert!(error.starts_with(start) && error.ends_with(end), "{error}");

    // Existing definitions stay, also those of a compatible version.
    let mut linker = Linker::new(&engine);
    number(linker.instance("a:b/c@0.2.9")?)?;
    linker.define_unknown_imports_as_traps(&component)?;
    let instance = linker.instantiate(&mut store, &component)?;
    assert_eq!(
        instance
            .get_typed_func::<(), (u32,)>(&mut store, "f")?
            .call(&mut store, ())?,
        (1,)
    );
    Ok(())
}

/// The text of a component that imports a resource type from one interface, and from another that
/// uses it.
const USER_OF_TYPE: &str = r#"(component
    (import "a:b/streams@0.2.3" (instance $streams (export "stream" (type (sub resource)))))
    (alias export $streams "stream" (type $stream))
    (import "a:b/console@0.2.3" (instance $console
        (alias outer 1 $stream (type $outer))
        (export "stream" (type $stream (eq $outer)))
        (type $own (own $stream))
        (export "get" (func (result $own)))))
    (core module $m
        (import "" "get" (func $get (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "f") (call $drop (call $get))))
    (core func $get (canon lower (func $console "get")))
    (core func $drop (canon resource.drop $stream))
    (core instance $i (instantiate $m (with "" (instance (export "get" (func $get)) (export "drop"
      (func $drop))))))
    (func (export "f") (canon lift (core func $i "f"))))"#;

#[test]
fn a_type_that_is_imported_again_needs_one_definition() -> Result<()> {
    struct Stream;
    let engine = Engine::default();
    let component = Component::new(&engine, USER_OF_TYPE)?;
    let mut linker = Linker::<u32>::new(&engine);
    let missing = "the linker lacks 2 of the component's imports:\n  \
                   a:b/streams@0.2.3.stream: resource\n  \
                   a:b/console@0.2.3.get: func() -> own<stream>";
    assert_eq!(message(linker.instantiate_pre(&component)), missing);

    let get = |_: StoreContextMut<'_, u32>, ()| Ok((Resource::<Stream>::new_own(7),));
    linker
        .instance("a:b/console@0.2.0")?
        .func_wrap("get", get)?;
    let dropped = |mut store: StoreContextMut<'_, u32>, rep| {
        *store.data_mut() += rep;
        Ok(())
    };
    let mut streams = linker.instance("a:b/streams@0.2.0")?;
    streams.resource("stream", ResourceType::host::<Stream>(), dropped)?;
    // Here everything is defined, and the type is not defined again.
    linker.define_unknown_imports_as_traps(&component)?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "f")?
        .call(&mut store, ())?;
    assert_eq!(store.into_data(), 7);

    // A definition of the second name is compared with the first.
    let mut console = linker.instance("a:b/console@0.2.0")?;
    console.resource("stream", ResourceType::host::<u8>(), |_, _| Ok(()))?;
    let expected = "a:b/console@0.2.3.stream: it is the same resource type as an earlier import, \
                    but the linker defines another type of that name";
    let message = message(linker.instantiate_pre(&component));
    assert!(message.contains(expected), "{message}");

    let mut unknown = Linker::<u32>::new(&engine);
    unknown.define_unknown_imports_as_traps(&component)?;
    unknown.instantiate_pre(&component)?;
    Ok(())
}

/// The text of a component that exports functions at the root and in an instance.
const EXPORTER: &str = r#"(component
    (core module $m (func (export "one") (result i32) (i32.const 1)) (func (export "two")
      (result i32) (i32.const 2)))
    (core instance $i (instantiate $m))
    (func $one (result u32) (canon lift (core func $i "one")))
    (func $two (result u32) (canon lift (core func $i "two")))
    (type $color' (enum "red" "blue"))
    (export $color "color" (type $color'))
    (instance $inner (export "two" (func $two)))
    (export "a:b/inner@1.2.0" (instance $inner))
    (export "one" (func $one)))"#;

#[test]
fn exports_by_name_and_index() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, EXPORTER)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    for name in ["a:b/inner@1.2.0", "a:b/inner@1.0.0"] {
        let inner = instance
            .get_export_index(&mut store, None, name)
            .expect("an exported instance");
        let two = component
            .get_export_index(Some(&inner), "two")
            .expect("its function");
        assert_eq!(
            instance
                .get_typed_func::<(), (u32,)>(&mut store, two)?
                .call(&mut store, ())?,
            (2,)
        );
        assert!(component.get_export_index(Some(&two), "two").is_none());
        assert!(instance.get_func(&mut store, inner).is_none());
    }
    assert!(
        component
            .get_export_index(None, "a:b/inner@2.0.0")
            .is_none()
    );
    assert!(instance.get_func(&mut store, "two").is_none());
    let (item, one) = instance
        .get_export(&mut store, None, "one")
        .expect("an exported function");
    assert!(matches!(item, ComponentItem::ComponentFunc(ty) if ty.to_string() == "func() -> u32"));
    let mut results = [Val::Bool(false)];
    instance
        .get_func(&mut store, one)
        .expect("a function")
        .call(&mut store, &[], &mut results)?;
    assert_eq!(results, [Val::U32(1)]);
    assert_eq!(
        message(instance.get_typed_func::<(), ()>(&mut store, "color")),
        "the export `color` is not a function"
    );

    let other = Component::new(&engine, EXPORTER)?;
    assert!(
        other.get_export_index(None, one).is_none(),
        "an index is of one component only"
    );
    Ok(())
}

#[test]
fn resource_types_need_definitions() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    let resource = Component::new(&engine, r#"(component (import "r" (type (sub resource))))"#)?;
    assert_eq!(
        message(linker.instantiate_pre(&resource)),
        "the linker lacks 1 of the component's imports:\n  r: resource"
    );
    linker
        .root()
        .resource("r", ResourceType::host::<String>(), |_, _| Ok(()))?;
    linker.instantiate(&mut store, &resource)?;
    Ok(())
}

#[test]
fn types_are_reflected() -> Result<()> {
    let engine = Engine::default();
    let ty = Component::new(&engine, IMPORTER)?.component_type();
    let imports: Vec<_> = ty
        .imports(&engine)
        .map(|(name, item)| format!("{name}: {:?}", item.ty))
        .collect();
    assert_eq!(imports[0], "plain: ComponentFunc(func(x: u32))");
    let Some(ComponentItem::ComponentInstance(c)) =
        ty.get_import(&engine, "a:b/c@0.2.3").map(|item| item.ty)
    else {
        panic!("an instance is imported")
    };
    let Some(ComponentItem::ComponentFunc(get)) = c.get_export(&engine, "get").map(|item| item.ty)
    else {
        panic!("it has a function")
    };
    let params: Vec<_> = get
        .params()
        .map(|(name, ty)| format!("{name}: {ty}"))
        .collect();
    assert_eq!(params, ["r: record { a: u8 }", "s: string"]);
    assert_eq!(
        get.results().map(|ty| ty.to_string()).collect::<Vec<_>>(),
        ["list<u8>"]
    );

    let ty = Component::new(&engine, EXPORTER)?.component_type();
    let mut names: Vec<_> = ty.exports(&engine).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["a:b/inner@1.2.0", "color", "one"]);
    assert!(matches!(
        ty.get_export(&engine, "color").map(|item| item.ty),
        Some(ComponentItem::Type(_))
    ));
    Ok(())
}

#[test]
fn artifacts_load_and_other_inputs_are_refused() -> Result<()> {
    let engine = Engine::default();
    let artifact = Component::new(&engine, EXPORTER)?.serialize()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("component.bin");
    std::fs::write(&path, &artifact)?;
    let text = folder.path().join("component.wat");
    std::fs::write(&text, EXPORTER)?;

    // SAFETY: the artifact was made by `serialize`, and nobody changes the file.
    let loaded = unsafe {
        [
            Component::deserialize(&engine, &artifact)?,
            Component::deserialize_file(&engine, &path)?,
        ]
    };
    for component in [
        &loaded[0],
        &loaded[1],
        &Component::from_file(&engine, &text)?,
    ] {
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, component)?;
        assert_eq!(
            instance
                .get_typed_func::<(), (u32,)>(&mut store, "one")?
                .call(&mut store, ())?,
            (1,)
        );
    }

    let refused = message(Component::new(&engine, &artifact));
    assert!(
        refused.contains("is not a component but a compiled artifact"),
        "{refused}"
    );
    for input in [EXPORTER.as_bytes(), b"\0asm\x0d\0\x01\0"] {
        // SAFETY: this is no artifact, so nothing is run.
        let refused = message(unsafe { Component::deserialize(&engine, input) });
        assert!(
            refused.contains("is not a compiled artifact but WebAssembly"),
            "{refused}"
        );
    }
    // SAFETY: as above.
    let refused = message(unsafe { Component::deserialize_file(&engine, &text) });
    assert!(
        refused.contains("is not a compiled artifact but WebAssembly"),
        "{refused}"
    );
    assert!(message(Component::new(&engine, [])).contains("empty"));
    assert!(
        message(Component::new(&engine, [0xff, 0xfe]))
            .contains("neither a component in binary form")
    );
    assert!(
        message(Component::from_binary(&engine, EXPORTER.as_bytes()))
            .contains("not a component in binary form")
    );

    // Other settings, and damage.
    let other = Engine::new(Config::new().memory_guard_size(1 << 20))?;
    // SAFETY: the settings do not match, so nothing is run.
    let refused = message(unsafe { Component::deserialize(&other, &artifact) });
    assert!(refused.contains("memory_guard"), "{refused}");
    let mut damaged = artifact.clone();
    damaged[artifact.len() / 2] ^= 1;
    // SAFETY: the damage is found before anything is run.
    unsafe { Component::deserialize(&engine, &damaged) }.expect_err("one bit is wrong");

    let foreign = Engine::default();
    let refused = message(Linker::<()>::new(&foreign).instantiate_pre(&loaded[0]));
    assert_eq!(
        refused,
        "the component belongs to another `Engine` than the linker"
    );
    Ok(())
}

#[test]
fn threads_are_a_setting() -> Result<()> {
    let component =
        |config: &mut Config| Component::new(&Engine::new(config)?, EXPORTER)?.serialize();
    let serial = component(Config::new().parallel_compilation(false))?;
    assert!(
        serial == component(Config::new().compilation_threads(3))?,
        "threads do not change the artifact"
    );
    Ok(())
}

//! Host functions, types and resources that a component exports again, and hosts that use them
//! through it.

use crate::common::message;
use mintage::types::ComponentItem;
use mintage::{
    Component, Engine, Instance, Linker, Resource, ResourceAny, ResourceTable, ResourceType,
    Result, Store, Trap, Val,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Exports what it imports under other names, at the root and in an instance; some of it also has
/// users inside.
const COMPONENT: &str = r#"(component
    (import "a:b/files@1.2.0" (instance $files
        (export "file" (type $file (sub resource)))
        (export "open" (func (param "name" string) (result (own $file))))
        (export "name" (func (param "f" (borrow $file)) (result string)))
        (export "two" (func (param "f" (borrow $file)) (param "g" (borrow $file)) (result string)))
        (export "close" (func (param "f" (own $file)) (result string)))))
    (import "join" (func $join (param "parts" (list string)) (param "by" char) (result string)))
    (import "many" (func $many
        (param "a" u8) (param "b" s16) (param "c" u32) (param "d" u64) (param "e" f32)
          (param "f" f64) (param "g" bool)
        (param "h" u8) (param "i" u8) (param "j" u8) (param "k" u8) (param "l" u8) (param "m" u8)
          (param "n" u8)
        (param "o" string) (param "p" (option u64)) (result (tuple u64 string))))
    (import "fail" (func $fail))
    (type $point' (record (field "x" s32) (field "y" s32)))
    (import "point" (type $point (eq $point')))
    (import "mirror" (func $mirror (param "p" $point) (result $point)))
    (export "joined" (func $join))
    (export "spilled" (func $many))
    (export "failing" (func $fail))
    (export "point" (type $point))
    (export "mirrored" (func $mirror))
    (export "files" (instance $files))
    (alias export $files "file" (type $f))
    (export "file" (type $f)))"#;

#[derive(Default)]
struct Host {
    files: ResourceTable,
    closed: Vec<String>,
}

fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    let mut root = linker.root();
    root.func_wrap("join", |_, (parts, by): (Vec<String>, char)| {
        Ok((parts.join(&by.to_string()),))
    })?;
    root.func_new("many", |_, ty, params, results| {
        assert_eq!((ty.params().len(), params.len()), (16, 16));
        results[0] = Val::Tuple(vec![
            params[3].clone(),
            Val::String(format!("{:?} {:?}", params[14], params[15])),
        ]);
        Ok(())
    })?;
    root.func_wrap("fail", |_, (): ()| -> Result<()> {
        Err(Trap::OutOfFuel.into())
    })?;
    root.func_new("mirror", |_, _, params, results| {
        results[0] = params[0].clone();
        Ok(())
    })?;
    let mut files = linker.instance("a:b/files@1.2.0")?;
    files.resource("file", ResourceType::host::<String>(), |mut store, rep| {
        let name = store
            .data_mut()
            .files
            .delete(Resource::<String>::new_own(rep))?;
        store.data_mut().closed.push(name);
        Ok(())
    })?;
    files.func_wrap("open", |mut store, (name,): (String,)| {
        Ok((store.data_mut().files.push(name)?,))
    })?;
    files.func_wrap("name", |store, (file,): (Resource<String>,)| {
        assert!(!file.owned());
        let name = store.data().files.get(&file)?.clone();
        assert_ne!(name, "panic", "as the test wants it");
        Ok((name,))
    })?;
    files.func_wrap(
        "two",
        |store, (f, g): (Resource<String>, Resource<String>)| {
            Ok((format!(
                "{} {}",
                store.data().files.get(&f)?,
                store.data().files.get(&g)?
            ),))
        },
    )?;
    files.func_wrap("close", |mut store, (file,): (Resource<String>,)| {
        Ok((store.data_mut().files.delete(file)?,))
    })?;
    Ok(linker)
}

fn instance() -> Result<(Store<Host>, Instance)> {
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker(&engine)?.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

#[test]
fn functions_are_called_with_rust_types_and_values() -> Result<()> {
    let (mut store, instance) = instance()?;
    let joined = instance.get_typed_func::<(&[&str], char), (String,)>(&mut store, "joined")?;
    assert_eq!(
        joined.call(&mut store, (&["a", "bc", ""], '-'))?,
        ("a-bc-".to_string(),)
    );
    assert_eq!(joined.call(&mut store, (&[], '-'))?, (String::new(),));

    let joined = instance.get_func(&mut store, "joined").expect("a function");
    assert_eq!(
        joined.ty(&store).to_string(),
        "func(parts: list<string>, by: char) -> string"
    );
    let parts = Val::List(vec![Val::String("x".into()), Val::String("y".into())]);
    let mut results = [Val::Bool(false)];
    joined.call(&mut store, &[parts, Val::Char('ä')], &mut results)?;
    assert_eq!(results, [Val::String("xäy".into())]);

    let mirrored = instance
        .get_func(&mut store, "mirrored")
        .expect("a function");
    let point = Val::Record(vec![
        ("x".into(), Val::S32(-1)),
        ("y".into(), Val::S32(i32::MAX)),
    ]);
    mirrored.call(&mut store, std::slice::from_ref(&point), &mut results)?;
    assert_eq!(results, [point]);
    Ok(())
}

#[test]
fn parameters_and_results_can_be_many() -> Result<()> {
    let (mut store, instance) = instance()?;
    let spilled = instance
        .get_func(&mut store, "spilled")
        .expect("a function");
    let mut params = vec![
        Val::U8(1),
        Val::S16(-2),
        Val::U32(3),
        Val::U64(u64::MAX),
        Val::Float32(1.5),
    ];
    params.extend([Val::Float64(2.5), Val::Bool(true)]);
    params.extend((0..7).map(Val::U8));
    params.extend([Val::String("text".into()), Val::Option(None)]);
    let mut results = [Val::Bool(false)];
    spilled.call(&mut store, &params, &mut results)?;
    let text = r#"String("text") Option(None)"#;
    assert_eq!(
        results,
        [Val::Tuple(vec![
            Val::U64(u64::MAX),
            Val::String(text.into())
        ])]
    );
    Ok(())
}

#[test]
fn types_are_checked_as_for_any_function() -> Result<()> {
    let (mut store, instance) = instance()?;
    assert_eq!(
        message(instance.get_typed_func::<(&str, char), (String,)>(&mut store, "joined")),
        "the exported function `joined` has another type: type mismatch in parameter 1 (`parts`): \
         the component has `list<string>`, the Rust type has `string`"
    );
    let joined = instance.get_func(&mut store, "joined").expect("a function");
    let mut results = [Val::Bool(false)];
    assert_eq!(
        message(joined.call(&mut store, &[Val::U8(1), Val::Char('a')], &mut results)),
        "in parameter 1: type mismatch: expected `list<string>`, found a value of kind `u8`"
    );
    assert_eq!(
        message(joined.call(&mut store, &[], &mut results)),
        "expected 2 parameters, got 0"
    );
    // A host function that returns a value of another type is an error here as well.
    let engine = Engine::default();
    let wrong = Component::new(
        &engine,
        r#"(component (import "f" (func $f (result u8))) (export "g" (func $f)))"#,
    )?;
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_new("f", |_, _, _, results| {
        results[0] = Val::U32(1);
        Ok(())
    })?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &wrong)?;
    let func = instance.get_func(&mut store, "g").expect("a function");
    assert_eq!(
        message(func.call(&mut store, &[], &mut results)),
        "in the result of the host function: type mismatch: expected `u8`, found a value of kind \
         `u32`"
    );
    // A store with another instance.
    let mut other = Store::new(&engine, ());
    assert!(message(func.call(&mut other, &[], &mut results)).contains("another `Store`"));
    Ok(())
}

#[test]
fn the_hosts_error_comes_back_and_breaks_nothing() -> Result<()> {
    let (mut store, instance) = instance()?;
    let failing = instance.get_typed_func::<(), ()>(&mut store, "failing")?;
    for _ in 0..2 {
        let error = failing.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel));
    }
    let joined = instance.get_typed_func::<(Vec<String>, char), (String,)>(&mut store, "joined")?;
    assert_eq!(
        joined.call(&mut store, (vec!["a".into()], '-'))?,
        ("a".to_string(),)
    );
    Ok(())
}

#[test]
fn resources_pass_through() -> Result<()> {
    let (mut store, instance) = instance()?;
    let files = instance
        .get_export_index(&mut store, None, "files")
        .expect("an instance");
    let mut func = |name| {
        let index = instance.get_export_index(&mut store, Some(&files), name);
        index.expect("a function of the instance")
    };
    let [open, name, two, close] = ["open", "name", "two", "close"].map(&mut func);
    assert_eq!(
        instance.get_resource(&mut store, "file"),
        Some(ResourceType::host::<String>())
    );
    let (item, _) = instance
        .get_export(&mut store, Some(&files), "file")
        .expect("a resource type");
    assert!(matches!(item, ComponentItem::Resource(ty) if ty == ResourceType::host::<String>()));

    // By their Rust type.
    let open_typed = instance.get_typed_func::<(&str,), (Resource<String>,)>(&mut store, open)?;
    let name_typed =
        instance.get_typed_func::<(&Resource<String>,), (String,)>(&mut store, name)?;
    let close_typed =
        instance.get_typed_func::<(&Resource<String>,), (String,)>(&mut store, close)?;
    let (file,) = open_typed.call(&mut store, ("first",))?;
    assert!(file.owned());
    assert_eq!(
        name_typed.call(&mut store, (&file,))?,
        ("first".to_string(),)
    );
    assert_eq!(
        close_typed.call(&mut store, (&file,))?,
        ("first".to_string(),)
    );
    assert!(
        close_typed.call(&mut store, (&file,)).is_err(),
        "it was given away"
    );

    // As handles of any type.
    let open = instance.get_typed_func::<(&str,), (ResourceAny,)>(&mut store, open)?;
    let two = instance.get_typed_func::<(ResourceAny, ResourceAny), (String,)>(&mut store, two)?;
    let close = instance.get_typed_func::<(ResourceAny,), (String,)>(&mut store, close)?;
    let (a,) = open.call(&mut store, ("a",))?;
    let (b,) = open.call(&mut store, ("b",))?;
    assert_eq!(two.call(&mut store, (a, b))?, ("a b".to_string(),));
    assert_eq!(two.call(&mut store, (a, a))?, ("a a".to_string(),));
    assert_eq!(close.call(&mut store, (b,))?, ("b".to_string(),));
    let gone = "the resource was dropped or given away before, or its borrow has ended";
    assert_eq!(message(two.call(&mut store, (a, b))), gone);
    // The loan of the first one ended with the call that failed.
    a.resource_drop(&mut store)?;
    assert_eq!(store.data().closed, ["a"]);
    Ok(())
}

/// Loans end when the host function panics.
#[test]
fn a_panic_ends_the_loans() -> Result<()> {
    let (mut store, instance) = instance()?;
    let files = instance
        .get_export_index(&mut store, None, "files")
        .expect("an instance");
    let func = |store: &mut Store<Host>, name| {
        instance
            .get_export_index(store, Some(&files), name)
            .expect("a function")
    };
    let (open, name) = (func(&mut store, "open"), func(&mut store, "name"));
    let open = instance.get_typed_func::<(&str,), (ResourceAny,)>(&mut store, open)?;
    let name = instance.get_typed_func::<(ResourceAny,), (String,)>(&mut store, name)?;
    let (bad,) = open.call(&mut store, ("panic",))?;
    let call = AssertUnwindSafe(|| name.call(&mut store, (bad,)));
    assert!(catch_unwind(call).is_err());
    let (good,) = open.call(&mut store, ("good",))?;
    assert_eq!(name.call(&mut store, (good,))?, ("good".to_string(),));
    for handle in [bad, good] {
        handle.resource_drop(&mut store)?;
    }
    assert_eq!(store.data().closed, ["panic", "good"]);
    Ok(())
}

/// A component calls a host function and exports it as well.
#[test]
fn a_guest_and_the_host_call_the_same_function() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (import "count" (func $count (result u32)))
            (core func $lowered (canon lower (func $count)))
            (core module $m
                (import "" "count" (func $count (result i32)))
                (func (export "twice") (result i32) (drop (call $count)) (call $count)))
            (core instance $i (instantiate $m (with "" (instance (export "count"
              (func $lowered))))))
            (func (export "twice") (result u32) (canon lift (core func $i "twice")))
            (component $inner
                (import "f" (func $f (result u32)))
                (export "g" (func $f)))
            (instance $inner (instantiate $inner (with "f" (func $count))))
            (export "inner" (instance $inner))
            (export "again" (func $count)))"#,
    )?;
    let mut linker = Linker::<u32>::new(&engine);
    linker.root().func_wrap("count", |mut store, (): ()| {
        *store.data_mut() += 1;
        Ok((*store.data(),))
    })?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &component)?;
    let inner = instance
        .get_export_index(&mut store, None, "inner")
        .expect("an instance");
    let inner = instance
        .get_export_index(&mut store, Some(&inner), "g")
        .expect("a function");
    let again = instance.get_typed_func::<(), (u32,)>(&mut store, "again")?;
    let twice = instance.get_typed_func::<(), (u32,)>(&mut store, "twice")?;
    let inner = instance.get_typed_func::<(), (u32,)>(&mut store, inner)?;
    assert_eq!(again.call(&mut store, ())?, (1,));
    assert_eq!(twice.call(&mut store, ())?, (3,));
    assert_eq!(inner.call(&mut store, ())?, (4,));
    Ok(())
}

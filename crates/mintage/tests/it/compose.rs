//! Components that implement imports of other components.

use crate::common::message;
use mintage::{
    CodeBuilder, Component, ComponentType, Engine, ErrorKind, Instance, Lift, Linker, Lower,
    Resource, ResourceAny, ResourceType, Result, Store, StoreContextMut,
};
use std::path::Path;

/// Composes `socket`, which errors call `app`, with `plugs` and their names.
fn compose(engine: &Engine, socket: &str, plugs: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut builder = CodeBuilder::new(engine);
    builder.wasm_binary_or_text(socket.as_bytes(), Some(Path::new("app")))?;
    for (name, plug) in plugs {
        builder.plug(plug.as_bytes(), Some(Path::new(name)))?;
    }
    Ok(builder.input()?.into_owned())
}

/// Composes, and instantiates the composition with the host's definitions.
fn instantiate(
    define: impl FnOnce(&mut Linker<Vec<u32>>) -> Result<()>,
    socket: &str,
    plugs: &[(&str, &str)],
) -> Result<(Store<Vec<u32>>, Instance)> {
    let engine = Engine::default();
    let component = Component::new(&engine, compose(&engine, socket, plugs)?)?;
    let mut linker = Linker::new(&engine);
    define(&mut linker)?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

/// Calls `run` of a composition, which the host gives nothing.
fn run(socket: &str, plugs: &[(&str, &str)], x: u32) -> Result<u32> {
    let (mut store, instance) = instantiate(|_| Ok(()), socket, plugs)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    Ok(run.call(&mut store, (x,))?.0)
}

/// A component with a function from `u32` to `u32` that calls the imported functions one after the
/// other and adds `plus`. Imports and export are names of interfaces, whose function is `f`.
fn stage(imports: &[&str], export: &str, plus: u32) -> String {
    let mut text = "(component".to_string();
    let (mut core_imports, mut args, mut body) = Default::default();
    for (i, import) in imports.iter().enumerate() {
        text += &format!(
            r#"(import "{import}" (instance $i{i} (export "f" (func (param "x" u32) (result u32)))))
               (core func $f{i} (canon lower (func $i{i} "f")))"#
        );
        core_imports =
            format!(r#"{core_imports} (import "" "f{i}" (func $f{i} (param i32) (result i32)))"#);
        args = format!(r#"{args} (export "f{i}" (func $f{i}))"#);
        body = match i {
            0 => "(call $f0 (local.get 0))".to_string(),
            _ => format!("(call $f{i} {body})"),
        };
    }
    let body = if imports.is_empty() {
        "(local.get 0)".into()
    } else {
        body
    };
    text += &format!(
        r#"(core module $m {core_imports}
               (func (export "f") (param i32) (result i32)
                   (i32.add {body} (i32.const {plus}))))
           (core instance $m (instantiate $m (with "" (instance {args}))))
           (func $f (param "x" u32) (result u32) (canon lift (core func $m "f")))"#
    );
    text += &match export {
        "run" => r#"(export "run" (func $f)))"#.to_string(),
        _ => format!(r#"(instance $e (export "f" (func $f))) (export "{export}" (instance $e)))"#),
    };
    text
}

#[test]
fn a_chain_of_three_in_either_order() -> Result<()> {
    let app = stage(&["t:b/b"], "run", 1);
    let b = stage(&["t:c/c"], "t:b/b", 10);
    let c = stage(&[], "t:c/c", 100);
    assert_eq!(run(&app, &[("b", &b), ("c", &c)], 1000)?, 1111);
    assert_eq!(run(&app, &[("c", &c), ("b", &b)], 1000)?, 1111);

    // The app may import from both.
    let app = stage(&["t:b/b", "t:c/c"], "run", 1);
    assert_eq!(run(&app, &[("b", &b), ("c", &c)], 1000)?, 1211);
    Ok(())
}

#[test]
fn plugs_with_the_same_interface_form_a_chain() -> Result<()> {
    let app = stage(&["t:a/handler"], "run", 0);
    let (outer, inner) = (
        stage(&["t:a/handler"], "t:a/handler", 1),
        stage(&["t:a/handler"], "t:a/handler", 20),
    );
    let end = stage(&[], "t:a/handler", 300);
    let plugs = [("outer", &*outer), ("inner", &*inner), ("end", &*end)];
    assert_eq!(run(&app, &plugs, 1000)?, 1321);
    Ok(())
}

#[test]
fn versions_are_compatible_and_exact_ones_come_first() -> Result<()> {
    let app = stage(&["t:a/x@1.2.0"], "run", 0);
    let (newer, exact) = (stage(&[], "t:a/x@1.3.0", 1), stage(&[], "t:a/x@1.2.0", 2));
    assert_eq!(run(&app, &[("newer", &newer)], 0)?, 1);
    let both = stage(&["t:a/x@1.2.0", "t:a/x@1.3.0"], "run", 0);
    assert_eq!(run(&both, &[("newer", &newer), ("exact", &exact)], 0)?, 3);
    let other = stage(&[], "t:a/x@2.0.0", 1);
    let error = message(compose(&Engine::default(), &app, &[("other", &other)]));
    assert!(error.contains("`app` imports `t:a/x@1.2.0`"), "{error}");
    Ok(())
}

/// Imports `sink` resources from the host, opens one, and has a plug write to it.
const SINK_APP: &str = r#"(component
    (import "h:io/error@0.2.0" (instance $err (export "error" (type (sub resource)))))
    (alias export $err "error" (type $error))
    (import "h:io/log@0.2.0" (instance $log
        (alias outer 1 $error (type $outer-error))
        (export "error" (type $error (eq $outer-error)))
        (type $level-names (enum "low" "high"))
        (export "level" (type $level (eq $level-names)))
        (type $place-fields (record (field "level" $level) (field "line" u32)))
        (export "place" (type $place (eq $place-fields)))
        (export "sink" (type $sink (sub resource)))
        (export "open" (func (param "place" $place) (result (result (own $sink)
            (error (own $error))))))))
    (alias export $log "sink" (type $sink))
    (import "t:b/writer" (instance $writer
        (alias outer 1 $sink (type $outer-sink))
        (export "sink" (type $sink (eq $outer-sink)))
        (export "write" (func (param "to" (borrow $sink)) (param "n" u32) (result u32)))))
    (core module $libc (memory (export "mem") 1))
    (core instance $libc (instantiate $libc))
    (core func $open (canon lower (func $log "open") (memory (core memory $libc "mem"))))
    (core func $write (canon lower (func $writer "write")))
    (core func $drop (canon resource.drop $sink))
    (core module $m
        (import "libc" "mem" (memory 1))
        (import "" "open" (func $open (param i32 i32 i32)))
        (import "" "write" (func $write (param i32 i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (param $n i32) (result i32)
            (local $sink i32)
            (call $open (i32.const 1) (i32.const 77) (i32.const 16))
            (if (i32.load8_u (i32.const 16)) (then unreachable))
            (local.set $sink (i32.load (i32.const 20)))
            (call $write (local.get $sink) (local.get $n))
            (call $drop (local.get $sink))))
    (core instance $m (instantiate $m (with "libc" (instance $libc)) (with "" (instance
        (export "open" (func $open)) (export "write" (func $write))
        (export "drop" (func $drop))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;

/// Implements `t:b/writer` with a method that the app does not import, of a newer version.
const SINK_PLUG: &str = r#"(component
    (import "plus" (func $plus (param "x" u32) (result u32)))
    (import "h:io/log@0.2.3" (instance $log
        (export "sink" (type $sink (sub resource)))
        (type $level-names (enum "low" "high"))
        (export "level" (type $level (eq $level-names)))
        (export "[method]sink.put" (func (param "self" (borrow $sink)) (param "n" u32)
            (param "level" $level) (result u32)))))
    (alias export $log "sink" (type $sink))
    (core func $plus (canon lower (func $plus)))
    (core func $put (canon lower (func $log "[method]sink.put")))
    (core func $drop (canon resource.drop $sink))
    (core module $m
        (import "" "plus" (func $plus (param i32) (result i32)))
        (import "" "put" (func $put (param i32 i32 i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "write") (param $to i32) (param $n i32) (result i32)
            (call $put (local.get $to) (call $plus (local.get $n)) (i32.const 1))
            (call $drop (local.get $to))))
    (core instance $m (instantiate $m (with "" (instance (export "plus" (func $plus))
        (export "put" (func $put)) (export "drop" (func $drop))))))
    (func $write (param "to" (borrow $sink)) (param "n" u32) (result u32)
        (canon lift (core func $m "write")))
    (instance $writer (export "sink" (type $sink)) (export "write" (func $write)))
    (export "t:b/writer" (instance $writer)))"#;

struct Sink;
struct Failure;

#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "low")]
    Low,
    #[component(name = "high")]
    High,
}

#[derive(ComponentType, Lift, Lower, Clone)]
#[component(record)]
struct Place {
    level: Level,
    line: u32,
}

/// Defines what the composition of [`SINK_APP`] and [`SINK_PLUG`] imports, with `version`.
fn define_sinks(linker: &mut Linker<Vec<u32>>, version: &str) -> Result<()> {
    type Context<'a> = StoreContextMut<'a, Vec<u32>>;
    linker
        .root()
        .func_wrap("plus", |_, (x,): (u32,)| Ok((x + 1,)))?;
    let mut error = linker.instance(&format!("h:io/error@{version}"))?;
    error.resource("error", ResourceType::host::<Failure>(), |_, _| Ok(()))?;
    let mut log = linker.instance(&format!("h:io/log@{version}"))?;
    log.resource(
        "sink",
        ResourceType::host::<Sink>(),
        |mut store: Context<'_>, rep| {
            store.data_mut().push(1000 + rep);
            Ok(())
        },
    )?;
    log.func_wrap("open", |_: Context<'_>, (place,): (Place,)| {
        assert!(matches!(place.level, Level::High));
        let sink = Resource::<Sink>::new_own(place.line);
        Ok((Ok::<_, Resource<Failure>>(sink),))
    })?;
    log.func_wrap(
        "[method]sink.put",
        |mut store: Context<'_>, (sink, n, level): (Resource<Sink>, u32, Level)| {
            assert!(!sink.owned() && matches!(level, Level::High));
            store.data_mut().extend([sink.rep(), n]);
            Ok((n * 2,))
        },
    )
}

#[test]
fn resources_of_shared_imports_are_the_same() -> Result<()> {
    let plugs = [("plug", SINK_PLUG)];
    let define = |linker: &mut Linker<_>| define_sinks(linker, "0.2.3");
    let (mut store, instance) = instantiate(define, SINK_APP, &plugs)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (7,))?, (16,));
    assert_eq!(store.data(), &[77, 8, 1077]);

    // Each interface is imported once, as the highest version, with the functions of both.
    let engine = Engine::default();
    let component = Component::new(&engine, compose(&engine, SINK_APP, &plugs)?)?;
    let ty = component.component_type();
    let imports: Vec<_> = ty
        .imports(&engine)
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(imports, ["h:io/error@0.2.0", "h:io/log@0.2.3", "plus"]);
    Ok(())
}

/// The import of a resource type with an alias, like that of `wasi:http/types`, whose `headers` are
/// `fields`. `more` is an export that not all parts need.
fn import_of_alias(more: &str) -> String {
    format!(
        r#"(component (import "h:io/types" (instance
            (export "fields" (type $fields (sub resource)))
            (export "headers" (type $headers (eq $fields)))
            {more}
            (export "[method]fields.size"
                (func (param "self" (borrow $fields)) (result u32)))
            (export "get" (func (result (own $headers))))))"#
    )
}

#[test]
fn functions_of_a_resource_are_not_those_of_its_alias() -> Result<()> {
    let methods = r#"(export "[method]fields.first"
        (func (param "self" (borrow $fields)) (result u32)))"#;
    let app = stage(&["t:b/b"], "run", 1);
    let app = app.replacen("(component", &import_of_alias(""), 1);
    let b = stage(&[], "t:b/b", 10);
    let b = b.replacen("(component", &import_of_alias(methods), 1);

    let engine = Engine::default();
    let component = Component::new(&engine, compose(&engine, &app, &[("b", &b)])?)?;
    let mut linker = Linker::new(&engine);
    let mut types = linker.instance("h:io/types")?;
    types.resource("fields", ResourceType::host::<Sink>(), |_, _| Ok(()))?;
    for name in ["[method]fields.size", "[method]fields.first"] {
        types.func_wrap(name, |_, (_,): (Resource<Sink>,)| Ok((1_u32,)))?;
    }
    types.func_wrap("get", |_, (): ()| Ok((Resource::<Sink>::new_own(1),)))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (1000,))?, (1011,));
    Ok(())
}

#[test]
fn shared_imports_with_other_types_are_an_error() {
    let engine = Engine::default();
    let plug = SINK_PLUG.replace(r#"(enum "low" "high")"#, r#"(enum "low" "middle" "high")"#);
    let error = compose(&engine, SINK_APP, &[("plug", &plug)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    let error = format!("{error:#}");
    assert!(
        error.contains("`plug` imports `h:io/log@0.2.3` with other types than another part")
            && error.contains("export `level`"),
        "{error}"
    );
}

/// Exports a resource type whose objects add up numbers, and the sum of all that are dropped.
const COUNTERS: &str = r#"(component
    (core module $state
        (global (export "dropped") (mut i32) (i32.const 0))
        (memory (export "mem") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.add (global.get $next) (local.get 3)))
            (i32.sub (global.get $next) (local.get 3)))
        (func (export "dtor") (param i32)
            (global.set 0 (i32.add (global.get 0) (i32.load (local.get 0))))))
    (core instance $state (instantiate $state))
    (type $counter' (resource (rep i32) (dtor (core func $state "dtor"))))
    (core func $new (canon resource.new $counter'))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "state" "dropped" (global $dropped (mut i32)))
        (import "state" "mem" (memory 1))
        (global $free (mut i32) (i32.const 64))
        (func (export "new") (param $n i32) (result i32)
            (global.set $free (i32.add (global.get $free) (i32.const 4)))
            (i32.store (global.get $free) (local.get $n))
            (call $new (global.get $free)))
        (func (export "add") (param $self i32) (param $text i32) (param $len i32) (result i32)
            (i32.store (local.get $self)
                (i32.add (i32.load (local.get $self)) (local.get $len)))
            (i32.load (local.get $self)))
        (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $m (instantiate $m (with "state" (instance $state))
        (with "" (instance (export "new" (func $new))))))
    (component $shape
        (import "counter" (type $c (sub resource)))
        (import "new" (func $new (param "n" u32) (result (own $c))))
        (import "add" (func $add (param "self" (borrow $c)) (param "text" string) (result u32)))
        (import "dropped" (func $dropped (result u32)))
        (export $counter "counter" (type $c))
        (export "[constructor]counter" (func $new)
            (func (param "n" u32) (result (own $counter))))
        (export "[method]counter.add" (func $add)
            (func (param "self" (borrow $counter)) (param "text" string) (result u32)))
        (export "dropped" (func $dropped)))
    (func $new (param "n" u32) (result (own $counter')) (canon lift (core func $m "new")))
    (func $add (param "self" (borrow $counter')) (param "text" string) (result u32)
        (canon lift (core func $m "add") (memory (core memory $state "mem"))
            (realloc (core func $state "realloc"))))
    (func $dropped (result u32) (canon lift (core func $m "dropped")))
    (instance $counters (instantiate $shape (with "counter" (type $counter'))
        (with "new" (func $new)) (with "add" (func $add)) (with "dropped" (func $dropped))))
    (export "t:c/counters@0.1.3" (instance $counters)))"#;

/// Uses [`COUNTERS`]: `run(n)` makes one, adds a text, drops it, and returns the sum of all that
/// were dropped. `lend` exports an own resource type and a record at the root.
const COUNTERS_APP: &str = r#"(component
    (import "t:c/counters@0.1.0" (instance $counters
        (export "counter" (type $counter (sub resource)))
        (export "[constructor]counter" (func (param "n" u32) (result (own $counter))))
        (export "[method]counter.add"
            (func (param "self" (borrow $counter)) (param "text" string) (result u32)))
        (export "dropped" (func (result u32)))))
    (alias export $counters "counter" (type $counter))
    (core module $libc (memory (export "mem") 1) (data (i32.const 32) "four"))
    (core instance $libc (instantiate $libc))
    (core func $new (canon lower (func $counters "[constructor]counter")))
    (core func $add (canon lower (func $counters "[method]counter.add")
        (memory (core memory $libc "mem"))))
    (core func $dropped (canon lower (func $counters "dropped")))
    (core func $drop (canon resource.drop $counter))
    (type $own' (resource (rep i32)))
    (core func $new-own (canon resource.new $own'))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "add" (func $add (param i32 i32 i32) (result i32)))
        (import "" "dropped" (func $dropped (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "new-own" (func $new-own (param i32) (result i32)))
        (func (export "run") (param $n i32) (result i32) (local $counter i32)
            (local.set $counter (call $new (local.get $n)))
            (drop (call $add (local.get $counter) (i32.const 32) (i32.const 4)))
            (call $drop (local.get $counter))
            (call $dropped))
        (func (export "make") (param i32) (result i32) (call $new-own (local.get 0)))
        (func (export "rep") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))
        (export "add" (func $add)) (export "dropped" (func $dropped))
        (export "drop" (func $drop)) (export "new-own" (func $new-own))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run")))
    (export $own "own" (type $own'))
    (type $args' (record (field "n" u32)))
    (export $args "args" (type $args'))
    (func (export "make") (param "args" $args) (result (own $own))
        (canon lift (core func $m "make")))
    (func (export "rep") (param "own" (borrow $own)) (result u32)
        (canon lift (core func $m "rep"))))"#;

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Args {
    n: u32,
}

#[test]
fn resources_of_a_plug_cross_the_boundary() -> Result<()> {
    let plugs = [("counters", COUNTERS)];
    let (mut store, instance) = instantiate(|_| Ok(()), COUNTERS_APP, &plugs)?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (10,))?, (14,));
    assert_eq!(run.call(&mut store, (100,))?, (118,));

    // The composition has the socket's exports, with its types.
    let make = instance.get_typed_func::<(Args,), (ResourceAny,)>(&mut store, "make")?;
    let own = make.call(&mut store, (Args { n: 9 },))?.0;
    assert_eq!(instance.get_resource(&mut store, "own"), Some(own.ty()));
    let rep = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "rep")?;
    assert_eq!(rep.call(&mut store, (own,))?, (9,));
    assert!(
        instance
            .get_export(&mut store, None, "t:c/counters@0.1.3")
            .is_none()
    );
    Ok(())
}

#[test]
fn a_host_cannot_know_a_plugs_resource_type() {
    let app = r#"(component
        (import "t:c/counters@0.1.0" (instance $counters
            (export "counter" (type (sub resource)))))
        (alias export $counters "counter" (type $counter))
        (import "h:show/show" (instance
            (alias outer 1 $counter (type $c))
            (export "counter" (type $counter (eq $c)))
            (export "show" (func (param "counter" (borrow $counter)))))))"#;
    let error = message(compose(&Engine::default(), app, &[("counters", COUNTERS)]));
    assert_eq!(
        error,
        "cannot compose the components: in the import `h:show/show`: it uses a resource type of \
         `t:c/counters@0.1.0`, which `counters` implements, so the host cannot know the type"
    );
}

#[test]
fn wrong_types_are_named() {
    let engine = Engine::default();
    let app = stage(&["t:a/x@1.0.0"], "run", 0);
    let plug = stage(&[], "t:a/x@1.1.0", 0).replace(
        r#"(func $f (param "x" u32) (result u32) (canon lift (core func $m "f")))"#,
        r#"(func $f (param "x" s32) (result u32) (canon lift (core func $m "f")))"#,
    );
    let error = compose(&engine, &app, &[("plug", &plug)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    let error = format!("{error:#}");
    for part in [
        "`plug` does not implement `t:a/x@1.0.0` as `app` imports it",
        "export `f`",
        "parameter `x`",
        "expected primitive `u32` found primitive `s32`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // It has too few functions.
    let plug = SINK_PLUG.replace(r#"(export "write" (func $write))"#, "");
    let error = message(compose(&engine, SINK_APP, &[("plug", &plug)]));
    assert!(error.contains("missing expected export `write`"), "{error}");
}

#[test]
fn a_plug_that_fits_nothing_is_an_error_with_both_sides() {
    let engine = Engine::default();
    let app = stage(&["t:a/x", "t:a/y"], "run", 0);
    let (x, z) = (stage(&[], "t:a/x", 0), stage(&["t:a/w"], "t:a/z", 0));
    let error = compose(&engine, &app, &[("x", &x), ("z", &z)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert_eq!(
        error.root_cause().to_string(),
        "no component imports anything from `z`: it exports `t:a/z`, but `app` imports `t:a/x \
         (from x)`, `t:a/y`, `x` imports nothing"
    );
    // The first one that fits is taken.
    let error = message(compose(&engine, &app, &[("x", &x), ("again", &x)]));
    assert!(error.contains("anything from `again`"), "{error}");
    let error = message(compose(&engine, "(component)", &[("x", &x)]));
    assert!(error.ends_with("but `app` imports nothing"), "{error}");
}

#[test]
fn a_circle_is_an_error() {
    let engine = Engine::default();
    let app = stage(&["t:a/x"], "run", 0);
    let (x, y) = (stage(&["t:a/y"], "t:a/x", 0), stage(&["t:a/x"], "t:a/y", 0));
    let error = compose(&engine, &app, &[("x", &x), ("y", &y)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
    assert_eq!(
        error.root_cause().to_string(),
        "the components import from each other in a circle: `x` imports `t:a/y` from `y`, `y` \
         imports `t:a/x` from `x`; compose some of them first"
    );
    // A component does not implement its own import.
    let own = stage(&["t:a/x"], "t:a/x", 0);
    let composed = compose(&engine, &app, &[("own", &own)]).unwrap();
    let component = Component::new(&engine, composed).unwrap();
    assert_eq!(component.component_type().imports(&engine).len(), 1);
}

#[test]
fn what_is_not_a_component_is_an_error() -> Result<()> {
    let engine = Engine::default();
    let app = stage(&["t:a/x"], "run", 0);
    for (plug, expected) in [
        ("", "the input is empty"),
        ("(component", "the text does not parse"),
        ("(module)", "core WebAssembly module"),
        ("\u{7f}ELF", "compiled artifact"),
        ("(component (import \"x\" (value u32)))", "component values"),
    ] {
        let error = message(compose(&engine, &app, &[("plug", plug)]));
        assert!(
            error.contains(expected) && error.contains("`plug`"),
            "{error}"
        );
    }
    let error = message(
        CodeBuilder::new(&engine)
            .plug(b"(component)", None)?
            .input(),
    );
    assert_eq!(error, "no component is set to be compiled");

    // A truncated part, in either place.
    let (app, plug) = (
        wat::parse_str(&app)?,
        wat::parse_str(stage(&[], "t:a/x", 0))?,
    );
    let whole = |app: &[u8], plug: &[u8]| -> Result<Vec<u8>> {
        let mut builder = CodeBuilder::new(&engine);
        builder.wasm_binary(app, None)?.plug(plug, None)?;
        Ok(builder.input()?.into_owned())
    };
    assert!(whole(&app, &plug).is_ok());
    let mut errors = 0;
    for end in 0..plug.len() {
        let truncated = whole(&app, &plug[..end]);
        assert!(truncated.is_err() || Component::new(&engine, &plug[..end]).is_ok());
        errors += usize::from(truncated.is_err());
    }
    for end in 0..app.len() {
        let truncated = whole(&app[..end], &plug);
        assert!(truncated.is_err() || Component::new(&engine, &app[..end]).is_ok());
        errors += usize::from(truncated.is_err());
    }
    assert!(errors > 300, "{errors}");
    // A changed byte gives an error or another component, and never a panic.
    for at in 0..plug.len() {
        let mut plug = plug.clone();
        plug[at] ^= 0x15;
        let _ = whole(&app, &plug);
    }
    Ok(())
}

/// Types that imports share are written out for each of them.
#[test]
fn imports_of_a_composition_are_limited() {
    let tuple = "u8 ".repeat(1000);
    let mut app = format!(r#"(component (import "t:a/x" (instance)) (type $t (tuple {tuple}))"#);
    for i in 0..1100 {
        app += &format!(r#"(import "h:i/i{i}" (instance (export "f" (func (param "t" $t)))))"#);
    }
    app += ")";
    let plug = r#"(component (instance $x) (export "t:a/x" (instance $x)))"#;
    let error = compose(&Engine::default(), &app, &[("plug", plug)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidComponent);
    let error = format!("{error:#}");
    assert!(
        error.contains("in `app`") && error.contains("type size exceeds the limit of 1000000"),
        "{error}"
    );
}

#[test]
fn a_call_between_components_is_an_adapter() -> Result<()> {
    let engine = Engine::default();
    let app = stage(&["t:a/x"], "run", 0);
    let composed = compose(&engine, &app, &[("x", &stage(&[], "t:a/x", 0))])?;
    let description = engine.describe_component(&composed)?;
    assert!(description.contains("adapter"), "{description}");
    Ok(())
}

//! `realloc` has a thread of its own, whose storage is empty, whoever lowers a value; and
//! `post-return` has that of its function (CanonicalABI.md, `LiftLowerContext.reallocate` and
//! `canon_lift`).

use mintage::error::Result;
use mintage::{
    Accessor, Component, Engine, Instance, Linker, Store, StoreContextMut, StreamReader, block_on,
};
use std::future::poll_fn;
use std::task::Poll;

/// A memory whose `realloc` notes what its storage was (at 0), how often it was called (at 8), and
/// how often it has got what it had set (at 4).
const MEMORY: &str = r#"
    (canon context.get i32 0 (core func $get))
    (canon context.set i32 0 (core func $set))
    (core module $memory
        (import "" "get" (func $get (result i32)))
        (import "" "set" (func $set (param i32)))
        (memory (export "mem") 2)
        (global $next (mut i32) (i32.const 1024))
        (func $add (param i32 i32)
            (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (local.get 1))))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (call $add (i32.const 0) (call $get))
            (call $set (i32.const 99))
            (call $add (i32.const 4) (i32.eq (call $get) (i32.const 99)))
            (call $add (i32.const 8) (i32.const 1))
            (global.get $next)
            (global.set $next (i32.add (global.get $next)
                (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
    (core instance $memory (instantiate $memory (with "" (instance
        (export "get" (func $get)) (export "set" (func $set))))))
    (alias core export $memory "mem" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))"#;

/// The imports of the module of each component instance.
const IMPORTS: &str = r#"
    (import "memory" "mem" (memory 2))
    (import "" "get" (func $get (result i32)))
    (import "" "set" (func $set (param i32)))"#;

/// Says whether the storage was empty and could be set at each call of `realloc`, and how often
/// that was called.
const SEEN: &str = r#"
    (func (export "seen") (result i32)
        (i32.or (i32.shl (i32.load (i32.const 8)) (i32.const 16))
            (i32.or (i32.shl (i32.ne (i32.load (i32.const 4)) (i32.load (i32.const 8)))
                (i32.const 8)) (i32.load (i32.const 0)))))"#;

fn guest() -> String {
    let inner = format!(
        r#"(component $inner
        {MEMORY}
        (canon task.return (result string) (memory $mem) (core func $return))
        (core module $m {IMPORTS}
            (import "" "return" (func $return (param i32 i32))) {SEEN}
            (func (export "plain") (param i32 i32) (result i32)
                (if (call $get) (then unreachable))
                (call $set (i32.const 5))
                (i32.store (i32.const 16) (local.get 0))
                (i32.store (i32.const 20) (local.get 1))
                (i32.const 16))
            (func (export "post") (param i32)
                (if (i32.ne (call $get) (i32.const 5)) (then unreachable)))
            (func (export "task") (param i32 i32) (result i32)
                (if (call $get) (then unreachable))
                (call $set (i32.const 5))
                (call $return (local.get 0) (local.get 1))
                (if (i32.ne (call $get) (i32.const 5)) (then unreachable))
                (i32.const 0))
            (func (export "again") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "memory" (instance $memory)) (with "" (instance
            (export "get" (func $get)) (export "set" (func $set))
            (export "return" (func $return))))))
        (func (export "plain") (param "text" string) (result string)
            (canon lift (core func $i "plain") (memory $mem) (realloc $realloc)
                (post-return (core func $i "post"))))
        (func (export "blocking") async (param "text" string) (result string)
            (canon lift (core func $i "plain") (memory $mem) (realloc $realloc)
                (post-return (core func $i "post"))))
        (func (export "task") async (param "text" string) (result string)
            (canon lift (core func $i "task") async (memory $mem) (realloc $realloc)
                (callback (core func $i "again"))))
        (func (export "seen") (result u32) (canon lift (core func $i "seen"))))
    (instance $inner (instantiate $inner))"#
    );
    let (mut lowers, mut imports, mut exports) = (String::new(), String::new(), String::new());
    let mut add = |name: &str, canon: &str, ty: &str| {
        lowers += &format!("(canon {canon} (core func ${name}))\n");
        imports += &format!("(import \"\" \"{name}\" (func ${name} {ty}))\n");
        exports += &format!("(export \"{name}\" (func ${name}))\n");
    };
    let options = "(memory $mem) (realloc $realloc)";
    add(
        "text",
        &format!("lower (func $text) {options}"),
        "(param i32)",
    );
    add(
        "later",
        &format!("lower (func $later) {options}"),
        "(param i32)",
    );
    let later = format!("lower (func $later) async {options}");
    add("later-async", &later, "(param i32) (result i32)");
    add("strings", "lower (func $strings)", "(result i32)");
    let read = format!("stream.read $texts async {options}");
    add("read", &read, "(param i32 i32 i32) (result i32)");
    for name in ["plain", "blocking", "task"] {
        let lower = format!("lower (func $inner \"{name}\") {options}");
        add(name, &lower, "(param i32 i32 i32)");
        if name == "plain" {
            continue;
        }
        let lower = format!("lower (func $inner \"{name}\") async {options}");
        add(
            &format!("{name}-async"),
            &lower,
            "(param i32 i32 i32) (result i32)",
        );
    }
    add("return", "task.return (result u32)", "(param i32)");
    add("set-new", "waitable-set.new", "(result i32)");
    add("join", "waitable.join", "(param i32 i32)");
    let calls = [
        ("text", "(call $text (i32.const 32)) (call $done)"),
        ("later", "(call $later (i32.const 32)) (call $done)"),
        (
            "later-async",
            "(call $wait-for (call $later-async (i32.const 32)))",
        ),
        (
            "strings",
            "(local $end i32) (local.set $end (call $strings))
            (call $ends (local.get $end) (call $read
                (local.get $end) (i32.const 64) (i32.const 1)))",
        ),
        (
            "plain",
            "(call $plain (i32.const 8) (i32.const 4) (i32.const 32)) (call $done)",
        ),
        (
            "blocking",
            "(call $blocking (i32.const 8) (i32.const 4) (i32.const 32)) (call $done)",
        ),
        (
            "task",
            "(call $task (i32.const 8) (i32.const 4) (i32.const 32)) (call $done)",
        ),
        (
            "blocking-async",
            "(call $wait-for (call $blocking-async (i32.const 8) (i32.const 4) (i32.const 32)))",
        ),
        (
            "task-async",
            "(call $wait-for (call $task-async (i32.const 8) (i32.const 4) (i32.const 32)))",
        ),
    ];
    let functions: String = calls
        .iter()
        .map(|(name, body)| {
            let body = match body.strip_prefix("(local $end i32)") {
                Some(rest) => format!("(local $end i32) (call $set (i32.const 7)) {rest}"),
                None => format!("(call $set (i32.const 7)) {body}"),
            };
            format!("(func (export \"{name}\") (result i32) {body})\n")
        })
        .collect();
    let lifts: String = calls
        .iter()
        .map(|(name, _)| {
            format!(
                "(func (export \"{name}\") async (result u32) (canon lift (core func $i \"{name}\")
                    async (callback (core func $i \"again\"))))\n"
            )
        })
        .collect();
    format!(
        r#"(component
        (type $texts (stream string))
        (import "text" (func $text (result string)))
        (import "later" (func $later async (result string)))
        (import "strings" (func $strings (result $texts)))
        {inner}
        {MEMORY}
        {lowers}
        (core module $m {IMPORTS} {imports} {SEEN}
            (func $done (result i32) (call $return (call $get)) (i32.const 0))
            (func $wait (param i32) (result i32)
                (local $set i32)
                (local.set $set (call $set-new))
                (call $join (local.get 0) (local.get $set))
                (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
            (func $wait-for (param i32) (result i32)
                (if (i32.eq (local.get 0) (i32.const 2)) (then (return (call $done))))
                (call $wait (i32.shr_u (local.get 0) (i32.const 4))))
            (func $ends (param i32 i32) (result i32)
                (if (i32.ne (local.get 1) (i32.const -1)) (then (return (call $done))))
                (call $wait (local.get 0)))
            {functions}
            (func (export "takes") (param i32 i32) (result i32) (call $done))
            (func (export "again") (param i32 i32 i32) (result i32) (call $done)))
        (core instance $i (instantiate $m (with "memory" (instance $memory)) (with "" (instance
            (export "get" (func $get)) (export "set" (func $set)) {exports}))))
        {lifts}
        (func (export "takes") async (param "text" string) (result u32)
            (canon lift (core func $i "takes") async (memory $mem) (realloc $realloc)
                (callback (core func $i "again"))))
        (func (export "seen") (result u32) (canon lift (core func $i "seen")))
        (export "inner" (instance $inner)))"#
    )
}

/// Waits for the event loop once.
async fn later() {
    let mut waited = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

fn instance() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let component = Component::new(&engine, guest()).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    let mut root = linker.root();
    let text = |_: StoreContextMut<'_, ()>, (): ()| Ok(("a text".to_string(),));
    root.func_wrap("text", text).unwrap();
    root.func_wrap_concurrent("later", |_: &Accessor<()>, (): ()| {
        Box::pin(async {
            later().await;
            Ok(("a text".to_string(),))
        })
    })
    .unwrap();
    root.func_wrap("strings", |store: StoreContextMut<'_, ()>, (): ()| {
        Ok((StreamReader::new(store, vec!["a text".to_string()])?,))
    })
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// What `seen` returns if `realloc` was called so many times, each time with storage of its own.
fn fresh(calls: u32) -> u32 {
    calls << 16
}

fn seen(store: &mut Store<()>, instance: &Instance, of_inner: bool) -> u32 {
    let path = match of_inner {
        true => {
            let inner = instance
                .get_export_index(&mut *store, None, "inner")
                .unwrap();
            let seen = instance.get_export_index(&mut *store, Some(&inner), "seen");
            instance.get_typed_func::<(), (u32,)>(&mut *store, seen.unwrap())
        }
        false => instance.get_typed_func::<(), (u32,)>(&mut *store, "seen"),
    };
    path.unwrap().call(store, ()).unwrap().0
}

/// Calls a function that sets its storage to 7, and checks that this is what it has at its end.
fn check(name: &str, calls: u32, inner_calls: u32) {
    let (mut store, instance) = instance();
    let function = instance
        .get_typed_func::<(), (u32,)>(&mut store, name)
        .unwrap();
    let result: Result<(u32,)> = block_on(function.call_async(&mut store, ()));
    let (storage,) = result.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    assert_eq!(storage, 7, "{name}");
    assert_eq!(seen(&mut store, &instance, false), fresh(calls), "{name}");
    assert_eq!(
        seen(&mut store, &instance, true),
        fresh(inner_calls),
        "{name}: inner"
    );
}

#[test]
fn results_of_the_host_are_lowered_with_fresh_storage() {
    check("text", 1, 0);
    check("later", 1, 0);
    check("later-async", 1, 0);
    check("strings", 1, 0);
}

#[test]
fn values_between_guests_are_lowered_with_fresh_storage() {
    for name in ["plain", "blocking", "task"] {
        check(name, 1, 1);
        if name != "plain" {
            check(&format!("{name}-async"), 1, 1);
        }
    }
}

#[test]
fn parameters_from_the_host_are_lowered_with_fresh_storage() {
    let (mut store, instance) = instance();
    let takes = instance
        .get_typed_func::<(&str,), (u32,)>(&mut store, "takes")
        .unwrap();
    let (storage,) = block_on(takes.call_async(&mut store, ("a text",))).unwrap();
    assert_eq!((storage, seen(&mut store, &instance, false)), (0, fresh(1)));
    let inner = instance
        .get_export_index(&mut store, None, "inner")
        .unwrap();
    for name in ["plain", "blocking", "task"] {
        let path = instance
            .get_export_index(&mut store, Some(&inner), name)
            .unwrap();
        let echo = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, path)
            .unwrap();
        let (text,) = block_on(echo.call_async(&mut store, ("a text",))).unwrap();
        assert_eq!(text, "a text");
    }
    assert_eq!(seen(&mut store, &instance, true), fresh(3));
}

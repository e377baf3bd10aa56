//! The guest of these tests, and its host.

use crate::async_calls::block_on;
use mintage::error::format_err;
use mintage::{Accessor, Component, Engine, Instance, Linker, Result, Store, TypedFunc};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// A component that calls `wait` in all ways, and `plain`, whose type is not `async`.
const GUEST: &str = r#"(component
    (import "wait" (func $wait async (param "n" u32) (result u32)))
    (import "text" (func $text async (param "text" string) (result string)))
    (import "plain" (func $plain (param "n" u32) (result u32)))
    (import "nothing" (func $nothing async))
    (core module $memory
        (memory (export "memory") 64)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $block i32)
            (local.set $block (global.get $next))
            (global.set $next (i32.and (i32.add (i32.add (global.get $next)
                (local.get 3)) (i32.const 7)) (i32.const -8)))
            (local.get $block)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $mem))
    (alias core export $memory "realloc" (core func $realloc))
    (canon lower (func $wait) (core func $wait-sync))
    (canon lower (func $wait) async (memory $mem) (core func $wait-async))
    (canon lower (func $text) async (memory $mem) (realloc $realloc) (core func $text-async))
    (canon lower (func $plain) (core func $plain-sync))
    (canon lower (func $nothing) (core func $nothing-sync))
    (canon task.return (result u32) (core func $return))
    (canon task.return (result string) (memory $mem) (core func $return-text))
    (canon waitable-set.new (core func $set-new))
    (canon waitable.join (core func $join))
    (canon subtask.drop (core func $subtask-drop))
    (canon subtask.cancel (core func $cancel))
    (canon context.get i32 0 (core func $get))
    (canon context.set i32 0 (core func $set))
    (core module $m
        (import "" "memory" (memory 64))
        (import "" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
        (import "" "wait-sync" (func $wait-sync (param i32) (result i32)))
        (import "" "wait-async" (func $wait-async (param i32 i32) (result i32)))
        (import "" "text" (func $text (param i32 i32 i32) (result i32)))
        (import "" "plain" (func $plain (param i32) (result i32)))
        (import "" "nothing" (func $nothing))
        (import "" "return" (func $return (param i32)))
        (import "" "return-text" (func $return-text (param i32 i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "subtask-drop" (func $subtask-drop (param i32)))
        (import "" "cancel" (func $cancel (param i32) (result i32)))
        (import "" "get" (func $get (result i32)))
        (import "" "set" (func $set (param i32)))
        (func $block (result i32)
            (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 32)))
        ;; waits for subtask `status >> 4` alone
        (func $wait-for (param $status i32) (result i32)
            (local $set i32)
            (local.set $set (call $set-new))
            (call $join (i32.shr_u (local.get $status) (i32.const 4)) (local.get $set))
            (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))

        (func (export "blocks") (param i32) (result i32)
            (call $return (call $wait-sync (local.get 0)))
            (i32.const 0))
        ;; waits for a function without parameters and result
        (func (export "idles") (param i32) (result i32)
            (call $nothing)
            (call $return (local.get 0))
            (i32.const 0))
        (func (export "traps") (param i32) (result i32)
            (drop (call $wait-sync (local.get 0)))
            unreachable)
        ;; gives its result before it waits
        (func (export "goes-on") (param i32) (result i32)
            (call $return (local.get 0))
            (drop (call $wait-sync (local.get 0)))
            (i32.const 0))

        (func (export "waits") (param i32) (result i32)
            (local $status i32)
            (call $set (call $block))
            (local.set $status (call $wait-async (local.get 0) (call $get)))
            (if (i32.eq (local.get $status) (i32.const 2))
                (then (call $return (i32.load (call $get))) (return (i32.const 0))))
            (call $wait-for (local.get $status)))
        (func (export "waited") (param i32 i32 i32) (result i32)
            ;; a subtask has returned
            (if (i32.ne (local.get 0) (i32.const 1)) (then unreachable))
            (if (i32.ne (local.get 2) (i32.const 2)) (then unreachable))
            (call $subtask-drop (local.get 1))
            (call $return (i32.load (call $get)))
            (i32.const 0))

        (func (export "text") (param i32 i32) (result i32)
            (local $status i32)
            (call $set (call $block))
            (local.set $status (call $text (local.get 0) (local.get 1) (call $get)))
            (if (i32.eq (local.get $status) (i32.const 2)) (then unreachable))
            (call $wait-for (local.get $status)))
        (func (export "texted") (param i32 i32 i32) (result i32)
            (call $subtask-drop (local.get 1))
            (call $return-text (i32.load (call $get)) (i32.load offset=4 (call $get)))
            (i32.const 0))

        ;; begins two calls, and cancels the second when the first has returned: the result of
        ;; the first, and the state of the second
        (func (export "race") (param i32 i32) (result i32)
            (local $first i32)
            (call $set (call $block))
            (local.set $first (call $wait-async (local.get 0) (call $get)))
            (i32.store offset=16 (call $get)
                (call $wait-async (local.get 1) (i32.add (call $get) (i32.const 8))))
            (call $wait-for (local.get $first)))
        (func (export "raced") (param i32 i32 i32) (result i32)
            (local $second i32)
            (call $subtask-drop (local.get 1))
            (local.set $second (i32.shr_u (i32.load offset=16 (call $get)) (i32.const 4)))
            (call $return (i32.add
                (i32.mul (i32.load (call $get)) (i32.const 100))
                (i32.add (i32.mul (call $cancel (local.get $second)) (i32.const 10))
                    (i32.load offset=8 (call $get)))))
            (call $subtask-drop (local.get $second))
            (i32.const 0))

        ;; begins calls that never return
        (func (export "begins") (param i32) (result i32)
            (loop $again
                (drop (call $wait-async (i32.const 1) (i32.const 512)))
                (br_if $again
                    (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (call $return (i32.const 0))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable)

        (func (export "plain") (param i32) (result i32) (call $plain (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $mem))
        (export "realloc" (func $realloc))
        (export "wait-sync" (func $wait-sync))
        (export "wait-async" (func $wait-async))
        (export "text" (func $text-async))
        (export "plain" (func $plain-sync))
        (export "nothing" (func $nothing-sync))
        (export "return" (func $return))
        (export "return-text" (func $return-text))
        (export "set-new" (func $set-new))
        (export "join" (func $join))
        (export "subtask-drop" (func $subtask-drop))
        (export "cancel" (func $cancel))
        (export "get" (func $get))
        (export "set" (func $set))))))
    (func (export "blocks") async (param "n" u32) (result u32)
        (canon lift (core func $i "blocks") async (callback (core func $i "callback"))))
    (func (export "idles") async (param "n" u32) (result u32)
        (canon lift (core func $i "idles") async (callback (core func $i "callback"))))
    (func (export "traps") async (param "n" u32) (result u32)
        (canon lift (core func $i "traps") async (callback (core func $i "callback"))))
    (func (export "goes-on") async (param "n" u32) (result u32)
        (canon lift (core func $i "goes-on") async (callback (core func $i "callback"))))
    (func (export "waits") async (param "n" u32) (result u32)
        (canon lift (core func $i "waits") async (callback (core func $i "waited"))))
    (func (export "text") async (param "text" string) (result string)
        (canon lift (core func $i "text") async (callback (core func $i "texted"))
            (memory $mem) (realloc $realloc)))
    (func (export "race") async (param "a" u32) (param "b" u32) (result u32)
        (canon lift (core func $i "race") async (callback (core func $i "raced"))))
    (func (export "begins") async (param "n" u32) (result u32)
        (canon lift (core func $i "begins") async (callback (core func $i "callback"))))
    (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $i "plain"))))"#;

/// The number that `wait` returns at once.
pub const AT_ONCE: u32 = 0;
/// The number for which `wait` panics when its gate is open.
pub const PANICS: u32 = 666;
/// The number for which `wait` fails when its gate is open.
pub const FAILS: u32 = 667;
/// The number for which `wait` opens gate 2, with the result 3.
pub const OPENS: u32 = 668;

/// What `wait` waits for: each number has a gate.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The results of the gates that are open.
    open: HashMap<u32, u32>,
    waiting: HashMap<u32, Vec<Waker>>,
    /// The futures that exist.
    futures: usize,
}

impl Gates {
    /// Opens a gate, so that calls of `wait` with this number return `result`.
    pub fn open(&self, number: u32, result: u32) {
        let mut state = self.0.lock().unwrap();
        state.open.insert(number, result);
        let wakers = state.waiting.remove(&number).unwrap_or_default();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of calls of `wait` that have not ended.
    pub fn futures(&self) -> usize {
        self.0.lock().unwrap().futures
    }

    pub async fn wait(&self, number: u32) -> u32 {
        self.0.lock().unwrap().futures += 1;
        let _counted = Counted(self);
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            match state.open.get(&number) {
                Some(&result) => Poll::Ready(result),
                None => {
                    let wakers = state.waiting.entry(number).or_default();
                    wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

struct Counted<'a>(&'a Gates);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().futures -= 1;
    }
}

/// The data of the store.
#[derive(Default)]
pub struct Host {
    pub gates: Gates,
    /// The numbers for which `wait` has returned.
    pub returned: Vec<u32>,
    pub instance: Option<Instance>,
}

async fn wait(accessor: &Accessor<Host>, number: u32) -> Result<u32> {
    let gates = accessor.with(|mut store| store.get().gates.clone());
    if number == AT_ONCE {
        return Ok(7);
    }
    let result = gates.wait(number).await;
    if number == OPENS {
        gates.open(2, 3);
    }
    match number {
        PANICS => panic!("a panic of the test"),
        FAILS => Err(format_err!("an error of the test")),
        _ => {
            accessor.with(|mut store| store.get().returned.push(number));
            Ok(result)
        }
    }
}

pub fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::<Host>::new(engine);
    let mut root = linker.root();
    root.func_wrap_concurrent("wait", |accessor, (number,): (u32,)| {
        Box::pin(async move { Ok((wait(accessor, number).await?,)) })
    })
    .unwrap();
    root.func_wrap_concurrent("text", |accessor, (text,): (String,)| {
        Box::pin(async move {
            let number = wait(accessor, text.len() as u32).await?;
            Ok((format!("{text}{number}"),))
        })
    })
    .unwrap();
    root.func_wrap_concurrent("plain", |accessor, (number,): (u32,)| {
        Box::pin(async move { Ok((wait(accessor, number).await?,)) })
    })
    .unwrap();
    root.func_wrap_concurrent("nothing", |_, (): ()| {
        Box::pin(async {
            super::host::turns(2).await;
            Ok(())
        })
    })
    .unwrap();
    linker
}

/// A store with one or more instances of the guest.
pub struct Guests {
    pub store: Store<Host>,
    pub instances: Vec<Instance>,
    pub gates: Gates,
}

impl Guests {
    pub fn new(count: usize) -> Self {
        Self::in_engine(&Engine::default(), count)
    }

    pub fn in_engine(engine: &Engine, count: usize) -> Self {
        Self::linked(engine, &linker(engine), count)
    }

    pub fn linked(engine: &Engine, linker: &Linker<Host>, count: usize) -> Self {
        let component = Component::new(engine, GUEST).unwrap();
        let host = Host::default();
        let gates = host.gates.clone();
        let mut store = Store::new(engine, host);
        let instantiate = |_| linker.instantiate(&mut store, &component).unwrap();
        let instances = (0..count).map(instantiate).collect();
        Guests {
            store,
            instances,
            gates,
        }
    }

    /// Returns a function of an instance.
    pub fn func(&mut self, instance: usize, name: &str) -> TypedFunc<(u32,), (u32,)> {
        let instance = self.instances[instance];
        instance.get_typed_func(&mut self.store, name).unwrap()
    }

    /// Calls a function of an instance, whose gate is open.
    pub fn call(&mut self, instance: usize, name: &str, number: u32) -> Result<u32> {
        let func = self.func(instance, name);
        block_on(func.call_async(&mut self.store, (number,))).map(|(result,)| result)
    }
}

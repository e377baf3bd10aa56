//! Resources: defined by guests and by the host, owned and borrowed, dropped in all orders, and
//! every trap with its message.

use crate::common::message;
use mintage::types::{ComponentItem, Type};
use mintage::{
    AsContextMut, Component, Engine, Instance, Linker, Resource, ResourceAny, ResourceTable,
    ResourceType, Result, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder, Trap, Val,
};
use std::cell::Cell;

const COUNTER: &str = include_str!("resources/counter.wat");
const FILES: &str = include_str!("resources/files.wat");

/// Returns the trap of a result.
fn trap<T>(result: &Result<T>) -> Option<Trap> {
    result
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref().copied())
}

pub fn counter() -> Result<(Store<()>, Instance)> {
    let engine = Engine::default();
    let component = Component::new(&engine, COUNTER)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    Ok((store, instance))
}

pub fn make(store: &mut Store<()>, instance: &Instance, rep: u32) -> Result<ResourceAny> {
    let make = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut *store, "make")?;
    Ok(make.call(store, (rep,))?.0)
}

pub fn dropped(store: &mut Store<()>, instance: &Instance) -> Result<u32> {
    let dropped = instance.get_typed_func::<(), (u32,)>(&mut *store, "dropped")?;
    Ok(dropped.call(store, ())?.0)
}

#[test]
fn the_host_uses_a_guests_resource() -> Result<()> {
    let (mut store, instance) = counter()?;
    let get = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "get")?;
    let take = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "take")?;

    let a = make(&mut store, &instance, 1)?;
    let b = make(&mut store, &instance, 2)?;
    assert!(a.owned() && a != b);
    assert_eq!(instance.get_resource(&mut store, "counter"), Some(a.ty()));
    assert_ne!(instance.get_resource(&mut store, "plain"), Some(a.ty()));
    assert_eq!(instance.get_resource(&mut store, "make"), None);

    // A resource can be lent many times, and given away once.
    assert_eq!(get.call(&mut store, (a,))?, (1,));
    assert_eq!(get.call(&mut store, (a,))?, (1,));
    assert_eq!(take.call(&mut store, (a,))?, (1,));
    assert_eq!(dropped(&mut store, &instance)?, 1);
    let gone = "the resource was dropped or given away before, or its borrow has ended";
    assert_eq!(message(take.call(&mut store, (a,))), gone);
    assert_eq!(message(get.call(&mut store, (a,))), gone);
    assert_eq!(message(a.resource_drop(&mut store)), gone);

    // The instance is still usable after errors of the host.
    assert_eq!(get.call(&mut store, (b,))?, (2,));
    b.resource_drop(&mut store)?;
    assert_eq!(dropped(&mut store, &instance)?, 12);
    assert_eq!(message(b.resource_drop(&mut store)), gone);
    Ok(())
}

#[test]
fn drops_in_all_orders() -> Result<()> {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let (mut store, instance) = counter()?;
        let take = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "take")?;
        let handles = [1, 2, 3].map(|rep| make(&mut store, &instance, rep));
        let mut expected = 0;
        for (turn, at) in order.into_iter().enumerate() {
            let Ok(handle) = handles[at] else {
                panic!("{:?}", handles[at])
            };
            // The host and the guest drop in turn.
            match turn % 2 {
                0 => handle.resource_drop(&mut store)?,
                _ => assert_eq!(take.call(&mut store, (handle,))?, (at as u32 + 1,)),
            }
            expected = expected * 10 + at as u32 + 1;
            assert_eq!(dropped(&mut store, &instance)?, expected, "{order:?}");
        }
    }
    Ok(())
}

#[test]
fn dynamic_values_and_aggregates() -> Result<()> {
    let (mut store, instance) = counter()?;
    let func = |store: &mut Store<()>, name| {
        instance
            .get_func(store, name)
            .expect("an exported function")
    };
    let mut result = [Val::Bool(false)];
    func(&mut store, "pair").call(&mut store, &[Val::U32(3), Val::U32(4)], &mut result)?;
    let [Val::Tuple(pair)] = &result else {
        panic!("{result:?}")
    };
    let pair = pair.clone();
    let [Val::Resource(a), Val::Resource(b)] = pair[..] else {
        panic!("{pair:?}")
    };
    func(&mut store, "sum").call(
        &mut store,
        &[Val::List(vec![pair[0].clone(), pair[1].clone()])],
        &mut result,
    )?;
    assert_eq!(result, [Val::U32(7)]);
    let sum = instance.get_typed_func::<(Vec<ResourceAny>,), (u32,)>(&mut store, "sum")?;
    assert_eq!(sum.call(&mut store, (vec![a, b, a],))?, (10,));
    func(&mut store, "both").call(&mut store, &pair, &mut result)?;
    assert_eq!(result, [Val::U32(34)]);
    // `both` keeps the second, so that no destructor has run.
    assert_eq!(dropped(&mut store, &instance)?, 0);
    a.resource_drop(&mut store)?;
    assert_eq!(dropped(&mut store, &instance)?, 3);

    let plain = {
        let make = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "make-plain")?;
        make.call(&mut store, (9,))?.0
    };
    let wrong = func(&mut store, "get").call(&mut store, &[Val::Resource(plain)], &mut result);
    assert!(message(wrong).contains("resource type mismatch"));
    let wrong = func(&mut store, "get").call(&mut store, &[Val::U32(1)], &mut result);
    assert!(message(wrong).contains("found a value of kind `u32`"));
    // A resource without a destructor.
    plain.resource_drop(&mut store)
}

#[test]
fn one_handle_lent_and_given_away_in_one_call() -> Result<()> {
    let (mut store, instance) = counter()?;
    let both = instance.get_typed_func::<(ResourceAny, ResourceAny), (u32,)>(&mut store, "both")?;
    let a = make(&mut store, &instance, 1)?;
    assert_eq!(
        message(both.call(&mut store, (a, a))),
        "cannot remove owned resource while borrowed"
    );
    // The call was not made, so the loan has ended.
    let b = make(&mut store, &instance, 2)?;
    assert_eq!(both.call(&mut store, (a, b))?, (12,));
    a.resource_drop(&mut store)
}

#[test]
fn handles_are_of_their_instance_and_store() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, COUNTER)?;
    let linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    let first = linker.instantiate(&mut store, &component)?;
    let second = linker.instantiate(&mut store, &component)?;
    let a = make(&mut store, &first, 1)?;
    let get = second.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "get")?;
    assert!(message(get.call(&mut store, (a,))).contains("resource type mismatch"));
    let mut other = Store::new(&engine, ());
    assert!(message(a.resource_drop(&mut other)).contains("another `Store`"));
    a.resource_drop(&mut store)
}

#[test]
fn a_destructor_that_traps_ends_the_instance() -> Result<()> {
    let (mut store, instance) = counter()?;
    let a = make(&mut store, &instance, 13)?;
    let result = a.resource_drop(&mut store);
    assert_eq!(trap(&result), Some(Trap::UnreachableCodeReached));
    let make = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "make")?;
    assert_eq!(
        trap(&make.call(&mut store, (1,))),
        Some(Trap::CannotEnterComponent)
    );
    Ok(())
}

#[test]
fn a_destructor_that_never_ends_exhausts_the_stack() -> Result<()> {
    let (mut store, instance) = counter()?;
    let take = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "take")?;
    let a = make(&mut store, &instance, 14)?;
    assert_eq!(
        trap(&take.call(&mut store, (a,))),
        Some(Trap::StackOverflow)
    );
    // What the host still holds cannot be destroyed any more.
    let (mut store, instance) = counter()?;
    let [a, b] = [14, 1].map(|rep| make(&mut store, &instance, rep));
    let b = b?;
    assert_eq!(
        trap(&a?.resource_drop(&mut store)),
        Some(Trap::StackOverflow)
    );
    assert_eq!(
        trap(&b.resource_drop(&mut store)),
        Some(Trap::CannotEnterComponent)
    );
    assert!(message(b.resource_drop(&mut store)).contains("was dropped or given away before"));
    Ok(())
}

/// The data of the store: files, and the arguments of the destructor.
#[derive(Default)]
struct Host {
    files: ResourceTable,
    destroyed: Vec<u32>,
    /// A file that `call-back` lends on.
    nested: Option<(Instance, u32)>,
    limits: StoreLimits,
}

struct File(u32);
struct Lock;

fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let mut host = linker.instance("host")?;
    host.resource(
        "file",
        ResourceType::host::<File>(),
        |mut store: StoreContextMut<'_, Host>, rep| {
            store.data_mut().destroyed.push(rep);
            if rep == 7 {
                mintage::error::bail!("the file cannot be destroyed");
            }
            store
                .data_mut()
                .files
                .delete(Resource::<File>::new_own(rep))?;
            Ok(())
        },
    )?;
    host.resource("lock", ResourceType::host::<Lock>(), |_, _| Ok(()))?;
    host.func_wrap(
        "open",
        |mut store: StoreContextMut<'_, Host>, (n,): (u32,)| {
            Ok((store.data_mut().files.push(File(n))?,))
        },
    )?;
    host.func_wrap("open-lock", |_: StoreContextMut<'_, Host>, (n,): (u32,)| {
        Ok((Resource::<Lock>::new_own(n),))
    })?;
    host.func_wrap(
        "size",
        |store: StoreContextMut<'_, Host>, (file,): (Resource<File>,)| {
            assert!(!file.owned());
            Ok((store.data().files.get(&file)?.0,))
        },
    )?;
    host.func_wrap(
        "close",
        |mut store: StoreContextMut<'_, Host>, (file,): (Resource<File>,)| {
            assert!(file.owned());
            store.data_mut().files.delete(file)?;
            Ok(())
        },
    )?;
    host.func_wrap(
        "copy",
        |store: StoreContextMut<'_, Host>, (from, to): (Resource<File>, Resource<File>)| {
            let files = &store.data().files;
            Ok((files.get(&from)?.0 * 10 + files.get(&to)?.0,))
        },
    )?;
    host.func_wrap(
        "call-back",
        |mut store: StoreContextMut<'_, Host>, (file,): (ResourceAny,)| -> Result<()> {
            assert!(!file.owned());
            assert_eq!(file.ty(), ResourceType::host::<File>());
            let Some((instance, rep)) = store.data_mut().nested.take() else {
                // Dropping a borrowed handle is allowed and destroys nothing.
                return file.resource_drop(&mut store);
            };
            let with = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "with")?;
            assert_eq!(with.call(&mut store, (file,))?, (rep,));
            Ok(())
        },
    )?;
    host.func_wrap(
        "try-open",
        |mut store: StoreContextMut<'_, Host>, (n,): (u32,)| {
            Ok((match n {
                0 => Err(5u32),
                n => Ok(store.data_mut().files.push(File(n))?),
            },))
        },
    )?;
    Ok(linker)
}

/// Makes an instance of the component with its placeholders replaced.
fn files(run: &str, with: &str, post: &str) -> Result<(Store<Host>, Instance)> {
    let engine = Engine::default();
    let text = FILES
        .replace("(; RUN ;)", run)
        .replace("(; WITH ;)", with)
        .replace("(; POST ;)", post);
    let component = Component::new(&engine, text)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker(&engine)?.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

fn run(store: &mut Store<Host>, instance: &Instance) -> Result<u32> {
    let run = instance.get_typed_func::<(), (u32,)>(&mut *store, "run")?;
    Ok(run.call(store, ())?.0)
}

#[test]
fn a_guest_uses_the_hosts_resources() -> Result<()> {
    let body = "(local.set $a (call $open (i32.const 4)))
        (local.set $b (call $open (i32.const 5)))
        (local.set $c (call $open-lock (i32.const 6)))
        (if (i32.ne (local.get $a) (i32.const 1)) (then unreachable))
        (if (i32.ne (local.get $c) (i32.const 3)) (then unreachable))
        (if (i32.ne (call $size (local.get $a)) (i32.const 4)) (then unreachable))
        (if (i32.ne (call $copy (local.get $a) (local.get $b)) (i32.const 45)) (then unreachable))
        (call $call-back (local.get $a))
        (call $drop (local.get $a))
        (call $drop-lock (local.get $c))
        (call $try-open (i32.const 0) (i32.const 16))
        (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then unreachable))
        (call $try-open (i32.const 8) (i32.const 16))
        (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 0)) (then unreachable))
        (return (call $size (i32.load (i32.const 20))))";
    let (mut store, instance) = files(body, "", "")?;
    assert_eq!(run(&mut store, &instance)?, 8);
    assert_eq!(store.data().destroyed, [0]);
    Ok(())
}

#[test]
fn the_hosts_resources_pass_through_a_guest() -> Result<()> {
    let (mut store, instance) = files(
        "",
        "(local.set $a (call $size (local.get $f))) (call $drop (local.get $f)) (return (local.get \
         $a))",
        "",
    )?;
    let file = store.data_mut().files.push(File(3))?;
    let rep = file.rep();

    let with = instance.get_typed_func::<(Resource<File>,), (u32,)>(&mut store, "with")?;
    assert_eq!(with.call(&mut store, (Resource::new_borrow(rep),))?, (3,));
    let give =
        instance.get_typed_func::<(Resource<File>,), (Resource<File>,)>(&mut store, "give")?;
    let (file,) = give.call(&mut store, (file,))?;
    assert!(file.owned());
    assert_eq!(file.rep(), rep);
    let borrow = Resource::new_borrow(rep);
    assert_eq!(
        message(give.call(&mut store, (borrow,))),
        "cannot lower a `borrow` resource into an `own`"
    );

    // As `ResourceAny`, and back.
    let any = file.try_into_resource_any(&mut store)?;
    assert!(any.owned());
    let with = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "with")?;
    assert_eq!(with.call(&mut store, (any,))?, (3,));
    let give = instance.get_typed_func::<(ResourceAny,), (ResourceAny,)>(&mut store, "give")?;
    let (any,) = give.call(&mut store, (any,))?;
    assert!(message(any.try_into_resource::<Lock>(&mut store)).contains("resource type mismatch"));
    let file = any.try_into_resource::<File>(&mut store)?;
    assert_eq!(file.rep(), rep);

    // Dropping what the guest returned calls the host's destructor.
    let any = ResourceAny::try_from_resource(file, &mut store)?;
    let (any,) = give.call(&mut store, (any,))?;
    any.resource_drop(&mut store)?;
    assert_eq!(store.data().destroyed, [rep]);
    assert!(store.data().files.is_empty());
    Ok(())
}

#[test]
fn borrows_of_borrows() -> Result<()> {
    let body = "(call $call-back (call $open (i32.const 6)))";
    let (mut store, outer) = files(body, "", "")?;
    let engine = store.engine().clone();
    let text = FILES.replace(
        "(; WITH ;)",
        "(local.set $a (call $size (local.get $f))) (call $drop (local.get $f)) (return (local.get \
         $a))",
    );
    let inner = linker(&engine)?.instantiate(&mut store, &Component::new(&engine, text)?)?;
    store.data_mut().nested = Some((inner, 6));
    assert_eq!(run(&mut store, &outer)?, 0);
    assert!(store.data().destroyed.is_empty());
    Ok(())
}

/// Bodies of `run`, with the trap and the message that each causes.
const TRAPS: &[(&str, Trap, &str)] = &[
    (
        "(call $drop (i32.const 5))",
        Trap::UnknownHandle,
        "unknown handle index 5",
    ),
    (
        "(call $drop (i32.const 0))",
        Trap::UnknownHandle,
        "unknown handle index 0",
    ),
    (
        "(call $drop (i32.const -1))",
        Trap::UnknownHandle,
        "unknown handle index 4294967295",
    ),
    (
        "(local.set $a (call $open (i32.const 1))) (call $drop (local.get $a)) (call $drop \
         (local.get $a))",
        Trap::UnknownHandle,
        "unknown handle index 1",
    ),
    (
        "(local.set $a (call $open (i32.const 1))) (call $close (local.get $a)) (drop (call $size \
         (local.get $a)))",
        Trap::UnknownHandle,
        "unknown handle index 1",
    ),
    (
        "(drop (call $size (i32.const 3)))",
        Trap::UnknownHandle,
        "unknown handle index 3",
    ),
    (
        "(drop (call $size (call $open-lock (i32.const 3))))",
        Trap::WrongHandleType,
        "handle index 1 used with the wrong type, expected host-defined resource but found a \
         different host-defined resource",
    ),
    (
        "(call $close (call $new-mine (i32.const 3)))",
        Trap::WrongHandleType,
        "handle index 1 used with the wrong type, expected host-defined resource but found a \
         guest-defined resource",
    ),
    (
        "(call $drop-mine (call $open-lock (i32.const 3)))",
        Trap::WrongHandleType,
        "handle index 1 used with the wrong type, expected guest-defined resource but found a \
         host-defined resource",
    ),
    (
        "(local.set $a (call $open (i32.const 1))) (drop (call $copy (local.get $a) (local.get \
         $a)))",
        Trap::HandleLent,
        "cannot remove owned resource while borrowed",
    ),
];

#[test]
fn traps_in_calls_of_the_host_and_in_built_ins() -> Result<()> {
    for &(body, expected, text) in TRAPS {
        let (mut store, instance) = files(body, "", "")?;
        let result = run(&mut store, &instance);
        assert_eq!(trap(&result), Some(expected), "{body}: {result:?}");
        let text_found = message(result);
        assert!(text_found.contains(text), "{body}: {text_found}");
        let again = run(&mut store, &instance);
        assert_eq!(trap(&again), Some(Trap::CannotEnterComponent), "{body}");
    }
    Ok(())
}

/// Bodies of `with`, which gets a borrowed handle, with the trap and the message that each causes.
const BORROW_TRAPS: &[(&str, Trap, &str)] = &[
    (
        "",
        Trap::BorrowsRemain,
        "borrow handles still remain at the end of the call",
    ),
    (
        "(call $close (local.get $f))",
        Trap::NotOwned,
        "cannot lift own resource from a borrow",
    ),
    (
        "(call $drop (local.get $f)) (call $drop (local.get $f))",
        Trap::UnknownHandle,
        "unknown handle index 1",
    ),
    (
        "(call $drop-lock (local.get $f))",
        Trap::WrongHandleType,
        "handle index 1 used with the wrong type",
    ),
];

#[test]
fn traps_with_borrowed_handles() -> Result<()> {
    for &(body, expected, text) in BORROW_TRAPS {
        let (mut store, instance) = files("", body, "")?;
        let file = store.data_mut().files.push(File(1))?;
        let any = file.try_into_resource_any(&mut store)?;
        let with = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "with")?;
        let result = with.call(&mut store, (any,));
        assert_eq!(trap(&result), Some(expected), "{body}: {result:?}");
        let text_found = message(result);
        assert!(text_found.contains(text), "{body}: {text_found}");
        // The loan of the host's own handle has ended.
        any.resource_drop(&mut store)?;
    }
    Ok(())
}

#[test]
fn no_built_ins_in_post_return() -> Result<()> {
    for post in [
        "(drop (call $new-mine (i32.const 0)))",
        "(call $drop (i32.const 1))",
    ] {
        let (mut store, instance) = files("", "", post)?;
        let result = run(&mut store, &instance);
        assert_eq!(
            trap(&result),
            Some(Trap::CannotLeaveComponent),
            "{post}: {result:?}"
        );
    }
    Ok(())
}

#[test]
fn handles_are_limited() -> Result<()> {
    let engine = Engine::default();
    let text = FILES.replace(
        "(; RUN ;)",
        "(loop $more
            (drop (call $new-mine (i32.const 1)))
            (local.set $a (i32.add (local.get $a) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $a) (i32.const 100))))",
    );
    let component = Component::new(&engine, text)?;
    for (limit, expected) in [(100, None), (99, Some(Trap::HandleTableFull))] {
        let limits = StoreLimitsBuilder::new().handles(limit).build();
        let mut store = Store::new(
            &engine,
            Host {
                limits,
                ..Host::default()
            },
        );
        store.limiter(|host| &mut host.limits);
        let instance = linker(&engine)?.instantiate(&mut store, &component)?;
        assert_eq!(trap(&run(&mut store, &instance)), expected, "{limit}");
    }
    Ok(())
}

#[test]
fn a_host_destructor_that_fails_ends_the_call() -> Result<()> {
    let body = "(local.set $c (i32.const 8))
        (loop $more
            (local.set $a (call $open (i32.const 1)))
            (local.set $c (i32.sub (local.get $c) (i32.const 1)))
            (br_if $more (local.get $c)))
        (call $drop (local.get $a))";
    let (mut store, instance) = files(body, "", "")?;
    assert!(message(run(&mut store, &instance)).contains("the file cannot be destroyed"));
    assert_eq!(
        trap(&run(&mut store, &instance)),
        Some(Trap::CannotEnterComponent)
    );
    Ok(())
}

#[test]
fn a_borrow_ends_with_the_call_of_the_host() -> Result<()> {
    let engine = Engine::default();
    let text = FILES.replace(
        "(; RUN ;)",
        "(drop (call $size (call $open (i32.const 6))))",
    );
    let component = Component::new(&engine, text)?;
    let mut linker = linker(&engine)?;
    linker.allow_shadowing(true);
    // Keeps what it is lent, and gives no one anything.
    linker.instance("host")?.func_new(
        "size",
        |_: StoreContextMut<'_, Host>, _, params, results| {
            let [Val::Resource(file)] = params else {
                panic!("{params:?}")
            };
            KEPT.with(|kept| kept.set(Some(*file)));
            results[0] = Val::U32(0);
            Ok(())
        },
    )?;
    thread_local! {
        static KEPT: Cell<Option<ResourceAny>> = const { Cell::new(None) };
    }
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &component)?;
    run(&mut store, &instance)?;
    let kept = KEPT.with(Cell::get).expect("a handle");
    let with = instance.get_typed_func::<(ResourceAny,), (u32,)>(&mut store, "with")?;
    assert!(message(with.call(&mut store, (kept,))).contains("its borrow has ended"));
    assert!(message(kept.resource_drop(store.as_context_mut())).contains("its borrow has ended"));
    Ok(())
}

#[test]
fn a_resource_of_the_host_is_given_away_once() -> Result<()> {
    let engine = Engine::default();
    let text = FILES.replace(
        "(; RUN ;)",
        "(drop (call $open (i32.const 6))) (drop (call $open (i32.const 6)))",
    );
    let component = Component::new(&engine, text)?;
    let mut linker = linker(&engine)?;
    linker.allow_shadowing(true);
    let file = std::sync::Arc::new(Resource::<File>::new_own(3));
    linker.instance("host")?.func_new(
        "open",
        move |mut store: StoreContextMut<'_, Host>, _, _, results| {
            let any =
                ResourceAny::try_from_resource(Resource::<File>::new_own(file.rep()), &mut store)?;
            results[0] = Val::Resource(any);
            if let Some((_, 1)) = store.data_mut().nested {
                any.resource_drop(&mut store)?;
            }
            Ok(())
        },
    )?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &component)?;
    run(&mut store, &instance)?;
    store.data_mut().nested = Some((instance, 1));
    assert!(message(run(&mut store, &instance)).contains("was dropped or given away before"));
    Ok(())
}

#[test]
fn linking_compares_resource_types() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, FILES)?;
    let mut wrong = linker(&engine)?;
    wrong.allow_shadowing(true);
    wrong.instance("host")?.func_wrap(
        "size",
        |_: StoreContextMut<'_, Host>, (_,): (Resource<Lock>,)| Ok((0u32,)),
    )?;
    let error = message(wrong.instantiate_pre(&component));
    assert!(
        error.contains("host.size: type mismatch in parameter 1 (`f`)"),
        "{error}"
    );

    // One type under two names must be one type of the host.
    let text = r#"(component
        (import "a" (type $a (sub resource)))
        (import "b" (type $b (eq $a)))
        (import "f" (func (param "x" (own $b)))))"#;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<()>::new(&engine);
    let mut root = linker.root();
    root.resource("a", ResourceType::host::<File>(), |_, _| Ok(()))?;
    root.func_wrap("f", |_, (_,): (Resource<File>,)| Ok(()))?;
    root.resource("b", ResourceType::host::<Lock>(), |_, _| Ok(()))?;
    let error = message(linker.instantiate_pre(&component));
    assert!(
        error.contains("b: it is the same resource type as an earlier import"),
        "{error}"
    );
    linker.allow_shadowing(true);
    linker
        .root()
        .resource("b", ResourceType::host::<File>(), |_, _| Ok(()))?;
    linker.instantiate_pre(&component)?;

    let mut empty = Linker::<Host>::new(&engine);
    let error = message(empty.instantiate_pre(&Component::new(&engine, FILES)?));
    assert!(error.contains("host.file: resource"), "{error}");
    empty.define_unknown_imports_as_traps(&Component::new(&engine, FILES)?)?;
    empty.instantiate_pre(&Component::new(&engine, FILES)?)?;
    Ok(())
}

/// Returns the types of the parameters and results of a function.
fn types_of(ty: &ComponentItem) -> Vec<Type> {
    let ComponentItem::ComponentFunc(ty) = ty else {
        panic!("{ty:?}")
    };
    ty.params().map(|(_, ty)| ty).chain(ty.results()).collect()
}

#[test]
fn reflection_tells_whose_types_they_are() -> Result<()> {
    let (mut store, instance) = counter()?;
    let counter_type = instance
        .get_resource(&mut store, "counter")
        .expect("a resource type");
    let get = instance.get_func(&mut store, "get").expect("a function");
    assert_eq!(get.params(&store)[0].1, Type::Borrow(counter_type));
    let sum = instance.get_func(&mut store, "sum").expect("a function");
    let Type::List(list) = &sum.params(&store)[0].1 else {
        panic!("{sum:?}")
    };
    assert_eq!(list.ty(), Type::Borrow(counter_type));
    let (item, _) = instance
        .get_export(&mut store, None, "get")
        .expect("a function");
    assert_eq!(types_of(&item)[0], Type::Borrow(counter_type));
    // The component's own type is none of an instance, and the same each time.
    let component = instance.component(&store).clone();
    let engine = component.engine().clone();
    let uninstantiated = |name| {
        component
            .component_type()
            .get_export(&engine, name)
            .expect("an export")
            .ty
    };
    let ComponentItem::Resource(own) = uninstantiated("counter") else {
        panic!("no resource")
    };
    assert_ne!(own, counter_type);
    assert_eq!(types_of(&uninstantiated("get"))[0], Type::Borrow(own));
    let ComponentItem::Resource(plain) = uninstantiated("plain") else {
        panic!("no resource")
    };
    assert_ne!(own, plain);

    // With the types of a linker.
    let component = Component::new(&engine, FILES)?;
    let ty = linker(&engine)?.substituted_component_type(&component)?;
    let file = ResourceType::host::<File>();
    let give = ty.get_export(&engine, "give").expect("a function").ty;
    assert_eq!(types_of(&give), [Type::Own(file), Type::Own(file)]);
    let give = component
        .component_type()
        .get_export(&engine, "give")
        .expect("a function")
        .ty;
    assert_ne!(types_of(&give)[0], Type::Own(file));
    let ComponentItem::ComponentInstance(host) =
        ty.get_import(&engine, "host").expect("an import").ty
    else {
        panic!("no instance")
    };
    let ComponentItem::Resource(found) = host.get_export(&engine, "file").expect("a type").ty
    else {
        panic!("no resource")
    };
    assert_eq!(found, file);
    Ok(())
}

#[test]
fn a_store_with_live_resources_is_dropped_without_destructors() -> Result<()> {
    let (mut store, instance) = counter()?;
    let kept = make(&mut store, &instance, 13)?;
    assert!(kept.owned());
    // Its destructor would trap.
    drop(store);
    Ok(())
}

/// A nested component opens files of the host and gives them to the one around it, which lends them
/// back and drops them. Each has handles of its own.
#[test]
fn the_hosts_resources_between_component_instances() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("resources/nested-files.wat"))?;
    let mut linker = Linker::<Host>::new(&engine);
    let mut root = linker.root();
    root.resource("file", ResourceType::host::<File>(), |mut store, rep| {
        store.data_mut().destroyed.push(rep);
        Ok(())
    })?;
    root.func_wrap("open", |_, (n,): (u32,)| {
        Ok((Resource::<File>::new_own(n),))
    })?;
    root.func_wrap("size", |_, (file,): (Resource<File>,)| {
        Ok((file.rep() * 2,))
    })?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &component)?;
    assert_eq!(run(&mut store, &instance)?, 10 + 12);
    assert_eq!(store.data().destroyed, [6, 5]);
    // The nested component still has its own handles.
    let open = instance.get_typed_func::<(), (ResourceAny,)>(&mut store, "open")?;
    let (file,) = open.call(&mut store, ())?;
    assert_eq!(file.ty(), ResourceType::host::<File>());
    file.resource_drop(&mut store)?;
    assert_eq!(store.data().destroyed, [6, 5, 9]);
    Ok(())
}

/// Two components inside one: the inner defines the resource, the outer drops it, whose destructor
/// runs in the inner.
#[test]
fn a_destructor_in_another_component_instance() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (component $inner
            (core module $dtor
                (memory (export "memory") 1)
                (func (export "dtor") (param i32)
                    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))))
                (func (export "sum") (result i32) (i32.load (i32.const 0))))
            (core instance $d (instantiate $dtor))
            (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
            (export $r "r" (type $r'))
            (canon resource.new $r' (core func $new))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
            (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
            (func (export "make") (param "rep" u32) (result (own $r)) (canon lift
              (core func $m "make")))
            (func (export "sum") (result u32) (canon lift (core func $d "sum"))))
        (instance $inner (instantiate $inner))
        (alias export $inner "r" (type $r))
        (canon lower (func $inner "make") (core func $make))
        (canon resource.drop $r (core func $drop))
        (core module $m
            (import "" "make" (func $make (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (func (export "run")
                (call $drop (call $make (i32.const 30)))
                (call $drop (call $make (i32.const 12)))))
        (core instance $m (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "drop" (func $drop))))))
        (func (export "run") (canon lift (core func $m "run")))
        (func (export "sum") (alias export $inner "sum")))"#;
    let component = Component::new(&engine, text)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    instance
        .get_typed_func::<(), ()>(&mut store, "run")?
        .call(&mut store, ())?;
    let sum = instance.get_typed_func::<(), (u32,)>(&mut store, "sum")?;
    assert_eq!(sum.call(&mut store, ())?, (42,));
    Ok(())
}

/// Loans of the host end when a panic ends the call.
#[test]
fn loans_end_with_a_panic() -> Result<()> {
    let text = r#"(component
        (import "r" (type $r (sub resource)))
        (import "boom" (func $boom (param "x" (borrow $r))))
        (core func $boom (canon lower (func $boom)))
        (core module $m (import "" "boom" (func $boom (param i32))) (func (export "f") (param i32)
          (call $boom (local.get 0))))
        (core instance $i (instantiate $m (with "" (instance (export "boom" (func $boom))))))
        (func (export "f") (param "x" (borrow $r)) (canon lift (core func $i "f")))
        (export "again" (func $boom)))"#;
    for name in ["f", "again"] {
        let engine = Engine::default();
        let component = Component::new(&engine, text)?;
        let mut linker = Linker::<Option<ResourceAny>>::new(&engine);
        linker
            .root()
            .resource("r", ResourceType::host::<u8>(), |_, _| Ok(()))?;
        linker.root().func_wrap(
            "boom",
            |mut store: StoreContextMut<'_, _>, (x,): (ResourceAny,)| -> Result<()> {
                *store.data_mut() = Some(x);
                panic!("a host's bug")
            },
        )?;
        let mut store = Store::new(&engine, None);
        let instance = linker.instantiate(&mut store, &component)?;
        let call = instance.get_typed_func::<(ResourceAny,), ()>(&mut store, name)?;
        let own = ResourceAny::try_from_resource(Resource::<u8>::new_own(7), &mut store)?;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            call.call(&mut store, (own,))
        }));
        assert!(panicked.is_err());
        // The borrow that the host function got has ended, and the loan with it.
        let borrowed = store.data_mut().take().unwrap();
        assert!(borrowed.resource_drop(&mut store).is_err());
        own.resource_drop(&mut store)?;
    }
    Ok(())
}

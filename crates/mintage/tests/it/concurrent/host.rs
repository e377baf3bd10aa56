//! Tasks of the host, and how they use the store.

use super::{Gates, Guests, Host, poll, run_once};
use crate::async_calls::block_on;
use mintage::error::format_err;
use mintage::{Accessor, AccessorTask, AsContextMut, Engine, HasData, Result, Store};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

/// Lets everything else in the store go on, `times` times.
pub fn turns(mut times: u32) -> impl Future<Output = ()> + Send {
    poll_fn(move |cx| match times {
        0 => Poll::Ready(()),
        _ => {
            times -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// A task that runs a closure.
struct Task<F>(F);

/// Returns a task that runs a closure.
pub fn task<F>(run: F) -> impl AccessorTask<Host>
where
    F: for<'a> FnOnce(&'a Accessor<Host>) -> Run<'a> + Send + 'static,
{
    Task(run)
}

impl<F> AccessorTask<Host> for Task<F>
where
    F: for<'a> FnOnce(&'a Accessor<Host>) -> Run<'a> + Send + 'static,
{
    async fn run(self, accessor: &Accessor<Host>) -> Result<()> {
        (self.0)(accessor).await
    }
}

#[test]
fn tasks_go_on_whenever_the_store_runs() {
    let mut guests = Guests::new(1);
    let gates = guests.gates.clone();
    let spawned = task(|accessor| {
        Box::pin(async move {
            for number in 1..=3 {
                gates_of(accessor).wait(number).await;
                accessor.with(|mut store| store.get().returned.push(number));
                if number == 2 {
                    gates_of(accessor).open(9, 90);
                }
            }
            Ok(())
        })
    });
    // The handle is dropped, and the task goes on.
    drop(guests.store.spawn(spawned).unwrap());
    gates.open(1, 0);
    assert!(guests.store.data().returned.is_empty());
    block_on(guests.store.run_concurrent(async |_| turns(2).await)).unwrap();
    assert_eq!(guests.store.data().returned, [1]);
    gates.open(2, 0);
    // A call that waits runs it, too.
    assert_eq!(guests.call(0, "waits", 9).unwrap(), 90);
    assert_eq!(guests.store.data().returned, [1, 2, 9]);
    gates.open(3, 0);
    block_on(guests.store.run_concurrent(async |_| turns(2).await)).unwrap();
    assert_eq!(guests.store.data().returned, [1, 2, 9, 3]);
    assert_eq!(gates.futures(), 0);
}

fn gates_of(accessor: &Accessor<Host>) -> Gates {
    accessor.with(|mut store| store.get().gates.clone())
}

#[test]
fn tasks_are_joined_and_aborted() {
    let mut guests = Guests::new(1);
    let gates = guests.gates.clone();
    let waits = |number| {
        task(move |accessor| {
            Box::pin(async move {
                gates_of(accessor).wait(number).await;
                accessor.with(|mut store| store.get().returned.push(number));
                Ok(())
            })
        })
    };
    let run = guests.store.run_concurrent(async |accessor| {
        let mut first = accessor.spawn(waits(1)).unwrap();
        let second = accessor.with(|mut store| store.spawn(waits(2)).unwrap());
        let never = accessor.spawn(waits(3)).unwrap();
        turns(2).await;
        assert!(poll(Pin::new(&mut first)).is_pending());
        assert_eq!(gates.futures(), 3);
        second.abort();
        second.await;
        assert_eq!(gates.futures(), 2, "it is dropped");
        gates.open(1, 0);
        first.await;
        // One that has not been polled does not begin.
        let fourth = accessor.spawn(waits(4)).unwrap();
        fourth.abort();
        fourth.await;
        never.abort();
        never.abort();
    });
    block_on(run).unwrap();
    assert_eq!(guests.store.data().returned, [1]);
}

#[test]
fn an_error_of_a_task_ends_the_run() {
    let mut guests = Guests::new(1);
    let fails = || task(|_| Box::pin(async { Err(format_err!("a task of the test")) }));
    guests.store.spawn(fails()).unwrap();
    let run = guests.store.run_concurrent(async |_| pending::<()>().await);
    let error = block_on(run).unwrap_err();
    assert_eq!(error.to_string(), "a task of the test");
    // A call has nothing to do with it, so the error is for the next run.
    guests.store.spawn(fails()).unwrap();
    guests.gates.open(1, 10);
    assert_eq!(guests.call(0, "waits", 1).unwrap(), 10);
    let run = guests.store.run_concurrent(async |_| turns(2).await);
    assert_eq!(block_on(run).unwrap_err().to_string(), "a task of the test");
    assert_eq!(guests.call(0, "waits", 1).unwrap(), 10);
}

#[test]
fn a_panic_of_a_task_is_that_of_the_run() {
    let mut guests = Guests::new(1);
    let panics = task(|_| Box::pin(async { panic!("a panic of the test") }));
    guests.store.spawn(panics).unwrap();
    let run = guests.store.run_concurrent(async |_| pending::<()>().await);
    let panicked = catch_unwind(AssertUnwindSafe(|| block_on(run))).unwrap_err();
    assert_eq!(panicked.downcast_ref(), Some(&"a panic of the test"));
    let run = guests.store.run_concurrent(async |_| panic!("another"));
    let panicked = catch_unwind(AssertUnwindSafe(|| block_on(run))).unwrap_err();
    assert_eq!(panicked.downcast_ref(), Some(&"another"));
    // The store goes on.
    guests.gates.open(1, 10);
    assert_eq!(guests.call(0, "waits", 1).unwrap(), 10);
}

#[test]
fn a_panic_does_not_keep_other_tasks_from_going_on() {
    let mut guests = Guests::new(1);
    let gates = guests.gates.clone();
    for number in 0..3 {
        let spawned = task(move |accessor| {
            Box::pin(async move {
                gates_of(accessor).wait(1).await;
                assert_ne!(number, 0, "a panic of the test");
                accessor.with(|mut store| store.get().returned.push(number));
                Ok(())
            })
        });
        guests.store.spawn(spawned).unwrap();
    }
    let wait = async |_: &Accessor<Host>| turns(2).await;
    block_on(guests.store.run_concurrent(wait)).unwrap();
    gates.open(1, 0);
    let run = guests.store.run_concurrent(wait);
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(run))).is_err());
    block_on(guests.store.run_concurrent(wait)).unwrap();
    assert_eq!(guests.store.data().returned, [1, 2]);
}

#[test]
fn an_accessor_is_of_the_store_that_polls() {
    let mut guests = Guests::new(1);
    let run = guests.store.run_concurrent(async |accessor| {
        let other = accessor.with_getter::<HasReturned>(|host| &mut host.returned);
        other.with(|mut store| store.get().push(1));
        assert!(other.getter()(&mut Host::default()).is_empty());
        let task = Pushes(2);
        other.spawn(task).unwrap().await;
        other
    });
    let accessor = block_on(run).unwrap();
    assert_eq!(guests.store.data().returned, [1, 2]);
    let elsewhere = || accessor.with(|mut store| store.get().push(3));
    panics(elsewhere, "while its store does not poll");
    // Another store does not help, and nor does another thread.
    let mut others = Guests::new(1);
    let run = others.store.run_concurrent(async |_| {
        panics(elsewhere, "while its store does not poll");
    });
    block_on(run).unwrap();
    let run = guests.store.run_concurrent(async |_| {
        let polled = thread::scope(|scope| {
            let thread = scope.spawn(|| panics(elsewhere, "while its store does not poll"));
            thread.join()
        });
        polled.unwrap();
        elsewhere();
        let nested = || accessor.with(|_| elsewhere());
        panics(nested, "within another call of it");
        elsewhere();
    });
    block_on(run).unwrap();
    assert_eq!(guests.store.data().returned, [1, 2, 3, 3]);
}

struct HasReturned;

impl HasData for HasReturned {
    type Data<'a> = &'a mut Vec<u32>;
}

/// Pushes a number.
struct Pushes(u32);

impl AccessorTask<Host, HasReturned> for Pushes {
    async fn run(self, accessor: &Accessor<Host, HasReturned>) -> Result<()> {
        turns(1).await;
        accessor.with(|mut store| store.get().push(self.0));
        Ok(())
    }
}

/// Checks that `f` panics with a text that has this part.
fn panics(f: impl FnOnce(), part: &str) {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| {
        payload
            .downcast_ref()
            .map(|text: &&str| (*text).to_string())
    });
    let text = text.unwrap();
    assert!(text.contains(part), "{text}");
}

#[test]
fn functions_are_of_their_store() {
    let (mut guests, mut others) = (Guests::new(1), Guests::new(1));
    let waits = others.func(0, "waits");
    let begun = others
        .func(0, "waits")
        .start_call_concurrent(&mut others.store, (1,));
    assert!(begun.is_ok());
    let run = guests
        .store
        .run_concurrent(async |accessor| waits.call_concurrent(accessor, (1,)).await.unwrap_err());
    let error = block_on(run).unwrap().to_string();
    assert!(error.contains("another `Store`"), "{error}");
}

#[test]
fn a_store_may_run_within_itself() {
    // While the store is polled, someone polls it within that.
    let mut guests = Guests::new(2);
    let [outer, inner] = [0, 1].map(|instance| guests.func(instance, "waits"));
    let gates = guests.gates.clone();
    let run = guests.store.run_concurrent(async |accessor| {
        let begin =
            |number| accessor.with(|store| outer.start_call_concurrent(store, (number,)).unwrap());
        let call = begin(1);
        turns(2).await;
        gates.open(2, 20);
        let nested = accessor.with(|mut access| {
            let store = access.as_context_mut();
            block_on(store.run_concurrent(async |accessor| {
                inner.call_concurrent(accessor, (2,)).await.unwrap()
            }))
        });
        assert_eq!(nested.unwrap(), (20,));
        // The wakers of the outer run still work.
        let opener = gates.clone();
        let opens = thread::spawn(move || opener.open(1, 10));
        let result = outer.finish_call_concurrent(accessor, call).await.unwrap();
        opens.join().unwrap();
        result
    });
    assert_eq!(block_on(run).unwrap(), (10,));
}

#[test]
fn a_host_function_begins_calls_of_its_caller() {
    // It cannot enter the instance that has called it. A call that it begins waits for that.
    let engine = Engine::default();
    let mut linker = super::guest::linker(&engine);
    linker.allow_shadowing(true);
    let root = &mut linker.root();
    root.func_wrap_concurrent("plain", |accessor, (number,): (u32,)| {
        Box::pin(async move {
            let begun = accessor.with(|mut access| {
                let instance = access.get().instance.unwrap();
                let store = &mut access.as_context_mut();
                let waits = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "waits")?;
                assert!(waits.call(&mut *store, (number,)).is_err());
                let plain = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "plain")?;
                assert!(plain.call(&mut *store, (number,)).is_err());
                Ok::<_, mintage::Error>((waits, waits.start_call_concurrent(store, (number,))?))
            });
            let (waits, begun) = begun?;
            let spawned = task(move |accessor| {
                Box::pin(async move {
                    waits.finish_call_concurrent(accessor, begun).await?;
                    accessor.with(|mut store| store.get().returned.push(99));
                    Ok(())
                })
            });
            accessor.spawn(spawned)?;
            Ok((number + 1,))
        })
    })
    .unwrap();
    let mut guests = Guests::linked(&engine, &linker, 1);
    guests.store.data_mut().instance = Some(guests.instances[0]);
    let (plain, gates) = (guests.func(0, "plain"), guests.gates.clone());
    assert_eq!(plain.call(&mut guests.store, (5,)).unwrap(), (6,));
    gates.open(5, 50);
    let run = guests.store.run_concurrent(async |accessor| {
        while accessor.with(|mut store| store.get().returned.len()) < 2 {
            turns(1).await;
        }
    });
    block_on(run).unwrap();
    assert_eq!(guests.store.data().returned, [5, 99]);
}

/// Uses its accessor when it is dropped.
struct UsesStore<'a>(&'a Accessor<Host>, Arc<AtomicUsize>);

impl Drop for UsesStore<'_> {
    fn drop(&mut self) {
        self.0.with(|mut store| store.get().returned.push(0));
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn futures_are_dropped_while_the_store_is_whole() {
    let engine = Engine::default();
    let dropped = Arc::<AtomicUsize>::default();
    let mut linker = super::guest::linker(&engine);
    linker.allow_shadowing(true);
    for name in ["wait", "plain"] {
        let dropped = dropped.clone();
        let root = &mut linker.root();
        root.func_wrap_concurrent(name, move |accessor, (_,): (u32,)| {
            let dropped = dropped.clone();
            Box::pin(async move {
                let _uses = UsesStore(accessor, dropped);
                pending::<()>().await;
                Ok((0u32,))
            })
        })
        .unwrap();
    }
    let count = |expected| assert_eq!(dropped.swap(0, Ordering::SeqCst), expected);
    let mut guests = Guests::linked(&engine, &linker, 3);
    let funcs = [
        guests.func(0, "waits"),
        guests.func(1, "blocks"),
        guests.func(2, "plain"),
    ];
    // Those that have the store end with the run, others stay.
    assert!(run_once(&mut guests.store, async |accessor| {
        accessor.with(|mut store| {
            for func in funcs {
                func.start_call_concurrent(&mut store, (1,)).unwrap();
            }
            let spawned = task(move |accessor| {
                Box::pin(async move {
                    let _uses = UsesStore(accessor, Arc::default());
                    pending().await
                })
            });
            store.spawn(spawned).unwrap();
        });
        pending().await
    }));
    count(1);
    assert_eq!(guests.store.data().returned.len(), 1);
    drop(guests);
    count(2);

    // The same with data that the store returns.
    let mut guests = Guests::linked(&engine, &linker, 1);
    let waits = guests.func(0, "waits");
    waits
        .start_call_concurrent(&mut guests.store, (1,))
        .unwrap();
    assert!(run_once(&mut guests.store, async |_| pending().await));
    assert_eq!(guests.store.into_data().returned.len(), 1);
    count(1);
}

#[test]
fn what_waits_is_dropped_with_the_run() {
    let mut guests = Guests::new(1);
    let gates = guests.gates.clone();
    assert!(run_once(&mut guests.store, async |accessor| {
        gates_of(accessor).wait(1).await;
    }));
    assert_eq!(gates.futures(), 0);
    let mut store: Store<Host> = guests.store;
    block_on(store.run_concurrent(async |_| turns(3).await)).unwrap();
}

//! A binary of its own, because it measures the whole process.
//!
//! Ten thousand calls are suspended at a time, on two threads. Some futures are dropped, some
//! guests trap, some are past their deadline. Nothing may remain of any of them. Builds with debug
//! assertions, as those of tests are, verify each slab that is reset.

use mintage::{
    Component, Config, Engine, InstancePre, Linker, PoolConfig, Result, Store, StoreContextMut,
    Trap,
};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// The number of calls at a time, and of the instances and stacks that the engine may have.
const CALLS: usize = 10_000;
/// The number of host functions that each call waits for.
const WAITS: u32 = 4;

/// A guest that has seen its instance new, waited, and kept its locals, returns `2 * n`.
const GUEST: &str = r#"(component
    (import "wait" (func $wait (param "n" u32) (result u32)))
    (core func $wait (canon lower (func $wait)))
    (core module $m
        (import "" "wait" (func $wait (param i32) (result i32)))
        (memory 2)
        (func (export "run") (param $n i32) (param $waits i32) (param $fate i32) (result i32)
            (local $sum i32)
            (local.set $sum (i32.add (local.get $n) (i32.load (i32.const 70000))))
            (i32.store (i32.const 70000) (i32.const 1))
            (drop (memory.grow (i32.const 1)))
            (loop $again
                (local.set $sum (i32.add (local.get $sum) (call $wait (local.get $n))))
                (local.set $waits (i32.sub (local.get $waits) (i32.const 1)))
                (br_if $again (local.get $waits)))
            (if (i32.eq (local.get $fate) (i32.const 1)) (then unreachable))
            (loop $spin (br_if $spin (i32.eq (local.get $fate) (i32.const 2))))
            (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
    (func (export "run") (param "n" u32) (param "waits" u32) (param "fate" u32) (result u32)
        (canon lift (core func $i "run"))))"#;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Returns,
    Traps,
    IsLate,
    /// Its future is dropped after so many polls.
    IsDropped(u32),
}

impl Fate {
    fn of(number: usize) -> Fate {
        match number % 10 {
            1 => Fate::Traps,
            2 => Fate::IsLate,
            3 => Fate::IsDropped(1 + (number / 10) as u32 % WAITS),
            _ => Fate::Returns,
        }
    }
}

/// What there is of something, and the most that there has been.
#[derive(Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
    ever: AtomicUsize,
}

/// One of those that a [`Count`] counts.
struct Counted(Arc<Count>);

impl Count {
    fn one(self: &Arc<Count>) -> Counted {
        self.most
            .fetch_max(self.now.fetch_add(1, Relaxed) + 1, Relaxed);
        self.ever.fetch_add(1, Relaxed);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

/// The data of a store.
struct Host {
    waiting: Arc<Count>,
    _alive: Counted,
}

/// Is pending once.
async fn wait() {
    let mut is_first = true;
    poll_fn(move |cx| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

type Returned<'a> = Box<dyn Future<Output = Result<(u32,)>> + Send + 'a>;

fn linked(engine: &Engine) -> Result<InstancePre<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    linker.root().func_wrap_async(
        "wait",
        |store: StoreContextMut<'_, Host>, (n,): (u32,)| -> Returned<'_> {
            Box::new(async move {
                let _waiting = store.data().waiting.one();
                wait().await;
                Ok((n / WAITS,))
            })
        },
    )?;
    linker.instantiate_pre(&Component::new(engine, GUEST)?)
}

/// A call, in a store of its own, and the check of its outcome.
async fn call(pre: InstancePre<Host>, host: Host, number: usize) -> Result<()> {
    let fate = Fate::of(number);
    let mut store = Store::new(pre.engine(), host);
    if fate == Fate::IsLate {
        store.set_deadline(Duration::from_millis(1))?;
    }
    let n = number as u32 * WAITS;
    let ended = async {
        let instance = pre.instantiate_async(&mut store).await?;
        let run = instance.get_typed_func::<(u32, u32, u32), (u32,)>(&mut store, "run")?;
        let fate = match fate {
            Fate::Traps => 1,
            Fate::IsLate => 2,
            Fate::Returns | Fate::IsDropped(_) => 0,
        };
        run.call_async(&mut store, (n, WAITS, fate)).await
    };
    let ended = ended.await;
    match fate {
        Fate::Returns => assert_eq!(ended?, (2 * n,), "the instance is not new"),
        Fate::Traps | Fate::IsLate => {
            let expected = match fate {
                Fate::Traps => Trap::UnreachableCodeReached,
                _ => Trap::Interrupt,
            };
            let error = ended.expect_err("a trap");
            assert_eq!(error.downcast_ref(), Some(&expected), "{error:?}");
        }
        Fate::IsDropped(_) => panic!("the future should have been dropped"),
    }
    Ok(())
}

/// An executor with one queue, so that each task is polled once before any is polled again.
#[derive(Default)]
struct Executor {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Arc<Task>>,
    /// The number of tasks that have not ended.
    alive: usize,
}

struct Task {
    executor: Arc<Executor>,
    running: Mutex<Option<Running>>,
}

struct Running {
    future: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
    /// The number of polls after which the future is dropped.
    polls: Option<u32>,
}

impl Executor {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap()
    }

    fn spawn(self: &Arc<Self>, running: Running) {
        let mut queue = self.lock();
        queue.alive += 1;
        queue.ready.push_back(Arc::new(Task {
            executor: self.clone(),
            running: Mutex::new(Some(running)),
        }));
    }

    /// Polls tasks until all have ended.
    fn run(&self) -> Result<()> {
        loop {
            let mut queue = self.lock();
            let task = loop {
                match queue.ready.pop_front() {
                    Some(task) => break task,
                    None if queue.alive == 0 => return Ok(()),
                    None => queue = self.changed.wait(queue).unwrap(),
                }
            };
            drop(queue);
            let ended = task.poll();
            if let Some(result) = ended {
                self.lock().alive -= 1;
                self.changed.notify_all();
                result?;
            }
        }
    }
}

impl Task {
    /// Polls the future, and drops it if it is ready or has been polled often enough.
    fn poll(self: &Arc<Task>) -> Option<Result<()>> {
        let waker = Waker::from(self.clone());
        let mut running = self.running.lock().unwrap();
        // A task that was dropped may have woken itself before.
        let Running { future, polls } = running.as_mut()?;
        let mut polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Some(polls) = polls {
            *polls -= 1;
            if *polls == 0 {
                assert!(polled.is_pending(), "the future is dropped while it waits");
                polled = Poll::Ready(Ok(()));
            }
        }
        match polled {
            Poll::Ready(result) => {
                *running = None;
                Some(result)
            }
            Poll::Pending => None,
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let executor = self.executor.clone();
        executor.lock().ready.push_back(self);
        executor.changed.notify_one();
    }
}

/// Runs all calls once. Returns what was counted of host functions and stores.
fn round(pre: &InstancePre<Host>) -> [Arc<Count>; 2] {
    let [waiting, alive] = [Arc::<Count>::default(), Arc::<Count>::default()];
    let executor = Arc::<Executor>::default();
    for number in 0..CALLS {
        let host = Host {
            waiting: waiting.clone(),
            _alive: alive.one(),
        };
        executor.spawn(Running {
            future: Box::pin(call(pre.clone(), host, number)),
            polls: match Fate::of(number) {
                Fate::IsDropped(polls) => Some(polls),
                _ => None,
            },
        });
    }
    thread::scope(|scope| {
        let workers = [(), ()].map(|()| scope.spawn(|| executor.run()));
        for worker in workers {
            worker.join().unwrap().unwrap();
        }
    });
    [waiting, alive]
}

/// Returns the number of bytes in memory and the number of mappings of the process.
fn footprint() -> (usize, usize) {
    let read = |name| std::fs::read_to_string(name).unwrap();
    let status = read("/proc/self/status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse::<usize>();
    (
        kilobytes.unwrap() << 10,
        read("/proc/self/maps").lines().count(),
    )
}

#[test]
fn nothing_remains_of_ten_thousand_calls_at_a_time() -> Result<()> {
    // Just enough of everything: what one round kept would be missing in the next.
    let mut pool = PoolConfig::new();
    let limit = CALLS as u32;
    pool.total_component_instances(limit).total_stacks(limit);
    let engine = Engine::new(Config::new().interruptible(true).pool(&pool))?;
    let pre = linked(&engine)?;
    let mut before = None;
    for _ in 0..3 {
        let [waiting, alive] = round(&pre);
        assert_eq!(alive.most.load(Relaxed), CALLS);
        assert_eq!(alive.now.load(Relaxed), 0, "stores");
        // All but those calls wait at the same time that an early drop has ended before the last
        // one began.
        assert!(waiting.most.load(Relaxed) > CALLS * 9 / 10);
        assert_eq!(waiting.now.load(Relaxed), 0, "futures of host functions");
        assert!(waiting.ever.load(Relaxed) > CALLS * (WAITS as usize - 1));

        let (resident, mappings) = footprint();
        let (first_resident, first_mappings) = *before.get_or_insert((resident, mappings));
        assert!(
            mappings <= first_mappings + 300,
            "{mappings} mappings, {first_mappings} before"
        );
        assert!(
            resident <= first_resident + (32 << 20),
            "{resident} bytes, {first_resident} before"
        );
    }
    Ok(())
}

//! [`Runs`]: runs of random operations, and the host of the guest.

use crate::choose::{Chooser, choose_function};
use crate::guest::{self, AT_ONCE, DOMAINS, Kind};
use crate::model::{Model, Report};
use crate::models::Models;
use crate::numbers::Numbers;
use crate::rules::Step;
use crate::script::Script;
use mintage::component::{ComponentType, Lift, Lower};
use mintage::error::{Error, Result, bail, ensure, format_err};
use mintage::{
    Accessor, Component, Config, Engine, FutureReader, Instance, Linker, Store, StoreContextMut,
    StreamReader, Trap, TypedFunc,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// A parameter or result of the guest's functions.
#[derive(ComponentType, Lower, Lift)]
#[component(variant)]
enum End {
    #[component(name = "n")]
    Number(u32),
    #[component(name = "stream")]
    Stream(StreamReader<u8>),
    #[component(name = "future")]
    Future(FutureReader<u8>),
}

/// How many operations of a failure are shown.
const SHOWN: usize = 300;

/// Who chooses what a thread does.
enum Chooses {
    AtRandom(Chooser),
    ByScript(Script),
}

/// What both the guest's host and the test know of a run.
struct Known {
    models: Models,
    chooses: Chooses,
    /// The last operations, with what was reported before each.
    trace: VecDeque<(usize, Report, Step)>,
    operations: u64,
    /// What the model does not allow.
    broken: Option<String>,
}

#[derive(Clone)]
struct Host {
    known: Arc<Mutex<Known>>,
    gates: Arc<Mutex<Gates>>,
    /// The number of futures of the host that exist.
    futures: Arc<AtomicUsize>,
}

/// Calls of the host that wait.
#[derive(Default)]
struct Gates {
    open: HashSet<u32>,
    wakers: HashMap<u32, Waker>,
}

/// Counts a future of the host.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A guest that is ready to run.
pub struct Runs {
    engine: Engine,
    component: Component,
    linker: Linker<Host>,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub operations: u64,
    /// Whether the guest has trapped, as the model demands.
    pub trapped: bool,
    /// Whether it was dropped before nothing could go on.
    pub dropped: bool,
}

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// See [`Config::schedule_seed`].
    pub schedule_seed: Option<u64>,
    /// Whether each poll is on another thread.
    pub moves: bool,
    /// Drops the run after so many polls.
    pub polls: Option<usize>,
}

impl Runs {
    /// Compiles the guest.
    pub fn new() -> Result<Runs> {
        let mut config = Config::new();
        config
            .wasm_component_model_async_stackful(true)
            .wasm_component_model_more_async_builtins(true)
            .wasm_component_model_threading(true)
            .wasm_component_model_forward(true);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, guest::component())?;
        let mut linker = Linker::new(&engine);
        let mut root = linker.root();
        root.func_wrap(
            "next",
            |mut store: StoreContextMut<'_, Host>, (thread, r0, r1, r2): (u32, u32, u32, u32)| {
                let next = store.data_mut().known().next(thread as usize, [r0, r1, r2]);
                Ok((next?,))
            },
        )?;
        root.func_wrap_concurrent("host", |accessor: &Accessor<Host>, (number,): (u32,)| {
            Box::pin(async move {
                let host = accessor.with(|mut store| store.get().clone());
                host.futures.fetch_add(1, Ordering::Relaxed);
                let _counted = Counted(host.futures.clone());
                if number & AT_ONCE == 0 {
                    host.wait(number).await;
                }
                Ok((guest::host_result(number),))
            })
        })?;
        Ok(Runs {
            engine,
            component,
            linker,
        })
    }

    /// Returns the numbers of instances, and of stacks, that are in use.
    pub fn in_use(&self) -> (usize, usize) {
        let metrics = self.engine.metrics();
        (metrics.instances_live, metrics.stacks_in_use)
    }

    /// Runs random operations, which `seed` determines.
    ///
    /// # Errors
    ///
    /// If the guest sees what the specification does not allow, with the last operations.
    pub fn random(&self, seed: u64, settings: Settings) -> Result<Run> {
        let mut numbers = Numbers::new(seed);
        let left = 20 + numbers.below(400) as u32;
        let wild = [0, 0, 40, 200][numbers.below(4)];
        // One at a time: nothing tells when a call has tried to begin that waits.
        let calls = vec![choose_function(&mut numbers)];
        let chooser = Chooser {
            numbers: numbers.clone(),
            left,
            wild,
            host_calls: 0,
        };
        let run = self.run(numbers, calls, Chooses::AtRandom(chooser), settings);
        run.map_err(|error| error.context(format!("seed {seed}, {settings:?}")))
            .map(|(run, _)| run)
    }

    /// Runs a program whose result does not depend on the order. Returns the result, and the order
    /// in which its threads went on.
    ///
    /// # Errors
    ///
    /// As [`random`](Self::random).
    pub fn scripted(&self, settings: Settings) -> Result<(Option<u32>, Vec<usize>)> {
        let calls = vec![(Kind::Stackful, 0)];
        let script = Chooses::ByScript(Script::default());
        let (_, known) = self.run(Numbers::new(0), calls, script, settings)?;
        let known = known.lock().expect("nothing has panicked");
        let order = known.trace.iter().map(|&(thread, ..)| thread).collect();
        Ok((known.models.one().task(0).result, order))
    }

    fn run(
        &self,
        numbers: Numbers,
        calls: Vec<(Kind, usize)>,
        chooses: Chooses,
        settings: Settings,
    ) -> Result<(Run, Arc<Mutex<Known>>)> {
        let host = Host {
            known: Arc::new(Mutex::new(Known {
                models: Models::new(),
                chooses,
                trace: VecDeque::new(),
                operations: 0,
                broken: None,
            })),
            gates: Arc::default(),
            futures: Arc::default(),
        };
        let mut store = Store::new(&self.engine, host.clone());
        store.set_schedule_seed(settings.schedule_seed);
        let instance = self.linker.instantiate(&mut store, &self.component)?;
        let ended = run_calls(&mut store, &instance, calls, numbers, settings);
        let mut known = host.known();
        if let Some(broken) = &known.broken {
            return Err(known.failure(broken));
        }
        let result = match ended {
            Ok(is_idle) if is_idle => known.models.check_idle().map(|()| (false, false)),
            Ok(_) => Ok((false, true)),
            Err(error) if error.downcast_ref::<Trap>().is_some() => {
                if let Err(why) = known.models.check_trap() {
                    return Err(known.failure(&format!("{why}: {error:#}")));
                }
                Ok((true, false))
            }
            Err(error) => return Err(known.failure(&format!("{error:#}"))),
        };
        let (trapped, dropped) = result.map_err(|why| known.failure(why))?;
        let run = Run {
            operations: known.operations,
            trapped,
            dropped,
        };
        drop(known);
        drop(store);
        let left = host.futures.load(Ordering::Relaxed);
        ensure!(left == 0, "{left} futures of the host outlive their store");
        Ok((run, host.known))
    }
}

/// Wakes a run.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The most calls that the host makes in a run.
const MAX_CALLS: usize = 40;

type Function = TypedFunc<(u32, End), (End,)>;

/// Calls functions, and runs the store until nothing goes on. Then a call of the guest to the host
/// returns, or the host calls another function, as long as there is something to do. Returns false
/// if the run was dropped before.
fn run_calls(
    store: &mut Store<Host>,
    instance: &Instance,
    mut calls: Vec<(Kind, usize)>,
    mut numbers: Numbers,
    settings: Settings,
) -> Result<bool> {
    let host = store.data().clone();
    let mut functions: HashMap<(Kind, usize), Function> = HashMap::new();
    for kind in Kind::ALL {
        for domain in 0..DOMAINS {
            let name = format!("{}{domain}", kind.name());
            let function = instance.get_typed_func(&mut *store, &name)?;
            functions.insert((kind, domain), function);
        }
    }
    let queue: Mutex<Vec<(Function, usize)>> = Mutex::default();
    let root_waker: Mutex<Option<Waker>> = Mutex::default();
    let run = store.run_concurrent(async |accessor| {
        let mut begun = Vec::new();
        poll_fn(|cx| {
            *root_waker.lock().expect("nothing has panicked") = Some(cx.waker().clone());
            for (function, task) in queue.lock().expect("nothing has panicked").drain(..) {
                let call = accessor.with(|store| {
                    function.start_call_concurrent(store, (task as u32, End::Number(77)))
                })?;
                begun.push((Box::pin(call), task));
            }
            let mut at = 0;
            while let Some((call, task)) = begun.get_mut(at) {
                match call.as_mut().poll(cx) {
                    Poll::Ready(result) => {
                        host.known().host_gets(*task, &result?.0)?;
                        begun.swap_remove(at);
                    }
                    Poll::Pending => at += 1,
                }
            }
            Poll::<Result<()>>::Pending
        })
        .await
    });
    let mut run = pin!(run);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut made = 0;
    for polls in 0.. {
        if settings.polls == Some(polls) {
            return Ok(false);
        }
        for call in calls.drain(..) {
            made += 1;
            let task = host.known().models.call_by_host(call.0, call.1);
            let function = functions[&call];
            queue
                .lock()
                .expect("nothing has panicked")
                .push((function, task));
        }
        woken.0.store(false, Ordering::Relaxed);
        let mut poll = || run.as_mut().poll(&mut Context::from_waker(&waker));
        let polled = match settings.moves {
            true => thread::scope(|scope| {
                let polled = scope.spawn(poll).join();
                polled.map_err(|_| format_err!("the run panicked"))
            })?,
            false => poll(),
        };
        match polled {
            Poll::Ready(ended) => ended??,
            Poll::Pending if woken.0.load(Ordering::Relaxed) => {}
            Poll::Pending => {
                let mut known = host.known();
                known
                    .models
                    .check_idle()
                    .map_err(|why| known.failure(why))?;
                let waiting = known.models.one().host_calls();
                if !waiting.is_empty() && (!known.has_operations() || numbers.below(2) == 0) {
                    let call = waiting[numbers.below(waiting.len())];
                    host.open(known.models.host_returns(call));
                } else if known.has_operations() && made < MAX_CALLS {
                    calls.push(choose_function(&mut numbers));
                    if let Some(waker) = &*root_waker.lock().expect("nothing has panicked") {
                        waker.wake_by_ref();
                    }
                } else {
                    break;
                }
            }
        }
    }
    Ok(true)
}

impl Host {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing has panicked")
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.gates.lock().expect("nothing has panicked")
    }

    /// Waits until a call may return.
    async fn wait(&self, number: u32) {
        poll_fn(|cx| {
            let mut gates = self.gates();
            if gates.open.contains(&number) {
                return Poll::Ready(());
            }
            gates.wakers.insert(number, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets a call return.
    fn open(&self, number: u32) {
        let mut gates = self.gates();
        gates.open.insert(number);
        if let Some(waker) = gates.wakers.remove(&number) {
            waker.wake();
        }
    }
}

impl Known {
    /// Returns whether guests have operations left.
    fn has_operations(&self) -> bool {
        matches!(&self.chooses, Chooses::AtRandom(chooser) if chooser.left > 0)
    }

    /// Takes what a thread reports, and returns its next operation.
    fn next(&mut self, thread: usize, report: Report) -> Result<u64> {
        let checked = match thread < self.models.one().threads.len() {
            true => self.models.report(thread, report),
            false => Err("there is no such thread"),
        };
        if let Err(why) = checked {
            self.broken = Some(format!("{why}: thread {thread} reports {report:?}"));
            bail!("the model is broken");
        }
        let step = match &mut self.chooses {
            Chooses::AtRandom(chooser) => chooser.next(self.models.one(), thread),
            Chooses::ByScript(script) => script.next(self.models.one(), thread, report),
        };
        if self.trace.len() == SHOWN {
            self.trace.pop_front();
        }
        self.trace.push_back((thread, report, step));
        self.operations += 1;
        self.models.apply(thread, step);
        Ok(step.word())
    }

    /// Compares a result that the host gets.
    fn host_gets(&mut self, task: usize, result: &End) -> Result<()> {
        let expected = self.models.one().task(task).result;
        match result {
            End::Number(number) if Some(*number) == expected => Ok(()),
            _ => bail!("the host gets another result of {task} than {expected:?}"),
        }
    }

    fn failure(&self, why: &str) -> Error {
        let model: &Model = self.models.one();
        let mut text = format!("{why}\n");
        for (thread, report, step) in &self.trace {
            let Step { op, a, b, c } = step;
            let task = model.thread(*thread).task;
            let (kind, domain) = (model.task(task).kind, model.task(task).domain);
            text += &format!(
                "  {thread} (task {task}, {kind:?} in {domain}) {report:?}: {op:?} {a} {b} {c}\n"
            );
        }
        text += &format!("stack: {:?}, {} states\n", model.stack, self.models.count());
        for (number, thread) in model.threads.iter().enumerate() {
            text += &format!("  {number}: {thread:?}\n");
        }
        format_err!("{text}")
    }
}

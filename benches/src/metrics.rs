//! The list of metrics.
//!
//! To add a metric, add an entry to one of the functions that [`all`] calls, or a kernel to
//! [`KERNELS`]. A metric's `prepare` function does everything that is not measured and returns a
//! [`Probe`], which checks each result that it gets.

use crate::commands;
use crate::contender::{Calls, Contender, Host, Mode, poll_until_ready};
use crate::guest::{self, ADAPTERS, ADD, ECHO, Guest, TABLE_ENTRIES, WAIT};
use crate::kernels::{KERNELS, Kernel};
use crate::lab::Lab;
use crate::memory::Memory;
use crate::{similar, tasks};
use anyhow::{Result, anyhow, bail, ensure};
use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// One row of the table.
pub struct Metric<C: Host> {
    /// The name, without the mode.
    pub subject: String,
    /// The group.
    pub group: Group,
    /// The unit of the result.
    pub unit: Unit,
    /// The number of samples.
    pub cadence: Cadence,
    /// The mode of the engine.
    pub mode: Mode,
    /// Prepares the measurement.
    pub prepare: Prepare<C>,
}

impl<C: Host> Metric<C> {
    /// Returns the name, with the mode.
    pub fn name(&self) -> String {
        name(&self.subject, self.mode)
    }
}

/// Returns the name of a metric with its mode, unless that is the default.
pub(crate) fn name(subject: &str, mode: Mode) -> String {
    match mode {
        Mode::Free => subject.to_string(),
        _ => format!("{subject}, {}", mode.name()),
    }
}

/// A function that prepares a measurement. Its own work is not measured.
pub type Prepare<C> = Box<dyn for<'lab> Fn(&'lab Lab<C>) -> Result<Probe<'lab>>>;

/// A group of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Compiling components, and loading artifacts from files.
    Code,
    /// Components that are nearly the same.
    Similar,
    /// Creating and dropping instances.
    Instances,
    /// Short calls.
    Calls,
    /// Calls that may be suspended.
    Waiting,
    /// Asynchronous components.
    Tasks,
    /// Calls between components.
    Adapters,
    /// Components that use WASI.
    Commands,
    /// The kernels.
    Kernels,
}

impl Group {
    /// Returns the title in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::Code => "Compiling and loading",
            Self::Similar => "Components that are nearly the same",
            Self::Instances => "Instances",
            Self::Calls => "Calls",
            Self::Waiting => "Asynchronous calls",
            Self::Tasks => "Asynchronous components",
            Self::Adapters => "Calls between components",
            Self::Commands => "WASI",
            Self::Kernels => "Steady state",
        }
    }
}

/// The unit of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// The number of samples of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// A single sample, for a result that does not vary.
    Once,
    /// Few samples of one iteration, for a metric that takes seconds.
    Few,
    /// Many samples for a short metric. Each has enough iterations to take about a millisecond.
    Many,
}

/// A prepared measurement.
pub enum Probe<'lab> {
    /// A function that runs a number of iterations and returns their total time.
    Time(Box<dyn FnMut(u64) -> Result<Duration> + 'lab>),
    /// A size in bytes, known already.
    Size(u64),
}

/// Returns all metrics, in the order of the table.
pub fn all<C: Contender>() -> Vec<Metric<C>> {
    let mut metrics = code();
    metrics.extend(similar::metrics());
    metrics.extend(instances());
    metrics.extend(calls());
    metrics.extend(waiting());
    metrics.extend(tasks::metrics());
    metrics.extend(adapters());
    metrics.extend(commands::metrics());
    metrics.extend(kernels());
    metrics
}

/// Returns a metric of a short time.
pub(crate) fn row<C: Host>(
    group: Group,
    subject: impl Into<String>,
    prepare: impl for<'lab> Fn(&'lab Lab<C>) -> Result<Probe<'lab>> + 'static,
) -> Metric<C> {
    Metric {
        subject: subject.into(),
        group,
        unit: Unit::Seconds,
        cadence: Cadence::Many,
        mode: Mode::Free,
        prepare: Box::new(prepare),
    }
}

/// Returns a metric of a size.
pub(crate) fn size<C: Host>(
    group: Group,
    subject: impl Into<String>,
    prepare: impl for<'lab> Fn(&'lab Lab<C>) -> Result<Probe<'lab>> + 'static,
) -> Metric<C> {
    Metric {
        unit: Unit::Bytes,
        cadence: Cadence::Once,
        ..row(group, subject, prepare)
    }
}

fn code<C: Contender>() -> Vec<Metric<C>> {
    let group = Group::Code;
    let compile = |mode| Metric {
        cadence: Cadence::Few,
        mode,
        ..row(group, "compile", compile)
    };
    let artifact_size = |mode| Metric {
        mode,
        ..size(group, "artifact size", artifact_size)
    };
    vec![
        compile(Mode::Free),
        compile(Mode::Fast),
        artifact_size(Mode::Free),
        artifact_size(Mode::Fast),
        row(group, "load", load),
        row(group, "load + link + instantiate + greet", cold_start),
    ]
}

fn instances<C: Contender>() -> Vec<Metric<C>> {
    let group = Group::Instances;
    let mut metrics = vec![
        row(group, "instantiate + drop", |lab| {
            instantiate(lab, Guest::Greet)
        }),
        row(group, ONE_THREAD, instantiate_and_greet),
        row(
            group,
            "instantiate + greet + drop, from a snapshot",
            instantiate_and_greet_again,
        ),
        row(group, TWO_THREADS, |lab| {
            instantiate_and_greet_on_threads(lab, 2)
        }),
    ];
    for length in [10, 100, 500] {
        let name = format!("instantiate + drop, chain of {length} core instances");
        metrics.push(row(group, name, move |lab| {
            instantiate(lab, Guest::Chain(length))
        }));
    }
    metrics.extend([
        row(group, "instantiate + drop, start function of 1 ms", |lab| {
            instantiate(lab, Guest::Starting(true))
        }),
        row(group, "instantiate + drop, no start function", |lab| {
            instantiate(lab, Guest::Starting(false))
        }),
        size(group, "resident, live instance", |lab| {
            footprint(lab, false, |memory| memory.resident)
        }),
        size(group, "resident, live instance that greeted", |lab| {
            footprint(lab, true, |memory| memory.resident)
        }),
        size(group, "address space, live instance", |lab| {
            footprint(lab, false, |memory| memory.address_space)
        }),
    ]);
    metrics
}

fn calls<C: Contender>() -> Vec<Metric<C>> {
    let group = Group::Calls;
    let mut metrics = vec![
        row(group, "greet", greet),
        row(group, "fib(5000)", fib),
        Metric {
            mode: Mode::Fast,
            ..row(group, "fib(5000)", fib)
        },
        row(group, "add", add),
        row(group, "add, with values", add_values),
        row(group, "echo", echo),
        row(group, "call of a host function", call_host),
    ];
    for calls in INDIRECT_CALLS {
        let name = calls.name;
        metrics.push(row(group, format!("{name}, first touch"), move |lab| {
            indirect_first_touch(lab, calls)
        }));
        metrics.push(row(group, format!("{name}, warm"), move |lab| {
            indirect_warm(lab, calls)
        }));
    }
    metrics
}

fn waiting<C: Contender>() -> Vec<Metric<C>> {
    let group = Group::Waiting;
    vec![
        row(group, "add, called asynchronously", add_async),
        row(group, "asynchronous call, no host function", |lab| {
            wait(lab, "plain", 7)
        }),
        row(
            group,
            "asynchronous call, host function ready at once",
            |lab| wait(lab, "run", 0),
        ),
        row(group, "asynchronous call, suspended once", |lab| {
            wait(lab, "run", 1)
        }),
        row(
            group,
            "1000 asynchronous calls, all suspended at a time",
            suspended,
        ),
        size(group, "resident, suspended call", suspended_footprint),
    ]
}

fn adapters<C: Contender>() -> Vec<Metric<C>> {
    let types = [
        ("string", "string", 84 + 43),
        ("list<u8>", "bytes", 84 + 64),
        ("list<u32>", "words", 84 + 64),
        ("list<tuple<u32, string>>", "pairs", 7 + 64),
        ("record of 10 fields", "fields", 11),
        ("resource method", "method", 42),
    ];
    let metric = |(name, export, answer)| {
        row(
            Group::Adapters,
            format!("1000 adapter calls: {name}"),
            move |lab| adapter(lab, export, answer),
        )
    };
    types.map(metric).into()
}

fn kernels<C: Contender>() -> Vec<Metric<C>> {
    let modes = Mode::ALL.into_iter();
    let metric = |mode: Mode, kernel: Kernel| Metric {
        mode,
        ..row(Group::Kernels, kernel.name, move |lab| {
            run_kernel(lab, kernel)
        })
    };
    modes
        .flat_map(|mode| KERNELS.map(|kernel| metric(mode, kernel)))
        .collect()
}

/// Requests served one by one.
pub(crate) const ONE_THREAD: &str = "instantiate + greet + drop";
/// Requests served by two threads. The result is the total time divided by the number of requests.
pub(crate) const TWO_THREADS: &str = "instantiate + greet + drop, two threads";

pub(crate) const NAME: &str = "world";
const GREETING: &str = "Hello, world!";
const TEXT: &str = "The quick brown fox jumps over the lazy dog";
const FIB_N: u32 = 5000;

/// Compiles the JavaScript guest.
fn compile<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let wasm = Guest::Greet.wasm()?;
    each(move || {
        let start = Instant::now();
        let component = lab.host.compile(&wasm)?;
        let time = start.elapsed();
        if lab.artifact_size.get().is_none() {
            lab.artifact_size
                .set(Some(C::serialize(&component)?.len() as u64));
        }
        Ok(time)
    })
}

/// Measures the size of the JavaScript guest's artifact.
fn artifact_size<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let size = match lab.artifact_size.get() {
        Some(size) => size,
        None => C::serialize(&lab.host.compile(&Guest::Greet.wasm()?)?)?.len() as u64,
    };
    Ok(Probe::Size(size))
}

/// Loads the JavaScript guest's artifact from a file. Dropping it is not measured.
fn load<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let artifact = lab.artifact(Guest::Greet)?;
    each(move || {
        let start = Instant::now();
        let component = lab.host.load(&artifact)?;
        let time = start.elapsed();
        drop(black_box(component));
        Ok(time)
    })
}

/// Measures the time from loading an artifact to the first result, so that postponed work counts.
/// Drops are not measured.
fn cold_start<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let artifact = lab.artifact(Guest::Greet)?;
    each(move || {
        let start = Instant::now();
        let component = lab.host.load(&artifact)?;
        let linked = lab.host.link(&component)?;
        let mut live = lab.host.instantiate(&linked)?;
        check_greet::<C>(&mut live)?;
        Ok(start.elapsed())
    })
}

/// Creates and drops a store with an instance.
fn instantiate<C: Contender>(lab: &Lab<C>, guest: Guest) -> Result<Probe<'_>> {
    let linked = lab.linked(guest)?;
    // Check that instances work.
    let answer = match guest {
        Guest::Chain(length) => Some(u64::from(length)),
        Guest::Starting(_) => Some(guest::STARTED),
        _ => None,
    };
    if let Some(answer) = answer {
        let mut live = lab.host.instantiate(&linked)?;
        let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, "run")?;
        expect(C::call(&mut live, &run, (0,))?, (answer,))?;
    }
    together(move || {
        drop(black_box(lab.host.instantiate(&linked)?));
        Ok(())
    })
}

/// Measures the memory use per instance of an engine with a thousand live instances. What the
/// engine reserves in advance counts, too. With `greeted`, each instance has handled one call.
fn footprint<'lab, C: Contender>(
    lab: &'lab Lab<C>,
    greeted: bool,
    part: impl Fn(Memory) -> u64,
) -> Result<Probe<'lab>> {
    const INSTANCES: u64 = 1000;
    let artifact = lab.artifact(Guest::Greet)?;
    let before = Memory::now()?;
    let host = C::new(Mode::Free)?;
    let linked = host.link(&host.load(&artifact)?)?;
    let mut lives = Vec::new();
    for _ in 0..INSTANCES {
        let mut live = host.instantiate(&linked)?;
        if greeted {
            check_greet::<C>(&mut live)?;
        }
        lives.push(live);
    }
    let taken = part(Memory::now()?).saturating_sub(part(before));
    drop(lives);
    Ok(Probe::Size(taken / INSTANCES))
}

/// Serves one request: store, instance, typed lookup, call, drop.
fn instantiate_and_greet<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::Greet)?;
    together(move || check_greet::<C>(&mut lab.host.instantiate(&linked)?))
}

/// Serves one request by an instance that starts from a snapshot after the first `greet`. Without
/// a snapshot if the engine does not support them.
fn instantiate_and_greet_again<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::Greet)?;
    let mut first = lab.host.instantiate(&linked)?;
    check_greet::<C>(&mut first)?;
    let linked = lab.host.snapshot(&mut first)?.unwrap_or(linked);
    together(move || check_greet::<C>(&mut lab.host.instantiate(&linked)?))
}

/// Serves requests on several threads in parallel. The result is the total time divided by the
/// number of requests.
fn instantiate_and_greet_on_threads<C: Contender>(lab: &Lab<C>, threads: u32) -> Result<Probe<'_>> {
    // Enough requests to make the time of starting threads negligible.
    const BATCH: u32 = 32;
    let linked = lab.linked(Guest::Greet)?;
    let host = &lab.host;
    Ok(Probe::Time(Box::new(move |iterations| {
        let start = Barrier::new(threads as usize);
        let serve = || -> Result<(Instant, Instant)> {
            start.wait();
            let started = Instant::now();
            for _ in 0..iterations * u64::from(BATCH) {
                check_greet::<C>(&mut host.instantiate(&linked)?)?;
            }
            Ok((started, Instant::now()))
        };
        let spans = thread::scope(|scope| -> Result<Vec<_>> {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(serve)).collect();
            let joined = running.into_iter().map(|thread| thread.join());
            joined
                .map(|span| span.map_err(|_| anyhow!("a thread panicked"))?)
                .collect()
        })?;
        let first = spans.iter().map(|span| span.0).min();
        let last = spans.iter().map(|span| span.1).max();
        let time = last
            .zip(first)
            .map_or(Duration::ZERO, |(last, first)| last - first);
        Ok(time / (BATCH * threads))
    })))
}

fn check_greet<C: Contender>(live: &mut C::Live) -> Result<()> {
    let greet = <C as Calls<(&str,), (String,)>>::func(live, "greet")?;
    let (greeting,) = C::call(live, &greet, (NAME,))?;
    expect(&*greeting, GREETING)
}

/// Calls the JavaScript function `greet` of the same instance each time.
fn greet<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(
        lab,
        Guest::Greet,
        "greet",
        (NAME,),
        |(greeting,): &(String,)| expect(&**greeting, GREETING),
    )
}

/// Calls a JavaScript function that loops 5,000 times, of the same instance each time.
fn fib<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let wanted = guest::fib(FIB_N);
    warm(
        lab,
        Guest::Greet,
        "fib",
        (FIB_N,),
        move |&(got,): &(u64,)| expect(got, wanted),
    )
}

/// Calls a function of three instructions.
fn add<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(lab, ADD, "add", (40_i32, 2_i32), |&(sum,): &(i32,)| {
        expect(sum, 42)
    })
}

/// Calls a function of three instructions, with values of types known at run time.
fn add_values<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let mut live = lab.host.instantiate(&lab.linked(ADD)?)?;
    let add = C::value_func(&mut live, "add")?;
    together(move || expect(C::call_values(&mut live, &add, black_box([40, 2]))?, 42))
}

/// Calls a function that calls one of the host, which returns its argument.
fn call_host<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let component = lab.host.load(&*lab.artifact(WAIT)?)?;
    let mut live = lab.host.instantiate(&lab.host.link_host(&component)?)?;
    let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, "run")?;
    together(move || {
        let (got,) = C::call(&mut live, &run, black_box((7_u32,)))?;
        expect(got, 7_u64)
    })
}

/// Calls a function that returns its string argument.
fn echo<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(lab, ECHO, "echo", (TEXT,), |(text,): &(String,)| {
        expect(&**text, TEXT)
    })
}

/// Calls a function of three instructions, in a way that allows it to be suspended.
fn add_async<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let mut live = lab.host.instantiate(&lab.linked(ADD)?)?;
    let add = <C as Calls<(i32, i32), (i32,)>>::func(&mut live, "add")?;
    together(move || {
        let call = <C as Calls<_, _>>::call_async(&mut live, &add, black_box((40_i32, 2_i32)));
        let (sum,): (i32,) = poll_until_ready(call)?;
        expect(sum, 42)
    })
}

/// Calls a function asynchronously that returns its argument. `run` is suspended so many times.
fn wait<'lab, C: Contender>(lab: &'lab Lab<C>, name: &'static str, n: u32) -> Result<Probe<'lab>> {
    let linked = lab.linked_waiting(WAIT)?;
    let mut live = lab.host.instantiate_waiting(&linked)?;
    let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, name)?;
    together(move || {
        let call = <C as Calls<(u32,), (u64,)>>::call_async(&mut live, &run, (black_box(n),));
        let (got,) = poll_until_ready(call)?;
        expect(got, u64::from(n))
    })
}

/// The number of calls that are suspended at a time.
const SUSPENDED: usize = 1000;

/// An instance that waits, and its function `run`.
type Waiter<C> = (<C as Host>::Live, <C as Calls<(u32,), (u64,)>>::Func);

/// Creates instances for as many calls.
fn waiters<C: Contender>(host: &C, linked: &C::Linked) -> Result<Vec<Waiter<C>>> {
    let waiter = |_| {
        let mut live = host.instantiate_waiting(linked)?;
        let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, "run")?;
        Ok((live, run))
    };
    (0..SUSPENDED).map(waiter).collect()
}

/// Begins a call of each instance, and calls `meanwhile` while all are suspended. Then ends them.
fn suspend_all<C: Contender, R>(
    waiters: &mut [Waiter<C>],
    meanwhile: impl FnOnce() -> R,
) -> Result<R> {
    let context = &mut Context::from_waker(Waker::noop());
    let mut calls = Vec::with_capacity(waiters.len());
    for (live, run) in waiters {
        let mut call = Box::pin(<C as Calls<(u32,), (u64,)>>::call_async(live, run, (1,)));
        ensure!(call.as_mut().poll(context).is_pending(), "it does not wait");
        calls.push(call);
    }
    let result = meanwhile();
    for call in &mut calls {
        let Poll::Ready(done) = call.as_mut().poll(context) else {
            bail!("the call is suspended more than once");
        };
        expect(done?.0, 1)?;
    }
    Ok(result)
}

/// Begins a thousand calls, each in its own store, then ends them.
fn suspended<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let linked = lab.linked_waiting(WAIT)?;
    let mut waiters = waiters::<C>(&lab.host, &linked)?;
    each(move || {
        let start = Instant::now();
        suspend_all::<C, _>(&mut waiters, || ())?;
        Ok(start.elapsed())
    })
}

/// Measures the memory that a suspended call takes beside its instance.
fn suspended_footprint<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let artifact = lab.artifact(WAIT)?;
    let host = C::new(Mode::Free)?;
    let linked = host.link_waiting(&host.load(&artifact)?)?;
    let mut waiters = waiters::<C>(&host, &linked)?;
    let before = Memory::now()?.resident;
    let during = suspend_all::<C, _>(&mut waiters, Memory::now)??.resident;
    let taken = during.saturating_sub(before);
    Ok(Probe::Size(taken / SUSPENDED as u64))
}

/// A series of 65,536 calls through a table.
#[derive(Clone, Copy)]
struct IndirectCalls {
    name: &'static str,
    export: &'static str,
    mask: u32,
    answer: u64,
}

const INDIRECT_CALLS: [IndirectCalls; 3] = [
    IndirectCalls {
        name: "call-indirect, one entry",
        export: "run-different",
        mask: 0,
        answer: TABLE_ENTRIES as u64,
    },
    IndirectCalls {
        name: "call-indirect, all entries, same callee",
        export: "run-same",
        mask: TABLE_ENTRIES - 1,
        answer: TABLE_ENTRIES as u64,
    },
    IndirectCalls {
        name: "call-indirect, all entries, different callees",
        export: "run-different",
        mask: TABLE_ENTRIES - 1,
        answer: TABLE_ENTRIES as u64 * (TABLE_ENTRIES as u64 + 1) / 2,
    },
];

/// Makes indirect calls in a new instance, whose table has not been accessed. Only the calls are
/// measured.
fn indirect_first_touch<C: Contender>(lab: &Lab<C>, calls: IndirectCalls) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::CallIndirect)?;
    each(move || {
        let mut live = lab.host.instantiate(&linked)?;
        let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, calls.export)?;
        let start = Instant::now();
        let (sum,) = C::call(&mut live, &run, (black_box(calls.mask),))?;
        let time = start.elapsed();
        expect(sum, calls.answer)?;
        Ok(time)
    })
}

/// Makes indirect calls in an instance that has made them before.
fn indirect_warm<C: Contender>(lab: &Lab<C>, calls: IndirectCalls) -> Result<Probe<'_>> {
    warm(
        lab,
        Guest::CallIndirect,
        calls.export,
        (calls.mask,),
        move |&(sum,): &(u64,)| expect(sum, calls.answer),
    )
}

fn run_kernel<C: Contender>(lab: &Lab<C>, kernel: Kernel) -> Result<Probe<'_>> {
    warm(
        lab,
        kernel.guest,
        kernel.export,
        (kernel.n,),
        move |&(sum,): &(u64,)| expect(sum, kernel.answer),
    )
}

/// Makes a thousand calls from one component to another, each of which returns `answer`.
fn adapter<'lab, C: Contender>(
    lab: &'lab Lab<C>,
    name: &'static str,
    answer: u64,
) -> Result<Probe<'lab>> {
    const CALLS: u32 = 1000;
    let wanted = answer * u64::from(CALLS);
    warm(lab, ADAPTERS, name, (CALLS,), move |&(sum,): &(u64,)| {
        expect(sum, wanted)
    })
}

/// Measures calls of a function of the same instance.
fn warm<'lab, C, Params, Results>(
    lab: &'lab Lab<C>,
    guest: Guest,
    name: &str,
    params: Params,
    check: impl Fn(&Results) -> Result<()> + 'lab,
) -> Result<Probe<'lab>>
where
    C: Contender + Calls<Params, Results, Func: 'lab>,
    Params: Copy + 'lab,
{
    let mut live = lab.host.instantiate(&lab.linked(guest)?)?;
    let func = <C as Calls<Params, Results>>::func(&mut live, name)?;
    // The first call is not measured.
    check(&C::call(&mut live, &func, params)?)?;
    together(move || check(&black_box(C::call(&mut live, &func, black_box(params))?)))
}

/// Returns a probe that measures all iterations of a short step together.
pub(crate) fn together<'lab>(mut step: impl FnMut() -> Result<()> + 'lab) -> Result<Probe<'lab>> {
    Ok(Probe::Time(Box::new(move |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            step()?;
        }
        Ok(start.elapsed())
    })))
}

/// Returns a probe of a step that measures a part of itself.
pub(crate) fn each<'lab>(mut step: impl FnMut() -> Result<Duration> + 'lab) -> Result<Probe<'lab>> {
    Ok(Probe::Time(Box::new(move |iterations| {
        (0..iterations).map(|_| step()).sum()
    })))
}

pub(crate) fn expect<T: PartialEq + Debug>(got: T, wanted: T) -> Result<()> {
    ensure!(
        got == wanted,
        "the guest returned {got:?} instead of {wanted:?}"
    );
    Ok(())
}

//! What is measured.
//!
//! To add a metric, add one entry to [`all`]. Its builder prepares everything that is not to be measured and gives a
//! [`Probe`]; the probe checks every answer that it gets.

use crate::contender::{Calls, Contender, Host};
use crate::guest::{self, Guest, TABLE_ENTRIES};
use crate::lab::Lab;
use anyhow::{Result, ensure};
use std::fmt::Debug;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// One row of the table.
pub struct Metric<C: Host> {
    /// What is measured, in a few words.
    pub name: &'static str,
    /// In what the result counts.
    pub unit: Unit,
    /// How many samples are affordable.
    pub cadence: Cadence,
    /// Prepares the measurement.
    pub prepare: Prepare<C>,
}

/// Prepares a measurement: what it does is not measured.
pub type Prepare<C> = for<'lab> fn(&'lab Lab<C>) -> Result<Probe<'lab>>;

/// In what a result counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// How many samples of a metric are affordable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// It does not vary.
    Once,
    /// It takes seconds: few samples of one iteration.
    Few,
    /// It is short: many samples, each of as many iterations as fill some milliseconds.
    Many,
}

/// A prepared measurement.
pub enum Probe<'lab> {
    /// Runs a number of iterations and answers their time together.
    Time(Box<dyn FnMut(u64) -> Result<Duration> + 'lab>),
    /// A size, known already.
    Size(u64),
}

/// All metrics, in the order of the table.
pub fn all<C: Contender>() -> Vec<Metric<C>> {
    use Cadence::{Few, Many, Once};
    let row = |name, cadence, prepare: Prepare<C>| Metric {
        name,
        unit: Unit::Seconds,
        cadence,
        prepare,
    };
    vec![
        row("compile", Few, compile),
        Metric {
            name: "artifact size",
            unit: Unit::Bytes,
            cadence: Once,
            prepare: artifact_size,
        },
        row("load", Many, load),
        row("load + link + instantiate + greet", Many, cold_start),
        row("instantiate + drop", Many, instantiate),
        row("instantiate + greet + drop", Many, instantiate_and_greet),
        row("greet", Many, greet),
        row("fib(5000)", Many, fib),
        row("add", Many, add),
        row("echo", Many, echo),
        row("call-indirect, same callee, first touch", Many, |lab| {
            call_indirect_first_touch(lab, 0)
        }),
        row("call-indirect, same callee, warm", Many, |lab| {
            call_indirect_warm(lab, 0)
        }),
        row("call-indirect, different callees, first touch", Many, |lab| {
            call_indirect_first_touch(lab, TABLE_ENTRIES - 1)
        }),
        row("call-indirect, different callees, warm", Many, |lab| {
            call_indirect_warm(lab, TABLE_ENTRIES - 1)
        }),
        row("1000 adapter calls: string", Many, |lab| {
            adapter(lab, "string", 84 + 43)
        }),
        row("1000 adapter calls: list<u8>", Many, |lab| {
            adapter(lab, "bytes", 84 + 64)
        }),
        row("1000 adapter calls: list<u32>", Many, |lab| {
            adapter(lab, "words", 84 + 64)
        }),
        row("1000 adapter calls: list<tuple<u32, string>>", Many, |lab| {
            adapter(lab, "pairs", 7 + 64)
        }),
        row("1000 adapter calls: record of 10 fields", Many, |lab| {
            adapter(lab, "fields", 11)
        }),
        row("1000 adapter calls: resource method", Many, |lab| {
            adapter(lab, "method", 42)
        }),
    ]
}

const NAME: &str = "world";
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
            lab.artifact_size.set(Some(C::serialize(&component)?.len() as u64));
        }
        Ok(time)
    })
}

/// The size of the JavaScript guest's artifact.
fn artifact_size<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let size = match lab.artifact_size.get() {
        Some(size) => size,
        None => C::serialize(&lab.host.compile(&Guest::Greet.wasm()?)?)?.len() as u64,
    };
    Ok(Probe::Size(size))
}

/// Loads the JavaScript guest's artifact from a file; dropping it is not counted.
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

/// From the artifact's file to the first answer, so that no engine gains by putting work off; drops are not counted.
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

/// Makes and drops a store with an instance of the JavaScript guest.
fn instantiate<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::Greet)?;
    together(move || {
        drop(black_box(lab.host.instantiate(&linked)?));
        Ok(())
    })
}

/// Serves one request: store, instance, typed lookup, call, drop.
fn instantiate_and_greet<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::Greet)?;
    together(move || check_greet::<C>(&mut lab.host.instantiate(&linked)?))
}

fn check_greet<C: Contender>(live: &mut C::Live) -> Result<()> {
    let greet = <C as Calls<(&str,), (String,)>>::func(live, "greet")?;
    let (greeting,) = C::call(live, &greet, (NAME,))?;
    expect(&*greeting, GREETING)
}

/// Calls the JavaScript `greet` of an instance that lives on.
fn greet<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(lab, Guest::Greet, "greet", (NAME,), |(greeting,): &(String,)| {
        expect(&**greeting, GREETING)
    })
}

/// Calls the JavaScript loop of 5,000 steps of an instance that lives on.
fn fib<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let wanted = guest::fib(FIB_N);
    warm(lab, Guest::Greet, "fib", (FIB_N,), move |&(got,): &(u64,)| {
        expect(got, wanted)
    })
}

/// Calls a function of three instructions.
fn add<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(lab, Guest::Add, "add", (40_i32, 2_i32), |&(sum,): &(i32,)| {
        expect(sum, 42)
    })
}

/// Calls a function that gives its string back.
fn echo<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    warm(lab, Guest::Echo, "echo", (TEXT,), |(text,): &(String,)| {
        expect(&**text, TEXT)
    })
}

/// The first call of a fresh instance, which makes 65,536 calls through the table; only that call is counted.
fn call_indirect_first_touch<C: Contender>(lab: &Lab<C>, mask: u32) -> Result<Probe<'_>> {
    let linked = lab.linked(Guest::CallIndirect)?;
    let wanted = guest::call_indirect_sum(mask);
    each(move || {
        let mut live = lab.host.instantiate(&linked)?;
        let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, "run")?;
        let start = Instant::now();
        let (sum,) = C::call(&mut live, &run, (black_box(mask),))?;
        let time = start.elapsed();
        expect(sum, wanted)?;
        Ok(time)
    })
}

/// The same call, in an instance that has made it before.
fn call_indirect_warm<C: Contender>(lab: &Lab<C>, mask: u32) -> Result<Probe<'_>> {
    let wanted = guest::call_indirect_sum(mask);
    warm(lab, Guest::CallIndirect, "run", (mask,), move |&(sum,): &(u64,)| {
        expect(sum, wanted)
    })
}

/// Makes a thousand calls from one component to another, each of which answers `answer`.
fn adapter<'lab, C: Contender>(lab: &'lab Lab<C>, name: &'static str, answer: u64) -> Result<Probe<'lab>> {
    const CALLS: u32 = 1000;
    let wanted = answer * u64::from(CALLS);
    warm(lab, Guest::Adapters, name, (CALLS,), move |&(sum,): &(u64,)| {
        expect(sum, wanted)
    })
}

/// Measures calls of one function in an instance that lives on.
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
    // The first call is not warm.
    check(&C::call(&mut live, &func, params)?)?;
    together(move || check(&black_box(C::call(&mut live, &func, black_box(params))?)))
}

/// A probe of a step that is short: all iterations are timed as one.
fn together<'lab>(mut step: impl FnMut() -> Result<()> + 'lab) -> Result<Probe<'lab>> {
    Ok(Probe::Time(Box::new(move |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            step()?;
        }
        Ok(start.elapsed())
    })))
}

/// A probe of a step that times a part of itself.
fn each<'lab>(mut step: impl FnMut() -> Result<Duration> + 'lab) -> Result<Probe<'lab>> {
    Ok(Probe::Time(Box::new(move |iterations| {
        (0..iterations).map(|_| step()).sum()
    })))
}

fn expect<T: PartialEq + Debug>(got: T, wanted: T) -> Result<()> {
    ensure!(got == wanted, "the guest answered {got:?} instead of {wanted:?}");
    Ok(())
}

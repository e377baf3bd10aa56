//! Metrics of components whose functions are `async`: [`TASKS`].

use crate::contender::{Calls, Contender, poll_until_ready};
use crate::guest::TASKS;
use crate::lab::Lab;
use crate::metrics::{Group, Metric, Probe, expect, row, together};
use anyhow::Result;
use std::hint::black_box;

/// The number of calls of an instance that wait at a time.
const WAITING: usize = 10_000;

/// Returns the metrics of asynchronous components.
pub(crate) fn metrics<C: Contender>() -> Vec<Metric<C>> {
    let metric = |subject: &str, export, times, answer| {
        row(Group::Tasks, subject, move |_: &Lab<C>| {
            repeated::<C>(export, times, answer)
        })
    };
    vec![
        row(
            Group::Tasks,
            "new store, instantiate, call, drop",
            from_scratch,
        ),
        metric("call of a function that returns at once", "return", 1, 1),
        metric("1000 yields", "yield", 1000, 1000),
        metric(
            "1000 calls: asynchronous to synchronous",
            "async-to-sync",
            1000,
            1000,
        ),
        metric(
            "1000 calls: asynchronous to asynchronous",
            "async-to-callback",
            1000,
            1000,
        ),
        metric(
            "1000 calls: synchronous to asynchronous",
            "sync-to-callback",
            1000,
            1000,
        ),
        metric(
            "1000 calls of the host, ready at once",
            "host-ready",
            1000,
            1000,
        ),
        metric(
            "1000 calls of the host, pending once",
            "host-pending",
            1000,
            1000,
        ),
        row(
            Group::Tasks,
            format!("{WAITING} calls that wait for the host at a time"),
            all_waiting,
        ),
        metric("1000 times 1 byte by a stream", "stream-1", 1000, 1000),
        metric(
            "10 times 100 strings by a stream",
            "stream-strings",
            1000,
            1000,
        ),
        metric("100 times 64 KiB by a stream", "stream-64k", 100, 100 << 16),
    ]
}

/// Calls an export of the asynchronous components.
fn repeated<'lab, C: Contender>(name: &str, times: u32, answer: u64) -> Result<Probe<'lab>> {
    let host = C::for_tasks()?;
    let linked = host.link_tasks(&host.compile(&TASKS.wasm()?)?)?;
    let mut live = host.instantiate_waiting(&linked)?;
    let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, name)?;
    together(move || {
        let call = <C as Calls<(u32,), (u64,)>>::call_async(&mut live, &run, (black_box(times),));
        let (sum,) = poll_until_ready(call)?;
        expect(sum, answer)
    })
}

/// Calls a new instance of the asynchronous components.
fn from_scratch<C: Contender>(_: &Lab<C>) -> Result<Probe<'_>> {
    let host = C::for_tasks()?;
    let linked = host.link_tasks(&host.compile(&TASKS.wasm()?)?)?;
    together(move || {
        let mut live = host.instantiate_waiting(&linked)?;
        let run = <C as Calls<(u32,), (u64,)>>::func(&mut live, "return")?;
        let call = <C as Calls<(u32,), (u64,)>>::call_async(&mut live, &run, (black_box(1),));
        let (got,) = poll_until_ready(call)?;
        expect(got, 1)
    })
}

/// Calls an instance of the asynchronous components many times, and lets all calls wait for the
/// host.
fn all_waiting<C: Contender>(_: &Lab<C>) -> Result<Probe<'_>> {
    let host = C::for_tasks()?;
    let linked = host.link_tasks(&host.compile(&TASKS.wasm()?)?)?;
    let mut live = host.instantiate_waiting(&linked)?;
    let wait = <C as Calls<(u32,), (u64,)>>::func(&mut live, "wait")?;
    together(move || {
        let calls =
            <C as Calls<(u32,), (u64,)>>::call_together(&mut live, &wait, (black_box(1),), WAITING);
        let results = poll_until_ready(calls)?;
        expect(
            results.iter().map(|(got,)| got).sum::<u64>(),
            WAITING as u64,
        )
    })
}

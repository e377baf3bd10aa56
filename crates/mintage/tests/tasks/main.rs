//! Random operations on tasks, threads, waitable sets, subtasks, streams and futures, compared with
//! a [model](model::Model) of the specification, which shares no code with the runtime.
//!
//! ```text
//! op         the operations of a guest
//! guest      the guest, which does what the host says
//! model      the state
//! threads    tasks and threads: how they begin, wait, go on and end
//! ends       events, and what happens when both sides of a stream copy
//! models     all states that are possible
//! order      who may go on, and what it must see
//! rules      what each operation does
//! choose     what a thread does next, at random
//! script     what a thread does next in a program whose order does not matter
//! run        a run: the host between guest and model
//! returns    what may run after `task.return`
//! storage    what `context.get` gives in `realloc`
//! ```
//!
//! The guest asks the host for each operation, and reports the results of the one before. The host
//! asks the model whether that is what the specification allows. The same compiled code serves all
//! runs, so that a run takes less than a millisecond. For some hours, from one run on:
//!
//! ```sh
//! MINTAGE_TASKS_SECONDS=7200 MINTAGE_TASKS_SEED=1000000 cargo test --release -p mintage \
//!   --test tasks -- --nocapture
//! ```

mod choose;
mod ends;
mod guest;
mod model;
mod models;
mod numbers;
mod op;
mod order;
mod returns;
mod rules;
mod run;
mod script;
mod storage;
mod threads;

use run::{Runs, Settings};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Returns a number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Makes random runs for some time, from `first` on: one for each seed, which `run` makes.
fn check(what: &str, seconds: u64, run: impl Fn(&Runs, u64) -> mintage::Result<run::Run>) {
    let runs = Runs::new().unwrap();
    let first = setting("MINTAGE_TASKS_SEED", 0);
    let seconds = setting("MINTAGE_TASKS_SECONDS", seconds);
    let (start, end) = (Instant::now(), Duration::from_secs(seconds));
    let (mut operations, mut traps, mut dropped, mut number) = (0, 0, 0, 0);
    for seed in first.. {
        if start.elapsed() > end {
            break;
        }
        let done = run(&runs, seed).unwrap_or_else(|error| panic!("{error:#}"));
        operations += done.operations;
        traps += u64::from(done.trapped);
        dropped += u64::from(done.dropped);
        number += 1;
        assert_eq!(
            runs.in_use(),
            (0, 0),
            "seed {seed} leaves instances or stacks"
        );
    }
    println!(
        "{what}: {operations} operations in {number} runs from seed {first}, of which {traps} trap \
         and {dropped} are dropped"
    );
}

#[test]
fn tasks_do_what_the_model_allows() {
    check("first come, first served", 4, |runs, seed| {
        runs.random(seed, Settings::default())
    });
}

#[test]
fn tasks_do_what_the_model_allows_in_any_order() {
    check("at random", 4, |runs, seed| {
        let settings = Settings {
            schedule_seed: Some(seed),
            ..Settings::default()
        };
        runs.random(seed, settings)
    });
}

#[test]
fn tasks_go_on_with_another_thread_at_each_poll() {
    check("another thread", 2, |runs, seed| {
        let settings = Settings {
            schedule_seed: Some(seed),
            moves: true,
            polls: None,
        };
        runs.random(seed, settings)
    });
}

/// Whatever waits, nothing is left when the run is dropped.
#[test]
fn runs_end_at_each_poll() {
    check("dropped", 2, |runs, seed| {
        let settings = Settings {
            schedule_seed: Some(seed),
            moves: false,
            polls: Some((seed % 8) as usize),
        };
        runs.random(seed, settings)
    });
}

/// The same seed makes the same choices, and others make others.
#[test]
fn seeds_decide_the_order() {
    let runs = Runs::new().unwrap();
    let mut orders = HashSet::new();
    for seed in 0..50 {
        let settings = Settings {
            schedule_seed: Some(seed),
            ..Settings::default()
        };
        let [(result, order), again] = [0; 2].map(|_| runs.scripted(settings).unwrap());
        assert_eq!(result, Some(script::RESULT), "seed {seed}");
        assert_eq!((result, &order), (again.0, &again.1), "seed {seed}");
        orders.insert(order);
    }
    assert!(orders.len() > 40);
    let (result, _) = runs.scripted(Settings::default()).unwrap();
    assert_eq!(result, Some(script::RESULT));
}

//! Runs random asynchronous programs in both engines, and in Mintage in several ways.

mod program;

use crate::contender::{Calls, Host, poll_until_ready};
use crate::mintage::Mintage;
use crate::wasmtime::Wasmtime;
use anyhow::{Context, Result, bail, ensure};
pub use program::program;

/// The arguments of the calls of each program.
const ARGUMENTS: [u32; 2] = [1, 77];

/// What was run so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Programs, each of which was run in all ways.
    pub programs: u64,
    /// Calls by the host of one engine.
    pub calls: u64,
    /// Calls that trap, in all engines.
    pub traps: u64,
}

/// How Mintage runs a program.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Calls that cannot be suspended have no stacks.
    Usual,
    /// Guests yield at epochs, so that each task has a stack.
    Stacks,
    /// Threads take turns at random.
    Random(u64),
}

/// Runs programs, one for each seed.
pub struct Differ {
    peer: Wasmtime,
    usual: mintage::Engine,
    counts: Counts,
}

impl Differ {
    /// # Errors
    ///
    /// If an engine cannot be created.
    pub fn new() -> Result<Self> {
        let mut config = mintage::Config::new();
        config.epoch_interruption(true);
        Ok(Self {
            peer: Wasmtime::for_tasks()?,
            usual: mintage::Engine::new(&config)?,
            counts: Counts::default(),
        })
    }

    /// Returns what was run so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Runs the program of a seed in all ways.
    ///
    /// # Errors
    ///
    /// If two results differ, or the program cannot be compiled.
    pub fn run(&mut self, seed: u64) -> Result<()> {
        let text = program(seed);
        let wasm = wat::parse_str(&text).context("the program does not parse")?;
        let component = mintage::Component::new(&self.usual, &wasm)?;
        let peer = self.peer.link_tasks(&self.peer.compile(&wasm)?)?;
        let mut linker = mintage::component::Linker::<()>::new(&self.usual);
        linker
            .root()
            .func_wrap_concurrent("host", |_, (times,): (u32,)| {
                Box::pin(async move { Ok((crate::contender::wait(times).await,)) })
            })?;
        let linked = linker.instantiate_pre(&component)?;
        self.counts.programs += 1;
        for argument in ARGUMENTS {
            let expected = call::<Wasmtime>(|| self.peer.instantiate_waiting(&peer), argument)?;
            self.counts.calls += 1;
            self.counts.traps += u64::from(expected.is_err());
            for way in [Way::Usual, Way::Stacks, Way::Random(seed)] {
                let instantiate = || {
                    let mut store = mintage::Store::new(&self.usual, ());
                    store.set_epoch_deadline(1_000_000);
                    match way {
                        Way::Usual => {}
                        Way::Stacks => store.epoch_deadline_async_yield_and_update(1_000_000),
                        Way::Random(seed) => store.set_schedule_seed(Some(seed)),
                    }
                    let instance = poll_until_ready(linked.instantiate_async(&mut store))?;
                    Ok(crate::mintage::Live { store, instance })
                };
                let result = call::<Mintage>(instantiate, argument)?;
                match (&result, &expected) {
                    (Ok(result), Ok(expected)) => ensure!(
                        result == expected,
                        "{way:?} returns {result} for {argument}, and the peer {expected}"
                    ),
                    (Err(_), Err(_)) => {}
                    (Err(error), Ok(expected)) => {
                        bail!(
                            "{way:?} fails for {argument}, and the peer returns {expected}: {error}"
                        )
                    }
                    (Ok(result), Err(error)) => {
                        bail!(
                            "{way:?} returns {result} for {argument}, and the peer fails: {error}"
                        )
                    }
                }
            }
        }
        Ok(())
    }
}

/// Calls `run` of a new instance. The inner error is the guest's.
fn call<C>(
    instantiate: impl FnOnce() -> Result<C::Live>,
    argument: u32,
) -> Result<Result<u64, String>>
where
    C: Calls<(u32,), (u64,)>,
{
    let mut live = instantiate()?;
    let run = C::func(&mut live, "run")?;
    let result = poll_until_ready(C::call_async(&mut live, &run, (argument,)));
    Ok(match result {
        Ok((result,)) => Ok(result),
        Err(error) => Err(format!("{error:#}")),
    })
}

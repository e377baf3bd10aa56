//! Functions that may wait: an [`Operation`] goes on in steps, and says between them what it waits
//! for. A synchronous host waits on its thread, and an asynchronous one on its executor.

use super::WasiP1Ctx;
use super::abi::Version;
use super::descriptors::Descriptors;
use super::guest::{Guest, Outcome, View};
use crate::io::Interest;
use crate::io::wait::{Source, Sources, wait};
use mintage::{AsContextMut, Caller};
use smallvec::SmallVec;
use std::time::Instant;

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing: it is ready.
    Ready,
    /// An instant.
    At(Instant),
    /// A standard stream. One that does not exist any more is ready.
    Fd(u32, Interest),
}

/// What an operation waits for: the first of these.
pub(super) type Targets = SmallVec<[Target; 2]>;

/// Whether each target is ready.
pub(super) type Ready = SmallVec<[bool; 2]>;

/// A call of a function that may wait.
pub(super) trait Operation {
    /// Goes on until there is something to wait for, which is returned. `ready` says what is ready
    /// of what was waited for; the first time it is empty.
    fn step(&mut self, guest: &mut dyn Guest, ready: &[bool]) -> Outcome<Option<Targets>>;
}

/// The targets of one wait.
struct WaitSet<'a> {
    sources: Sources<'a>,
    /// The source of each target.
    source_of: SmallVec<[usize; 2]>,
}

impl<'a> WaitSet<'a> {
    fn new(descriptors: &'a mut Descriptors, targets: &[Target]) -> Self {
        let mut sources = Sources::default();
        let mut count = 0;
        let mut push = |source| {
            sources.push(source);
            count += 1;
            count - 1
        };
        // Each stream has one source, however often it is waited for.
        let wanted = |fd, interest| targets.contains(&Target::Fd(fd, interest));
        let streams: SmallVec<[_; 3]> = descriptors
            .sources(wanted)
            .into_iter()
            .map(|(fd, interest, source)| (Target::Fd(fd, interest), push(source)))
            .collect();
        let source_of = targets.iter().map(|&target| match target {
            Target::Ready => push(Source::Ready),
            Target::At(at) => push(Source::At(at)),
            Target::Fd(..) => {
                let known = streams.iter().find(|(known, _)| *known == target);
                known.map_or_else(|| push(Source::Ready), |(_, source)| *source)
            }
        });
        let source_of = source_of.collect();
        WaitSet { sources, source_of }
    }

    fn ready(&self) -> Ready {
        let sources = self.source_of.iter();
        sources
            .map(|&source| self.sources.is_ready(source))
            .collect()
    }
}

/// Runs an operation, and waits on this thread where it waits.
pub(super) fn run<T: 'static>(
    caller: &mut Caller<'_, T>,
    find: impl Fn(&mut T) -> &mut WasiP1Ctx + Copy,
    version: Version,
    mut operation: impl Operation,
) -> Outcome {
    let mut ready = Ready::new();
    loop {
        let mut guest = View {
            caller: &mut *caller,
            find,
            version,
            is_async: false,
        };
        let Some(targets) = operation.step(&mut guest, &ready)? else {
            return Ok(());
        };
        // The host gets its store meanwhile, if the guest is to check in.
        let mut descriptors = std::mem::take(find(caller.data_mut()).descriptors());
        let mut set = WaitSet::new(&mut descriptors, &targets);
        let waited = wait(&mut caller.as_context_mut(), &mut set.sources);
        ready = set.ready();
        drop(set);
        *find(caller.data_mut()).descriptors() = descriptors;
        waited?;
    }
}

/// Runs an operation, and waits as a task where it waits.
#[cfg(feature = "tokio")]
pub(super) async fn run_async<T: 'static>(
    caller: &mut Caller<'_, T>,
    find: impl Fn(&mut T) -> &mut WasiP1Ctx + Copy,
    version: Version,
    mut operation: impl Operation,
) -> Outcome {
    let mut ready = Ready::new();
    loop {
        let mut guest = View {
            caller: &mut *caller,
            find,
            version,
            is_async: true,
        };
        let Some(targets) = operation.step(&mut guest, &ready)? else {
            return Ok(());
        };
        let mut set = WaitSet::new(find(caller.data_mut()).descriptors(), &targets);
        set.sources.wait_async().await?;
        ready = set.ready();
    }
}

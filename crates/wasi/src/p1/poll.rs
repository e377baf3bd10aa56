//! `poll_oneoff`: waits for clocks and descriptors.

use super::WasiP1Ctx;
use super::abi::{self, EVENT, Version, errno, eventrwflags, subclockflags};
use super::descriptors::Descriptor;
use super::guest::{Guest, Outcome, number, records};
use super::process::{Clock, clock};
use super::wait::{Operation, Target, Targets};
use crate::Errno;
use crate::clocks::nanoseconds;
use crate::io::Interest;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// The most subscriptions of one call.
const MAX_SUBSCRIPTIONS: u32 = 4096;

/// Types of events: `eventtype`.
const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

/// A call of `poll_oneoff`.
pub(super) struct Poll {
    subscriptions_at: u32,
    events_at: u32,
    count: u32,
    result: u32,
    /// What the guest waits for, once it has been read.
    subscriptions: SmallVec<[Subscription; 2]>,
}

/// One thing that a guest waits for.
#[derive(Clone, Copy)]
struct Subscription {
    userdata: u64,
    kind: u8,
    target: Target,
    /// The descriptor, if it is one.
    fd: u32,
}

impl Poll {
    pub fn new(subscriptions_at: u32, events_at: u32, count: u32, result: u32) -> Self {
        Poll {
            subscriptions_at,
            events_at,
            count,
            result,
            subscriptions: SmallVec::new(),
        }
    }
}

impl Operation for Poll {
    fn step(&mut self, guest: &mut dyn Guest, ready: &[bool]) -> Outcome<Option<Targets>> {
        if self.subscriptions.is_empty() {
            self.read(guest)?;
            let targets = self.subscriptions.iter();
            return Ok(Some(targets.map(|sub| sub.target).collect()));
        }
        let mut events = Vec::with_capacity(self.subscriptions.len() * EVENT);
        for (subscription, _) in self
            .subscriptions
            .iter()
            .zip(ready)
            .filter(|(_, ready)| **ready)
        {
            events.extend_from_slice(subscription.event(guest.ctx()).bytes());
        }
        guest.write_array(self.events_at, &events, 8)?;
        guest.write(self.result, ((events.len() / EVENT) as u32).to_le_bytes())?;
        Ok(None)
    }
}

impl Poll {
    /// Reads the subscriptions.
    fn read(&mut self, guest: &mut dyn Guest) -> Outcome {
        // A guest that waits for nothing would wait for ever.
        if self.count == 0 {
            return Err(Errno::Invalid.into());
        }
        if self.count > MAX_SUBSCRIPTIONS {
            return Err(Errno::NoMemory.into());
        }
        let version = guest.version();
        let size = match version {
            Version::Unstable => 56,
            Version::Preview1 => 48,
        };
        let (memory, ctx) = guest.split()?;
        records(memory, self.events_at, self.count, EVENT, 8).map(drop)?;
        for record in records(memory, self.subscriptions_at, self.count, size, 8)? {
            self.subscriptions
                .push(Subscription::read(record, version, ctx)?);
        }
        Ok(())
    }
}

impl Subscription {
    fn read(record: &[u8], version: Version, ctx: &mut WasiP1Ctx) -> Outcome<Self> {
        let userdata = u64::from_le_bytes(number(record, 0));
        let kind = record[8];
        let fd = u32::from_le_bytes(number(record, 16));
        let target = match kind {
            CLOCK => {
                // Before the clock, the first version has another number of the guest.
                let at = match version {
                    Version::Unstable => 24,
                    Version::Preview1 => 16,
                };
                let id = u32::from_le_bytes(number(record, at));
                let timeout = u64::from_le_bytes(number(record, at + 8));
                let flags = u16::from_le_bytes(number(record, at + 24));
                abi::flags(flags.into(), subclockflags::ALL)?;
                Target::At(alarm(ctx, id, timeout, flags != 0)?)
            }
            FD_READ | FD_WRITE => match (kind, ctx.descriptors().get(fd)?) {
                (FD_READ, Descriptor::Stdin(_)) => Target::Fd(fd, Interest::Read),
                (FD_WRITE, Descriptor::Stdout(_)) => Target::Fd(fd, Interest::Write),
                (_, Descriptor::File(_)) => Target::Ready,
                _ => return Err(Errno::BadDescriptor.into()),
            },
            _ => return Err(Errno::Invalid.into()),
        };
        Ok(Subscription {
            userdata,
            kind,
            target,
            fd,
        })
    }

    /// Returns the event that says that this is ready.
    fn event(&self, ctx: &mut WasiP1Ctx) -> abi::Record<EVENT> {
        let (error, nbytes, flags) = match self.kind {
            FD_READ => match readable(ctx, self.fd) {
                Ok(0) => (abi::SUCCESS, 0, eventrwflags::FD_READWRITE_HANGUP),
                Ok(nbytes) => (abi::SUCCESS, nbytes, 0),
                Err(error) => (errno(error), 0, 0),
            },
            kind => (abi::SUCCESS, u64::from(kind == FD_WRITE), 0),
        };
        abi::event(self.userdata, error, self.kind, nbytes, flags)
    }
}

/// Returns how many bytes a descriptor that is ready has, if that is known, or else 1. 0 is the
/// end.
fn readable(ctx: &mut WasiP1Ctx, fd: u32) -> Result<u64, Errno> {
    match ctx.descriptors().get_mut(fd)? {
        Descriptor::File(file) => Ok(file.file.stat()?.size.saturating_sub(file.position)),
        Descriptor::Stdin(stdin) => Ok(match stdin.stream.available(usize::MAX) {
            Some(Ok(count)) => (count as u64).max(1),
            Some(Err(_)) => 0,
            None => 1,
        }),
        _ => Err(Errno::BadDescriptor),
    }
}

/// Returns the instant at which a clock of the guest shows a time, or some time later than now.
fn alarm(ctx: &WasiP1Ctx, id: u32, timeout: u64, is_absolute: bool) -> Result<Instant, Errno> {
    let clocks = &ctx.wasi.clocks;
    let shown = match clock(id).map_err(|_| Errno::Invalid)? {
        _ if !is_absolute => 0,
        Clock::Realtime => nanoseconds(clocks.wall.now()),
        Clock::Monotonic => clocks.monotonic.now(),
    };
    let wait = Duration::from_nanos(timeout.saturating_sub(shown));
    // At most 584 years from now, which the system's clock can express.
    Instant::now().checked_add(wait).ok_or(Errno::Overflow)
}

//! Name look-up: the system's, on a few threads for the whole process.

use super::WasiSocketsCtx;
use super::name::Name;
use crate::Errno;
use crate::io::fd::wait_for;
use crate::io::{Interest, Pollable, Readiness};
use crate::limit::Slot;
use dns_lookup::LookupErrorKind;
use rustix::event::EventfdFlags;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most names that the process looks up at a time.
const MAX_THREADS: usize = 32;

/// How long a thread waits for the next name before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// The most addresses of one name that a guest gets.
const MAX_ADDRESSES: usize = 1024;

/// The reason why a name was not looked up, or has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The guest may not look up names.
    Denied,
    /// It is not the name of a host.
    Invalid,
    /// There is no such name, or it has no addresses.
    Unresolvable,
    /// It may work later. The guest may also be looking up as many names as it may already.
    Temporary,
    /// The system's resolver failed.
    Permanent,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LookupError::Denied => "name look-up is not allowed",
            LookupError::Invalid => "it is not the name of a host",
            LookupError::Unresolvable => "the name has no addresses",
            LookupError::Temporary => "name look-up failed for now",
            LookupError::Permanent => "name look-up failed",
        })
    }
}

impl std::error::Error for LookupError {}

type Addresses = Result<std::vec::IntoIter<IpAddr>, LookupError>;

/// The addresses of a name that a guest looks up.
#[derive(Debug)]
pub struct ResolveAddressStream(State);

#[derive(Debug)]
enum State {
    Waiting(Arc<Lookup>),
    Done(Addresses),
}

/// A look-up, shared by the guest and a thread.
#[derive(Debug)]
struct Lookup {
    name: String,
    addresses: Mutex<Option<Addresses>>,
    /// Can be read when the addresses are there.
    event: OwnedFd,
}

impl ResolveAddressStream {
    /// Starts to look up a name.
    ///
    /// # Errors
    ///
    /// - [`LookupError::Denied`] and [`LookupError::Invalid`].
    /// - [`LookupError::Temporary`] if the guest looks up as many names as it may, or the system
    ///   has no thread for it.
    pub(crate) fn new(ctx: &WasiSocketsCtx, name: &str) -> Result<Self, LookupError> {
        if !ctx.rules.name_lookup() {
            return Err(LookupError::Denied);
        }
        let name = match Name::parse(name) {
            Some(Name::Domain(name)) => name.to_string(),
            Some(Name::Address(address)) => {
                let addresses = vec![address].into_iter();
                return Ok(ResolveAddressStream(State::Done(Ok(addresses))));
            }
            None => return Err(LookupError::Invalid),
        };
        let slot = ctx.lookups.open().map_err(|_| LookupError::Temporary)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = rustix::event::eventfd(0, flags).map_err(|_| LookupError::Temporary)?;
        let lookup = Arc::new(Lookup {
            name,
            addresses: Mutex::default(),
            event,
        });
        POOL.start(Job {
            lookup: lookup.clone(),
            _slot: slot,
        })?;
        Ok(ResolveAddressStream(State::Waiting(lookup)))
    }

    /// Returns the next address, or `None` after the last one.
    ///
    /// # Errors
    ///
    /// - [`Errno::Again`] while the system looks the name up.
    /// - The reason why that has failed, inside.
    pub(crate) fn next(&mut self) -> Result<Result<Option<IpAddr>, LookupError>, Errno> {
        if let State::Waiting(lookup) = &self.0 {
            let addresses = lock(&lookup.addresses).take().ok_or(Errno::Again)?;
            self.0 = State::Done(addresses);
        }
        match &mut self.0 {
            State::Waiting(_) => Err(Errno::Again),
            State::Done(Ok(addresses)) => Ok(Ok(addresses.next())),
            State::Done(Err(error)) => Ok(Err(*error)),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for ResolveAddressStream {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match &self.0 {
            State::Waiting(lookup) => Readiness::Fd(lookup.event.as_fd(), Interest::Read),
            State::Done(_) => Readiness::Ready,
        }
    }
}

/// A look-up for a thread. It counts for the guest until the thread is done with it, even if the
/// guest has dropped it: no one can stop the system.
struct Job {
    lookup: Arc<Lookup>,
    _slot: Arc<Slot>,
}

/// The threads that look names up, and what they have to do.
struct Pool {
    state: Mutex<PoolState>,
    changed: Condvar,
}

struct PoolState {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool = Pool {
    state: Mutex::new(PoolState {
        jobs: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    changed: Condvar::new(),
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked is consistent after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// Hands a job to a thread.
    ///
    /// # Errors
    ///
    /// If there is no thread, and the system has none.
    fn start(&'static self, job: Job) -> Result<(), LookupError> {
        let mut state = lock(&self.state);
        let is_busy = state.idle <= state.jobs.len();
        if is_busy && state.threads < MAX_THREADS {
            let thread = std::thread::Builder::new().name("mintage-wasi-lookup".into());
            match thread.spawn(|| self.work()) {
                Ok(_) => state.threads += 1,
                // Those that there are do it later.
                Err(_) if state.threads > 0 => {}
                Err(_) => return Err(LookupError::Temporary),
            }
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Does jobs until there are none for a while.
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run();
                state = lock(&self.state);
                continue;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, IDLE);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl Job {
    fn run(self) {
        // If only this job knows of it, the guest has dropped it.
        if Arc::strong_count(&self.lookup) == 1 {
            return;
        }
        let addresses = resolve(&self.lookup.name);
        *lock(&self.lookup.addresses) = Some(addresses);
        // It fails only if it can be read already.
        let _ = rustix::io::write(&self.lookup.event, &1u64.to_ne_bytes());
    }
}

/// Looks a name up in the system.
fn resolve(name: &str) -> Addresses {
    let addresses = dns_lookup::lookup_host(name).map_err(|error| match error.kind() {
        LookupErrorKind::Again => LookupError::Temporary,
        LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::Unresolvable,
        _ => LookupError::Permanent,
    })?;
    let mut found: Vec<IpAddr> = Vec::new();
    for address in addresses.take(MAX_ADDRESSES) {
        let address = address.to_canonical();
        if !found.contains(&address) {
            found.push(address);
        }
    }
    Ok(found.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> WasiSocketsCtx {
        let mut ctx = WasiSocketsCtx::default();
        ctx.rules.set_name_lookup(true);
        ctx
    }

    fn wait(stream: &mut ResolveAddressStream) -> Result<Vec<IpAddr>, LookupError> {
        let mut found = Vec::new();
        loop {
            match stream.next() {
                Err(error) => {
                    assert_eq!(error, Errno::Again);
                    let Readiness::Fd(fd, Interest::Read) = stream.readiness() else {
                        panic!("{:?}", stream.readiness());
                    };
                    use rustix::event::{PollFd, PollFlags, poll};
                    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
                    poll(&mut fds, None).unwrap();
                }
                Ok(next) => match next? {
                    Some(address) => found.push(address),
                    None => return Ok(found),
                },
            }
        }
    }

    #[test]
    fn names_are_looked_up() {
        let mut stream = ResolveAddressStream::new(&context(), "localhost").unwrap();
        let found = wait(&mut stream).unwrap();
        assert!(!found.is_empty());
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        // After the last address there is none, ever.
        assert_eq!(stream.next(), Ok(Ok(None)));
    }

    #[test]
    fn addresses_are_not_looked_up() {
        let mut stream = ResolveAddressStream::new(&context(), "[::1]").unwrap();
        assert!(matches!(stream.readiness(), Readiness::Ready));
        assert_eq!(stream.next(), Ok(Ok(Some("::1".parse().unwrap()))));
        assert_eq!(stream.next(), Ok(Ok(None)));
    }

    #[test]
    fn what_cannot_be_looked_up_is_refused_at_once() {
        let refused =
            |ctx: &WasiSocketsCtx, name| ResolveAddressStream::new(ctx, name).unwrap_err();
        assert_eq!(refused(&context(), "a b"), LookupError::Invalid);
        let closed = WasiSocketsCtx::default();
        assert_eq!(refused(&closed, "127.0.0.1"), LookupError::Denied);
        let mut none = context();
        none.set_max_name_lookups(0);
        assert_eq!(refused(&none, "localhost"), LookupError::Temporary);
    }

    #[test]
    fn look_ups_count_until_they_are_done() {
        let mut ctx = context();
        ctx.set_max_name_lookups(2);
        let mut first = ResolveAddressStream::new(&ctx, "localhost").unwrap();
        wait(&mut first).unwrap();
        // Those that are done do not count, though the guest has them.
        let mut streams = vec![first];
        for _ in 0..20 {
            let stream = loop {
                match ResolveAddressStream::new(&ctx, "localhost") {
                    Ok(stream) => break stream,
                    Err(error) => assert_eq!(error, LookupError::Temporary),
                }
                std::thread::yield_now();
            };
            streams.push(stream);
        }
        for stream in &mut streams[1..] {
            assert!(!wait(stream).unwrap().is_empty());
        }
    }
}

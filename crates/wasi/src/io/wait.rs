//! [`Sources`]: what one wait is for, and the two ways to wait: in `poll(2)`, and on tokio.

use super::{DynFuture, Interest, Pollable, Readiness};
use mintage::{InterruptWatch, Result, StoreContextMut};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use smallvec::SmallVec;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
#[cfg(any(test, feature = "tokio"))]
use std::task::Poll;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// How long a wait goes on before it looks at the epoch of the engine, which wakes no one.
const EPOCH_INTERVAL: Duration = Duration::from_millis(20);

/// What is waited for.
pub(crate) enum Source<'a> {
    /// Nothing: it is ready.
    Ready,
    /// A file descriptor.
    Fd(BorrowedFd<'a>, Interest),
    /// An instant.
    At(Instant),
    /// A future. Once it is ready, it is not polled again.
    Future(DynFuture<'a>),
}

impl<'a> From<&'a mut (dyn Pollable + 'a)> for Source<'a> {
    fn from(pollable: &'a mut (dyn Pollable + 'a)) -> Self {
        match pollable.readiness() {
            Readiness::Future => {}
            _ => return Source::of(pollable.readiness()),
        }
        Source::Future(pollable.ready())
    }
}

impl<'a> Source<'a> {
    /// Returns the source of a pollable that is no future.
    pub fn of(readiness: Readiness<'a>) -> Source<'a> {
        match readiness {
            Readiness::Ready => Source::Ready,
            Readiness::Fd(fd, interest) => Source::Fd(fd, interest),
            Readiness::At(at) => Source::At(at),
            Readiness::Future => Source::Future(Box::pin(std::future::pending())),
        }
    }

    fn poll_fd(&self) -> Option<PollFd<'a>> {
        match self {
            Source::Fd(fd, interest) => Some(PollFd::from_borrowed_fd(*fd, interest.flags())),
            _ => None,
        }
    }
}

impl Interest {
    pub(crate) fn flags(self) -> PollFlags {
        match self {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        }
    }
}

/// Returns whether a file descriptor is ready now.
pub(crate) fn is_fd_ready(fd: BorrowedFd<'_>, interest: Interest) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, interest.flags())];
    // One that cannot be asked fails at the operation itself, and says why.
    poll_now(&mut fds).map_or(true, |()| !fds[0].revents().is_empty())
}

/// Asks which file descriptors are ready now.
///
/// # Errors
///
/// Those of `poll(2)`.
pub(crate) fn poll_now(fds: &mut [PollFd<'_>]) -> rustix::io::Result<()> {
    loop {
        match rustix::event::poll(fds, Some(&Timespec::default())) {
            Err(Errno::INTR) => {}
            result => return result.map(|_| ()),
        }
    }
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// A source is ready.
    Ready,
    /// The guest is to check in.
    Interrupted,
}

/// The sources of one wait, by the order in which they were added. Those that wait for a file
/// descriptor should each have one of their own: `poll(2)` takes only so many.
#[derive(Default)]
pub(crate) struct Sources<'a> {
    sources: SmallVec<[Source<'a>; 2]>,
    /// Whether each is ready.
    ready: SmallVec<[bool; 2]>,
}

impl<'a> Sources<'a> {
    /// Creates a wait for one source.
    pub fn one(source: Source<'a>) -> Self {
        let mut sources = Sources::default();
        sources.push(source);
        sources
    }

    /// Adds a source.
    pub fn push(&mut self, source: Source<'a>) {
        self.sources.push(source);
        self.ready.push(false);
    }

    /// Returns whether a source is ready.
    pub fn is_ready(&self, source: usize) -> bool {
        self.ready[source]
    }

    fn any_ready(&self) -> bool {
        self.ready.contains(&true)
    }

    /// Tests instants and polls futures.
    fn test(&mut self, cx: &mut Context<'_>) {
        let mut now = None;
        for (source, ready) in self.sources.iter_mut().zip(&mut self.ready) {
            match source {
                _ if *ready => {}
                Source::Ready => *ready = true,
                Source::At(at) => *ready = *at <= *now.get_or_insert_with(Instant::now),
                Source::Future(future) => {
                    *ready = in_runtime(|| future.as_mut().poll(cx)).is_ready();
                }
                Source::Fd(..) => {}
            }
        }
    }

    /// Returns the file descriptors, with room for one more.
    fn fds<'f>(&self) -> SmallVec<[PollFd<'f>; 4]>
    where
        'a: 'f,
    {
        self.sources.iter().filter_map(Source::poll_fd).collect()
    }

    /// Takes what `poll(2)` has said of the file descriptors.
    fn take(&mut self, fds: &[PollFd<'_>]) {
        let mut fds = fds.iter();
        for (source, ready) in self.sources.iter().zip(&mut self.ready) {
            if let Source::Fd(..) = source {
                *ready |= fds.next().is_some_and(|fd| !fd.revents().is_empty());
            }
        }
    }

    /// Asks the system which file descriptors are ready now.
    fn test_fds(&mut self, fds: &mut [PollFd<'_>]) -> Result<()> {
        if !fds.is_empty() {
            poll_now(fds).map_err(failed)?;
            self.take(fds);
        }
        Ok(())
    }

    fn earliest(&self) -> Option<Instant> {
        let instants = self.sources.iter().filter_map(|source| match source {
            Source::At(at) => Some(*at),
            _ => None,
        });
        instants.min()
    }

    fn has_future(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| matches!(source, Source::Future(_)))
    }

    /// Waits on this thread until a source is ready, or, if there is a `watch`, the guest is to
    /// check in.
    ///
    /// # Errors
    ///
    /// When the system cannot wait, for lack of memory or file descriptors.
    pub fn wait(&mut self, watch: Option<&InterruptWatch>) -> Result<Waited> {
        let notifier = match self.has_future() || watch.is_some() {
            true => Some(LocalNotifier::take()?),
            false => None,
        };
        let noop = Waker::noop();
        let waker = notifier.as_ref().map_or(noop, |notifier| &notifier.waker);
        let mut fds = self.fds();
        let sources = fds.len();
        if let Some(notifier) = &notifier {
            fds.push(PollFd::new(&notifier.notifier.0, PollFlags::IN));
        }
        let earliest = self.earliest();
        loop {
            self.test(&mut Context::from_waker(waker));
            if self.any_ready() {
                self.test_fds(&mut fds[..sources])?;
                return Ok(Waited::Ready);
            }
            let mut timeout = earliest.map(|at| at.saturating_duration_since(Instant::now()));
            if let Some(watch) = watch {
                if watch.is_raised(waker) {
                    return Ok(Waited::Interrupted);
                }
                if watch.has_epochs() {
                    timeout = Some(timeout.map_or(EPOCH_INTERVAL, |t| t.min(EPOCH_INTERVAL)));
                }
            }
            // A time that the system cannot express is for ever.
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(_) => self.take(&fds[..sources]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error)),
            }
            if let (Some(notifier), Some(fd)) = (&notifier, fds.get(sources))
                && !fd.revents().is_empty()
            {
                notifier.notifier.clear();
            }
        }
    }

    /// Waits until a source is ready, as a task of tokio.
    ///
    /// # Errors
    ///
    /// When the system cannot wait, for lack of memory or file descriptors.
    #[cfg(feature = "tokio")]
    pub async fn wait_async(&mut self) -> Result<()> {
        use std::collections::BTreeMap;
        use std::future::poll_fn;
        use std::os::fd::AsRawFd;
        use std::pin::pin;
        use tokio::io::unix::AsyncFd;

        // The first test needs no registration.
        poll_fn(|cx| {
            self.test(cx);
            Poll::Ready(())
        })
        .await;
        self.test_fds(&mut self.fds())?;
        if self.any_ready() {
            return Ok(());
        }
        // All file descriptors are in one epoll of this wait, which is registered with tokio. So
        // descriptors that are registered elsewhere are no problem, and nothing remains after it.
        let mut interests = BTreeMap::new();
        for source in &self.sources {
            if let Source::Fd(fd, interest) = source {
                let (_, flags) = interests
                    .entry(fd.as_raw_fd())
                    .or_insert((*fd, rustix::event::epoll::EventFlags::empty()));
                *flags |= match interest {
                    Interest::Read => rustix::event::epoll::EventFlags::IN,
                    Interest::Write => rustix::event::epoll::EventFlags::OUT,
                };
            }
        }
        let epoll = match interests.is_empty() {
            true => None,
            false => Some(in_runtime(|| epoll(interests.into_values()))?),
        };
        let sleep = self
            .earliest()
            .map(|at| in_runtime(|| Box::pin(tokio::time::sleep_until(at.into()))));
        let mut sleep = pin!(sleep);
        poll_fn(|cx| {
            if let Some(sleep) = sleep.as_mut().as_pin_mut() {
                // Wakes the task. The instants themselves are tested below.
                let _ = sleep.poll(cx);
            }
            self.test(cx);
            while let Some(epoll) = epoll.as_ref()
                && let Poll::Ready(guard) = AsyncFd::poll_read_ready(epoll, cx)
            {
                let mut guard = guard.map_err(|error| failed_io(&error))?;
                self.test_fds(&mut self.fds())?;
                if self.any_ready() {
                    break;
                }
                guard.clear_ready();
            }
            match self.any_ready() {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
        .await
    }
}

/// Creates an epoll of file descriptors, and registers it with tokio.
#[cfg(feature = "tokio")]
fn epoll<'a>(
    fds: impl Iterator<Item = (BorrowedFd<'a>, rustix::event::epoll::EventFlags)>,
) -> Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    use rustix::event::epoll;
    use tokio::io::unix::AsyncFd;

    let set = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    for (fd, flags) in fds {
        epoll::add(&set, fd, epoll::EventData::new_u64(0), flags).map_err(failed)?;
    }
    #[allow(
        deprecated,
        reason = "its successor is `unsafe`, for types that lie about their descriptor"
    )]
    let registered = AsyncFd::with_interest(set, tokio::io::Interest::READABLE);
    registered.map_err(|error| failed_io(&error))
}

/// Waits on this thread until a source is ready. If the guest is to check in meanwhile, it does.
///
/// # Errors
///
/// When the call of the guest is to end, or the system cannot wait.
pub(crate) fn wait<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    sources: &mut Sources<'_>,
) -> Result<()> {
    loop {
        let watch = store.interrupt_watch();
        if sources.wait(watch.as_ref())? == Waited::Ready {
            return Ok(());
        }
        drop(watch);
        store.check_in()?;
    }
}

/// Calls `f` where futures of tokio find a runtime.
pub(crate) fn in_runtime<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "tokio")]
    return crate::runtime::with_ambient_tokio_runtime(f);
    #[cfg(not(feature = "tokio"))]
    return f();
}

#[cold]
fn failed(error: Errno) -> mintage::Error {
    failed_io(&error.into())
}

#[cold]
fn failed_io(error: &std::io::Error) -> mintage::Error {
    mintage::format_err!("the system cannot wait for what the guest waits for: {error}")
}

/// An eventfd that ends a `poll(2)`.
struct Notifier(OwnedFd);

impl Notifier {
    fn clear(&self) {
        // It does not block, and has at most one value to read.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl Wake for Notifier {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only if its counter is full, and then the `poll(2)` ends anyway.
        let _ = rustix::io::write(self.0.as_fd(), &1u64.to_ne_bytes());
    }
}

/// The eventfd of this thread, while a wait uses it. Others may still wake it later: a wait can end
/// for no reason, and then tests everything again.
struct LocalNotifier {
    notifier: Arc<Notifier>,
    waker: Waker,
}

thread_local! {
    static NOTIFIER: Cell<Option<Arc<Notifier>>> = const { Cell::new(None) };
}

impl LocalNotifier {
    /// Takes the eventfd of this thread. A wait inside another one, in a future that the other one
    /// polls, has one of its own.
    fn take() -> Result<Self> {
        use rustix::event::EventfdFlags;

        let notifier = match NOTIFIER.take() {
            Some(notifier) => notifier,
            None => {
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                let fd = rustix::event::eventfd(0, flags).map_err(failed)?;
                Arc::new(Notifier(fd))
            }
        };
        Ok(LocalNotifier {
            waker: notifier.clone().into(),
            notifier,
        })
    }
}

impl Drop for LocalNotifier {
    fn drop(&mut self) {
        // A thread that ends drops it with its other locals.
        let _ = NOTIFIER.try_with(|local| local.set(Some(self.notifier.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;

    const LONG: Duration = Duration::from_secs(3600);

    fn pipe() -> (OwnedFd, OwnedFd) {
        rustix::pipe::pipe().unwrap()
    }

    fn wait(sources: &mut Sources<'_>) -> Duration {
        let start = Instant::now();
        assert_eq!(sources.wait(None).unwrap(), Waited::Ready);
        start.elapsed()
    }

    #[test]
    fn the_first_instant_ends_a_wait() {
        let (reader, _writer) = pipe();
        let mut sources = Sources::default();
        let now = Instant::now();
        sources.push(Source::Fd(reader.as_fd(), Interest::Read));
        sources.push(Source::At(now + LONG));
        sources.push(Source::At(now + Duration::from_millis(20)));
        let waited = wait(&mut sources);
        assert!(waited >= Duration::from_millis(15) && waited < LONG / 2);
        assert_eq!(sources.ready[..], [false, false, true]);
    }

    #[test]
    fn all_descriptors_that_are_ready_are_found() {
        let (reader, writer) = pipe();
        rustix::io::write(&writer, b"x").unwrap();
        let (empty, full) = pipe();
        let mut sources = Sources::default();
        sources.push(Source::Fd(reader.as_fd(), Interest::Read));
        sources.push(Source::Fd(empty.as_fd(), Interest::Read));
        sources.push(Source::Fd(full.as_fd(), Interest::Write));
        sources.push(Source::Ready);
        wait(&mut sources);
        assert_eq!(sources.ready[..], [true, false, true, true]);
        drop(sources);
        // The other end is gone.
        drop(full);
        let mut sources = Sources::one(Source::Fd(empty.as_fd(), Interest::Read));
        wait(&mut sources);
    }

    /// Is ready when another thread says so, and polled no more than needed.
    struct Flag {
        polls: u32,
        set: Arc<std::sync::Mutex<(bool, Option<Waker>)>>,
    }

    impl Future for Flag {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.polls += 1;
            assert!(self.polls < 10, "it is polled without need");
            let mut set = self.set.lock().unwrap();
            set.1 = Some(cx.waker().clone());
            match set.0 {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }
    }

    #[test]
    fn a_future_is_woken_by_another_thread() {
        let set = Arc::<std::sync::Mutex<(bool, Option<Waker>)>>::default();
        let flag = Flag {
            polls: 0,
            set: set.clone(),
        };
        let (reader, _writer) = pipe();
        let mut sources = Sources::default();
        sources.push(Source::Fd(reader.as_fd(), Interest::Read));
        sources.push(Source::Future(Box::pin(flag)));
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            let mut set = set.lock().unwrap();
            set.0 = true;
            set.1.take().unwrap().wake();
        });
        wait(&mut sources);
        assert!(sources.is_ready(1) && !sources.is_ready(0));
        other.join().unwrap();
        // What woke it is no reason for the next wait to end early.
        let mut next = Sources::default();
        next.push(Source::Future(Box::pin(std::future::pending())));
        next.push(Source::At(Instant::now() + Duration::from_millis(20)));
        assert!(wait(&mut next) >= Duration::from_millis(15));
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn tasks_of_tokio_wait_for_the_same() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (reader, writer) = pipe();
            let mut sources = Sources::default();
            sources.push(Source::At(Instant::now() + Duration::from_millis(20)));
            // Twice the same, and its other end.
            sources.push(Source::Fd(reader.as_fd(), Interest::Read));
            sources.push(Source::Fd(reader.as_fd(), Interest::Read));
            sources.wait_async().await.unwrap();
            assert_eq!(sources.ready[..], [true, false, false]);
            let mut sources = Sources::default();
            sources.push(Source::Fd(reader.as_fd(), Interest::Read));
            sources.push(Source::Fd(reader.as_fd(), Interest::Read));
            let task = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                rustix::io::write(&writer, b"x").unwrap();
                writer
            });
            sources.wait_async().await.unwrap();
            assert_eq!(sources.ready[..], [true, true]);
            let writer = task.await.unwrap();
            let mut sources = Sources::one(Source::Fd(writer.as_fd(), Interest::Write));
            sources.wait_async().await.unwrap();
            let future = Box::pin(tokio::time::sleep(Duration::from_millis(5)));
            let mut sources = Sources::one(Source::Future(future));
            sources.wait_async().await.unwrap();
        });
    }
}

//! [`Watch`], [`SharedWatch`] and [`Waiting`]: waiting from one poll to the next, as hosts do whose
//! guests are asynchronous. They keep what they have registered with tokio, so that a stream which
//! waits again and again does not register each time.

use super::fd::wait_for;
use super::wait::{in_runtime, is_fd_ready};
use super::{Interest, Pollable, Readiness};
use mintage::Result;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::unix::AsyncFd;

/// A file descriptor that is registered with tokio once it is waited for.
///
/// What is registered is a duplicate, so that another part of the host can register the descriptor
/// itself. It is the same open file, whose readiness is tested by the system and not taken from
/// tokio alone.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    registered: Option<(AsyncFd<OwnedFd>, Interest)>,
}

impl Watch {
    /// Is ready when the file descriptor is. All calls must be about the same open file.
    ///
    /// # Errors
    ///
    /// When the system cannot wait, for lack of memory or file descriptors.
    pub fn poll_fd(
        &mut self,
        cx: &mut Context<'_>,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> Poll<Result<()>> {
        let mut is_new = false;
        loop {
            if is_fd_ready(fd, interest) {
                return Poll::Ready(Ok(()));
            }
            let registered = match &self.registered {
                Some((registered, of)) if *of == interest => registered,
                _ => {
                    is_new = true;
                    let registered = register(fd, interest).map_err(|error| failed(&error))?;
                    &self.registered.insert((registered, interest)).0
                }
            };
            let guard = match interest {
                Interest::Read => registered.poll_read_ready(cx),
                Interest::Write => registered.poll_write_ready(cx),
            };
            match ready!(guard) {
                // An event after this is not lost: the next test sees it.
                Ok(mut guard) => guard.clear_ready(),
                Err(error) if is_new => return Poll::Ready(Err(failed(&error))),
                // The runtime has ended in which it was registered.
                Err(_) => self.registered = None,
            }
        }
    }
}

fn register(fd: BorrowedFd<'_>, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    let fd = fd.try_clone_to_owned()?;
    let interest = match interest {
        Interest::Read => tokio::io::Interest::READABLE,
        Interest::Write => tokio::io::Interest::WRITABLE,
    };
    #[allow(
        deprecated,
        reason = "its successor is `unsafe`, for types that lie about their descriptor"
    )]
    in_runtime(|| AsyncFd::with_interest(fd, interest))
}

#[cold]
fn failed(error: &std::io::Error) -> mintage::Error {
    mintage::format_err!("the system cannot wait for what the guest waits for: {error}")
}

/// A [`Watch`] that any number of tasks wait for. All of them are woken at once, since only the
/// system knows for how many of them the file descriptor is ready.
#[derive(Debug, Default)]
pub(crate) struct SharedWatch {
    watch: Watch,
    tasks: Arc<Tasks>,
}

/// How many tasks wait for one file descriptor before all of them are woken.
const MAX_TASKS: usize = 1 << 14;

#[derive(Debug, Default)]
struct Tasks(Mutex<Vec<Waker>>);

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let tasks = std::mem::take(&mut *self.lock());
        tasks.into_iter().for_each(Waker::wake);
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        // No code of others runs while it is locked, so a panic leaves nothing inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedWatch {
    /// Does the same as [`Watch::poll_fd`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn poll_fd(
        &mut self,
        cx: &mut Context<'_>,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> Poll<Result<()>> {
        let mut tasks = self.tasks.lock();
        // A task may be polled again without need. It is not looked for among all others.
        let is_last = tasks.last().is_some_and(|task| task.will_wake(cx.waker()));
        if !is_last {
            tasks.push(cx.waker().clone());
        }
        let is_full = tasks.len() > MAX_TASKS;
        drop(tasks);
        if is_full {
            self.tasks.wake_by_ref();
        }
        let waker = Waker::from(self.tasks.clone());
        let cx = &mut Context::from_waker(&waker);
        self.watch.poll_fd(cx, fd, interest)
    }
}

/// A stream, or another pollable, that is waited for again and again.
pub(crate) struct Waiting<S> {
    state: State<S>,
    watch: Watch,
}

enum State<S> {
    Idle(S),
    /// A future that has the stream while it waits.
    Waits(Wait<S>),
    /// The future has panicked.
    Lost,
}

type Wait<S> = Pin<Box<dyn Future<Output = S> + Send>>;

impl<S: Pollable> Waiting<S> {
    pub fn new(stream: S) -> Self {
        Waiting {
            state: State::Idle(stream),
            watch: Watch::default(),
        }
    }

    /// Returns the stream, unless it is waited for.
    pub fn idle(&mut self) -> Option<&mut S> {
        match &mut self.state {
            State::Idle(stream) => Some(stream),
            State::Waits(_) | State::Lost => None,
        }
    }

    /// Is ready when the stream is.
    ///
    /// # Errors
    ///
    /// When the system cannot wait, for lack of memory or file descriptors.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Idle(stream) = &self.state {
            match stream.readiness() {
                Readiness::Ready => return Poll::Ready(Ok(())),
                Readiness::Fd(fd, interest) => return self.watch.poll_fd(cx, fd, interest),
                Readiness::At(_) | Readiness::Future => {}
            }
        }
        let mut future: Wait<S> = match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(stream) => Box::pin(wait(stream)),
            State::Waits(future) => future,
            State::Lost => {
                let lost = mintage::format_err!("a stream is gone, since waiting for it panicked");
                return Poll::Ready(Err(lost));
            }
        };
        match in_runtime(|| future.as_mut().poll(cx)) {
            Poll::Ready(stream) => {
                self.state = State::Idle(stream);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.state = State::Waits(future);
                Poll::Pending
            }
        }
    }
}

/// Waits for a stream, and returns it.
async fn wait<S: Pollable>(mut stream: S) -> S {
    let at = match stream.readiness() {
        Readiness::At(at) => Some(at),
        _ => None,
    };
    match at {
        Some(at) => wait_for(Readiness::At(at)).await,
        None => stream.ready().await,
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::fd::FdInput;
    use crate::io::{AsyncReadStream, InputStream};
    use std::future::poll_fn;
    use std::os::fd::AsFd;
    use std::time::{Duration, Instant};
    use tokio::io::AsyncWriteExt;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future)
    }

    /// Writes to a pipe, after a while.
    fn write_later(writer: OwnedFd) -> std::thread::JoinHandle<OwnedFd> {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            rustix::io::write(&writer, b"x").unwrap();
            writer
        })
    }

    #[test]
    fn a_descriptor_is_waited_for_again_and_in_another_runtime() {
        let (reader, mut writer) = rustix::pipe::pipe().unwrap();
        let mut input = Waiting::new(FdInput::new(reader));
        for _ in 0..2 {
            block_on(async {
                for _ in 0..2 {
                    let thread = write_later(writer.try_clone().unwrap());
                    poll_fn(|cx| input.poll_ready(cx)).await.unwrap();
                    let mut buffer = [0; 8];
                    let read = input.idle().unwrap().read_available(&mut buffer);
                    assert_eq!(read.unwrap(), 1);
                    writer = thread.join().unwrap();
                }
            });
        }
    }

    #[test]
    fn both_ends_of_a_pipe_are_waited_for() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut watch = Watch::default();
        block_on(async {
            poll_fn(|cx| watch.poll_fd(cx, writer.as_fd(), Interest::Write))
                .await
                .unwrap();
            drop(reader);
            poll_fn(|cx| watch.poll_fd(cx, writer.as_fd(), Interest::Write))
                .await
                .unwrap();
        });
    }

    #[test]
    fn a_stream_of_the_host_is_back_when_it_is_ready() {
        block_on(async {
            let (mut writer, reader) = tokio::io::duplex(8);
            let mut input = Waiting::new(AsyncReadStream::new(reader));
            let wait = poll_fn(|cx| input.poll_ready(cx));
            let write = async {
                tokio::task::yield_now().await;
                writer.write_all(b"text").await.unwrap();
            };
            let (ready, ()) = tokio::join!(wait, write);
            ready.unwrap();
            assert_eq!(input.idle().unwrap().read(8).unwrap(), "text");
        });
    }

    #[test]
    fn all_tasks_that_wait_are_woken() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let watch = Mutex::new(SharedWatch::default());
        let wait = async || {
            poll_fn(|cx| {
                watch
                    .lock()
                    .unwrap()
                    .poll_fd(cx, reader.as_fd(), Interest::Read)
            })
            .await
            .unwrap();
        };
        block_on(async {
            let thread = write_later(writer);
            tokio::join!(wait(), wait(), wait());
            thread.join().unwrap();
        });
    }

    /// Is ready at an instant.
    struct Alarm(Instant);

    #[async_trait::async_trait]
    impl Pollable for Alarm {
        async fn ready(&mut self) {
            unreachable!("it says what it waits for");
        }

        fn readiness(&self) -> Readiness<'_> {
            Readiness::At(self.0)
        }
    }

    #[test]
    fn instants_are_waited_for() {
        let at = Instant::now() + Duration::from_millis(20);
        let mut alarm = Waiting::new(Alarm(at));
        block_on(poll_fn(|cx| alarm.poll_ready(cx))).unwrap();
        assert!(Instant::now() >= at);
    }
}

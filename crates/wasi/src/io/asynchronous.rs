//! [`AsyncReadStream`] and [`AsyncWriteStream`]: streams over what implements tokio's traits, each
//! with a task that reads ahead or writes behind.

use super::{InputStream, MAX_PIECE, OutputStream, Pollable, StreamError, StreamResult};
use crate::runtime::{AbortOnDropJoinHandle, spawn};
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// The most bytes that a task reads ahead.
const READ_AHEAD: usize = 64 * 1024;

/// What a stream and its task share.
struct Shared<S> {
    state: Mutex<State<S>>,
    /// Wakes the task.
    task: Notify,
}

struct State<S> {
    /// The bytes between stream and task.
    buffer: S,
    /// Why the task has ended. The stream reports it once, and is closed then.
    end: Option<StreamError>,
    ended: bool,
    /// Who waits until the stream is ready.
    wakers: Vec<Waker>,
}

impl<S> Shared<S> {
    fn new(buffer: S) -> Arc<Self> {
        Arc::new(Shared {
            state: Mutex::new(State {
                buffer,
                end: None,
                ended: false,
                wakers: Vec::new(),
            }),
            task: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // No code of others runs while it is locked, so a panic leaves nothing inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state as the task, and wakes who waits for the stream.
    fn update(&self, change: impl FnOnce(&mut State<S>)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn end(&self, end: StreamError) {
        self.update(|state| {
            state.end = Some(end);
            state.ended = true;
        });
    }

    /// Is ready when the task has ended or `is_ready` says so.
    fn poll_ready(&self, cx: &mut Context<'_>, is_ready: impl Fn(&S) -> bool) -> Poll<()> {
        let mut state = self.lock();
        if state.ended || is_ready(&state.buffer) {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<S> State<S> {
    /// Returns the error of a stream whose task has ended.
    fn ended(&mut self) -> StreamResult<()> {
        match self.ended {
            true => Err(self.end.take().unwrap_or(StreamError::Closed)),
            false => Ok(()),
        }
    }
}

/// Input from what implements [`AsyncRead`]. A task reads ahead, up to 64 KiB. It runs in the
/// host's runtime, or in one of this crate if there is none, and ends with the stream.
pub struct AsyncReadStream {
    shared: Arc<Shared<Bytes>>,
    task: Option<AbortOnDropJoinHandle<()>>,
}

impl AsyncReadStream {
    /// Creates a stream, and starts its task.
    pub fn new(reader: impl AsyncRead + Send + 'static) -> Self {
        let shared = Shared::new(Bytes::new());
        let task = spawn(read_ahead(reader, shared.clone()));
        AsyncReadStream {
            shared,
            task: Some(task),
        }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.poll_ready(cx, |buffer| !buffer.is_empty())
    }
}

async fn read_ahead(reader: impl AsyncRead, shared: Arc<Shared<Bytes>>) {
    let mut reader = pin!(reader);
    loop {
        let mut buffer = BytesMut::with_capacity(READ_AHEAD);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return shared.end(StreamError::Closed),
            Ok(_) => shared.update(|state| state.buffer = buffer.freeze()),
            Err(error) => return shared.end(error.into()),
        }
        while !shared.lock().buffer.is_empty() {
            shared.task.notified().await;
        }
    }
}

impl std::fmt::Debug for AsyncReadStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncReadStream").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Pollable for AsyncReadStream {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

#[async_trait::async_trait]
impl InputStream for AsyncReadStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut state = self.shared.lock();
        if state.buffer.is_empty() {
            state.ended()?;
            return Ok(Bytes::new());
        }
        let size = size.min(state.buffer.len());
        let bytes = state.buffer.split_to(size);
        if state.buffer.is_empty() {
            self.shared.task.notify_one();
        }
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        if let Some(task) = self.task.take() {
            task.cancel().await;
        }
    }
}

/// Output to what implements [`AsyncWrite`]. A task writes behind. It runs in the host's runtime,
/// or in one of this crate if there is none, and ends with the stream.
pub struct AsyncWriteStream {
    shared: Arc<Shared<Behind>>,
    /// How many bytes may be in the buffer.
    budget: usize,
    task: Option<AbortOnDropJoinHandle<()>>,
}

/// What the task is to write.
struct Behind {
    bytes: BytesMut,
    /// The number of bytes that the task writes right now.
    in_flight: usize,
    /// Whether to flush after all bytes.
    flush: bool,
    budget: usize,
}

impl Behind {
    fn is_idle(&self) -> bool {
        self.bytes.is_empty() && self.in_flight == 0 && !self.flush
    }

    /// Returns how many bytes the buffer takes.
    fn free(&self) -> usize {
        match self.flush {
            true => 0,
            false => self
                .budget
                .saturating_sub(self.bytes.len() + self.in_flight),
        }
    }
}

impl AsyncWriteStream {
    /// Creates a stream that takes up to `budget` bytes before they are written (at most 1 MiB),
    /// and starts its task.
    pub fn new(budget: usize, writer: impl AsyncWrite + Send + 'static) -> Self {
        let budget = budget.clamp(1, MAX_PIECE);
        let shared = Shared::new(Behind {
            bytes: BytesMut::new(),
            in_flight: 0,
            flush: false,
            budget,
        });
        let task = spawn(write_behind(writer, shared.clone()));
        AsyncWriteStream {
            shared,
            budget,
            task: Some(task),
        }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.poll_ready(cx, |behind| behind.free() > 0)
    }
}

async fn write_behind(writer: impl AsyncWrite, shared: Arc<Shared<Behind>>) {
    let mut writer = pin!(writer);
    loop {
        let bytes = {
            let behind = &mut shared.lock().buffer;
            let bytes = behind.bytes.split();
            behind.in_flight = bytes.len();
            bytes
        };
        if !bytes.is_empty() {
            if let Err(error) = writer.write_all(&bytes).await {
                return shared.end(error.into());
            }
            shared.update(|state| state.buffer.in_flight = 0);
            continue;
        }
        if shared.lock().buffer.flush {
            if let Err(error) = writer.flush().await {
                return shared.end(error.into());
            }
            shared.update(|state| state.buffer.flush = false);
            continue;
        }
        while shared.lock().buffer.is_idle() {
            shared.task.notified().await;
        }
    }
}

impl std::fmt::Debug for AsyncWriteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncWriteStream")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Pollable for AsyncWriteStream {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

#[async_trait::async_trait]
impl OutputStream for AsyncWriteStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        let mut state = self.shared.lock();
        state.ended()?;
        if bytes.len() > state.buffer.free() {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        state.buffer.bytes.extend_from_slice(bytes);
        self.shared.task.notify_one();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        let mut state = self.shared.lock();
        state.ended()?;
        state.buffer.flush = true;
        self.shared.task.notify_one();
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let mut state = self.shared.lock();
        state.ended()?;
        Ok(state.buffer.free())
    }

    async fn cancel(&mut self) {
        if let Some(task) = self.task.take() {
            task.cancel().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn reads_ahead_and_ends_once() {
        block_on(async {
            let (mut writer, reader) = duplex(64);
            let mut input = AsyncReadStream::new(reader);
            assert_eq!(input.read(10).unwrap(), "");
            writer.write_all(b"some text").await.unwrap();
            assert_eq!(input.blocking_read(4).await.unwrap(), "some");
            assert_eq!(input.read(100).unwrap(), " text");
            writer.write_all(b"more").await.unwrap();
            drop(writer);
            assert_eq!(input.blocking_skip(100).await.unwrap(), 4);
            for _ in 0..2 {
                let end = input.blocking_read(10).await;
                assert!(matches!(end, Err(StreamError::Closed)), "{end:?}");
            }
            input.cancel().await;
        });
    }

    #[test]
    fn writes_behind_with_back_pressure() {
        block_on(async {
            let (writer, mut reader) = duplex(4);
            let mut output = AsyncWriteStream::new(8, writer);
            assert_eq!(output.check_write().unwrap(), 8);
            assert!(matches!(
                output.write("123456789".into()),
                Err(StreamError::Trap(_))
            ));
            output.write("12345678".into()).unwrap();
            assert_eq!(output.check_write().unwrap(), 0);
            output.flush().unwrap();
            let mut read = [0; 8];
            let (read_all, free) = tokio::join!(reader.read_exact(&mut read), output.write_ready());
            assert_eq!((read_all.unwrap(), free.unwrap()), (8, 8));
            assert_eq!(&read, b"12345678");
            let (written, read_all) = tokio::join!(
                output.blocking_write_and_flush("a long text".into()),
                async { reader.read_exact(&mut [0; 11]).await },
            );
            written.unwrap();
            read_all.unwrap();
            drop(reader);
            output.write("x".into()).unwrap();
            output.ready().await;
            let mut ends = 0;
            while output.check_write().is_ok() && ends < 10 {
                tokio::task::yield_now().await;
                ends += 1;
            }
            assert!(matches!(output.check_write(), Err(StreamError::Closed)));
        });
    }

    #[test]
    fn works_without_a_runtime_of_the_host() {
        let mut input = AsyncReadStream::new(&b"text"[..]);
        crate::runtime::in_tokio(input.ready());
        assert_eq!(input.read(10).unwrap(), "text");
    }
}

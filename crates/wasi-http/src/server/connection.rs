//! One connection: which version of HTTP it speaks, and when its client takes too long.
//!
//! No request sets a timer. What a connection waits for and since when are a few words
//! ([`ConnectionState`]), which the thread looks at from time to time.

use super::body::ResponseBody;
use super::config::{ServerConfig, Times};
use super::failure::MAX_HEAD;
use super::service::ProxyService;
use super::streams::{Progress, Streams};
use crate::WasiHttpView;
use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes of a response to one request that wait in a connection of HTTP/2.
const MAX_SEND_BUFFER: usize = 128 << 10;

/// The first bytes of a connection of HTTP/2 that no request of HTTP/1.1 begins with.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// How long a connection of HTTP/1.1 is idle before it lets go of its buffers.
const REST: Duration = Duration::from_secs(1);

/// The most that one check of its connections moves the clock of a thread, in milliseconds.
const MAX_STEP: u64 = 1000;

/// The time of a thread in milliseconds, as of the last check of its connections. It is never 0,
/// which stands for no time.
///
/// It does not go on while the thread cannot: if the process was stopped, or the machine suspended,
/// all clients would have missed their time, for bytes that the thread did not take.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// Milliseconds from `start` to the last check.
    checked: AtomicU64,
    now: AtomicU64,
}

impl Clock {
    pub fn new() -> Clock {
        Clock {
            start: Instant::now(),
            checked: AtomicU64::new(0),
            now: AtomicU64::new(1),
        }
    }

    /// Moves the clock by the time since the last check. Returns the new time.
    pub fn update(&self) -> u64 {
        self.advance(self.start.elapsed())
    }

    /// Moves the clock, of which only its own thread makes checks.
    fn advance(&self, since_start: Duration) -> u64 {
        let millis = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        let passed = millis.saturating_sub(self.checked.swap(millis, Relaxed));
        let now = self.now().saturating_add(passed.min(MAX_STEP));
        self.now.store(now, Relaxed);
        now
    }

    fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }
}

/// The event that a connection waits for, and since when. Only its own thread changes it.
#[derive(Debug)]
pub(super) struct ConnectionState {
    clock: Arc<Clock>,
    /// Requests whose responses are not at their end.
    requests: AtomicUsize,
    /// Since when there have been none.
    idle_since: AtomicU64,
    /// The arrival of the first byte of the next request; 0 before it.
    head_since: AtomicU64,
    /// Since when the client takes no bytes although some wait; 0 if none wait.
    blocked_since: AtomicU64,
    is_http2: AtomicBool,
    /// Whether the last request had a body, which may not be read to its end.
    had_body: AtomicBool,
    /// Whether the connection is to let go of its buffers, or has done so.
    is_resting: AtomicBool,
    /// One of [`OPEN`], [`CLOSING`] and [`CLOSED`].
    end: AtomicU8,
    /// The connection's task.
    task: Mutex<Option<Waker>>,
}

const OPEN: u8 = 0;
/// As soon as the requests under way are answered.
const CLOSING: u8 = 1;
/// At once.
const CLOSED: u8 = 2;

impl ConnectionState {
    pub fn new(clock: Arc<Clock>) -> ConnectionState {
        let now = clock.now();
        ConnectionState {
            clock,
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            had_body: AtomicBool::new(false),
            is_resting: AtomicBool::new(false),
            end: AtomicU8::new(OPEN),
            task: Mutex::new(None),
        }
    }

    /// Closes the connection if its client takes too long at the time `now`. Tells it to rest if
    /// it is idle, and returns whether it did.
    pub fn check(&self, now: u64, times: &Times) -> bool {
        let passed = |since: &AtomicU64, time: Duration| {
            let since = since.load(Relaxed);
            since != 0 && u128::from(now.saturating_sub(since)) > time.as_millis()
        };
        let is_stuck = passed(&self.blocked_since, times.write);
        if is_stuck {
            self.close(CLOSED);
        }
        if is_stuck || self.requests.load(Relaxed) > 0 {
            return false;
        }
        // With HTTP/2, bytes without a request are those of the protocol.
        let has_part = !self.is_http2.load(Relaxed) && self.head_since.load(Relaxed) != 0;
        let is_slow = has_part && passed(&self.head_since, times.header);
        let is_idle = passed(&self.idle_since, times.idle);
        let is_closing = self.end.load(Relaxed) == CLOSING;
        if is_slow || (is_idle && (is_closing || has_part)) {
            self.close(CLOSED);
        } else if is_idle {
            self.close(CLOSING);
            // A client of HTTP/2 may leave the connection open when it is told of its end.
            self.idle_since.store(now, Relaxed);
        } else if passed(&self.idle_since, REST)
            && self.is_quiet()
            && !self.is_resting.swap(true, Relaxed)
        {
            self.wake();
            return true;
        }
        false
    }

    /// Returns whether a connection of HTTP/1.1 is between two requests, with nothing to write.
    fn is_quiet(&self) -> bool {
        self.requests.load(Relaxed) == 0
            && self.head_since.load(Relaxed) == 0
            && self.blocked_since.load(Relaxed) == 0
            && !self.is_http2.load(Relaxed)
            && !self.had_body.load(Relaxed)
    }

    /// Closes the connection when the requests under way are answered.
    pub fn shut_down(&self) {
        if self.end.load(Relaxed) == OPEN {
            self.close(CLOSING);
        }
    }

    fn close(&self, end: u8) {
        self.end.store(end, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }

    fn set_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *task = Some(waker.clone());
    }

    /// Begins a request.
    fn begin(self: &Arc<Self>, request: &Request<Incoming>) -> UnderWay {
        self.had_body
            .store(!request.body().is_end_stream(), Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        UnderWay(self.clone())
    }

    /// Notes that bytes have come.
    fn read(&self) {
        if self.requests.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.clock.now(), Relaxed);
        }
    }

    /// Notes whether the client takes bytes.
    fn wrote(&self, is_blocked: bool) {
        if !is_blocked {
            self.blocked_since.store(0, Relaxed);
        } else if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.clock.now(), Relaxed);
        }
    }
}

/// A request whose response is not at its end.
struct UnderWay(Arc<ConnectionState>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Relaxed) == 1 {
            self.0.idle_since.store(self.0.clock.now(), Relaxed);
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve<T: WasiHttpView + 'static>(
    stream: TcpStream,
    state: Arc<ConnectionState>,
    service: ProxyService<T>,
    config: &ServerConfig,
) {
    let mut io = Stream {
        stream,
        state: state.clone(),
        before: BytesMut::new(),
    };
    // Makes the service; `streams` are those of HTTP/2.
    let answer = |streams: Option<Streams>| {
        let state = state.clone();
        service_fn(move |request: Request<Incoming>| {
            let (under_way, progress) =
                (state.begin(&request), streams.as_ref().map(Streams::begin));
            let response = service.respond(request);
            // In a box, since a connection keeps room for the future also when it is idle.
            Box::pin(async move {
                let response = response.await.map(|body| HeldBody {
                    body,
                    progress,
                    _under_way: under_way,
                });
                Ok::<Response<HeldBody>, Infallible>(response)
            })
        })
    };
    let is_http2 = poll_fn(|cx| {
        state.set_task(cx.waker());
        match state.end.load(Relaxed) {
            CLOSED => Poll::Ready(None),
            _ => io.poll_is_http2(cx).map(Result::ok),
        }
    });
    // Errors of a connection are the client's concern.
    match is_http2.await {
        None => {}
        Some(false) => {
            let mut service = answer(None);
            loop {
                let connection = http1::Builder::new()
                    .header_read_timeout(None)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(io), service);
                let mut connection = Box::new(connection);
                let ended = run(Pin::new(&mut *connection), &state, |connection| {
                    connection.graceful_shutdown()
                });
                if ended.await == Ended::Closed {
                    return;
                }
                // Frees the connection and its buffers before `rest`. It is idle, so it has
                // nothing left to write.
                (io, service) = {
                    let connection = connection;
                    let parts = connection.into_parts();
                    (parts.io.into_inner().after(parts.read_buf), parts.service)
                };
                if !io.rest().await {
                    return;
                }
            }
        }
        Some(true) => {
            state.is_http2.store(true, Relaxed);
            let streams = Streams::new(config.times.write);
            let connection = http2::Builder::new(streams.clone())
                .max_concurrent_streams(config.max_streams)
                .max_header_list_size(MAX_HEAD as u32)
                .max_send_buf_size(MAX_SEND_BUFFER)
                .serve_connection(TokioIo::new(io), answer(Some(streams)));
            let mut connection = Box::pin(connection);
            run(connection.as_mut(), &state, |connection| {
                connection.graceful_shutdown()
            })
            .await;
        }
    }
}

/// The reason for which [`run`] returned.
#[derive(PartialEq)]
enum Ended {
    Closed,
    Resting,
}

/// Polls a connection until it ends, is to end, or is to rest. It is in a box of the caller's, so
/// that the task has no room for all kinds of them.
async fn run<C: Future>(
    mut connection: Pin<&mut C>,
    state: &ConnectionState,
    mut shut_down: impl FnMut(Pin<&mut C>),
) -> Ended {
    let mut is_told = false;
    poll_fn(|cx| {
        match state.end.load(Relaxed) {
            CLOSED => return Poll::Ready(Ended::Closed),
            CLOSING if !is_told => {
                is_told = true;
                shut_down(connection.as_mut());
            }
            _ => {}
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ended::Closed);
        }
        if !state.is_resting.load(Relaxed) {
            return Poll::Pending;
        }
        // Bytes may have come since it was told to rest.
        if state.is_quiet() {
            return Poll::Ready(Ended::Resting);
        }
        state.is_resting.store(false, Relaxed);
        Poll::Pending
    })
    .await
}

/// The body of a response with its request, which is under way until the body is dropped.
struct HeldBody {
    body: ResponseBody,
    /// With HTTP/2, what its stream waits for.
    progress: Option<Arc<Progress>>,
    _under_way: UnderWay,
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(progress) = &self.progress {
            progress.asked(matches!(polled, Poll::Ready(Some(Ok(_)))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream of a connection, which notes what it waits for.
struct Stream {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    /// Bytes that were read and not passed on.
    before: BytesMut,
}

impl Stream {
    /// Reads until it is known whether the client speaks HTTP/2.
    fn poll_is_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if !HTTP2.starts_with(&self.before) {
                return Poll::Ready(Ok(false));
            }
            let missing = HTTP2.len() - self.before.len();
            if missing == 0 {
                return Poll::Ready(Ok(true));
            }
            let mut bytes = [0; HTTP2.len()];
            let mut buffer = ReadBuf::new(&mut bytes[..missing]);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.before.extend_from_slice(buffer.filled());
            self.state.read();
        }
    }

    /// Returns the stream with bytes that were read of it and not used.
    fn after(mut self, bytes: Bytes) -> Stream {
        // Even an empty buffer may have all of its room.
        if !bytes.is_empty() {
            self.before = bytes.into();
        }
        self
    }

    /// Waits for the next bytes, without buffers. Returns whether the connection goes on.
    async fn rest(&mut self) -> bool {
        let goes_on = poll_fn(|cx| {
            if !self.before.is_empty() {
                // The next request began before the last one was answered.
                self.state.read();
                return Poll::Ready(true);
            }
            match self.state.end.load(Relaxed) {
                // An error comes again when bytes are read.
                OPEN => self.stream.poll_read_ready(cx).map(|_| true),
                _ => Poll::Ready(false),
            }
        })
        .await;
        self.state.is_resting.store(false, Relaxed);
        goes_on
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let len = buffer.remaining().min(this.before.len());
        buffer.put_slice(&this.before[..len]);
        this.before.advance(len);
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // What follows the first bytes is read at once, or else hyper would make a larger buffer.
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.state.read();
        }
        match len {
            0 => polled,
            // An error comes again, or is an end, when there are no bytes before it.
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.state.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.state.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_lose_no_time_while_the_thread_is_stopped() {
        let times = Times {
            idle: Duration::from_secs(60),
            header: Duration::from_secs(10),
            write: Duration::from_secs(30),
        };
        let clock = Arc::new(Clock::new());
        let state = ConnectionState::new(clock.clone());
        state.wrote(true);
        let is_closed_after = |seconds| {
            state.check(clock.advance(Duration::from_secs(seconds)), &times);
            state.end.load(Relaxed) == CLOSED
        };
        // An hour without a check counts as a second.
        assert!(!is_closed_after(3600));
        assert_eq!(clock.now(), 1001);
        for second in 1..30 {
            assert!(!is_closed_after(3600 + second), "{second}");
        }
        assert!(is_closed_after(3630));
    }

    #[test]
    fn only_quiet_connections_rest() {
        let times = Times {
            idle: Duration::from_secs(60),
            header: Duration::from_secs(10),
            write: Duration::from_secs(30),
        };
        let rests = |prepare: fn(&Arc<ConnectionState>)| {
            let clock = Arc::new(Clock::new());
            let state = Arc::new(ConnectionState::new(clock.clone()));
            prepare(&state);
            assert!(!state.check(clock.advance(REST), &times));
            let rests = state.check(clock.advance(REST + Duration::from_millis(10)), &times);
            // Once.
            assert!(!state.check(clock.advance(2 * REST), &times));
            rests
        };
        assert!(rests(|_| {}));
        assert!(!rests(|state| state.read()));
        assert!(!rests(|state| state.wrote(true)));
        assert!(rests(|state| {
            state.wrote(true);
            state.wrote(false);
        }));
        assert!(!rests(|state| state.had_body.store(true, Relaxed)));
        assert!(!rests(|state| state.is_http2.store(true, Relaxed)));
        assert!(!rests(|state| _ = state.requests.fetch_add(1, Relaxed)));
    }
}

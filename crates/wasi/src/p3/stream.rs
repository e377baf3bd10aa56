//! Streams of bytes between guests and what the host reads and writes: [`Reader`] and [`Writer`],
//! and the futures that tell guests how they have ended.
//!
//! The bytes go straight from and to the guest's memory. A stream takes nothing before the guest
//! reads or writes, so that a guest which does neither costs its host no memory.

use crate::Errno;
use crate::error::reason;
use crate::io::waiting::Waiting;
use crate::io::{InputStream, MAX_ATTEMPTS, MAX_PIECE, OutputStream, Pollable, StreamError};
use crate::limit::Slot;
use mintage::component::{
    Destination, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use mintage::{AsContextMut, Result, StoreContextMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// How many bytes are read at once if the host reads them.
const HOST_PIECE: usize = 1 << 16;

/// What an error of a stream is for a guest.
pub(super) trait Code: From<Errno> + Lift + Lower + Send + Sync + 'static {}

impl<E: From<Errno> + Lift + Lower + Send + Sync + 'static> Code for E {}

/// The stream of bytes and the future of a function that reads.
pub(super) type Reading<E> = (StreamReader<u8>, FutureReader<Ended<E>>);

/// How a stream has ended.
pub(super) type Ended<E> = std::result::Result<(), E>;

/// Tells a guest how a stream has ended. Unless there is an error, it has ended well.
pub(super) struct Outcome<E>(Option<oneshot::Sender<E>>);

impl<E: Code> Outcome<E> {
    /// Creates the outcome of a stream, and the future that tells it.
    ///
    /// # Errors
    ///
    /// If the host holds too many streams and futures.
    pub fn new(store: impl AsContextMut) -> Result<(Self, FutureReader<Ended<E>>)> {
        let (sender, receiver) = oneshot::channel();
        let future = FutureReader::new(store, async move {
            let ended = match receiver.await {
                Ok(error) => Err(error),
                Err(_) => Ok(()),
            };
            Result::<_>::Ok(ended)
        })?;
        Ok((Outcome(Some(sender)), future))
    }

    /// Ends the stream with an error.
    pub fn fail(&mut self, error: impl Into<E>) {
        if let Some(sender) = self.0.take() {
            // If the guest has dropped the future, it does not want to know.
            let _ = sender.send(error.into());
        }
    }

    /// Ends a stream that something has happened to.
    ///
    /// # Errors
    ///
    /// A trap.
    fn end(&mut self, error: StreamError, closed: Option<Errno>) -> Result<StreamResult> {
        match (error, closed) {
            (StreamError::Closed, None) => self.0 = None,
            (StreamError::Closed, Some(error)) => self.fail(error),
            (StreamError::LastOperationFailed(error), _) => {
                self.fail(reason(&error).unwrap_or(Errno::Io));
            }
            (StreamError::Trap(error), _) => return Err(error),
        }
        Ok(StreamResult::Dropped)
    }
}

/// Returns a future that tells a guest of an error.
///
/// # Errors
///
/// If the host holds too many streams and futures.
pub(super) fn failed<E: Code>(
    store: impl AsContextMut,
    error: impl Into<E>,
) -> Result<FutureReader<Ended<E>>> {
    let error = error.into();
    FutureReader::new(store, async move { Result::<_>::Ok(Err(error)) })
}

/// Returns a stream that has ended, with its error.
///
/// # Errors
///
/// As [`failed`].
pub(super) fn failed_reading<T, E: Code>(
    mut store: impl AsContextMut,
    error: impl Into<E>,
) -> Result<(StreamReader<T>, FutureReader<Ended<E>>)>
where
    T: Lift + Lower + Send + Sync + 'static,
{
    let stream = StreamReader::new(&mut store, std::iter::empty())?;
    Ok((stream, failed(store, error)?))
}

/// Closes a stream that nothing reads, and returns a future that tells the guest why.
///
/// # Errors
///
/// As [`failed`].
pub(super) fn failed_writing<E: Code>(
    mut store: impl AsContextMut,
    mut data: StreamReader<u8>,
    error: impl Into<E>,
) -> Result<FutureReader<Ended<E>>> {
    data.close(&mut store)?;
    failed(store, error)
}

/// Returns the bytes of an input stream, for a guest. `slot` counts the stream, if it does not do
/// so itself.
///
/// # Errors
///
/// As [`Outcome::new`].
pub(super) fn read<E: Code>(
    mut store: impl AsContextMut,
    input: Box<dyn InputStream>,
    slot: Option<Arc<Slot>>,
) -> Result<Reading<E>> {
    let (outcome, ended) = Outcome::new(&mut store)?;
    let reader = Reader {
        input: Waiting::new(input),
        outcome,
        _slot: slot,
    };
    Ok((StreamReader::new(store, reader)?, ended))
}

/// Writes what a guest writes to an output stream. `slot` counts the stream, if it does not do so
/// itself.
///
/// # Errors
///
/// As [`Outcome::new`].
pub(super) fn write<E: Code>(
    mut store: impl AsContextMut,
    data: StreamReader<u8>,
    output: Box<dyn OutputStream>,
    slot: Option<Arc<Slot>>,
) -> Result<FutureReader<Ended<E>>> {
    let (outcome, ended) = Outcome::new(&mut store)?;
    let writer = Writer {
        output: Waiting::new(output),
        is_flushing: false,
        has_taken: false,
        outcome,
        _slot: slot,
    };
    data.pipe(store, writer)?;
    Ok(ended)
}

/// What a guest reads: the bytes of an input stream.
struct Reader<E> {
    input: Waiting<Box<dyn InputStream>>,
    outcome: Outcome<E>,
    /// Counts while the guest has the stream.
    _slot: Option<Arc<Slot>>,
}

impl<E> Reader<E> {
    /// Reads into `buffer`, and returns how many bytes. Without room, this waits until there is
    /// something to read, or the end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::result::Result<usize, StreamError>> {
        let mut attempts = 0;
        loop {
            if let Some(input) = self.input.idle()
                && !buffer.is_empty()
            {
                let count = input.read_available(buffer)?;
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
            }
            ready!(poll_ready(&mut self.input, cx, &mut attempts))?;
            if buffer.is_empty() {
                return Poll::Ready(Ok(0));
            }
        }
    }
}

/// Waits for a stream.
///
/// # Errors
///
/// If the system cannot wait, or the stream was ready often and did nothing.
fn poll_ready<S: Pollable>(
    stream: &mut Waiting<S>,
    cx: &mut Context<'_>,
    attempts: &mut u32,
) -> Poll<std::result::Result<(), StreamError>> {
    if *attempts > MAX_ATTEMPTS {
        return Poll::Ready(Err(StreamError::trap(
            "a stream says that it is ready, and does nothing",
        )));
    }
    *attempts += 1;
    stream.poll_ready(cx).map_err(StreamError::Trap)
}

impl<D: 'static, E: Code> StreamProducer<D> for Reader<E> {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let mut direct = destination.as_direct(store, HOST_PIECE);
        let buffer = direct.remaining();
        let size = buffer.len().min(MAX_PIECE);
        Poll::Ready(match this.poll_read(cx, &mut buffer[..size]) {
            Poll::Ready(Ok(count)) => {
                direct.mark_written(count);
                Ok(StreamResult::Completed)
            }
            Poll::Ready(Err(error)) => this.outcome.end(error, None),
            Poll::Pending if finish => Ok(StreamResult::Cancelled),
            Poll::Pending => return Poll::Pending,
        })
    }
}

/// What a guest writes to: an output stream.
struct Writer<E> {
    output: Waiting<Box<dyn OutputStream>>,
    /// Whether bytes that the stream has taken are still to be written.
    is_flushing: bool,
    /// Whether some of them are of the write that the guest waits for.
    has_taken: bool,
    outcome: Outcome<E>,
    /// Counts while the guest has the stream.
    _slot: Option<Arc<Slot>>,
}

impl<E> Writer<E> {
    /// Waits until what the stream has taken is written.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), StreamError>> {
        let mut attempts = 0;
        while self.is_flushing {
            if let Some(output) = self.output.idle() {
                match output.check_write() {
                    Ok(0) => {}
                    // It has taken all bytes, so it does not matter that it is closed by now.
                    Ok(_) | Err(StreamError::Closed) => {
                        self.is_flushing = false;
                        break;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            ready!(poll_ready(&mut self.output, cx, &mut attempts))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes bytes, and returns how many. Without bytes, this waits until some can be written.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::result::Result<usize, StreamError>> {
        ready!(self.poll_flush(cx))?;
        let mut attempts = 0;
        loop {
            if let Some(output) = self.output.idle()
                && !bytes.is_empty()
            {
                let count = output.write_available(bytes)?;
                if count > 0 {
                    if output.needs_flush() {
                        output.flush()?;
                        self.is_flushing = true;
                    }
                    return Poll::Ready(Ok(count));
                }
            }
            ready!(poll_ready(&mut self.output, cx, &mut attempts))?;
            if bytes.is_empty() {
                return Poll::Ready(Ok(0));
            }
        }
    }
}

impl<D: 'static, E: Code> StreamConsumer<D> for Writer<E> {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let mut direct = source.as_direct(store);
        let polled = match this.has_taken {
            true => Poll::Ready(Ok(())),
            false => this.poll_write(cx, direct.remaining()).map_ok(|count| {
                direct.mark_read(count);
                this.has_taken = count > 0;
            }),
        };
        // The guest waits until what it has written is with whom it is for.
        let polled = match polled {
            Poll::Ready(Ok(())) if this.has_taken => this.poll_flush(cx),
            polled => polled,
        };
        if polled.is_ready() || finish {
            this.has_taken = false;
        }
        Poll::Ready(match polled {
            Poll::Ready(Ok(())) => Ok(StreamResult::Completed),
            Poll::Ready(Err(error)) => this.outcome.end(error, Some(Errno::Pipe)),
            Poll::Pending if finish => Ok(StreamResult::Cancelled),
            Poll::Pending => return Poll::Pending,
        })
    }
}

//! [`Filler`]: fills the body that hyper sends, from the stream and the trailers of a guest.

use super::{Getter, Trailers};
use crate::queue::Queue;
use crate::{Error, FieldMap};
use mintage::component::{FutureConsumer, FutureReader, Source, StreamConsumer, StreamResult};
use mintage::{AsContextMut, Result, StoreContextMut};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Has the trailers of a guest end what `filler` fills.
pub(super) fn pipe_trailers<D: 'static>(
    store: impl AsContextMut<Data = D>,
    trailers: Option<FutureReader<Trailers>>,
    filler: Arc<Filler>,
    getter: Getter<D>,
) -> Result<()> {
    match trailers {
        Some(trailers) => trailers.pipe(store, TrailersConsumer { filler, getter }),
        None => {
            filler.trailers(Ok(None));
            Ok(())
        }
    }
}

/// Fills the body that hyper sends, from a guest's stream and its trailers.
pub(super) struct Filler {
    sink: Sink,
    state: Mutex<FillerState>,
    /// Dropped with this.
    _held: oneshot::Sender<Infallible>,
}

pub(super) enum Sink {
    Queue(Queue),
    /// Takes the trailers alone.
    Passed(Mutex<Option<oneshot::Sender<PassedEnd>>>),
}

/// How the body of a guest ends.
pub(super) type PassedEnd = std::result::Result<Option<FieldMap>, Error>;

struct FillerState {
    /// Set until the stream of bytes has ended.
    has_contents: bool,
    /// Those that came before the bytes ended.
    trailers: Option<Option<FieldMap>>,
    /// Set when the guest has said how the body ends.
    has_trailers: bool,
}

impl Filler {
    /// Creates one. `has_contents` says whether there is a stream of bytes.
    pub fn new(sink: Sink, has_contents: bool, held: oneshot::Sender<Infallible>) -> Arc<Self> {
        Arc::new(Filler {
            sink,
            state: Mutex::new(FillerState {
                has_contents,
                trailers: None,
                has_trailers: false,
            }),
            _held: held,
        })
    }

    /// Notes that there are no more bytes.
    fn contents_ended(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_contents = false;
        if let Some(trailers) = state.trailers.take() {
            self.finish(trailers);
        }
    }

    /// Notes that there are no more bytes, though the guest has not ended them: it was stopped, or
    /// no one wants them.
    fn contents_lost(&self) {
        let has_contents = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.has_contents
        };
        if has_contents {
            self.fail(Error::HttpProtocolError);
        }
    }

    /// Notes how the guest says that the body ends.
    fn trailers(&self, trailers: PassedEnd) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_trailers = true;
        match trailers {
            Ok(trailers) if state.has_contents => state.trailers = Some(trailers),
            Ok(trailers) => self.finish(trailers),
            Err(error) => self.fail(error),
        }
    }

    /// Notes that there will be no trailers.
    fn trailers_ended(&self) {
        let has_trailers = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.has_trailers
        };
        if !has_trailers {
            self.fail(Error::HttpProtocolError);
        }
    }

    fn finish(&self, trailers: Option<FieldMap>) {
        match &self.sink {
            // A wrong size breaks the body off, and the guest learns of it by the outcome.
            Sink::Queue(queue) => drop(queue.finish(trailers)),
            Sink::Passed(sender) => send(sender, Ok(trailers)),
        }
    }

    fn fail(&self, error: Error) {
        match &self.sink {
            Sink::Queue(queue) => queue.fail(error),
            Sink::Passed(sender) => send(sender, Err(error)),
        }
    }
}

fn send(sender: &Mutex<Option<oneshot::Sender<PassedEnd>>>, end: PassedEnd) {
    let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = sender.take() {
        // A body that is gone needs no end.
        let _ = sender.send(end);
    }
}

/// Copies the bytes that a guest writes into the queue.
pub(super) struct ContentsConsumer {
    pub filler: Arc<Filler>,
}

impl<D: 'static> StreamConsumer<D> for ContentsConsumer {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let Sink::Queue(queue) = &self.filler.sink else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let room = match queue.poll_ready(cx) {
            Poll::Ready(Ok(room)) => room,
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        };
        let mut direct = source.as_direct(store);
        let bytes = direct.remaining();
        let count = bytes.len().min(room);
        let written = queue.write_from(&bytes[..count]);
        if written.is_err() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        direct.mark_read(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }

    fn end(self: Pin<&mut Self>) {
        self.filler.contents_ended();
    }
}

impl Drop for ContentsConsumer {
    fn drop(&mut self) {
        self.filler.contents_lost();
    }
}

/// Takes the trailers that a guest sends.
struct TrailersConsumer<D: 'static> {
    filler: Arc<Filler>,
    getter: Getter<D>,
}

impl<D: 'static> FutureConsumer<D> for TrailersConsumer<D> {
    type Item = Trailers;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Trailers>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut value = None;
        source.read(&mut store, &mut value)?;
        let end = match value {
            Some(Ok(Some(trailers))) => {
                let view = (self.getter)(store.data_mut());
                Ok(Some(view.table.delete(trailers)?))
            }
            Some(Ok(None)) => Ok(None),
            Some(Err(code)) => Err(code.into()),
            None => return Poll::Ready(Ok(())),
        };
        self.filler.trailers(end);
        Poll::Ready(Ok(()))
    }
}

impl<D: 'static> Drop for TrailersConsumer<D> {
    fn drop(&mut self) {
        self.filler.trailers_ended();
    }
}

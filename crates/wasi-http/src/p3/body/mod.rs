//! [`Body`]: the body of a request or a response, whoever has made it and whoever reads it.
//!
//! | made by | read by | how |
//! |---|---|---|
//! | the host | a guest | [`ContentsProducer`] and [`TrailersProducer`], over a reader |
//! | a guest | the host | [`ContentsConsumer`] and [`TrailersConsumer`] fill a queue |
//! | a guest | a guest | the streams are passed on |
//! | the host | the host, by way of a guest | [`PassedBody`], over the reader |
//!
//! Whoever makes a body learns how its transmission has ended: a guest by the future of `new`, the
//! host by that of [`Request::from_http`](super::Request::from_http).

mod filler;
mod outcome;
mod passed;
mod producers;

use super::bindings::http::types::ErrorCode;
use crate::hooks::WasiBody;
use crate::queue::{Queue, QueueParts, StreamContext};
use crate::reader::{Contents, Reader};
use crate::{FieldMap, WasiHttpCtxView};
use filler::{ContentsConsumer, Filler, Sink, pipe_trailers};
use http_body_util::BodyExt;
use mintage::component::{FutureReader, StreamReader};
use mintage::{AsContextMut, Resource, Result, format_err};
use outcome::{OutcomeConsumer, OutcomeProducer, OutcomeState};
use passed::{PassedBody, PassedTrailers};
use producers::{ContentsProducer, TrailersProducer};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// What a function of the host finds its part of a store's data by.
pub(super) type Getter<D> = fn(&mut D) -> WasiHttpCtxView<'_>;

/// What ends the stream of a body's bytes.
pub(super) type Trailers = std::result::Result<Option<Resource<FieldMap>>, ErrorCode>;

/// How a transmission has ended.
pub(super) type Transmission = std::result::Result<(), ErrorCode>;

/// How a transmission will have ended.
pub(super) type Outcome = Pin<Box<dyn Future<Output = crate::Result<()>> + Send>>;

/// The body of a request or a response.
pub(super) struct Body {
    source: BodySource,
    /// Those of the guest; none if they are those of the host's body.
    trailers: Option<FutureReader<Trailers>>,
    outcome: oneshot::Sender<Outcome>,
}

/// Where the bytes of a body come from.
enum BodySource {
    Empty,
    Guest(StreamReader<u8>),
    /// A body of the host, which no one has read from.
    Host(Reader),
    /// The rest of a body of the host, which a guest has passed on.
    Passed(Contents),
}

/// What a message of hyper is made with.
pub(super) struct BodyParts<F> {
    pub context: StreamContext,
    /// The size that `content-length` says.
    pub expected: Option<u64>,
    /// How it goes on with the body, after hyper has taken it.
    pub outcome: F,
}

/// Is ready when a body does not need its store any more. The value is always an error.
pub(crate) type Released = oneshot::Receiver<Infallible>;

impl Body {
    /// Creates a body of the host. The future says how it was received.
    pub fn of_host(reader: Reader) -> (Self, impl Future<Output = crate::Result<()>> + Send) {
        let (sender, receiver) = oneshot::channel();
        let body = Body {
            source: BodySource::Host(reader),
            trailers: None,
            outcome: sender,
        };
        let outcome = async {
            match receiver.await {
                Ok(outcome) => outcome.await,
                // It was not looked at.
                Err(_) => Ok(()),
            }
        };
        (body, outcome)
    }

    /// Creates a body of a guest, and the future that tells it how the transmission has ended.
    ///
    /// # Errors
    ///
    /// If the host holds too many streams and futures.
    pub fn of_guest<D: 'static>(
        mut store: impl AsContextMut<Data = D>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
        getter: Getter<D>,
    ) -> Result<(Self, FutureReader<Transmission>)> {
        let source = match contents {
            None => BodySource::Empty,
            // One that the guest has from the host need not go through its memory.
            Some(contents) => match contents.try_into::<Contents>(&mut store) {
                Ok(contents) => BodySource::Passed(contents),
                Err(contents) => BodySource::Guest(contents),
            },
        };
        let (sender, receiver) = oneshot::channel();
        let future = FutureReader::new(
            store,
            OutcomeProducer {
                state: OutcomeState::Waiting(receiver),
                getter,
            },
        )?;
        let body = Body {
            source,
            trailers: Some(trailers),
            outcome: sender,
        };
        Ok((body, future))
    }

    /// Passes the body to a guest, which tells by `result` how it has received it.
    ///
    /// # Errors
    ///
    /// If the host holds too many streams and futures.
    pub fn consume<D: 'static>(
        self,
        mut store: impl AsContextMut<Data = D>,
        result: FutureReader<Transmission>,
        getter: Getter<D>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        result.pipe(&mut store, OutcomeConsumer(Some(self.outcome)))?;
        let (contents, reader) = match self.source {
            BodySource::Empty => (StreamReader::new(&mut store, std::iter::empty())?, None),
            BodySource::Guest(contents) => (contents, None),
            BodySource::Host(reader) => {
                let contents = ContentsProducer(Contents::new(reader.clone()));
                (StreamReader::new(&mut store, contents)?, Some(reader))
            }
            BodySource::Passed(contents) => (
                StreamReader::new(&mut store, ContentsProducer(contents))?,
                None,
            ),
        };
        let trailers = match (self.trailers, reader) {
            (Some(trailers), _) => trailers,
            (None, Some(reader)) => FutureReader::new(store, TrailersProducer { reader, getter })?,
            (None, None) => {
                FutureReader::new(store, std::future::ready(Result::<Trailers>::Ok(Ok(None))))?
            }
        };
        Ok((contents, trailers))
    }

    /// Makes the body one that hyper sends.
    ///
    /// # Errors
    ///
    /// If the guest has too many bodies.
    pub fn into_hyper<D, F>(
        self,
        mut store: impl AsContextMut<Data = D>,
        parts: BodyParts<F>,
        getter: Getter<D>,
    ) -> Result<(WasiBody, Released)>
    where
        D: 'static,
        F: Future<Output = crate::Result<()>> + Send + 'static,
    {
        let (held, released) = oneshot::channel();
        let (sender, receiver) = oneshot::channel();
        let sizes = (parts.context, parts.expected);
        let body = match self.source {
            source @ (BodySource::Empty | BodySource::Guest(_)) => {
                let (capacity, slot) = {
                    let mut store = store.as_context_mut();
                    let view = getter(store.data_mut());
                    let counts = view.ctx.counts();
                    let slot = counts.body().ok_or_else(|| {
                        format_err!(
                            "the guest has more than {} outgoing bodies that are not sent yet; \
                             see `WasiHttpCtx::set_max_outgoing_bodies`",
                            counts.limits.outgoing_bodies
                        )
                    })?;
                    (view.hooks.p3_outgoing_body_chunk_size(), slot)
                };
                let has_contents = matches!(source, BodySource::Guest(_));
                let (queue, body) = Queue::new(QueueParts {
                    context: parts.context,
                    // A body without a stream is empty, which need not be said by chunks.
                    expected: parts.expected.or((!has_contents).then_some(0)),
                    capacity,
                    _slot: Some(slot),
                    outcome: Some(sender),
                });
                let filler = Filler::new(Sink::Queue(queue), has_contents, held);
                if let BodySource::Guest(contents) = source {
                    let filler = filler.clone();
                    contents.pipe(&mut store, ContentsConsumer { filler })?;
                }
                pipe_trailers(store, self.trailers, filler, getter)?;
                body
            }
            BodySource::Host(reader) => {
                let trailers = PassedTrailers::Own;
                let contents = Contents::new(reader);
                PassedBody::new(contents, trailers, sizes, sender).boxed_unsync()
            }
            BodySource::Passed(contents) => {
                let (tell, told) = oneshot::channel();
                let filler = Filler::new(Sink::Passed(Mutex::new(Some(tell))), false, held);
                pipe_trailers(store, self.trailers, filler, getter)?;
                let trailers = PassedTrailers::Guest(told);
                PassedBody::new(contents, trailers, sizes, sender).boxed_unsync()
            }
        };
        let outcome = parts.outcome;
        // If no one waits for it, no one wants to know.
        if !self.outcome.is_closed() {
            let _ = self.outcome.send(Box::pin(async {
                match receiver.await {
                    Ok(Err(error)) => Err(error),
                    _ => outcome.await,
                }
            }));
        }
        Ok((body, released))
    }
}

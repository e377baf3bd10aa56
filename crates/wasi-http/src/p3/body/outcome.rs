//! [`OutcomeProducer`] and [`OutcomeConsumer`]: how a transmission has ended, to and from a guest.

use super::{Getter, Outcome, Transmission};
use crate::Error;
use crate::p3::error::error_code;
use mintage::component::{FutureConsumer, FutureProducer, Source};
use mintage::{Result, StoreContextMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Tells a guest how a transmission has ended.
pub(super) struct OutcomeProducer<D: 'static> {
    pub state: OutcomeState,
    pub getter: Getter<D>,
}

pub(super) enum OutcomeState {
    /// It has not begun.
    Waiting(oneshot::Receiver<Outcome>),
    Begun(Outcome),
}

impl<D: 'static> FutureProducer<D> for OutcomeProducer<D> {
    type Item = Transmission;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<Transmission>>> {
        let this = self.get_mut();
        let polled = loop {
            match &mut this.state {
                OutcomeState::Waiting(receiver) => match Pin::new(receiver).poll(cx) {
                    Poll::Ready(Ok(outcome)) => this.state = OutcomeState::Begun(outcome),
                    // The message was dropped, and no one has looked at it.
                    Poll::Ready(Err(_)) => break Poll::Ready(Ok(())),
                    Poll::Pending => break Poll::Pending,
                },
                OutcomeState::Begun(outcome) => break outcome.as_mut().poll(cx),
            }
        };
        match polled {
            Poll::Pending if finish => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(Ok(Some(result.map_err(|error| {
                let view = (this.getter)(store.data_mut());
                error_code(view.hooks, &error)
            })))),
        }
    }
}

/// Takes what a guest says of a body that it has received.
pub(super) struct OutcomeConsumer(pub Option<oneshot::Sender<Outcome>>);

impl<D: 'static> FutureConsumer<D> for OutcomeConsumer {
    type Item = Transmission;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Transmission>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut value = None;
        source.read(&mut store, &mut value)?;
        if let Some(result) = value
            && let Some(sender) = self.0.take()
        {
            let result = result.map_err(Error::from);
            // If no one waits for it, no one wants to know.
            let _ = sender.send(Box::pin(std::future::ready(result)));
        }
        Poll::Ready(Ok(()))
    }
}

//! [`StreamConsumer`] and [`FutureConsumer`]: the host at the side that reads.

use super::buffer::WriteBuffer;
use super::{Source, StreamResult};
use crate::error::Result;
use crate::store::{HostSide, StreamId};
use crate::{AsContextMut, StoreContextMut};
use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The host's side of a stream that the host reads from; see
/// [`StreamReader::pipe`](crate::StreamReader::pipe).
pub trait StreamConsumer<D: 'static>: Send + 'static {
    /// The type of the values.
    type Item;

    /// Takes values of a write. This is called when the writer begins a write, and then whenever
    /// the waker of `cx` is woken, until the write has ended.
    ///
    /// - If there is room, take some values from `source` and return
    ///   [`StreamResult::Completed`], or [`StreamResult::Dropped`] if no more are wanted.
    /// - If there is none yet, keep the waker and return `Pending`. Values may be taken before
    ///   that: the write does not end as long as `Pending` is returned, so the writer waits until
    ///   they are dealt with.
    /// - If `finish` is true, the writer cancels its write. Then return
    ///   [`StreamResult::Cancelled`] rather than `Pending`, so that the guest need not wait. The
    ///   guest learns how many values were taken.
    ///
    /// A guest may ask whether values are wanted, with none in `source`. Then return when there is
    /// room.
    ///
    /// # Errors
    ///
    /// An error ends the guest that writes, as a trap does. Errors that the guest should see are to
    /// be passed in another way, such as by a future.
    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;

    /// Notes that the writer has dropped its end, so that what was written is all. The consumer is
    /// dropped after that.
    ///
    /// A consumer that is dropped without this call has not got all: the instance that writes was
    /// stopped, the store is dropped, or the consumer wanted no more.
    fn end(self: Pin<&mut Self>) {}
}

/// The host's side of a future that the host reads; see
/// [`FutureReader::pipe`](crate::FutureReader::pipe).
pub trait FutureConsumer<D: 'static>: Send + 'static {
    /// The type of the value.
    type Item;

    /// Takes the value. This is called when the writer writes, and then whenever the waker of `cx`
    /// is woken, until it is `Ready`.
    ///
    /// If `finish` is true, the writer cancels its write. Then return, without the value if it is
    /// not taken yet.
    ///
    /// # Errors
    ///
    /// An error ends the guest that writes, as a trap does.
    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<Result<()>>;
}

/// A [`FutureConsumer`] as the consumer of a stream of one value.
pub(super) struct OfFuture<C>(pub Pin<Box<C>>);

impl<D: 'static, C: FutureConsumer<D>> StreamConsumer<D> for OfFuture<C> {
    type Item = C::Item;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, C::Item>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let (context, consumer) = (store.as_context_mut(), self.0.as_mut());
        ready!(consumer.poll_consume(cx, context, source.reborrow(), finish))?;
        Poll::Ready(Ok(match source.remaining(store) {
            0 => StreamResult::Completed,
            _ => StreamResult::Cancelled,
        }))
    }
}

/// A consumer in a store whose data is a `D`, with the values that the host has written and that it
/// has not taken yet.
pub(super) trait Consume<D: 'static>: Send {
    /// Polls the consumer. `is_of_host` says whether the host writes.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        id: StreamId,
        is_of_host: bool,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;

    /// Adds values of the host: a `Box<dyn WriteBuffer<Item>>`. Ignores those of another type,
    /// which are no values then.
    fn add(&mut self, values: Box<dyn Any + Send>);

    /// Returns the number of values that the host has written and that were not taken.
    fn written(&mut self) -> usize;

    /// Notes that the writer has dropped its end.
    fn end(&mut self);

    /// Returns whether there are values of the host, or the consumer has not finished with those
    /// that it has taken.
    fn is_busy(&mut self) -> bool;

    /// Returns whether values of the host were taken since the last call.
    fn has_taken(&mut self) -> bool;
}

/// The only implementation of [`Consume`].
struct Consuming<D: 'static, C: StreamConsumer<D>> {
    consumer: Pin<Box<C>>,
    /// Values that the host has written.
    input: VecDeque<Box<dyn WriteBuffer<C::Item>>>,
    /// Whether the last poll, for values of the host, has returned [`Poll::Pending`].
    is_pending: bool,
    has_taken: bool,
    of: PhantomData<fn(D)>,
}

/// Makes a consumer the side of a stream.
pub(super) fn side<D, C>(consumer: C) -> HostSide
where
    D: 'static,
    C: StreamConsumer<D>,
    C::Item: 'static,
{
    let side: Box<dyn Consume<D>> = Box::new(Consuming {
        consumer: Box::pin(consumer),
        input: VecDeque::new(),
        is_pending: false,
        has_taken: false,
        of: PhantomData,
    });
    Box::new(side)
}

impl<D: 'static, C: StreamConsumer<D>> Consume<D> for Consuming<D, C>
where
    C::Item: 'static,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        id: StreamId,
        is_of_host: bool,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let before = self.written();
        let input: Option<&mut dyn WriteBuffer<C::Item>> = match self.input.front_mut() {
            Some(input) if is_of_host => Some(&mut **input),
            _ => None,
        };
        let source = Source::new(id, input);
        let consumer = self.consumer.as_mut();
        let polled = consumer.poll_consume(cx, store, source, finish);
        self.is_pending = is_of_host && polled.is_pending();
        self.has_taken |= before != self.written();
        polled
    }

    fn add(&mut self, values: Box<dyn Any + Send>) {
        if let Ok(values) = values.downcast::<Box<dyn WriteBuffer<C::Item>>>() {
            self.input.push_back(*values);
        }
    }

    fn written(&mut self) -> usize {
        // So that a poll finds the first value.
        self.input.retain(|values| !values.remaining().is_empty());
        self.input
            .iter()
            .map(|values| values.remaining().len())
            .sum()
    }

    fn end(&mut self) {
        self.consumer.as_mut().end();
    }

    fn is_busy(&mut self) -> bool {
        self.is_pending || self.written() > 0
    }

    fn has_taken(&mut self) -> bool {
        std::mem::take(&mut self.has_taken)
    }
}

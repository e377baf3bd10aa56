//! [`StreamProducer`] and [`FutureProducer`]: the host at the side that writes.

use super::buffer::{DirectBuffer, VecBuffer, WriteBuffer};
use super::{Destination, StreamResult};
use crate::StoreContextMut;
use crate::abi::{ComponentType, InterfaceType, Lower, LowerContext};
use crate::error::{Error, Result};
use crate::store::{HostSide, StreamId};
use std::any::{Any, TypeId};
use std::iter;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The host's side of a stream that the host writes to; see
/// [`StreamReader::new`](crate::StreamReader::new).
///
/// `Vec<T>`, `Box<[T]>`, [`iter::Empty`] and, with the feature `bytes`, `Bytes` and `BytesMut` are
/// producers of what they contain.
pub trait StreamProducer<D: 'static>: Send + 'static {
    /// The type of the values.
    type Item;

    /// The buffer in which values are delivered.
    type Buffer: WriteBuffer<Self::Item> + Default;

    /// Delivers values to a read. This is called when the reader begins a read, and then whenever
    /// the waker of `cx` is woken, until the read has ended.
    ///
    /// - If there are values, put some into `destination` and return
    ///   [`StreamResult::Completed`], or [`StreamResult::Dropped`] if they are the last ones.
    /// - If there are none yet, keep the waker and return `Pending`.
    /// - If `finish` is true, the reader cancels its read. Then return
    ///   [`StreamResult::Cancelled`] rather than `Pending`, so that the guest need not wait. What
    ///   is delivered nevertheless is not lost.
    ///
    /// A guest may ask whether there is something to read, with room for nothing; see
    /// [`Destination::remaining`].
    ///
    /// # Errors
    ///
    /// An error ends the guest that reads, as a trap does. Errors that the guest should see are to
    /// be passed in another way, such as by a future.
    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;

    /// Converts the producer to a value of type `ty`, for
    /// [`StreamReader::try_into`](crate::StreamReader::try_into). By default it is none.
    ///
    /// # Errors
    ///
    /// Gives back the producer if it is not such a value.
    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        let _ = ty;
        Err(me)
    }
}

impl<T, D> StreamProducer<D> for iter::Empty<T>
where
    T: Send + Sync + 'static,
    D: 'static,
{
    type Item = T;
    type Buffer = Option<T>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        _: Destination<'a, T, Option<T>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// Implements producers that deliver all that they have at once.
macro_rules! all_at_once {
    ($([$($param:ident)?] $ty:ty, $item:ty, $buffer:ty;)*) => {$(
        impl<$($param,)? D> StreamProducer<D> for $ty
        where
            $($param: Unpin + Send + Sync + 'static,)?
            D: 'static,
        {
            type Item = $item;
            type Buffer = $buffer;

            fn poll_produce<'a>(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                _: StoreContextMut<'a, D>,
                mut destination: Destination<'a, $item, $buffer>,
                _: bool,
            ) -> Poll<Result<StreamResult>> {
                let all: Self = mem::take(self.get_mut());
                destination.set_buffer(all.into());
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    )*};
}

all_at_once! {
    [T] Vec<T>, T, VecBuffer<T>;
    [T] Box<[T]>, T, VecBuffer<T>;
}

#[cfg(feature = "bytes")]
all_at_once! {
    [] bytes::Bytes, u8, bytes::Bytes;
    [] bytes::BytesMut, u8, bytes::BytesMut;
}

/// The host's side of a future that the host writes; see
/// [`FutureReader::new`](crate::FutureReader::new). A Rust future of a `Result` is one.
pub trait FutureProducer<D: 'static>: Send + 'static {
    /// The type of the value.
    type Item;

    /// Returns the value. This is called when the reader reads, and then whenever the waker of `cx`
    /// is woken, until there is a value.
    ///
    /// If `finish` is true, the reader cancels its read. Then return `None` rather than `Pending`.
    /// The reader may read again.
    ///
    /// # Errors
    ///
    /// An error ends the guest that reads, as a trap does.
    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<Self::Item>>>;
}

impl<T, E, D, F> FutureProducer<D> for F
where
    E: Into<Error>,
    D: 'static,
    F: Future<Output = Result<T, E>> + ?Sized + Send + 'static,
{
    type Item = T;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<T>>> {
        match self.poll(cx) {
            Poll::Ready(value) => Poll::Ready(value.map(Some).map_err(Into::into)),
            Poll::Pending if finish => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A [`FutureProducer`] as the producer of a stream of one value.
pub(super) struct OfFuture<P>(pub Pin<Box<P>>);

impl<D, T, P> StreamProducer<D> for OfFuture<P>
where
    D: 'static,
    T: Send + Sync + 'static,
    P: FutureProducer<D, Item = T>,
{
    type Item = T;
    type Buffer = Option<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, T, Option<T>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let value = ready!(self.0.as_mut().poll_produce(cx, store, finish))?;
        let result = match &value {
            Some(_) => StreamResult::Completed,
            None => StreamResult::Cancelled,
        };
        destination.set_buffer(value);
        Poll::Ready(Ok(result))
    }
}

/// A producer in a store whose data is a `D`, with the values that are not delivered yet.
pub(super) trait Produce<D: 'static>: Send {
    /// Polls the producer.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        id: StreamId,
        direct: Option<&mut DirectBuffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;

    /// Returns the number of values that are not delivered yet.
    fn buffered(&self) -> usize;

    /// Returns whether there is nothing after these.
    fn is_finished(&self) -> bool;

    /// Notes that there is nothing after the values that are not delivered yet.
    fn finish(&mut self);

    /// Lowers the first `count` values that are not delivered yet.
    ///
    /// # Errors
    ///
    /// As [`Lower::lower_memory`].
    fn deliver(
        &mut self,
        cx: &mut LowerContext<'_>,
        ty: Option<InterfaceType>,
        pointer: u64,
        count: usize,
    ) -> Result<()>;

    /// Takes the values that are not delivered yet: those that were written directly, and the
    /// others, each a `Box<dyn WriteBuffer<Item>>`.
    fn take_values(&mut self, direct: DirectBuffer) -> [Box<dyn Any + Send>; 2];

    /// Returns the type of the values.
    fn item(&self) -> TypeId;

    /// See [`StreamProducer::try_into`].
    ///
    /// # Errors
    ///
    /// As there.
    fn convert(self: Box<Self>, ty: TypeId) -> Result<Box<dyn Any>, Box<dyn Produce<D>>>;
}

/// The only implementation of [`Produce`].
struct Producing<D, P: StreamProducer<D>>
where
    D: 'static,
{
    producer: Pin<Box<P>>,
    buffer: P::Buffer,
    is_finished: bool,
    of: PhantomData<fn(D)>,
}

/// Makes a producer the side of a stream.
pub(super) fn side<D, P>(producer: P) -> HostSide
where
    D: 'static,
    P: StreamProducer<D>,
    P::Item: Lower + Send + Sync + 'static,
{
    let side: Box<dyn Produce<D>> = Box::new(Producing {
        producer: Box::pin(producer),
        buffer: P::Buffer::default(),
        is_finished: false,
        of: PhantomData,
    });
    Box::new(side)
}

impl<D, P> Produce<D> for Producing<D, P>
where
    D: 'static,
    P: StreamProducer<D>,
    P::Item: Lower + Send + Sync + 'static,
{
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        id: StreamId,
        direct: Option<&mut DirectBuffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let destination = Destination::new(id, &mut self.buffer, direct);
        let producer = self.producer.as_mut();
        producer.poll_produce(cx, store, destination, finish)
    }

    fn buffered(&self) -> usize {
        self.buffer.remaining().len()
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn finish(&mut self) {
        self.is_finished = true;
    }

    fn deliver(
        &mut self,
        cx: &mut LowerContext<'_>,
        ty: Option<InterfaceType>,
        pointer: u64,
        count: usize,
    ) -> Result<()> {
        if let Some(ty) = ty {
            let offset = cx.buffer(pointer, count * P::Item::SIZE)?;
            P::Item::lower_slice(&self.buffer.remaining()[..count], cx, ty, offset)?;
        }
        self.buffer.skip(count);
        Ok(())
    }

    fn take_values(&mut self, direct: DirectBuffer) -> [Box<dyn Any + Send>; 2] {
        let direct: Box<dyn WriteBuffer<u8>> = Box::new(direct.into_buffer());
        let buffer: Box<dyn WriteBuffer<P::Item>> = Box::new(mem::take(&mut self.buffer));
        [Box::new(direct), Box::new(buffer)]
    }

    fn item(&self) -> TypeId {
        TypeId::of::<P::Item>()
    }

    fn convert(self: Box<Self>, ty: TypeId) -> Result<Box<dyn Any>, Box<dyn Produce<D>>> {
        let Self {
            producer,
            buffer,
            is_finished,
            of,
        } = *self;
        <P as StreamProducer<D>>::try_into(producer, ty).map_err(
            |producer| -> Box<dyn Produce<D>> {
                Box::new(Self {
                    producer,
                    buffer,
                    is_finished,
                    of,
                })
            },
        )
    }
}

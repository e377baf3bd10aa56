//! Lets streams and futures go on: where both sides are ready, values pass.
//!
//! A guest that begins or cancels a copy, or drops its end, calls [`drive`] from its built-in. So a
//! producer or consumer that is ready costs the guest no more than a call of a host function. One
//! that is not has a place among the host's futures, whose waker it gets, and the event loop drives
//! the stream when that was woken.

use super::buffer::DirectBuffer;
use super::consumer::Consume;
use super::guest::{self, peer};
use super::producer::Produce;
use super::{StreamResult, relay};
use crate::StoreContextMut;
use crate::error::{Error, Result, bail, ensure, format_err};
use crate::store::{
    GuestEnd, HostSide, HostTaskId, Side, StoreInner, StoreOpaque, StreamId, with_polled,
};
use crate::types::{StoreId, StoreInstanceId};
use mintage_runtime::PeerCopy;
use std::any::Any;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The most times that a producer and a consumer of the host are polled before others have a turn.
const TURNS: usize = 64;

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// A guest, or the host that holds an end.
    Idle,
    /// The host's producer or consumer, which keeps the waker.
    Host,
    /// Nothing: one side is gone.
    Ended,
}

/// An error of an instance.
type Failed = (StoreInstanceId, Error);

/// A stream, while it is driven, and how the host's side of it is woken.
struct Driven<'s, T: 'static> {
    store: &'s mut StoreInner<T>,
    id: StreamId,
    waker: Waker,
}

/// Why a stream could not go on. It has ended.
enum Stopped {
    Failed(Failed),
    /// The host's side has panicked; the guest at the other side.
    Panicked(Option<StoreInstanceId>, Box<dyn Any + Send>),
}

/// Lets a stream or future go on, if both sides are ready.
///
/// # Errors
///
/// An error of the host's side or of the values is one of the guest at the other side, which ends.
///
/// # Panics
///
/// When the host's side panics. The stream ends.
pub(crate) fn drive<T: 'static>(store: &mut StoreInner<T>, number: u64) -> Result<(), Failed> {
    match try_drive(store, number) {
        Ok(()) => Ok(()),
        Err(Stopped::Failed(failed)) => Err(failed),
        Err(Stopped::Panicked(_, payload)) => resume_unwind(payload),
    }
}

fn try_drive<T: 'static>(store: &mut StoreInner<T>, number: u64) -> Result<(), Stopped> {
    // A guest can find out that a reader was dropped when it uses the other end.
    store.close_dropped();
    let store_id = store.opaque.id;
    let streams = &mut store.opaque.handles.streams;
    let Some(id) = streams.name(store_id, number) else {
        return Ok(());
    };
    let Some(stream) = streams.get(number) else {
        return Ok(());
    };
    if stream.is_driven {
        stream.has_news = true;
        return Ok(());
    }
    let (writer, reader) = (stream.writer, stream.reader);
    if reader == Side::Held {
        if let Side::Guest(guest) = writer {
            end_cancelled(&mut store.opaque, guest);
        }
        return Ok(());
    }
    stream.is_driven = true;
    let place = match [writer, reader].contains(&Side::Host) {
        true => Some(place(store, number)),
        false => None,
    };
    let waker = place.map(|place| store.opaque.tasks.get().waker(place));
    let waker = waker.unwrap_or_else(|| Waker::noop().clone());
    let mut driven = Driven { store, id, waker };
    let flow = catch_unwind(AssertUnwindSafe(|| -> Result<Flow, Failed> {
        loop {
            let flow = driven.step()?;
            let stream = driven.store.opaque.handles.streams.get(number);
            // Whether a guest has done something while the host's side was polled.
            let has_news = stream.is_some_and(|stream| mem::take(&mut stream.has_news));
            if !has_news || flow == Flow::Ended {
                return Ok(flow);
            }
        }
    }));
    if let Some(stream) = store.opaque.handles.streams.get(number) {
        stream.is_driven = false;
    }
    match flow {
        Ok(Ok(Flow::Ended)) => store.end_stream(number),
        Ok(Ok(flow)) => {
            if let Some(place) = place {
                let tasks = store.opaque.tasks.get();
                tasks.set_counts(place, flow == Flow::Host);
            }
        }
        Ok(Err(failed)) => {
            store.end_stream(number);
            return Err(Stopped::Failed(failed));
        }
        Err(payload) => {
            store.end_stream(number);
            let guest = [writer, reader].into_iter().find_map(|side| match side {
                Side::Guest(guest) => Some(guest.instance),
                _ => None,
            });
            return Err(Stopped::Panicked(guest, payload));
        }
    }
    Ok(())
}

/// Ends the copy of a guest that has cancelled it, and that nothing takes part in.
fn end_cancelled(opaque: &mut StoreOpaque, guest: GuestEnd) {
    let copy = peer(opaque, guest).copy;
    if copy.is_some_and(|copy| copy.is_cancelled) {
        guest::complete(opaque, guest);
    }
}

/// Has a stream be driven by the event loop, soon.
pub(super) fn wake<T: 'static>(store: &mut StoreInner<T>, number: u64) {
    if store.opaque.handles.streams.get(number).is_some() {
        let place = place(store, number);
        store.opaque.tasks.get().waker(place).wake();
    }
}

/// Returns the place of a stream among the host's futures.
fn place<T: 'static>(store: &mut StoreInner<T>, number: u64) -> HostTaskId {
    let streams = &mut store.opaque.handles.streams;
    let retired = mem::take(&mut streams.retired);
    let tasks = store.opaque.tasks.get();
    let ended: Vec<_> = retired.into_iter().map(|place| tasks.end(place)).collect();
    if !ended.is_empty() {
        store.expose(|| drop(ended));
    }
    let streams = &mut store.opaque.handles.streams;
    let stream = streams.get(number).expect("the stream exists");
    if let Some(place) = stream.place {
        return place;
    }
    let tasks = store.opaque.tasks.get();
    // The stream ends with an instance, and its place with it.
    let place = tasks.reserve(None);
    tasks.set_counts(place, false);
    stream.place = Some(place);
    let work = Drives::<T> {
        store: store.opaque.id,
        number,
        data: PhantomData,
    };
    tasks.put(place, Box::pin(work));
    place
}

/// Drives a stream whenever it is polled.
struct Drives<T: 'static> {
    store: StoreId,
    number: u64,
    data: PhantomData<fn(T)>,
}

impl<T: 'static> Future for Drives<T> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Where the store is not polled, it is being dropped.
        let _ = with_polled::<T, _>(self.store, |store| match try_drive(store, self.number) {
            Ok(()) => {}
            Err(Stopped::Failed(failed)) => store.fail_later(failed),
            Err(Stopped::Panicked(guest, payload)) => {
                let error = || format_err!("a stream's producer or consumer panicked");
                if let Some(guest) = guest {
                    store.fail_later((guest, error()));
                }
                resume_unwind(payload);
            }
        });
        Poll::Pending
    }
}

impl<T: 'static> Driven<'_, T> {
    /// Lets the stream go on by what is ready now.
    fn step(&mut self) -> Result<Flow, Failed> {
        let Some(stream) = self.store.opaque.handles.streams.get(self.id.number) else {
            return Ok(Flow::Ended);
        };
        match (stream.writer, stream.reader) {
            (_, Side::Held) => Ok(Flow::Idle),
            (Side::Gone, _) | (_, Side::Gone) | (Side::Held, _) => Ok(Flow::Ended),
            (Side::Host, Side::Guest(guest)) => self.produce(guest).map_err(of(guest)),
            (Side::Guest(guest), Side::Host) => self.consume(guest).map_err(of(guest)),
            (Side::Guest(from), Side::Guest(to)) => relay::relay(self.store, self.id, from, to),
            (Side::Host, Side::Host) => {
                // No guest gets the error.
                self.pass().or_else(|error| {
                    self.store.fail_unheard(error);
                    Ok(Flow::Ended)
                })
            }
        }
    }

    fn is_future(&mut self) -> bool {
        let stream = self.store.opaque.handles.streams.get(self.id.number);
        stream.is_some_and(|stream| stream.is_future)
    }

    fn take_producer(&mut self) -> Option<HostSide> {
        let stream = self.store.opaque.handles.streams.get(self.id.number)?;
        stream.take_producer()
    }

    fn take_consumer(&mut self) -> Option<HostSide> {
        let stream = self.store.opaque.handles.streams.get(self.id.number)?;
        stream.take_consumer()
    }

    /// Puts the producer back, unless the stream has ended.
    fn put_producer(&mut self, producer: HostSide) {
        match self.store.opaque.handles.streams.get(self.id.number) {
            Some(stream) => stream.set_producer(producer),
            None => self.store.expose(|| drop(producer)),
        }
    }

    /// Puts the consumer back, unless the stream has ended.
    fn put_consumer(&mut self, consumer: HostSide) {
        match self.store.opaque.handles.streams.get(self.id.number) {
            Some(stream) => stream.set_consumer(consumer),
            None => self.store.expose(|| drop(consumer)),
        }
    }

    /// Lets the host write to a guest.
    fn produce(&mut self, guest: GuestEnd) -> Result<Flow> {
        let found = peer(&mut self.store.opaque, guest);
        let Some(copy) = found.copy else {
            return Ok(match found.is_gone {
                true => Flow::Ended,
                false => Flow::Idle,
            });
        };
        let Some(mut producer) = self.take_producer() else {
            // It has panicked.
            return Ok(Flow::Ended);
        };
        let flow = self.produce_with(typed::<dyn Produce<T>>(&mut producer), guest, copy);
        self.put_producer(producer);
        flow
    }

    fn produce_with(
        &mut self,
        producer: &mut dyn Produce<T>,
        guest: GuestEnd,
        copy: PeerCopy,
    ) -> Result<Flow> {
        if producer.buffered() > 0 {
            self.deliver(producer, guest)?;
            return Ok(self.delivered(producer, guest));
        }
        if producer.is_finished() {
            return Ok(Flow::Ended);
        }
        let finish = copy.is_cancelled;
        let cx = &mut Context::from_waker(&self.waker);
        let store = StoreContextMut(&mut *self.store);
        let polled = producer.poll(cx, store, self.id, None, finish);
        let written = match guest::reading(&mut self.store.opaque, self.id) {
            Some((_, now)) => now.progress.saturating_sub(copy.progress) as usize,
            None => 0,
        };
        let delivers = written + producer.buffered() > 0;
        let result = match polled {
            Poll::Pending if delivers => {
                bail!("a stream's producer has delivered values and returned `Poll::Pending`")
            }
            Poll::Pending => return Ok(Flow::Host),
            Poll::Ready(result) => result?,
        };
        match result {
            StreamResult::Completed => ensure!(
                delivers || copy.remaining == 0 || finish,
                "a stream's producer has returned `StreamResult::Completed` without values"
            ),
            StreamResult::Cancelled => ensure!(
                finish && !delivers,
                "a stream's producer has returned `StreamResult::Cancelled`, though {}",
                match finish {
                    true => "it has delivered values",
                    false => "it was not asked to finish",
                }
            ),
            StreamResult::Dropped => producer.finish(),
        }
        self.deliver(producer, guest)?;
        Ok(self.delivered(producer, guest))
    }

    /// Delivers as many of the producer's values as the guest has room for.
    fn deliver(&mut self, producer: &mut dyn Produce<T>, guest: GuestEnd) -> Result<()> {
        let Some(copy) = peer(&mut self.store.opaque, guest).copy else {
            return Ok(());
        };
        let count = producer.buffered().min(copy.remaining as usize);
        if count > 0 {
            guest::lower(self.store, guest, &copy, |cx, ty| {
                producer.deliver(cx, ty, copy.pointer, count)
            })?;
            guest::advance(&mut self.store.opaque, guest, count);
        }
        Ok(())
    }

    /// Ends the guest's read, and the stream after the last value.
    fn delivered(&mut self, producer: &mut dyn Produce<T>, guest: GuestEnd) -> Flow {
        let opaque = &mut self.store.opaque;
        let progress = peer(opaque, guest).copy.map_or(0, |copy| copy.progress);
        let is_last = match self.is_future() {
            true => progress > 0,
            false => producer.is_finished() && producer.buffered() == 0,
        };
        match is_last {
            // The guest's copy ends with it.
            true => Flow::Ended,
            false => {
                guest::complete(&mut self.store.opaque, guest);
                Flow::Idle
            }
        }
    }

    /// Lets the host read from a guest.
    fn consume(&mut self, guest: GuestEnd) -> Result<Flow> {
        let found = peer(&mut self.store.opaque, guest);
        let Some(copy) = found.copy else {
            if found.is_gone {
                self.end_consumer(guest);
                return Ok(Flow::Ended);
            }
            return Ok(Flow::Idle);
        };
        let Some(mut consumer) = self.take_consumer() else {
            // It has panicked.
            return Ok(Flow::Ended);
        };
        let cx = &mut Context::from_waker(&self.waker);
        let store = StoreContextMut(&mut *self.store);
        let polled = typed::<dyn Consume<T>>(&mut consumer).poll(
            cx,
            store,
            self.id,
            false,
            copy.is_cancelled,
        );
        self.put_consumer(consumer);
        let taken = match guest::writing(&mut self.store.opaque, self.id) {
            Some((_, now)) => now.progress,
            None => 0,
        };
        let result = match polled {
            Poll::Pending => return Ok(Flow::Host),
            Poll::Ready(result) => result?,
        };
        match result {
            StreamResult::Completed => ensure!(
                taken > 0 || copy.remaining == 0 || copy.is_cancelled,
                "a stream's consumer has returned `StreamResult::Completed` without taking values"
            ),
            StreamResult::Cancelled => ensure!(
                copy.is_cancelled,
                "a stream's consumer has returned `StreamResult::Cancelled`, though it was not \
                 asked to finish"
            ),
            StreamResult::Dropped => return Ok(Flow::Ended),
        }
        if self.is_future() && taken > 0 {
            return Ok(Flow::Ended);
        }
        guest::complete(&mut self.store.opaque, guest);
        Ok(Flow::Idle)
    }

    /// Tells the consumer that the guest has dropped its end, unless its instance was stopped.
    fn end_consumer(&mut self, guest: GuestEnd) {
        let instance = self.store.opaque.instances.get(guest.instance);
        if instance.is_none_or(|instance| instance.entries.are_broken()) {
            return;
        }
        if let Some(mut consumer) = self.take_consumer() {
            self.store
                .expose(|| typed::<dyn Consume<T>>(&mut consumer).end());
            self.put_consumer(consumer);
        }
    }

    /// Lets the host write to itself.
    fn pass(&mut self) -> Result<Flow> {
        let (producer, consumer) = (self.take_producer(), self.take_consumer());
        let (Some(mut producer), Some(mut consumer)) = (producer, consumer) else {
            // One of them has panicked.
            return Ok(Flow::Ended);
        };
        let is_future = self.is_future();
        let flow = self.pass_with(
            typed::<dyn Produce<T>>(&mut producer),
            typed::<dyn Consume<T>>(&mut consumer),
            is_future,
        );
        self.put_producer(producer);
        self.put_consumer(consumer);
        flow
    }

    fn pass_with(
        &mut self,
        producer: &mut dyn Produce<T>,
        consumer: &mut dyn Consume<T>,
        is_future: bool,
    ) -> Result<Flow> {
        // What a guest has not read before it passed the end to the host.
        hand_over(producer, consumer, DirectBuffer::default());
        for _ in 0..TURNS {
            let cx = &mut Context::from_waker(&self.waker);
            let store = StoreContextMut(&mut *self.store);
            if consumer.is_busy() {
                let polled = consumer.poll(cx, store, self.id, true, false);
                match polled {
                    Poll::Pending => return Ok(Flow::Host),
                    Poll::Ready(Ok(StreamResult::Dropped)) => return Ok(Flow::Ended),
                    Poll::Ready(Ok(StreamResult::Completed)) if consumer.has_taken() => {}
                    Poll::Ready(Ok(_)) => {
                        bail!("a stream's consumer is ready and has not taken values")
                    }
                    Poll::Ready(Err(error)) => return Err(error),
                }
                if is_future {
                    return Ok(Flow::Ended);
                }
                continue;
            }
            if producer.is_finished() {
                self.store.expose(|| consumer.end());
                return Ok(Flow::Ended);
            }
            let mut direct = DirectBuffer::default();
            let polled = producer.poll(cx, store, self.id, Some(&mut direct), false);
            hand_over(producer, consumer, direct);
            let delivers = consumer.written() > 0;
            match polled {
                Poll::Pending if delivers => {
                    bail!("a stream's producer has delivered values and returned `Poll::Pending`")
                }
                Poll::Pending => return Ok(Flow::Host),
                Poll::Ready(Ok(StreamResult::Dropped)) => producer.finish(),
                Poll::Ready(Ok(StreamResult::Completed)) if delivers => {}
                Poll::Ready(Ok(_)) => {
                    bail!("a stream's producer is ready and has not delivered values")
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        self.waker.wake_by_ref();
        Ok(Flow::Host)
    }
}

/// Passes the values of a producer that are not delivered yet to a consumer.
fn hand_over<T: 'static>(
    producer: &mut dyn Produce<T>,
    consumer: &mut dyn Consume<T>,
    direct: DirectBuffer,
) {
    let values = producer.take_values(direct);
    values.into_iter().for_each(|values| consumer.add(values));
}

/// Returns a side of the host with the type that it has in this store.
///
/// # Panics
///
/// When it was made for a store of other data.
pub(super) fn typed<S: ?Sized + 'static>(side: &mut HostSide) -> &mut S {
    let side = side.downcast_mut::<Box<S>>();
    side.expect("the sides of a stream are of the data of its store")
}

/// Makes an error that of a guest's instance.
fn of(guest: GuestEnd) -> impl FnOnce(Error) -> Failed {
    move |error| (guest.instance, error)
}

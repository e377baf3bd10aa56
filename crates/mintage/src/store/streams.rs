//! [`Streams`]: the streams and futures that the host has an end of.
//!
//! Each has a side that writes and one that reads. A side is the host's (a producer or a consumer),
//! or a guest's, whose other end the host then has in that guest's instance
//! ([`HostEnd`]). The folder `stream` passes values where both sides are ready. This file names
//! streams, and ends their sides.

use super::tasks::HostTaskId;
use super::{Exclusive, StoreInner};
use crate::error::{Result, bail, format_err, wrong_store};
use crate::types::{StoreId, StoreInstanceId};
use atomic_waker::AtomicWaker;
use mintage_environ::limit;
use mintage_runtime::HostEnd;
use smallvec::SmallVec;
use std::any::Any;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The most streams and futures of a store that the host has an end of.
const MAX_STREAMS: usize = 100_000;

/// The name of a stream or future in a store. It never names a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamId {
    pub store: StoreId,
    /// The place and its generation.
    pub number: u64,
    /// How often a guest had passed it to the host before. A reader that the host has passed on
    /// does not mean the one that it gets back.
    hold: u32,
}

/// A readable end that the host holds. When it is dropped, the stream or future is closed, unless
/// it was piped or passed on.
pub(crate) struct HeldEnd {
    pub id: StreamId,
    /// Set when the host does not hold the end any more, so that dropping this means nothing.
    is_over: AtomicBool,
    dropped: Arc<DroppedEnds>,
}

impl HeldEnd {
    /// Notes that the host does not hold the end any more.
    pub fn set_over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for HeldEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.id.number as u32;
        write!(f, "{place}")
    }
}

impl Drop for HeldEnd {
    fn drop(&mut self) {
        if *self.is_over.get_mut() {
            return;
        }
        let dropped = &self.dropped;
        dropped.lock().push(self.id);
        dropped.is_some.store(true, Ordering::SeqCst);
        dropped.task.wake();
    }
}

/// The readable ends that the host has dropped, where it need not have the store.
#[derive(Default)]
struct DroppedEnds {
    ends: Mutex<Vec<StreamId>>,
    is_some: AtomicBool,
    /// Whoever polls the store.
    task: AtomicWaker,
}

impl DroppedEnds {
    fn lock(&self) -> MutexGuard<'_, Vec<StreamId>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's side of a stream or future: a boxed trait object of the folder `stream`.
pub(crate) type HostSide = Box<dyn Any + Send>;

/// A guest that writes or reads, and the other end, which the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuestEnd {
    pub instance: StoreInstanceId,
    pub end: HostEnd,
}

/// One side of a stream or future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The host's producer or consumer.
    Host,
    Guest(GuestEnd),
    /// For the reader: the host holds the readable end, and nothing reads.
    Held,
    /// For the writer: it is gone.
    Gone,
}

/// A stream or future.
pub(crate) struct Stream {
    pub is_future: bool,
    pub writer: Side,
    pub reader: Side,
    /// None while it is polled.
    producer: Option<Exclusive<HostSide>>,
    consumer: Option<Exclusive<HostSide>>,
    /// The place of what drives it among the host's futures, once there is one.
    pub place: Option<HostTaskId>,
    /// How often a guest has passed it to the host, if the host has made it.
    hold: u32,
    /// Whether it is being driven, further out on this thread.
    pub is_driven: bool,
    /// Whether something has happened since that began.
    pub has_news: bool,
}

impl Stream {
    /// Makes a stream or future whose readable end the host holds.
    pub fn new(is_future: bool, writer: Side) -> Self {
        Stream {
            is_future,
            writer,
            reader: Side::Held,
            producer: None,
            consumer: None,
            place: None,
            hold: 0,
            is_driven: false,
            has_news: false,
        }
    }

    pub fn set_producer(&mut self, producer: HostSide) {
        self.producer = Some(Exclusive::new(producer));
    }

    pub fn set_consumer(&mut self, consumer: HostSide) {
        self.consumer = Some(Exclusive::new(consumer));
    }

    pub fn take_producer(&mut self) -> Option<HostSide> {
        self.producer.take().map(Exclusive::into_inner)
    }

    pub fn take_consumer(&mut self) -> Option<HostSide> {
        self.consumer.take().map(Exclusive::into_inner)
    }
}

/// The streams and futures that the host has an end of.
#[derive(Default)]
pub(crate) struct Streams {
    slots: Vec<Slot>,
    free: SmallVec<[u32; 4]>,
    dropped: Option<Arc<DroppedEnds>>,
    /// The places of streams that were removed where the host's futures could not be reached.
    pub retired: Vec<HostTaskId>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("len", &self.len()).finish()
    }
}

struct Slot {
    generation: u32,
    stream: Option<Stream>,
}

impl Streams {
    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a stream or future. Returns its number.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add(&mut self, stream: Stream) -> Result<u64> {
        if self.len() >= MAX_STREAMS {
            bail!(limit!(
                Tasks,
                "the host holds ends of {MAX_STREAMS} streams and futures in one store, the most \
                 that it may hold; close readers that are not used any more"
            ));
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                stream: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.stream = Some(stream);
        Ok(u64::from(index) | u64::from(slot.generation) << 32)
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(number as u32 as usize)?;
        (slot.generation == (number >> 32) as u32).then_some(slot)
    }

    /// Returns a stream or future.
    pub fn get(&mut self, number: u64) -> Option<&mut Stream> {
        self.slot(number)?.stream.as_mut()
    }

    /// Removes a stream or future.
    pub fn remove(&mut self, number: u64) -> Option<Stream> {
        let slot = self.slot(number)?;
        let stream = slot.stream.take()?;
        // A place that has had every generation is not used again.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(number as u32);
        }
        Some(stream)
    }

    /// Makes the host hold the readable end of a stream or future. Returns it, or `None` if there
    /// is no such stream or future.
    pub fn hold(&mut self, store: StoreId, number: u64) -> Option<Arc<HeldEnd>> {
        let stream = self.get(number)?;
        stream.reader = Side::Held;
        stream.hold = stream.hold.wrapping_add(1);
        let id = StreamId {
            store,
            number,
            hold: stream.hold,
        };
        let dropped = self.dropped.get_or_insert_default().clone();
        Some(Arc::new(HeldEnd {
            id,
            is_over: AtomicBool::new(false),
            dropped,
        }))
    }

    /// If there is no room for more, removes streams and futures whose readable ends the host has
    /// dropped, as far as that does not need the whole store. `drop_end` drops an end of the host
    /// in `instance`.
    pub fn make_room(&mut self, instance: StoreInstanceId, drop_end: impl Fn(HostEnd)) {
        if self.len() < MAX_STREAMS {
            return;
        }
        let Some(dropped) = self.dropped.clone() else {
            return;
        };
        dropped.lock().retain(|&id| {
            let Some(stream) = self.find_held(id) else {
                return false;
            };
            match stream.writer {
                Side::Guest(guest) if guest.instance == instance => drop_end(guest.end),
                Side::Gone => {}
                _ => return true,
            }
            if let Some(place) = self.remove(id.number).and_then(|stream| stream.place) {
                self.retired.push(place);
            }
            false
        });
    }

    /// Returns the stream or future whose readable end the host holds.
    ///
    /// # Errors
    ///
    /// If it is of another store, or the host does not hold its end any more.
    pub fn held(&mut self, store: StoreId, id: StreamId) -> Result<&mut Stream> {
        if id.store != store {
            return Err(wrong_store("stream or future"));
        }
        self.find_held(id).ok_or_else(|| {
            format_err!("the stream or future was closed, piped or passed to a guest before")
        })
    }

    /// Returns the stream or future whose readable end the host holds, if it still does.
    fn find_held(&mut self, id: StreamId) -> Option<&mut Stream> {
        let stream = self.get(id.number);
        stream.filter(|stream| stream.reader == Side::Held && stream.hold == id.hold)
    }

    /// Forgets the waker of whoever polls the store.
    pub fn forget_listener(&self) {
        if let Some(dropped) = &self.dropped {
            drop(dropped.task.take());
        }
    }

    /// Returns the name of a stream or future.
    pub fn name(&mut self, store: StoreId, number: u64) -> Option<StreamId> {
        let hold = self.get(number)?.hold;
        Some(StreamId {
            store,
            number,
            hold,
        })
    }

    /// Returns the numbers of those with a side of an instance, or of all.
    fn numbers(&self, of: Option<StoreInstanceId>) -> Vec<u64> {
        let is_of = |side: Side| match (side, of) {
            (Side::Guest(guest), Some(id)) => guest.instance == id,
            _ => of.is_none(),
        };
        let slots = self.slots.iter().enumerate();
        let found = slots.filter(|(_, slot)| {
            let stream = slot.stream.as_ref();
            stream.is_some_and(|stream| is_of(stream.writer) || is_of(stream.reader))
        });
        found
            .map(|(index, slot)| index as u64 | u64::from(slot.generation) << 32)
            .collect()
    }
}

impl<T: 'static> StoreInner<T> {
    /// Removes a stream or future: guests at its sides see that the other one is gone, and the
    /// host's sides are dropped.
    pub fn end_stream(&mut self, number: u64) {
        if let Some(stream) = self.opaque.handles.streams.remove(number) {
            for side in [stream.writer, stream.reader] {
                if let Side::Guest(guest) = side {
                    self.drop_end(guest);
                }
            }
            self.drop_stream(stream);
        }
    }

    /// Drops what the host has of a stream or future that was removed.
    pub fn drop_stream(&mut self, mut stream: Stream) {
        let work = stream.place.take().map(|place| {
            let tasks = self.opaque.tasks.get();
            tasks.end(place)
        });
        self.expose(|| drop((work, stream)));
    }

    /// Drops the host's end at the other side of a guest.
    pub fn drop_end(&mut self, guest: GuestEnd) {
        if let Some(instance) = self.opaque.instances.get_mut(guest.instance) {
            instance.runtime.get_mut().drop_host_end(guest.end);
        }
    }

    /// Makes `waker` the one that is woken when the host drops a readable end. Returns whether it
    /// has dropped one before.
    pub fn listen_for_dropped(&mut self, waker: &Waker) -> bool {
        let Some(dropped) = &self.opaque.handles.streams.dropped else {
            return false;
        };
        dropped.task.register(waker);
        dropped.is_some.load(Ordering::SeqCst)
    }

    /// Closes the readable ends that the host has dropped. Returns whether there were some.
    pub fn close_dropped(&mut self) -> bool {
        let streams = &mut self.opaque.handles.streams;
        let dropped = streams.dropped.as_ref();
        let Some(dropped) = dropped.filter(|dropped| dropped.is_some.load(Ordering::SeqCst)) else {
            return false;
        };
        dropped.is_some.store(false, Ordering::SeqCst);
        let ends = mem::take(&mut *dropped.lock());
        for id in ends {
            if self.opaque.handles.streams.find_held(id).is_some() {
                self.end_stream(id.number);
            }
        }
        true
    }

    /// Ends the sides of an instance that is stopped or dropped.
    pub(super) fn end_streams_of(&mut self, id: StoreInstanceId) {
        for number in self.opaque.handles.streams.numbers(Some(id)) {
            let Some(stream) = self.opaque.handles.streams.get(number) else {
                continue;
            };
            let is_of = |side: Side| matches!(side, Side::Guest(guest) if guest.instance == id);
            if stream.reader == Side::Held {
                stream.writer = Side::Gone;
                continue;
            }
            // The instance's own ends do not exist any more.
            if is_of(stream.writer) {
                stream.writer = Side::Gone;
            }
            if is_of(stream.reader) {
                stream.reader = Side::Gone;
            }
            self.end_stream(number);
        }
    }

    /// Ends all streams and futures, before the store is dropped.
    pub(super) fn end_all_streams(&mut self) {
        for number in self.opaque.handles.streams.numbers(None) {
            if let Some(stream) = self.opaque.handles.streams.remove(number) {
                self.drop_stream(stream);
            }
        }
        let retired = mem::take(&mut self.opaque.handles.streams.retired);
        for place in retired {
            let work = self.opaque.tasks.get().end(place);
            self.expose(|| drop(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_stream() {
        let mut streams = Streams::default();
        let store = StoreId::new();
        let first = streams.add(Stream::new(false, Side::Gone)).unwrap();
        let held = streams.hold(store, first).unwrap();
        assert!(streams.held(store, held.id).is_ok());
        assert!(streams.held(StoreId::new(), held.id).is_err());
        streams.get(first).unwrap().reader = Side::Host;
        assert!(streams.held(store, held.id).is_err());
        // It comes back.
        let again = streams.hold(store, first).unwrap();
        assert!(streams.held(store, again.id).is_ok());
        assert!(streams.held(store, held.id).is_err());
        drop((held, again));
        assert_eq!(streams.dropped.as_ref().unwrap().lock().len(), 2);
        // One that is piped or passed on tells no one when it is dropped.
        let over = streams.hold(store, first).unwrap();
        over.set_over();
        drop(over);
        assert_eq!(streams.dropped.as_ref().unwrap().lock().len(), 2);
        assert!(streams.remove(first).is_some() && streams.remove(first).is_none());
        let second = streams.add(Stream::new(true, Side::Gone)).unwrap();
        assert_eq!(first as u32, second as u32);
        assert!(streams.get(first).is_none() && streams.get(second).is_some());
        assert_eq!((streams.len(), streams.numbers(None)), (1, vec![second]));
    }

    #[test]
    fn there_are_so_many_at_most() {
        let mut streams = Streams::default();
        let last = (0..MAX_STREAMS).map(|_| streams.add(Stream::new(false, Side::Gone)).unwrap());
        let last = last.last().unwrap();
        let error = streams.add(Stream::new(false, Side::Gone)).unwrap_err();
        assert!(error.to_string().contains("100000 streams"), "{error}");
        streams.remove(last);
        assert!(streams.add(Stream::new(false, Side::Gone)).is_ok());
    }
}

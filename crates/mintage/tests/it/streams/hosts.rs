//! Producers and consumers of these tests.

use mintage::component::{Lift, Lower};
use mintage::error::format_err;
use mintage::{
    Destination, Result, Source, StoreContextMut, StreamConsumer, StreamProducer, StreamResult,
    VecBuffer,
};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// A queue of values: what a producer takes them from. Copies are the same queue.
pub struct Queue<V>(Arc<Mutex<Queued<V>>>);

pub struct Queued<V> {
    values: VecDeque<V>,
    is_closed: bool,
    fails: bool,
    panics: bool,
    /// The most values that are delivered at once, whatever the reader has room for.
    at_once: usize,
    waker: Option<Waker>,
    /// How often it was polled, and asked to finish.
    pub polls: usize,
    pub finishes: usize,
    /// Whether the producer was dropped.
    pub is_dropped: bool,
    /// What the reader had room for at the last poll.
    pub room: Option<usize>,
}

impl<V> Clone for Queue<V> {
    fn clone(&self) -> Self {
        Queue(self.0.clone())
    }
}

impl<V> Queue<V> {
    pub fn new(values: impl IntoIterator<Item = V>) -> Self {
        Queue(Arc::new(Mutex::new(Queued {
            values: values.into_iter().collect(),
            is_closed: false,
            fails: false,
            panics: false,
            at_once: 0,
            waker: None,
            polls: 0,
            finishes: 0,
            is_dropped: false,
            room: None,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, Queued<V>> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Queued<V>)) {
        let mut state = self.state();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn push(&self, values: impl IntoIterator<Item = V>) {
        self.change(|state| state.values.extend(values));
    }

    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    pub fn fail(&self) {
        self.change(|state| state.fails = true);
    }

    pub fn panic(&self) {
        self.change(|state| state.panics = true);
    }

    /// Delivers more values than the reader has room for.
    pub fn at_once(self, count: usize) -> Self {
        self.state().at_once = count;
        self
    }

    /// Returns the producer.
    pub fn producer(&self) -> Producer<V> {
        Producer(self.clone())
    }
}

pub struct Producer<V>(Queue<V>);

impl<V> Drop for Producer<V> {
    fn drop(&mut self) {
        self.0.state().is_dropped = true;
    }
}

impl<D: 'static, V: Lower + Send + Sync + 'static> StreamProducer<D> for Producer<V> {
    type Item = V;
    type Buffer = VecBuffer<V>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, V, VecBuffer<V>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut state = self.0.state();
        state.polls += 1;
        state.finishes += usize::from(finish);
        state.room = destination.remaining(store);
        if state.panics {
            drop(state);
            panic!("a panic of the test");
        }
        if state.fails {
            return Poll::Ready(Err(format_err!("an error of the test")));
        }
        let room = state.room.unwrap_or(usize::MAX).max(state.at_once);
        let count = room.min(state.values.len());
        if count == 0 && !state.is_closed {
            // Something is there, and the reader has room for nothing.
            if !state.values.is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let values: Vec<V> = state.values.drain(..count).collect();
        destination.set_buffer(values.into());
        Poll::Ready(Ok(match state.is_closed && state.values.is_empty() {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}

/// A place for values: where a consumer puts them. Copies are the same place.
pub struct Sink<V>(Arc<Mutex<Sunk<V>>>);

pub struct Sunk<V> {
    pub values: Vec<V>,
    /// The number of values that there is room for.
    room: usize,
    /// Whether values that were taken are not dealt with yet.
    holds: bool,
    is_closed: bool,
    fails: bool,
    panics: bool,
    waker: Option<Waker>,
    pub polls: usize,
    pub finishes: usize,
    /// Whether the consumer was dropped.
    pub is_dropped: bool,
}

impl<V> Clone for Sink<V> {
    fn clone(&self) -> Self {
        Sink(self.0.clone())
    }
}

impl<V> Sink<V> {
    pub fn new(room: usize) -> Self {
        Sink(Arc::new(Mutex::new(Sunk {
            values: Vec::new(),
            room,
            holds: false,
            is_closed: false,
            fails: false,
            panics: false,
            waker: None,
            polls: 0,
            finishes: 0,
            is_dropped: false,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, Sunk<V>> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Sunk<V>)) {
        let mut state = self.state();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn make_room(&self, count: usize) {
        self.change(|state| state.room += count);
    }

    /// Makes writers wait for values that were taken, or not any more.
    pub fn hold(&self, holds: bool) {
        self.change(|state| state.holds = holds);
    }

    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    pub fn fail(&self) {
        self.change(|state| state.fails = true);
    }

    pub fn panic(&self) {
        self.change(|state| state.panics = true);
    }

    pub fn take(&self) -> Vec<V> {
        std::mem::take(&mut self.state().values)
    }

    /// Returns the consumer.
    pub fn consumer(&self) -> Consumer<V> {
        Consumer(self.clone())
    }
}

pub struct Consumer<V>(Sink<V>);

impl<V> Drop for Consumer<V> {
    fn drop(&mut self) {
        self.0.state().is_dropped = true;
    }
}

impl<D: 'static, V: Lift + Send + Sync + 'static> StreamConsumer<D> for Consumer<V> {
    type Item = V;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, V>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut state = self.0.state();
        state.polls += 1;
        state.finishes += usize::from(finish);
        if state.panics {
            drop(state);
            panic!("a panic of the test");
        }
        if state.fails {
            return Poll::Ready(Err(format_err!("an error of the test")));
        }
        if state.is_closed {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let mut values = Vec::with_capacity(state.room);
        let room = state.room;
        if room > 0 {
            // The vector may have more room than it was asked for.
            let mut limited = Limited(&mut values, room);
            limited.read(&mut source, &mut store)?;
        }
        state.room -= values.len();
        let has_taken = !values.is_empty();
        state.values.extend(values);
        let is_ready = has_taken || room > 0 && source.remaining(&mut store) == 0;
        if is_ready && !state.holds {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A vector that takes so many values.
struct Limited<'a, V>(&'a mut Vec<V>, usize);

impl<V: Lift + Send + Sync + 'static> Limited<'_, V> {
    fn read<D>(
        &mut self,
        source: &mut Source<'_, V>,
        store: &mut StoreContextMut<'_, D>,
    ) -> Result<()> {
        while self.0.len() < self.1 && source.remaining(&mut *store) > 0 {
            let mut one = None;
            source.read(&mut *store, &mut one)?;
            self.0.extend(one);
        }
        Ok(())
    }
}

//! [`Counts`]: what a guest has of what its host pays for, and how much it may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much a guest may have at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one `fields`.
    pub field_size: usize,
    /// Bytes of all `fields`.
    pub total_field_size: usize,
    /// Outgoing bodies that are not sent yet.
    pub outgoing_bodies: usize,
    /// Outgoing requests, until the guest has dropped the response and its body.
    pub outgoing_requests: usize,
    /// Values in the table of resources.
    pub resources: usize,
}

impl Limits {
    pub const DEFAULT: Limits = Limits {
        field_size: 128 << 10,
        total_field_size: 4 << 20,
        outgoing_bodies: 128,
        outgoing_requests: 128,
        resources: 100_000,
    };
}

/// What a guest has.
#[derive(Debug)]
pub(crate) struct Counts {
    pub limits: Limits,
    field_bytes: AtomicUsize,
    bodies: AtomicUsize,
    /// Those of 0.2 that the guest has not ended.
    open: AtomicUsize,
    requests: AtomicUsize,
}

impl Counts {
    pub fn new(limits: Limits) -> Arc<Counts> {
        Arc::new(Counts {
            limits,
            field_bytes: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        })
    }

    /// Counts `bytes` of fields, and returns whether there may be so many.
    pub fn add_fields(&self, bytes: usize) -> bool {
        let before = self.field_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limits.total_field_size;
        if !fits {
            self.remove_fields(bytes);
        }
        fits
    }

    /// Counts `bytes` of fields that are there already.
    pub fn add_fields_unchecked(&self, bytes: usize) {
        self.field_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn remove_fields(&self, bytes: usize) {
        self.field_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts an outgoing body, if there may be one more.
    pub fn body(self: &Arc<Self>) -> Option<Slot> {
        Slot::take(self, |counts| &counts.bodies, self.limits.outgoing_bodies)
    }

    /// Counts an outgoing body that the guest has to end.
    pub fn open(self: &Arc<Self>) -> Slot {
        Slot::new(self, |counts| &counts.open).0
    }

    /// Returns whether the guest has bodies that it has not ended.
    #[cfg(feature = "server")]
    pub fn has_open_bodies(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Counts an outgoing request, if there may be one more.
    pub fn request(self: &Arc<Self>) -> Option<Slot> {
        let most = self.limits.outgoing_requests;
        Slot::take(self, |counts| &counts.requests, most)
    }
}

/// One of what is counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    counts: Arc<Counts>,
    counter: fn(&Counts) -> &AtomicUsize,
}

impl Slot {
    /// Takes one, and returns how many there were before.
    fn new(counts: &Arc<Counts>, counter: fn(&Counts) -> &AtomicUsize) -> (Self, usize) {
        let before = counter(counts).fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            counts: counts.clone(),
            counter,
        };
        (slot, before)
    }

    fn take(
        counts: &Arc<Counts>,
        counter: fn(&Counts) -> &AtomicUsize,
        most: usize,
    ) -> Option<Self> {
        let (slot, before) = Slot::new(counts, counter);
        (before < most).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        (self.counter)(&self.counts).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back() {
        let counts = Counts::new(Limits {
            outgoing_bodies: 2,
            total_field_size: 10,
            ..Limits::DEFAULT
        });
        let first = counts.body().unwrap();
        let second = counts.body().unwrap();
        assert!(counts.body().is_none());
        drop(first);
        let third = counts.body().unwrap();
        assert!(counts.body().is_none());
        drop((second, third));
        assert_eq!(counts.bodies.load(Ordering::Relaxed), 0);
        assert!(counts.add_fields(10) && !counts.add_fields(1));
        counts.remove_fields(4);
        assert!(counts.add_fields(4) && !counts.add_fields(usize::MAX));
    }
}

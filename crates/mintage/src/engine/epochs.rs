//! [`Epochs`]: the epoch of an engine, and the stores that wait for it.

use mintage_environ::interrupt_bits::EPOCH;
use std::array;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The number of slots in the first block. Each further block has twice as many as the one before.
const FIRST_BLOCK: u32 = 32;
/// Enough blocks for as many slots as 32 bits can number.
const BLOCKS: usize = 28;

/// The epoch of an engine: a counter that the host increments, and the deadlines of its stores.
///
/// [`increment`](Self::increment) may be called in a signal handler, so it takes no lock and
/// allocates nothing. That is why each store has a slot in a list that never shrinks, and not an
/// entry in an ordered map: the list is read without a lock, and only if a deadline has passed.
pub(crate) struct Epochs {
    now: AtomicU64,
    /// No deadline after `now` is earlier than this.
    earliest: AtomicU64,
    blocks: [OnceLock<Box<[Slot]>>; BLOCKS],
    /// Slots that no store uses.
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The slots that were used before. Those at the end may still have interrupt handles.
    slots: VecDeque<u32>,
    /// The number of slots that were ever used.
    used: u32,
}

/// The place of a store.
struct Slot {
    /// The epoch at which the store's guests check in. `u64::MAX` is never.
    deadline: AtomicU64,
    /// The store's interrupt word. Later stores of the slot use it again.
    word: OnceLock<Arc<AtomicU64>>,
}

/// The epoch deadline of a store, which is 0 at first, and so has passed.
pub(crate) struct EpochDeadline {
    epochs: Arc<Epochs>,
    slot: u32,
}

impl Epochs {
    pub fn new() -> Arc<Epochs> {
        Arc::new(Epochs {
            now: AtomicU64::new(0),
            earliest: AtomicU64::new(u64::MAX),
            blocks: array::from_fn(|_| OnceLock::new()),
            idle: Mutex::default(),
        })
    }

    /// Begins the next epoch. Stores whose deadline it reaches get the bit [`EPOCH`].
    pub fn increment(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        if now >= self.earliest.load(SeqCst) {
            self.notify();
        }
    }

    /// Sets the bit of all stores whose deadline has passed. A store may get it although it has
    /// moved its deadline meanwhile, so it looks again when its guest checks in.
    #[cold]
    fn notify(&self) {
        loop {
            // A store that waits from now on sets it back.
            self.earliest.store(u64::MAX, SeqCst);
            let now = self.now.load(SeqCst);
            let mut earliest = u64::MAX;
            let slots = self.blocks.iter().map_while(OnceLock::get).flatten();
            for (slot, word) in slots.filter_map(|slot| Some((slot, slot.word.get()?))) {
                match slot.deadline.load(SeqCst) {
                    deadline if deadline <= now => _ = word.fetch_or(EPOCH, SeqCst),
                    deadline => earliest = earliest.min(deadline),
                }
            }
            self.earliest.fetch_min(earliest, SeqCst);
            // Another thread may have begun an epoch without seeing the deadlines here.
            if self.now.load(SeqCst) < earliest {
                return;
            }
        }
    }

    /// Gives a new store its place.
    pub fn enlist(self: &Arc<Self>) -> EpochDeadline {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match idle.slots.pop_front() {
            Some(number) if Arc::strong_count(self.slot(number).word()) == 1 => number,
            kept => {
                // An interrupt handle of the former store still has the word.
                idle.slots.extend(kept);
                let number = idle.used;
                idle.used += 1;
                number
            }
        };
        let (block, _) = place(number);
        self.blocks[block].get_or_init(|| {
            let slots = (0..FIRST_BLOCK << block).map(|_| Slot {
                deadline: AtomicU64::new(u64::MAX),
                word: OnceLock::new(),
            });
            slots.collect()
        });
        drop(idle);
        let slot = self.slot(number);
        slot.word().store(EPOCH, SeqCst);
        slot.deadline.store(0, SeqCst);
        EpochDeadline {
            epochs: self.clone(),
            slot: number,
        }
    }

    /// Returns a slot that is or was in use.
    fn slot(&self, number: u32) -> &Slot {
        let (block, index) = place(number);
        let block = self.blocks[block].get();
        &block.expect("a slot in use has a block")[index]
    }
}

/// Returns the block of a slot, and its index there.
fn place(slot: u32) -> (usize, usize) {
    let slot = u64::from(slot) + u64::from(FIRST_BLOCK);
    let block = slot.ilog2() - FIRST_BLOCK.ilog2();
    let start = u64::from(FIRST_BLOCK) << block;
    (block as usize, (slot - start) as usize)
}

impl Slot {
    fn word(&self) -> &Arc<AtomicU64> {
        self.word.get_or_init(Arc::default)
    }
}

impl EpochDeadline {
    fn slot(&self) -> &Slot {
        self.epochs.slot(self.slot)
    }

    /// Returns the store's interrupt word.
    pub fn word(&self) -> &Arc<AtomicU64> {
        self.slot().word()
    }

    /// Moves the deadline to `ticks` epochs after the present one. If the sum is too large, there
    /// is no deadline.
    pub fn set(&self, ticks: u64) {
        let deadline = self.epochs.now.load(SeqCst).saturating_add(ticks);
        let Slot { deadline: at, .. } = self.slot();
        at.store(deadline, SeqCst);
        self.epochs.earliest.fetch_min(deadline, SeqCst);
        self.word().fetch_and(!EPOCH, SeqCst);
        self.has_passed();
    }

    /// Returns whether the deadline has passed, and sets or clears the bit [`EPOCH`] by it.
    pub fn has_passed(&self) -> bool {
        let Slot { deadline, .. } = self.slot();
        let passed = || self.epochs.now.load(SeqCst) >= deadline.load(SeqCst);
        if !passed() {
            self.word().fetch_and(!EPOCH, SeqCst);
            // An epoch that began before the bit was cleared may have set it.
            if !passed() {
                return false;
            }
        }
        self.word().fetch_or(EPOCH, SeqCst);
        true
    }
}

impl Drop for EpochDeadline {
    fn drop(&mut self) {
        let Slot { deadline, .. } = self.slot();
        deadline.store(u64::MAX, SeqCst);
        let idle = self.epochs.idle.lock();
        let mut idle = idle.unwrap_or_else(PoisonError::into_inner);
        match Arc::strong_count(self.word()) {
            1 => idle.slots.push_front(self.slot),
            _ => idle.slots.push_back(self.slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::{Duration, Instant};

    fn has_bit(deadline: &EpochDeadline) -> bool {
        deadline.word().load(SeqCst) & EPOCH != 0
    }

    #[test]
    fn slots_have_places() {
        let mut expected = (0, 0);
        for slot in 0..10_000 {
            assert_eq!(place(slot), expected);
            expected.1 += 1;
            if expected.1 == (FIRST_BLOCK as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(u32::MAX).0 < BLOCKS);
    }

    #[test]
    fn bits_are_set_at_their_epoch() {
        let epochs = Epochs::new();
        let deadlines: Vec<_> = (0..100).map(|_| epochs.enlist()).collect();
        for (ticks, deadline) in deadlines.iter().enumerate() {
            assert!(has_bit(deadline) && deadline.has_passed());
            deadline.set(ticks as u64);
        }
        for now in 0..110 {
            for (ticks, deadline) in deadlines.iter().enumerate() {
                assert_eq!(has_bit(deadline), ticks <= now, "{ticks} at {now}");
            }
            epochs.increment();
        }
        deadlines[0].set(u64::MAX);
        deadlines[1].set(u64::MAX - 1);
        epochs.increment();
        assert!(!has_bit(&deadlines[0]) && !has_bit(&deadlines[1]));
    }

    #[test]
    fn slots_are_used_again_unless_a_handle_has_their_word() {
        let epochs = Epochs::new();
        let first = epochs.enlist();
        let handle = first.word().clone();
        drop(first);
        let second = epochs.enlist();
        assert_eq!(second.slot, 1);
        handle.fetch_or(1, SeqCst);
        assert_eq!(second.word().load(SeqCst), EPOCH);
        drop((handle, second));
        for _ in 0..10 {
            let (a, b) = (epochs.enlist(), epochs.enlist());
            assert_eq!(a.slot + b.slot, 1);
            assert_eq!(a.word().load(SeqCst) | b.word().load(SeqCst), EPOCH);
        }
    }

    /// Two threads begin epochs while others move their deadlines. None is missed.
    #[test]
    fn no_deadline_is_missed() {
        let (epochs, ended) = (Epochs::new(), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while ended.load(SeqCst) < 2 {
                        epochs.increment();
                    }
                });
            }
            for ticks in 1..3 {
                let (deadline, ended) = (epochs.enlist(), &ended);
                scope.spawn(move || {
                    let start = Instant::now();
                    for _ in 0..300 {
                        deadline.set(ticks);
                        while !has_bit(&deadline) && start.elapsed() < Duration::from_secs(60) {
                            thread::yield_now();
                        }
                    }
                    ended.fetch_add(1, SeqCst);
                    assert!(has_bit(&deadline), "a deadline was missed");
                });
            }
        });
    }
}

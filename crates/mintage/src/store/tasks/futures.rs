//! [`HostTasks`]: the futures of the host that go on while guests do.
//!
//! They are in blocks of 64, each with a word that says which of them were woken. Whoever wakes one
//! sets its bit, and wakes the task that polls the store. So finding what is to be polled takes a
//! few loads, and a waker needs no allocation: it points into the block.

use super::super::Exclusive;
use crate::error::Result;
use crate::types::StoreInstanceId;
use atomic_waker::AtomicWaker;
use smallvec::SmallVec;
use std::mem::offset_of;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// A future of the host. An error stops the instance that it works for, if there is one.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The number of futures in a block: of bits in its word.
const BLOCK: usize = 64;

/// The name of a future. It never names a later one in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostTaskId {
    index: u32,
    generation: u32,
}

impl HostTaskId {
    pub fn to_u64(self) -> u64 {
        u64::from(self.index) | u64::from(self.generation) << 32
    }

    pub fn index(self) -> u32 {
        self.index
    }

    pub fn from_u64(raw: u64) -> Self {
        HostTaskId {
            index: raw as u32,
            generation: (raw >> 32) as u32,
        }
    }
}

/// The futures of the host in one store.
#[derive(Default)]
pub(crate) struct HostTasks {
    places: Vec<Place>,
    free: Vec<u32>,
    blocks: SmallVec<[Arc<Block>; 1]>,
    alarm: Arc<Alarm>,
    /// The number of places in use that have or will have a future.
    running: usize,
}

/// Wakes whoever polls the store.
#[derive(Default)]
struct Alarm {
    /// Whether a bit may be set.
    is_raised: AtomicBool,
    task: AtomicWaker,
}

/// Room for a future.
struct Place {
    generation: u32,
    is_used: bool,
    /// Whether it counts in `running`.
    counts: bool,
    /// None while it is polled.
    work: Option<Exclusive<Work>>,
    /// The instance that ends with it.
    owner: Option<StoreInstanceId>,
    /// Whether it only wakes, and was woken.
    is_woken: bool,
}

/// 64 futures, as their wakers see them: which were woken, and whom to wake then.
///
/// It is at a multiple of 64 bytes. So the address of a byte of the names is that of the block and
/// the number of the byte, which is that of the future in the block.
#[repr(C, align(64))]
struct Block {
    /// One byte for each future, whose value is of no importance.
    names: [u8; BLOCK],
    woken: AtomicU64,
    alarm: Arc<Alarm>,
}

const _: () = assert!(BLOCK == 64 && align_of::<Block>() == BLOCK && offset_of!(Block, names) == 0);

impl Block {
    fn new(alarm: Arc<Alarm>) -> Arc<Block> {
        Arc::new(Block {
            names: [0; BLOCK],
            woken: AtomicU64::new(0),
            alarm,
        })
    }

    fn wake(&self, number: usize) {
        self.woken.fetch_or(1 << number, Ordering::SeqCst);
        self.alarm.is_raised.store(true, Ordering::SeqCst);
        self.alarm.task.wake();
    }

    /// Returns the waker of a future of the block.
    fn waker(self: Arc<Self>, number: usize) -> Waker {
        assert!(number < BLOCK, "a block has {BLOCK} futures");
        let data = Arc::into_raw(self).cast::<u8>().wrapping_add(number);
        // SAFETY: the data is the address of a name of a block, with a reference to the block that
        // is the waker's own. The functions may be called on any thread, since `Block` is `Sync`.
        unsafe { Waker::new(data.cast(), &WAKER) }
    }

    /// Returns the block and the number of the future of a waker.
    fn of(data: *const ()) -> (*const Block, usize) {
        let block = data.map_addr(|address| address & !(BLOCK - 1));
        (block.cast(), data.addr() & (BLOCK - 1))
    }
}

/// The functions of wakers. Their data is the address of a name of a block. Each waker has a
/// reference to its block.
static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let (block, _) = Block::of(data);
        // SAFETY: `Block::waker` made the pointer by `Arc::into_raw`. The waker has a reference.
        unsafe { Arc::increment_strong_count(block) };
        RawWaker::new(data, &WAKER)
    },
    |data| {
        let (block, number) = Block::of(data);
        // SAFETY: as above. The waker gives up its reference.
        unsafe { Arc::from_raw(block) }.wake(number);
    },
    |data| {
        let (block, number) = Block::of(data);
        // SAFETY: the waker has a reference.
        unsafe { &*block }.wake(number);
    },
    |data| {
        let (block, _) = Block::of(data);
        // SAFETY: as for the second function.
        drop(unsafe { Arc::from_raw(block) });
    },
);

impl HostTasks {
    /// Returns the number of futures.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Makes `waker` the one that is woken with any of the futures.
    pub fn listen(&self, waker: &Waker) {
        self.alarm.task.register(waker);
    }

    /// Forgets the waker.
    pub fn forget_listener(&self) {
        drop(self.alarm.task.take());
    }

    /// Returns whether a future was woken since the last call of [`woken`](Self::woken).
    pub fn is_woken(&self) -> bool {
        self.alarm.is_raised.load(Ordering::SeqCst)
    }

    /// Takes a place for a future, which follows.
    pub fn reserve(&mut self, owner: Option<StoreInstanceId>) -> HostTaskId {
        self.running += 1;
        self.take_place(owner, true)
    }

    /// Takes a place that only wakes.
    pub fn reserve_waker(&mut self) -> HostTaskId {
        self.take_place(None, false)
    }

    /// Makes a place with a future count in [`running`](Self::running), or not.
    pub fn set_counts(&mut self, id: HostTaskId, counts: bool) {
        let Some(place) = self.place(id) else {
            return;
        };
        let before = std::mem::replace(&mut place.counts, counts);
        self.running = self.running + usize::from(counts) - usize::from(before);
    }

    fn take_place(&mut self, owner: Option<StoreInstanceId>, counts: bool) -> HostTaskId {
        let index = self.free.pop().unwrap_or_else(|| self.add_place());
        let place = &mut self.places[index as usize];
        (place.is_used, place.owner, place.is_woken) = (true, owner, false);
        place.counts = counts;
        HostTaskId {
            index,
            generation: place.generation,
        }
    }

    fn add_place(&mut self) -> u32 {
        let index = self.places.len();
        if index.is_multiple_of(BLOCK) {
            self.blocks.push(Block::new(self.alarm.clone()));
        }
        self.places.push(Place {
            generation: 0,
            is_used: false,
            counts: false,
            work: None,
            owner: None,
            is_woken: false,
        });
        index as u32
    }

    fn place(&mut self, id: HostTaskId) -> Option<&mut Place> {
        let place = self.places.get_mut(id.index as usize)?;
        (place.is_used && place.generation == id.generation).then_some(place)
    }

    /// Returns the waker of a place that is in use.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn waker(&mut self, id: HostTaskId) -> Waker {
        self.place(id).expect("the place is in use");
        self.waker_at(id.index)
    }

    fn waker_at(&self, index: u32) -> Waker {
        let block = self.blocks[index as usize / BLOCK].clone();
        block.waker(index as usize % BLOCK)
    }

    /// Puts a future into its place, unless it was ended meanwhile: then it comes back.
    pub fn put(&mut self, id: HostTaskId, work: Work) -> Option<Work> {
        let Some(place) = self.place(id) else {
            return Some(work);
        };
        // While it was polled, someone else has looked for those that were woken.
        let was_woken = std::mem::take(&mut place.is_woken);
        let before = place.work.replace(Exclusive::new(work));
        if was_woken {
            self.wake(id.index);
        }
        before.map(Exclusive::into_inner)
    }

    /// Frees a place. Returns the future in it.
    pub fn end(&mut self, id: HostTaskId) -> Option<Work> {
        let place = self.place(id)?;
        place.is_used = false;
        let work = place.work.take().map(Exclusive::into_inner);
        let counts = place.counts;
        // A place that has had every generation is not used again.
        if let Some(generation) = place.generation.checked_add(1) {
            place.generation = generation;
            self.free.push(id.index);
        }
        self.running -= usize::from(counts);
        work
    }

    /// Frees all places of an instance. Returns the futures in them.
    pub fn end_of(&mut self, owner: StoreInstanceId) -> Vec<Work> {
        self.end_those(|place| place.owner == Some(owner))
    }

    fn end_those(&mut self, ends: impl Fn(&Place) -> bool) -> Vec<Work> {
        let name = |(index, place): (usize, &Place)| {
            (place.is_used && ends(place)).then_some(HostTaskId {
                index: index as u32,
                generation: place.generation,
            })
        };
        let ids: Vec<_> = self.places.iter().enumerate().filter_map(name).collect();
        ids.into_iter().filter_map(|id| self.end(id)).collect()
    }

    /// Frees all places. Returns the futures in them.
    pub fn end_all(&mut self) -> Vec<Work> {
        self.end_those(|_| true)
    }

    /// Returns whether a future was woken since it was last polled, and forgets that.
    pub fn take_bit(&mut self, id: HostTaskId) -> bool {
        let bit = 1 << (id.index as usize % BLOCK);
        let block = self.blocks.get(id.index as usize / BLOCK);
        block.is_some_and(|block| block.woken.fetch_and(!bit, Ordering::SeqCst) & bit != 0)
    }

    /// Returns the indexes of places that were woken since the last call.
    pub fn woken(&mut self) -> SmallVec<[u32; 8]> {
        let mut woken = SmallVec::new();
        if !self.alarm.is_raised.swap(false, Ordering::SeqCst) {
            return woken;
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let mut bits = block.woken.swap(0, Ordering::SeqCst);
            while bits != 0 {
                let bit = bits.trailing_zeros();
                woken.push(number as u32 * BLOCK as u32 + bit);
                bits &= bits - 1;
            }
        }
        woken
    }

    /// Wakes the future in a place.
    pub fn wake(&self, index: u32) {
        self.blocks[index as usize / BLOCK].wake(index as usize % BLOCK);
    }

    /// Takes a future that was woken, to be polled with its waker.
    pub fn take(&mut self, index: u32) -> Option<(HostTaskId, Work, Waker)> {
        let place = &mut self.places[index as usize];
        if !place.is_used {
            return None;
        }
        let Some(work) = place.work.take() else {
            place.is_woken = true;
            return None;
        };
        let id = HostTaskId {
            index,
            generation: place.generation,
        };
        Some((id, work.into_inner(), self.waker_at(index)))
    }

    /// Returns the instance that a future works for.
    pub fn owner(&mut self, id: HostTaskId) -> Option<StoreInstanceId> {
        self.place(id)?.owner
    }

    /// Returns whether a place without a future was woken since the last call.
    pub fn take_woken(&mut self, id: HostTaskId) -> bool {
        self.place(id)
            .is_some_and(|place| std::mem::take(&mut place.is_woken))
    }
}

/// [`HostTasks`] that are made when they are first needed, so that other stores do not pay for
/// them.
#[derive(Default)]
pub(crate) struct LazyHostTasks(Option<Box<HostTasks>>);

impl LazyHostTasks {
    pub fn get(&mut self) -> &mut HostTasks {
        self.0.get_or_insert_with(Box::default)
    }

    /// Returns them, if they were ever needed.
    pub fn made(&mut self) -> Option<&mut HostTasks> {
        self.0.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        Box::pin(std::future::pending())
    }

    #[test]
    fn those_that_are_woken_are_found() {
        let mut tasks = HostTasks::default();
        let ids: Vec<_> = (0..200).map(|_| tasks.reserve(None)).collect();
        for &id in &ids {
            assert!(tasks.put(id, work()).is_none());
        }
        assert!(tasks.woken().is_empty());
        let wakers = [199, 3, 64].map(|at: usize| tasks.waker(ids[at]));
        wakers.iter().for_each(Waker::wake_by_ref);
        wakers[0].wake_by_ref();
        assert!(tasks.is_woken());
        assert_eq!(tasks.woken()[..], [3, 64, 199]);
        assert!(tasks.woken().is_empty() && !tasks.is_woken());
        assert_eq!(tasks.running(), 200);
    }

    #[test]
    fn wakers_outlive_the_futures() {
        let mut tasks = HostTasks::default();
        let ids: Vec<_> = (0..130).map(|_| tasks.reserve(None)).collect();
        let first = tasks.waker(ids[0]);
        let last = tasks.waker(ids[129]);
        assert!(first.will_wake(&first.clone()) && first.will_wake(&tasks.waker(ids[0])));
        assert!(!first.will_wake(&tasks.waker(ids[1])) && !first.will_wake(&last));
        drop(first.clone());
        let copy = last.clone();
        std::thread::spawn(move || copy.wake())
            .join()
            .expect("it wakes");
        assert_eq!(tasks.woken()[..], [129]);
        drop(tasks);
        first.wake_by_ref();
        last.wake();
    }

    #[test]
    fn a_name_is_of_one_future() {
        let mut tasks = HostTasks::default();
        let owner = StoreInstanceId::from_u32(1);
        let first = tasks.reserve(Some(owner));
        assert!(tasks.put(first, work()).is_none());
        assert_eq!(tasks.end_of(owner).len(), 1);
        let second = tasks.reserve(None);
        assert_eq!((first.index, tasks.running()), (second.index, 1));
        assert!(tasks.put(first, work()).is_some(), "it has ended");
        assert!(tasks.end(first).is_none() && tasks.end_of(owner).is_empty());
        assert_eq!(HostTaskId::from_u64(second.to_u64()), second);
        // One that only wakes.
        tasks.waker(second).wake();
        let woken = tasks.woken();
        assert!(tasks.take(woken[0]).is_none());
        assert!(tasks.take_woken(second) && !tasks.take_woken(second));
    }
    use mintage_environ::Index as _;
}

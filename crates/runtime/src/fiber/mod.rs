//! [`Stack`]: a stack for a call that may be suspended, and [`StackPool`], from which an engine's
//! stores get them.
//!
//! Stacks come in regions. Below each one there are guard pages, which a guest hits that uses more
//! than its stack. Contents are not cleared: a guest cannot read its machine stack.
//!
//! ```text
//! guard | reserve for host functions | stack of the guest ... | room of the call
//! ```
//!
//! A stack has nothing of a call when it is given back, suspended or not: frames on a suspended
//! stack are those of machine code and its stubs, which own nothing.

#![allow(
    clippy::vec_box,
    reason = "a place passes through several hands for each call, and a box is one word"
)]

use crate::pool::PoolConfig;
use crate::sys::mappings::{self, SlabMappings};
use crate::sys::mmap::{Reservation, page_size};
use anyhow::{Context, Error, Result};
use mintage_environ::limit;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of stack below the last wasm frame that are kept for host functions and builtins. Most of
/// it is for lifting and lowering values, whose types may be nested 100 levels deep: up to 56 KiB
/// in optimized code, 64 KiB at `opt-level = 1`, and without optimization 125 KiB, or 166 KiB where
/// a `map` is lowered. The rest is for the host's own code.
pub const HOST_RESERVE: usize = 256 << 10;

/// The number of stacks that are mapped together.
const REGION: usize = 64;
/// Bytes of guard pages below each stack.
const GUARD: usize = 64 << 10;
/// Bytes at the top of an idle stack that stay in memory.
const KEPT: usize = 32 << 10;
/// The number of uses after which the rest of a stack is given back to the system.
const USES: u8 = 200;
/// The most idle stacks that keep what they have in memory.
const WARM: usize = 256;
/// The most idle stacks that keep their top alone in memory.
const COOL: usize = 1024;

/// The stacks of an engine.
pub struct StackPool {
    /// Bytes of one stack, a whole number of pages.
    size: usize,
    /// The most stacks that may be in use.
    total: usize,
    /// The idle stack that is taken first, without the lock: a [`Box<Place>`], or null.
    hot: AtomicPtr<Place>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Idle stacks that keep what they have in memory, those last that were used last. They are
    /// taken first.
    warm: Vec<Box<Place>>,
    /// Idle stacks that keep their top in memory, taken next.
    cool: Vec<Box<Place>>,
    /// Idle stacks that have no memory.
    cold: Vec<Box<Place>>,
    /// The number of stacks in use, with the hot one.
    taken: usize,
}

/// A stack's place in a region.
struct Place {
    region: Arc<Region>,
    /// The offsets of the stack in the region.
    range: Range<usize>,
    uses: u8,
}

struct Region {
    memory: Reservation,
    _mappings: SlabMappings,
}

/// The numbers of stacks of a pool.
#[derive(Clone, Copy, Debug)]
pub struct StackMetrics {
    /// Stacks of calls under way.
    pub in_use: usize,
    /// Mapped stacks without a call.
    pub idle: usize,
}

/// A stack. Dropping it gives it back to its pool.
pub struct Stack {
    pool: Arc<StackPool>,
    /// Empty only while it is dropped.
    place: Option<Box<Place>>,
}

impl StackPool {
    /// Creates a pool of stacks of at least `size` bytes each, of which a guest may use
    /// `guest_size` and host functions 256 KiB.
    pub fn new(size: usize, guest_size: usize, config: &PoolConfig) -> Arc<StackPool> {
        let size = size.max(guest_size.saturating_add(HOST_RESERVE));
        Arc::new(StackPool {
            // A size beyond the address space is an error when the first stack is mapped.
            size: size
                .checked_next_multiple_of(page_size())
                .unwrap_or(usize::MAX),
            total: config.total_stacks,
            hot: AtomicPtr::default(),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the hot stack.
    fn take_hot(&self) -> Option<Box<Place>> {
        let hot = NonNull::new(self.hot.swap(ptr::null_mut(), Ordering::Acquire))?;
        // SAFETY: it is of a box that `release` gave up, and no one else has it from here on.
        Some(unsafe { Box::from_raw(hot.as_ptr()) })
    }

    /// Returns the number of stacks in use.
    pub fn in_use(&self) -> usize {
        self.metrics().in_use
    }

    /// Returns the numbers of stacks at the moment.
    pub fn metrics(&self) -> StackMetrics {
        let state = self.lock();
        let hot = usize::from(!self.hot.load(Ordering::Relaxed).is_null());
        StackMetrics {
            in_use: state.taken.saturating_sub(hot),
            idle: state.warm.len() + state.cool.len() + state.cold.len() + hot,
        }
    }

    /// Returns a stack.
    ///
    /// # Errors
    ///
    /// If all are in use, or the system gives no memory for more.
    pub fn acquire(self: &Arc<Self>) -> Result<Stack> {
        match self.take_hot() {
            Some(hot) => Ok(Stack {
                pool: self.clone(),
                place: Some(hot),
            }),
            None => self.acquire_idle(),
        }
    }

    /// Returns a stack that is not hot.
    #[inline(never)]
    fn acquire_idle(self: &Arc<Self>) -> Result<Stack> {
        let mut state = self.lock();
        let place = match state.taken < self.total {
            true => {
                state.taken += 1;
                let warm = state.warm.pop();
                warm.or_else(|| state.cool.pop())
                    .or_else(|| state.cold.pop())
            }
            // It may have become hot meanwhile.
            false => Some(self.take_hot().ok_or_else(|| self.exceeded())?),
        };
        let mut stack = Stack {
            pool: self.clone(),
            place,
        };
        drop(state);
        if stack.place.is_none() {
            let mut places = self.map_region().with_context(|| {
                limit!(
                    Stacks,
                    "the system gives no memory for stacks of suspended calls, each of {} KiB; {}",
                    self.size >> 10,
                    mappings::describe_limits()
                )
            })?;
            stack.place = places.pop();
            self.lock().cold.append(&mut places);
        }
        Ok(stack)
    }

    #[cold]
    fn exceeded(&self) -> Error {
        let error = limit!(
            Stacks,
            "all {} stacks for asynchronous calls are in use; wait for calls to end, or raise \
             `PoolConfig::total_stacks`",
            self.total
        );
        error.into()
    }

    /// Maps a region of stacks.
    fn map_region(&self) -> Result<Vec<Box<Place>>> {
        let count = REGION.min(self.total);
        let slot = GUARD.checked_add(self.size);
        let sizes = slot.and_then(|slot| Some((slot, slot.checked_mul(count)?)));
        let (slot, len) = sizes.context("the stacks are too large")?;
        let memory = Reservation::new(len)?;
        // With huge pages, one touched page of a stack would take 2 MiB.
        memory.avoid_huge_pages()?;
        let places = |region: Arc<Region>| {
            let place = |i: usize| {
                Box::new(Place {
                    region: region.clone(),
                    range: i * slot + GUARD..(i + 1) * slot,
                    uses: 0,
                })
            };
            (0..count).map(place).collect()
        };
        let mappings = reserve_mappings(1)?;
        memory.make_accessible(0, len)?;
        for i in 0..count {
            if !memory.install_guard(i * slot, GUARD)? {
                return Self::map_with_mappings(len, slot, count).map(places);
            }
        }
        Ok(places(Arc::new(Region {
            memory,
            _mappings: mappings,
        })))
    }

    /// Maps a region whose guard pages are mappings of their own.
    fn map_with_mappings(len: usize, slot: usize, count: usize) -> Result<Arc<Region>> {
        let mappings = reserve_mappings(2 * count)?;
        let memory = Reservation::new(len)?;
        memory.avoid_huge_pages()?;
        for i in 0..count {
            memory.make_accessible(i * slot + GUARD, slot - GUARD)?;
        }
        Ok(Arc::new(Region {
            memory,
            _mappings: mappings,
        }))
    }

    /// Takes a stack back.
    fn release(&self, mut place: Box<Place>) {
        place.uses += 1;
        if place.uses >= USES {
            place.uses = 0;
            place.discard_below(KEPT);
        }
        let place = Box::into_raw(place);
        let nothing = ptr::null_mut();
        let parked =
            self.hot
                .compare_exchange(nothing, place, Ordering::Release, Ordering::Relaxed);
        if parked.is_err() {
            // SAFETY: it is of the box above, and no one else has it.
            self.release_idle(unsafe { Box::from_raw(place) });
        }
    }

    /// Takes a stack back that does not become hot.
    fn release_idle(&self, mut place: Box<Place>) {
        let mut state = self.lock();
        if state.warm.len() < WARM {
            state.taken -= 1;
            state.warm.push(place);
            return;
        }
        let keeps_top = state.cool.len() < COOL;
        drop(state);
        place.uses = 0;
        place.discard_below(if keeps_top { KEPT } else { 0 });
        let mut state = self.lock();
        state.taken -= 1;
        match keeps_top {
            true => state.cool.push(place),
            false => state.cold.push(place),
        }
    }
}

impl Drop for StackPool {
    fn drop(&mut self) {
        drop(self.take_hot());
    }
}

impl Place {
    /// Gives the memory of the stack back to the system, except for the `keep` bytes at its top.
    fn discard_below(&self, keep: usize) {
        let len = self.range.len().saturating_sub(keep);
        // SAFETY: the stack is not in use. If the system refuses, it stays in memory.
        let _ = unsafe { self.region.memory.discard(self.range.start, len) };
    }
}

fn reserve_mappings(count: usize) -> Result<SlabMappings> {
    SlabMappings::reserve(count, mappings::max_slab_mappings()).with_context(|| {
        format!(
            "instances and stacks of all engines take all of the {} mappings that they may have, \
             seven eighths of `vm.max_map_count`",
            mappings::max_slab_mappings()
        )
    })
}

impl Stack {
    /// Returns the addresses of the stack, which grows down from the end of the range. They are
    /// accessible, and aligned to pages.
    pub fn range(&self) -> Range<usize> {
        let place = self.place.as_ref().expect("it is empty only when dropped");
        let base = place.region.memory.base().as_ptr().addr();
        base + place.range.start..base + place.range.end
    }

    /// Returns the address of the last `bytes` bytes of the stack.
    pub fn room(&self, bytes: usize) -> *mut u8 {
        let place = self.place.as_ref().expect("it is empty only when dropped");
        assert!(bytes <= place.range.len(), "the room is in the stack");
        let base = place.region.memory.base().as_ptr();
        base.wrapping_add(place.range.end - bytes)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        match self.place.take() {
            Some(place) => self.pool.release(place),
            // The system gave no memory for it.
            None => self.pool.lock().taken -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_apart_and_used_again() {
        let pool = StackPool::new(0, 100 << 10, PoolConfig::new().total_stacks(100));
        let stacks: Vec<Stack> = (0..100).map(|_| pool.acquire().unwrap()).collect();
        assert_eq!(pool.in_use(), 100);
        assert!(pool.acquire().is_err_and(|error| {
            let error = error.to_string();
            error.contains("all 100 stacks") && error.contains("total_stacks")
        }));
        let mut ranges: Vec<_> = stacks.iter().map(Stack::range).collect();
        ranges.sort_by_key(|range| range.start);
        assert!(
            ranges
                .iter()
                .all(|range| range.len() == HOST_RESERVE + (100 << 10))
        );
        let gap = |pair: &[Range<usize>]| pair[1].start - pair[0].end;
        assert!(ranges.windows(2).all(|pair| gap(pair) >= GUARD));
        for stack in &stacks {
            // SAFETY: the stack is accessible from its first to its last byte.
            unsafe {
                stack.room(stack.range().len()).write(1);
                stack.room(1).write(2);
            }
        }
        let last = ranges.pop();
        drop(stacks);
        assert_eq!(pool.in_use(), 0);
        let again: Vec<_> = (0..100).map(|_| pool.acquire().unwrap()).collect();
        assert!(again.iter().any(|stack| Some(stack.range()) == last));
    }

    #[test]
    fn what_a_stack_used_is_given_back_after_some_uses() {
        let pool = StackPool::new(512 << 10, 0, PoolConfig::new().total_stacks(1));
        let read = |stack: &Stack| {
            // SAFETY: the stack is accessible.
            unsafe { (stack.room(64 << 10).read(), stack.room(1).read()) }
        };
        for use_number in 0..USES {
            let stack = pool.acquire().unwrap();
            match use_number {
                // SAFETY: as above.
                0 => unsafe {
                    stack.room(64 << 10).write(7);
                    stack.room(1).write(7);
                },
                _ => assert_eq!(read(&stack), (7, 7)),
            }
        }
        assert_eq!(read(&pool.acquire().unwrap()), (0, 7));
    }

    /// Stacks that keep no memory are not the ones that are used next.
    #[test]
    fn stacks_that_are_used_again_are_warm() {
        let total = WARM + COOL + 64;
        let pool = StackPool::new(0, 0, PoolConfig::new().total_stacks(total as u32));
        let stacks: Vec<Stack> = (0..total).map(|_| pool.acquire().unwrap()).collect();
        for stack in &stacks {
            // SAFETY: the stack is accessible.
            unsafe { stack.room(1).write(7) };
        }
        drop(stacks);
        let StackMetrics { in_use, idle } = pool.metrics();
        assert_eq!((in_use, idle), (0, total));
        let read = |stack: &Stack| {
            // SAFETY: as above.
            unsafe { stack.room(1).read() }
        };
        for _ in 0..10 {
            assert_eq!(read(&pool.acquire().unwrap()), 7);
        }
        let stacks: Vec<Stack> = (0..total).map(|_| pool.acquire().unwrap()).collect();
        let warm = stacks.iter().filter(|stack| read(stack) == 7).count();
        // One was hot.
        assert_eq!(warm, WARM + COOL + 1);
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        let pool = StackPool::new(usize::MAX, 0, &PoolConfig::new());
        let error = pool.acquire().err().unwrap();
        assert!(format!("{error:#}").contains("too large"), "{error:#}");
        assert_eq!(pool.in_use(), 0);
    }

    /// The fallback of systems that cannot install guards.
    #[test]
    fn guards_can_be_mappings() {
        let slot = GUARD + (64 << 10);
        let region = StackPool::map_with_mappings(2 * slot, slot, 2).unwrap();
        for i in 0..2 {
            // SAFETY: the bytes behind the guard are accessible.
            unsafe { region.memory.base().as_ptr().add(i * slot + GUARD).write(1) };
        }
    }
}

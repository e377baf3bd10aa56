//! Bulk work in pieces, so that another thread can interrupt the guest between two of them.
//!
//! Machine code tests the interrupt word at loop heads and function entries. A single `memory.fill`
//! of four gigabytes takes seconds, so the runtime has to test the word as well: all work whose
//! time grows with a length goes through [`Pauses`]. An interrupted operation is left half done.
//! That is harmless for bytes, because the instance is dead from then on.

use mintage_environ::{Trap, interrupt_bits};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes, or other items, between two tests of the interrupt word. Writing 256 KiB takes about a
/// quarter of a millisecond if every page faults. Transcoding as many characters one by one takes
/// about as long. Both are far below the ten milliseconds that a guest may be late. Builds with
/// debug assertions use small pieces, so that small tests have several of them.
pub const PIECE: usize = if cfg!(debug_assertions) {
    1 << 10
} else {
    256 << 10
};

/// Decides how often bulk work tests the interrupt word, if at all.
#[derive(Clone, Copy, Debug)]
pub struct Pauses<'a> {
    interrupt: Option<&'a AtomicU64>,
    piece: usize,
}

impl<'a> Pauses<'a> {
    /// No tests: all work is one piece.
    pub const NEVER: Pauses<'static> = Pauses {
        interrupt: None,
        piece: usize::MAX,
    };

    /// Tests `interrupt` after each piece. Without an interrupt word, all work is one piece.
    pub fn new(interrupt: Option<&'a AtomicU64>) -> Self {
        Pauses {
            interrupt,
            piece: interrupt.map_or(usize::MAX, |_| PIECE),
        }
    }

    /// Returns the maximum number of items between two tests.
    pub fn piece(self) -> usize {
        self.piece
    }

    /// Tests the interrupt word.
    ///
    /// # Errors
    ///
    /// [`Trap::Interrupt`] if the guest is to stop.
    #[inline]
    pub fn check(self) -> Result<(), Trap> {
        // Relaxed: the bits say everything. Nothing else is read because of them.
        match self.interrupt {
            Some(word) if word.load(Ordering::Relaxed) & interrupt_bits::ENDING != 0 => {
                Err(Trap::Interrupt)
            }
            _ => Ok(()),
        }
    }

    /// Calls `work` for all items in `0..len`, piece by piece in this order.
    ///
    /// # Errors
    ///
    /// [`Trap::Interrupt`] if the guest is to stop before all items are done.
    #[inline]
    pub fn run(self, len: usize, mut work: impl FnMut(Range<usize>)) -> Result<(), Trap> {
        let mut start = 0usize;
        loop {
            let end = len.min(start.saturating_add(self.piece));
            work(start..end);
            if end == len {
                return Ok(());
            }
            self.check()?;
            start = end;
        }
    }

    /// Copies `len` bytes between two places that may overlap.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Safety
    ///
    /// Both places are accessible, and no one else uses them.
    #[inline]
    pub unsafe fn copy(self, dst: *mut u8, src: *const u8, len: usize) -> Result<(), Trap> {
        if len <= self.piece {
            // SAFETY: as the caller promises.
            unsafe { ptr::copy(src, dst, len) };
            return Ok(());
        }
        // A piece must not be overwritten before it is copied. If bytes move towards the end, the
        // copy begins at the end.
        let backward = dst.addr().wrapping_sub(src.addr()) < len;
        self.run(len, |Range { start, end }| {
            let start_at = if backward { len - end } else { start };
            // SAFETY: a part of the places that the caller promises.
            unsafe { ptr::copy(src.add(start_at), dst.add(start_at), end - start) };
        })
    }

    /// Fills `len` bytes with repetitions of the pattern.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Safety
    ///
    /// The place is accessible, and no one else uses it.
    pub unsafe fn fill(self, dst: *mut u8, pattern: [u8; 16], len: usize) -> Result<(), Trap> {
        const { assert!(PIECE.is_multiple_of(16)) };
        let byte = pattern[0];
        if pattern == [byte; 16] {
            return self.run(len, |Range { start, end }| {
                // SAFETY: a part of the place that the caller promises.
                unsafe { dst.add(start).write_bytes(byte, end - start) };
            });
        }
        self.run(len, |Range { start, end }| {
            // SAFETY: as above. All bytes of a slab are initialised: the system maps zeros or a
            // file.
            let part = unsafe { std::slice::from_raw_parts_mut(dst.add(start), end - start) };
            let (whole, rest) = part.as_chunks_mut::<16>();
            whole.fill(pattern);
            rest.copy_from_slice(&pattern[..rest.len()]);
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    pub static RUNNING: AtomicU64 = AtomicU64::new(0);
    pub static STOPPED: AtomicU64 = AtomicU64::new(1);

    /// Pauses after each `piece` items.
    pub fn of_piece(interrupt: &AtomicU64, piece: usize) -> Pauses<'_> {
        Pauses {
            interrupt: Some(interrupt),
            piece,
        }
    }

    proptest! {
        /// Copies over every distance and direction of overlap, in pieces of any size: the result
        /// is that of one copy.
        #[test]
        fn copies_in_pieces(
            dst in 0usize..200,
            src in 0usize..200,
            len in 0usize..100,
            piece in 1usize..40,
        ) {
            let before: Vec<u8> = (0..300).map(|byte| byte as u8).collect();
            let (mut actual, mut expected) = (before.clone(), before);
            expected.copy_within(src..src + len, dst);
            let base = actual.as_mut_ptr();
            let pauses = of_piece(&RUNNING, piece);
            // SAFETY: both places are in the vector.
            let copied = unsafe { pauses.copy(base.add(dst), base.add(src), len) };
            prop_assert_eq!(copied, Ok(()));
            prop_assert_eq!(actual, expected);
        }

        #[test]
        fn fills_in_pieces(
            at in 0usize..30,
            len in 0usize..200,
            pieces in 1usize..5,
            size in 0u32..5,
            seed: u128,
        ) {
            let size = 1 << size;
            let pattern: [u8; 16] = std::array::from_fn(|at| seed.to_le_bytes()[at % size]);
            let len = len / size * size;
            let mut actual = vec![0x5a; 300];
            let mut expected = actual.clone();
            for (offset, byte) in expected[at..at + len].iter_mut().enumerate() {
                *byte = pattern[offset % 16];
            }
            let pauses = of_piece(&RUNNING, pieces * 16);
            // SAFETY: the place is in the vector.
            let filled = unsafe { pauses.fill(actual.as_mut_ptr().add(at), pattern, len) };
            prop_assert_eq!(filled, Ok(()));
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    fn stops_between_pieces() {
        let done = Cell::new(0);
        let work = |range: Range<usize>| done.set(done.get() + range.len());
        assert_eq!(of_piece(&STOPPED, 10).run(25, work), Err(Trap::Interrupt));
        assert_eq!(done.take(), 10);
        // Nothing is left that could be late.
        assert_eq!(of_piece(&STOPPED, 10).run(10, work), Ok(()));
        assert_eq!(of_piece(&RUNNING, 10).run(25, work), Ok(()));
        assert_eq!(Pauses::new(None).run(5 << 30, work), Ok(()));
        assert_eq!(done.take(), 35 + (5 << 30));
        assert_eq!(
            Pauses::new(Some(&STOPPED)).run(PIECE + 1, work),
            Err(Trap::Interrupt)
        );
    }
}

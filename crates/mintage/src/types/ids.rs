//! Numbers that tell stores, and instances within a store, apart.

use mintage_environ::Index;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store of this process. No two stores have the same number, even if one of them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreId(u64);

impl StoreId {
    /// Returns a number that no other store has.
    #[inline]
    pub fn new() -> StoreId {
        /// Threads take as many numbers at a time, so that they need not wait for each other.
        const BLOCK: u64 = 1024;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            /// The next number of this thread; a multiple of `BLOCK` if it has none left.
            static OWN: Cell<u64> = const { Cell::new(0) };
        }
        OWN.with(|own| {
            let id = match own.get() % BLOCK {
                0 => NEXT.fetch_add(BLOCK, Ordering::Relaxed) + 1,
                _ => own.get(),
            };
            own.set(id + 1);
            StoreId(id)
        })
    }
}

/// An instance of a component, numbered within its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreInstanceId(u32);

impl Index for StoreInstanceId {
    #[inline]
    fn from_u32(raw: u32) -> Self {
        Self(raw)
    }

    #[inline]
    fn as_u32(self) -> u32 {
        self.0
    }
}

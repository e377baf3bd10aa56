//! Numbers that tell stores, and instances within a store, apart.

use mintage_environ::Index;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store of this process. No two stores have the same number, even if one of them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreId(u64);

impl StoreId {
    /// Returns a number that no other store has.
    pub fn new() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StoreId(NEXT.fetch_add(1, Ordering::Relaxed))
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

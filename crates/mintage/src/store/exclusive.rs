//! [`Exclusive`]: what is `Sync` because it can be used by exclusive reference only.

use std::sync::{Mutex, PoisonError};

/// A value in a store, which is `Sync` while the value may not be. It is never locked: the mutex
/// only makes that safe.
pub(crate) struct Exclusive<V>(Mutex<V>);

impl<V> Exclusive<V> {
    pub fn new(value: V) -> Self {
        Exclusive(Mutex::new(value))
    }

    pub fn into_inner(self) -> V {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

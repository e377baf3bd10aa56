//! Methods of stores by the names that hosts of Wasmtime use.

use super::interrupt::Interruption;
use super::{Store, StoreContext, StoreContextMut, StoreInner};
use crate::Engine;
use crate::error::Result;
use std::convert::Infallible;
use std::time::Duration;

impl<T: Default> Default for Store<T> {
    /// Creates a store with default data, in an engine of its own with the default settings.
    fn default() -> Self {
        Self::new(&Engine::default(), T::default())
    }
}

impl<T> Store<T> {
    /// Creates a store as [`new`](Self::new) does.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn try_new(engine: &Engine, data: T) -> Result<Store<T>> {
        Ok(Self::new(engine, data))
    }

    /// Has no effect. Garbage is collected when a guest needs room for an object. Nothing can be
    /// given for `why` but `None`.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn gc(&mut self, why: Option<&Infallible>) -> Result<()> {
        let _ = why;
        Ok(())
    }
}

impl<T> StoreContext<'_, T> {
    /// Returns the limit that [`Store::set_hostcall_fuel`] has set.
    pub fn hostcall_fuel(&self) -> usize {
        self.0.opaque.hostcall_fuel
    }
}

impl<T> StoreContextMut<'_, T> {
    /// Returns the limit that [`Store::set_hostcall_fuel`] has set.
    pub fn hostcall_fuel(&self) -> usize {
        self.0.opaque.hostcall_fuel
    }

    /// Does the same as [`Store::set_hostcall_fuel`].
    pub fn set_hostcall_fuel(&mut self, bytes: usize) {
        self.0.opaque.hostcall_fuel = bytes;
    }

    /// Has no effect, as [`Store::gc`].
    ///
    /// # Errors
    ///
    /// Never.
    pub fn gc(&mut self, why: Option<&Infallible>) -> Result<()> {
        let _ = why;
        Ok(())
    }

    /// Does the same as [`Store::set_deadline`]. In a host function, this is the deadline of the
    /// guest that has called it, too.
    ///
    /// # Errors
    ///
    /// As [`Store::set_deadline`].
    pub fn set_deadline(&mut self, after: Duration) -> Result<()> {
        self.0.set_deadline(after)
    }

    /// Does the same as [`Store::clear_deadline`].
    pub fn clear_deadline(&mut self) {
        self.0.clear_deadline();
    }
}

impl<T> StoreInner<T> {
    /// See [`Store::set_deadline`].
    pub(super) fn set_deadline(&mut self, after: Duration) -> Result<()> {
        let StoreInner { opaque, host } = self;
        host.watches_crossings = true;
        let interruption = host.time.interruption.as_mut();
        Interruption::set_deadline(interruption, &opaque.engine, after)
    }

    /// See [`Store::clear_deadline`].
    pub(super) fn clear_deadline(&mut self) {
        if let Some(interruption) = &mut self.host.time.interruption {
            interruption.clear_deadline();
        }
    }
}

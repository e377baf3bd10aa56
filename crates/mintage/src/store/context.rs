//! [`StoreContext`] and [`StoreContextMut`]: references to a store, and what can be used as one.

use super::{Store, StoreInner};
use crate::Engine;

/// A shared reference to a [`Store`].
pub struct StoreContext<'a, T: 'static>(pub(crate) &'a StoreInner<T>);

impl<T> Clone for StoreContext<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StoreContext<'_, T> {}

impl<'a, T> StoreContext<'a, T> {
    /// Returns the host's data.
    pub fn data(&self) -> &'a T {
        &self.0.host.data
    }

    /// Returns the engine.
    pub fn engine(&self) -> &'a Engine {
        &self.0.opaque.engine
    }
}

/// An exclusive reference to a [`Store`], which host functions get.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) &'a mut StoreInner<T>);

impl<T> StoreContextMut<'_, T> {
    /// Returns the host's data.
    pub fn data(&self) -> &T {
        &self.0.host.data
    }

    /// Returns the host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.host.data
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.0.opaque.engine
    }
}

/// A store, or a reference to one, for shared use.
pub trait AsContext {
    /// The type of the host's data.
    type Data: 'static;

    /// Returns the store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// A store, or a reference to one, for exclusive use.
pub trait AsContextMut: AsContext {
    /// Returns the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(&self.inner)
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(&mut self.inner)
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        *self
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}

impl<'a, S: AsContext> From<&'a S> for StoreContext<'a, S::Data> {
    fn from(store: &'a S) -> Self {
        store.as_context()
    }
}

impl<'a, S: AsContext> From<&'a mut S> for StoreContext<'a, S::Data> {
    fn from(store: &'a mut S) -> Self {
        S::as_context(store)
    }
}

impl<'a, T> From<StoreContextMut<'a, T>> for StoreContext<'a, T> {
    fn from(store: StoreContextMut<'a, T>) -> Self {
        StoreContext(store.0)
    }
}

impl<'a, S: AsContextMut> From<&'a mut S> for StoreContextMut<'a, S::Data> {
    fn from(store: &'a mut S) -> Self {
        store.as_context_mut()
    }
}

impl<S: AsContext> AsContext for &S {
    type Data = S::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContext> AsContext for &mut S {
    type Data = S::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContextMut> AsContextMut for &mut S {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        S::as_context_mut(self)
    }
}

impl<S: AsContext + ?Sized> AsContext for Box<S> {
    type Data = S::Data;

    #[inline]
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContextMut + ?Sized> AsContextMut for Box<S> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        S::as_context_mut(self)
    }
}

//! [`Access`]: the store, for host functions that need more than the host's data.

use super::{AccessorTask, HasData, HasSelf, JoinHandle, spawn};
use crate::Result;
use crate::{AsContext, AsContextMut, StoreContext, StoreContextMut};

/// The store, and the way from its data to what implements an interface. Host functions with the
/// flag `store` of [`bindgen!`](macro@crate::bindgen) get it in place of `&mut self`, so that they
/// can call guests, drop resources of guests, or set fuel.
///
/// ```
/// # #[cfg(feature = "macros")]
/// # mod example {
/// mintage::bindgen!({
///     inline: r#"
///         package example:clock;
///         world clock {
///             import fuel-left: func() -> u64;
///         }
///     "#,
///     imports: { "fuel-left": store | trappable },
/// });
///
/// use mintage::component::{Access, HasData};
///
/// struct HasClock;
///
/// impl HasData for HasClock {
///     type Data<'a> = &'a mut Host;
/// }
///
/// struct Host {
///     questions: u32,
/// }
///
/// impl<T> ClockImportsWithStore<T> for HasClock {
///     fn fuel_left(mut host: Access<'_, T, Self>) -> mintage::Result<u64> {
///         host.get().questions += 1;
///         mintage::AsContext::as_context(&host).get_fuel()
///     }
/// }
///
/// impl ClockImports for Host {}
/// # }
/// # fn main() {}
/// ```
pub struct Access<'a, T: 'static, D: HasData + ?Sized = HasSelf<T>> {
    store: StoreContextMut<'a, T>,
    getter: fn(&mut T) -> D::Data<'_>,
}

impl<'a, T: 'static, D: HasData + ?Sized> Access<'a, T, D> {
    /// Creates an access to a store. `getter` finds in its data what implements an interface.
    pub fn new(store: StoreContextMut<'a, T>, getter: fn(&mut T) -> D::Data<'_>) -> Self {
        Access { store, getter }
    }

    /// Returns the data of the store.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// Returns what implements the interface.
    pub fn get(&mut self) -> D::Data<'_> {
        (self.getter)(self.store.data_mut())
    }

    /// Runs a task in the background; see [`Accessor::spawn`](crate::Accessor::spawn).
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn spawn(&mut self, task: impl AccessorTask<T, D>) -> Result<JoinHandle> {
        spawn::spawn(self.store.0, self.getter, task)
    }

    /// Returns the function that finds what implements the interface.
    pub fn getter(&self) -> fn(&mut T) -> D::Data<'_> {
        self.getter
    }
}

impl<T: 'static, D: HasData + ?Sized> AsContext for Access<'_, T, D> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T: 'static, D: HasData + ?Sized> AsContextMut for Access<'_, T, D> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}

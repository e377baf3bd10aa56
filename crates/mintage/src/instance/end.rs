//! The end of an instance before that of its store.

use super::Instance;
use crate::error::Result;
use crate::{ResourceType, Store, StoreContextMut};

impl<T: 'static> Store<T> {
    /// Drops an instance before its store, for example a plug-in that has trapped and is replaced.
    /// This costs what the reset of its memory costs.
    ///
    /// - No guest code runs. Destructors are not called, as when a store is dropped.
    /// - What limits have counted of the instance is free again: the instance, its memories and
    ///   tables, and their sizes, which [`ResourceLimiter::memory_released`] and
    ///   [`table_released`](crate::ResourceLimiter::table_released) get.
    /// - Using its [`Instance`], [`Func`](crate::Func), [`TypedFunc`](crate::TypedFunc) or
    ///   [`ResourceAny`](crate::ResourceAny) is an error from then on. They never mean a later
    ///   instance.
    /// - A resource of the host that the host got from the instance as a `ResourceAny` stays
    ///   usable.
    ///
    /// Returns the resources of the host that the instance still owned: types and
    /// representations. The host may have values for them, for example in a
    /// [`ResourceTable`](crate::ResourceTable), which it now removes.
    ///
    /// ```
    /// # #[cfg(feature = "compiler")]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{Component, Engine, Linker, Store};
    ///
    /// let engine = Engine::default();
    /// let plugin = Component::new(
    ///     &engine,
    ///     r#"(component
    ///         (core module $m
    ///             (func (export "check") (param i32)
    ///                 (if (i32.eqz (local.get 0)) (then unreachable))))
    ///         (core instance $i (instantiate $m))
    ///         (func (export "check") (param "x" u32) (canon lift (core func $i "check"))))"#,
    /// )?;
    /// let pre = Linker::new(&engine).instantiate_pre(&plugin)?;
    /// let mut store = Store::new(&engine, ());
    /// let mut instance = pre.instantiate(&mut store)?;
    /// for x in [1, 0, 2] {
    ///     let check = instance.get_typed_func::<(u32,), ()>(&mut store, "check")?;
    ///     if check.call(&mut store, (x,)).is_err() {
    ///         // An instance that has trapped cannot be entered again. Replace it.
    ///         store.drop_instance(instance)?;
    ///         instance = pre.instantiate(&mut store)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "compiler"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// - If the instance is not in this store, or was dropped before.
    /// - If a call into it is under way: in a host function that it has called, directly or not.
    ///   The same holds for a host function that it exports again.
    ///
    /// [`ResourceLimiter::memory_released`]: crate::ResourceLimiter::memory_released
    pub fn drop_instance(&mut self, instance: Instance) -> Result<Vec<(ResourceType, u32)>> {
        crate::AsContextMut::as_context_mut(self).drop_instance(instance)
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// Drops an instance, as [`Store::drop_instance`] does.
    ///
    /// # Errors
    ///
    /// As [`Store::drop_instance`].
    pub fn drop_instance(&mut self, instance: Instance) -> Result<Vec<(ResourceType, u32)>> {
        self.0.drop_instance(instance.store, instance.id)
    }
}

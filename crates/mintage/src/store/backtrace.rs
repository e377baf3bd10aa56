//! [`WasmBacktrace`] of the guests that wait for a host function.

use crate::{AsContext, WasmBacktrace};

impl WasmBacktrace {
    /// Returns the wasm functions of a store that are active on this thread: in a host function,
    /// those that have called it. There are none outside of calls, and none in an asynchronous host
    /// function after it has waited. Functions that are inlined are missing.
    ///
    /// ```
    /// # #[cfg(feature = "compiler")]
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::component::{Component, Linker};
    /// use mintage::{Config, Engine, Inlining, Store, StoreContextMut, WasmBacktrace};
    ///
    /// let engine = Engine::new(Config::new().compiler_inlining(Inlining::No))?;
    /// let component = Component::new(
    ///     &engine,
    ///     r#"(component
    ///         (import "where" (func $where))
    ///         (core func $where (canon lower (func $where)))
    ///         (core module $guest
    ///             (import "" "where" (func $where))
    ///             (func $inner call $where)
    ///             (func $outer (export "run") call $inner))
    ///         (core instance $i (instantiate $guest
    ///             (with "" (instance (export "where" (func $where))))))
    ///         (func (export "run") (canon lift (core func $i "run"))))"#,
    /// )?;
    /// type Names = Vec<String>;
    /// let mut linker = Linker::<Names>::new(&engine);
    /// linker.root().func_wrap("where", |mut store: StoreContextMut<'_, Names>, (): ()| {
    ///     for frame in WasmBacktrace::capture(&store).frames() {
    ///         store.data_mut().extend(frame.func_name().map(String::from));
    ///     }
    ///     Ok(())
    /// })?;
    /// let mut store = Store::new(&engine, Names::new());
    /// let instance = linker.instantiate(&mut store, &component)?;
    /// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    /// assert_eq!(store.data(), &["inner", "outer"]);
    /// assert!(WasmBacktrace::capture(&store).frames().is_empty());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "compiler"))]
    /// # fn main() {}
    /// ```
    pub fn capture(store: impl AsContext) -> WasmBacktrace {
        let store = store.as_context();
        WasmBacktrace::new(mintage_runtime::backtrace(store.0.opaque.current.get()))
    }

    /// Returns the active wasm functions, as [`capture`](Self::capture) does. No setting turns that
    /// off here.
    pub fn force_capture(store: impl AsContext) -> WasmBacktrace {
        Self::capture(store)
    }
}

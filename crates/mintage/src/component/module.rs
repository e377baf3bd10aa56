//! Core modules: as components, and what stands for them by themselves, which this engine does not
//! have.

#[cfg(feature = "compiler")]
use super::{compile::Kind, text};
use crate::error::{ErrorKind, Module, Result};
#[cfg(feature = "compiler")]
use crate::{Component, error::Context};
use crate::{Engine, Error};

#[cfg(feature = "compiler")]
impl Component {
    /// Compiles a core module, in binary or text form, as a component.
    ///
    /// The component has the names of the module:
    ///
    /// - An import `"env" "foo"` is the function `foo` in the instance `env`, which the host
    ///   defines with [`Linker::instance`](crate::Linker::instance). With
    ///   [`func_wrap_caller`](crate::LinkerInstance::func_wrap_caller), the function gets the
    ///   memory of the module.
    /// - An exported function has its own name, such as `_start`.
    ///
    /// `i32`, `i64`, `f32` and `f64` of the module are these types in Rust, and `s32`, `s64`, `f32`
    /// and `f64` in the component. As in all components, NaNs have no payload after they passed
    /// between host and guest. Exported functions that pass other values, or have more than 16
    /// parameters or one result, are not exported by the component. Nor are memories, tables and
    /// globals.
    ///
    /// A module for WASI preview 1 needs the definitions of the crate `mintage-wasi`
    /// (`p1::add_to_linker_sync`).
    ///
    /// ```
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{Component, Engine, Linker, Store};
    ///
    /// let engine = Engine::default();
    /// let component = Component::from_module(
    ///     &engine,
    ///     r#"(module
    ///         (import "env" "base" (func $base (result i32)))
    ///         (func (export "add_base") (param i32) (result i32)
    ///             (i32.add (local.get 0) (call $base))))"#,
    /// )?;
    /// let mut linker = Linker::new(&engine);
    /// linker.instance("env")?.func_wrap("base", |_, (): ()| Ok((40i32,)))?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = linker.instantiate(&mut store, &component)?;
    /// let add = instance.get_typed_func::<(i32,), (i32,)>(&mut store, "add_base")?;
    /// assert_eq!(add.call(&mut store, (2,))?, (42,));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidComponent`] if the bytes are not a core module, or it is invalid.
    /// - [`ErrorKind::Unsupported`] if the module imports something else than functions over
    ///   numbers (the error names all such imports), exports another memory than its first one as
    ///   `memory`, or uses a feature that is off or not supported.
    pub fn from_module(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component> {
        Self::compile(
            engine,
            Kind::Module,
            bytes.as_ref(),
            &mintage_compile::NoProgress,
        )
    }
}

#[cfg(feature = "compiler")]
impl Engine {
    /// Compiles a core module, in binary or text form, to an artifact, which
    /// [`Component::deserialize`] and [`Component::deserialize_file`] load as a component: that of
    /// [`Component::from_module`].
    ///
    /// # Errors
    ///
    /// As [`Component::from_module`].
    pub fn precompile_module(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let binary = text::to_binary(bytes, None)?;
        self.precompile_component(&wrap(self, &binary)?)
    }
}

/// Returns the component in binary form that a core module in binary form is compiled as.
///
/// # Errors
///
/// As [`Component::from_module`], except for errors in functions.
#[cfg(feature = "compiler")]
pub(super) fn wrap(engine: &Engine, module: &[u8]) -> Result<Vec<u8>> {
    let features = engine.config().tunables.features;
    let wrapped = mintage_compile::wrap(module, features);
    wrapped.context("cannot make a component of the core module")
}

impl Module {
    /// Returns the error that says how core modules are used here. Wasmtime compiles a core module
    /// by the method of this name.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn new(_engine: &Engine, _bytes: impl AsRef<[u8]>) -> Result<Module> {
        Err(Self::unsupported())
    }

    /// Makes the error for a core module that is used by itself.
    #[cold]
    pub(crate) fn unsupported() -> Error {
        Error::new(ErrorKind::Unsupported.error(
            "core modules are not used by themselves: compile a module as a component with \
             `Component::from_module`, or give one that a component imports to \
             `CodeBuilder::core_module`, which compiles it with the component",
        ))
    }
}

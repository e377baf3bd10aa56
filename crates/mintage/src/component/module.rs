//! What stands for core modules by themselves, which this engine does not have.

use crate::error::{ErrorKind, Module, Result};
use crate::{Engine, Error};

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
            "core modules are not used by themselves: give a module that a component imports to \
             `CodeBuilder::core_module`, which compiles it with the component, and make a \
             component of any other module with `wasm-tools component new`",
        ))
    }
}

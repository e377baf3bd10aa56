//! From the bytes of a component to machine code.

use super::input::require_binary;
use super::{Component, load_check, text};
use crate::Engine;
use crate::error::{Context, Result, ensure};
use mintage_artifact::Check;
use mintage_runtime::Code;
use std::path::Path;

impl Component {
    /// Compiles a component, in binary or text form.
    ///
    /// # Errors
    ///
    /// If the component is invalid ([`ErrorKind::InvalidComponent`](crate::ErrorKind)), or uses a
    /// feature that is off or not supported. The error names the place.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component> {
        Self::new_with_progress(engine, bytes, &mintage_compile::NoProgress)
    }

    /// Compiles a component as [`Component::new`] does, and reports progress to `progress`.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    pub fn new_with_progress(
        engine: &Engine,
        bytes: impl AsRef<[u8]>,
        progress: &dyn mintage_compile::Progress,
    ) -> Result<Component> {
        let bytes = bytes.as_ref();
        #[cfg(feature = "cache")]
        let key = match Self::find_cached(engine, &mut { bytes }) {
            Ok(component) => return Ok(component),
            Err(key) => key,
        };
        let options = mintage_compile::Options::default();
        let artifact = engine.precompile_component_with(bytes, &options, progress)?;
        #[cfg(feature = "cache")]
        Self::keep_in_cache(engine, key, &artifact);
        // SAFETY: the compiler made the artifact just now.
        let code = unsafe {
            Code::from_bytes(
                &artifact,
                &load_check(engine, Check::Metadata),
                engine.pool(),
            )
        }?;
        Self::from_code(engine, code)
    }

    /// Compiles the component in a file, in binary or text form.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, and as [`Component::new`].
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        #[cfg(feature = "cache")]
        if let Some(component) = Self::from_cache(engine, path) {
            return Ok(component);
        }
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let binary = text::to_binary(&bytes, Some(path));
        let component = binary.and_then(|binary| Self::new(engine, binary));
        component.with_context(|| format!("cannot compile {}", path.display()))
    }

    /// Compiles a component in binary form only.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Component> {
        require_binary(bytes)?;
        Self::new(engine, bytes)
    }
}

impl Engine {
    /// Compiles a component, in binary or text form, to an artifact, which
    /// [`Component::deserialize`] and [`Component::deserialize_file`] load.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    pub fn precompile_component(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.precompile_component_with(
            bytes,
            &mintage_compile::Options::default(),
            &mintage_compile::NoProgress,
        )
    }

    /// Describes the compiled form of a component, for people: its component instances, core
    /// instances, adapters and functions, and their layout in memory. The format may change.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    pub fn describe_component(&self, bytes: &[u8]) -> Result<String> {
        let binary = text::to_binary(bytes, None)?;
        Ok(mintage_compile::describe(&binary, &self.config().tunables)?)
    }

    /// Returns the imports and exports of a component in binary form, with their types, whichever
    /// features it uses.
    ///
    /// # Errors
    ///
    /// If the bytes are not a valid component.
    #[doc(hidden)]
    pub fn describe_interface(
        bytes: &[u8],
    ) -> Result<mintage_environ::component::ComponentInterface> {
        Ok(mintage_compile::interface(bytes)?)
    }

    /// As [`precompile_component`](Self::precompile_component), with options and reports of
    /// progress.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    #[doc(hidden)]
    pub fn precompile_component_with(
        &self,
        bytes: &[u8],
        options: &mintage_compile::Options,
        progress: &dyn mintage_compile::Progress,
    ) -> Result<Vec<u8>> {
        ensure!(
            self.config().compiles,
            "the engine compiles no components (`Config::enable_compiler(false)`); load an artifact"
        );
        let binary = text::to_binary(bytes, None)?;
        let tunables = &self.config().tunables;
        let options = mintage_compile::Options {
            limits: self.config().compile_limits.clone(),
            ..*options
        };
        let compile = || mintage_compile::compile_with(&binary, tunables, &options, progress);
        Ok(self.compilers().run(compile)?)
    }
}

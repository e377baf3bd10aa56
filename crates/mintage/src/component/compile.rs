//! From the bytes of a component to machine code.

use super::input::require_binary;
use super::{Component, load_check, text};
use crate::Engine;
use crate::error::dwarf::DebugInfo;
use crate::error::{Context, Result, ensure};
use mintage_artifact::Check;
use mintage_runtime::Code;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// What bytes are compiled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A component.
    Component,
    /// A core module, of which a component is made.
    Module,
}

impl Kind {
    /// Returns the kind of bytes that begin with `start`. What is not in binary form is a
    /// component.
    #[cfg(feature = "cache")]
    pub fn of(start: &[u8]) -> Kind {
        match start.starts_with(b"\0asm\x01\0\0\0") {
            true => Kind::Module,
            false => Kind::Component,
        }
    }

    /// Returns the component that is made of the bytes.
    pub fn component<'a>(self, engine: &Engine, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        match self {
            Kind::Component => Ok(bytes.into()),
            Kind::Module => {
                let binary = text::to_binary(bytes, None)?;
                Ok(super::module::wrap(engine, &binary)?.into())
            }
        }
    }
}

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
        Self::compile(engine, Kind::Component, bytes.as_ref(), progress)
    }

    /// Compiles what is in `bytes`, or takes it from the engine's cache.
    pub(super) fn compile(
        engine: &Engine,
        kind: Kind,
        bytes: &[u8],
        progress: &dyn mintage_compile::Progress,
    ) -> Result<Component> {
        #[cfg(feature = "cache")]
        let key = match Self::find_cached(engine, kind, &mut { bytes }) {
            Ok(component) => {
                if engine.config().backtrace_details {
                    component.keep_debug_info(&kind.component(engine, bytes)?);
                }
                return Ok(component);
            }
            Err(key) => key,
        };
        let input = kind.component(engine, bytes)?;
        let options = mintage_compile::Options::default();
        let artifact = engine.precompile_component_with(&input, &options, progress)?;
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
        let component = Self::from_code(engine, code)?;
        component.keep_debug_info(&input);
        Ok(component)
    }

    /// Compiles the component in a file, in binary or text form.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, and as [`Component::new`].
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        #[cfg(feature = "cache")]
        if let Some(component) = Self::from_cache_as(engine, path, Kind::Component) {
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

impl Component {
    /// Keeps the debug information in the bytes that were compiled, if backtraces have details.
    pub(super) fn keep_debug_info(&self, bytes: &[u8]) {
        if self.engine().config().backtrace_details
            && let Some(debug_info) = DebugInfo::of_component(bytes)
        {
            self.code()
                .set_debug_info(mintage_runtime::DebugInfo(Arc::new(debug_info)));
        }
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
        let config = self.config();
        #[cfg(feature = "cache")]
        let cached = match (&config.functions, self.usable_cache()) {
            (None, Some(cache)) => cache.functions(binary.len()),
            _ => None,
        };
        let mut options = mintage_compile::Options {
            target: config.target.clone(),
            limits: config.compile_limits.clone(),
            functions: config.functions.clone(),
            ..*options
        };
        #[cfg(feature = "cache")]
        if let Some(cached) = &cached {
            options.functions = Some(cached.as_compiler_cache());
        }
        let compile =
            || mintage_compile::compile_with(&binary, &config.tunables, &options, progress);
        let artifact = self.compilers().run(compile)?;
        #[cfg(feature = "cache")]
        if let Some(cached) = cached {
            cached.keep();
        }
        Ok(artifact)
    }
}

//! [`CodeBuilder`]: compiling a component together with core modules that it imports.

use super::text::to_binary;
use crate::error::{Context, Result, ensure};
use crate::{Component, Engine};
use mintage_compile::SuppliedModule;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Compiles a component from several inputs: its bytes, and core modules for those that it imports.
///
/// A component is compiled as a closed world. The core modules that it imports are therefore given
/// to the builder rather than to the [`Linker`](crate::Linker). Calls into and out of them then
/// cost as much as calls within a component.
///
/// ```
/// # use mintage::{CodeBuilder, Engine, Linker, Store};
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::default();
/// let component = CodeBuilder::new(&engine)
///     .wasm_binary_or_text(
///         br#"(component
///             (import "math" (core module $math
///                 (export "double" (func (param i32) (result i32)))))
///             (core instance $i (instantiate $math))
///             (func (export "double") (param "x" u32) (result u32)
///                 (canon lift (core func $i "double"))))"#,
///         None,
///     )?
///     .core_module("math", br#"(module (func (export "double") (param i32) (result i32)
///         (i32.mul (local.get 0) (i32.const 2))))"#)?
///     .compile_component()?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let double = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "double")?;
/// assert_eq!(double.call(&mut store, (21,))?, (42,));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CodeBuilder<'a> {
    engine: &'a Engine,
    /// The component in binary form.
    wasm: Option<Cow<'a, [u8]>>,
    /// Its origin, for errors.
    path: Option<PathBuf>,
    /// Core modules in binary form, by the names of their imports.
    modules: Vec<(String, Cow<'a, [u8]>)>,
}

impl<'a> CodeBuilder<'a> {
    /// Creates a builder without inputs.
    pub fn new(engine: &'a Engine) -> CodeBuilder<'a> {
        CodeBuilder {
            engine,
            wasm: None,
            path: None,
            modules: Vec::new(),
        }
    }

    /// Sets the component, in binary form. Errors name `path`, if there is one.
    ///
    /// # Errors
    ///
    /// When a component is set already, or the bytes are not a component in binary form.
    pub fn wasm_binary(
        &mut self,
        bytes: impl Into<Cow<'a, [u8]>>,
        path: Option<&Path>,
    ) -> Result<&mut Self> {
        let bytes = bytes.into();
        super::input::require_binary(&bytes).with_context(|| describe(path))?;
        self.set(bytes, path)
    }

    /// Sets the component, in binary or text form. Errors name `path`, if there is one.
    ///
    /// # Errors
    ///
    /// When a component is set already, or the bytes are neither a component in binary form nor a
    /// text that parses.
    pub fn wasm_binary_or_text(
        &mut self,
        bytes: &'a [u8],
        path: Option<&Path>,
    ) -> Result<&mut Self> {
        let bytes = to_binary(bytes, path).with_context(|| describe(path))?;
        self.set(bytes, path)
    }

    /// Sets the component to what is in a file, in binary form.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`wasm_binary`](Self::wasm_binary).
    pub fn wasm_binary_file(&mut self, file: &Path) -> Result<&mut Self> {
        let bytes = read(file)?;
        self.wasm_binary(bytes, Some(file))
    }

    /// Sets the component to what is in a file, in binary or text form.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`wasm_binary_or_text`](Self::wasm_binary_or_text).
    pub fn wasm_binary_or_text_file(&mut self, file: &Path) -> Result<&mut Self> {
        let bytes = read(file)?;
        let binary = to_binary(&bytes, Some(file)).with_context(|| describe(Some(file)))?;
        self.set(Cow::Owned(binary.into_owned()), Some(file))
    }

    /// Gives the core module that the component imports as `name` at its root, in binary or text
    /// form.
    ///
    /// # Errors
    ///
    /// When the bytes are not a core module, or the name has one already.
    /// [`compile_component`](Self::compile_component) checks that the component has such an import,
    /// of a type that the module is of.
    pub fn core_module(&mut self, name: &str, bytes: &'a [u8]) -> Result<&mut Self> {
        ensure!(
            self.modules.iter().all(|(known, _)| known != name),
            "two core modules are given for the import `{name}`"
        );
        let binary = to_binary(bytes, None)
            .with_context(|| format!("in the core module for the import `{name}`"))?;
        self.modules.push((name.into(), binary));
        Ok(self)
    }

    /// Compiles the component.
    ///
    /// # Errors
    ///
    /// When no component is set, when a given core module does not fit an import, and as
    /// [`Component::new`].
    pub fn compile_component(&self) -> Result<Component> {
        Component::new(self.engine, self.input()?).with_context(|| self.describe())
    }

    /// Compiles the component to an artifact, as [`Engine::precompile_component`] does.
    ///
    /// # Errors
    ///
    /// As [`compile_component`](Self::compile_component).
    pub fn compile_component_serialized(&self) -> Result<Vec<u8>> {
        self.engine
            .precompile_component(&self.input()?)
            .with_context(|| self.describe())
    }

    /// Returns the binary that is compiled: the component with the given core modules in the place
    /// of its imports.
    ///
    /// # Errors
    ///
    /// When no component is set, or a given core module does not fit an import.
    pub fn input(&self) -> Result<Cow<'_, [u8]>> {
        let wasm = self
            .wasm
            .as_deref()
            .context("no component is set to be compiled")?;
        if self.modules.is_empty() {
            return Ok(Cow::Borrowed(wasm));
        }
        let modules = self.modules.iter();
        let modules: Vec<_> = modules
            .map(|(name, bytes)| SuppliedModule { name, bytes })
            .collect();
        let features = self.engine.config().tunables.features;
        let supplied = mintage_compile::supply(wasm, &modules, features);
        Ok(Cow::Owned(supplied.with_context(|| self.describe())?))
    }

    fn set(&mut self, bytes: Cow<'a, [u8]>, path: Option<&Path>) -> Result<&mut Self> {
        ensure!(
            self.wasm.is_none(),
            "a component is set to be compiled already"
        );
        self.wasm = Some(bytes);
        self.path = path.map(Path::to_path_buf);
        Ok(self)
    }

    fn describe(&self) -> String {
        describe(self.path.as_deref())
    }
}

/// Names what is compiled, as the context of an error.
fn describe(path: Option<&Path>) -> String {
    match path {
        Some(path) => format!("cannot compile {}", path.display()),
        None => "cannot compile the component".into(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

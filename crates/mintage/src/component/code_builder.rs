//! [`CodeBuilder`]: compiling a component together with core modules and components that implement
//! its imports.

use super::text::to_binary;
use crate::error::{Context, Result, ensure};
use crate::{Component, Engine};
use mintage_compile::{Part, SuppliedModule};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Compiles a component from several inputs: its bytes, core modules for those that it imports, and
/// other components that implement its imports.
///
/// A component is compiled as a closed world. The core modules and components that it imports are
/// therefore given to the builder rather than to the [`Linker`](crate::Linker). Calls into and out
/// of core modules then cost as much as calls within a component.
///
/// # Core modules
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
///
/// # Components
///
/// A **plug** is a component that implements imports of another one. Both are compiled as one
/// program, in which a call from one to the other is an adapter: it copies values straight from
/// memory to memory. Each component keeps its own memories and handles.
///
/// ```
/// # use mintage::{CodeBuilder, Engine, Linker, Store};
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::default();
/// let app = br#"(component
///     (import "demo:math/math" (instance $math
///         (export "double" (func (param "x" u32) (result u32)))))
///     (core func $double (canon lower (func $math "double")))
///     (core module $m
///         (import "" "double" (func $double (param i32) (result i32)))
///         (func (export "run") (param i32) (result i32)
///             (i32.add (call $double (local.get 0)) (i32.const 2))))
///     (core instance $i (instantiate $m
///         (with "" (instance (export "double" (func $double))))))
///     (func (export "run") (param "x" u32) (result u32)
///         (canon lift (core func $i "run"))))"#;
/// let math = br#"(component
///     (core module $m
///         (func (export "double") (param i32) (result i32)
///             (i32.shl (local.get 0) (i32.const 1))))
///     (core instance $i (instantiate $m))
///     (func $double (param "x" u32) (result u32) (canon lift (core func $i "double")))
///     (instance $math (export "double" (func $double)))
///     (export "demo:math/math" (instance $math)))"#;
/// let component = CodeBuilder::new(&engine)
///     .wasm_binary_or_text(app, None)?
///     .plug(math, None)?
///     .compile_component()?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
/// assert_eq!(run.call(&mut store, (20,))?, (42,));
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
    /// Components that implement imports, in binary form, with their names in errors.
    plugs: Vec<(String, Cow<'a, [u8]>)>,
}

impl<'a> CodeBuilder<'a> {
    /// Creates a builder without inputs.
    pub fn new(engine: &'a Engine) -> CodeBuilder<'a> {
        CodeBuilder {
            engine,
            wasm: None,
            path: None,
            modules: Vec::new(),
            plugs: Vec::new(),
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

    /// Sets the component to the one that a core module is compiled as by
    /// [`Component::from_module`]. The module is in binary or text form. Errors name `path`, if
    /// there is one.
    ///
    /// # Errors
    ///
    /// When a component is set already, the bytes are not a core module, or it has imports that
    /// [`Component::from_module`] refuses.
    pub fn module_binary_or_text(
        &mut self,
        bytes: &[u8],
        path: Option<&Path>,
    ) -> Result<&mut Self> {
        let wrapped = to_binary(bytes, path)
            .and_then(|binary| super::module::wrap(self.engine, &binary))
            .with_context(|| describe(path))?;
        self.set(Cow::Owned(wrapped), path)
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

    /// Adds a component, in binary or text form, that implements imports of the component or of
    /// other plugs. Errors name `path`, if there is one.
    ///
    /// - An import of the component is implemented by the first plug that exports its name, or else
    ///   by the first one that exports a semver-compatible version of it (`ns:pkg/iface@1.3.0` for
    ///   `ns:pkg/iface@1.2.1`).
    /// - An import of a plug is looked up in the plugs that are added after it, and then in those
    ///   before it. So plugs that import and export the same interface form a chain.
    /// - All other imports are imports of the whole, which the host implements. An interface that
    ///   several components import is imported once, with the highest of its compatible versions
    ///   and all functions that any of them imports. Its resource types are the same for all.
    /// - The whole exports what the component exports.
    ///
    /// Each plug is instantiated once, whichever number of components import from it.
    ///
    /// # Errors
    ///
    /// When the bytes are neither a component in binary form nor a text that parses.
    /// [`compile_component`](Self::compile_component) checks that something imports from the plug,
    /// that the types match, and that plugs do not import from each other in a circle.
    pub fn plug(&mut self, bytes: &'a [u8], path: Option<&Path>) -> Result<&mut Self> {
        let name = match path {
            Some(path) => path.display().to_string(),
            None => format!("plug {}", self.plugs.len() + 1),
        };
        let binary = to_binary(bytes, path).with_context(|| format!("in `{name}`"))?;
        self.plugs.push((name, binary));
        Ok(self)
    }

    /// Compiles the component.
    ///
    /// # Errors
    ///
    /// When no component is set, when a given core module or plug does not fit an import, and as
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
    /// of its imports, composed with the plugs.
    ///
    /// # Errors
    ///
    /// When no component is set, or a given core module or plug does not fit an import.
    pub fn input(&self) -> Result<Cow<'_, [u8]>> {
        let wasm = self
            .wasm
            .as_deref()
            .context("no component is set to be compiled")?;
        let mut input = Cow::Borrowed(wasm);
        let features = self.engine.config().tunables.features;
        if !self.modules.is_empty() {
            let modules = self.modules.iter();
            let modules: Vec<_> = modules
                .map(|(name, bytes)| SuppliedModule { name, bytes })
                .collect();
            let supplied = mintage_compile::supply(&input, &modules, features);
            input = Cow::Owned(supplied.with_context(|| self.describe())?);
        }
        if !self.plugs.is_empty() {
            let plugs = self.plugs.iter();
            let plugs: Vec<_> = plugs.map(|(name, bytes)| Part { name, bytes }).collect();
            let path = self.path.as_ref().map(|path| path.display().to_string());
            let socket = Part {
                name: path.as_deref().unwrap_or("the component"),
                bytes: &input,
            };
            let composed = mintage_compile::compose(socket, &plugs, features);
            input = Cow::Owned(composed.context("cannot compose the components")?);
        }
        Ok(input)
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

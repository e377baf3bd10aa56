//! Rust bindings of WIT worlds for hosts: the generator behind `mintage::bindgen!`.
//!
//! ```text
//! Options, Resolve, WorldId -> Generator   names and modules of all interfaces    names.rs
//! types of an interface     -> items       structs, enums, aliases                types.rs
//! imported functions        -> items       the `Host` traits, `add_to_linker`     imports.rs
//! exported functions        -> items       `Guest` with its `call_*` functions    exports.rs
//! world                     -> items       the world's struct, `Pre`, `Indices`   world.rs
//! ```
//!
//! Generated code names only paths of its own modules and of the crate that [`Options::krate`]
//! names. The hidden module of that crate has what the code needs beside the public API.

mod exports;
mod functions;
mod imports;
mod items;
mod names;
mod options;
mod types;
mod world;

pub use options::{FunctionFlags, FunctionRule, Options};

use anyhow::Result;
use indexmap::{IndexMap, IndexSet};
use names::Modules;
use options::Used;
use proc_macro2::{Ident, TokenStream};
use wit_parser::{InterfaceId, Resolve, TypeId, WorldId};

/// Generates the bindings of a world.
///
/// # Errors
///
/// When the world has what is not supported, such as streams, or an option fits nothing in it. The
/// error names the WIT file and line.
pub fn generate(options: &Options, resolve: &Resolve, world: WorldId) -> Result<TokenStream> {
    let mut generator = Generator::new(options, resolve, world)?;
    generator.world()?;
    generator.used.check(options)?;
    Ok(generator.modules.into_tokens())
}

/// Bindings under construction.
struct Generator<'a> {
    options: &'a Options,
    resolve: &'a Resolve,
    world: WorldId,
    /// All that is generated, by module.
    modules: Modules,
    /// The place of each imported interface's module.
    imported: IndexMap<InterfaceId, Placed>,
    exported: IndexMap<InterfaceId, Placed>,
    /// Facts about each type.
    info: IndexMap<TypeId, types::TypeInfo>,
    /// Types that are an error of some function's result.
    errors: IndexSet<TypeId>,
    /// Which options were of use.
    used: Used,
    /// The names, at the root of the bindings, of the paths that options give. Paths mean what they
    /// mean where the macro is used, so modules further in refer to these names.
    given: IndexMap<String, Ident>,
}

/// The place of an interface's module.
#[derive(Clone, Debug)]
struct Placed {
    /// The modules from the root of the bindings.
    path: Vec<String>,
    /// The name, at the root of the bindings, of a module that takes its place by the option
    /// `with`.
    replaced: Option<Ident>,
}

/// Whose items are generated: the direction decides which types are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Import,
    Export,
}

/// The module for which code is generated.
#[derive(Clone)]
struct Scope {
    direction: Direction,
    /// The number of modules between it and the root of the bindings.
    depth: usize,
    /// The interface; none for the world itself.
    interface: Option<InterfaceId>,
}

//! Rust bindings of WIT worlds for hosts: the generator behind `mintage::bindgen!`.
//!
//! ```text
//! Options, Resolve, WorldId -> Plan    what options mean, module paths  plan.rs, lookup.rs
//! types                 -> facts       who owns, borrows, fails         types.rs
//! types of an interface -> items       structs, enums, aliases          items.rs
//! imported functions    -> traits      what hosts implement             imports.rs
//! imported functions    -> closures    their way into a linker          linking.rs, tracing.rs
//! exported functions    -> items       `Guest` with its `call_*`        exports.rs
//! world                 -> items       `add_to_linker`; instances       world.rs, instances.rs
//! @unstable             -> items       `LinkOptions`                    features.rs
//! ```
//!
//! Generated code names only paths of its own modules, of the crate that [`Options::krate`] names,
//! of `core` and `std`, and of `tracing` if the options ask for it. The hidden module of the crate
//! has what the code needs beside the public API.

mod exports;
mod features;
mod functions;
mod imports;
mod instances;
mod items;
mod linking;
mod lookup;
mod names;
mod options;
mod plan;
mod tracing;
mod types;
mod world;

pub use options::{Filter, FunctionFlags, FunctionRule, FunctionRules, Options, Ownership};

use anyhow::{Context, Result};
use indexmap::IndexMap;
use names::Modules;
use plan::Plan;
use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{InterfaceId, Resolve, TypeId, WorldId};

/// Generates the bindings of a world. Interfaces that it imports and exports become two in
/// `resolve`.
///
/// # Errors
///
/// When the world has what is not supported, such as streams, or an option fits nothing in it. The
/// error names the WIT file and line.
pub fn generate(options: &Options, resolve: &mut Resolve, world: WorldId) -> Result<TokenStream> {
    let component_type = match options.include_component_type {
        true => Some(component_type(resolve, world)?),
        false => None,
    };
    resolve.generate_nominal_type_ids(world);
    let mut generator = Generator::new(options, resolve, world)?;
    generator.world()?;
    generator
        .modules
        .add(&[], component_type.unwrap_or_default());
    Ok(generator.modules.into_tokens())
}

/// Returns a constant with the world in binary format.
fn component_type(resolve: &Resolve, world: WorldId) -> Result<TokenStream> {
    let encoding = wit_component::StringEncoding::UTF8;
    let encoded = wit_component::metadata::encode(resolve, world, encoding, None, false)
        .context("cannot encode the world for `include_component_type`")?;
    let encoded = proc_macro2::Literal::byte_string(&encoded);
    Ok(quote! {
        /// The WIT world of these bindings, in the binary format of WIT packages.
        pub const COMPONENT_TYPE: &[u8] = #encoded;
    })
}

/// Bindings under construction.
struct Generator<'a> {
    options: &'a Options,
    resolve: &'a Resolve,
    world: WorldId,
    /// The options, resolved against the world.
    plan: Plan,
    /// Facts about each type.
    info: IndexMap<TypeId, types::TypeInfo>,
    /// All that is generated, by module.
    modules: Modules,
}

/// The side that provides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The type that tells apart the names by which components import the interface, in a module
    /// of the option `named_imports`. Its types are in the module of the interface itself.
    id: Option<TokenStream>,
}

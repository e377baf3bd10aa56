//! Component bytes to a closed [`Program`].
//!
//! ```text
//! bytes -> parse::parse   -> Parsed    the component tree, every function body validated (in parallel)
//!       -> inline::inline -> Inlined   nesting, aliases and imports resolved; initial state computed
//!       -> reach::reach   -> Program   what nothing can reach is dropped, the rest numbered
//! ```
//!
//! Architecture invariant: nothing here knows how code is made.

#![forbid(unsafe_code)]

mod dump;
mod features;
mod inline;
mod ir;
mod parse;
mod reach;
mod supply;
mod verify;

use anyhow::Result;
use mintage_environ::component::ComponentInterface;
use mintage_environ::{Features, Tunables};

pub use features::wasm_features;
pub use ir::*;
pub use supply::{SuppliedModule, supply};
pub use verify::verify;

/// The program of the component in `bytes`.
///
/// # Errors
///
/// When the bytes are not a valid component, when the component uses something that is not
/// supported, or when it exceeds a limit. The message says what, where, and what to do.
pub fn build<'a>(bytes: &'a [u8], tunables: &Tunables) -> Result<Program<'a>> {
    let parsed = parse::parse(bytes, tunables.features)?;
    let inlined = inline::inline(&parsed, tunables)?;
    let program = reach::reach(parsed, inlined)?;
    if cfg!(debug_assertions) {
        verify(&program)?;
    }
    Ok(program)
}

/// Imports and exports of the component in `bytes`, with their types, also when the component uses
/// what is not supported yet. `lowers` and `initializers` are empty, and the keys of core functions
/// mean nothing.
///
/// # Errors
///
/// When the bytes are not a valid component of the supported features.
pub fn interface(bytes: &[u8], features: Features) -> Result<ComponentInterface> {
    let tunables = Tunables {
        features,
        ..Tunables::default()
    };
    let parsed = parse::parse(bytes, tunables.features)?;
    Ok(reach::interface_alone(inline::inline(&parsed, &tunables)?))
}

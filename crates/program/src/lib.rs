//! Turns component bytes into a closed [`Program`].
//!
//! ```text
//! bytes -> parse::parse   -> Parsed    the component tree, with all function bodies validated
//!       -> inline::inline -> Inlined   nesting, aliases and imports resolved, initial state known
//!       -> reach::reach   -> Program   unreachable items dropped, the others numbered
//! ```
//!
//! Before that, [`supply`] and [`compose`] put core modules and other components in the place of
//! imports, and [`wrap`] makes a component of a core module, all from bytes to bytes.
//! [`CodeInputs`] is the part of a program that the machine code of all functions depends on.
//!
//! Architecture invariant: this crate does not know how code is generated.

#![forbid(unsafe_code)]

mod code_inputs;
mod compose;
mod dump;
mod features;
mod inlinable;
mod inline;
mod ir;
mod parse;
mod reach;
mod supply;
mod verify;
mod wrap;

use anyhow::Result;
use mintage_environ::component::ComponentInterface;
use mintage_environ::{Features, Tunables};

pub use code_inputs::CodeInputs;
pub use compose::{Part, compose};
pub use features::wasm_features;
pub use ir::*;
pub use supply::{SuppliedModule, supply};
pub use verify::verify;
pub use wrap::wrap;

/// Builds the program of the component in `bytes`.
///
/// # Errors
///
/// If the bytes are not a valid component, if the component uses something that is not supported,
/// or if it exceeds a limit. The message says what is wrong, where, and what to do.
pub fn build<'a>(bytes: &'a [u8], tunables: &Tunables) -> Result<Program<'a>> {
    build_checked(bytes, tunables, &|| Ok(()))
}

/// A function that is called again and again during a long operation, by any thread. Its error ends
/// the operation.
pub type Check<'c> = &'c (dyn Fn() -> Result<()> + Sync);

/// As [`build`], with a `check` that is called before each function body and definition.
///
/// # Errors
///
/// Returns the errors of [`build`] and of `check`.
pub fn build_checked<'a>(
    bytes: &'a [u8],
    tunables: &Tunables,
    check: Check<'_>,
) -> Result<Program<'a>> {
    let parsed = parse::parse(bytes, tunables.features, check)?;
    let inlined = inline::inline(&parsed, tunables, check)?;
    let mut program = reach::reach(parsed, inlined)?;
    wrap::finish(bytes, &mut program)?;
    if cfg!(debug_assertions) {
        verify(&program)?;
    }
    Ok(program)
}

/// Returns the imports and exports of the component in `bytes`, with their types.
///
/// Nothing is compiled, so it also works for components that use unsupported built-ins. `lowers`
/// and
/// `initializers` are empty, and the keys of core functions are meaningless.
///
/// # Errors
///
/// If the bytes are not a valid component of the supported features.
pub fn interface(bytes: &[u8], features: Features) -> Result<ComponentInterface> {
    let tunables = Tunables {
        features,
        ..Tunables::default()
    };
    let parsed = parse::parse(bytes, tunables.features, &|| Ok(()))?;
    let inlined = inline::inline(&parsed, &tunables, &|| Ok(()))?;
    let mut interface = reach::interface_alone(inlined);
    wrap::finish_interface(bytes, &mut interface)?;
    Ok(interface)
}

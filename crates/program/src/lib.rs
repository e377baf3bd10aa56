//! Component bytes to a closed [`Program`].
//!
//! ```text
//! bytes -> parse::parse -> Parsed      the component tree, every function body validated (in parallel)
//!       -> inline::inline -> Program   nesting, aliases and imports resolved; initial state computed
//!       -> reach (inside inline)       functions that nothing can reach are dropped
//! ```
//!
//! Architecture invariant: nothing here knows how code is made.

#![forbid(unsafe_code)]

mod ir;

use anyhow::Result;
use mintage_environ::Tunables;

pub use ir::*;

/// The program of the component in `bytes`.
///
/// # Errors
///
/// When the bytes are not a valid component, when the component uses something that is not supported, or when it exceeds
/// a limit. The message says what, where, and what to do.
pub fn build<'a>(_bytes: &'a [u8], _tunables: &Tunables) -> Result<Program<'a>> {
    anyhow::bail!("building programs is not supported yet")
}

/// Checks the invariants of `program` from the result alone.
///
/// # Errors
///
/// Names the first invariant that does not hold.
pub fn verify(_program: &Program<'_>) -> Result<()> {
    Ok(())
}

/// The WebAssembly features that are supported: what the validator accepts.
pub fn features() -> wasmparser::WasmFeatures {
    wasmparser::WasmFeatures::WASM2
        .difference(wasmparser::WasmFeatures::SIMD)
        .union(wasmparser::WasmFeatures::MULTI_MEMORY)
        .union(wasmparser::WasmFeatures::EXTENDED_CONST)
        .union(wasmparser::WasmFeatures::COMPONENT_MODEL)
}

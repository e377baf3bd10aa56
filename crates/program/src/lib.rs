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

mod adapters;
mod dump;
mod inline;
mod ir;
mod parse;
mod reach;
mod supply;
mod verify;

use anyhow::Result;
use mintage_environ::component::ComponentInterface;
use mintage_environ::{Features, Tunables};
use wasmparser::WasmFeatures;

pub use ir::*;
pub use supply::{SuppliedModule, supply};
pub use verify::verify;

/// The program of the component in `bytes`.
///
/// # Errors
///
/// When the bytes are not a valid component, when the component uses something that is not supported, or when it exceeds
/// a limit. The message says what, where, and what to do.
pub fn build<'a>(bytes: &'a [u8], tunables: &Tunables) -> Result<Program<'a>> {
    let parsed = parse::parse(bytes, tunables.features)?;
    let inlined = inline::inline(&parsed, tunables)?;
    let program = reach::reach(parsed, inlined)?;
    if cfg!(debug_assertions) {
        verify(&program)?;
    }
    Ok(program)
}

/// Imports and exports of the component in `bytes`, with their types, also when the component uses what is not supported
/// yet. Core functions in it have provisional names, and `lowers` and `initializers` are empty.
///
/// # Errors
///
/// When the bytes are not a valid component of the supported features.
pub fn interface(bytes: &[u8]) -> Result<ComponentInterface> {
    let tunables = Tunables::default();
    let parsed = parse::parse(bytes, tunables.features)?;
    Ok(inline::inline(&parsed, &tunables)?.interface)
}

/// The same features in the parser's terms: what the validator accepts is exactly what is supported and turned on.
pub fn wasm_features(features: Features) -> WasmFeatures {
    let Features {
        simd,
        multi_memory,
        extended_const,
        memory64,
        tail_call,
        function_references,
        gc,
        relaxed_simd,
        wide_arithmetic,
        threads,
        custom_page_sizes,
        exceptions,
        implements,
        map,
        fixed_length_lists,
        error_context,
        component_memory64,
    } = features;
    let mut accepted = WasmFeatures::WASM2.union(WasmFeatures::COMPONENT_MODEL);
    for (feature, on) in [
        (WasmFeatures::SIMD, simd),
        (WasmFeatures::MULTI_MEMORY, multi_memory),
        (WasmFeatures::EXTENDED_CONST, extended_const),
        (WasmFeatures::MEMORY64, memory64),
        (WasmFeatures::TAIL_CALL, tail_call),
        (WasmFeatures::FUNCTION_REFERENCES, function_references),
        (WasmFeatures::GC, gc),
        (WasmFeatures::RELAXED_SIMD, relaxed_simd),
        (WasmFeatures::WIDE_ARITHMETIC, wide_arithmetic),
        (WasmFeatures::THREADS, threads),
        (WasmFeatures::CUSTOM_PAGE_SIZES, custom_page_sizes),
        (WasmFeatures::EXCEPTIONS, exceptions),
        (WasmFeatures::CM_IMPLEMENTS, implements),
        (WasmFeatures::CM_MAP, map),
        (WasmFeatures::CM_FIXED_LENGTH_LISTS, fixed_length_lists),
        (WasmFeatures::CM_ERROR_CONTEXT, error_context),
        (WasmFeatures::CM64, component_memory64),
    ] {
        accepted.set(feature, on);
    }
    accepted
}

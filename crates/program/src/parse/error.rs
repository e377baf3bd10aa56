//! Errors of the parser and validator, with advice.

use crate::features;
use mintage_environ::{ErrorKind, Printable};
use wasmparser::WasmFeatures;

/// Features that are not supported, with their usual name and a way to avoid them.
const ADVICE: &[(WasmFeatures, &str, &str)] = &[
    (
        WasmFeatures::LEGACY_EXCEPTIONS,
        "legacy exceptions",
        "compile for the final form of exceptions (`-mllvm -wasm-use-legacy-eh=false`) or without \
         them",
    ),
    (
        WasmFeatures::STACK_SWITCHING,
        "stack switching",
        "compile without it",
    ),
    (
        WasmFeatures::CM_VALUES,
        "component values",
        "leave value imports, exports and start functions out",
    ),
    (
        WasmFeatures::CM_GC,
        "the garbage-collected Canonical ABI",
        "use the linear-memory ABI",
    ),
];

/// Features that the parser and validator name only in their messages.
const WORDS: &[(&str, WasmFeatures)] = &[
    ("`cm-implements` feature", WasmFeatures::CM_IMPLEMENTS),
    ("multiple memories", WasmFeatures::MULTI_MEMORY),
    (
        "non-constant operator: i32.add",
        WasmFeatures::EXTENDED_CONST,
    ),
    (
        "non-constant operator: i32.sub",
        WasmFeatures::EXTENDED_CONST,
    ),
    (
        "non-constant operator: i32.mul",
        WasmFeatures::EXTENDED_CONST,
    ),
    (
        "non-constant operator: i64.add",
        WasmFeatures::EXTENDED_CONST,
    ),
    (
        "non-constant operator: i64.sub",
        WasmFeatures::EXTENDED_CONST,
    ),
    (
        "non-constant operator: i64.mul",
        WasmFeatures::EXTENDED_CONST,
    ),
];

/// Converts an error of the parser or validator, with its byte offset. A component that needs a
/// feature which is off or missing is unsupported rather than invalid, and the error has advice.
pub(crate) fn wasm_error(error: wasmparser::Error) -> anyhow::Error {
    error_in("component", error)
}

/// Converts an error about an input that is a `form`, as [`wasm_error`] does for components.
pub(crate) fn error_in(form: &str, error: wasmparser::Error) -> anyhow::Error {
    let in_words = || {
        WORDS
            .iter()
            .find(|(words, _)| error.message().contains(words))
    };
    let missing = error.missing_wasm_feature();
    let missing = missing.or_else(|| in_words().map(|&(_, feature)| feature));
    let (kind, what, advice) = match missing {
        Some(missing) => (ErrorKind::Unsupported, "unsupported", advice(missing)),
        None => (ErrorKind::InvalidComponent, "invalid", String::new()),
    };
    // The validator's messages quote names of the component as they are.
    let message = Printable(error.message());
    let at = error.offset();
    kind.error(format!("{what} {form} at byte {at:#x}: {message}{advice}"))
        .into()
}

/// Returns advice about a missing feature.
fn advice(missing: WasmFeatures) -> String {
    if let Some(feature) = features::of_flag(missing) {
        return format!(" (which `Config::{}` turns on)", feature.setter);
    }
    match ADVICE
        .iter()
        .find(|(feature, ..)| feature.contains(missing))
    {
        Some((_, name, advice)) => format!(" ({name}: not supported yet; {advice})"),
        None => format!(" ({missing:?}: not supported yet)"),
    }
}

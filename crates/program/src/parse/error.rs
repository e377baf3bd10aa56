//! Errors of the parser and validator, with what to do about them.

use mintage_environ::Printable;
use wasmparser::WasmFeatures;

/// Features that are not supported, with their usual name and the way to do without.
const ADVICE: &[(WasmFeatures, &str, &str)] = &[
    (
        WasmFeatures::LEGACY_EXCEPTIONS,
        "legacy exceptions",
        "compile for the final form of exceptions (`-mllvm -wasm-use-legacy-eh=false`) or without them",
    ),
    (WasmFeatures::STACK_SWITCHING, "stack switching", "compile without it"),
    (
        WasmFeatures::CM_ASYNC,
        "the async ABI of components",
        "use synchronous functions, without streams and futures",
    ),
    (
        WasmFeatures::CM_THREADING,
        "the threads of components",
        "use synchronous functions on one thread",
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

/// Features that a setting turns on.
const SETTINGS: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::SIMD, "Config::wasm_simd"),
    (WasmFeatures::MULTI_MEMORY, "Config::wasm_multi_memory"),
    (WasmFeatures::EXTENDED_CONST, "Config::wasm_extended_const"),
    (WasmFeatures::MEMORY64, "Config::wasm_memory64"),
    (WasmFeatures::TAIL_CALL, "Config::wasm_tail_call"),
    (WasmFeatures::FUNCTION_REFERENCES, "Config::wasm_function_references"),
    (WasmFeatures::GC, "Config::wasm_gc"),
    (WasmFeatures::RELAXED_SIMD, "Config::wasm_relaxed_simd"),
    (WasmFeatures::WIDE_ARITHMETIC, "Config::wasm_wide_arithmetic"),
    (WasmFeatures::THREADS, "Config::wasm_threads"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "Config::wasm_custom_page_sizes"),
    (WasmFeatures::EXCEPTIONS, "Config::wasm_exceptions"),
    (WasmFeatures::CM_IMPLEMENTS, "Config::wasm_component_model_implements"),
    (WasmFeatures::CM_MAP, "Config::wasm_component_model_map"),
    (
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        "Config::wasm_component_model_fixed_length_lists",
    ),
    (WasmFeatures::CM64, "Config::wasm_component_model_memory64"),
    (
        WasmFeatures::CM_ERROR_CONTEXT,
        "Config::wasm_component_model_error_context",
    ),
];

/// What the parser and validator say of some features in words only.
const WORDS: &[(&str, WasmFeatures)] = &[
    ("`cm-implements` feature", WasmFeatures::CM_IMPLEMENTS),
    ("multiple memories", WasmFeatures::MULTI_MEMORY),
    ("non-constant operator: i32.add", WasmFeatures::EXTENDED_CONST),
    ("non-constant operator: i32.sub", WasmFeatures::EXTENDED_CONST),
    ("non-constant operator: i32.mul", WasmFeatures::EXTENDED_CONST),
    ("non-constant operator: i64.add", WasmFeatures::EXTENDED_CONST),
    ("non-constant operator: i64.sub", WasmFeatures::EXTENDED_CONST),
    ("non-constant operator: i64.mul", WasmFeatures::EXTENDED_CONST),
];

/// The error of the parser or validator with its byte offset and, when a feature is missing, with advice.
pub(crate) fn wasm_error(error: wasmparser::Error) -> anyhow::Error {
    // The validator's messages quote names of the component as they are.
    let mut message = format!(
        "invalid component at byte {:#x}: {}",
        error.offset(),
        Printable(error.message())
    );
    let in_words = || WORDS.iter().find(|(words, _)| error.message().contains(words));
    let missing = error.missing_wasm_feature();
    if let Some(missing) = missing.or_else(|| in_words().map(|&(_, feature)| feature)) {
        let setting = SETTINGS.iter().find(|(feature, _)| feature.contains(missing));
        let advice = ADVICE.iter().find(|(feature, ..)| feature.contains(missing));
        message.push_str(&match (setting, advice) {
            (Some((_, setting)), _) => format!(" (which `{setting}` turns on)"),
            (None, Some((_, name, advice))) => format!(" ({name}: not supported yet; {advice})"),
            (None, None) => format!(" ({missing:?}: not supported yet)"),
        });
    }
    anyhow::Error::msg(message)
}

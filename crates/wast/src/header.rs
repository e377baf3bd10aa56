//! Headers of scripts: lines such as `;;! gc = true` at the start, which name the settings that the
//! script needs.
//!
//! A header is TOML whose values are `true` or `false`. The names are those that Wasmtime's
//! scripts use. Features that the header does not name stay as they are in the caller's engine.

use mintage::error::{Context, Result, bail};
use mintage::{Config, Engine};

type Set = fn(&mut Config, bool) -> &mut Config;

/// Names of settings of [`Config`].
const SETTINGS: &[(&str, Set)] = &[
    ("simd", Config::wasm_simd),
    ("relaxed_simd", Config::wasm_relaxed_simd),
    ("multi_memory", Config::wasm_multi_memory),
    ("memory64", Config::wasm_memory64),
    ("custom_page_sizes", Config::wasm_custom_page_sizes),
    ("tail_call", Config::wasm_tail_call),
    ("extended_const", Config::wasm_extended_const),
    ("wide_arithmetic", Config::wasm_wide_arithmetic),
    ("threads", Config::wasm_threads),
    ("exceptions", Config::wasm_exceptions),
    ("function_references", Config::wasm_function_references),
    // See `collector.rs`.
    ("gc", |config, on| config.wasm_gc(on).gc_zeal(on)),
    (
        "nan_canonicalization",
        Config::cranelift_nan_canonicalization,
    ),
    (
        "component_model_error_context",
        Config::wasm_component_model_error_context,
    ),
    ("component_model_map", Config::wasm_component_model_map),
    (
        "component_model_memory64",
        Config::wasm_component_model_memory64,
    ),
    (
        "component_model_fixed_length_lists",
        Config::wasm_component_model_fixed_length_lists,
    ),
    ("component_model_async", Config::wasm_component_model_async),
    (
        "component_model_more_async_builtins",
        Config::wasm_component_model_more_async_builtins,
    ),
    (
        "component_model_async_stackful",
        Config::wasm_component_model_async_stackful,
    ),
    (
        "component_model_threading",
        Config::wasm_component_model_threading,
    ),
    (
        "component_model_implements",
        Config::wasm_component_model_implements,
    ),
];

/// Names without effect: features that are always on or not supported, and properties that only
/// other engines need to know (`hogs_memory`, `gc_types`, `spec_test`).
const OTHERS: &[&str] = &[
    "bulk_memory",
    "reference_types",
    "branch_hinting",
    "hogs_memory",
    "gc_types",
    "spec_test",
    "legacy_exceptions",
    "stack_switching",
    "shared_everything_threads",
    "custom_descriptors",
    "component_model_gc",
];

/// Returns `engine` with the settings of a script's header.
///
/// # Errors
///
/// Fails if a line of the header is not `name = true` or `name = false`, or if the name is unknown.
pub(crate) fn engine(engine: &Engine, script: &str) -> Result<Engine> {
    let mut config = None;
    for (index, line) in script.lines().enumerate() {
        let Some(line) = line.strip_prefix(";;!") else {
            break;
        };
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            let config = config.get_or_insert_with(|| engine.config().clone());
            set(config, line)
                .with_context(|| format!("line {}: wrong header `{line}`", index + 1))?;
        }
    }
    match config {
        Some(config) => Engine::new(&config),
        None => Ok(engine.clone()),
    }
}

fn set(config: &mut Config, line: &str) -> Result<()> {
    let (name, value) = line.split_once('=').context("expected `name = value`")?;
    let (name, value) = (name.trim(), value.trim());
    let value = value
        .parse::<bool>()
        .context("the value is neither `true` nor `false`")?;
    match SETTINGS.iter().find(|(known, _)| *known == name) {
        Some((_, set)) => _ = set(config, value),
        None if OTHERS.contains(&name) => {}
        None => bail!("unknown name"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(script: &str) -> Result<String> {
        let engine = engine(&Engine::default(), script)?;
        Ok(format!("{:?}", engine.config()))
    }

    #[test]
    fn a_header_changes_settings() {
        let default = with("(module)\n;;! simd = false").unwrap();
        assert_eq!(with(";; a comment\n;;! simd = false").unwrap(), default);
        assert_eq!(
            with(";;! hogs_memory = true\n;;!\n;;! # a comment").unwrap(),
            default
        );
        let mut changed = Config::new();
        changed
            .wasm_simd(false)
            .cranelift_nan_canonicalization(true);
        let changed = format!("{changed:?}");
        assert_ne!(changed, default);
        assert_eq!(
            with(";;! simd=false # not here\n;;! nan_canonicalization = true\n").unwrap(),
            changed
        );
    }

    #[test]
    fn malformed_headers_are_errors() {
        for (line, expected) in [
            (";;! simd", "name = value"),
            (";;! simd = yes", "neither"),
            (";;! smid = true", "unknown name"),
        ] {
            let error = format!("{:#}", with(&format!(";;! gc = true\n{line}")).unwrap_err());
            assert!(
                error.contains("line 2") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names = SETTINGS
            .iter()
            .map(|(name, _)| *name)
            .chain(OTHERS.iter().copied())
            .collect::<Vec<_>>();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}

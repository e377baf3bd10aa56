//! WebAssembly text: to binary form, with errors that say where and what to write instead.

use super::input::{WASM_MAGIC, refuse_artifact};
use crate::error::{Error, Result, bail, ensure};
use mintage_environ::invalid;
use std::borrow::Cow;
use std::path::Path;
use wast::parser::{self, ParseBuffer};

/// Converts a component or module that may be text to binary form. Errors name `path`, if there is
/// one.
///
/// # Errors
///
/// When the bytes are an artifact, are not text either, or the text does not parse.
pub fn to_binary<'a>(bytes: &'a [u8], path: Option<&Path>) -> Result<Cow<'a, [u8]>> {
    refuse_artifact(bytes)?;
    if bytes.starts_with(WASM_MAGIC) {
        return Ok(bytes.into());
    }
    ensure!(
        !bytes.is_empty(),
        invalid!("the input is empty; expected a component")
    );
    let Ok(text) = std::str::from_utf8(bytes) else {
        bail!(invalid!(
            "the input is neither a component in binary form (it does not start with `\\0asm`) nor \
             text"
        ))
    };
    let encoded =
        ParseBuffer::new(text).and_then(|buffer| parser::parse::<wast::Wat<'_>>(&buffer)?.encode());
    Ok(encoded.map_err(|error| describe(error, text, path))?.into())
}

/// The parser's error with the place, its line, and the way to write what is in old syntax.
fn describe(mut error: wast::Error, text: &str, path: Option<&Path>) -> Error {
    error.set_text(text);
    if let Some(path) = path {
        error.set_path(path);
    }
    let hint = old_syntax(text, error.span().offset()).unwrap_or_default();
    invalid!("the text does not parse: {error}{hint}").into()
}

/// Syntax of earlier drafts, and what to write today.
const OLD_WORDS: &[(&str, &str)] = &[
    ("get_local", "local.get"),
    ("set_local", "local.set"),
    ("tee_local", "local.tee"),
    ("get_global", "global.get"),
    ("set_global", "global.set"),
    ("current_memory", "memory.size"),
    ("grow_memory", "memory.grow"),
    ("anyfunc", "funcref"),
    ("atomic.notify", "memory.atomic.notify"),
    ("i32.atomic.wait", "memory.atomic.wait32"),
    ("i64.atomic.wait", "memory.atomic.wait64"),
    ("v8x16.shuffle", "i8x16.shuffle"),
    ("v8x16.swizzle", "i8x16.swizzle"),
    ("i8x16.any_true", "v128.any_true"),
    ("i16x8.any_true", "v128.any_true"),
    ("i32x4.any_true", "v128.any_true"),
    ("expected", "result"),
    ("unit", "no type at all, or `(tuple)`"),
    ("module", "core module"),
    ("string=utf8", "string-encoding=utf8"),
    ("string=utf16", "string-encoding=utf16"),
    ("string=latin1+utf16", "string-encoding=latin1+utf16"),
];

/// The note for the word at `offset`, if it is syntax of an earlier draft.
fn old_syntax(text: &str, offset: usize) -> Option<String> {
    let rest = text.get(offset..)?.trim_start_matches('(');
    let end = rest.find(|c: char| c.is_whitespace() || "()\";".contains(c));
    let word = &rest[..end.unwrap_or(rest.len())];
    let known = OLD_WORDS.iter().find(|(old, _)| *old == word);
    let new = known
        .map(|(_, new)| new.to_string())
        .or_else(|| conversion(word))?;
    Some(format!("\n      = `{word}` is old syntax; write `{new}`"))
}

/// Today's name of a conversion: `i32.trunc_s/f32` is `i32.trunc_f32_s`.
fn conversion(word: &str) -> Option<String> {
    let (operator, from) = word.split_once('/')?;
    let (operator, saturating) = match operator.strip_suffix(":sat") {
        Some(operator) => (operator, "sat_"),
        None => (operator, ""),
    };
    Some(match operator.rsplit_once('_') {
        Some((operator, sign @ ("s" | "u"))) => format!("{operator}_{saturating}{from}_{sign}"),
        _ => format!("{operator}_{from}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_the_place_and_todays_syntax() {
        let error = |text: &str| {
            let error = to_binary(text.as_bytes(), Some(Path::new("app.wat")));
            error.map_or_else(|error| format!("{error:#}"), |_| "it parses".into())
        };
        let plain = error("(component\n  (fnc))");
        assert!(
            plain.contains("app.wat:2:4") && plain.contains("  (fnc))"),
            "{plain}"
        );
        assert!(!plain.contains("old syntax"), "{plain}");
        for (text, old, new) in [
            ("(module (func (get_local 0)))", "get_local", "local.get"),
            (
                "(module (func (drop (grow_memory (i32.const 0)))))",
                "grow_memory",
                "memory.grow",
            ),
            ("(module (table 1 anyfunc))", "anyfunc", "funcref"),
            (
                "(module (func (drop (i32.trunc_s/f32))))",
                "i32.trunc_s/f32",
                "i32.trunc_f32_s",
            ),
            (
                "(module (func (drop (i32.wrap/i64))))",
                "i32.wrap/i64",
                "i32.wrap_i64",
            ),
            (
                "(module (func (drop (i64.trunc_u:sat/f64))))",
                "i64.trunc_u:sat/f64",
                "i64.trunc_sat_f64_u",
            ),
            (
                "(module (func i32.const 0 v8x16.shuffle))",
                "v8x16.shuffle",
                "i8x16.shuffle",
            ),
            (
                "(component (type (result unit)))",
                "unit",
                "no type at all, or `(tuple)`",
            ),
            ("(component (module))", "module", "core module"),
            ("(component (type (expected u8)))", "expected", "result"),
            (
                "(component (func $f (canon lift (core func 0) string=utf8)))",
                "string=utf8",
                "string-encoding=utf8",
            ),
        ] {
            let error = error(text);
            let note = format!("`{old}` is old syntax; write `{new}`");
            assert!(error.contains(&note), "{text}: {error}");
        }
    }

    #[test]
    fn todays_operators_parse_and_old_ones_do_not() {
        let operators = OLD_WORDS
            .iter()
            .filter(|(old, _)| old.contains('_') || old.contains('.'));
        let mut tried = 0;
        for (old, new) in operators {
            let parses = |operator: &str| {
                let memory = operator.contains("atomic") || operator.contains("memory");
                let index = match operator {
                    operator if operator.contains("shuffle") => "0 ".repeat(16),
                    operator if memory || operator.contains("v128") => String::new(),
                    operator if operator.starts_with("i8x16") => String::new(),
                    _ => "0".into(),
                };
                let text = format!(
                    "(module (memory 1) (global i32 (i32.const 0))
                        (func (local i32) {operator} {index}))"
                );
                to_binary(text.as_bytes(), None).is_ok()
            };
            assert!(!parses(old) && parses(new), "{old} {new}");
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
    }
}

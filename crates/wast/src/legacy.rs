//! Rewrites references to core items in the old syntax of components: `(realloc (func $f))` becomes
//! `(realloc (core func $f))`, and `(memory $i "m")` becomes `(memory (core memory $i "m"))`.
//!
//! The parser rejects the old syntax, but scripts in use still contain it.

use wast::Error;

/// Returns the script with the reference that caused `error` in the current syntax, or `None` if
/// the error has another cause.
pub(crate) fn rewritten(script: &str, error: &Error) -> Option<String> {
    let message = error.message();
    let at = error.span().offset();
    let (before, after) = script.split_at_checked(at)?;
    if message.contains("`core` keyword is required in this reference") {
        return Some(format!("{before}core {after}"));
    }
    if message.contains("export name must be written inside a nested reference") {
        // The error is at the name, which is the last item of a list. `before` ends with the start
        // of the list, for example `(memory $i `.
        let start = before.rfind('(')? + 1;
        let keyword = before[start..].split_whitespace().next()?;
        let end = at + 1 + script.get(at + 1..)?.find('"')? + 1;
        let list = &script[start..end];
        return Some(format!(
            "{}{keyword} (core {list}){}",
            &script[..start],
            &script[end..]
        ));
    }
    None
}

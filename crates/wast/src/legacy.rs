//! References to core items as the text format of components used to write them: `(realloc (func
//! $f))` for `(realloc (core func $f))`, and `(memory $i "m")` for `(memory (core memory $i "m"))`.
//!
//! The parser refuses them and says how to write them. Scripts are older than that, so the runner
//! writes them so.

use wast::Error;

/// Returns the script with the reference that `error` refuses in today's form; `None` when it is
/// about something else.
pub(crate) fn rewritten(script: &str, error: &Error) -> Option<String> {
    let message = error.message();
    let at = error.span().offset();
    let (before, after) = script.split_at_checked(at)?;
    if message.contains("`core` keyword is required in this reference") {
        return Some(format!("{before}core {after}"));
    }
    if message.contains("export name must be written inside a nested reference") {
        // The error is at the name, which is the end of a list; `before` ends with its start,
        // `(memory $i `.
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

//! Names of a guest, made fit to be shown.

use std::fmt::{self, Write as _};

/// A name that a guest chose. What a terminal or a log would take for more than text (line ends,
/// escape sequences, characters that reverse the writing direction) is shown escaped.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                // Names of functions have these, and they do no harm.
                '\'' | '"' | '\\' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_shown_as_it_is() {
        for (name, expected) in [
            (
                r#"<T as Foo<'a>>::operator""\é"#,
                r#"<T as Foo<'a>>::operator""\é"#,
            ),
            ("a\nb\r", r"a\nb\r"),
            ("\x1b[2J\u{9b}", r"\u{1b}[2J\u{9b}"),
            ("\u{202e}cba", r"\u{202e}cba"),
        ] {
            assert_eq!(Printable(name).to_string(), expected);
        }
    }
}

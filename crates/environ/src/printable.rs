//! [`Printable`]: names of a guest, escaped for display.

use std::fmt::{self, Write as _};

/// A name that a guest chose. Its `Display` escapes everything that a terminal or a log would not
/// show as plain text: line ends, escape sequences, characters that reverse the writing direction.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                // Names of functions contain these, and they are harmless.
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
    fn control_characters_are_escaped() {
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

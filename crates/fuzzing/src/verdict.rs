//! The outcome of a body.

/// The outcome of a body for one input.
pub type Verdict = Result<Outcome, Failure>;

/// The outcome for an input without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that the body checks held.
    Held,
    /// Nothing could be checked, for this reason.
    Skipped(&'static str),
}

/// The most bytes that the text of a failure may have. A value that differs can have megabytes.
const LONGEST: usize = 8000;

/// A failure, and the guests that show it.
#[derive(Debug)]
pub struct Failure {
    /// The difference or the broken rule.
    pub what: String,
    /// The guests that show it, as names of files and their content.
    pub guests: Vec<(String, Vec<u8>)>,
}

impl Failure {
    /// Creates a failure that `guests` show. A long text is shortened to its beginning and its end.
    pub fn new(
        what: impl Into<String>,
        guests: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Failure {
        let mut what = what.into();
        if what.len() > LONGEST {
            let start = what.floor_char_boundary(LONGEST / 2);
            let end = what.ceil_char_boundary(what.len() - LONGEST / 2);
            what.replace_range(start..end, &format!(" ... {} bytes ... ", end - start));
        }
        Failure {
            what,
            guests: guests.into_iter().collect(),
        }
    }
}

/// Turns input that is used up into a skipped case.
pub(crate) fn skip_if_exhausted(result: arbitrary::Result<Verdict>) -> Verdict {
    result.unwrap_or(Ok(Outcome::Skipped("the input is used up")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_both_ends() {
        let short = "ü".repeat(LONGEST / 2);
        assert_eq!(Failure::new(short.as_str(), []).what, short);
        let long = format!("first{}last", "ü".repeat(LONGEST));
        let what = Failure::new(long, []).what;
        assert!(
            what.starts_with("first") && what.ends_with("last"),
            "{what}"
        );
        assert!(what.len() < LONGEST + 100, "{}", what.len());
    }
}

//! What a body says about one input.

/// What a body says about one input.
pub type Verdict = Result<Outcome, Failure>;

/// How an input without a failure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that the body compares was the same.
    Held,
    /// Nothing could be compared, for the reason given.
    Skipped(&'static str),
}

/// Bytes that the text of a failure may have: a value that differs can be megabytes.
const LONGEST: usize = 8000;

/// What is wrong, and what it was found with.
#[derive(Debug)]
pub struct Failure {
    /// What differs, or which rule is broken.
    pub what: String,
    /// The guests that show it: a name for the file, and its bytes.
    pub guests: Vec<(String, Vec<u8>)>,
}

impl Failure {
    /// A failure that is seen with `guests`. Of a long text, its beginning and its end are kept.
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

/// What makes bodies short: input that is used up ends a case without a failure.
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

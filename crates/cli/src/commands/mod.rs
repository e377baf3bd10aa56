//! The subcommands.

pub(crate) mod cache;
pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod compose;
pub(crate) mod inspect;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod wast;

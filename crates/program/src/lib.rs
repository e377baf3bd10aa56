//! Component bytes to a closed [`Program`].
//!
//! ```text
//! bytes -> parse::parse -> Parsed      the component tree, every function body validated (in parallel)
//!       -> inline::inline -> Program   nesting, aliases and imports resolved; initial state computed
//!       -> reach (inside inline)       functions that nothing can reach are dropped
//! ```
//!
//! Architecture invariant: nothing here knows how code is made.

#![forbid(unsafe_code)]

mod ir;

pub use ir::*;

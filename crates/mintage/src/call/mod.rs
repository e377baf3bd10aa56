//! Calls between host and guest, in both directions.
//!
//! | file | what it has |
//! |---|---|
//! | `func.rs` | [`Func`], [`TypedFunc`]: the host calls a guest |
//! | `host.rs` | host functions: a guest calls the host |
//! | `reexport.rs` | the host calls a host function that a component exports again |

mod func;
pub(crate) mod host;
mod reexport;

pub use func::{Func, TypedFunc};

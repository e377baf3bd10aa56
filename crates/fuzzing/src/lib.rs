//! Bodies of fuzz targets, as functions over arbitrary input.
//!
//! ```text
//! seed   -> input      bytes that choose everything                       numbers.rs
//! input  -> guest      core modules that import from each other           modules.rs
//!                      a type of WIT, values of it, and a component       shapes.rs, echo.rs
//! guest  -> Verdict    what held, or what is wrong and how to see it      differential.rs, round_trip.rs, corrupt.rs, hostile.rs,
//!                                                                          instances.rs, fuel.rs, twins.rs
//! Failure -> input     as small as it can be made                         target.rs
//! ```
//!
//! A body drives engines through [`Oracle`], so that it can compare Mintage with itself under other
//! settings ([`Settings`]) or with another engine.

#![deny(unsafe_code)]

mod corrupt;
mod differential;
mod echo;
mod fuel;
mod hostile;
mod instances;
mod mintage;
mod modules;
mod numbers;
mod oracle;
mod round_trip;
mod shapes;
mod target;
mod twins;
mod verdict;

pub use crate::corrupt::corrupt;
pub use crate::differential::differential;
pub use crate::echo::{ENCODINGS, Echo};
pub use crate::fuel::fuel;
pub use crate::hostile::hostile;
pub use crate::instances::instances;
pub use crate::mintage::{Mintage, Settings};
pub use crate::modules::{Linked, MEMORY_LIMIT, Module, Signature, TABLE_LIMIT, module_name};
pub use crate::numbers::Numbers;
pub use crate::oracle::{Compiled, CoreInstance, Echoed, Oracle, PLENTY, Stop};
pub use crate::round_trip::{check_echo, round_trip};
pub use crate::shapes::{PRIMITIVES, Shape};
pub use crate::target::{Engines, Target, reduce};
pub use crate::verdict::{Failure, Outcome, Verdict};

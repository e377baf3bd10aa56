//! Bodies of fuzz targets, as functions over arbitrary input.
//!
//! ```text
//! seed -> input           bytes that choose everything               numbers.rs
//! input -> guest          linked core modules                        guests/modules.rs
//!                         a WIT type, values and a component         guests/wit.rs, guests/echo.rs
//! guest -> Verdict        what holds for every guest, one per file   bodies/
//! Failure -> input        the input, reduced                         target.rs
//! ```
//!
//! A body drives engines through [`Oracle`]. That lets it compare Mintage with another engine, or
//! with itself under other [`Settings`].

#![deny(unsafe_code)]

mod bodies;
mod engines;
mod guests;
mod numbers;
mod target;
mod verdict;

pub use crate::bodies::{check_echo, corrupt, differential, fuel, hostile, instances, round_trip};
pub use crate::engines::{
    CompiledModules, Echoed, Mintage, ModuleInstances, Oracle, PLENTY, Settings, Stop,
};
pub use crate::guests::{
    ENCODINGS, Echo, ExportedFunc, LinkedModules, MEMORY_LIMIT, Module, PRIMITIVES, TABLE_LIMIT,
    WitType, module_name,
};
pub use crate::numbers::Numbers;
pub use crate::target::{Engines, FuzzTarget, reduce};
pub use crate::verdict::{Failure, Outcome, Verdict};

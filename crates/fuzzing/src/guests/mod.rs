//! Random guests.

pub(crate) mod echo;
pub(crate) mod modules;
mod wit;

pub use echo::{ENCODINGS, Echo};
pub use modules::{ExportedFunc, LinkedModules, MEMORY_LIMIT, Module, TABLE_LIMIT, module_name};
pub use wit::{PRIMITIVES, WitType};

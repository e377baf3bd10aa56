//! The artifact: the file that compiling a component gives, with every table's encoder and decoder
//! side by side.
//!
//! ```text
//! format     the sections and the header
//! table/     traps, addresses and names of functions, handlers of exceptions, references in frames, read in place
//! image      what of a slab's contents is mapped, and what is copied
//! metadata   what is decoded at load, and whether it fits the host
//! writer     Contents -> bytes
//! elf        bytes -> Sections, strictly
//! reader     bytes -> Artifact
//! forge      wrong files with right hashes, for tests
//! ```
//!
//! Architecture invariant: nothing here knows how code is made or run. Whatever the bytes, reading
//! neither panics nor reads out of bounds.

#![forbid(unsafe_code)]

mod elf;
#[doc(hidden)]
pub mod forge;
mod format;
mod image;
mod metadata;
mod reader;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use image::{MAX_RUNS, Piece, Plan, stretches};
pub use metadata::{ImageRun, Metadata, PAGE};
pub use reader::{Artifact, Check};
pub use table::addresses::{NO_ADDRESS, encode as encode_addresses};
pub use table::stack_maps::{StackMaps, encode as encode_stack_maps};
pub use table::traps::encode as encode_traps;
pub use table::unwind::{Catch, Unwind, encode as encode_unwind};
pub use writer::{Contents, Function, rewrite, write};

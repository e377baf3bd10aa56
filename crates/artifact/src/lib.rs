//! The artifact: the file that compiling a component produces. The encoder and the decoder of each
//! table are in the same file.
//!
//! ```text
//! format     the list of sections, and the header
//! table/     tables that are read in place: traps, addresses and names of functions, exception
//!            handlers, stack maps
//! chunks     the parts of the file, with hashes, that components can share
//! image      which bytes of a slab's image are mapped, and which are copied
//! metadata   the part that is decoded at load, and the comparison with the host
//! writer     Contents -> bytes
//! elf        bytes -> Sections, strictly
//! reader     bytes -> Artifact
//! forge      corrupted files with valid hashes, for tests
//! ```
//!
//! Architecture invariant: this crate does not know how code is generated or run. Whatever the
//! bytes are, reading neither panics nor reads out of bounds.

#![forbid(unsafe_code)]

mod chunks;
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

pub use chunks::{CHUNK, ChunkHash, hash_chunk};
pub use format::is_artifact;
pub use image::{MAX_RUNS, Piece, Plan, stretches};
pub use metadata::{ImageRun, Metadata, PAGE};
pub use reader::{Artifact, Check};
pub use table::addresses::{NO_ADDRESS, encode as encode_addresses};
pub use table::stack_maps::{StackMaps, encode as encode_stack_maps};
pub use table::traps::encode as encode_traps;
pub use table::unwind::{Catch, Unwind, encode as encode_unwind};
pub use writer::{Contents, Function, rewrite, write};

//! The artifact: the file that compiling a component gives, with every table's encoder and decoder side by side.

#![forbid(unsafe_code)]

mod metadata;
mod reader;

pub use metadata::{ImageRun, Metadata, PAGE};
pub use reader::{Artifact, Check};

//! A host in the manner of an editor, whose plug-ins are components.
//!
//! ```text
//! text.rs      a text that is open, and the remarks that plug-ins show
//! state.rs     what the host functions of one plug-in work on, and its limits
//! api/v1.rs    bindings of version 1 of the WIT world, and its host functions
//! api/v2.rs    the same of version 2
//! api/mod.rs   a component of either version
//! plugin.rs    one plug-in: its instance, its commands, and its replacement after a trap
//! ```
//!
//! Each plug-in has a store, so that its memory and its time are limited apart from those of the
//! others. `wit/` has the two versions of the API, and `guests/` a plug-in for each.

#![forbid(unsafe_code)]

pub mod api;
pub mod plugin;
pub mod state;
pub mod text;

pub use plugin::{Outcome, Plugin, RunError};
pub use state::Limits;
pub use text::Text;

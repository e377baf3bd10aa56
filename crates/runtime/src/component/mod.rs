//! State and algorithms of the component model that need neither an instance nor machine code:
//! handle tables, tasks, error contexts, and transcoding of strings.

pub mod arena;
pub mod concurrent;
pub mod error_context;
pub mod handles;
pub mod transcode;

//! Resources: values that stay with their owner and are passed by handle.
//!
//! | file | what it has |
//! |---|---|
//! | `typed.rs` | [`Resource`]: a resource of the host, by its 32-bit representation |
//! | `any.rs` | [`ResourceAny`]: a resource of guest or host, by an entry in the store |
//! | `table.rs` | [`ResourceTable`]: values of the host by representation |
//!
//! The entries behind [`ResourceAny`]s are in `store/handles.rs`.

mod any;
mod table;
mod typed;

pub use any::ResourceAny;
pub use table::{ResourceTable, ResourceTableError};
pub use typed::Resource;

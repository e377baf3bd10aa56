//! Resources: values that stay with who made them, and are passed by handle.
//!
//! ```text
//! Resource<T>     a resource of the host, whose 32-bit representation means something to the host    typed.rs
//! ResourceAny     a resource of anyone, of which the store keeps an entry                            any.rs
//! ResourceTable   values of the host by representation                                               table.rs
//! ```
//!
//! `store.rs` here holds the entries behind [`ResourceAny`]s and the calls that they are lent to;
//! `linked.rs` says what a component's resource types are in one linked component.

mod any;
mod table;
mod typed;

pub use any::ResourceAny;
pub use table::{ResourceTable, ResourceTableError};
pub use typed::Resource;

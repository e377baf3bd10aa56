//! The Canonical ABI between host and guest (component-model CanonicalABI.md, "Lifting" and
//! "Lowering").
//!
//! A *flat* value is an array of 8-byte words, one per core value, as machine code passes them:
//! `i32` and `f32` are in the low half of their word. Since every core type takes one word, the
//! cases of a variant can share their words without conversion. In memory, values have the layout
//! of the specification, little endian.
//!
//! | file | what it has |
//! |---|---|
//! | `traits.rs` | [`ComponentType`], [`Lower`], [`Lift`], [`ComponentNamedList`] |
//! | `context.rs` | [`LowerContext`], [`LiftContext`]: guest memory, `realloc`, checks |
//! | `scalar.rs`, `string.rs`, `list.rs`, `map.rs` | the traits for Rust's own types |
//! | `variant.rs`, `tuple.rs`, `array.rs`, `bytes.rs` | the same |
//! | `in_place.rs` | [`InPlaceList`]: a list that the host writes to guest memory itself |
//! | `view.rs` | [`WasmStr`], [`WasmList`]: lifted values that stay in guest memory |
//! | `error_context.rs` | the traits for [`ErrorContext`](crate::ErrorContext) |
//! | `ends.rs` | ends of streams and futures, and the buffers of guests |
//! | `handle.rs` | handles of resources; the types implement the traits in `resource/` |
//! | `guest.rs` | the memory that values are lowered into, and its `realloc` |

mod array;
#[cfg(feature = "bytes")]
mod bytes;
mod context;
#[cfg(feature = "macros")]
pub(crate) mod derive;
mod ends;
mod error_context;
#[allow(unsafe_code, reason = "views of guest memory, calls of realloc")]
pub(crate) mod guest;
mod handle;
mod in_place;
mod list;
mod map;
mod scalar;
mod string;
mod traits;
mod tuple;
mod variant;
mod view;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
pub use context::{LiftContext, LowerContext};
pub use handle::InstanceTypes;
pub use in_place::{InPlaceList, InPlaceOutcome};
pub use mintage_environ::component::{CanonicalAbi, ComponentTypes, InterfaceType};
pub use traits::{ComponentNamedList, ComponentType, Lift, ListElement, Lower};
pub use view::{WasmList, WasmStr};

pub(crate) use context::{
    AbiOptions, LiftSource, LowerTarget, MAX_LIST_BYTE_LENGTH, is_aligned, read_u32,
};
pub(crate) use ends::matches_payload;
pub(crate) use handle::HandleContext;
pub(crate) use scalar::Scalar;

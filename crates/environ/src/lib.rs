//! The vocabulary of all phases of Mintage: names of functions ([`FuncKey`]), index newtypes, core
//! and component types, Canonical ABI arithmetic, the slab layout, the list of builtins, traps,
//! kinds of errors and settings.
//!
//! Architecture invariant: this crate is plain data and arithmetic. It does not know the parser,
//! the code generator or the operating system. A fact that two phases need has its only home here.

#![forbid(unsafe_code)]

pub mod builtin;
mod byte_size;
mod call_sites;
mod control;
mod core_types;
pub mod error;
mod features;
mod frame_slots;
mod index;
pub mod key;
pub mod key_table;
pub mod layout;
mod object_types;
pub mod objects;
mod printable;
mod settings;
mod signatures;
mod target;
mod trap;

pub mod component;

pub use builtin::Builtin;
pub use byte_size::ByteSize;
pub use call_sites::{CatchSite, Handlers, StackMap};
pub use control::{
    ControlBlock, ExitRecord, FuelWords, HostImport, control_offsets, exit_offsets,
    host_import_offsets, interrupt_bits,
};
pub use core_types::{FuncEntry, HeapType, RefType, Reference, TypeId, ValType};
pub use error::{ArtifactFault, ErrorKind, LimitKind};
pub use features::{Feature, Features};
pub use frame_slots::FrameSlots;
pub use index::*;
pub use key::FuncKey;
pub use key_table::{KeyTable, KeyTableBuilder, KeyTableError};
pub use object_types::{ObjectKind, ObjectType, ObjectTypeRange, ObjectTypes, StorageType};
pub use printable::Printable;
pub use settings::{FUEL_BYTES, Inlining, OptLevel, Tunables};
pub use signatures::{Signature, Signatures};
pub use target::{CpuFeatures, Target, TargetRequest};
pub use trap::Trap;

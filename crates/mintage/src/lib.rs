//! Compiles WebAssembly components and mints instances of them: the embedding API.
//!
//! ```text
//! Config -> Engine                    settings, shared by everything                 config.rs, engine.rs
//! bytes  -> Component                 compiled or loaded machine code                component.rs
//! host functions -> Linker            by name                                        linker/
//! Linker, Component -> InstancePre    every import checked and resolved, once        linker/, instance.rs
//! InstancePre, Store -> Instance      one isolated instance                          instance.rs
//! Instance -> Func, TypedFunc         calls over `Val`s or Rust types                func.rs
//! ```
//!
//! Resources are in `resource/`. The names are those that hosts of WebAssembly components know.
//! Values cross between host and guest in `abi/`; guest calls of host functions come in through
//! `host.rs`.
//!
//! ```
//! # fn main() -> mintage::Result<()> {
//! use mintage::{Component, Engine, Linker, Store};
//!
//! let engine = Engine::default();
//! # #[cfg(feature = "compiler")]
//! # {
//! let component = Component::new(&engine, "(component)")?;
//! let mut store = Store::new(&engine, ());
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! assert!(instance.get_func(&mut store, "greet").is_none());
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! Architecture invariant: unsafe code stands in `component.rs` (loading of artifacts), `store.rs`
//! (entry into guests and the way back to the store) and `guest.rs` (views of guest memory) only.

#![deny(unsafe_code)]

pub mod abi;
mod backtrace;
#[cfg(feature = "compiler")]
mod code_builder;
#[cfg(feature = "compiler")]
mod compilers;
#[allow(unsafe_code, reason = "loading an artifact trusts its maker")]
mod component;
mod config;
#[doc(hidden)]
pub mod core;
mod engine;
mod error;
mod export;
mod fuel;
mod func;
#[allow(unsafe_code, reason = "views of guest memory, calls of realloc")]
mod guest;
mod host;
mod instance;
mod interrupt;
mod limits;
mod linker;
mod reexport;
mod resource;
#[allow(
    unsafe_code,
    reason = "entry into guests, and the way from a guest back to its store"
)]
mod store;
#[cfg(feature = "compiler")]
#[doc(hidden)]
pub mod text;
pub mod types;
mod val;

pub use abi::{ComponentNamedList, ComponentType, Lift, Lower};
pub use anyhow::{Error, Result};
pub use backtrace::{FrameInfo, WasmBacktrace};
pub use component::Component;
pub use config::{Config, OptLevel, PoolConfig};
pub use engine::Engine;
pub use export::{ComponentExportIndex, ExportLookup};
pub use func::{Func, TypedFunc};
pub use instance::{Instance, InstancePre};
pub use interrupt::InterruptHandle;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub use linker::{Linker, LinkerInstance};
pub use mintage_environ::Trap;
pub use mintage_runtime::ErrorContext;
pub use resource::{Resource, ResourceAny, ResourceTable, ResourceTableError};
pub use store::{AsContext, AsContextMut, Store, StoreContext, StoreContextMut};
pub use types::ResourceType;
pub use val::Val;

#[cfg(feature = "compiler")]
pub use code_builder::CodeBuilder;
#[cfg(feature = "compiler")]
pub use mintage_compile::{CompileLimits, NoProgress, Phase, Progress};

#[cfg(any(test, doctest))]
mod variance;

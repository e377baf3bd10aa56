//! Compiles WebAssembly components and mints instances of them: the embedding API.
//!
//! ```text
//! Config -> Engine                    settings, shared by everything
//! bytes  -> Component                 compiled or loaded machine code
//! host functions -> Linker            by name
//! Linker, Component -> InstancePre    every import checked and resolved, once
//! InstancePre, Store -> Instance      one isolated instance
//! Instance -> Func, TypedFunc         calls over `Val`s or Rust types
//! ```
//!
//! The API follows the names of Wasmtime's component API.
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
//! # Folders
//!
//! Each folder uses those above it in this table, and none below.
//!
//! | folder | has |
//! |---|---|
//! | `error` | [`Error`], its context and its typed causes |
//! | `engine` | [`Engine`], [`Config`], compiler threads, the timer of deadlines |
//! | `component` | [`Component`], [`CodeBuilder`], exports by name, the text format |
//! | `types` | reflection: [`types`] |
//! | `store` | [`Store`], its limits, fuel, interruption and handles; entry into guests |
//! | `concurrent` | [`Accessor`], [`Access`], [`HasData`]: how futures of the host use a store |
//! | `abi` | the Canonical ABI over Rust types: [`Lower`], [`Lift`] |
//! | `resource` | [`Resource`], [`ResourceAny`], [`ResourceTable`] |
//! | `val` | [`Val`], and its Canonical ABI |
//! | `stream` | [`StreamReader`], [`FutureReader`], producers and consumers |
//! | `wave` | values as text, with the feature `wave` |
//! | `call` | [`Func`], [`TypedFunc`], host functions, [`Caller`] |
//! | `instance` | [`Instance`], [`InstancePre`] |
//! | `linker` | [`Linker`], [`LinkerInstance`] |
//! | `bindings` | macros: `bindgen!`, `flags!`, derives |
//!
//! Architecture invariant: unsafe code is only in `component` (loading of artifacts), `store`
//! (entry into guests and the way back to the store, the memory of a store, futures that use it),
//! `call/concurrent.rs` (host functions that wait) and `abi/guest.rs` (views of guest memory).

#![deny(unsafe_code)]

mod abi;
mod bindings;
mod call;
#[allow(unsafe_code, reason = "loading an artifact trusts its maker")]
pub mod component;
mod concurrent;
mod engine;
pub mod error;
mod instance;
mod linker;
mod resource;
mod store;
mod stream;
pub mod types;
mod val;
#[cfg(feature = "wave")]
mod wave;

pub use abi::{ComponentNamedList, ComponentType, Lift, Lower};
pub use abi::{InPlaceList, InPlaceOutcome, WasmList, WasmStr};
pub use call::{Caller, Func, FuncCallConcurrent, TypedFunc, TypedFuncCallConcurrent, block_on};
#[cfg(feature = "compiler")]
pub use component::CodeBuilder;
pub use component::{Component, ComponentExportIndex, ExportLookup, ResourcesRequired};
pub use concurrent::{Access, Accessor, AccessorTask, AsAccessor, HasData, HasSelf, JoinHandle};
pub use engine::process_id;
#[cfg(feature = "cache")]
pub use engine::{Cache, CacheConfig, CacheStats};
#[cfg(feature = "compiler")]
pub use engine::{CacheStore, FunctionStore};
pub use engine::{
    Collector, Enabled, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig,
    ProfilingStrategy, RegallocAlgorithm, Strategy, WasmBacktraceDetails, WasmFeatures,
};
pub use engine::{
    Config, Engine, EngineMetrics, EngineWeak, Inlining, OptLevel, PoolConfig, Precompiled,
};
pub use error::{ArtifactFault, Error, ErrorKind, FrameInfo, FrameSymbol, LimitKind, LinkError};
pub use error::{Module, Result, ToMintageResult, ToWasmtimeResult, UnmetImport, WasmBacktrace};
pub use instance::{Instance, InstancePre};
pub use linker::{Linker, LinkerInstance};
pub use mintage_environ::Trap;
pub use mintage_runtime::ErrorContext;
pub use resource::{Resource, ResourceAny, ResourceTable, ResourceTableError};
pub use resource::{ResourceDynamic, ResourceGuard};
pub use store::{AsContext, AsContextMut, Store, StoreContext, StoreContextMut};
pub use store::{CallHook, HostFunctionName, UpdateDeadline};
pub use store::{
    InterruptHandle, InterruptWatch, ResourceLimiter, ResourceLimiterAsync, StoreLimits,
    StoreLimitsBuilder,
};
pub use stream::{
    Destination, DirectDestination, DirectSource, FutureConsumer, FutureProducer, FutureReader,
    GuardedFutureReader, GuardedStreamReader, ReadBuffer, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer, WriteBuffer,
};
pub use types::ResourceType;
pub use val::{FutureAny, StreamAny, Val};

#[cfg(feature = "compiler")]
#[doc(hidden)]
pub use component::text;
#[doc(hidden)]
pub use instance::core;

#[cfg(feature = "compiler")]
pub use mintage_compile::{CompileLimits, NoProgress, Phase, Progress};

#[cfg(feature = "macros")]
pub use bindings::macros::{ComponentType, Lift, Lower, bindgen, flags};

/// The items that generated code, and implementations of [`Lift`](trait@Lift) and
/// [`Lower`](trait@Lower) by hand, use beside the public API. It may change in any version.
#[doc(hidden)]
pub mod __internal {
    #[cfg(feature = "macros")]
    pub use crate::abi::derive::*;
    pub use crate::abi::{
        CanonicalAbi, ComponentType, ComponentTypes, InstanceTypes, InterfaceType, Lift,
        LiftContext, ListElement, Lower, LowerContext,
    };
    pub use crate::bindings::{export_index, exported};
    pub use crate::error::Result;
    pub use anyhow;
    pub use std::boxed::Box;
    pub use std::option::Option::{self, None, Some};
    pub use std::result::Result::Ok;
    pub use std::string::String;
    pub use std::vec::Vec;
}

#[cfg(any(test, doctest))]
mod variance;

/// The program in the README compiles.
#[cfg(all(doctest, feature = "compiler"))]
#[doc = include_str!("../../../README.md")]
mod readme {}

//! WASI for hosts of Mintage: WASI 0.2 and 0.3, and preview 1 for core modules.
//!
//! A host has a [`WasiCtx`] in the data of its store, made by a [`WasiCtxBuilder`], and adds the
//! interfaces to its linker. The names are those of Wasmtime's crate `wasmtime-wasi`.
//!
//! A new context gives a guest nothing of the host: no files, no network, no environment, no
//! arguments, empty input and output that is thrown away.
//!
//! # Folders
//!
//! Each folder uses those above it in this table, and none below. Those above `ctx` are the shared
//! layer: plain Rust, one home for each fact and each system call. `p3`, `p2` and `p1` are three
//! views of it.
//!
//! | folder | has |
//! |---|---|
//! | `error` | [`Errno`], [`I32Exit`], [`TrappableError`] |
//! | `limit` | how much a guest may have open |
//! | `runtime` | tokio's runtime for hosts without one, with the feature `tokio` |
//! | `io` | streams, pollables, waiting, pipes |
//! | `clocks` | clocks of the host |
//! | `random` | random numbers |
//! | `cli` | arguments, environment, standard input and output |
//! | `fs` | file systems, also as `filesystem` |
//! | `net` | sockets, also as `sockets` |
//! | `ctx` | [`WasiCtx`], [`WasiCtxBuilder`], [`WasiView`] |
//! | `p3` | WASI 0.3, with the feature `tokio` |
//! | `p2` | WASI 0.2 |
//! | `p1` | preview 1 |

#![forbid(unsafe_code)]

pub mod cli;
pub mod clocks;
mod ctx;
mod error;
pub mod fs;
pub mod io;
mod limit;
pub mod net;
pub mod p1;
pub mod p2;
#[cfg(feature = "tokio")]
pub mod p3;
pub mod random;
#[cfg(feature = "tokio")]
pub mod runtime;

pub use clocks::{HostMonotonicClock, HostWallClock};
pub use ctx::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
pub use error::{Errno, I32Exit, TrappableError};
pub use fs as filesystem;
pub use fs::{DirPerms, FilePerms};
pub use net as sockets;
pub use random::{Deterministic, thread_rng};

#[doc(no_inline)]
pub use async_trait::async_trait;
#[doc(no_inline)]
pub use mintage::{ResourceTable, ResourceTableError};
#[doc(no_inline)]
pub use rand_core::Rng;

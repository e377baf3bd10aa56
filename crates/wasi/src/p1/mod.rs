//! WASI preview 1 (`wasi_snapshot_preview1`) for core modules, and its predecessor `wasi_unstable`.
//!
//! It is a view of the same layer as [`p2`](crate::p2), without components of 0.2 between: bytes go
//! from the memory of the module to the file, and back.
//!
//! ```
//! # fn main() -> mintage::Result<()> {
//! use mintage::{Component, Engine, Linker, Store};
//! use mintage_wasi::p1::{self, WasiP1Ctx};
//! use mintage_wasi::{I32Exit, WasiCtxBuilder};
//!
//! let engine = Engine::default();
//! let command = Component::from_module(
//!     &engine,
//!     r#"(module
//!         (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!         (memory (export "memory") 1)
//!         (func (export "_start") (call $exit (i32.const 3))))"#,
//! )?;
//! let mut linker = Linker::<WasiP1Ctx>::new(&engine);
//! p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
//! let ctx = WasiCtxBuilder::new().inherit_stdio().args(&["command"]).build_p1();
//! let mut store = Store::new(&engine, ctx);
//! let instance = linker.instantiate(&mut store, &command)?;
//! let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
//! let error = start.call(&mut store, ()).unwrap_err();
//! assert_eq!(error.downcast_ref(), Some(&I32Exit(3)));
//! # Ok(())
//! # }
//! ```
//!
//! A **command** exports `_start`, which is called once. A **reactor** exports `_initialize`, if it
//! needs it, which is called first, and functions that are called later.
//!
//! # Errors of guests
//!
//! A pointer that is out of bounds, or not aligned, ends the call of the guest with a trap
//! ([`Trap::PointerOutOfBounds`](mintage::Trap), [`Trap::UnalignedPointer`](mintage::Trap)). All
//! other errors are numbers (`errno`) for the guest.
//!
//! # Files
//!
//! | file | has |
//! |---|---|
//! | `abi` | numbers and layouts |
//! | `guest` | the memory of the module |
//! | `descriptors` | the table of file descriptors |
//! | `wait` | operations that may wait |
//! | `process`, `files`, `paths`, `stdio`, `poll`, `sockets` | the functions |
//! | `link` | the functions in a linker |

mod abi;
mod descriptors;
mod files;
mod guest;
mod link;
mod paths;
mod poll;
mod process;
mod sockets;
mod stdio;
mod wait;

use crate::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use descriptors::Descriptors;
use mintage::{Linker, ResourceTable, Result};

/// The context of a module: what it has of the host, and its file descriptors. Made by
/// [`WasiCtxBuilder::build_p1`](crate::WasiCtxBuilder::build_p1).
#[derive(Debug)]
pub struct WasiP1Ctx {
    wasi: WasiCtx,
    table: ResourceTable,
    /// Made when they are first used.
    descriptors: Option<Descriptors>,
}

impl WasiCtxBuilder {
    /// Makes the context of a core module.
    ///
    /// # Panics
    ///
    /// When a context has already been made.
    pub fn build_p1(&mut self) -> WasiP1Ctx {
        WasiP1Ctx {
            wasi: self.build(),
            table: ResourceTable::new(),
            descriptors: None,
        }
    }
}

impl WasiP1Ctx {
    fn descriptors(&mut self) -> &mut Descriptors {
        let WasiCtx {
            cli, filesystem, ..
        } = &self.wasi;
        self.descriptors
            .get_or_insert_with(|| Descriptors::new(cli, filesystem))
    }
}

/// The same context for components of WASI 0.2. They have file descriptors of their own.
impl WasiView for WasiP1Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Adds preview 1 to a linker, for guests that are called synchronously. `find` returns the context
/// in the data of a store.
///
/// A guest that waits, for input or a clock, waits on its thread. A deadline, an interrupt handle
/// or an epoch of the store ends that.
///
/// # Errors
///
/// If one of the functions is already defined.
pub fn add_to_linker_sync<T: Send + 'static>(
    linker: &mut Linker<T>,
    find: impl Fn(&mut T) -> &mut WasiP1Ctx + Copy + Send + Sync + 'static,
) -> Result<()> {
    link::add_sync(linker, find)
}

/// Adds preview 1 to a linker, for guests that are called asynchronously. `find` returns the
/// context in the data of a store.
///
/// A guest that waits, for input or a clock, is suspended. The call of the guest needs a runtime of
/// tokio only then. Files are read and written on the thread of the guest, since they cannot make
/// it wait for another program.
///
/// # Errors
///
/// If one of the functions is already defined.
#[cfg(feature = "tokio")]
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    find: impl Fn(&mut T) -> &mut WasiP1Ctx + Copy + Send + Sync + 'static,
) -> Result<()> {
    link::add_async(linker, find)
}

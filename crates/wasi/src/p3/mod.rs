//! WASI 0.3 (in version 0.3.2), for guests whose functions are asynchronous: thin views of the
//! shared layer.
//!
//! Guests of 0.2 and 0.3 can be in one store, and a guest can import both: the interfaces of
//! [`p2`](crate::p2) are added to the same linker. Since a guest of 0.3 waits in many functions at
//! once, the host calls it asynchronously, and so it should add
//! [`p2::add_to_linker_async`](crate::p2::add_to_linker_async).
//!
//! Any executor can run the store. What waits for files, sockets and instants waits in tokio: in
//! the host's runtime, or in one of this crate if there is none.
//!
//! ```no_run
//! use mintage::component::{Component, Linker};
//! use mintage::{Engine, Store};
//! use mintage_wasi::p3::bindings::Command;
//! use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
//!
//! struct Host {
//!     ctx: WasiCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for Host {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
//!     }
//! }
//!
//! # async fn example() -> mintage::Result<()> {
//! let engine = Engine::default();
//! let component = Component::from_file(&engine, "program.wasm")?;
//! let mut linker = Linker::new(&engine);
//! mintage_wasi::p3::add_to_linker(&mut linker)?;
//! let ctx = WasiCtx::builder().inherit_stdio().arg("program").build();
//! let mut store = Store::new(&engine, Host { ctx, table: ResourceTable::new() });
//! let command = Command::instantiate_async(&mut store, &component, &linker).await?;
//! let result = store
//!     .run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await)
//!     .await??;
//! let succeeded = result.is_ok();
//! # Ok(())
//! # }
//! ```

pub mod bindings;
pub mod cli;
pub mod clocks;
pub mod filesystem;
pub mod random;
pub mod sockets;
mod stream;

use crate::WasiView;
use bindings::LinkOptions;
use mintage::{Linker, Result};

/// The version of WASI 0.3 in `wit/p3`. Guests that import an older or a newer version of 0.3 find
/// its functions by semver.
const VERSION: &str = "0.3.2";

/// Defines all interfaces of `wasi:cli/command`.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker_with_options(linker, &LinkOptions::default())
}

/// Does the same as [`add_to_linker`], and defines the unstable features in `options` as well.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_with_options<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &LinkOptions,
) -> Result<()> {
    cli::add_to_linker(linker)?;
    clocks::add_to_linker_with_options(linker, options)?;
    filesystem::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    sockets::add_to_linker(linker)
}

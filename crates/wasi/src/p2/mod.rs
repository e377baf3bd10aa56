//! WASI 0.2 (in version 0.2.12, for guests of all versions of 0.2): thin views of the shared layer.
//!
//! A host that calls guests synchronously adds the interfaces by [`add_to_linker_sync`]. It needs
//! no executor: where a guest waits, the thread waits in `poll(2)`.
//!
//! ```no_run
//! use mintage::component::{Component, Linker};
//! use mintage::{Engine, Store};
//! use mintage_wasi::p2::bindings::sync::Command;
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
//! # fn main() -> mintage::Result<()> {
//! let engine = Engine::default();
//! let component = Component::from_file(&engine, "program.wasm")?;
//! let mut linker = Linker::new(&engine);
//! mintage_wasi::p2::add_to_linker_sync(&mut linker)?;
//! let ctx = WasiCtx::builder().inherit_stdio().arg("program").build();
//! let mut store = Store::new(&engine, Host { ctx, table: ResourceTable::new() });
//! let command = Command::instantiate(&mut store, &component, &linker)?;
//! let succeeded = command.wasi_cli_run().call_run(&mut store)?.is_ok();
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `tokio`, a host that calls guests asynchronously has `add_to_linker_async` and
//! `bindings::Command` for the same.

pub mod bindings;
mod cli;
mod clocks;
pub mod filesystem;
mod io;
mod random;
pub mod sockets;

pub use crate::cli::{TerminalInput, TerminalOutput};
pub use crate::io::pipe;
pub use crate::io::{
    DynFuture, DynInputStream, DynOutputStream, DynPollable, InputStream, MakeFuture, OutputStream,
    Pollable, StreamError, StreamResult, subscribe,
};
pub use filesystem::{FsError, FsResult};
pub use sockets::{Network, SocketError, SocketResult, TcpSocket, UdpSocket};

use crate::WasiView;
use crate::cli::{WasiCli, WasiCliView};
use crate::clocks::{WasiClocks, WasiClocksView};
#[cfg(feature = "tokio")]
use bindings::LinkOptions;
use mintage::{Linker, Result};

/// The version of WASI 0.2 in `wit/`. Guests that import an older or a newer version of 0.2 find
/// its functions by semver.
const VERSION: &str = "0.2.12";

/// The error behind a failed operation of a stream, in the host's table.
pub type IoError = mintage::Error;

/// Defines all interfaces of `wasi:cli/command` for a host that calls guests synchronously.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_sync<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker_with_options_sync(linker, &bindings::sync::LinkOptions::default())
}

/// Does the same as [`add_to_linker_sync`], and defines the unstable features in `options` as well.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_with_options_sync<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &bindings::sync::LinkOptions,
) -> Result<()> {
    io::add_to_linker_sync(linker)?;
    add_nonblocking(linker)?;
    filesystem::add_to_linker(linker)?;
    sockets::add_to_linker_sync(linker, options)
}

/// Defines all interfaces of `wasi:cli/command` for a host that calls guests asynchronously.
///
/// Where a guest waits, its task waits in tokio. Files, and standard streams that are not pipes
/// without a reader, are read and written by the thread that runs the task.
///
/// # Errors
///
/// If an interface is already defined.
#[cfg(feature = "tokio")]
pub fn add_to_linker_async<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker_with_options_async(linker, &LinkOptions::default())
}

/// Does the same as [`add_to_linker_async`], and defines the unstable features in `options` as
/// well.
///
/// # Errors
///
/// If an interface is already defined.
#[cfg(feature = "tokio")]
pub fn add_to_linker_with_options_async<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &LinkOptions,
) -> Result<()> {
    io::add_to_linker_async(linker)?;
    add_nonblocking(linker)?;
    filesystem::add_to_linker(linker)?;
    sockets::add_to_linker_async(linker, options)
}

/// Defines those interfaces that `wasi:http/proxy` has beside HTTP, for a host that calls guests
/// asynchronously.
///
/// # Errors
///
/// If an interface is already defined.
#[cfg(feature = "tokio")]
pub fn add_to_linker_proxy_interfaces_async<T: WasiView + 'static>(
    linker: &mut Linker<T>,
) -> Result<()> {
    io::add_to_linker_async(linker)?;
    add_proxy_interfaces(linker)
}

/// Defines those interfaces that `wasi:http/proxy` has beside HTTP, for a host that calls guests
/// synchronously.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker_proxy_interfaces_sync<T: WasiView + 'static>(
    linker: &mut Linker<T>,
) -> Result<()> {
    io::add_to_linker_sync(linker)?;
    add_proxy_interfaces(linker)
}

/// Defines clocks, random numbers and standard streams.
fn add_proxy_interfaces<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    use bindings::{cli, clocks};

    clocks::wall_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    random::add_to_linker(linker)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(linker, T::cli)
}

/// Defines the interfaces that never wait, but for those of files and sockets.
fn add_nonblocking<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    use bindings::cli;

    add_proxy_interfaces(linker)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)
}

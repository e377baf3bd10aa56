//! WASI 0.2 (in version 0.2.12, for guests of all versions of 0.2): thin views of the shared layer.
//!
//! Hosts that call guests synchronously need no executor: where a guest waits, the thread waits in
//! `poll(2)`.

pub mod bindings;
pub mod filesystem;
pub mod sockets;
mod stdio;

pub use crate::io::{
    DynFuture, DynInputStream, DynOutputStream, DynPollable, InputStream, MakeFuture, OutputStream,
    Pollable, StreamError, StreamResult, subscribe,
};
pub use filesystem::{FsError, FsResult};
pub use sockets::{SocketError, SocketResult};
pub use stdio::{TerminalInput, TerminalOutput};

/// The error behind a failed operation of a stream, in the host's table.
pub type IoError = mintage::Error;

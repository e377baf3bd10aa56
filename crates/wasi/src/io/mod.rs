//! Streams of bytes, and how to wait: the ground of `wasi:io`, of preview 1's descriptors, and of
//! what hosts write themselves.

#[cfg(feature = "tokio")]
mod asynchronous;
pub(crate) mod fd;
pub mod pipe;
mod pollable;
mod streams;
pub(crate) mod wait;
#[cfg(feature = "tokio")]
pub(crate) mod waiting;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncReadStream, AsyncWriteStream};
pub use pollable::{DynFuture, DynPollable, Interest, MakeFuture, Pollable, Readiness, subscribe};
pub use streams::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult,
};

pub(crate) use streams::MAX_ATTEMPTS;

/// The most bytes that a guest reads or writes at once, so that no single request makes the host
/// allocate more.
pub(crate) const MAX_PIECE: usize = 1 << 20;

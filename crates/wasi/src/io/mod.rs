//! Streams of bytes, and how to wait: the ground of `wasi:io`, of preview 1's descriptors, and of
//! what hosts write themselves.

mod pollable;
mod streams;

pub use pollable::{DynFuture, DynPollable, Interest, MakeFuture, Pollable, Readiness, subscribe};
pub use streams::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult,
};

//! Tokio's streams for hyper.

pub use hyper_util::rt::TokioIo;

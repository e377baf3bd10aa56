//! The helpers for futures that the peer's tests share.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime::*;


//! The state of a call hook that the peer's tests share.

use wasmtime::*;


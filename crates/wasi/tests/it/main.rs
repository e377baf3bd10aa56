//! Tests of WASI through the public API, one module for each part.

mod fs;

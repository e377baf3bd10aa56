//! Compiles WebAssembly components and mints instances of them.

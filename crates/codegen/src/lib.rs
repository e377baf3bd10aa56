//! One function of a [`Program`](mintage_program::Program) to machine code, through Cranelift.
//!
//! ```text
//! compiler::Compiler::compile   one FuncKey -> CompiledFunction
//!   -> translate/               a core function: WebAssembly operators -> CLIF
//!      or canon/                what the Canonical ABI defines -> CLIF: trampolines of imports
//!                               and entries, adapters, built-ins
//!      or builtin/              trampolines of the runtime's builtins -> CLIF
//!   -> Cranelift                CLIF -> code, relocations, traps, locations
//!   -> output                   copied out as plain data
//! ```
//!
//! Architecture invariant: this is the only crate that names Cranelift, and nothing of Cranelift
//! shows in its interface. It knows one function at a time; placing functions and resolving
//! relocations is the driver's work.

#![forbid(unsafe_code)]

mod abi;
mod builtin;
mod canon;
mod compiler;
mod emit;
#[cfg(test)]
mod filetests;
mod isa;
mod metering;
mod output;
mod translate;

pub use compiler::{Compiler, FUNCTION_VALUES, Scratch};
pub use output::{CompiledFunction, Relocation, RelocationKind, RelocationTarget};

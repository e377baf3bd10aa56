//! From one function of a [`Program`](mintage_program::Program) to machine code, through Cranelift.
//!
//! ```text
//! Compiler::compile     FuncKey -> CompiledFunction
//!   -> translate        a core function: WebAssembly operators -> CLIF
//!      or canon         a function of the Canonical ABI -> CLIF: trampolines of imports and
//!                       entries, adapters, built-ins
//!      or builtin       a trampoline of a builtin of the runtime -> CLIF
//!   -> widen            indices become 64 bits
//!   -> Cranelift        CLIF -> code, relocations, traps, locations
//!      or fast          the same, in less time
//!   -> output           copied out as plain data
//! ```
//!
//! Each folder may use the folders listed for it, all of which are above it in this table. The
//! repository rules read the table, from its heading on, and check every `crate::` path.
//!
//! ```text
//! folder      may use                                       what it is
//! compiled    -                                             compiled functions, as plain data
//! isa         compiled                                      facts about processors
//! abi         compiled isa                                  types, signatures, external names
//! emit        abi isa                                       what the folders below share
//! metering    emit                                          fuel and interruption
//! builtin     abi emit                                      trampolines of the runtime's builtins
//! canon       abi emit metering                             functions of the Canonical ABI
//! translate   abi canon emit isa metering                   core functions
//! unbound     abi compiled                                  code before its names are bound
//! output      isa unbound                                   from Cranelift's result to `unbound`
//! fast        compiled isa output unbound                   the fast tier: from CLIF to `unbound`
//! reuse       isa unbound                                   code that was generated before
//! widen       -                                             indices become 64 bits
//! compiler    builtin canon compiled emit fast isa output reuse translate unbound widen    to code
//! ```
//!
//! Architecture invariants: this is the only crate that names Cranelift, and its interface shows
//! nothing of it. Only `isa` and `fast` know processors. The crate works on one function at a time;
//! the driver places functions and resolves relocations.

#![forbid(unsafe_code)]

mod abi;
mod builtin;
mod canon;
mod compiled;
mod compiler;
mod emit;
mod fast;
#[cfg(test)]
mod filetests;
mod isa;
mod metering;
mod output;
mod reuse;
mod translate;
mod unbound;
mod widen;

pub use compiled::{CompiledFunction, Relocation, RelocationKind, RelocationTarget};
pub use compiler::{Compiler, FUNCTION_VALUES, Made, Scratch, check_target};
pub use reuse::{CacheStore, FunctionCache, Kept, ProgramDigest};

//! The fast tier: machine code from unoptimized CLIF in a few passes over a function, each of which
//! takes time in proportion to its size. It obeys the same conventions as Cranelift's code, so the
//! functions of a program can come from both.
//!
//! ```text
//! plan        how values are represented, and how long they are needed
//! allocate    a register or a word of the frame for each value
//! x64         machine code for x86-64
//! ```
//!
//! Cranelift has to compile what this tier does not know: SIMD, exception handlers, other
//! processors. [`compile`] says which.
//!
//! Architecture invariant: this folder and `isa` are the only ones that know processors.

mod allocate;
mod plan;
mod x64;

use crate::isa;
use crate::unbound::UnboundFunction;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
pub(crate) use plan::Unsupported;

/// The buffers of the tier, reused from function to function.
#[derive(Default)]
pub(crate) struct Buffers(plan::Plan);

/// Returns the machine code of `func`.
///
/// # Errors
///
/// If `func` has something that this tier cannot compile.
pub(crate) fn compile(
    isa: &dyn TargetIsa,
    func: &Function,
    buffers: &mut Buffers,
    address_map: bool,
) -> Result<UnboundFunction, Unsupported> {
    if !isa::has_fast_tier(isa) {
        return Err(Unsupported::Processor);
    }
    x64::compile(isa, func, &mut buffers.0, address_map)
}

//! Where arguments and results are passed.

use super::assembler::{Gpr, R8, R9, R10, RAX, RCX, RDI, RDX, RSI, Xmm};
use crate::fast::plan::Unsupported;
use crate::isa::{COLD_CALL_CONV, WASM_CALL_CONV};
use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, Signature};
use smallvec::SmallVec;

/// Where a value is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Integer(Gpr),
    Float(Xmm),
    /// At this offset of the arguments on the stack.
    Stack(u32),
}

pub(super) type Passing = SmallVec<[Passed; 8]>;

/// The registers of integer arguments.
const ARGUMENTS: [Gpr; 6] = [RDI, RSI, RDX, RCX, R8, R9];
/// The registers of integer results.
const RESULTS: [Gpr; 8] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10];
/// The number of vector registers for arguments, and of those for results.
const FLOATS: u8 = 8;
/// The alignment of the arguments on the stack.
const STACK_ALIGNMENT: u32 = 16;
/// The bytes of an argument on the stack.
const WORD: u32 = 8;

/// Returns where parameters are passed, and the number of bytes of those on the stack.
pub(super) fn parameters(signature: &Signature) -> Result<(Passing, u32), Unsupported> {
    if ![WASM_CALL_CONV, COLD_CALL_CONV].contains(&signature.call_conv) {
        return Err(Unsupported::Convention);
    }
    let mut stack = 0;
    let passing = assign(&signature.params, &ARGUMENTS, || {
        stack += WORD;
        Ok(Passed::Stack(stack - WORD))
    })?;
    Ok((passing, stack.next_multiple_of(STACK_ALIGNMENT)))
}

/// Returns where results are passed.
pub(super) fn results(signature: &Signature) -> Result<Passing, Unsupported> {
    if signature.call_conv != WASM_CALL_CONV && !signature.returns.is_empty() {
        return Err(Unsupported::Convention);
    }
    assign(&signature.returns, &RESULTS, || {
        Err(Unsupported::Convention)
    })
}

fn assign(
    values: &[AbiParam],
    registers: &[Gpr],
    mut stack: impl FnMut() -> Result<Passed, Unsupported>,
) -> Result<Passing, Unsupported> {
    let mut integers = registers.iter();
    let mut floats = (0..FLOATS).map(Xmm);
    let places = values.iter().map(|value| {
        let ty = value.value_type;
        if !matches!(
            value.purpose,
            ArgumentPurpose::Normal | ArgumentPurpose::VMContext
        ) {
            return Err(Unsupported::Convention);
        }
        let register = match () {
            () if ty.is_int() && ty.bits() <= 64 => integers.next().copied().map(Passed::Integer),
            () if ty.is_float() && ty.bits() <= 64 => floats.next().map(Passed::Float),
            () => return Err(Unsupported::Type(ty)),
        };
        register.map_or_else(&mut stack, Ok)
    });
    places.collect()
}

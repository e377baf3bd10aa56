//! The ground floor of code generation: what core functions, adapters, built-ins and trampolines
//! share.
//!
//! ```text
//! declarations    signatures, functions, symbols and alias regions that a function refers to
//! control_block   access to the control block
//! function        a function under construction, outside of `translate`
//! workspace       the input and the buffers of code generation
//! host            calls of the host: exit records, argument arrays, raising traps
//! ```

pub(crate) mod control_block;
mod declarations;
mod function;
mod host;
mod workspace;

use crate::abi;
use cranelift_codegen::ir::{
    Function, InstBuilder, InstructionData, Opcode, TrapCode, Value, ValueDef, types,
};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::component::CoreCallee;
use mintage_environ::{Builtin, Signatures, Trap};
use smallvec::SmallVec;

pub(crate) use declarations::{Declarations, Region};
pub(crate) use function::{FunctionEmitter, StackCheck, open};
pub(crate) use workspace::{Effort, Input, Workspace};

/// Arguments or results of a call. Most calls have a handful.
pub(crate) type Values = SmallVec<[Value; 8]>;

/// Returns Cranelift's code for a trap.
pub(crate) const fn trap_code(trap: Trap) -> TrapCode {
    match trap {
        Trap::MemoryOutOfBounds => TrapCode::HEAP_OUT_OF_BOUNDS,
        Trap::IntegerOverflow => TrapCode::INTEGER_OVERFLOW,
        Trap::IntegerDivisionByZero => TrapCode::INTEGER_DIVISION_BY_ZERO,
        Trap::BadConversionToInteger => TrapCode::BAD_CONVERSION_TO_INTEGER,
        Trap::StackOverflow => TrapCode::STACK_OVERFLOW,
        other => TrapCode::unwrap_user(other as u8),
    }
}

/// Returns the number that `value` is known to be, zero-extended.
pub(crate) fn known_integer(func: &Function, value: Value) -> Option<u64> {
    let value = func.dfg.resolve_aliases(value);
    let ValueDef::Result(inst, 0) = func.dfg.value_def(value) else {
        return None;
    };
    let InstructionData::UnaryImm {
        opcode: Opcode::Iconst,
        imm,
    } = func.dfg.insts[inst]
    else {
        return None;
    };
    let bits = func.dfg.value_type(value).bits();
    Some(imm.bits() as u64 & (u64::MAX >> (64 - bits)))
}

/// Returns a 32-bit or 64-bit value as 64 bits, zero-extended.
pub(crate) fn widen(builder: &mut FunctionBuilder<'_>, value: Value) -> Value {
    match builder.func.dfg.value_type(value) {
        types::I32 => builder.ins().uextend(types::I64, value),
        _ => value,
    }
}

/// Adds a constant to an address.
pub(crate) fn plus(builder: &mut FunctionBuilder<'_>, address: Value, constant: i64) -> Value {
    match constant {
        0 => address,
        constant => builder.ins().iadd_imm_u(address, constant),
    }
}

/// Calls a function of the program in the component instance with context `ctx`.
pub(crate) fn call_core(
    builder: &mut FunctionBuilder<'_>,
    declarations: &mut Declarations,
    signatures: &Signatures,
    callee: CoreCallee,
    ctx: Value,
    arguments: &[Value],
) -> Values {
    let func = &mut *builder.func;
    let signature = declarations.signature(func, callee.sig, || {
        abi::wasm_signature(&signatures[callee.sig])
    });
    let callee = declarations.function(func, callee.key, |_| signature);
    let mut all = Values::from_slice(&[ctx]);
    all.extend_from_slice(arguments);
    let call = builder.ins().call(callee, &all);
    builder.inst_results(call).into()
}

/// Calls a builtin of the runtime. Returns its result if it has one.
pub(crate) fn call_builtin(
    builder: &mut FunctionBuilder<'_>,
    declarations: &mut Declarations,
    builtin: Builtin,
    ctx: Value,
    arguments: &[Value],
) -> Option<Value> {
    let callee = declarations.builtin(builder.func, builtin);
    let mut all = Values::from_slice(&[ctx]);
    all.extend_from_slice(arguments);
    let call = builder.ins().call(callee, &all);
    builder.inst_results(call).first().copied()
}

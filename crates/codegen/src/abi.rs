//! Types, signatures and names of functions in terms of Cranelift.

use crate::compiled::RelocationTarget;
use crate::isa::{COLD_CALL_CONV, CallConv, INTEGER_REGISTERS, WASM_CALL_CONV, host_call_conv};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{
    AbiParam, ArgumentPurpose, Signature as ClifSignature, Type, UserExternalName, types,
};
use cranelift_codegen::isa::TargetIsa;
use mintage_environ::builtin::{BuiltinResult, BuiltinType};
use mintage_environ::{Builtin, FuncKey, Signature, ValType};

/// The type of addresses, including `ctx`.
pub(crate) const POINTER: Type = types::I64;
/// The type of references on the operand stack and in table entries.
pub(crate) const REFERENCE: Type = types::I64;

/// The external name of the first byte of the text. No [`FuncKey`] maps to it.
pub(crate) const TEXT_BASE: UserExternalName = UserExternalName {
    namespace: u32::MAX,
    index: 0,
};

/// Returns the external name of a function.
pub(crate) fn external_name(key: FuncKey) -> UserExternalName {
    UserExternalName::new(key.namespace(), key.index())
}

/// Returns the function or place that an external name stands for.
pub(crate) fn relocation_target(name: &UserExternalName) -> Result<RelocationTarget> {
    if *name == TEXT_BASE {
        return Ok(RelocationTarget::TextBase);
    }
    let key = FuncKey::from_parts(name.namespace, name.index);
    Ok(RelocationTarget::Func(key.with_context(|| {
        format!("internal error: {name} names no function")
    })?))
}

/// Returns the type of values of `ty` in registers, globals and memory.
pub(crate) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
        ValType::Ref(_) => REFERENCE,
    }
}

/// Returns the signature of a wasm function: `ctx`, then its parameters.
///
/// Parameters on the stack are extended to the eight bytes that the callee loads. Store forwarding
/// fails for a load that covers more bytes than the preceding store wrote: the load then waits
/// until the store has reached the cache, which takes longer than the rest of a call.
pub(crate) fn wasm_signature(signature: &Signature) -> ClifSignature {
    let mut clif = context_signature(WASM_CALL_CONV);
    let mut integers = 1;
    clif.params.extend(signature.params.iter().map(|&ty| {
        let param = AbiParam::new(clif_type(ty));
        integers += usize::from(param.value_type.is_int());
        match ty {
            ValType::I32 if integers > INTEGER_REGISTERS => param.uext(),
            _ => param,
        }
    }));
    clif.returns.extend(
        signature
            .results
            .iter()
            .map(|&ty| AbiParam::new(clif_type(ty))),
    );
    clif
}

/// Returns the signature of a builtin's trampoline, as wasm code calls it.
pub(crate) fn builtin_signature(builtin: Builtin) -> ClifSignature {
    let mut clif = context_signature(match builtin.result() {
        BuiltinResult::ColdTrapCode => COLD_CALL_CONV,
        _ => WASM_CALL_CONV,
    });
    clif.params.extend(
        builtin
            .params()
            .iter()
            .map(|&ty| AbiParam::new(builtin_type(ty))),
    );
    match builtin.result() {
        BuiltinResult::Value(ty) | BuiltinResult::Fallible(ty) | BuiltinResult::Suspending(ty) => {
            clif.returns.push(AbiParam::new(builtin_type(ty)));
        }
        BuiltinResult::Growth => clif.returns.push(AbiParam::new(types::I64)),
        BuiltinResult::Never | BuiltinResult::TrapCode | BuiltinResult::ColdTrapCode => {}
    }
    clif
}

/// Returns the signature of a builtin in the runtime, as its trampoline calls it.
pub(crate) fn builtin_host_signature(builtin: Builtin, isa: &dyn TargetIsa) -> ClifSignature {
    let mut clif = builtin_signature(builtin);
    clif.call_conv = host_call_conv(isa);
    match builtin.result() {
        BuiltinResult::Never | BuiltinResult::Growth | BuiltinResult::Value(_) => {}
        BuiltinResult::TrapCode | BuiltinResult::ColdTrapCode => {
            clif.returns.push(AbiParam::new(types::I32));
        }
        BuiltinResult::Fallible(_) | BuiltinResult::Suspending(_) => {
            clif.returns = vec![AbiParam::new(types::I64)]
        }
    }
    clif
}

/// Returns the signature of a host function: `fn(ctx, data, words) -> failed`.
pub(crate) fn host_import_signature(isa: &dyn TargetIsa) -> ClifSignature {
    let mut clif = context_signature(host_call_conv(isa));
    clif.params.extend([AbiParam::new(POINTER); 2]);
    clif.returns.push(AbiParam::new(types::I32));
    clif
}

/// Returns the signature of the raise stub: `fn(ctx, trap code)`. It does not return.
pub(crate) fn raise_signature(isa: &dyn TargetIsa) -> ClifSignature {
    let mut clif = context_signature(host_call_conv(isa));
    clif.params.push(AbiParam::new(types::I32));
    clif
}

/// Returns the signature of an entry trampoline: `fn(ctx, code, words)`.
pub(crate) fn entry_signature(isa: &dyn TargetIsa) -> ClifSignature {
    let mut clif = context_signature(host_call_conv(isa));
    clif.params.extend([AbiParam::new(POINTER); 2]);
    clif
}

fn context_signature(call_conv: CallConv) -> ClifSignature {
    let mut clif = ClifSignature::new(call_conv);
    clif.params
        .push(AbiParam::special(POINTER, ArgumentPurpose::VMContext));
    clif
}

/// Returns the type of a builtin's parameter or result.
fn builtin_type(ty: BuiltinType) -> Type {
    match ty {
        BuiltinType::I32 => types::I32,
        BuiltinType::I64 => types::I64,
    }
}

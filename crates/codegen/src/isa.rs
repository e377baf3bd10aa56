//! Facts about processors.
//!
//! Architecture invariant: this is the only file of the crate, apart from expectations in
//! `filetests/`, that names a processor architecture, asks for one, or depends on its instructions,
//! registers or calling conventions. `cargo xtask tidy` and a test below check it. To add an
//! architecture, add a variant to [`Arch`] and follow the compiler's errors.

use crate::compiled::RelocationKind;
use anyhow::{Context as _, Result, bail, ensure};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
pub(crate) use cranelift_codegen::isa::CallConv;
use cranelift_codegen::isa::{Builder, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::Flags;
use cranelift_frontend::FuncInstBuilder;
use mintage_environ::{Target, Trap, unsupported};
use std::hash::{Hash, Hasher};
use target_lexicon::Architecture;

/// The convention of calls between wasm functions. It allows tail calls.
pub(crate) const WASM_CALL_CONV: CallConv = CallConv::Tail;

/// The convention of calls in cold blocks of hot code, which preserve all registers.
pub(crate) const COLD_CALL_CONV: CallConv = CallConv::PreserveAll;

/// The number of integer registers that pass arguments of wasm functions, `ctx` first. Further
/// integers are passed on the stack.
pub(crate) const INTEGER_REGISTERS: usize = 6;

/// The architectures that code can be generated for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arch {
    X64,
}

impl Arch {
    fn of(isa: &dyn TargetIsa) -> Result<Self> {
        match isa.triple().architecture {
            Architecture::X86_64 => Ok(Arch::X64),
            other => bail!(unsupported!(
                "cannot generate code for `{other}`: only x86-64 is supported"
            )),
        }
    }
}

/// Describes the processor that this runs on.
pub(crate) fn host() -> Result<Builder> {
    Ok(cranelift_native::builder()
        .map_err(|reason| unsupported!("cannot generate code for this processor: {reason}"))?)
}

/// Describes an x86-64 processor of about 2013, which expectations of tests are made for.
#[cfg(test)]
pub(crate) fn test_processor() -> Result<Builder> {
    let mut builder = cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu")?;
    for feature in [
        "has_sse3",
        "has_ssse3",
        "has_sse41",
        "has_sse42",
        "has_popcnt",
        "has_lzcnt",
        "has_bmi1",
    ] {
        cranelift_codegen::settings::Configurable::enable(&mut builder, feature)?;
    }
    Ok(builder)
}

/// Returns a code generator for `processor`.
///
/// # Errors
///
/// When the architecture is not supported, or the processor lacks an instruction set extension
/// that generated code needs.
pub(crate) fn code_generator(processor: &Builder, flags: Flags) -> Result<OwnedTargetIsa> {
    let isa = processor
        .finish(flags)
        .context("the code generator refuses its settings")?;
    match Arch::of(&*isa)? {
        Arch::X64 => {
            // Without these, rounding and shuffles would be calls of library functions, and there
            // is no library to call.
            ensure!(
                isa.has_round(),
                unsupported!("cannot generate code for this processor: it lacks SSE4.1")
            );
            ensure!(
                isa.has_x86_pshufb_lowering(),
                unsupported!("cannot generate code for this processor: it lacks SSSE3")
            );
        }
    }
    Ok(isa)
}

/// Hashes the processor and the settings that machine code is generated for.
pub(crate) fn hash(isa: &dyn TargetIsa, state: &mut impl Hasher) {
    isa.triple().hash(state);
    isa.flags().hash(state);
    isa.isa_flags_hash_key().hash(state);
}

/// Returns the target that code for `isa` runs on.
pub(crate) fn target(isa: &dyn TargetIsa) -> Target {
    let flags = isa.isa_flags();
    let mut cpu_features: Vec<String> = flags
        .iter()
        .map(|flag| format!("{}={}", flag.name, flag.value_string()))
        .collect();
    cpu_features.sort();
    Target {
        triple: isa.triple().to_string(),
        cpu_features,
    }
}

/// Returns the convention of `extern "C"` functions.
pub(crate) fn host_call_conv(isa: &dyn TargetIsa) -> CallConv {
    CallConv::triple_default(isa.triple())
}

/// Returns the power of two that the start of a function should be a multiple of.
pub(crate) fn function_alignment(isa: &dyn TargetIsa) -> u32 {
    isa.function_alignment().preferred
}

/// Returns how the linker resolves a relocation. `None` for one that position-independent text
/// cannot have.
pub(crate) fn relocation_kind(reloc: Reloc) -> Option<RelocationKind> {
    match reloc {
        Reloc::X86CallPCRel4 | Reloc::X86PCRel4 => Some(RelocationKind::PcRelative4),
        // Only `ref.func` names a symbol by its absolute value, and there the value is an offset
        // in the text.
        Reloc::Abs8 => Some(RelocationKind::TextOffset8),
        _ => None,
    }
}

/// Replaces the instructions of explicit traps by others that fault sooner under a hypervisor.
///
/// Hypervisors intercept the fault of the undefined instruction, `ud2`, to see whether they have to
/// emulate it. The fault of a privileged instruction, `hlt`, goes to the guest system's kernel at
/// once. `hlt` takes one byte; `nop` fills the other.
pub(crate) fn make_traps_fast(isa: &dyn TargetIsa, code: &mut [u8], traps: &[(u32, Trap)]) {
    match Arch::of(isa) {
        Ok(Arch::X64) => replace_undefined_instructions(code, traps),
        Err(_) => {}
    }
}

fn replace_undefined_instructions(code: &mut [u8], traps: &[(u32, Trap)]) {
    const UD2: [u8; 2] = [0x0f, 0x0b];
    const HLT_NOP: [u8; 2] = [0xf4, 0x90];
    for &(offset, _) in traps {
        // Other instructions that trap, such as loads, do not start like that.
        if let Some(place) = code
            .get_mut(offset as usize..)
            .and_then(|rest| rest.first_chunk_mut())
            && *place == UD2
        {
            *place = HLT_NOP;
        }
    }
}

/// Returns whether the processor multiplies and adds floats with one rounding.
pub(crate) fn has_fused_multiply_add(isa: &dyn TargetIsa) -> bool {
    isa.has_native_fma()
}

/// Emits an instruction with one operand.
pub(crate) type Unary = fn(FuncInstBuilder<'_, '_>, Value) -> Value;
/// Emits an instruction with two operands.
pub(crate) type Binary = fn(FuncInstBuilder<'_, '_>, Value, Value) -> Value;

/// The instructions of a processor that relaxed SIMD operators may use, each `None` if the
/// processor has none that is faster than the strict operator.
pub(crate) struct RelaxedSimd<'a> {
    isa: &'a dyn TargetIsa,
}

impl<'a> RelaxedSimd<'a> {
    pub fn new(isa: &'a dyn TargetIsa) -> Self {
        Self { isa }
    }

    fn is_x64(&self) -> bool {
        matches!(Arch::of(self.isa), Ok(Arch::X64))
    }

    /// For `i8x16.relaxed_swizzle`.
    pub fn swizzle(&self) -> Option<Binary> {
        let has = self.isa.has_x86_pshufb_lowering();
        has.then_some(|ins, a, b| ins.x86_pshufb(a, b))
    }

    /// For `i16x8.relaxed_q15mulr_s`.
    pub fn multiply_q15(&self) -> Option<Binary> {
        let has = self.isa.has_x86_pmulhrsw_lowering();
        has.then_some(|ins, a, b| ins.x86_pmulhrsw(a, b))
    }

    /// For `i16x8.relaxed_dot_i8x16_i7x16_s`.
    pub fn dot(&self) -> Option<Binary> {
        let has = self.isa.has_x86_pmaddubsw_lowering();
        has.then_some(|ins, bytes, sevens| ins.x86_pmaddubsw(bytes, sevens))
    }

    /// For `i32x4.relaxed_trunc_f32x4_s`.
    pub fn truncate_floats(&self) -> Option<Unary> {
        let truncate: Unary = |ins, a| ins.x86_cvtt2dq(types::I32X4, a);
        self.is_x64().then_some(truncate)
    }

    /// For `i32x4.relaxed_trunc_f64x2_s_zero`: 64-bit lanes.
    pub fn truncate_doubles(&self) -> Option<Unary> {
        let truncate: Unary = |ins, a| ins.x86_cvtt2dq(types::I64X2, a);
        self.is_x64().then_some(truncate)
    }

    /// Returns whether vectors of `lanes` can be blended by the sign bits of a mask.
    pub fn has_blend(&self, lanes: Type) -> bool {
        self.isa.has_blendv_lowering(lanes)
    }

    /// Returns whether pseudo-minimum and pseudo-maximum are faster than the strict operators.
    pub fn prefers_pseudo_minimum(&self) -> bool {
        self.is_x64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The repository rules look for names of architectures. This looks for the code generator's
    /// own words for processor facts.
    #[test]
    fn no_other_file_asks_for_processor_facts() {
        fn visit(folder: &std::path::Path, complaints: &mut Vec<String>) -> usize {
            let mut files = 0;
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files += visit(&path, complaints);
                } else if !path.ends_with("src/isa.rs") {
                    files += 1;
                    let text = std::fs::read_to_string(&path).unwrap();
                    let words = [
                        "x86",
                        "X86",
                        "\"x64\"",
                        "CallConv::",
                        "isa_flags",
                        "_lowering(",
                    ];
                    let found = words.iter().filter(|&&word| text.contains(word));
                    complaints.extend(found.map(|word| format!("{}: {word}", path.display())));
                }
            }
            files
        }
        let mut complaints = Vec::new();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert!(visit(&source, &mut complaints) > 40);
        assert_eq!(complaints, Vec::<String>::new());
    }

    #[test]
    fn explicit_traps_become_faults_that_are_handled_sooner() {
        // Only at a trap, and only whole: not the same bytes as part of another instruction, and
        // not at the end.
        let mut code = [0x0f, 0x0b, 0x90, 0x0f, 0x0b, 0x8b, 0x00, 0x0f];
        let traps = [
            (3, Trap::UnreachableCodeReached),
            (5, Trap::MemoryOutOfBounds),
            (7, Trap::StackOverflow),
            (9, Trap::Interrupt),
        ];
        replace_undefined_instructions(&mut code, &traps);
        assert_eq!(code, [0x0f, 0x0b, 0x90, 0xf4, 0x90, 0x8b, 0x00, 0x0f]);
    }
}

//! Facts about processors.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | questions about the processor that code is generated for |
//! | `x64.rs` | answers for x86-64 |
//! | `aarch64.rs` | answers for 64-bit ARM |
//!
//! Architecture invariant: this is the only folder of the crate, apart from `fast` and expectations
//! in `filetests/`, that names a processor architecture, asks for one, or depends on its
//! instructions, registers or calling conventions. `cargo xtask tidy` and a test below check it. To
//! add an architecture, add a variant to [`Arch`] and follow the compiler's errors.

mod aarch64;
mod x64;

use crate::compiled::RelocationKind;
use anyhow::{Context as _, Result, bail, ensure};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{Function, InstBuilder, Type, Value, types};
pub(crate) use cranelift_codegen::isa::CallConv;
use cranelift_codegen::isa::{Builder, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{Configurable, Flags, SettingKind};
use cranelift_frontend::FuncInstBuilder;
use mintage_environ::{CpuFeatures, Target, TargetRequest, Trap, unsupported};
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use target_lexicon::{
    Aarch64Architecture, Architecture, BinaryFormat, Environment, OperatingSystem, Triple, Vendor,
};

/// The convention of calls between wasm functions. It allows tail calls.
pub(crate) const WASM_CALL_CONV: CallConv = CallConv::Tail;

/// The convention of calls in cold blocks of hot code, which preserve all registers.
pub(crate) const COLD_CALL_CONV: CallConv = CallConv::PreserveAll;

/// The number of integer registers that pass arguments of wasm functions, `ctx` first. Further
/// integers are passed on the stack. It is the same on all processors.
pub(crate) const INTEGER_REGISTERS: usize = 6;

/// The architectures that code can be generated for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arch {
    X64,
    Aarch64,
}

impl Arch {
    fn of(triple: &Triple) -> Result<Self> {
        match triple.architecture {
            Architecture::X86_64 => Ok(Arch::X64),
            Architecture::Aarch64(Aarch64Architecture::Aarch64) => Ok(Arch::Aarch64),
            other => bail!(unsupported!(
                "cannot generate code for `{other}`: only x86-64 and aarch64 are supported"
            )),
        }
    }
}

/// Describes the processor that this runs on.
pub(crate) fn host() -> Result<Builder> {
    let mut builder = cranelift_native::builder()
        .map_err(|reason| unsupported!("cannot generate code for this processor: {reason}"))?;
    if Arch::of(builder.triple())? == Arch::Aarch64 {
        enable_baseline(&mut builder)?;
    }
    Ok(builder)
}

/// Describes the processor that `request` asks for.
///
/// # Errors
///
/// If code cannot be generated for it, or a feature is unknown.
pub(crate) fn requested(request: &TargetRequest) -> Result<Builder> {
    let TargetRequest { triple, features } = request;
    let mut builder = match (triple, features) {
        (None, CpuFeatures::Host) => return host(),
        (Some(triple), _) => lookup(triple)?,
        (None, _) => lookup(&Triple::host().to_string())?,
    };
    match features {
        CpuFeatures::Host if builder.triple().to_string() == Triple::host().to_string() => {
            return host();
        }
        CpuFeatures::Host | CpuFeatures::Baseline => enable_baseline(&mut builder)?,
        CpuFeatures::These(names) => {
            enable_baseline(&mut builder)?;
            for name in names {
                enable(&mut builder, name)?;
            }
        }
    }
    Ok(builder)
}

/// Returns a processor of the architecture that a triple names, without features. The result has
/// the triple in the form in which artifacts have it.
fn lookup(name: &str) -> Result<Builder> {
    let refused = |reason: &str| unsupported!("cannot generate code for `{name}`: {reason}");
    let mut triple = Triple::from_str(name).map_err(|error| refused(&error.to_string()))?;
    Arch::of(&triple).map_err(|_| refused("only x86-64 and aarch64 are supported"))?;
    // An architecture alone means Linux.
    ensure!(
        triple.operating_system == OperatingSystem::Linux || !name.contains('-'),
        refused("only Linux is supported")
    );
    triple.operating_system = OperatingSystem::Linux;
    triple.vendor = Vendor::Unknown;
    triple.environment = match triple.environment {
        Environment::Gnu | Environment::Unknown => Environment::Gnu,
        Environment::Musl => Environment::Musl,
        _ => bail!(refused(
            "only the environments `gnu` and `musl` are supported"
        )),
    };
    // The parser takes the format from the whole name.
    triple.binary_format = BinaryFormat::Elf;
    Ok(cranelift_codegen::isa::lookup(triple).map_err(|error| refused(&error.to_string()))?)
}

fn enable_baseline(builder: &mut Builder) -> Result<()> {
    let features = match Arch::of(builder.triple())? {
        Arch::X64 => x64::BASELINE,
        Arch::Aarch64 => aarch64::BASELINE,
    };
    for feature in features {
        builder
            .enable(feature)
            .with_context(|| format!("internal error: unknown feature {feature}"))?;
    }
    Ok(())
}

/// Turns on a feature, such as `lse`, or all those of a kind of processor, such as `x86-64-v3`.
fn enable(builder: &mut Builder, name: &str) -> Result<()> {
    let named: Vec<(&str, &str)> = builder
        .iter()
        .filter_map(|setting| match setting.kind {
            SettingKind::Preset => Some((setting.name, setting.name)),
            _ => Some((setting.name.strip_prefix("has_")?, setting.name)),
        })
        .collect();
    let Some((_, setting)) = named.iter().find(|(short, _)| *short == name) else {
        let mut known: Vec<&str> = named.iter().map(|(short, _)| *short).collect();
        known.sort_unstable();
        bail!(unsupported!(
            "unknown CPU feature `{name}` on {}; use one of {}",
            builder.triple().architecture,
            known.join(", ")
        ))
    };
    builder
        .enable(setting)
        .with_context(|| format!("internal error: unknown feature {setting}"))
}

/// The architecture that expectations of tests are made for, unless they name another one.
#[cfg(test)]
pub(crate) const TEST_ARCHITECTURE: &str = "x86_64";

/// Describes the processor of an architecture that expectations of tests are made for.
#[cfg(test)]
pub(crate) fn test_processor(architecture: &str) -> Result<Builder> {
    let (triple, features) = match architecture {
        "x86_64" => x64::TEST_PROCESSOR,
        "aarch64" => aarch64::TEST_PROCESSOR,
        other => bail!("unknown processor `{other}` for tests"),
    };
    requested(&TargetRequest {
        triple: Some(triple.into()),
        features: CpuFeatures::These(features.iter().map(|name| name.to_string()).collect()),
    })
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
    match Arch::of(isa.triple())? {
        Arch::X64 => x64::check_extensions(&*isa)?,
        Arch::Aarch64 => {}
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

/// The alignment of functions with loops, in bytes. The linker chooses among four places in a cache
/// line then, where the alignment that the code generator prefers would leave two.
const ALIGNMENT_WITH_LOOPS: u32 = 16;

/// Returns the power of two that the start of a function should be a multiple of.
pub(crate) fn function_alignment(isa: &dyn TargetIsa, has_loops: bool) -> u32 {
    match has_loops {
        true => ALIGNMENT_WITH_LOOPS,
        false => isa.function_alignment().preferred,
    }
}

/// Returns how the linker resolves a relocation. `None` for one that position-independent text
/// cannot have.
pub(crate) fn relocation_kind(reloc: Reloc) -> Option<RelocationKind> {
    match reloc {
        Reloc::X86CallPCRel4 | Reloc::X86PCRel4 => Some(RelocationKind::PcRelative4),
        Reloc::Arm64Call => Some(RelocationKind::Branch26),
        Reloc::Aarch64AdrPrelPgHi21 => Some(RelocationKind::Page21),
        Reloc::Aarch64AddAbsLo12Nc => Some(RelocationKind::PageOffset12),
        // Only `ref.func` names a symbol by its absolute value, and there the value is an offset
        // in the text.
        Reloc::Abs8 => Some(RelocationKind::TextOffset8),
        _ => None,
    }
}

/// Changes the CLIF of a function where the code generator would make wrong code of it.
pub(crate) fn prepare(isa: &dyn TargetIsa, function: &mut Function) {
    match Arch::of(isa.triple()) {
        Ok(Arch::X64) | Err(_) => {}
        Ok(Arch::Aarch64) => aarch64::land_at_default_targets(function),
    }
}

/// Changes instructions of a function where others serve better than those of the code generator.
pub(crate) fn adapt(isa: &dyn TargetIsa, code: &mut [u8], traps: &[(u32, Trap)]) {
    match Arch::of(isa.triple()) {
        Ok(Arch::X64) => x64::make_traps_fast(code, traps),
        Ok(Arch::Aarch64) => aarch64::accept_tail_calls(code),
        Err(_) => {}
    }
}

/// Returns the relative branches of `code` that go back: the offset of each one, and of its target.
/// Code is not decoded from its start, so other bytes may be taken for a branch.
pub(crate) fn backward_branches(isa: &dyn TargetIsa, code: &[u8]) -> Vec<(u32, u32)> {
    let branches = match Arch::of(isa.triple()) {
        Ok(Arch::X64) => x64::branches(code),
        Ok(Arch::Aarch64) => aarch64::branches(code),
        Err(_) => Vec::new(),
    };
    let back = branches.into_iter().filter_map(|(from, distance)| {
        let to = u32::try_from(i64::from(from) + i64::from(distance)).ok()?;
        (to <= from).then_some((from, to))
    });
    back.collect()
}

/// Returns whether there is a fast tier for the processor.
pub(crate) fn has_fast_tier(isa: &dyn TargetIsa) -> bool {
    matches!(Arch::of(isa.triple()), Ok(Arch::X64))
}

/// Returns whether the code generator takes the result of an operation on 32 bits, such as an
/// addition, for one of 64 bits whose upper half is zero.
pub(crate) fn extends_for_free(isa: &dyn TargetIsa) -> bool {
    matches!(Arch::of(isa.triple()), Ok(Arch::X64))
}

/// Returns whether a store that faults has written nothing.
///
/// On ARM, a store across the end of a page may write its first part before the access to the next
/// page faults: a misaligned store is a number of accesses to bytes (Arm Architecture Reference
/// Manual, "Single-copy atomicity").
pub(crate) fn stores_are_whole(isa: &dyn TargetIsa) -> bool {
    matches!(Arch::of(isa.triple()), Ok(Arch::X64))
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
        matches!(Arch::of(self.isa.triple()), Ok(Arch::X64))
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
    /// The repository rules look for names of architectures. This looks for the code generator's
    /// own words for processor facts.
    #[test]
    fn no_other_file_asks_for_processor_facts() {
        fn visit(folder: &std::path::Path, complaints: &mut Vec<String>) -> usize {
            let mut files = 0;
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("src/isa") || path.ends_with("src/fast") {
                    continue;
                }
                if path.is_dir() {
                    files += visit(&path, complaints);
                } else {
                    files += 1;
                    let text = std::fs::read_to_string(&path).unwrap();
                    let words = [
                        "x86",
                        "X86",
                        "\"x64\"",
                        "Arm64",
                        "Aarch64",
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
}

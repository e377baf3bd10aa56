//! x86-64.

use anyhow::{Result, ensure};
use cranelift_codegen::isa::TargetIsa;
use mintage_environ::{Trap, unsupported};

/// A processor of about 2013, which expectations of tests are made for.
#[cfg(test)]
pub(super) const TEST_PROCESSOR: (&str, &[&str]) = (
    "x86_64-unknown-linux-gnu",
    &["sse3", "ssse3", "sse41", "sse42", "popcnt", "lzcnt", "bmi1"],
);

/// The features that every supported processor has.
pub(super) const BASELINE: &[&str] = &["has_sse3", "has_ssse3", "has_sse41"];

/// Fails if the processor lacks an instruction set extension that generated code needs.
///
/// Without these, rounding and shuffles would be calls of library functions, and there is no
/// library to call.
pub(super) fn check_extensions(isa: &dyn TargetIsa) -> Result<()> {
    ensure!(
        isa.has_round(),
        unsupported!("cannot generate code for this processor: it lacks SSE4.1")
    );
    ensure!(
        isa.has_x86_pshufb_lowering(),
        unsupported!("cannot generate code for this processor: it lacks SSSE3")
    );
    Ok(())
}

/// Replaces the instructions of explicit traps by others that fault sooner under a hypervisor.
///
/// Hypervisors intercept the fault of the undefined instruction, `ud2`, to see whether they have to
/// emulate it. The fault of a privileged instruction, `hlt`, goes to the guest system's kernel at
/// once. `hlt` takes one byte; `nop` fills the other.
pub(super) fn make_traps_fast(code: &mut [u8], traps: &[(u32, Trap)]) {
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

/// Returns the offset of each jump with a distance of 32 bits, and how far its target is from
/// there.
pub(super) fn branches(code: &[u8]) -> Vec<(u32, i32)> {
    let branch = |(at, bytes): (usize, &[u8])| {
        let opcode_size = match *bytes {
            [0xe9, ..] => 1,
            [0x0f, 0x80..=0x8f, ..] => 2,
            _ => return None,
        };
        let distance = bytes.get(opcode_size..)?.first_chunk()?;
        let size = opcode_size + distance.len();
        let distance = i32::from_le_bytes(*distance).checked_add(size as i32)?;
        Some((at as u32, distance))
    };
    (0..code.len())
        .map(|at| (at, &code[at..]))
        .filter_map(branch)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_have_distances_from_their_start() {
        let jump = [0xe9, 0xf9, 0xff, 0xff, 0xff];
        let conditional = [0x0f, 0x82, 0x10, 0, 0, 0];
        let code = [&[0x90, 0x90][..], &jump, &conditional, &jump[..4]].concat();
        assert_eq!(branches(&code), [(2, -2), (7, 22)]);
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
        make_traps_fast(&mut code, &traps);
        assert_eq!(code, [0x0f, 0x0b, 0x90, 0xf4, 0x90, 0x8b, 0x00, 0x0f]);
    }
}

//! The instructions that the linker adds or fills in, for each processor.

use anyhow::{Context, Result, bail};
use mintage_environ::{Target, unsupported};
use std::ops::Range;

/// What the linker knows about a processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Isa {
    /// The bytes at offset 0, where no function may be, since this is the offset in null
    /// references. They are an instruction that faults.
    pub stub: &'static [u8],
    /// The byte that fills the gaps between functions: instructions that fault.
    pub padding: u8,
    /// The reach of branches, if it is less than the maximum size of a text.
    pub branches: Option<Reach>,
}

/// Distances that a branch can cover.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// The distance in bytes that is out of reach in either direction.
    pub branch: i64,
    /// The size in bytes of functions after which veneers are placed. With their veneers, they must
    /// be smaller than `branch`.
    pub chunk: usize,
}

/// The size in bytes of a branch instruction of aarch64, and of the smallest function.
const INSTRUCTION: usize = 4;
/// The size in bytes of a veneer.
pub(super) const VENEER: usize = 3 * INSTRUCTION;

/// A branch has 26 bits for a signed number of instructions. Each of the branches in a chunk needs
/// at most one veneer, so that a chunk of 30 MiB with its veneers has at most 120 MiB.
const AARCH64: Reach = Reach {
    branch: 128 << 20,
    chunk: 30 << 20,
};
const _: () =
    assert!(AARCH64.chunk / INSTRUCTION * (INSTRUCTION + VENEER) < AARCH64.branch as usize);

impl Isa {
    /// Returns the facts about the processor of `target`.
    ///
    /// # Errors
    ///
    /// If it is not supported.
    pub fn of(target: &Target) -> Result<Isa> {
        match target.triple.split('-').next() {
            // ud2; int3. The distance of a call has 32 bits.
            Some("x86_64") => Ok(Isa {
                stub: &[0x0f, 0x0b],
                padding: 0xcc,
                branches: None,
            }),
            // udf #0, which is all zeros.
            Some("aarch64") => Ok(Isa {
                stub: &[0; INSTRUCTION],
                padding: 0,
                branches: Some(AARCH64),
            }),
            _ => bail!(unsupported!(
                "linking for {} is not supported yet",
                target.triple
            )),
        }
    }
}

/// Puts a distance in bytes into the instruction at `place` that branches. Returns whether it is
/// within reach.
pub(super) fn patch_branch(text: &mut [u8], place: i64, distance: i64) -> Result<bool> {
    const BITS: u32 = 26;
    let instructions = distance / INSTRUCTION as i64;
    let is_whole = distance % INSTRUCTION as i64 == 0;
    if !is_whole || !(-(1 << (BITS - 1))..1 << (BITS - 1)).contains(&instructions) {
        return Ok(false);
    }
    patch(text, place, 0..BITS, instructions as u32)?;
    Ok(true)
}

/// Puts the distance from the page of `place` to that of `value` into an `adrp` instruction.
pub(super) fn patch_page(text: &mut [u8], place: i64, value: i64) -> Result<()> {
    let pages = (value >> 12) - (place >> 12);
    if !(-(1 << 20)..1 << 20).contains(&pages) {
        bail!("its target is out of reach");
    }
    let pages = pages as u32;
    patch(text, place, 29..31, pages)?;
    patch(text, place, 5..24, pages >> 2)
}

/// Puts the offset of `value` in its page into an `add` instruction.
pub(super) fn patch_page_offset(text: &mut [u8], place: i64, value: i64) -> Result<()> {
    patch(text, place, 10..22, value as u32)
}

/// Appends a veneer. [`patch_veneer`] gives it its target.
pub(super) fn push_veneer(text: &mut Vec<u8>) {
    // adrp x16, page; add x16, x16, offset; br x16. No call leaves a value in x16. A jump through
    // x16 counts as a call where landing pads are enforced.
    for instruction in [0x9000_0010_u32, 0x9100_0210, 0xd61f_0200] {
        text.extend_from_slice(&instruction.to_le_bytes());
    }
}

/// Makes the veneer at `place` go to `value`.
pub(super) fn patch_veneer(text: &mut [u8], place: i64, value: i64) -> Result<()> {
    patch_page(text, place, value)?;
    patch_page_offset(text, place + INSTRUCTION as i64, value)
}

/// Replaces bits of the instruction at `place` by the low bits of `value`.
fn patch(text: &mut [u8], place: i64, bits: Range<u32>, value: u32) -> Result<()> {
    let bytes = text
        .get_mut(usize::try_from(place)?..)
        .and_then(|text| text.first_chunk_mut())
        .context("it is not within the text")?;
    let mask = ((1 << bits.len()) - 1) << bits.start;
    let instruction = u32::from_le_bytes(*bytes) & !mask | value << bits.start & mask;
    *bytes = instruction.to_le_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(instruction: u32, apply: impl FnOnce(&mut [u8])) -> u32 {
        let mut bytes = instruction.to_le_bytes();
        apply(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// The expected instructions are those of the assembler of LLVM.
    #[test]
    fn instructions_get_their_operands() {
        let branch = |distance| {
            patched(0x9400_0000, |text| {
                assert!(patch_branch(text, 0, distance).unwrap())
            })
        };
        assert_eq!(branch(4), 0x9400_0001);
        assert_eq!(branch(-4), 0x97ff_ffff);
        assert_eq!(branch((1 << 27) - 4), 0x95ff_ffff);
        assert_eq!(branch(-(1 << 27)), 0x9600_0000);
        for distance in [1 << 27, -(1 << 27) - 4, 2, i64::MIN, i64::MAX] {
            assert!(!patch_branch(&mut [0; 4], 0, distance).unwrap());
        }
        let page = |value| patched(0x9000_0001, |text| patch_page(text, 0, value).unwrap());
        assert_eq!(page(0xfff), 0x9000_0001);
        assert_eq!(page(0x1000), 0xb000_0001);
        assert_eq!(page(0x4000), 0x9000_0021);
        assert_eq!(page(-1), 0xf0ff_ffe1);
        assert!(patch_page(&mut [0; 4], 0, 1 << 32).is_err());
        let offset = |value| {
            patched(0x9100_0021, |text| {
                patch_page_offset(text, 0, value).unwrap()
            })
        };
        assert_eq!(offset(0x5123), 0x9104_8c21);
        assert!(patch(&mut [0; 3], 0, 0..1, 0).is_err());
        assert!(patch(&mut [0; 8], 5, 0..1, 0).is_err());
        assert!(patch(&mut [0; 8], -4, 0..1, 0).is_err());
    }
}

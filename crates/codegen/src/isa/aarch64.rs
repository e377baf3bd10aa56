//! 64-bit ARM.

use cranelift_codegen::ir::{BlockCall, Function, JumpTableData};

/// A processor with all features that the code generator knows, which expectations of tests are
/// made for.
#[cfg(test)]
pub(super) const TEST_PROCESSOR: (&str, &[&str]) = (
    "aarch64-unknown-linux-gnu",
    &["lse", "fp16", "dotprod", "i8mm"],
);

/// The features that every supported processor has: branch target identification.
///
/// Its landing pads are hints. Processors without it execute them as `nop`.
pub(super) const BASELINE: &[&str] = &["use_bti"];

/// `bti c`: a landing pad for calls.
const LAND_CALL: [u8; 4] = 0xd503_245f_u32.to_le_bytes();
/// `bti jc`: a landing pad for calls and jumps.
const LAND_CALL_OR_JUMP: [u8; 4] = 0xd503_24df_u32.to_le_bytes();

/// Lets indirect tail calls reach a function.
///
/// The code generator starts functions with `bti c`, which accepts calls. It makes an indirect tail
/// call by `br x1`, which is a jump. On pages where landing pads are enforced, the processor would
/// refuse it.
pub(super) fn accept_tail_calls(code: &mut [u8]) {
    if let Some(first) = code.first_chunk_mut()
        && *first == LAND_CALL
    {
        *first = LAND_CALL_OR_JUMP;
    }
}

/// Makes the default target of each jump table an entry of the table, too.
///
/// The code generator puts landing pads at the targets in the table alone, but jumps to the default
/// target in the same way.
pub(super) fn land_at_default_targets(function: &mut Function) {
    let graph = &mut function.dfg;
    let lists = &graph.value_lists;
    for table in graph.jump_tables.values_mut() {
        let (default, targets) = (table.default_block(), table.as_slice());
        let default_block = default.block(lists);
        if targets
            .iter()
            .all(|target| target.block(lists) != default_block)
        {
            let targets: Vec<BlockCall> = targets.iter().copied().chain([default]).collect();
            *table = JumpTableData::new(default, &targets);
        }
    }
}

/// Returns the offset of each relative branch without a link, and how far its target is from there.
pub(super) fn branches(code: &[u8]) -> Vec<(u32, i32)> {
    let (words, _) = code.as_chunks();
    let branch = |(number, &word): (usize, &[u8; 4])| {
        let word = u32::from_le_bytes(word);
        // The bits of the distance in words, and their place.
        let (bits, lowest) = match word >> 24 {
            0x14..=0x17 => (26, 0),
            0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => (19, 5),
            0x36 | 0x37 | 0xb6 | 0xb7 => (14, 5),
            _ => return None,
        };
        let distance = (word << (32 - bits - lowest)) as i32 >> (32 - bits);
        Some((number as u32 * 4, distance * 4))
    };
    words.iter().enumerate().filter_map(branch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_have_distances_from_their_start() {
        let words: [u32; 6] = [
            0xd503201f, // nop
            0x17ffffff, // b -4
            0x54000041, // b.ne +8
            0xb5ffffa1, // cbnz x1, -12
            0x3607fff2, // tbz w18, #0, -4
            0x97ffffff, // bl -4
        ];
        let code = words.map(u32::to_le_bytes).concat();
        assert_eq!(branches(&code), [(4, -4), (8, 8), (12, -12), (16, -4)]);
    }

    #[test]
    fn the_first_landing_pad_accepts_jumps() {
        let code = |first: [u8; 4]| [first, LAND_CALL].concat();
        let mut function = code(LAND_CALL);
        accept_tail_calls(&mut function);
        assert_eq!(function, code(LAND_CALL_OR_JUMP));
        let (mut other, nop) = (code([0x1f, 0x20, 0x03, 0xd5]), [0x1f, 0x20, 0x03, 0xd5]);
        accept_tail_calls(&mut other);
        assert_eq!(other, code(nop));
        accept_tail_calls(&mut []);
    }
}

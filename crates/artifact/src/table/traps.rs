//! The instructions of a function that can fault, with the trap that each raises. Each function has
//! a record.
//!
//! An entry is `distance << 1 | changed` in LEB128. The distance is in bytes of code from the
//! previous entry, or from the start of the function. If `changed` is set, the code of the trap
//! follows. Otherwise, the trap is that of the previous entry, or [`Trap::MemoryOutOfBounds`] for
//! the first one. Most entries take one byte.

use super::{read_byte, read_varint, write_varint};
use mintage_environ::Trap;

const FIRST: u8 = Trap::MemoryOutOfBounds as u8;

/// Encodes pairs of code offset and trap, sorted by code offset, as a record. Of several pairs for
/// one offset, the first counts.
pub fn encode(traps: &[(u32, Trap)]) -> Vec<u8> {
    let mut record = Vec::with_capacity(traps.len() + 4);
    let (mut last_offset, mut last_code) = (0, FIRST);
    for &(offset, trap) in traps {
        let code = trap as u8;
        let changed = code != last_code;
        debug_assert!(offset >= last_offset, "traps are sorted");
        write_varint(
            &mut record,
            u64::from(offset - last_offset) << 1 | u64::from(changed),
        );
        if changed {
            record.push(code);
        }
        (last_offset, last_code) = (offset, code);
    }
    record
}

/// Returns the trap of the instruction at `offset` in the function. It neither allocates nor
/// panics.
pub fn find(record: &[u8], offset: u32) -> Option<Trap> {
    entries(record)
        .take_while(|&(at, _)| at <= offset)
        .find(|&(at, _)| at == offset)?
        .1
}

/// Returns the entries of a record, up to the first invalid byte. An unknown trap code is `None`.
pub fn entries(mut record: &[u8]) -> impl Iterator<Item = (u32, Option<Trap>)> + '_ {
    let (mut offset, mut code) = (0u32, FIRST);
    std::iter::from_fn(move || {
        let head = read_varint(&mut record)?;
        offset = offset.checked_add(u32::try_from(head >> 1).ok()?)?;
        if head & 1 != 0 {
            code = read_byte(&mut record)?;
        }
        Some((offset, Trap::from_code(code)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(
            list in btree_map(0u32..3000, select(Trap::ALL), 0..200),
            far: u32,
        ) {
            let mut list = list;
            list.insert(far, Trap::Interrupt);
            let pairs: Vec<_> = list.iter().map(|(&offset, &trap)| (offset, trap)).collect();
            let record = encode(&pairs);
            let expected = pairs.iter().map(|&(offset, trap)| (offset, Some(trap)));
            prop_assert!(entries(&record).eq(expected));
            let edges = [far.wrapping_sub(1), far, far.wrapping_add(1), u32::MAX];
            for offset in (0..3001).chain(edges) {
                prop_assert_eq!(find(&record, offset), list.get(&offset).copied());
            }
        }

        #[test]
        fn any_bytes_are_harmless(record in vec(any::<u8>(), 0..200), offset: u32) {
            find(&record, offset);
            entries(&record).count();
        }
    }

    #[test]
    fn a_memory_access_takes_one_byte() {
        let list: Vec<_> = (1..100)
            .map(|i| (i * 63, Trap::MemoryOutOfBounds))
            .collect();
        assert_eq!(encode(&list).len(), list.len());
    }

    #[test]
    fn the_first_of_equal_offsets_counts() {
        let record = encode(&[(5, Trap::IntegerDivisionByZero), (5, Trap::IntegerOverflow)]);
        assert_eq!(find(&record, 5), Some(Trap::IntegerDivisionByZero));
    }
}

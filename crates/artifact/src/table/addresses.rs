//! The address map: for each machine instruction of a function, the wasm instruction that it was
//! generated from. Each function has a record.
//!
//! An entry consists of a code offset and an *address*: a byte offset in the component. It applies
//! to the code up to the next entry. It is encoded as one byte with the distances from the previous
//! entry (initially code offset 0 and address 0), each from 1 to 15: the code's in the high half,
//! the address's in the low half. If a half is 0, the distance follows in LEB128. That of the
//! address can be negative and is zigzag-encoded.
//!
//! Entries with the address of the previous one are omitted, and so is code that belongs to no wasm
//! instruction: it counts as part of the previous instruction.
//!
//! # Why this shape?
//!
//! A list of pairs of 32-bit numbers would be as large as the machine code. In the largest
//! component at hand, six of ten entries take one byte, and the average is 1.5 bytes. A quarter of
//! the pairs are for code that belongs to no instruction.

use super::{read_byte, read_varint, write_varint};

/// The address of code that belongs to no wasm instruction, in the input of [`encode`].
pub const NO_ADDRESS: u32 = u32::MAX;

/// Encodes pairs of code offset and address, sorted by code offset, as a record. Of several pairs
/// for one offset, the last counts.
pub fn encode(addresses: &[(u32, u32)]) -> Vec<u8> {
    let mut record = Vec::with_capacity(addresses.len() * 2);
    let (mut last_offset, mut last_address) = (0, 0);
    let mut known = addresses
        .iter()
        .copied()
        .filter(|&(_, address)| address != NO_ADDRESS)
        .peekable();
    while let Some((offset, address)) = known.next() {
        let replaced = known.peek().is_some_and(|&(next, _)| next == offset);
        if replaced || address == last_address && !record.is_empty() {
            continue;
        }
        debug_assert!(offset >= last_offset, "addresses are sorted");
        let code_distance = offset - last_offset;
        let distance = i64::from(address) - i64::from(last_address);
        let high = if code_distance < 16 {
            code_distance as u8
        } else {
            0
        };
        let low = if (1..16).contains(&distance) {
            distance as u8
        } else {
            0
        };
        record.push(high << 4 | low);
        if high == 0 {
            write_varint(&mut record, u64::from(code_distance));
        }
        if low == 0 {
            write_varint(&mut record, zigzag(distance));
        }
        (last_offset, last_address) = (offset, address);
    }
    record
}

/// Returns the address of the code at `offset` in the function.
pub fn find(record: &[u8], offset: u32) -> Option<u32> {
    entries(record)
        .take_while(|&(start, _)| start <= offset)
        .last()
        .map(|(_, address)| address)
}

/// Returns the entries of a record, up to the first invalid byte: code offset and address.
pub fn entries(mut record: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let (mut offset, mut address) = (0u32, 0u32);
    std::iter::from_fn(move || {
        let head = read_byte(&mut record)?;
        let code_distance = match head >> 4 {
            0 => u32::try_from(read_varint(&mut record)?).ok()?,
            small => u32::from(small),
        };
        let distance = match head & 15 {
            0 => unzigzag(read_varint(&mut record)?),
            small => i64::from(small),
        };
        offset = offset.checked_add(code_distance)?;
        address = u32::try_from(i64::from(address).checked_add(distance)?).ok()?;
        Some((offset, address))
    })
}

/// Maps numbers of small magnitude to small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = u32> {
        prop_oneof![Just(NO_ADDRESS), 0u32..50, any::<u32>()]
    }

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(
            list in btree_map(0u32..3000, address(), 0..200),
        ) {
            let pairs: Vec<_> = list.iter().map(|(&offset, &address)| (offset, address)).collect();
            let record = encode(&pairs);
            for offset in (0..3001).chain([u32::MAX]) {
                let known = list.range(..=offset).rfind(|&(_, &address)| address != NO_ADDRESS);
                let expected = known.map(|(_, &address)| address);
                prop_assert_eq!(find(&record, offset), expected);
            }
        }

        #[test]
        fn any_bytes_are_harmless(record in vec(any::<u8>(), 0..200), offset: u32) {
            find(&record, offset);
        }
    }

    #[test]
    fn repeated_addresses_take_no_space() {
        let once = encode(&[(0, 70), (9, 80)]);
        assert_eq!(encode(&[(0, 70), (3, 70), (9, 80), (12, 80)]), once);
        assert_eq!(
            encode(&[(0, 70), (3, NO_ADDRESS), (5, 70), (9, 80), (12, NO_ADDRESS)]),
            once
        );
        assert!(encode(&[(0, NO_ADDRESS), (4, NO_ADDRESS)]).is_empty());
    }

    #[test]
    fn small_steps_take_one_byte() {
        let list: Vec<_> = (1..100).map(|i| (i * 15, i * 15)).collect();
        assert_eq!(encode(&list).len(), list.len());
    }

    #[test]
    fn address_zero_is_an_address() {
        assert_eq!(find(&encode(&[(4, 0)]), 4), Some(0));
        assert_eq!(find(&encode(&[(4, 0)]), 3), None);
    }

    #[test]
    fn the_last_of_equal_offsets_counts() {
        let record = encode(&[(0, 7), (4, 8), (4, 9), (6, 9)]);
        assert_eq!(
            (find(&record, 3), find(&record, 4), find(&record, 7)),
            (Some(7), Some(9), Some(9))
        );
    }
}

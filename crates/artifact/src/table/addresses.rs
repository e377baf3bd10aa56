//! Which wasm instruction each machine instruction of a function was made from: one record per function.
//!
//! An entry says where in the component's bytes the code comes from, from one code offset to the next entry's. It is the
//! distance in bytes of code from the entry before it (from the start of the function for the first) in LEB128, then in LEB128 0 for
//! code that belongs to no instruction, or one more than the zigzag-coded distance in the component from the last entry that
//! had an address. Entries that repeat the address before them are left out.

use super::{read_varint, write_varint};

/// The address of code that belongs to no wasm instruction, in the input of [`encode`].
pub const NO_ADDRESS: u32 = u32::MAX;

/// The record of a function with these pairs of code offset and address ([`NO_ADDRESS`]: none), sorted by code offset. The
/// last of several pairs for one offset counts.
pub fn encode(addresses: &[(u32, u32)]) -> Vec<u8> {
    let mut record = Vec::with_capacity(addresses.len() * 2);
    let (mut last_offset, mut last_address, mut current) = (0, 0, NO_ADDRESS);
    for (i, &(offset, address)) in addresses.iter().enumerate() {
        let replaced = addresses.get(i + 1).is_some_and(|&(next, _)| next == offset);
        if replaced || address == current {
            continue;
        }
        debug_assert!(offset >= last_offset, "addresses are sorted");
        write_varint(&mut record, u64::from(offset - last_offset));
        if address == NO_ADDRESS {
            write_varint(&mut record, 0);
        } else {
            write_varint(&mut record, zigzag(i64::from(address) - i64::from(last_address)) + 1);
            last_address = address;
        }
        (last_offset, current) = (offset, address);
    }
    record
}

/// The address of the instruction that contains the code at `offset` from the start of the function.
pub fn find(record: &[u8], offset: u32) -> Option<u32> {
    entries(record).take_while(|&(start, _)| start <= offset).last()?.1
}

/// The entries of a record: code offset and address. Ends at the first byte that makes no sense.
pub fn entries(mut record: &[u8]) -> impl Iterator<Item = (u32, Option<u32>)> + '_ {
    let (mut offset, mut last_address) = (0u32, 0u32);
    std::iter::from_fn(move || {
        offset = offset.checked_add(u32::try_from(read_varint(&mut record)?).ok()?)?;
        let Some(distance) = read_varint(&mut record)?.checked_sub(1) else {
            return Some((offset, None));
        };
        last_address = u32::try_from(i64::from(last_address).checked_add(unzigzag(distance))?).ok()?;
        Some((offset, Some(last_address)))
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

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(list in btree_map(0u32..3000, prop_oneof![Just(NO_ADDRESS), 0u32..50, any::<u32>()], 0..200)) {
            let plain: Vec<_> = list.iter().map(|(&offset, &address)| (offset, address)).collect();
            let record = encode(&plain);
            for offset in (0..3001).chain([u32::MAX]) {
                let expected = list.range(..=offset).last().map(|(_, &address)| address).filter(|&address| address != NO_ADDRESS);
                prop_assert_eq!(find(&record, offset), expected);
            }
        }

        #[test]
        fn any_bytes_are_harmless(record in vec(any::<u8>(), 0..200), offset: u32) {
            find(&record, offset);
        }
    }

    #[test]
    fn repeated_addresses_take_no_room() {
        let once = encode(&[(0, 70), (9, 80)]);
        assert_eq!(encode(&[(0, 70), (3, 70), (9, 80), (12, 80)]), once);
        assert!(encode(&[(0, NO_ADDRESS), (4, NO_ADDRESS)]).is_empty());
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

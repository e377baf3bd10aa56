//! The tables that are read in place, each with its encoder and decoder, and their shared parts.

pub mod addresses;
pub mod names;
pub mod records;
pub mod stack_maps;
pub mod traps;
pub mod unwind;

use std::cmp::Ordering;

/// Appends `value` in LEB128: 7 bits in each byte, lowest first.
fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Removes a LEB128 number from the front of `bytes`. Returns `None` if the bytes end within it or
/// it exceeds 64 bits.
fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Removes a byte from the front of `bytes`.
fn read_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// Returns the word with this index in an array of little-endian 32-bit words.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    bytes
        .get(start..)?
        .first_chunk()
        .map(|&word| u32::from_le_bytes(word))
}

/// Returns the position of `wanted` among `len` ascending words, which start at word `start`.
fn search(bytes: &[u8], start: usize, len: usize, wanted: u32) -> Option<usize> {
    let (mut first, mut last) = (0, len);
    while first < last {
        let middle = first.midpoint(last);
        match word(bytes, start + middle)?.cmp(&wanted) {
            Ordering::Less => first = middle + 1,
            Ordering::Equal => return Some(middle),
            Ordering::Greater => last = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varint_round_trip(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            write_varint(&mut bytes, value);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_varint(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read_varint(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn varint_of_eleven_bytes_is_refused() {
        assert_eq!(read_varint(&mut [0x80; 11].as_slice()), None);
    }
}

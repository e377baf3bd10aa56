//! The key table: maps each generated function to its place in the text, and each offset in the
//! text to its function.
//!
//! [`KeyTableBuilder`] is the encoder. The decoder, [`KeyTable`], reads the encoded bytes in place.
//! Everything is little-endian, without alignment:
//!
//! ```text
//! header       namespaces: u32, blocks: u32, functions: u32
//! directory    for each namespace, ascending:  namespace word: u32, first block: u32
//! counts       for each block of 512 indexes of a namespace:  functions before the block: u32
//! bits         for each block:  one bit for each index: [u64; 8]
//! offsets      for each function, in text order:  code offset: u32; at the end, text size: u32
//! ```
//!
//! Functions are in the text in key order. A function's *ordinal* is its position in that order. It
//! equals the number of set bits before the function's own: the count of its block plus a popcount
//! within the block. The ordinal indexes the offsets here, and parallel tables elsewhere. A
//! function ends where the next one starts, so that padding belongs to the function before it.
//!
//! # Why this shape?
//!
//! - *Why bits instead of sorted keys?* A dead function costs a bit instead of nothing, but a live
//!   one costs 4 bytes and a bit instead of 12 bytes, and a lookup needs no search. With the counts
//!   of blocks, an index costs 1.06 bits.
//! - *Why are counts and bits separate?* The search from ordinal to key then reads only counts, 16
//!   in a cache line. The other direction reads two or three lines in any case.
//! - *Why is the last block of a namespace not shorter?* There are few namespaces, and blocks of
//!   equal size are an array.
//! - *Why is the directory searched?* Core instances are numbered from zero and nearly all have
//!   functions, so that the row of a core instance is usually its own number. That row is tried
//!   first. A binary search finds all other namespaces. A directory that is indexed by kind and
//!   namespace would need a second level and empty rows instead.
//! - *Why is there no magic number or version?* The artifact that contains the table has them.

use crate::{FuncKey, FuncOrdinal};
use std::fmt;
use std::iter;
use std::ops::Range;

/// The number of indexes in a block.
const BLOCK_BITS: u32 = 512;
/// A little-endian `u32`.
type Word = [u8; 4];
/// The bits of one block, as little-endian `u64`s.
type Bits = [u8; BLOCK_BITS as usize / 8];
/// Namespaces, blocks, functions.
type Header = [Word; 3];
/// Namespace word, first block.
type Row = [Word; 2];

/// Builds the bytes of a [`KeyTable`].
#[derive(Default)]
pub struct KeyTableBuilder {
    /// Namespace word and first block.
    rows: Vec<(u32, u32)>,
    /// Functions before the block, and its bits.
    blocks: Vec<(u32, [u64; 8])>,
    offsets: Vec<u32>,
    last: Option<FuncKey>,
}

impl KeyTableBuilder {
    /// Makes a table without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the bytes of the table of `functions`, each with its offset in a text of `text_size`
    /// bytes.
    ///
    /// # Panics
    ///
    /// Panics where [`push`](Self::push) and [`finish`](Self::finish) do.
    pub fn encode(functions: impl IntoIterator<Item = (FuncKey, u32)>, text_size: u32) -> Vec<u8> {
        let mut builder = Self::new();
        for (key, offset) in functions {
            builder.push(key, offset);
        }
        builder.finish(text_size)
    }

    /// Adds the function `key` at `offset` in the text.
    ///
    /// A namespace takes space for all indexes up to its highest one.
    ///
    /// # Panics
    ///
    /// Panics unless key and offset are greater than those of the previous function: text order is
    /// key order, and no function is empty.
    pub fn push(&mut self, key: FuncKey, offset: u32) {
        if let Some(last) = self.last {
            assert!(key > last, "{key} comes after {last} in the text");
        }
        if let Some(&last) = self.offsets.last() {
            assert!(
                offset > last,
                "{key} starts at {offset:#x}, the function before it at {last:#x}"
            );
        }
        self.last = Some(key);

        let ordinal = to_word(self.offsets.len());
        let blocks = to_word(self.blocks.len());
        if self
            .rows
            .last()
            .is_none_or(|&(namespace, _)| namespace != key.namespace())
        {
            self.rows.push((key.namespace(), blocks));
        }
        let (_, first_block) = self.rows[self.rows.len() - 1];
        let block = first_block as usize + (key.index() / BLOCK_BITS) as usize;
        if block >= self.blocks.len() {
            self.blocks.resize(block + 1, (ordinal, [0; 8]));
        }
        let (_, bits) = &mut self.blocks[block];
        let bit = key.index() % BLOCK_BITS;
        bits[bit as usize / 64] |= 1 << (bit % 64);
        self.offsets.push(offset);
    }

    /// Returns the bytes of the table, for a text of `text_size` bytes.
    ///
    /// # Panics
    ///
    /// Panics if the last function starts at `text_size` or after it.
    pub fn finish(self, text_size: u32) -> Vec<u8> {
        if let Some(&last) = self.offsets.last() {
            assert!(
                last < text_size,
                "a function starts at {last:#x}, past the text's {text_size:#x} bytes"
            );
        }
        let header = [self.rows.len(), self.blocks.len(), self.offsets.len()].map(to_word);
        let mut bytes = Vec::new();
        let mut put = |word: u32| bytes.extend(word.to_le_bytes());
        header.into_iter().for_each(&mut put);
        for (namespace, first_block) in self.rows {
            put(namespace);
            put(first_block);
        }
        self.blocks.iter().for_each(|(count, _)| put(*count));
        for word in self.blocks.into_iter().flat_map(|(_, bits)| bits) {
            put(word as u32);
            put((word >> 32) as u32);
        }
        self.offsets.into_iter().for_each(&mut put);
        put(text_size);
        bytes
    }
}

fn to_word(number: usize) -> u32 {
    u32::try_from(number).expect("a key table's numbers fit 32 bits")
}

/// The table of all functions of an artifact, read in place.
///
/// Whatever the bytes are, no method panics, every returned ordinal is below [`len`](Self::len) and
/// every returned range is within the text. Corrupted bytes can only lead to wrong functions, or to
/// none.
#[derive(Clone, Copy)]
pub struct KeyTable<'a> {
    rows: &'a [Row],
    /// One for each block.
    counts: &'a [Word],
    /// One for each block.
    bits: &'a [Bits],
    /// One for each function, then the size of the text.
    offsets: &'a [Word],
    text_size: u32,
}

impl<'a> KeyTable<'a> {
    /// Opens the table in `bytes`. The time depends only on the number of namespaces.
    ///
    /// # Errors
    ///
    /// Returns an error if the size or the directory is wrong.
    pub fn new(bytes: &'a [u8]) -> Result<Self, KeyTableError> {
        let actual = bytes.len();
        let (words, _) = bytes.as_chunks();
        let &header: &Header = words
            .first_chunk()
            .ok_or(KeyTableError::NoHeader { actual })?;
        let [namespaces, blocks, functions] = header.map(u32::from_le_bytes);

        let expected = size_of::<Header>() as u64
            + u64::from(namespaces) * size_of::<Row>() as u64
            + u64::from(blocks) * (size_of::<Word>() + size_of::<Bits>()) as u64
            + (u64::from(functions) + 1) * size_of::<Word>() as u64;
        if actual as u64 != expected {
            return Err(KeyTableError::Size { expected, actual });
        }

        let rest = &bytes[size_of::<Header>()..];
        let (rows, rest) = rest.split_at(namespaces as usize * size_of::<Row>());
        let (counts, rest) = rest.split_at(blocks as usize * size_of::<Word>());
        let (bits, offsets) = rest.split_at(blocks as usize * size_of::<Bits>());
        let (offsets, _) = offsets.as_chunks();
        let table = Self {
            rows: rows.as_chunks().0.as_chunks().0,
            counts: counts.as_chunks().0,
            bits: bits.as_chunks().0,
            offsets,
            text_size: u32::from_le_bytes(offsets[functions as usize]),
        };
        table.check_directory()?;
        Ok(table)
    }

    /// Checks that namespaces ascend, and that each has blocks and functions of its own, in the
    /// same order.
    fn check_directory(&self) -> Result<(), KeyTableError> {
        if self.rows.is_empty() && !(self.counts.is_empty() && self.is_empty()) {
            return Err(KeyTableError::NoNamespaces);
        }
        let mut last = None;
        for (row, &words) in self.rows.iter().enumerate() {
            let [namespace, first_block] = words.map(u32::from_le_bytes);
            let Some(&count) = self.counts.get(first_block as usize) else {
                return Err(KeyTableError::Blocks { row });
            };
            let count = u32::from_le_bytes(count);
            match last {
                None if first_block != 0 => return Err(KeyTableError::Blocks { row }),
                None if count != 0 => return Err(KeyTableError::Ordinals { row }),
                Some((last, _, _)) if namespace <= last => {
                    return Err(KeyTableError::Namespaces { row });
                }
                Some((_, last, _)) if first_block <= last => {
                    return Err(KeyTableError::Blocks { row });
                }
                Some((_, _, last)) if count <= last => return Err(KeyTableError::Ordinals { row }),
                _ if count >= self.len() => return Err(KeyTableError::Ordinals { row }),
                _ => last = Some((namespace, first_block, count)),
            }
        }
        Ok(())
    }

    /// Returns the number of functions.
    pub fn len(&self) -> u32 {
        // The header holds it in 32 bits.
        (self.offsets.len() - 1) as u32
    }

    /// Returns whether there are no functions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the size of the text in bytes.
    pub fn text_size(&self) -> u32 {
        self.text_size
    }

    /// Returns the place of `key` in the text, including the padding after it.
    #[inline]
    pub fn get(&self, key: FuncKey) -> Option<Range<u32>> {
        self.range(self.ordinal(key)?)
    }

    /// Returns the ordinal of `key`.
    #[inline]
    pub fn ordinal(&self, key: FuncKey) -> Option<FuncOrdinal> {
        let mut blocks = self.blocks(self.row(key.namespace())?);
        let block = blocks.nth((key.index() / BLOCK_BITS) as usize)?;
        let rank = rank(self.bits.get(block)?, key.index() % BLOCK_BITS)?;
        let ordinal = u32::from_le_bytes(*self.counts.get(block)?).checked_add(rank)?;
        (ordinal < self.len()).then_some(FuncOrdinal::from_u32(ordinal))
    }

    /// Returns the place in the text of the function with this ordinal, including the padding after
    /// it.
    #[inline]
    pub fn range(&self, ordinal: FuncOrdinal) -> Option<Range<u32>> {
        let bounds = self.offsets.get(ordinal.as_u32() as usize..)?;
        let &bounds = bounds.first_chunk()?;
        let [start, end] = bounds.map(u32::from_le_bytes);
        (start <= end && end <= self.text_size).then_some(start..end)
    }

    /// Returns the function with this ordinal.
    pub fn key(&self, ordinal: FuncOrdinal) -> Option<FuncKey> {
        let ordinal = ordinal.as_u32();
        if ordinal >= self.len() {
            return None;
        }
        // The last block with no more functions before it than this one has, and the last row that
        // starts by it.
        let block = self
            .counts
            .partition_point(|&count| u32::from_le_bytes(count) <= ordinal)
            .checked_sub(1)?;
        let count = u32::from_le_bytes(*self.counts.get(block)?);
        let bit = select(self.bits.get(block)?, ordinal.checked_sub(count)?)?;
        let row = self
            .rows
            .partition_point(|&[_, first_block]| u32::from_le_bytes(first_block) as usize <= block);
        self.key_at(row.checked_sub(1)?, block, bit)
    }

    /// Returns the function at `offset` in the text: its ordinal, its key and the offset of its
    /// start.
    pub fn find(&self, offset: u32) -> Option<(FuncOrdinal, FuncKey, u32)> {
        let (_, starts) = self.offsets.split_last()?;
        let ordinal = starts
            .partition_point(|&start| u32::from_le_bytes(start) <= offset)
            .checked_sub(1)?;
        let ordinal = FuncOrdinal::from_u32(ordinal as u32);
        let range = self.range(ordinal)?;
        range
            .contains(&offset)
            .then_some((ordinal, self.key(ordinal)?, range.start))
    }

    /// Returns all functions with their places, in text order.
    pub fn iter(&self) -> impl Iterator<Item = (FuncKey, Range<u32>)> + use<'a> {
        let table = *self;
        (0..table.rows.len()).flat_map(move |row| {
            table.blocks(row).flat_map(move |block| {
                let count = u32::from_le_bytes(table.counts[block]);
                ones(&table.bits[block])
                    .zip(0..)
                    .filter_map(move |(bit, before)| {
                        let ordinal = FuncOrdinal::from_u32(count.checked_add(before)?);
                        Some((table.key_at(row, block, bit)?, table.range(ordinal)?))
                    })
            })
        })
    }

    /// Returns the row of a namespace word.
    #[inline]
    fn row(&self, namespace: u32) -> Option<usize> {
        let guess = (namespace & ((1 << FuncKey::NAMESPACE_BITS) - 1)) as usize;
        let word = |&[namespace, _]: &Row| u32::from_le_bytes(namespace);
        if self.rows.get(guess).map(word) == Some(namespace) {
            return Some(guess);
        }
        self.rows.binary_search_by_key(&namespace, word).ok()
    }

    /// Returns the blocks of the namespace in `row`, which must exist.
    #[inline]
    fn blocks(&self, row: usize) -> Range<usize> {
        let first_block = |row: &Row| u32::from_le_bytes(row[1]) as usize;
        let end = self
            .rows
            .get(row + 1)
            .map_or(self.counts.len(), first_block);
        first_block(&self.rows[row])..end
    }

    /// Returns the key of a bit of a block, given the row of the block's namespace.
    fn key_at(&self, row: usize, block: usize, bit: u32) -> Option<FuncKey> {
        let block = block.checked_sub(self.blocks(row).start)?;
        let index = u32::try_from(block)
            .ok()?
            .checked_mul(BLOCK_BITS)?
            .checked_add(bit)?;
        FuncKey::from_parts(u32::from_le_bytes(self.rows[row][0]), index)
    }
}

impl fmt::Debug for KeyTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(key, range)| (key.to_string(), range)))
            .finish()
    }
}

/// Returns the words of a block's bits, lowest indexes first.
#[inline]
fn words(bits: &Bits) -> impl Iterator<Item = u64> {
    bits.as_chunks()
        .0
        .iter()
        .map(|&word| u64::from_le_bytes(word))
}

/// Returns the number of set bits before `bit`, or `None` if `bit` is clear.
#[inline]
fn rank(bits: &Bits, bit: u32) -> Option<u32> {
    let (words, _) = bits.as_chunks();
    let (before, rest) = words.split_at_checked(bit as usize / 64)?;
    let word = u64::from_le_bytes(*rest.first()?);
    let mask = 1u64 << (bit % 64);
    if word & mask == 0 {
        return None;
    }
    let before: u32 = before
        .iter()
        .map(|&word| u64::from_le_bytes(word).count_ones())
        .sum();
    Some(before + (word & (mask - 1)).count_ones())
}

/// Returns the set bit with `rank` set bits before it, or `None` if there are too few.
fn select(bits: &Bits, mut rank: u32) -> Option<u32> {
    for (word, start) in words(bits).zip((0..).step_by(64)) {
        let ones = word.count_ones();
        if rank < ones {
            return Some(start + select_in_word(word, rank));
        }
        rank -= ones;
    }
    None
}

/// Returns the set bit of `word` with `rank` set bits before it, which must exist.
fn select_in_word(mut word: u64, rank: u32) -> u32 {
    for _ in 0..rank {
        word &= word - 1;
    }
    word.trailing_zeros()
}

/// Returns the set bits of a block in ascending order.
fn ones(bits: &Bits) -> impl Iterator<Item = u32> {
    words(bits)
        .zip((0..).step_by(64))
        .flat_map(|(mut word, start)| {
            iter::from_fn(move || {
                let bit = word.trailing_zeros();
                word &= word.wrapping_sub(1);
                (bit < u64::BITS).then_some(start + bit)
            })
        })
}

/// The reason why bytes are not a [`KeyTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTableError {
    /// The bytes end within the header.
    NoHeader {
        /// The number of bytes.
        actual: usize,
    },
    /// The number of bytes differs from the size that the header implies.
    Size {
        /// The size that the header implies.
        expected: u64,
        /// The number of bytes.
        actual: usize,
    },
    /// There are functions but no namespace.
    NoNamespaces,
    /// A row of the directory does not ascend from the previous one.
    Namespaces {
        /// The row.
        row: usize,
    },
    /// A row of the directory has no blocks of its own.
    Blocks {
        /// The row.
        row: usize,
    },
    /// The count of a namespace's first block contradicts its position.
    Ordinals {
        /// The row of the namespace.
        row: usize,
    },
}

impl fmt::Display for KeyTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { actual } => {
                write!(f, "key table of {actual} bytes is too short for its header")
            }
            Self::Size { expected, actual } => {
                write!(
                    f,
                    "key table has {actual} bytes, but its header implies {expected}"
                )
            }
            Self::NoNamespaces => write!(f, "key table has functions but no namespace"),
            Self::Namespaces { row } => write!(
                f,
                "key table row {row}: namespaces are not in ascending order"
            ),
            Self::Blocks { row } => write!(
                f,
                "key table row {row}: the namespace has no blocks of its own"
            ),
            Self::Ordinals { row } => write!(
                f,
                "key table row {row}: the count of the first block does not fit"
            ),
        }
    }
}

impl std::error::Error for KeyTableError {}

#[cfg(test)]
mod tests;

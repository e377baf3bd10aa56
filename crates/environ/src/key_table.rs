//! The key table: where each generated function lies in the text, and which function lies at an
//! offset of the text.
//!
//! The encoder ([`KeyTableBuilder`]) and the decoder ([`KeyTable`]) stand side by side; the decoder
//! reads the encoded bytes in place. Everything is little-endian, without alignment:
//!
//! ```text
//! header       namespaces: u32, blocks: u32, functions: u32
//! directory    per namespace, ascending:  namespace word: u32, first block: u32
//! counts       per 512 indexes of a namespace, a block:  functions before the block: u32
//! bits         per block:  one bit per index: [u64; 8]
//! offsets      per function, in text order:  code offset: u32; then the size of the text: u32
//! ```
//!
//! Functions lie in the text in key order. So a function's *ordinal*, its place in text order, is
//! the number of set bits before its own: the count of its block plus a popcount within the block.
//! The ordinal indexes the offsets here, and parallel tables elsewhere. A function ends where the
//! next one starts, so padding belongs to the function before it.
//!
//! # Why this shape?
//!
//! - *Why bits and not sorted keys?* A dead function costs a bit instead of nothing, but a live one
//!   costs 4 bytes and a bit instead of 12 bytes, and a lookup searches nothing. A count per block
//!   makes it 1.06 bits per index.
//! - *Why are counts and bits apart?* The search from ordinal to key then runs over counts alone,
//!   16 to a cache line. The other direction reads two or three lines either way.
//! - *Why is the last block of a namespace not cut short?* Namespaces are few, and blocks of one
//!   size are an array.
//! - *Why is the directory searched?* Core instances are numbered from zero and nearly all have
//!   functions, so the row of a core instance is nearly always its own number: that row is tried
//!   first. The few other namespaces, and those behind an instance without functions, are found by
//!   binary search over the rows. A directory indexed by kind and namespace would save that for a
//!   second level and empty rows.
//! - *Why is there no magic number or version?* The artifact that contains the table has them.

use crate::FuncKey;
use std::fmt;
use std::iter;
use std::ops::Range;

/// Indexes per block.
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
    /// A table without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of the table of `functions`, each with its offset in a text of `text_size` bytes.
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push) and [`finish`](Self::finish).
    pub fn encode(functions: impl IntoIterator<Item = (FuncKey, u32)>, text_size: u32) -> Vec<u8> {
        let mut builder = Self::new();
        for (key, offset) in functions {
            builder.push(key, offset);
        }
        builder.finish(text_size)
    }

    /// Adds the function `key` at `offset` of the text.
    ///
    /// A namespace takes room for all indexes up to its highest one.
    ///
    /// # Panics
    ///
    /// When key or offset is not above that of the function before: text order is key order, and no
    /// function is empty.
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

    /// The bytes of the table, for a text of `text_size` bytes.
    ///
    /// # Panics
    ///
    /// When the last function does not start before `text_size`.
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
/// Whatever the bytes, no method panics, every ordinal given is below [`len`](Self::len) and every
/// range lies in the text: corrupted bytes can only give wrong functions or none.
#[derive(Clone, Copy)]
pub struct KeyTable<'a> {
    rows: &'a [Row],
    /// One for each block.
    counts: &'a [Word],
    /// One for each block.
    bits: &'a [Bits],
    /// One for each function, and the size of the text behind them.
    offsets: &'a [Word],
    text_size: u32,
}

impl<'a> KeyTable<'a> {
    /// The table in `bytes`, which are checked in time proportional to the number of namespaces.
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

    /// Namespaces ascend, and each has blocks and functions of its own, in the same order.
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

    /// The number of functions.
    pub fn len(&self) -> u32 {
        // The header holds it in 32 bits.
        (self.offsets.len() - 1) as u32
    }

    /// Whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of the text.
    pub fn text_size(&self) -> u32 {
        self.text_size
    }

    /// Where `key` lies in the text, with the padding behind it.
    #[inline]
    pub fn get(&self, key: FuncKey) -> Option<Range<u32>> {
        self.range(self.ordinal(key)?)
    }

    /// The place of `key` in text order.
    #[inline]
    pub fn ordinal(&self, key: FuncKey) -> Option<u32> {
        let mut blocks = self.blocks(self.row(key.namespace())?);
        let block = blocks.nth((key.index() / BLOCK_BITS) as usize)?;
        let rank = rank(self.bits.get(block)?, key.index() % BLOCK_BITS)?;
        let ordinal = u32::from_le_bytes(*self.counts.get(block)?).checked_add(rank)?;
        (ordinal < self.len()).then_some(ordinal)
    }

    /// Where the function with this ordinal lies in the text, with the padding behind it.
    #[inline]
    pub fn range(&self, ordinal: u32) -> Option<Range<u32>> {
        let &bounds = self.offsets.get(ordinal as usize..)?.first_chunk()?;
        let [start, end] = bounds.map(u32::from_le_bytes);
        (start <= end && end <= self.text_size).then_some(start..end)
    }

    /// The function with this ordinal.
    pub fn key(&self, ordinal: u32) -> Option<FuncKey> {
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

    /// The function that `offset` of the text belongs to: its ordinal, its key and the offset of
    /// its start.
    pub fn find(&self, offset: u32) -> Option<(u32, FuncKey, u32)> {
        let (_, starts) = self.offsets.split_last()?;
        let ordinal = starts
            .partition_point(|&start| u32::from_le_bytes(start) <= offset)
            .checked_sub(1)?;
        let ordinal = ordinal as u32;
        let range = self.range(ordinal)?;
        range
            .contains(&offset)
            .then_some((ordinal, self.key(ordinal)?, range.start))
    }

    /// All functions and where they lie, in text order.
    pub fn iter(&self) -> impl Iterator<Item = (FuncKey, Range<u32>)> + use<'a> {
        let table = *self;
        (0..table.rows.len()).flat_map(move |row| {
            table.blocks(row).flat_map(move |block| {
                let count = u32::from_le_bytes(table.counts[block]);
                ones(&table.bits[block])
                    .zip(0..)
                    .filter_map(move |(bit, before)| {
                        let ordinal = count.checked_add(before)?;
                        Some((table.key_at(row, block, bit)?, table.range(ordinal)?))
                    })
            })
        })
    }

    /// The row of a namespace word.
    #[inline]
    fn row(&self, namespace: u32) -> Option<usize> {
        let guess = (namespace & ((1 << FuncKey::NAMESPACE_BITS) - 1)) as usize;
        let word = |&[namespace, _]: &Row| u32::from_le_bytes(namespace);
        if self.rows.get(guess).map(word) == Some(namespace) {
            return Some(guess);
        }
        self.rows.binary_search_by_key(&namespace, word).ok()
    }

    /// The blocks of the namespace in `row`, which must exist.
    #[inline]
    fn blocks(&self, row: usize) -> Range<usize> {
        let first_block = |row: &Row| u32::from_le_bytes(row[1]) as usize;
        let end = self
            .rows
            .get(row + 1)
            .map_or(self.counts.len(), first_block);
        first_block(&self.rows[row])..end
    }

    /// The key of a bit of a block, given the row of the namespace that the block belongs to.
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

/// The words of a block's bits, lowest indexes first.
#[inline]
fn words(bits: &Bits) -> impl Iterator<Item = u64> {
    bits.as_chunks()
        .0
        .iter()
        .map(|&word| u64::from_le_bytes(word))
}

/// The number of set bits before the set bit `bit`, or `None` if it is clear.
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

/// The set bit that has `rank` set bits before it, or `None` if there are too few.
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

/// The set bit of `word` that has `rank` set bits before it. There must be one.
fn select_in_word(mut word: u64, rank: u32) -> u32 {
    for _ in 0..rank {
        word &= word - 1;
    }
    word.trailing_zeros()
}

/// The set bits of a block, ascending.
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

/// Why bytes are not a [`KeyTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTableError {
    /// The bytes end within the header.
    NoHeader {
        /// The number of bytes.
        actual: usize,
    },
    /// The bytes have another size than the header says.
    Size {
        /// The size by the header.
        expected: u64,
        /// The number of bytes.
        actual: usize,
    },
    /// There are functions but no namespace.
    NoNamespaces,
    /// A row of the directory does not ascend from the one before.
    Namespaces {
        /// The row.
        row: usize,
    },
    /// A row of the directory has no blocks of its own.
    Blocks {
        /// The row.
        row: usize,
    },
    /// The first block of a namespace has a count that does not fit its place.
    Ordinals {
        /// The row of the namespace.
        row: usize,
    },
}

impl fmt::Display for KeyTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { actual } => {
                write!(f, "key table of {actual} bytes has no room for its header")
            }
            Self::Size { expected, actual } => {
                write!(
                    f,
                    "key table has {actual} bytes where its header asks for {expected}"
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

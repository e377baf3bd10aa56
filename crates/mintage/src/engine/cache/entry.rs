//! The format of an entry: [`NewEntry`] writes it, and [`Ending`] reads what follows the artifact.
//!
//! ```text
//! artifact   with holes where another entry, the base, has the same chunks
//! chunks     the place and the hash of each, by which later entries find a base
//! footer     the base, and the parts that are in it
//! tag        of all that and the key, with the artifact as it is without holes
//! ```
//!
//! Footer and tag have a fixed size, so the end of the file tells where everything is. The bytes of
//! a base need no check of their own: they are mapped over the holes, and then the tag covers them.

use super::{HASH_SIZE, Key};
use mintage_artifact::Artifact;
use mintage_runtime::Borrowed;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The most parts that an entry has from its base. Loading it takes up to two mappings for each.
pub const MAX_PARTS: usize = 8;
/// The most chunks of an entry: machine code is smaller than 4 GiB, and an image than 512 MiB.
const MAX_CHUNKS: u64 = 1 << 15;
/// The size of what an entry has of each chunk.
const CHUNK_ENTRY: usize = size_of::<u64>() + HASH_SIZE;
/// The number of numbers in a footer.
const NUMBERS: usize = 3 * MAX_PARTS + 1;
/// The size of a footer.
const FOOTER: usize = HASH_SIZE + NUMBERS * size_of::<u64>();

/// A part of an artifact that is in another entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The offset in the artifact.
    pub start: u64,
    /// The offset in the other entry.
    pub base_start: u64,
    pub len: u64,
}

/// The part of an entry that says where its other parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Footer {
    /// The name of the base; zeros if there is none.
    base: [u8; HASH_SIZE],
    /// In order, followed by empty ones.
    parts: [Part; MAX_PARTS],
    /// The number of chunks before the footer.
    chunks: u64,
}

impl Footer {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.base.to_vec();
        let parts = self.parts.iter();
        let numbers = parts.flat_map(|part| [part.start, part.base_start, part.len]);
        for number in numbers.chain([self.chunks]) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; FOOTER]) -> Option<Footer> {
        let (base, numbers) = bytes.split_first_chunk()?;
        let mut numbers = (numbers.as_chunks().0.iter()).map(|bytes| u64::from_le_bytes(*bytes));
        let mut parts = [Part::default(); MAX_PARTS];
        for part in &mut parts {
            *part = Part {
                start: numbers.next()?,
                base_start: numbers.next()?,
                len: numbers.next()?,
            };
        }
        Some(Footer {
            base: *base,
            parts,
            chunks: numbers.next()?,
        })
    }
}

/// The end of an entry's file, after the artifact. It has not been authenticated yet.
pub struct Ending {
    /// The size of the artifact, which is at the start of the file.
    pub artifact_size: usize,
    /// Chunks and footer, as the file has them.
    pub index: Vec<u8>,
    pub tag: [u8; HASH_SIZE],
    footer: Footer,
}

impl Ending {
    /// Reads the end of a file of `len` bytes. `None` if it cannot be that of an entry.
    pub fn read(file: &File, len: u64) -> Option<Ending> {
        let footer_start = len.checked_sub((FOOTER + HASH_SIZE) as u64)?;
        let mut end = [0; FOOTER + HASH_SIZE];
        file.read_exact_at(&mut end, footer_start).ok()?;
        let (footer_bytes, tag) = end.split_first_chunk()?;
        let footer = Footer::decode(footer_bytes)?;
        if footer.chunks > MAX_CHUNKS {
            return None;
        }
        let chunks = footer.chunks as usize * CHUNK_ENTRY;
        let artifact_size = footer_start.checked_sub(chunks as u64)?;
        let mut index = vec![0; chunks];
        file.read_exact_at(&mut index, artifact_size).ok()?;
        index.extend(footer_bytes);
        Some(Ending {
            artifact_size: usize::try_from(artifact_size)
                .ok()
                .filter(|size| *size > 0)?,
            index,
            tag: tag.try_into().ok()?,
            footer,
        })
    }

    /// Returns the hash of each chunk, and its offset in the artifact.
    pub fn chunks(&self) -> impl Iterator<Item = (&[u8; HASH_SIZE], u64)> {
        let entries = self.index.as_chunks::<CHUNK_ENTRY>().0.iter();
        let entries = entries.take(self.footer.chunks as usize);
        entries.filter_map(|entry| {
            let (start, hash) = entry.split_first_chunk()?;
            Some((hash.as_array()?, u64::from_le_bytes(*start)))
        })
    }

    /// Returns the name of the base. `None` if the file has all of the artifact.
    pub fn base(&self) -> Option<Key> {
        let is_whole = self.footer.base == [0; HASH_SIZE];
        (!is_whole).then_some(Key(self.footer.base))
    }

    /// Returns the parts that are in the base. `None` if they leave the artifact or are out of
    /// order.
    pub fn borrowed(&self) -> Option<Vec<Borrowed>> {
        let mut borrowed = Vec::new();
        let mut end = 0;
        for part in self.footer.parts.iter().filter(|part| part.len > 0) {
            let start = usize::try_from(part.start).ok()?;
            let len = usize::try_from(part.len).ok()?;
            if start < end {
                return None;
            }
            end = start
                .checked_add(len)
                .filter(|end| *end <= self.artifact_size)?;
            borrowed.push(Borrowed {
                range: start..end,
                offset: usize::try_from(part.base_start).ok()?,
            });
        }
        (!borrowed.is_empty()).then_some(borrowed)
    }
}

/// An entry that is to be written.
pub struct NewEntry<'a> {
    artifact: &'a [u8],
    footer: Footer,
    /// Chunks and footer.
    pub index: Vec<u8>,
}

impl<'a> NewEntry<'a> {
    /// Makes an entry of an artifact without chunks that others could borrow.
    pub fn small(artifact: &'a [u8]) -> NewEntry<'a> {
        let footer = Footer::default();
        NewEntry {
            artifact,
            footer,
            index: footer.encode(),
        }
    }

    /// Makes an entry without the parts that `base` has, at most [`MAX_PARTS`] in order.
    pub fn new(artifact: &Artifact<&'a [u8]>, base: Option<(&Key, &[Part])>) -> NewEntry<'a> {
        let mut footer = Footer {
            chunks: artifact.chunks().len() as u64,
            ..Footer::default()
        };
        if let Some((name, parts)) = base {
            footer.base = name.0;
            for (slot, part) in footer.parts.iter_mut().zip(parts) {
                *slot = *part;
            }
        }
        let mut index = Vec::with_capacity(artifact.chunks().len() * CHUNK_ENTRY + FOOTER);
        for (place, hash) in artifact.chunks() {
            index.extend((place.start as u64).to_le_bytes());
            index.extend(hash);
        }
        index.extend(footer.encode());
        NewEntry {
            artifact: artifact.owner(),
            footer,
            index,
        }
    }

    /// Returns the artifact, without holes.
    pub fn artifact(&self) -> &'a [u8] {
        self.artifact
    }

    /// Returns the bytes that are written, each with its offset in the file. `tag` is the last of
    /// them.
    pub fn pieces<'b>(&'b self, tag: &'b [u8; HASH_SIZE]) -> Vec<(u64, &'b [u8])> {
        let mut pieces = Vec::with_capacity(MAX_PARTS + 3);
        let mut start = 0;
        for part in self.footer.parts.iter().filter(|part| part.len > 0) {
            pieces.push((start as u64, &self.artifact[start..part.start as usize]));
            start = (part.start + part.len) as usize;
        }
        pieces.push((start as u64, &self.artifact[start..]));
        let index = self.artifact.len() as u64;
        pieces.push((index, &self.index));
        pieces.push((index + self.index.len() as u64, tag));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Part> {
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(start, base_start, len)| Part {
            start,
            base_start,
            len,
        })
    }

    proptest! {
        #[test]
        fn footers_are_read_as_written(
            base in any::<[u8; HASH_SIZE]>(),
            parts in prop::array::uniform8(part()),
            chunks in any::<u64>(),
        ) {
            let footer = Footer { base, parts, chunks };
            let bytes = footer.encode();
            prop_assert_eq!(Footer::decode(&bytes.try_into().unwrap()), Some(footer));
        }

        #[test]
        fn borrowed_parts_are_in_the_artifact(
            parts in prop::array::uniform8(part()),
            artifact_size in any::<usize>(),
        ) {
            let footer = Footer { parts, ..Footer::default() };
            let ending = Ending { artifact_size, index: footer.encode(), tag: [0; _], footer };
            let mut end = 0;
            for part in ending.borrowed().unwrap_or_default() {
                prop_assert!(end <= part.range.start && part.range.end <= artifact_size);
                end = part.range.end;
            }
        }
    }
}

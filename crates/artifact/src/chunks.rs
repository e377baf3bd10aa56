//! [`ChunkHash`]: the parts of the machine code that components can share.

use std::ops::Range;

/// The size in bytes of a chunk of the text, a multiple of the pages of all systems. The last chunk
/// of a text may be shorter.
pub const TEXT_CHUNK: usize = 256 << 10;

/// The BLAKE3 hash of a chunk. Two chunks with one hash are the same: no component can be made so
/// that its code passes for another's.
pub type ChunkHash = [u8; 32];

/// Returns the hash of each chunk of `text`. A text of less than one chunk has none, since sharing
/// it would save little.
pub(crate) fn hashes(text: &[u8]) -> Vec<ChunkHash> {
    match text.len() < TEXT_CHUNK {
        true => Vec::new(),
        false => text.chunks(TEXT_CHUNK).map(hash_chunk).collect(),
    }
}

/// Returns the hash of a chunk.
pub fn hash_chunk(chunk: &[u8]) -> ChunkHash {
    *blake3::hash(chunk).as_bytes()
}

/// Returns the place in a text of `len` bytes of the chunk `index`.
pub fn chunk_range(index: usize, len: usize) -> Range<usize> {
    let start = index * TEXT_CHUNK;
    start..len.min(start + TEXT_CHUNK)
}

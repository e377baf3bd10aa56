//! Chunks: the parts of an artifact that components can share, each with a [`ChunkHash`].

use crate::ImageRun;
use std::ops::Range;

/// The size in bytes of a chunk of machine code or of tables, a multiple of the pages of all
/// systems. The last chunk of the machine code may be shorter.
///
/// An artifact whose chunks have fewer bytes in all has none, since sharing would save little.
pub const CHUNK: usize = 256 << 10;
/// A chunk of the image has pages between two multiples of this in the slab. So equal pages are in
/// equal chunks, wherever they are in the files.
const IMAGE_CHUNK: u64 = 64 << 10;
/// The least size of a chunk of the image. Each shared part takes mappings of the system.
const LEAST_OF_IMAGE: u64 = 16 << 10;

/// The BLAKE3 hash of a chunk. Two chunks with one hash are the same: no component can be made so
/// that its code passes for another's.
pub type ChunkHash = [u8; 32];

/// Returns the places of the chunks in the file, in order. `tables` are those of the machine code,
/// which start at a page boundary.
///
/// Each place starts at a page boundary. Its last page has nothing else that is used.
pub(crate) fn places(
    image: &[ImageRun],
    text: Range<usize>,
    tables: Range<usize>,
) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for run in image {
        let end = run.slab_offset + run.len;
        let mut at = run.slab_offset;
        while at < end {
            let next = (at - at % IMAGE_CHUNK).saturating_add(IMAGE_CHUNK).min(end);
            if next - at >= LEAST_OF_IMAGE {
                let start = (run.file_offset + (at - run.slab_offset)) as usize;
                places.push(start..start + (next - at) as usize);
            }
            at = next;
        }
    }
    let chunks_of = |range: Range<usize>| {
        let starts = range.clone().step_by(CHUNK);
        starts.map(move |start| start..range.end.min(start + CHUNK))
    };
    places.extend(chunks_of(text));
    places.extend(chunks_of(tables).filter(|place| place.len() == CHUNK));
    if places.iter().map(Range::len).sum::<usize>() < CHUNK {
        places.clear();
    }
    places
}

/// Encodes hashes as one string of bytes, which is decoded in one go.
pub(crate) mod as_bytes {
    use super::ChunkHash;
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub fn serialize<S: Serializer>(hashes: &[ChunkHash], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(hashes.as_flattened())
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<ChunkHash>, D::Error> {
        from.deserialize_bytes(Hashes)
    }

    struct Hashes;

    impl Visitor<'_> for Hashes {
        type Value = Vec<ChunkHash>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("hashes of 32 bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            match bytes.as_chunks() {
                (hashes, []) => Ok(hashes.to_vec()),
                _ => Err(E::invalid_length(bytes.len(), &self)),
            }
        }
    }
}

/// Returns the hash of a chunk.
pub fn hash_chunk(chunk: &[u8]) -> ChunkHash {
    *blake3::hash(chunk).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    fn run(slab_offset: u64, file_offset: u64, len: u64) -> ImageRun {
        ImageRun {
            slab_offset: slab_offset * KIB,
            file_offset: file_offset * KIB,
            len: len * KIB,
        }
    }

    /// Returns the start and the size of each chunk, in KiB.
    fn in_kib(image: &[ImageRun], text: Range<usize>, tables: Range<usize>) -> Vec<(usize, usize)> {
        let kib = |range: Range<usize>| range.start << 10..range.end << 10;
        let places = places(image, kib(text), kib(tables));
        let places = places.into_iter().map(|place| (place.start, place.len()));
        places
            .map(|(start, len)| (start >> 10, len >> 10))
            .collect()
    }

    #[test]
    fn the_image_is_cut_by_addresses_in_the_slab() {
        let image = [run(100, 4, 100), run(640, 104, 64), run(960, 168, 12)];
        let text = 200..600;
        assert_eq!(
            in_kib(&image, text.clone(), 600..600),
            [(4, 28), (32, 64), (104, 64), (200, 256), (456, 144)]
        );
        // Another page in front moves a chunk, but does not change it.
        let image = [run(96, 4, 104), run(640, 108, 64)];
        assert_eq!(
            in_kib(&image, text, 600..600)[..3],
            [(4, 32), (36, 64), (108, 64)]
        );
    }

    #[test]
    fn tables_have_whole_chunks_only() {
        assert_eq!(
            in_kib(&[], 4..300, 300..900),
            [(4, 256), (260, 40), (300, 256), (556, 256)]
        );
    }

    #[test]
    fn small_artifacts_have_none() {
        assert_eq!(in_kib(&[], 4..259, 260..300), []);
        assert_eq!(in_kib(&[], 4..260, 260..300), [(4, 256)]);
        assert_eq!(in_kib(&[run(0, 4, 255)], 260..260, 260..260), []);
        let image = [run(0, 4, 192), run(200, 196, 8)];
        assert_eq!(in_kib(&image, 260..324, 324..324).len(), 4);
    }
}

//! [`SharedTexts`]: machine code that several components have, in memory once.
//!
//! Components that contain the same engine or library differ in their data and in few functions.
//! The compiler divides the text of each into chunks and hashes these. The first component that has
//! a chunk maps it from its own file, and others map it from there, too, in place of the bytes in
//! their own files. So each component still has its text in one piece, at addresses of its own, and
//! calls stay direct.
//!
//! A file that its owner may change when the component is gone is not mapped by others. If many
//! components have a chunk in such files, it is copied to a file in memory.
//!
//! The file of a component may lack chunks. A copy in memory has none of those that are mapped from
//! other files, and an entry of a cache none of those that its [`Base`](crate::Base) has. Others
//! map such a chunk from the file that has it.

use crate::sys::mmap::FileMapping;
use anyhow::{Context, Result};
use hashbrown::HashMap;
use mintage_artifact::{Artifact, ChunkHash, chunk_range, hash_chunk};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The maximum number of parts of a text that are mapped from other files. Each takes up to two of
/// the 65,530 mappings that a process can have.
const MAX_PARTS: usize = 4;
/// The number of components from which on a chunk is copied, if it is in their own files only. What
/// is not used of a file takes no memory, but a copy is in memory whole.
const COPIED_FOR: u32 = 4;
/// The number of known chunks from which on those of dropped components are forgotten.
const MANY: usize = 1024;

/// The chunks of all components of an engine.
#[derive(Default)]
pub struct SharedTexts {
    known: Mutex<Known>,
    /// The number of bytes that components map from other files than their own.
    bytes: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Known {
    chunks: HashMap<ChunkHash, Chunk>,
    /// The number of chunks at which those of dropped components are forgotten.
    limit: usize,
}

/// A chunk that a component has.
enum Chunk {
    /// It is in files that may change.
    Own {
        /// Alive as long as the last component with the chunk.
        last: Weak<()>,
        /// The number of components that had it since one of them was alive.
        count: u32,
    },
    /// It is in the file of an artifact that never changes, at this offset.
    InArtifact(Weak<Artifact<FileMapping>>, usize),
    /// It is in another file that never changes, at this offset: a copy, or a component's base.
    InFile(Weak<FileMapping>, usize),
}

/// A mapping of a file that never changes.
#[derive(Clone)]
enum Source {
    Artifact(Arc<Artifact<FileMapping>>),
    File(Arc<FileMapping>),
}

impl Source {
    fn mapping(&self) -> &FileMapping {
        match self {
            Self::Artifact(artifact) => artifact.owner(),
            Self::File(file) => file,
        }
    }
}

impl Chunk {
    /// Returns the chunk that is at an offset of a source.
    fn at(source: &Source, offset: usize) -> Chunk {
        match source {
            Source::Artifact(artifact) => Self::InArtifact(Arc::downgrade(artifact), offset),
            Source::File(file) => Self::InFile(Arc::downgrade(file), offset),
        }
    }

    /// Returns a file that the chunk can be mapped from, and its place there.
    fn source(&self) -> Option<(Source, usize)> {
        match self {
            Self::Own { .. } => None,
            Self::InArtifact(artifact, offset) => {
                Some((Source::Artifact(artifact.upgrade()?), *offset))
            }
            Self::InFile(file, offset) => Some((Source::File(file.upgrade()?), *offset)),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Own { last, .. } => last.strong_count() > 0,
            Self::InArtifact(artifact, _) => artifact.strong_count() > 0,
            Self::InFile(file, _) => file.strong_count() > 0,
        }
    }
}

/// The parts of a component's text that are mapped from other files, which are kept as long as this
/// lives.
pub struct SharedText {
    parts: Vec<Part>,
    /// The parts that are mapped from the component's base.
    base: Vec<Part>,
    /// Shows that the component still has its chunks.
    owner: Arc<()>,
    /// Counts the bytes of all parts.
    bytes: Arc<AtomicUsize>,
}

/// A part of a text that is mapped from another file.
struct Part {
    /// Its place in the text.
    range: Range<usize>,
    source: Source,
    /// Its place in the source.
    offset: usize,
}

impl SharedTexts {
    /// Returns the bytes of text that components map from other files than their own.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Finds the parts of an artifact's text that can be mapped from other files. `is_own` says
    /// whether the artifact is one that is mapped itself, from a file that may change.
    pub fn find<B: AsRef<[u8]>>(&self, artifact: &Artifact<B>, is_own: bool) -> SharedText {
        let (text, hashes) = (artifact.text(), &artifact.metadata().text_chunks);
        let mut shared = SharedText {
            parts: Vec::new(),
            base: Vec::new(),
            owner: Arc::default(),
            bytes: self.bytes.clone(),
        };
        if hashes.is_empty() {
            return shared;
        }
        let owner = is_own.then_some(&shared.owner);
        let (mut parts, frequent) = self.look_up(owner, text.len(), hashes);
        if let Some(copied) = self.copy(text, hashes, &frequent) {
            parts.extend(copied);
            parts.sort_by_key(|part| part.range.start);
        }
        shared.parts = joined(parts);
        self.bytes.fetch_add(shared.len(), Ordering::Relaxed);
        shared
    }

    /// Offers the text of an artifact, whose file never changes, to other components. The file may
    /// lack chunks; these are offered in the files that `shared` names.
    pub fn offer(&self, artifact: &Arc<Artifact<FileMapping>>, shared: &SharedText) {
        let text = artifact.text_range();
        let mut known = self.lock();
        for (index, hash) in artifact.metadata().text_chunks.iter().enumerate() {
            let range = chunk_range(index, text.len());
            let offered = || match shared.place(&range) {
                Some((source, offset)) => Chunk::at(source, offset),
                None => Chunk::InArtifact(Arc::downgrade(artifact), text.start + range.start),
            };
            let chunk = known.chunks.entry(*hash).or_insert_with(offered);
            if chunk.source().is_none() {
                *chunk = offered();
            }
        }
    }

    /// Returns the chunks that can be mapped, and the indexes of those that many components have in
    /// files of their own. Notes these as chunks of `owner`.
    fn look_up(
        &self,
        owner: Option<&Arc<()>>,
        len: usize,
        hashes: &[ChunkHash],
    ) -> (Vec<Part>, Vec<usize>) {
        let mut known = self.lock();
        known.forget_dropped();
        let (mut parts, mut frequent) = (Vec::new(), Vec::new());
        for (index, hash) in hashes.iter().enumerate() {
            let found = known.chunks.get(hash);
            if let Some((source, offset)) = found.and_then(Chunk::source) {
                parts.push(Part {
                    range: chunk_range(index, len),
                    source,
                    offset,
                });
            } else if let Some(owner) = owner {
                let count = match found {
                    Some(Chunk::Own { last, count }) if last.strong_count() > 0 => count + 1,
                    _ => 1,
                };
                if count >= COPIED_FOR {
                    frequent.push(index);
                }
                let last = Arc::downgrade(owner);
                known.chunks.insert(*hash, Chunk::Own { last, count });
            }
        }
        (parts, frequent)
    }

    /// Copies chunks of a text. Returns none if the system has no files in memory, or a chunk is
    /// damaged: other components must not get it.
    fn copy(&self, text: &[u8], hashes: &[ChunkHash], indexes: &[usize]) -> Option<Vec<Part>> {
        let mut places = Vec::with_capacity(indexes.len());
        let mut len = 0;
        for &index in indexes {
            let range = chunk_range(index, text.len());
            let chunk = text.get(range.clone())?;
            if hash_chunk(chunk) != hashes[index] {
                return None;
            }
            places.push((len, chunk));
            len += chunk.len();
        }
        if len == 0 {
            return None;
        }
        let copy = FileMapping::of_parts(len, &places, true).ok()?;
        if !copy.has_file() {
            return None;
        }
        let copy = Arc::new(copy);
        let mut known = self.lock();
        let parts = indexes.iter().zip(places).map(|(&index, (offset, _))| {
            let source = Source::File(copy.clone());
            known
                .chunks
                .insert(hashes[index], Chunk::at(&source, offset));
            Part {
                range: chunk_range(index, text.len()),
                source,
                offset,
            }
        });
        Some(parts.collect())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each change is one insertion or removal.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Forgets the chunks of dropped components, if there are many.
    fn forget_dropped(&mut self) {
        if self.chunks.len() >= self.limit.max(MANY) {
            self.chunks.retain(|_, chunk| chunk.is_alive());
            self.limit = 2 * self.chunks.len();
        }
    }
}

/// Joins parts that are adjacent, in the text and in one source. Returns the largest.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last)
                if std::ptr::eq(last.source.mapping(), part.source.mapping())
                    && last.range.end == part.range.start
                    && last.offset + last.range.len() == part.offset =>
            {
                last.range.end = part.range.end;
            }
            _ => joined.push(part),
        }
    }
    joined.sort_by_key(|part| std::cmp::Reverse(part.range.len()));
    joined.truncate(MAX_PARTS);
    joined
}

impl SharedText {
    /// Keeps the base of the component, with the parts of the text that are mapped from there, each
    /// with its offset in the base.
    pub fn keep_base(&mut self, base: &Arc<FileMapping>, places: Vec<(Range<usize>, usize)>) {
        let parts = places.into_iter().map(|(range, offset)| Part {
            range,
            source: Source::File(base.clone()),
            offset,
        });
        // A part that is mapped from elsewhere now does not need the base.
        let is_needed = |part: &Part| !self.parts.iter().any(|other| other.contains(&part.range));
        self.base = parts.filter(is_needed).collect();
    }

    /// Returns the other file that a chunk of the text is mapped from, and its place there.
    fn place(&self, chunk: &Range<usize>) -> Option<(&Source, usize)> {
        let mut parts = self.parts.iter().chain(&self.base);
        let part = parts.find(|part| part.contains(chunk))?;
        Some((&part.source, part.offset + chunk.start - part.range.start))
    }

    /// Returns whether nothing is mapped from files of other components.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.range.len()).sum()
    }

    /// Returns the parts of a file that are not mapped from others. `text` is the place of the text
    /// in the file.
    pub fn others<'a>(&self, file: &'a [u8], text: &Range<usize>) -> Vec<(usize, &'a [u8])> {
        let mut ranges: Vec<_> = self.parts.iter().map(|part| part.within(text)).collect();
        ranges.sort_by_key(|range| range.start);
        let mut others = Vec::with_capacity(ranges.len() + 1);
        let mut start = 0;
        for range in ranges {
            others.push((start, &file[start..range.start]));
            start = range.end;
        }
        others.push((start, &file[start..]));
        others
    }

    /// Maps the parts from the other files. `text` is the place of the text in the file.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    ///
    /// # Safety
    ///
    /// No one has read the bytes of these parts, or they are what the artifact's hashes say.
    pub unsafe fn map(&self, mapping: &FileMapping, text: &Range<usize>) -> Result<()> {
        for part in &self.parts {
            let range = part.within(text);
            // SAFETY: the file of the source has the bytes that the artifact has there, since their
            // hashes are equal; so says the caller of the bytes that are mapped now, if anyone has
            // read them.
            unsafe { mapping.replace(range, part.source.mapping(), part.offset) }
                .context("cannot map machine code that is shared")?;
        }
        Ok(())
    }
}

impl Part {
    fn contains(&self, range: &Range<usize>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }

    /// Returns the place of the part in a file whose text is at `text`.
    fn within(&self, text: &Range<usize>) -> Range<usize> {
        text.start + self.range.start..text.start + self.range.end
    }
}

impl Drop for SharedText {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.len(), Ordering::Relaxed);
    }
}

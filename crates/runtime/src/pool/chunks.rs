//! [`SharedChunks`]: machine code and pages of images that several components have, in memory once.
//!
//! Components that contain the same engine or library differ in some of their data and in few
//! functions. The compiler divides the artifact of each into chunks and hashes these
//! ([`Artifact::chunks`]). The first component that has a chunk maps it from its own file, and
//! others map it from there, too, in place of the bytes in their own files. So each component still
//! has its text in one piece, at addresses of its own, and calls stay direct. Its slabs map the
//! image from the same files ([`FileMapping::replace`]).
//!
//! A file that its owner may change when the component is gone is not mapped by others. If many
//! components have a chunk in such files, it is copied to a file in memory.
//!
//! The file of a component may lack chunks. A copy in memory has none of those that are mapped from
//! other files, and an entry of a cache none of those that its [`Base`](crate::Base) has. Others
//! map such a chunk from the file that has it.

use crate::sys::mmap::{self, FileMapping};
use anyhow::{Context, Result};
use hashbrown::HashMap;
use mintage_artifact::{Artifact, ChunkHash, hash_chunk};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The maximum number of parts of an artifact that are mapped from other files. Each takes up to
/// two of the 65,530 mappings that a process can have, and those of the image in each slab, too.
const MAX_PARTS: usize = 8;
/// The number of components from which on a chunk is copied, if it is in their own files only. What
/// is not used of a file takes no memory, but a copy is in memory whole.
const COPIED_FOR: u32 = 4;
/// The number of known chunks from which on those of dropped components are forgotten.
const MANY: usize = 1024;

/// The chunks of all components of an engine.
#[derive(Default)]
pub struct SharedChunks {
    known: Mutex<Known>,
    /// The number of bytes of machine code that components map from other files than their own.
    text_bytes: Arc<AtomicUsize>,
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

/// The parts of a component's artifact that are mapped from other files, which are kept as long as
/// this lives.
pub struct SharedParts {
    parts: Vec<Part>,
    /// The parts that are mapped from the component's base.
    base: Vec<Part>,
    /// Shows that the component still has its chunks.
    owner: Arc<()>,
    /// The number of bytes of machine code in the parts that are not in the base.
    text: usize,
    /// Counts them for all components.
    text_bytes: Arc<AtomicUsize>,
}

/// A part of an artifact that is mapped from another file.
struct Part {
    /// Its place in the artifact.
    range: Range<usize>,
    source: Source,
    /// Its place in the source.
    offset: usize,
}

impl SharedChunks {
    /// Returns the bytes of machine code that components map from other files than their own.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes.load(Ordering::Relaxed)
    }

    /// Finds the parts of an artifact that can be mapped from other files. `is_own` says whether
    /// the artifact is one that is mapped itself, from a file that may change.
    pub fn find<B: AsRef<[u8]>>(&self, artifact: &Artifact<B>, is_own: bool) -> SharedParts {
        let mut shared = SharedParts {
            parts: Vec::new(),
            base: Vec::new(),
            owner: Arc::default(),
            text: 0,
            text_bytes: self.text_bytes.clone(),
        };
        let owner = is_own.then_some(&shared.owner);
        let (mut parts, frequent) = self.look_up(owner, artifact);
        if let Some(copied) = self.copy(artifact.bytes(), &frequent) {
            parts.extend(copied);
            parts.sort_by_key(|part| part.range.start);
        }
        shared.parts = joined(parts);
        let text = artifact.text_range();
        let in_text = |part: &Part| {
            let (start, end) = (
                part.range.start.max(text.start),
                part.range.end.min(text.end),
            );
            end.saturating_sub(start)
        };
        shared.text = shared.parts.iter().map(in_text).sum();
        self.text_bytes.fetch_add(shared.text, Ordering::Relaxed);
        shared
    }

    /// Offers the chunks of an artifact, whose file never changes, to other components. The file
    /// may lack some; these are offered in the files that `shared` names.
    pub fn offer(&self, artifact: &Arc<Artifact<FileMapping>>, shared: &SharedParts) {
        let mut known = self.lock();
        for (range, hash) in artifact.chunks() {
            let offered = || match shared.place(range) {
                Some((source, offset)) => Chunk::at(source, offset),
                None => Chunk::InArtifact(Arc::downgrade(artifact), range.start),
            };
            let chunk = known.chunks.entry(*hash).or_insert_with(offered);
            if chunk.source().is_none() {
                *chunk = offered();
            }
        }
    }

    /// Returns the chunks that can be mapped, and those that many components have in files of their
    /// own. Notes all that cannot as chunks of `owner`.
    fn look_up<'a, B: AsRef<[u8]>>(
        &self,
        owner: Option<&Arc<()>>,
        artifact: &'a Artifact<B>,
    ) -> (Vec<Part>, Vec<(&'a Range<usize>, &'a ChunkHash)>) {
        let text = artifact.text_range();
        let mut known = self.lock();
        known.forget_dropped();
        let (mut parts, mut frequent) = (Vec::new(), Vec::new());
        for (range, hash) in artifact.chunks() {
            let found = known.chunks.get_mut(hash);
            if let Some((source, offset)) = found.as_deref().and_then(Chunk::source) {
                parts.push(Part {
                    range: range.clone(),
                    source,
                    offset,
                });
            // The tables after the text are seldom read: a copy takes more than it saves.
            } else if let Some(owner) = owner.filter(|_| range.start < text.end) {
                let count = match &found {
                    Some(Chunk::Own { last, count }) if last.strong_count() > 0 => count + 1,
                    _ => 1,
                };
                if count >= COPIED_FOR {
                    frequent.push((range, hash));
                }
                let last = Arc::downgrade(owner);
                let own = Chunk::Own { last, count };
                match found {
                    Some(chunk) => *chunk = own,
                    None => _ = known.chunks.insert(*hash, own),
                }
            }
        }
        (parts, frequent)
    }

    /// Copies chunks of an artifact. Returns none if the system has no files in memory, or a chunk
    /// is damaged: other components must not get it.
    fn copy(&self, artifact: &[u8], chunks: &[(&Range<usize>, &ChunkHash)]) -> Option<Vec<Part>> {
        let mut places = Vec::with_capacity(chunks.len());
        let mut len = 0_usize;
        for &(range, hash) in chunks {
            let chunk = artifact.get(range.clone())?;
            if hash_chunk(chunk) != *hash {
                return None;
            }
            places.push((len, chunk));
            // The end of a text may be in the middle of a page.
            len = (len + chunk.len()).next_multiple_of(mmap::page_size());
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
        let parts = chunks
            .iter()
            .zip(places)
            .map(|(&(range, hash), (offset, _))| {
                let source = Source::File(copy.clone());
                known.chunks.insert(*hash, Chunk::at(&source, offset));
                Part {
                    range: range.clone(),
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

/// Joins parts that are adjacent, in the artifact and in one source. Returns the largest.
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

impl SharedParts {
    /// Keeps the base of the component, from which parts at these places are mapped, each with its
    /// offset in the base.
    pub fn keep_base(
        &mut self,
        base: &Arc<FileMapping>,
        parts: impl Iterator<Item = (Range<usize>, usize)>,
    ) {
        let parts = parts.map(|(range, offset)| Part {
            range,
            source: Source::File(base.clone()),
            offset,
        });
        // A part that is mapped from elsewhere now does not need the base.
        let is_needed = |part: &Part| !self.parts.iter().any(|other| other.contains(&part.range));
        self.base = parts.filter(is_needed).collect();
    }

    /// Returns the other file that a chunk is mapped from, and its place there.
    fn place(&self, chunk: &Range<usize>) -> Option<(&Source, usize)> {
        let mut parts = self.parts.iter().chain(&self.base);
        let part = parts.find(|part| part.contains(chunk))?;
        Some((&part.source, part.offset + chunk.start - part.range.start))
    }

    /// Returns whether nothing is mapped from files of other components.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the parts of a file that are not mapped from others.
    pub fn others<'a>(&self, file: &'a [u8]) -> Vec<(usize, &'a [u8])> {
        let mut ranges: Vec<_> = self.parts.iter().map(|part| &part.range).collect();
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

    /// Maps the parts from the other files.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    ///
    /// # Safety
    ///
    /// No one has read the bytes of these parts, or they are what the artifact's hashes say.
    pub unsafe fn map(&self, mapping: &FileMapping) -> Result<()> {
        for part in &self.parts {
            let range = part.range.clone();
            // SAFETY: the file of the source has the bytes that the artifact has there, since their
            // hashes are equal; so says the caller of the bytes that are mapped now, if anyone has
            // read them.
            unsafe { mapping.replace(range, part.source.mapping(), part.offset) }
                .context("cannot map a part of the artifact that is shared")?;
        }
        Ok(())
    }
}

impl Part {
    fn contains(&self, range: &Range<usize>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }
}

impl Drop for SharedParts {
    fn drop(&mut self) {
        self.text_bytes.fetch_sub(self.text, Ordering::Relaxed);
    }
}

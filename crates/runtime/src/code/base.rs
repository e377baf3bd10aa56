//! [`Base`]: a file with parts of an artifact that borrows them.
//!
//! The file of an artifact may lack chunks that another file has. They are mapped from there, over
//! the place where the artifact's own file has a hole.

use crate::sys::mmap::{self, FileMapping};
use anyhow::{Context, Result, ensure};
use mintage_artifact::Artifact;
use mintage_environ::artifact;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// A file with bytes that the file of an artifact lacks.
pub struct Base {
    /// The file. It is often that of another artifact.
    pub file: File,
    /// The bytes that are borrowed.
    pub parts: Vec<Borrowed>,
}

/// A part of an artifact that is in a file other than its own.
#[derive(Clone, Debug)]
pub struct Borrowed {
    /// The place in the artifact.
    pub range: Range<usize>,
    /// The offset in the other file.
    pub offset: usize,
}

/// A base whose parts are in the mapping of the artifact that borrows them.
pub(crate) struct MappedBase {
    file: Arc<FileMapping>,
    parts: Vec<Borrowed>,
}

impl Base {
    /// Maps the parts to their places in `mapping`.
    ///
    /// # Errors
    ///
    /// If a part leaves the file or the mapping or does not start at a page boundary, or the system
    /// refuses.
    ///
    /// # Safety
    ///
    /// No one has read the mapping. No one ever changes the file.
    pub(super) unsafe fn map(self, mapping: &FileMapping) -> Result<MappedBase> {
        let Base { file, parts } = self;
        let mut len = 0;
        for part in &parts {
            let starts = [part.range.start, part.offset];
            ensure!(
                !part.range.is_empty()
                    && starts.iter().all(|at| at.is_multiple_of(mmap::page_size())),
                artifact!(
                    Damaged,
                    "a part of the artifact's base is not a range of pages"
                )
            );
            let end = part.offset.checked_add(part.range.len());
            len = len.max(end.context("a part of the artifact's base ends nowhere")?);
        }
        // SAFETY: as the caller promises.
        let base = unsafe { FileMapping::of_file(file, len) }.context("cannot map the base")?;
        for part in &parts {
            // SAFETY: no one has read these bytes, and the file never changes, as the caller
            // promises.
            unsafe { mapping.replace(part.range.clone(), &base, part.offset) }
                .context("cannot map a part of the base")?;
        }
        Ok(MappedBase {
            file: Arc::new(base),
            parts,
        })
    }
}

impl MappedBase {
    /// Returns the file.
    pub fn file(&self) -> &Arc<FileMapping> {
        &self.file
    }

    /// Returns the places of the parts, each with its offset in the base.
    ///
    /// # Errors
    ///
    /// If one has a part of a chunk of the artifact. The chunk could be offered to other components
    /// in neither file.
    pub fn parts<B: AsRef<[u8]>>(
        &self,
        artifact: &Artifact<B>,
    ) -> Result<impl Iterator<Item = (Range<usize>, usize)>> {
        for (chunk, _) in artifact.chunks() {
            let cuts = |part: &Borrowed| {
                let is_in = |at: usize| chunk.start < at && at < chunk.end;
                is_in(part.range.start) || is_in(part.range.end)
            };
            ensure!(
                !self.parts.iter().any(cuts),
                "the artifact borrows a part of a chunk"
            );
        }
        let parts = self.parts.iter();
        Ok(parts.map(|part| (part.range.clone(), part.offset)))
    }
}

//! [`Base`]: a file with machine code that an artifact borrows.
//!
//! The file of an artifact may lack chunks of its text that another file has. They are mapped from
//! there, over the place where the artifact's own file has a hole.

use crate::sys::mmap::{self, FileMapping};
use anyhow::{Context, Result, ensure};
use mintage_artifact::TEXT_CHUNK;
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

    /// Returns the places of the parts, counted from the start of the text, each with its offset in
    /// the base. The text is at `text` in the artifact.
    ///
    /// # Errors
    ///
    /// If a part is not made of whole chunks of the text. Other sections are mapped from the
    /// artifact's own file when instances are made.
    pub fn places_in(&self, text: &Range<usize>) -> Result<Vec<(Range<usize>, usize)>> {
        let mut places = Vec::with_capacity(self.parts.len());
        for Borrowed { range, offset } in &self.parts {
            let is_whole = |end: usize| end.is_multiple_of(TEXT_CHUNK) || end == text.len();
            let place = (range.start.checked_sub(text.start))
                .zip(range.end.checked_sub(text.start))
                .filter(|&(start, end)| end <= text.len() && is_whole(start) && is_whole(end))
                .context("the artifact borrows more than chunks of its text")?;
            places.push((place.0..place.1, *offset));
        }
        Ok(places)
    }
}

//! [`Base`]: an entry with most of the chunks of a new one, which then leaves them out.

use super::entry::{Ending, MAX_PARTS, Part};
use super::folder::{Folder, Listed};
use super::{CacheConfig, Key};
use crate::error::Result;
use mintage_artifact::{Artifact, CHUNK};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The most entries that are considered: those that were used last.
const MOST_CANDIDATES: usize = 64;
/// An entry borrows at least the artifact's size divided by this, or nothing. An entry that borrows
/// cannot lend, so one that has little in common with all others is stored whole.
const LEAST_PART: usize = 2;

/// The entry that a new one borrows from.
pub struct Base {
    pub name: Key,
    /// The parts that the new entry leaves out, in order.
    pub parts: Vec<Part>,
    listed: Listed,
    file: File,
}

impl Base {
    /// Finds the entry that has most of an artifact. Its bytes have been compared.
    /// `own` is the name of the new entry.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn find(
        folder: &Folder,
        config: &CacheConfig,
        own: &Key,
        artifact: &Artifact<&[u8]>,
    ) -> Result<Option<Base>> {
        if artifact.chunks().len() == 0 {
            return Ok(None);
        }
        let mut listed = folder.list_entries()?;
        listed.retain(|file| file.size > CHUNK as u64 && file.key() != Some(*own));
        listed.sort_by_key(|file| Reverse(file.used));
        listed.truncate(MOST_CANDIDATES);
        let found = listed
            .into_iter()
            .filter_map(|file| Self::open(file, folder, artifact));
        let Some(best) = found.min_by_key(|base| Reverse(base.len())) else {
            return Ok(None);
        };
        let rest = (artifact.bytes().len() as u64).saturating_sub(best.len());
        let (_, room) = config.limits_after_removal();
        let is_worth_it = best.len() >= (artifact.bytes().len() / LEAST_PART) as u64
            // Otherwise the base would be removed for the entry that needs it.
            && rest + best.listed.size <= room
            && best.has_same_bytes(artifact.bytes());
        Ok(is_worth_it.then_some(best))
    }

    /// Opens an entry that may lend to an artifact. `None` if they have no chunk in common, or it
    /// borrows itself.
    fn open(listed: Listed, folder: &Folder, artifact: &Artifact<&[u8]>) -> Option<Base> {
        let name = listed.key()?;
        let (file, metadata) = folder.open_own(&name)?;
        let ending = Ending::read(&file, metadata.len())?;
        if ending.base().is_some() {
            return None;
        }
        let parts = common_parts(artifact, &ending)?;
        (!parts.is_empty()).then_some(Base {
            name,
            parts,
            listed,
            file,
        })
    }

    /// Returns the number of bytes that are borrowed.
    fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// Returns whether the base has the bytes that an artifact would borrow. Its hashes might be
    /// wrong, and then the new entry would be useless.
    fn has_same_bytes(&self, artifact: &[u8]) -> bool {
        let mut block = vec![0; CHUNK];
        self.parts.iter().all(|part| {
            let own = &artifact[part.start as usize..][..part.len as usize];
            let mut at = part.base_start;
            own.chunks(CHUNK).all(|chunk| {
                let block = &mut block[..chunk.len()];
                let is_same = self.file.read_exact_at(block, at).is_ok() && block == chunk;
                at += chunk.len() as u64;
                is_same
            })
        })
    }

    /// Makes the base the file that was used last, so that it is not removed before those that
    /// borrow from it.
    pub fn note_use(&self) {
        self.listed.note_use_now(&self.file);
    }
}

/// Returns the largest parts of an artifact that an entry seems to have, in order. `None` if the
/// entry's numbers cannot be right.
fn common_parts(artifact: &Artifact<&[u8]>, base: &Ending) -> Option<Vec<Part>> {
    let places: HashMap<_, _> = base.chunks().collect();
    let mut parts: Vec<Part> = Vec::new();
    for (range, hash) in artifact.chunks() {
        let Some(&base_start) = places.get(hash) else {
            continue;
        };
        let (start, len) = (range.start as u64, range.len() as u64);
        let base_end = base_start.checked_add(len)?;
        if base_end > base.artifact_size as u64
            || !base_start.is_multiple_of(artifact.metadata().page())
        {
            return None;
        }
        match parts.last_mut() {
            Some(part)
                if part.start + part.len == start && part.base_start + part.len == base_start =>
            {
                part.len += len;
            }
            _ => parts.push(Part {
                start,
                base_start,
                len,
            }),
        }
    }
    parts.sort_by_key(|part| Reverse(part.len));
    parts.truncate(MAX_PARTS);
    parts.sort_by_key(|part| part.start);
    Some(parts)
}

//! [`Packs`]: machine code of functions in the folder of a cache, for components that share
//! functions with others.
//!
//! What one compilation adds becomes one file, a pack: [`MAGIC`], the number of functions, an index
//! sorted by key, and the functions. Each function is authenticated by itself
//! ([`FunctionCache`](mintage_compile::FunctionCache)), so a pack need not be: whatever is wrong
//! with it, a function is not found.

use super::folder::{Folder, Listed};
use super::{CacheConfig, HASH_SIZE};
use crate::error::Result;
use mintage_compile::CacheStore;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first bytes of a pack.
const MAGIC: [u8; 8] = *b"MINTFUN1";
/// The size of what precedes the index: magic and count.
const HEADER: usize = 16;
/// The size of an element of the index: key, offset in the file, size.
const ELEMENT: usize = HASH_SIZE + 16;

/// The most packs that one compilation looks into: those that were used last.
const MOST_PACKS: usize = 64;
/// The most functions of a pack that are looked at.
const MOST_FUNCTIONS: u64 = 1 << 18;
/// The size below which a pack is small. If there are many, they are joined.
const SMALL: u64 = 1 << 20;
/// The number of small packs that are joined.
const MANY_SMALL: usize = 16;
/// The part of the size of the whole cache that one pack may have.
const PART_OF_CACHE: u64 = 4;

type FunctionKey = [u8; HASH_SIZE];

/// The packs of a folder, for one compilation.
pub struct Packs {
    packs: Vec<Pack>,
    added: Mutex<Added>,
    /// The most bytes of functions that are added.
    room: usize,
}

/// A file with functions.
struct Pack {
    listed: Listed,
    file: File,
    /// Elements, sorted by key.
    index: Vec<u8>,
    is_used: AtomicBool,
}

/// Functions that are not in a pack yet.
#[derive(Default)]
struct Added {
    functions: BTreeMap<FunctionKey, Vec<u8>>,
    size: usize,
}

impl Packs {
    /// Opens the packs of a folder.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn open(folder: &Folder, config: &CacheConfig) -> Result<Packs> {
        let room = config.files_total_size_soft_limit() / PART_OF_CACHE;
        let mut listed = folder.list_packs()?;
        listed.retain(|file| file.size <= room);
        listed.sort_by_key(|file| std::cmp::Reverse(file.used));
        listed.truncate(MOST_PACKS);
        Ok(Packs {
            packs: listed.into_iter().filter_map(Pack::open).collect(),
            added: Mutex::default(),
            room: usize::try_from(room).unwrap_or(usize::MAX),
        })
    }

    /// Writes what was added to a pack of its own, and notes which packs were used.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn finish(&self, folder: &Folder, config: &CacheConfig) -> Result<()> {
        for pack in &self.packs {
            if pack.is_used.load(Ordering::Relaxed) {
                pack.listed.note_use(&pack.file);
            }
        }
        let mut functions = std::mem::take(&mut self.added().functions);
        if functions.is_empty() {
            return Ok(());
        }
        let small = || self.packs.iter().filter(|pack| pack.listed.size < SMALL);
        let is_joined = small().count() + 1 >= MANY_SMALL;
        if is_joined {
            for (key, function) in small().flat_map(Pack::functions) {
                functions.entry(key).or_insert(function);
            }
        }
        let bytes = encode(&functions);
        let name = blake3::hash(&bytes[..HEADER + functions.len() * ELEMENT]);
        folder.add_pack(&name.to_hex(), &bytes, config)?;
        for pack in small().filter(|_| is_joined) {
            pack.listed.remove();
        }
        Ok(())
    }

    fn added(&self) -> MutexGuard<'_, Added> {
        // No code that holds the lock can leave it half changed.
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for Packs {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if let Some(function) = self.added().functions.get(key) {
            return Some(function.clone().into());
        }
        self.packs
            .iter()
            .find_map(|pack| pack.get(key))
            .map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let Ok(key) = key.try_into() else {
            return false;
        };
        let mut added = self.added();
        let size = added.size + ELEMENT + value.len();
        if size > self.room {
            return false;
        }
        added.size = size;
        added.functions.insert(key, value);
        true
    }
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packs")
            .field("packs", &self.packs.len())
            .finish_non_exhaustive()
    }
}

impl Pack {
    /// Opens a pack. `None` if it cannot be read, or is none.
    fn open(listed: Listed) -> Option<Pack> {
        let file = listed.open().ok()?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let (magic, count) = header.split_first_chunk()?;
        let count = u64::from_le_bytes(count.try_into().ok()?);
        let size = count.checked_mul(ELEMENT as u64)?;
        if *magic != MAGIC || count > MOST_FUNCTIONS || size > listed.len {
            return None;
        }
        let mut index = vec![0; usize::try_from(size).ok()?];
        file.read_exact_at(&mut index, HEADER as u64).ok()?;
        Some(Pack {
            listed,
            file,
            index,
            is_used: AtomicBool::new(false),
        })
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let elements = self.index.as_chunks::<ELEMENT>().0;
        let found = elements.binary_search_by(|element| element[..HASH_SIZE].cmp(key));
        let function = self.read(&elements[found.ok()?])?;
        self.is_used.store(true, Ordering::Relaxed);
        Some(function)
    }

    /// Returns all functions that can be read.
    fn functions(&self) -> impl Iterator<Item = (FunctionKey, Vec<u8>)> {
        let elements = self.index.as_chunks::<ELEMENT>().0.iter();
        elements.filter_map(|element| Some((*element.first_chunk()?, self.read(element)?)))
    }

    /// Reads the function of an element of the index.
    fn read(&self, element: &[u8; ELEMENT]) -> Option<Vec<u8>> {
        let place = place(element);
        let size = place.end.checked_sub(place.start)?;
        if place.end > self.listed.len {
            return None;
        }
        let mut function = vec![0; usize::try_from(size).ok()?];
        self.file.read_exact_at(&mut function, place.start).ok()?;
        Some(function)
    }
}

/// Returns the place in the file of an element's function.
fn place(element: &[u8; ELEMENT]) -> Range<u64> {
    let number = |at: usize| {
        let bytes = element[at..].first_chunk();
        bytes.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
    };
    let start = number(HASH_SIZE);
    start..start.saturating_add(number(HASH_SIZE + 8))
}

/// Returns a pack with these functions.
fn encode(functions: &BTreeMap<FunctionKey, Vec<u8>>) -> Vec<u8> {
    let start = HEADER + functions.len() * ELEMENT;
    let size: usize = functions.values().map(Vec::len).sum();
    let mut bytes = Vec::with_capacity(start + size);
    bytes.extend(MAGIC);
    bytes.extend((functions.len() as u64).to_le_bytes());
    let mut offset = start;
    for (key, function) in functions {
        bytes.extend(key);
        bytes.extend((offset as u64).to_le_bytes());
        bytes.extend((function.len() as u64).to_le_bytes());
        offset += function.len();
    }
    for function in functions.values() {
        bytes.extend(function);
    }
    bytes
}

//! [`Cache`]: compiled components in a folder, for engines that compile the same component again.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | [`Cache`]: keys of entries, finding and adding them |
//! | `config.rs` | [`CacheConfig`], and its file |
//! | `folder.rs` | the folder: secret, entries, removal of what was not used for longest |
//! | `entry.rs` | [`NewEntry`], [`Ending`](entry::Ending): the format of an entry |
//! | `base.rs` | [`Base`]: the entry that another one borrows machine code from |
//! | `packs.rs` | [`Packs`]: functions, for components that share some with others |
//!
//! # How an entry is found, and why it is trusted
//!
//! The name of an entry is its key: a hash of the component's bytes and of everything else that its
//! machine code depends on. An entry is an artifact, followed by a tag that authenticates both the
//! artifact and the key. Both hashes are BLAKE3 in keyed mode. The secret is in a file that only
//! its owner can read. Whoever can write to the folder but not read the secret can remove entries,
//! but cannot make the engine run other code.
//!
//! Components of one language have nearly the same machine code. So the file of an entry may lack
//! parts of the text that the file of another entry has, its base. They are mapped from there, and
//! then the tag is compared with the whole artifact as it is mapped. So a base that is gone,
//! damaged or another one than it was is an entry that is not found.
//!
//! Entries are written to a temporary file that is renamed, and never changed afterwards. So
//! processes need no locks, and can go on using the entries that another one removes.

mod base;
mod config;
mod entry;
mod folder;
mod packs;

pub use config::CacheConfig;

use super::Engine;
use crate::error::{Error, Result};
use base::Base;
use entry::NewEntry;
use folder::Folder;
use mintage_artifact::{Artifact, CHUNK, Check};
use mintage_compile::FunctionCache;
use packs::Packs;
use std::fmt;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The number of bytes of keys, tags and secrets.
const HASH_SIZE: usize = blake3::OUT_LEN;

/// A cache of compiled components in a folder. See
/// [`Config::cache`](crate::Config::cache).
///
/// Engines, threads and processes can share a folder. A cache is cheap to clone.
///
/// Creating a cache does not touch the folder. The folder, and the secret in it, are created when
/// the first component is compiled. If that fails, components are compiled without the cache, and
/// [`last_error`](Self::last_error) has the reason.
///
/// ```
/// use mintage::{Cache, CacheConfig, Config, Engine};
///
/// # fn main() -> mintage::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let mut config = CacheConfig::new();
/// config.with_directory(folder).with_files_total_size_soft_limit(256 << 20);
/// let cache = Cache::new(config)?;
/// let engine = Engine::new(Config::new().cache(Some(cache.clone())))?;
///
/// mintage::Component::new(&engine, "(component)")?;
/// mintage::Component::new(&engine, "(component)")?;
/// assert_eq!((cache.cache_hits(), cache.cache_misses()), (1, 1));
/// assert_eq!(cache.clear()?.entries, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    config: CacheConfig,
    folder: Folder,
    hits: AtomicUsize,
    misses: AtomicUsize,
    error: Mutex<Option<Error>>,
}

/// The contents of a [`Cache`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// The number of entries: of components.
    pub entries: u64,
    /// The size in bytes on the disk, with that of functions for components which are compiled
    /// later.
    pub bytes: u64,
}

/// The compiled functions in a [`Cache`], for one compilation.
pub(crate) struct CachedFunctions {
    cache: Cache,
    packs: Arc<Packs>,
    secret: [u8; HASH_SIZE],
}

/// The size in bytes of the least component that uses and adds compiled functions. A smaller one is
/// compiled before they are found.
const LEAST_WITH_FUNCTIONS: usize = 256 << 10;

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; HASH_SIZE]);

/// An entry that was found, before it is known to be authentic.
pub(crate) struct Entry {
    pub file: File,
    /// The size of the artifact, which is at the start of the file.
    pub artifact_size: usize,
    /// The file with the parts that this one lacks.
    pub base: Option<mintage_runtime::Base>,
    pub authenticity: Authenticity,
}

/// The parts of an entry, besides the artifact, that authenticate it.
pub(crate) struct Authenticity {
    tag: blake3::Hash,
    /// The bytes between the artifact and the tag.
    index: Vec<u8>,
    key: Key,
    secret: [u8; HASH_SIZE],
}

impl Cache {
    /// Creates a cache. Its folder is created when it is needed.
    ///
    /// # Errors
    ///
    /// If the folder's path is not absolute, or if none is set and the user has no cache folder:
    /// neither `XDG_CACHE_HOME` nor `HOME` is an absolute path.
    pub fn new(config: CacheConfig) -> Result<Cache> {
        let directory = config.resolved_directory()?;
        Ok(Cache {
            inner: Arc::new(Inner {
                folder: Folder::new(directory),
                config,
                hits: AtomicUsize::new(0),
                misses: AtomicUsize::new(0),
                error: Mutex::new(None),
            }),
        })
    }

    /// Creates a cache with the settings in a file, as [`CacheConfig::from_file`] reads them.
    ///
    /// # Errors
    ///
    /// As [`CacheConfig::from_file`] and [`Cache::new`].
    pub fn from_file(path: Option<&std::path::Path>) -> Result<Cache> {
        Self::new(CacheConfig::from_file(path)?)
    }

    /// Returns the folder.
    pub fn directory(&self) -> &PathBuf {
        self.inner.folder.path()
    }

    /// Returns how many components this cache had, since it was created.
    pub fn cache_hits(&self) -> usize {
        self.inner.hits.load(Ordering::Relaxed)
    }

    /// Returns how many components had to be compiled, since this cache was created.
    pub fn cache_misses(&self) -> usize {
        self.inner.misses.load(Ordering::Relaxed)
    }

    /// Returns why the cache could not be used, or an entry not be written, when that happened
    /// last. The compiled components are not affected. A second call returns `None` until it
    /// happens again.
    pub fn last_error(&self) -> Option<Error> {
        let mut error = self.inner.error.lock();
        error
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut())
            .take()
    }

    /// Returns the number and the size of the entries in the folder, of all engines and versions.
    ///
    /// # Errors
    ///
    /// If the folder exists and cannot be read.
    pub fn stats(&self) -> Result<CacheStats> {
        self.inner.folder.stats()
    }

    /// Removes all entries, of all engines and versions, and returns how many there were. Loaded
    /// components can still be used.
    ///
    /// # Errors
    ///
    /// If the folder exists and cannot be read, or an entry cannot be removed.
    pub fn clear(&self) -> Result<CacheStats> {
        self.inner.folder.clear()
    }

    /// Returns the key of what `reader` has, for the code that `engine` generates. `kind` says what
    /// the bytes are compiled as.
    /// `None` if the bytes cannot be read, or if the cache cannot be used, which is noted as an
    /// error.
    pub(crate) fn key<K: Hash>(
        &self,
        engine: &Engine,
        kind: K,
        reader: &mut dyn Read,
    ) -> Option<Key> {
        let secret = self.noted(self.inner.folder.secret())?;
        let mut hasher = KeyHasher(blake3::Hasher::new_keyed(&secret));
        executable().hash(&mut hasher);
        kind.hash(&mut hasher);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // Code that was compiled under other limits might exceed these.
        let mut limits = engine.config().compile_limits.clone();
        format!("{:?}", limits.time(None)).hash(&mut hasher);
        let settings = hasher.0.finalize();

        let mut hasher = blake3::Hasher::new_keyed(&secret);
        // Small enough for a processor's own cache, so that large files are not copied to memory.
        let mut block = vec![0; 256 << 10];
        loop {
            match reader.read(&mut block) {
                Ok(0) => break,
                Ok(read) => _ = hasher.update(&block[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        // The end rather than the start, so that blocks of the component are hashed in place.
        hasher.update(settings.as_bytes());
        Some(Key(hasher.finalize().into()))
    }

    /// Finds an entry. The caller reports how it ended, with [`hit`](Self::hit) or
    /// [`miss`](Self::miss).
    pub(crate) fn find(&self, key: &Key) -> Option<Entry> {
        let secret = self.noted(self.inner.folder.secret())?;
        let folder::Opened { file, ending, base } = self.inner.folder.open(key)?;
        Some(Entry {
            file,
            artifact_size: ending.artifact_size,
            base,
            authenticity: Authenticity {
                tag: ending.tag.into(),
                index: ending.index,
                key: *key,
                secret,
            },
        })
    }

    /// Counts a component that was found.
    pub(crate) fn hit(&self) {
        self.inner.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a component that was not found.
    pub(crate) fn miss(&self) {
        self.inner.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds an entry, and removes others that have not been used for long if the folder gets too
    /// large. If that fails, it is noted as an error. With `may_borrow`, machine code that another
    /// entry has is left out.
    pub(crate) fn insert(&self, key: &Key, artifact: &[u8], may_borrow: bool) {
        self.noted(self.add(key, artifact, may_borrow));
    }

    fn add(&self, key: &Key, artifact: &[u8], may_borrow: bool) -> Result<()> {
        let Inner { folder, config, .. } = &*self.inner;
        let secret = folder.secret()?;
        let write = |entry: NewEntry<'_>| {
            let tag = tag(&secret, key, entry.artifact(), &entry.index);
            folder.add(key, &entry, tag.as_bytes(), config)
        };
        if artifact.len() < CHUNK {
            return write(NewEntry::small(artifact));
        }
        let artifact = Artifact::parse(artifact, Check::Metadata)?;
        let base = match may_borrow {
            true => Base::find(folder, config, key, &artifact)?,
            false => None,
        };
        // Before, so that the base is not removed to make room, and after, so that it is not older.
        let note_use = || base.as_ref().map(Base::note_use);
        note_use();
        let base = base.as_ref().map(|base| (&base.name, &base.parts[..]));
        let added = write(NewEntry::new(&artifact, base));
        note_use();
        added
    }

    /// Returns the compiled functions that the cache has for a component of `size` bytes.
    pub(crate) fn functions(&self, size: usize) -> Option<CachedFunctions> {
        if size < LEAST_WITH_FUNCTIONS {
            return None;
        }
        let Inner { folder, config, .. } = &*self.inner;
        let secret = self.noted(folder.secret())?;
        let mut hasher = KeyHasher(blake3::Hasher::new_keyed(&secret));
        "functions".hash(&mut hasher);
        executable().hash(&mut hasher);
        Some(CachedFunctions {
            cache: self.clone(),
            packs: Arc::new(self.noted(Packs::open(folder, config))?),
            secret: hasher.0.finalize().into(),
        })
    }

    /// Keeps an error for [`last_error`](Self::last_error).
    fn noted<T>(&self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                *self
                    .inner
                    .error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    }
}

impl CachedFunctions {
    /// Returns the functions as the compiler takes them.
    pub fn as_compiler_cache(&self) -> FunctionCache {
        FunctionCache::new(self.packs.clone(), self.secret)
    }

    /// Keeps the functions that the compiler has added. If that fails, it is noted as an error.
    pub fn keep(self) {
        let Inner { folder, config, .. } = &*self.cache.inner;
        self.cache.noted(self.packs.finish(folder, config));
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("directory", self.directory())
            .finish_non_exhaustive()
    }
}

impl Authenticity {
    /// Returns whether the entry was made for its key, with the secret of this cache, and holds
    /// this artifact.
    pub fn is_proved_by(&self, artifact: &[u8]) -> bool {
        // Comparing the hashes takes the same time wherever they differ.
        tag(&self.secret, &self.key, artifact, &self.index) == self.tag
    }
}

/// Computes the tag of an entry. The lengths of keys and secrets do not vary, and the end of an
/// index tells its length, so the bytes of one part cannot pass for those of another.
fn tag(secret: &[u8; HASH_SIZE], key: &Key, artifact: &[u8], index: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(artifact);
    hasher.update(index);
    hasher.update(&key.0);
    hasher.finalize()
}

/// Hashes settings by their implementations of [`Hash`].
struct KeyHasher(blake3::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

/// Identifies the running program by its file. Two builds of one version may generate different
/// code, so a version alone does not identify the compiler.
fn executable() -> &'static (u64, u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    static EXECUTABLE: OnceLock<(u64, u64, i64, i64)> = OnceLock::new();
    EXECUTABLE.get_or_init(|| match std::fs::metadata("/proc/self/exe") {
        Ok(file) => (file.ino(), file.size(), file.mtime(), file.mtime_nsec()),
        // Without /proc the version has to do.
        Err(_) => (0, 0, 0, 0),
    })
}

//! [`Folder`]: the files of a cache.
//!
//! | file | what it is |
//! |---|---|
//! | `secret` | the secret of the keyed hashes, mode 0600 |
//! | 64 hexadecimal digits | an entry: artifact, index and tag ([`Ending`]) |
//! | `*.functions` | a pack of compiled functions ([`Packs`](super::packs::Packs)) |
//! | `*.tmp` | a file that is being written, or that a process has left when it was killed |
//!
//! The time of modification of an entry or a pack is that of its last use. A base is never older
//! than the entries that borrow from it.

use super::entry::{Ending, NewEntry};
use super::{CacheConfig, CacheStats, HASH_SIZE, Key};
use crate::error::{Context, Result, bail, ensure};
use mintage_runtime::Base;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The name of the file with the secret.
const SECRET: &str = "secret";
/// How the name of a pack ends.
const PACK: &str = ".functions";
/// How a temporary file's name ends.
const TEMPORARY: &str = ".tmp";
/// The age at which a temporary file is one that a process has left behind.
const ABANDONED: Duration = Duration::from_secs(3600);
/// The precision of an entry's time of last use. Most uses then do not write to the disk.
const USE_PRECISION: Duration = Duration::from_secs(60);

pub struct Folder {
    path: PathBuf,
    secret: OnceLock<[u8; HASH_SIZE]>,
}

/// A file of the cache, as a listing of the folder has it.
pub struct Listed {
    path: PathBuf,
    pub used: SystemTime,
    /// The number of bytes that it takes on the disk, without holes.
    pub size: u64,
    /// The number of bytes that can be read.
    pub len: u64,
    kind: FileKind,
}

/// The files of an entry, and what follows the artifact. None of it is known to be authentic.
pub struct Opened {
    pub file: File,
    pub ending: Ending,
    pub base: Option<Base>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Entry,
    Pack,
    Temporary,
}

impl FileKind {
    /// Returns the kind of file that a name says. The folder may have other files, which are not
    /// the cache's.
    fn of(name: &str) -> Option<FileKind> {
        let is_entry =
            name.len() == 2 * HASH_SIZE && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        match name {
            _ if is_entry => Some(FileKind::Entry),
            _ if name.ends_with(PACK) => Some(FileKind::Pack),
            _ if name.ends_with(TEMPORARY) => Some(FileKind::Temporary),
            _ => None,
        }
    }
}

impl Listed {
    pub fn open(&self) -> io::Result<File> {
        open_regular(&self.path)
    }

    /// Returns the name of an entry.
    pub fn key(&self) -> Option<Key> {
        let name = self.path.file_name()?.to_str()?.as_bytes();
        let mut key = [0; HASH_SIZE];
        for (byte, digits) in key.iter_mut().zip(name.as_chunks::<2>().0) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        (self.kind == FileKind::Entry).then_some(Key(key))
    }

    /// Sets the time of the last use, if the file can be changed.
    pub fn note_use(&self, file: &File) {
        note_use(file, self.used);
    }

    /// Sets the time of the last use even if it was used a moment before.
    pub fn note_use_now(&self, file: &File) {
        let _ = set_use(file, SystemTime::now());
    }

    /// Removes the file, if no other process has.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Folder {
    pub fn new(path: PathBuf) -> Folder {
        Folder {
            path,
            secret: OnceLock::new(),
        }
    }

    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Returns the secret. The first call of a process reads it. The first call of all creates the
    /// folder and the secret.
    ///
    /// # Errors
    ///
    /// If the folder or the secret cannot be read or created, or the secret is another user's.
    pub fn secret(&self) -> Result<[u8; HASH_SIZE]> {
        if let Some(secret) = self.secret.get() {
            return Ok(*secret);
        }
        let secret = match self.read_secret()? {
            Some(secret) => secret,
            None => self.create_secret()?,
        };
        Ok(*self.secret.get_or_init(|| secret))
    }

    /// Reads the secret. `None` if there is none, or one that cannot be kept: it is damaged, or
    /// others could read or write it.
    fn read_secret(&self) -> Result<Option<[u8; HASH_SIZE]>> {
        let path = self.path.join(SECRET);
        let cannot = || format!("cannot read the secret of the cache, `{}`", path.display());
        let mut file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(cannot),
        };
        let metadata = file.metadata().with_context(cannot)?;
        ensure!(
            metadata.uid() == user(),
            "the cache folder `{}` belongs to another user; set `XDG_CACHE_HOME` to a folder of \
             your own",
            self.path.display()
        );
        if metadata.mode() & 0o077 != 0 || metadata.size() != HASH_SIZE as u64 {
            return Ok(None);
        }
        let mut secret = [0; HASH_SIZE];
        Ok(file.read_exact(&mut secret).is_ok().then_some(secret))
    }

    fn create_secret(&self) -> Result<[u8; HASH_SIZE]> {
        let mut builder = DirBuilder::new();
        let created = builder.recursive(true).mode(0o700).create(&self.path);
        created
            .with_context(|| format!("cannot create the cache folder `{}`", self.path.display()))?;
        let path = self.path.join(SECRET);
        let cannot = || format!("cannot write to the cache folder `{}`", self.path.display());
        let mut secret = [0; HASH_SIZE];
        File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut secret))
            .context("cannot get random bytes for the secret of the cache")?;
        let temporary = Temporary::create(&self.path, SECRET).with_context(cannot)?;
        (&temporary.file).write_all(&secret).with_context(cannot)?;
        // A link, so that the first of several processes wins.
        match fs::hard_link(&temporary.path, &path) {
            Ok(()) => return Ok(secret),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if let Some(secret) = self.read_secret()? {
                    return Ok(secret);
                }
            }
            // A file system without links. If two processes are here at once, the entries of one
            // of them will not be found.
            Err(_) => {}
        }
        temporary.rename(&path).with_context(cannot)?;
        Ok(secret)
    }

    /// Opens an entry and its base. `None` if one of them does not exist, or if another user could
    /// have written it or could still change it.
    pub fn open(&self, key: &Key) -> Option<Opened> {
        let (file, metadata) = self.open_own(key)?;
        let ending = Ending::read(&file, metadata.len())?;
        let used = note_use(&file, last_use(&metadata));
        let base = match ending.base() {
            None => None,
            Some(base) => {
                let parts = ending.borrowed()?;
                let (file, metadata) = self.open_own(&base)?;
                if last_use(&metadata) <= used {
                    let _ = set_use(&file, SystemTime::now());
                }
                Some(Base { file, parts })
            }
        };
        Some(Opened { file, ending, base })
    }

    /// Opens the file of an entry, unless another user could have written it or could still change
    /// it.
    pub fn open_own(&self, key: &Key) -> Option<(File, Metadata)> {
        let file = open_regular(&self.entry(key)).ok()?;
        let metadata = file.metadata().ok()?;
        let is_own = metadata.uid() == user() && metadata.mode() & 0o022 == 0;
        is_own.then_some((file, metadata))
    }

    /// Adds an entry. One that alone exceeds the limits is left out.
    pub fn add(
        &self,
        key: &Key,
        entry: &NewEntry<'_>,
        tag: &[u8; HASH_SIZE],
        config: &CacheConfig,
    ) -> Result<()> {
        self.write(&hexadecimal(key), &entry.pieces(tag), config)
    }

    /// Adds a pack of functions.
    pub fn add_pack(&self, name: &str, bytes: &[u8], config: &CacheConfig) -> Result<()> {
        self.write(&format!("{name}{PACK}"), &[(0, bytes)], config)
    }

    /// Writes a file that has holes between the given pieces, each with its offset, then makes room
    /// if the limits are exceeded. A file that alone exceeds them is left out.
    fn write(&self, name: &str, pieces: &[(u64, &[u8])], config: &CacheConfig) -> Result<()> {
        let size: u64 = pieces.iter().map(|(_, piece)| piece.len() as u64).sum();
        let ends = pieces.iter().map(|(at, piece)| at + piece.len() as u64);
        let len = ends.max().unwrap_or_default();
        if size > config.files_total_size_soft_limit() || config.file_count_soft_limit() == 0 {
            return Ok(());
        }
        let path = self.path.join(name);
        let cannot = || format!("cannot write to the cache folder `{}`", self.path.display());
        // Beyond this limit the process gets a signal that ends it.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if limit.is_some_and(|limit| len > limit) {
            bail!(
                "cannot write to the cache folder `{}`: the process may not write files of {len} \
                 bytes",
                self.path.display()
            );
        }
        let temporary = Temporary::create(&self.path, name).with_context(cannot)?;
        for (at, piece) in pieces {
            let written = temporary.file.write_all_at(piece, *at);
            written.with_context(cannot)?;
        }
        temporary.rename(&path).with_context(cannot)?;
        self.make_room(&path, config)
    }

    /// Removes the files that were not used for longest, except `kept`, if there are too many.
    fn make_room(&self, kept: &Path, config: &CacheConfig) -> Result<()> {
        let mut files = self.list()?;
        let now = SystemTime::now();
        for file in files.extract_if(.., |file| file.kind == FileKind::Temporary) {
            if file.used + ABANDONED < now {
                file.remove();
            }
        }
        let mut count = files.len() as u64;
        let mut size: u64 = files.iter().map(|file| file.size).sum();
        if count <= config.file_count_soft_limit() && size <= config.files_total_size_soft_limit() {
            return Ok(());
        }
        files.sort_by_key(|file| file.used);
        let (fewer, smaller) = config.limits_after_removal();
        for file in files.into_iter().filter(|file| file.path != kept) {
            if count <= fewer && size <= smaller {
                break;
            }
            file.remove();
            count -= 1;
            size -= file.size;
        }
        Ok(())
    }

    pub fn stats(&self) -> Result<CacheStats> {
        let mut stats = CacheStats::default();
        for file in self.list()? {
            stats.count(&file);
        }
        Ok(stats)
    }

    pub fn list_packs(&self) -> Result<Vec<Listed>> {
        self.list_kind(FileKind::Pack)
    }

    pub fn list_entries(&self) -> Result<Vec<Listed>> {
        self.list_kind(FileKind::Entry)
    }

    fn list_kind(&self, kind: FileKind) -> Result<Vec<Listed>> {
        let mut files = self.list()?;
        files.retain(|file| file.kind == kind);
        Ok(files)
    }

    pub fn clear(&self) -> Result<CacheStats> {
        let mut stats = CacheStats::default();
        for file in self.list()? {
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("cannot remove `{}`", file.path.display()));
                }
                _ => {}
            }
            stats.count(&file);
        }
        Ok(stats)
    }

    /// Lists the files of the cache.
    fn list(&self) -> Result<Vec<Listed>> {
        let cannot = || format!("cannot read the cache folder `{}`", self.path.display());
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(cannot),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.with_context(cannot)?;
            let name = entry.file_name();
            let Some(kind) = name.to_str().and_then(FileKind::of) else {
                continue;
            };
            // Another process may have removed it.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_file() {
                files.push(Listed {
                    path: entry.path(),
                    used: last_use(&metadata),
                    size: size_on_disk(&metadata),
                    len: metadata.len(),
                    kind,
                });
            }
        }
        Ok(files)
    }

    fn entry(&self, key: &Key) -> PathBuf {
        self.path.join(hexadecimal(key))
    }
}

impl CacheStats {
    fn count(&mut self, file: &Listed) {
        if file.kind != FileKind::Temporary {
            self.entries += u64::from(file.kind == FileKind::Entry);
            self.bytes += file.size;
        }
    }
}

/// Sets the time of a file's last use, which was `before`, and returns what it is then. The folder
/// may be on a file system that is read-only.
fn note_use(file: &File, before: SystemTime) -> SystemTime {
    let now = SystemTime::now();
    let is_noted = before + USE_PRECISION < now && set_use(file, now).is_ok();
    if is_noted { now } else { before }
}

fn set_use(file: &File, time: SystemTime) -> io::Result<()> {
    file.set_times(FileTimes::new().set_modified(time))
}

/// Returns the number of bytes that a file takes on the disk: less than its length if it has holes.
fn size_on_disk(metadata: &Metadata) -> u64 {
    /// The unit of `st_blocks`, whatever the blocks of the file system.
    const BLOCK: u64 = 512;
    match metadata.blocks() {
        // A file system that does not tell, or one that keeps small files elsewhere.
        0 => metadata.len(),
        blocks => metadata.len().min(blocks.saturating_mul(BLOCK)),
    }
}

/// Opens a file for reading. A symbolic link at its place is an error, and a FIFO does not block.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

fn last_use(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn hexadecimal(key: &Key) -> String {
    key.0.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A file that only this user can read, and that is removed when dropped unless it is renamed.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(folder: &Path, name: &str) -> io::Result<Temporary> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // The time tells apart processes of the same number in several containers.
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let path = folder.join(format!(
            "{name}.{}-{}-{}{TEMPORARY}",
            std::process::id(),
            time.unwrap_or_default().subsec_nanos(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Temporary { path, file })
    }

    fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

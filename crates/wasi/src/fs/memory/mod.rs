//! [`MemoryFilesystem`]: a file system in the host's memory.

mod directory;
mod file;
mod fill;
mod tree;

use super::open::{Descriptor, OpenDirectory};
use super::traits::{Directory, Filesystem};
use super::types::{DirPerms, FilePerms, OpenOptions, Result, unique_device};
use crate::Errno;
use crate::limit::DescriptorLimit;
use directory::MemoryDirectory;
use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use tree::{ROOT, Tree};

/// Default of [`MemoryFilesystemBuilder::max_bytes`].
const DEFAULT_MAX_BYTES: u64 = 256 << 20;
/// Default of [`MemoryFilesystemBuilder::max_nodes`].
const DEFAULT_MAX_NODES: u64 = 65_536;
/// Most bytes that go into a file at once when the host fills it.
const PIECE: usize = 64 << 10;

/// A file system in the host's memory, with limits. Copies are of the same file system, which may
/// be used by several guests at a time.
///
/// ```
/// use mintage_wasi::filesystem::MemoryFilesystem;
/// use mintage_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
///
/// # fn main() -> mintage::Result<()> {
/// let files = MemoryFilesystem::builder().max_bytes(1 << 20).max_nodes(100).build();
/// files.write("etc/motd", b"Hello")?;
/// let mut builder = WasiCtxBuilder::new();
/// builder.preopened_filesystem(&files, "/", DirPerms::all(), FilePerms::all())?;
/// // The host reads what a guest has written, and the other way round.
/// assert_eq!(files.read("etc/motd")?, b"Hello");
/// assert_eq!(files.used_bytes(), 5 + "etc".len() as u64 + "motd".len() as u64);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryFilesystem {
    shared: Arc<Shared>,
}

/// Makes a [`MemoryFilesystem`].
#[derive(Clone, Debug)]
pub struct MemoryFilesystemBuilder {
    max_bytes: u64,
    max_nodes: u64,
}

impl MemoryFilesystemBuilder {
    /// Sets the most bytes that files, names and targets of symbolic links may take together;
    /// default: 256 MiB. A file counts as long as it is, with the parts that were never written.
    pub fn max_bytes(&mut self, bytes: u64) -> &mut Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the most files, directories and links that there may be; default: 65,536.
    pub fn max_nodes(&mut self, nodes: u64) -> &mut Self {
        self.max_nodes = nodes;
        self
    }

    /// Makes the file system, which is empty.
    pub fn build(&mut self) -> MemoryFilesystem {
        MemoryFilesystem {
            shared: Arc::new(Shared {
                device: unique_device(),
                tree: RwLock::new(Tree::new()),
                usage: Arc::new(Usage {
                    bytes: AtomicU64::new(0),
                    nodes: AtomicU64::new(0),
                    max_bytes: self.max_bytes,
                    max_nodes: self.max_nodes,
                    read_only: AtomicBool::new(false),
                }),
                next_inode: AtomicU64::new(ROOT + 1),
            }),
        }
    }
}

impl Default for MemoryFilesystem {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryFilesystem {
    /// Creates an empty file system with the default limits.
    pub fn new() -> MemoryFilesystem {
        Self::builder().build()
    }

    /// Returns a builder, for other limits.
    pub fn builder() -> MemoryFilesystemBuilder {
        MemoryFilesystemBuilder {
            max_bytes: DEFAULT_MAX_BYTES,
            max_nodes: DEFAULT_MAX_NODES,
        }
    }

    /// Sets whether all changes fail with [`Errno::ReadOnly`], those of the host as well as those
    /// of guests.
    pub fn set_read_only(&self, read_only: bool) -> &Self {
        self.shared.usage.read_only.store(read_only, Relaxed);
        self
    }

    /// Returns how many bytes of the limit are used.
    pub fn used_bytes(&self) -> u64 {
        self.shared.usage.bytes.load(Relaxed)
    }

    /// Returns how many files, directories and links there are, besides the root.
    pub fn used_nodes(&self) -> u64 {
        self.shared.usage.nodes.load(Relaxed)
    }

    /// Returns the contents of a file. The path is relative to the root; a `/` at its start does
    /// not matter.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let options = OpenOptions {
            read: true,
            ..OpenOptions::default()
        };
        let file = self.opener().open(relative(path), true, &options, false)?;
        let Descriptor::File(file) = file else {
            return Err(Errno::IsDirectory);
        };
        let mut contents = vec![0; usize::try_from(file.stat()?.size).unwrap_or(usize::MAX)];
        let count = file.read_at(&mut [IoSliceMut::new(&mut contents)], 0)?;
        contents.truncate(count);
        Ok(contents)
    }

    /// Writes a file, which is created or replaced, with the directories in its path.
    ///
    /// # Errors
    ///
    /// - [`Errno::NoSpace`] if the limits do not allow it.
    /// - If the path leads through something that is not a directory, or out of the root.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> Result<()> {
        self.write_from(path, &mut contents.as_ref())
            .map_err(Errno::from)
    }

    /// Creates a directory, with those in its path, unless it is there.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn create_directory(&self, path: &str) -> Result<()> {
        let root = self.opener();
        let path = relative(path);
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let ancestor = &path[..end];
            match root.create_directory(ancestor) {
                Ok(()) => {}
                Err(Errno::Exist) if root.stat_at(ancestor, true)?.is_directory() => {}
                Err(Errno::Exist) => return Err(Errno::NotDirectory),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes a file with what `contents` reads. Errors of `contents` are returned as they are.
    fn write_from(&self, path: &str, contents: &mut dyn std::io::Read) -> std::io::Result<()> {
        let path = relative(path);
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.create_directory(parent)?;
        }
        let options = OpenOptions {
            write: true,
            create: true,
            truncate: true,
            ..OpenOptions::default()
        };
        let file = self.opener().open(path, true, &options, false)?;
        let file = file.file()?;
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        loop {
            let count = match contents.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let written = file.write_at(&[IoSlice::new(rest)], offset)?;
                offset += written as u64;
                rest = &rest[written..];
            }
        }
    }

    /// Returns the root with all permissions.
    fn opener(&self) -> OpenDirectory {
        let root = MemoryDirectory::root(&self.shared);
        let limit = Arc::new(DescriptorLimit::default());
        OpenDirectory::host(Arc::new(root), DirPerms::all(), FilePerms::all(), &limit)
    }
}

impl Filesystem for MemoryFilesystem {
    fn root(&self) -> Result<Arc<dyn Directory>> {
        Ok(Arc::new(MemoryDirectory::root(&self.shared)))
    }
}

/// Returns a path of the host relative to the root, which is `.` itself.
fn relative(path: &str) -> &str {
    match path.trim_matches('/') {
        "" => ".",
        path => path,
    }
}

/// What all parts of one file system share.
#[derive(Debug)]
struct Shared {
    device: u64,
    tree: RwLock<Tree>,
    usage: Arc<Usage>,
    next_inode: AtomicU64,
}

impl Shared {
    fn new_inode(&self) -> u64 {
        self.next_inode.fetch_add(1, Relaxed)
    }
}

/// Limits, and what is used of them.
#[derive(Debug)]
struct Usage {
    bytes: AtomicU64,
    nodes: AtomicU64,
    max_bytes: u64,
    max_nodes: u64,
    read_only: AtomicBool,
}

impl Usage {
    /// Fails if nothing may change.
    fn check_writable(&self) -> Result<()> {
        match self.read_only.load(Relaxed) {
            true => Err(Errno::ReadOnly),
            false => Ok(()),
        }
    }

    /// Takes `bytes`, or nothing.
    fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.bytes.fetch_update(Relaxed, Relaxed, |used| {
            used.checked_add(bytes).filter(|&sum| sum <= self.max_bytes)
        });
        taken.map(|_| ()).map_err(|_| Errno::NoSpace)
    }

    /// Takes at most `bytes`, and returns how many.
    fn take_some(&self, bytes: u64) -> u64 {
        let mut taken = 0;
        let _ = self.bytes.fetch_update(Relaxed, Relaxed, |used| {
            taken = bytes.min(self.max_bytes.saturating_sub(used));
            Some(used + taken)
        });
        taken
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    /// Takes one node.
    fn take_node(self: &Arc<Self>) -> Result<NodeSlot> {
        let taken = self.nodes.fetch_update(Relaxed, Relaxed, |used| {
            (used < self.max_nodes).then_some(used + 1)
        });
        match taken {
            Ok(_) => Ok(NodeSlot(self.clone())),
            Err(_) => Err(Errno::NoSpace),
        }
    }
}

/// One node of the limit, until it is dropped.
#[derive(Debug)]
struct NodeSlot(Arc<Usage>);

impl Drop for NodeSlot {
    fn drop(&mut self) {
        self.0.nodes.fetch_sub(1, Relaxed);
    }
}

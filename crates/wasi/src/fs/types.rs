//! What file systems and their callers tell each other: permissions, options, metadata.

use crate::Errno;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

/// The result of an operation of a file system.
pub type Result<T> = std::result::Result<T, Errno>;

bitflags::bitflags! {
    /// What a guest may do with the directories under a preopened folder.
    ///
    /// The permissions apply besides those of the file system itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DirPerms: usize {
        /// The guest may list directories, open what is in them and look at its metadata.
        const READ = 0b1;
        /// The guest may create, rename and remove entries and change their timestamps.
        const MUTATE = 0b10;
    }
}

bitflags::bitflags! {
    /// What a guest may do with the files under a preopened folder.
    ///
    /// The permissions apply besides those of the file system itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FilePerms: usize {
        /// The guest may read files.
        const READ = 0b1;
        /// The guest may write to files, and change their sizes and timestamps.
        const WRITE = 0b10;
    }
}

/// The kind of an object in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A kind that is not in this list.
    Unknown,
    /// A device that is read and written in blocks.
    BlockDevice,
    /// A device that is a stream of bytes, such as a terminal.
    CharacterDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file.
    RegularFile,
    /// A socket with a path.
    Socket,
    /// A symbolic link.
    SymbolicLink,
}

/// The metadata of an object in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The kind of the object.
    pub kind: FileType,
    /// The file system that the object is in. It differs from that of all other file systems in
    /// the process. [`unique_device`] makes one.
    pub device: u64,
    /// The number of the object, unique in its file system.
    pub inode: u64,
    /// Number of hard links.
    pub links: u64,
    /// Size of a file, or length of a symbolic link's target, in bytes.
    pub size: u64,
    /// Time of the last access, if the file system keeps it.
    pub accessed: Option<SystemTime>,
    /// Time of the last change of the contents, if the file system keeps it.
    pub modified: Option<SystemTime>,
    /// Time of the last change of contents or metadata, if the file system keeps it.
    pub changed: Option<SystemTime>,
}

impl Stat {
    /// Returns whether both are of the same object.
    pub fn is_same_object(&self, other: &Stat) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Returns whether the object is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// Returns a hash of the object's identity. It does not tell the numbers that it is made from.
    pub fn metadata_hash(&self) -> MetadataHash {
        MetadataHash::new(self.device, self.inode)
    }
}

/// A hash of 128 bits of the identity of an object. Preview 1 uses the lower half as inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetadataHash {
    /// The lower 64 bits.
    pub lower: u64,
    /// The upper 64 bits.
    pub upper: u64,
}

impl MetadataHash {
    /// Makes the hash of an object's [`Stat::device`] and [`Stat::inode`].
    pub(super) fn new(device: u64, inode: u64) -> MetadataHash {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, device, inode).hash(&mut hasher);
            hasher.finish()
        };
        MetadataHash {
            lower: half(0),
            upper: half(1),
        }
    }
}

/// Returns a number for [`Stat::device`] that no other file system in this process has.
pub fn unique_device() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    // Devices of the system have numbers of at most 32 bits on Linux.
    static NEXT: AtomicU64 = AtomicU64::new(1 << 63);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// New value of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The timestamp stays as it is.
    Keep,
    /// The timestamp becomes the current time of the file system's clock.
    Now,
    /// The timestamp becomes this time.
    To(SystemTime),
}

/// New timestamps of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTimes {
    /// Time of the last access.
    pub accessed: SetTime,
    /// Time of the last change of the contents.
    pub modified: SetTime,
}

/// How a guest is going to use a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// No particular use.
    Normal,
    /// Reads from lower to higher offsets.
    Sequential,
    /// Reads in no particular order.
    Random,
    /// Access in the near future.
    WillNeed,
    /// No access in the near future.
    DontNeed,
    /// One access.
    NoReuse,
}

/// What is written to the device before a write returns, or when a sync asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Nothing: the system writes when it sees fit.
    #[default]
    None,
    /// The contents, and the metadata that is needed to read them (`O_DSYNC`).
    Data,
    /// Contents and metadata (`O_SYNC`).
    All,
}

/// How to open an entry of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The file will be read.
    pub read: bool,
    /// The file will be written.
    pub write: bool,
    /// Create a file if there is no entry of this name.
    pub create: bool,
    /// With `create`: fail with [`Errno::Exist`] if there is an entry of this name.
    pub exclusive: bool,
    /// Make the file empty.
    pub truncate: bool,
    /// Fail with [`Errno::NotDirectory`] if the entry is not a directory.
    pub directory: bool,
    /// What each write waits for.
    pub sync: Sync,
}

impl OpenOptions {
    /// Returns whether opening may change something or needs a file.
    pub(super) fn needs_file(&self) -> bool {
        self.write || self.create || self.truncate
    }
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name, in UTF-8. It is not `.` or `..`. A name that is not Unicode text, which Linux
    /// allows, is an error for the guest.
    pub name: &'a [u8],
    /// The kind of the object. [`FileType::Unknown`] makes the caller ask for its metadata.
    pub kind: FileType,
    /// The number of the object, as in [`Stat::inode`], if its file system is the directory's.
    /// `None` makes the caller ask for its metadata.
    pub inode: Option<u64>,
    /// The cursor of the entry after this one.
    pub next: u64,
}

//! [`Filesystem`], [`Directory`] and [`File`]: what a host implements to give guests files of its
//! own.

use super::types::{
    Advice, Entry, FileType, OpenOptions, Result, SetTimes, Stat, Sync as SyncWhat,
};
use crate::Errno;
use std::any::Any;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

/// A file system: a tree of directories and files, with a root.
///
/// Mintage has [the system's](super::SystemFilesystem) and [one in
/// memory](super::MemoryFilesystem). A host can write its own. It gives the file system to a guest
/// by [`WasiCtxBuilder::preopened_filesystem`](crate::WasiCtxBuilder::preopened_filesystem).
///
/// # How paths are resolved
///
/// A file system never sees a path. It is asked for one name in one directory at a time. A name is
/// 1 to 255 bytes long, has no `/` and no NUL, and is not `.` or `..`. The caller walks along
/// paths, remembers the directories that it has come through for `..`, and follows symbolic links.
/// So no path that a guest passes leads out of the root, whatever the implementation does.
///
/// # A file system of a host
///
/// Mutating operations have default implementations that fail with [`Errno::ReadOnly`]. A file
/// system that can only be read needs few functions:
///
/// ```
/// use mintage_wasi::filesystem::{
///     Directory, Entry, File, FileType, Filesystem, Lookup, Node, OpenOptions, Result, Stat,
///     unique_device,
/// };
/// use mintage_wasi::{DirPerms, Errno, FilePerms, WasiCtxBuilder};
/// use std::io::IoSliceMut;
/// use std::sync::Arc;
///
/// /// One directory with one file, `version.txt`.
/// struct About {
///     device: u64,
///     version: Arc<Version>,
/// }
///
/// struct Version {
///     device: u64,
///     text: &'static str,
/// }
///
/// fn stat(device: u64, inode: u64, kind: FileType, size: u64) -> Stat {
///     let (accessed, modified, changed) = (None, None, None);
///     Stat { kind, device, inode, links: 1, size, accessed, modified, changed }
/// }
///
/// impl File for Version {
///     fn stat(&self) -> Result<Stat> {
///         Ok(stat(self.device, 2, FileType::RegularFile, self.text.len() as u64))
///     }
///
///     fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
///         let start = self.text.len().min(offset.try_into().unwrap_or(usize::MAX));
///         let mut rest = &self.text.as_bytes()[start..];
///         Ok(std::io::Read::read_vectored(&mut rest, buffers)?)
///     }
/// }
///
/// impl Directory for About {
///     fn stat(&self) -> Result<Stat> {
///         Ok(stat(self.device, 1, FileType::Directory, 0))
///     }
///
///     fn lookup(&self, name: &str) -> Result<Lookup> {
///         match name {
///             "version.txt" => Ok(Lookup::Other),
///             _ => Err(Errno::NoEntry),
///         }
///     }
///
///     fn stat_entry(&self, name: &str) -> Result<Stat> {
///         self.lookup(name)?;
///         self.version.stat()
///     }
///
///     fn open(&self, name: &str, options: &OpenOptions) -> Result<Node> {
///         match name {
///             "version.txt" if options.directory => Err(Errno::NotDirectory),
///             "version.txt" if options.write => Err(Errno::ReadOnly),
///             "version.txt" => Ok(Node::File(self.version.clone())),
///             _ if options.create => Err(Errno::ReadOnly),
///             _ => Err(Errno::NoEntry),
///         }
///     }
///
///     fn entries(&self, cursor: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()> {
///         if cursor == 0 {
///             let kind = FileType::RegularFile;
///             visit(Entry { name: b"version.txt", kind, inode: Some(2), next: 1 });
///         }
///         Ok(())
///     }
/// }
///
/// struct AboutFilesystem;
///
/// impl Filesystem for AboutFilesystem {
///     fn root(&self) -> Result<Arc<dyn Directory>> {
///         let device = unique_device();
///         let version = Arc::new(Version { device, text: "1.2.3" });
///         Ok(Arc::new(About { device, version }))
///     }
/// }
///
/// # fn main() -> mintage::Result<()> {
/// let mut builder = WasiCtxBuilder::new();
/// builder.preopened_filesystem(&AboutFilesystem, "/about", DirPerms::READ, FilePerms::READ)?;
/// let wasi = builder.build();
/// # let _ = wasi;
/// # Ok(())
/// # }
/// ```
pub trait Filesystem: Send + Sync {
    /// Returns the root, where paths of guests start.
    ///
    /// # Errors
    ///
    /// If the root is not there any more.
    fn root(&self) -> Result<Arc<dyn Directory>>;
}

/// A directory of a [`Filesystem`].
///
/// It is used by several threads at a time if the guests of several threads have it.
pub trait Directory: Any + Send + Sync {
    /// Returns the directory's metadata.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if the directory was removed.
    fn stat(&self) -> Result<Stat>;

    /// Finds what is behind a name on the way along a path.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if there is no such entry.
    fn lookup(&self, name: &str) -> Result<Lookup>;

    /// Returns the metadata of an entry. For a symbolic link, it is that of the link.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if there is no such entry.
    fn stat_entry(&self, name: &str) -> Result<Stat>;

    /// Opens an entry, or creates a file.
    ///
    /// # Errors
    ///
    /// - [`Errno::NoEntry`] if there is no such entry and none is to be created.
    /// - [`Errno::Loop`] if the entry is a symbolic link, which is not followed.
    /// - [`Errno::NotDirectory`] and [`Errno::IsDirectory`] if the entry is of another kind than
    ///   the options need.
    /// - [`Errno::Exist`] if there is an entry, and it should not be there.
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Node>;

    /// Calls `visit` for the entries from `cursor` on, until it returns `false`. Cursor 0 is the
    /// first entry; others come from [`Entry::next`]. A cursor is below 2^63.
    ///
    /// A cursor stays valid while entries are created and removed: an entry that is there all the
    /// time is visited once.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] if the cursor is not from this directory.
    fn entries(&self, cursor: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()>;

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] if the entry is not a symbolic link. By default, no entry is.
    fn read_link(&self, name: &str) -> Result<String> {
        self.stat_entry(name)?;
        Err(Errno::Invalid)
    }

    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::Exist`] if there is an entry of this name.
    fn create_directory(&self, name: &str) -> Result<()> {
        let _ = name;
        Err(Errno::ReadOnly)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotDirectory`] if the entry is not a directory.
    /// - [`Errno::NotEmpty`] if it has entries.
    fn remove_directory(&self, name: &str) -> Result<()> {
        let _ = name;
        Err(Errno::ReadOnly)
    }

    /// Removes an entry that is not a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::IsDirectory`] if the entry is a directory.
    fn remove_file(&self, name: &str) -> Result<()> {
        let _ = name;
        Err(Errno::ReadOnly)
    }

    /// Creates a symbolic link to `target`, which is a relative path that may lead nowhere.
    ///
    /// # Errors
    ///
    /// [`Errno::Exist`] if there is an entry of this name.
    fn create_symlink(&self, target: &str, name: &str) -> Result<()> {
        let _ = (target, name);
        Err(Errno::ReadOnly)
    }

    /// Creates a hard link to an entry in another directory, or in this one. A symbolic link is not
    /// followed: the link itself gets another name.
    ///
    /// `to` is a directory of any file system. `(to as &dyn Any).downcast_ref()` tells which.
    ///
    /// # Errors
    ///
    /// - [`Errno::CrossDevice`] if `to` is in another file system.
    /// - [`Errno::NotPermitted`] if the entry is a directory.
    /// - [`Errno::Exist`] if there is an entry of the new name.
    fn link(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let _ = (name, to, to_name);
        Err(Errno::ReadOnly)
    }

    /// Gives an entry another name in another directory, or in this one. If there is an entry of
    /// the new name already, it is replaced, provided that both are directories and it is empty, or
    /// none is a directory.
    ///
    /// # Errors
    ///
    /// - [`Errno::CrossDevice`] if `to` is in another file system.
    /// - [`Errno::Invalid`] if a directory would become part of itself.
    /// - [`Errno::NotEmpty`], [`Errno::IsDirectory`] or [`Errno::NotDirectory`] if the entry of the
    ///   new name cannot be replaced.
    fn rename(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let _ = (name, to, to_name);
        Err(Errno::ReadOnly)
    }

    /// Sets the directory's timestamps.
    ///
    /// # Errors
    ///
    /// If the file system does not keep them.
    fn set_times(&self, times: &SetTimes) -> Result<()> {
        let _ = times;
        Err(Errno::ReadOnly)
    }

    /// Sets the timestamps of an entry. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// [`Errno::NoEntry`] if there is no such entry.
    fn set_entry_times(&self, name: &str, times: &SetTimes) -> Result<()> {
        let _ = (name, times);
        Err(Errno::ReadOnly)
    }

    /// Waits until changes of the directory are on the device.
    ///
    /// # Errors
    ///
    /// If the device fails.
    fn sync(&self, what: SyncWhat) -> Result<()> {
        let _ = what;
        Ok(())
    }

    /// Opens the directory at a path of several names at once, if the file system has a faster way
    /// than name by name. Returns `None` if not, as it does by default.
    ///
    /// The path is relative, and `..` and symbolic links in it must not lead out of this directory.
    /// An implementation is as good a sandbox as it resolves paths: `None` is always right.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] if the path leads out of this directory.
    fn directory_beneath(&self, path: &str) -> Option<Result<Arc<dyn Directory>>> {
        let _ = path;
        None
    }

    /// Opens what is at a path of one or several names at once, as
    /// [`directory_beneath`](Self::directory_beneath) does for directories. With `follow`, a
    /// symbolic link at the end is followed, too.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`Errno::NotPermitted`] if the path leads out of this
    /// directory.
    fn open_beneath(
        &self,
        path: &str,
        follow: bool,
        options: &OpenOptions,
    ) -> Option<Result<Node>> {
        let _ = (path, follow, options);
        None
    }
}

impl fmt::Debug for dyn Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

/// What is behind a name on the way along a path.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// A symbolic link, and its target.
    Symlink(String),
    /// An object that paths do not lead through.
    Other,
}

/// An object that was opened.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file, or something else that is not a directory.
    File(Arc<dyn File>),
    /// A directory.
    Directory(Arc<dyn Directory>),
}

/// A file that is open.
///
/// The caller checks that a file is only read and written as the options say that it was opened
/// with. It is used by several threads at a time if the guests of several threads have it.
pub trait File: Any + Send + Sync {
    /// Returns the file's metadata.
    ///
    /// # Errors
    ///
    /// If the device fails.
    fn stat(&self) -> Result<Stat>;

    /// Reads from `offset` into the buffers, one after the other. Returns how many bytes were read,
    /// 0 at the end of the file.
    ///
    /// The buffers may be in the memory of a guest.
    ///
    /// # Errors
    ///
    /// - [`Errno::Invalid`] if the offset is above 2^63 - 1.
    /// - [`Errno::InvalidSeek`] if the object has no offsets.
    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize>;

    /// Writes the buffers, one after the other, from `offset` on. Returns how many bytes were
    /// written, which is not 0 unless the buffers are empty. If the file ends before `offset`, it
    /// is filled with zeros up to there.
    ///
    /// # Errors
    ///
    /// - [`Errno::NoSpace`] or [`Errno::Quota`] if nothing could be written.
    /// - [`Errno::FileTooLarge`] if the file cannot be so large.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        let _ = (buffers, offset);
        Err(Errno::ReadOnly)
    }

    /// Writes as [`write_at`](Self::write_at) does, at the end of the file, wherever that is when
    /// it writes.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        let _ = buffers;
        Err(Errno::ReadOnly)
    }

    /// Makes the file shorter, or longer by zeros.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    fn set_size(&self, size: u64) -> Result<()> {
        let _ = size;
        Err(Errno::ReadOnly)
    }

    /// Reserves space for a range of the file, and makes the file longer if the range ends after
    /// it.
    ///
    /// # Errors
    ///
    /// [`Errno::NotSupported`] if the file system cannot reserve space.
    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let _ = (offset, len);
        Err(Errno::NotSupported)
    }

    /// Sets the file's timestamps.
    ///
    /// # Errors
    ///
    /// If the file system does not keep them.
    fn set_times(&self, times: &SetTimes) -> Result<()> {
        let _ = times;
        Err(Errno::ReadOnly)
    }

    /// Waits until changes of the file are on the device.
    ///
    /// # Errors
    ///
    /// If the device fails.
    fn sync(&self, what: SyncWhat) -> Result<()> {
        let _ = what;
        Ok(())
    }

    /// Takes a hint on how a range of the file will be used. A length of 0 is up to the end.
    ///
    /// # Errors
    ///
    /// If the object has no offsets.
    fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<()> {
        let _ = (offset, len, advice);
        Ok(())
    }

    /// Returns the kind of the object.
    ///
    /// # Errors
    ///
    /// As [`stat`](Self::stat).
    fn kind(&self) -> Result<FileType> {
        Ok(self.stat()?.kind)
    }
}

impl fmt::Debug for dyn File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").finish_non_exhaustive()
    }
}

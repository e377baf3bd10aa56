//! What guests have open: [`OpenFile`] and [`OpenDirectory`]. They add to a file system what is the
//! same for all of them: permissions, access modes, limits and the walk along paths.
//!
//! `wasi:filesystem` and preview 1 are views of these types.

use super::traits::{Directory, File, Filesystem, Node};
use super::types::{
    Advice, DirPerms, FilePerms, FileType, MetadataHash, OpenOptions, Result, SetTimes, Stat,
    Sync as SyncWhat,
};
use super::walk::{self, Dots, Place};
use crate::Errno;
use crate::io::MAX_PIECE;
use crate::limit::{DescriptorLimit, Slot};
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

/// Most bytes that are read into memory of the host at once.
const MAX_COPY: u64 = 64 << 10;
/// Up to this size, reading and copying costs less than asking for the size of the file first.
const SMALL: u64 = 4 << 10;

/// A file or directory that a guest has open. Copies are of the same open object.
#[derive(Clone, Debug)]
pub enum Descriptor {
    /// A file, or something else that is not a directory.
    File(OpenFile),
    /// A directory.
    Directory(OpenDirectory),
}

impl Descriptor {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// [`Errno::BadDescriptor`] if it is a directory.
    pub fn file(&self) -> Result<&OpenFile> {
        match self {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::BadDescriptor),
        }
    }

    /// Returns the directory.
    ///
    /// # Errors
    ///
    /// [`Errno::NotDirectory`] if it is a file.
    pub fn directory(&self) -> Result<&OpenDirectory> {
        match self {
            Descriptor::Directory(directory) => Ok(directory),
            Descriptor::File(_) => Err(Errno::NotDirectory),
        }
    }

    /// Returns the object's kind.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn kind(&self) -> Result<FileType> {
        match self {
            Descriptor::File(file) => file.kind(),
            Descriptor::Directory(_) => Ok(FileType::Directory),
        }
    }

    /// Returns the object's metadata.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn stat(&self) -> Result<Stat> {
        match self {
            Descriptor::File(file) => file.stat(),
            Descriptor::Directory(directory) => directory.stat(),
        }
    }

    /// Sets the object's timestamps.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] if the folder's permissions do not include it.
    pub fn set_times(&self, times: &SetTimes) -> Result<()> {
        match self {
            Descriptor::File(file) => file.set_times(times),
            Descriptor::Directory(directory) => directory.set_times(times),
        }
    }

    /// Waits until changes of the object are on the device.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn sync(&self, what: SyncWhat) -> Result<()> {
        match self {
            Descriptor::File(file) => file.file.sync(what),
            Descriptor::Directory(directory) => directory.directory.sync(what),
        }
    }
}

/// A file that a guest has open, or something else that is not a directory.
#[derive(Clone, Debug)]
pub struct OpenFile {
    file: Arc<dyn File>,
    perms: FilePerms,
    read: bool,
    write: bool,
    sync: SyncWhat,
    /// Counts while the file is open, also as part of a stream.
    slot: Arc<Slot>,
}

impl OpenFile {
    /// Returns whether the file was opened for reading.
    pub fn is_readable(&self) -> bool {
        self.read
    }

    /// Returns whether the file was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.write
    }

    /// Returns the kind of the object.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn kind(&self) -> Result<FileType> {
        self.file.kind()
    }

    /// Returns what each write waits for.
    pub fn sync_mode(&self) -> SyncWhat {
        self.sync
    }

    /// Counts one more stream of the guest.
    pub(super) fn open_slot(&self) -> Result<Arc<Slot>> {
        self.slot.another()
    }

    /// Checks that the file can be read.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the folder's permissions do not include it.
    /// - [`Errno::BadDescriptor`] if it was not opened for that.
    pub fn check_read(&self) -> Result<()> {
        match self {
            OpenFile { perms, .. } if !perms.contains(FilePerms::READ) => Err(Errno::NotPermitted),
            OpenFile { read: false, .. } => Err(Errno::BadDescriptor),
            _ => Ok(()),
        }
    }

    /// Checks that the file can be written.
    ///
    /// # Errors
    ///
    /// As [`check_read`](Self::check_read).
    pub fn check_write(&self) -> Result<()> {
        match self {
            OpenFile { perms, .. } if !perms.contains(FilePerms::WRITE) => Err(Errno::NotPermitted),
            OpenFile { write: false, .. } => Err(Errno::BadDescriptor),
            _ => Ok(()),
        }
    }

    /// Returns the metadata.
    ///
    /// # Errors
    ///
    /// If the device fails.
    pub fn stat(&self) -> Result<Stat> {
        self.file.stat()
    }

    /// Reads from `offset` into the buffers. Returns how many bytes were read, 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of [`check_read`](Self::check_read) and of [`File::read_at`].
    pub fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        self.check_read()?;
        self.file.read_at(buffers, offset)
    }

    /// Returns how many bytes a read of at most `wanted` bytes at `offset` will read, if that is
    /// known and worth asking for: to reserve just as much in a guest's memory. Guests with the
    /// adapter for preview 1 have allocators that cannot make a block smaller. Files of `/proc`
    /// have a size of 0; they must be read to know.
    pub(crate) fn size_of_read(&self, wanted: u64, offset: u64) -> Option<usize> {
        if wanted <= SMALL {
            return None;
        }
        match self.file.stat().ok()?.size.saturating_sub(offset) {
            0 => None,
            rest => Some(wanted.min(rest).min(MAX_PIECE as u64) as usize),
        }
    }

    /// Reads at most `wanted` bytes at `offset` into memory of the host: no more than 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub(crate) fn read_copy(&self, wanted: u64, offset: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; wanted.min(MAX_COPY) as usize];
        let count = self.read_at(&mut [IoSliceMut::new(&mut buffer)], offset)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Writes the buffers from `offset` on. Returns how many bytes were written.
    ///
    /// # Errors
    ///
    /// Those of [`check_write`](Self::check_write) and of [`File::write_at`].
    pub fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        self.check_write()?;
        self.file.write_at(buffers, offset)
    }

    /// Writes the buffers at the end of the file. Returns how many bytes were written.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        self.check_write()?;
        self.file.append(buffers)
    }

    /// Makes the file shorter, or longer by zeros.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the folder's permissions do not include it.
    /// - [`Errno::Invalid`] if the file was not opened for writing, or the size is above 2^63 - 1.
    /// - Those of [`File::set_size`].
    pub fn set_size(&self, size: u64) -> Result<()> {
        self.check_write().map_err(|error| match error {
            Errno::BadDescriptor => Errno::Invalid,
            error => error,
        })?;
        self.file.set_size(size)
    }

    /// Reserves space for a range of the file.
    ///
    /// # Errors
    ///
    /// Those of [`check_write`](Self::check_write) and of [`File::allocate`].
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.check_write()?;
        self.file.allocate(offset, len)
    }

    /// Sets the timestamps.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] if the folder's permissions do not include it.
    pub fn set_times(&self, times: &SetTimes) -> Result<()> {
        match self.perms.contains(FilePerms::WRITE) {
            true => self.file.set_times(times),
            false => Err(Errno::NotPermitted),
        }
    }

    /// Takes a hint on how a range of the file will be used.
    ///
    /// # Errors
    ///
    /// Those of [`File::advise`].
    pub fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<()> {
        self.file.advise(offset, len, advice)
    }
}

/// A directory that a guest has open. Paths that are relative to it do not leave it.
#[derive(Clone, Debug)]
pub struct OpenDirectory {
    directory: Arc<dyn Directory>,
    perms: DirPerms,
    file_perms: FilePerms,
    mutable: bool,
    limit: Arc<DescriptorLimit>,
    /// Counts while the directory is open. A preopened folder does not count.
    _slot: Option<Arc<Slot>>,
}

impl OpenDirectory {
    /// Opens the root of a file system as a preopened folder.
    ///
    /// # Errors
    ///
    /// If the root is not there.
    pub(crate) fn preopen(
        filesystem: &dyn Filesystem,
        perms: DirPerms,
        file_perms: FilePerms,
        limit: &Arc<DescriptorLimit>,
    ) -> Result<OpenDirectory> {
        Ok(Self::host(filesystem.root()?, perms, file_perms, limit))
    }

    /// Opens a directory without counting it.
    pub(super) fn host(
        directory: Arc<dyn Directory>,
        perms: DirPerms,
        file_perms: FilePerms,
        limit: &Arc<DescriptorLimit>,
    ) -> OpenDirectory {
        OpenDirectory {
            directory,
            perms,
            file_perms,
            mutable: perms.contains(DirPerms::MUTATE),
            limit: limit.clone(),
            _slot: None,
        }
    }

    /// Returns whether the guest said, when it opened the directory, that it is going to change
    /// what is in it. A preopened folder is as its permissions are.
    pub fn is_mutable(&self) -> bool {
        self.mutable
    }

    /// Returns what the guest may do with directories.
    pub fn perms(&self) -> DirPerms {
        self.perms
    }

    /// Returns what the guest may do with files.
    pub fn file_perms(&self) -> FilePerms {
        self.file_perms
    }

    pub(super) fn directory(&self) -> &Arc<dyn Directory> {
        &self.directory
    }

    /// Counts one more stream of the guest.
    pub(super) fn open_slot(&self) -> Result<Arc<Slot>> {
        self.limit.open()
    }

    pub(super) fn check(&self, needed: DirPerms) -> Result<()> {
        match self.perms.contains(needed) {
            true => Ok(()),
            false => Err(Errno::NotPermitted),
        }
    }

    /// Checks that entries can pass from this directory to `to`. Both must have the same
    /// permissions, or a guest could get more rights to a file by moving it.
    fn check_passing(&self, to: &OpenDirectory) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        to.check(DirPerms::MUTATE)?;
        match (self.perms, self.file_perms) == (to.perms, to.file_perms) {
            true => Ok(()),
            false => Err(Errno::NotPermitted),
        }
    }

    /// Opens what a path leads to, or creates a file there.
    ///
    /// As with the peer, creating and truncating open a file for writing. A file is opened for
    /// reading unless `options` say that it is written and not read. `mutable` is what
    /// [`is_mutable`](Self::is_mutable) returns for a directory.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the path leads out of the directory, or the folder's
    ///   permissions do not include it.
    /// - [`Errno::Loop`] if the path leads to a symbolic link, and `follow` is not set.
    /// - [`Errno::TooManyFiles`] if the guest has too much open.
    /// - Those of [`Directory::open`].
    pub fn open(
        &self,
        path: &str,
        follow: bool,
        options: &OpenOptions,
        mutable: bool,
    ) -> Result<Descriptor> {
        let mut options = *options;
        options.read |= !options.write;
        options.write |= options.create || options.truncate;
        self.check(DirPerms::READ)?;
        if options.directory && (options.create || options.exclusive || options.truncate) {
            return Err(Errno::Invalid);
        }
        if options.write {
            self.check(DirPerms::MUTATE)?;
            if !self.file_perms.contains(FilePerms::WRITE) {
                return Err(Errno::NotPermitted);
            }
        }
        let slot = self.limit.open()?;
        match walk::open(&self.directory, path, follow, &options)? {
            Node::File(_) if options.read && !self.file_perms.contains(FilePerms::READ) => {
                Err(Errno::NotPermitted)
            }
            Node::File(file) => Ok(Descriptor::File(OpenFile {
                file,
                perms: self.file_perms,
                read: options.read,
                write: options.write,
                sync: options.sync,
                slot,
            })),
            Node::Directory(directory) => Ok(Descriptor::Directory(OpenDirectory {
                directory,
                perms: self.perms,
                file_perms: self.file_perms,
                mutable: mutable && self.perms.contains(DirPerms::MUTATE),
                limit: self.limit.clone(),
                _slot: Some(slot),
            })),
        }
    }

    /// Returns the directory's own metadata.
    ///
    /// # Errors
    ///
    /// If the directory was removed.
    pub fn stat(&self) -> Result<Stat> {
        self.directory.stat()
    }

    /// Returns the metadata of what a path leads to.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] if the path leads out of the directory, or the folder's
    ///   permissions do not include it.
    /// - [`Errno::NoEntry`] if it leads to nothing.
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        self.check(DirPerms::READ)?;
        Ok(walk::stat(&self.directory, path, follow)?.0)
    }

    /// Returns a hash of the identity of what a path leads to.
    ///
    /// # Errors
    ///
    /// As [`stat_at`](Self::stat_at).
    pub fn metadata_hash_at(&self, path: &str, follow: bool) -> Result<MetadataHash> {
        Ok(self.stat_at(path, follow)?.metadata_hash())
    }

    /// Sets the directory's own timestamps.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] if the folder's permissions do not include it.
    pub fn set_times(&self, times: &SetTimes) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        self.directory.set_times(times)
    }

    /// Sets the timestamps of what a path leads to.
    ///
    /// # Errors
    ///
    /// As [`stat_at`](Self::stat_at).
    pub fn set_times_at(&self, path: &str, follow: bool, times: &SetTimes) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        match walk::stat(&self.directory, path, follow)?.1 {
            Place::Entry { parent, name, .. } => parent.set_entry_times(&name, times),
            Place::Directory(directory, _) => directory.set_times(times),
        }
    }

    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), and those of
    /// [`Directory::create_directory`].
    pub fn create_directory(&self, path: &str) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        match walk::entry(&self.directory, path)? {
            Place::Entry { parent, name, .. } => parent.create_directory(&name),
            Place::Directory(..) => Err(Errno::Exist),
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), and those of
    /// [`Directory::remove_directory`].
    pub fn remove_directory(&self, path: &str) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        match walk::entry(&self.directory, path)? {
            Place::Entry {
                parent,
                name,
                must_be_directory,
            } => match parent.remove_directory(&name) {
                // A path that ends in a slash leads through a link at its end.
                Err(Errno::NotDirectory) if must_be_directory => {
                    match walk::stat(&self.directory, path, true) {
                        Err(Errno::NotPermitted) => Err(Errno::NotPermitted),
                        _ => Err(Errno::NotDirectory),
                    }
                }
                result => result,
            },
            Place::Directory(_, Dots::One) => Err(Errno::Invalid),
            Place::Directory(_, Dots::Two) => Err(Errno::NotEmpty),
        }
    }

    /// Removes an entry that is not a directory.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), and those of
    /// [`Directory::remove_file`].
    pub fn remove_file(&self, path: &str) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        match walk::entry(&self.directory, path)? {
            Place::Directory(..) => Err(Errno::IsDirectory),
            Place::Entry {
                parent,
                name,
                must_be_directory: true,
            } => match parent.stat_entry(&name)?.kind {
                FileType::Directory => Err(Errno::IsDirectory),
                _ => Err(Errno::NotDirectory),
            },
            Place::Entry { parent, name, .. } => parent.remove_file(&name),
        }
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), and those of
    /// [`Directory::read_link`].
    pub fn read_link(&self, path: &str) -> Result<String> {
        self.check(DirPerms::READ)?;
        match walk::entry(&self.directory, path)? {
            Place::Entry {
                must_be_directory: true,
                ..
            } => {
                walk::stat(&self.directory, path, true)?;
                Err(Errno::Invalid)
            }
            Place::Entry { parent, name, .. } => parent.read_link(&name),
            Place::Directory(..) => Err(Errno::Invalid),
        }
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Errno::NotPermitted`] if the target is absolute, or as in [`stat_at`](Self::stat_at), and
    /// those of [`Directory::create_symlink`].
    pub fn create_symlink(&self, target: &str, path: &str) -> Result<()> {
        self.check(DirPerms::MUTATE)?;
        walk::check_target(target)?;
        match walk::entry(&self.directory, path)? {
            Place::Entry {
                parent,
                name,
                must_be_directory,
            } => {
                if must_be_directory {
                    check_absent(&*parent, &name)?;
                }
                parent.create_symlink(target, &name)
            }
            Place::Directory(..) => Err(Errno::Exist),
        }
    }

    /// Creates a hard link. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), also if the directories have
    ///   different permissions.
    /// - Those of [`Directory::link`].
    pub fn link(&self, path: &str, to: &OpenDirectory, to_path: &str) -> Result<()> {
        self.check_passing(to)?;
        // What a path that ends in `/`, `.` or `..` leads to is a directory, or the path is wrong.
        // A directory gets no other name, but an error in the new path comes first.
        let from = match walk::entry(&self.directory, path)? {
            Place::Entry {
                parent,
                name,
                must_be_directory: false,
            } => Some((parent, name)),
            _ => {
                walk::stat(&self.directory, path, false)?;
                None
            }
        };
        let Place::Entry {
            parent: to,
            name: to_name,
            must_be_directory,
        } = walk::entry(&to.directory, to_path)?
        else {
            return Err(Errno::Exist);
        };
        if must_be_directory {
            if let Some((parent, name)) = &from {
                parent.stat_entry(name)?;
            }
            check_absent(&*to, &to_name)?;
        }
        match from {
            Some((parent, name)) => parent.link(&name, &*to, &to_name),
            None if to.stat_entry(&to_name).is_ok() => Err(Errno::Exist),
            None => Err(Errno::NotPermitted),
        }
    }

    /// Gives an entry another path. An entry at the new path is replaced.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotPermitted`] as in [`stat_at`](Self::stat_at), also if the directories have
    ///   different permissions.
    /// - Those of [`Directory::rename`].
    pub fn rename(&self, path: &str, to: &OpenDirectory, to_path: &str) -> Result<()> {
        self.check_passing(to)?;
        let from = walk::entry(&self.directory, path)?;
        let to = walk::entry(&to.directory, to_path)?;
        let (
            Place::Entry {
                parent,
                name,
                must_be_directory,
            },
            Place::Entry {
                parent: to,
                name: to_name,
                must_be_directory: must_become_directory,
            },
        ) = (from, to)
        else {
            return Err(Errno::Busy);
        };
        if (must_be_directory || must_become_directory)
            && parent.stat_entry(&name)?.kind != FileType::Directory
        {
            return Err(Errno::NotDirectory);
        }
        parent.rename(&name, &*to, &to_name)
    }
}

/// Makes the error for the path of something new that is not a directory, and ends in `/`.
fn check_absent(parent: &dyn Directory, name: &str) -> Result<()> {
    match parent.stat_entry(name)?.kind {
        FileType::Directory => Err(Errno::Exist),
        _ => Err(Errno::NotDirectory),
    }
}

//! A directory of the system. All names are resolved relative to its descriptor, one at a time and
//! without following symbolic links, but for [`PathResolution::Beneath`].

use super::super::traits::{Directory, Lookup, Node};
use super::super::types::{Entry, FileType, OpenOptions, Result, SetTimes, Stat, Sync as SyncWhat};
use super::file::SystemFile;
use super::{BENEATH, PathResolution, convert};
use crate::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Mode, OFlags, RawDir, SeekFrom};
use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

/// Permissions of new files and directories, before the process's mask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// Size of the buffer for entries of a directory, in bytes.
const LIST_BUFFER: usize = 16 << 10;

/// The type of a file system that lays one over others, as containers have.
const OVERLAY: fs::FsWord = 0x794c_7630;

/// How often to ask the system again if `..` in a path met a directory that was being renamed.
const RACES: usize = 16;

#[derive(Debug)]
pub(super) struct SystemDirectory {
    fd: OwnedFd,
    resolution: PathResolution,
    /// `fd` only names the directory (`O_PATH`).
    path_only: bool,
    /// Held while the position of a descriptor of the directory is in use. If `fd` is `path_only`,
    /// it has another descriptor for listing after the first time.
    listing: Mutex<Option<OwnedFd>>,
}

impl SystemDirectory {
    pub fn readable(fd: OwnedFd, resolution: PathResolution) -> SystemDirectory {
        SystemDirectory {
            fd,
            resolution,
            path_only: false,
            listing: Mutex::new(None),
        }
    }

    fn path_only(fd: OwnedFd, resolution: PathResolution) -> SystemDirectory {
        SystemDirectory {
            path_only: true,
            ..SystemDirectory::readable(fd, resolution)
        }
    }

    /// Opens this directory for reading.
    fn reopen(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.fd, c".", flags, Mode::empty())?)
    }

    /// Has the system resolve a path. Returns `None` if it cannot say where the path leads, since
    /// other processes keep renaming directories.
    fn open_path(&self, path: &str, flags: OFlags, mode: Mode) -> Option<Result<OwnedFd>> {
        for _ in 0..RACES {
            match fs::openat2(&self.fd, path, flags, mode, BENEATH) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                // The path leads out of the directory.
                Err(rustix::io::Errno::XDEV) => return Some(Err(Errno::NotPermitted)),
                result => return Some(result.map_err(Errno::from)),
            }
        }
        None
    }

    /// Makes a node of a descriptor that was opened with `options`.
    fn node(&self, fd: OwnedFd, options: &OpenOptions) -> Result<Node> {
        let kind = match options {
            OpenOptions {
                directory: true, ..
            } => Some(FileType::Directory),
            // The system does not open directories for writing.
            OpenOptions { write: true, .. } => None,
            _ => Some(convert::stat(&fs::fstat(&fd)?).kind),
        };
        Ok(match kind {
            Some(FileType::Directory) => {
                Node::Directory(Arc::new(Self::readable(fd, self.resolution)))
            }
            kind => Node::File(Arc::new(SystemFile::new(fd, kind))),
        })
    }

    /// Returns `to` if it is of the system, too.
    fn other(to: &dyn Directory) -> Result<BorrowedFd<'_>> {
        let to = (to as &dyn Any).downcast_ref::<SystemDirectory>();
        Ok(to.ok_or(Errno::CrossDevice)?.fd.as_fd())
    }

    fn list(
        &self,
        fd: &OwnedFd,
        cursor: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        fs::seek(fd, SeekFrom::Start(cursor))?;
        // The layers of such a file system have numbers of their own for devices and inodes.
        let is_overlay = fs::fstatfs(fd).is_ok_and(|stat| stat.f_type == OVERLAY);
        let mut buffer = [MaybeUninit::uninit(); LIST_BUFFER];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match convert::file_type(entry.file_type()) {
                FileType::Unknown => {
                    let stat = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
                    stat.map_or(FileType::Unknown, |stat| convert::stat(&stat).kind)
                }
                kind => kind,
            };
            let wants_more = visit(Entry {
                name: name.to_bytes(),
                kind,
                inode: (!is_overlay).then_some(entry.ino()),
                next: entry.next_entry_cookie(),
            });
            if !wants_more {
                break;
            }
        }
        Ok(())
    }
}

/// Returns a name that is nothing but a name, or an error.
fn single(name: &str) -> Result<&str> {
    match name {
        "" | "." | ".." => Err(Errno::Invalid),
        name if name.contains('/') => Err(Errno::Invalid),
        name => Ok(name),
    }
}

impl Directory for SystemDirectory {
    fn stat(&self) -> Result<Stat> {
        Ok(convert::stat(&fs::fstat(&self.fd)?))
    }

    fn lookup(&self, name: &str) -> Result<Lookup> {
        let name = single(name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Lookup::Directory(Arc::new(Self::path_only(
                fd,
                self.resolution,
            )))),
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                match self.read_link(name) {
                    Ok(target) => Ok(Lookup::Symlink(target)),
                    Err(Errno::Invalid) => Ok(Lookup::Other),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn stat_entry(&self, name: &str) -> Result<Stat> {
        let stat = fs::statat(&self.fd, single(name)?, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(convert::stat(&stat))
    }

    fn open(&self, name: &str, options: &OpenOptions) -> Result<Node> {
        let flags = convert::open_flags(options) | OFlags::NOFOLLOW;
        let fd = fs::openat(&self.fd, single(name)?, flags, FILE_MODE)?;
        self.node(fd, options)
    }

    fn entries(&self, cursor: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.path_only {
            return self.list(&self.fd, cursor, visit);
        }
        let fd = match &mut *listing {
            Some(fd) => fd,
            none => none.insert(self.reopen()?),
        };
        self.list(fd, cursor, visit)
    }

    fn read_link(&self, name: &str) -> Result<String> {
        let target = fs::readlinkat(&self.fd, single(name)?, Vec::with_capacity(128))?;
        target.into_string().map_err(|_| Errno::IllegalByteSequence)
    }

    fn create_directory(&self, name: &str) -> Result<()> {
        Ok(fs::mkdirat(&self.fd, single(name)?, DIRECTORY_MODE)?)
    }

    fn remove_directory(&self, name: &str) -> Result<()> {
        Ok(fs::unlinkat(&self.fd, single(name)?, AtFlags::REMOVEDIR)?)
    }

    fn remove_file(&self, name: &str) -> Result<()> {
        Ok(fs::unlinkat(&self.fd, single(name)?, AtFlags::empty())?)
    }

    fn create_symlink(&self, target: &str, name: &str) -> Result<()> {
        Ok(fs::symlinkat(target, &self.fd, single(name)?)?)
    }

    fn link(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let (name, to_name) = (single(name)?, single(to_name)?);
        let to = Self::other(to)?;
        Ok(fs::linkat(&self.fd, name, to, to_name, AtFlags::empty())?)
    }

    fn rename(&self, name: &str, to: &dyn Directory, to_name: &str) -> Result<()> {
        let (name, to_name) = (single(name)?, single(to_name)?);
        Ok(fs::renameat(&self.fd, name, Self::other(to)?, to_name)?)
    }

    fn set_times(&self, times: &SetTimes) -> Result<()> {
        let times = convert::timestamps(times);
        Ok(fs::utimensat(&self.fd, c".", &times, AtFlags::empty())?)
    }

    fn set_entry_times(&self, name: &str, times: &SetTimes) -> Result<()> {
        let times = convert::timestamps(times);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(fs::utimensat(&self.fd, single(name)?, &times, flags)?)
    }

    fn sync(&self, what: SyncWhat) -> Result<()> {
        let reopened = match self.path_only {
            true => Some(self.reopen()?),
            false => None,
        };
        super::file::sync(reopened.as_ref().unwrap_or(&self.fd), what)
    }

    fn directory_beneath(&self, path: &str) -> Option<Result<Arc<dyn Directory>>> {
        if self.resolution == PathResolution::Walk {
            return None;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = self.open_path(path, flags, Mode::empty())?;
        Some(opened.map(|fd| Arc::new(Self::path_only(fd, self.resolution)) as Arc<dyn Directory>))
    }

    fn open_beneath(
        &self,
        path: &str,
        follow: bool,
        options: &OpenOptions,
    ) -> Option<Result<Node>> {
        if self.resolution == PathResolution::Walk {
            return None;
        }
        let mut flags = convert::open_flags(options);
        // The system follows the link of a path that ends in `/` all the same.
        flags.set(OFlags::NOFOLLOW, !follow);
        let mode = match options.create {
            true => FILE_MODE,
            false => Mode::empty(),
        };
        let opened = self.open_path(path, flags, mode)?;
        Some(opened.and_then(|fd| self.node(fd, options)))
    }
}

//! [`SystemFilesystem`]: a folder of the host.

mod convert;
mod directory;
mod file;

use super::traits::{Directory, Filesystem};
use super::types::Result;
use crate::Errno;
use directory::SystemDirectory;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use std::path::Path;
use std::sync::Arc;

/// A folder of the host, with everything in it.
///
/// Paths of guests do not lead out of the folder: not by `..`, not by absolute paths, and not by
/// symbolic links, which may be of the host's making. What the host mounts in the folder is a part
/// of it, and so are files that have other hard links elsewhere.
///
/// ```
/// use mintage_wasi::filesystem::{Filesystem, SystemFilesystem};
/// use mintage_wasi::Errno;
///
/// # fn main() -> Result<(), Errno> {
/// let folder = SystemFilesystem::open(".")?;
/// assert!(folder.root()?.stat()?.links > 0);
/// assert_eq!(SystemFilesystem::open("/no/such/folder").unwrap_err(), Errno::NoEntry);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SystemFilesystem {
    root: Arc<SystemDirectory>,
}

/// How paths of several names are resolved in a [`SystemFilesystem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathResolution {
    /// By the system: `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`. One system call
    /// for a path.
    Beneath,
    /// Name by name, where `O_NOFOLLOW` makes the system follow no symbolic link. It takes a system
    /// call for each name, and works on systems without `openat2`.
    Walk,
}

impl SystemFilesystem {
    /// Opens a folder. Paths are resolved by [`PathResolution::Beneath`] where the system can.
    ///
    /// # Errors
    ///
    /// If `path` is not a folder that this process may open.
    pub fn open(path: impl AsRef<Path>) -> Result<SystemFilesystem> {
        Ok(Self::resolving(open_folder(path.as_ref())?))
    }

    /// Opens a folder and resolves paths in the given way.
    ///
    /// # Errors
    ///
    /// - If `path` is not a folder that this process may open.
    /// - [`Errno::NotSupported`] if the system lacks `openat2`, which [`PathResolution::Beneath`]
    ///   needs.
    pub fn open_with(
        path: impl AsRef<Path>,
        resolution: PathResolution,
    ) -> Result<SystemFilesystem> {
        let fd = open_folder(path.as_ref())?;
        if resolution == PathResolution::Beneath && !resolves_beneath(&fd) {
            return Err(Errno::NotSupported);
        }
        Ok(Self::new(fd, resolution))
    }

    /// Uses a folder that is already open, as [`open`](Self::open) does.
    ///
    /// ```
    /// use mintage_wasi::filesystem::SystemFilesystem;
    /// use mintage_wasi::Errno;
    ///
    /// # fn main() -> Result<(), Errno> {
    /// let folder = std::fs::File::open("src")?;
    /// SystemFilesystem::from_folder(folder)?;
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// assert_eq!(SystemFilesystem::from_folder(file).unwrap_err(), Errno::NotDirectory);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Errno::NotDirectory`] if it is not a folder.
    pub fn from_folder(folder: std::fs::File) -> Result<SystemFilesystem> {
        match folder.metadata()?.is_dir() {
            true => Ok(Self::resolving(folder.into())),
            false => Err(Errno::NotDirectory),
        }
    }

    /// Resolves paths in the best way that the system has.
    fn resolving(fd: OwnedFd) -> SystemFilesystem {
        let resolution = match resolves_beneath(&fd) {
            true => PathResolution::Beneath,
            false => PathResolution::Walk,
        };
        Self::new(fd, resolution)
    }

    fn new(fd: OwnedFd, resolution: PathResolution) -> SystemFilesystem {
        SystemFilesystem {
            root: Arc::new(SystemDirectory::readable(fd, resolution)),
        }
    }
}

impl Filesystem for SystemFilesystem {
    fn root(&self) -> Result<Arc<dyn Directory>> {
        Ok(self.root.clone())
    }
}

fn open_folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// How [`PathResolution::Beneath`] has the system resolve paths.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// Returns whether the system has `openat2`. Some sandboxes of processes refuse it as not
/// permitted.
fn resolves_beneath(folder: &OwnedFd) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Nothing has this name, which the system finds before it opens anything.
    let opened = rustix::fs::openat2(folder, c"", flags, Mode::empty(), BENEATH);
    matches!(opened, Err(rustix::io::Errno::NOENT))
}

//! File systems: what all of them do, what they keep guests from, and limits.

mod behavior;
mod differential;
mod in_place;
mod interface;
mod limits;
mod memory;
mod races;
mod sandbox;

use mintage_wasi::filesystem::{
    Descriptor, Filesystem, MemoryFilesystem, OpenDirectory, OpenFile, OpenOptions, PathResolution,
    SystemFilesystem, WasiFilesystemCtx,
};
use mintage_wasi::{DirPerms, Errno, FilePerms};
use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use tempfile::TempDir;

/// The implementations that each table of cases runs over.
const IMPLEMENTATIONS: [Implementation; 3] = [
    Implementation::System(PathResolution::Beneath),
    Implementation::System(PathResolution::Walk),
    Implementation::Memory,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Implementation {
    System(PathResolution),
    Memory,
}

impl Implementation {
    /// Opens a folder of the host, or a copy of it.
    fn open(self, folder: &Path) -> OpenDirectory {
        match self {
            Implementation::System(resolution) => {
                preopen(&SystemFilesystem::open_with(folder, resolution).unwrap())
            }
            Implementation::Memory => {
                let files = MemoryFilesystem::new();
                files.add_folder(folder, "/").unwrap();
                preopen(&files)
            }
        }
    }
}

/// Makes a folder for a test: in memory if the system has such folders, since disks are slow.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// Opens a file system with all permissions.
fn preopen(filesystem: &dyn Filesystem) -> OpenDirectory {
    preopen_with(filesystem, DirPerms::all(), FilePerms::all())
}

fn preopen_with(
    filesystem: &dyn Filesystem,
    perms: DirPerms,
    file_perms: FilePerms,
) -> OpenDirectory {
    let mut files = WasiFilesystemCtx::default();
    files.preopen(filesystem, "/", perms, file_perms).unwrap();
    files.preopens()[0].0.clone()
}

/// Options for reading a file.
const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    sync: mintage_wasi::filesystem::Sync::None,
};
const WRITE: OpenOptions = OpenOptions {
    read: false,
    write: true,
    ..READ
};
const CREATE: OpenOptions = OpenOptions {
    create: true,
    ..WRITE
};
const READ_WRITE: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
const READ_CREATE: OpenOptions = OpenOptions {
    read: true,
    ..CREATE
};
const CREATE_NEW: OpenOptions = OpenOptions {
    exclusive: true,
    ..CREATE
};
const TRUNCATE: OpenOptions = OpenOptions {
    truncate: true,
    ..WRITE
};
const DIRECTORY: OpenOptions = OpenOptions {
    directory: true,
    ..READ
};

fn open_file(base: &OpenDirectory, path: &str, options: &OpenOptions) -> Result<OpenFile, Errno> {
    Ok(base.open(path, true, options, false)?.file()?.clone())
}

fn open_directory(base: &OpenDirectory, path: &str) -> Result<OpenDirectory, Errno> {
    match base.open(path, true, &DIRECTORY, true)? {
        Descriptor::Directory(directory) => Ok(directory),
        Descriptor::File(_) => Err(Errno::NotDirectory),
    }
}

fn read(file: &OpenFile, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let count = file.read_at(&mut [IoSliceMut::new(&mut buffer)], offset)?;
    buffer.truncate(count);
    Ok(buffer)
}

fn write(file: &OpenFile, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
    file.write_at(&[IoSlice::new(bytes)], offset)
}

/// Reads a whole file.
fn contents(base: &OpenDirectory, path: &str) -> Result<Vec<u8>, Errno> {
    read(&open_file(base, path, &READ)?, 0, 1 << 16)
}

/// Writes a whole file.
fn create(base: &OpenDirectory, path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let options = OpenOptions {
        truncate: true,
        ..CREATE
    };
    write(&open_file(base, path, &options)?, 0, bytes)?;
    Ok(())
}

/// Returns the names in a directory, sorted.
fn names(directory: &OpenDirectory) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    let mut stream = directory.read_directory()?;
    while let Some((_, name)) = stream.next_entry()? {
        names.push(name);
    }
    names.sort();
    Ok(names)
}

//! Functions of paths: `path_*`.

use super::abi::{self, fdflags, lookupflags, oflags, rights};
use super::descriptors::{Descriptor, Directory, File};
use super::files::{set_times, write_filestat};
use super::guest::{Guest, Outcome, bytes, string};
use crate::Errno;
use crate::fs::{self, OpenDirectory, OpenOptions, Sync};

/// Calls `f` with a directory and a path in it.
fn at<R>(
    guest: &mut dyn Guest,
    fd: u32,
    (path, path_len): (u32, u32),
    f: impl FnOnce(&OpenDirectory, &str) -> fs::Result<R>,
) -> Outcome<R> {
    let (memory, ctx) = guest.split()?;
    let directory = ctx.descriptors().directory(fd)?;
    Ok(f(directory, string(memory, path, path_len)?)?)
}

/// Calls `f` with two directories and paths in them.
fn at_both<R>(
    guest: &mut dyn Guest,
    (from, from_path): (u32, (u32, u32)),
    (to, to_path): (u32, (u32, u32)),
    f: impl FnOnce(&OpenDirectory, &str, &OpenDirectory, &str) -> fs::Result<R>,
) -> Outcome<R> {
    let (memory, ctx) = guest.split()?;
    let descriptors = ctx.descriptors();
    let (from, to) = (descriptors.directory(from)?, descriptors.directory(to)?);
    let from_path = string(memory, from_path.0, from_path.1)?;
    Ok(f(
        from,
        from_path,
        to,
        string(memory, to_path.0, to_path.1)?,
    )?)
}

fn follows(flags: u32) -> fs::Result<bool> {
    Ok(abi::flags(flags, lookupflags::ALL)? & lookupflags::SYMLINK_FOLLOW != 0)
}

pub(super) fn path_create_directory(
    guest: &mut dyn Guest,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    at(guest, fd, (path, path_len), OpenDirectory::create_directory)
}

pub(super) fn path_filestat_get(
    guest: &mut dyn Guest,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    result: u32,
) -> Outcome {
    let follow = follows(flags)?;
    let stat = at(guest, fd, (path, path_len), |directory, path| {
        directory.stat_at(path, follow)
    })?;
    write_filestat(guest, result, stat.into())
}

#[allow(clippy::too_many_arguments, reason = "the parameters of the interface")]
pub(super) fn path_filestat_set_times(
    guest: &mut dyn Guest,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    accessed: u64,
    modified: u64,
    times: u32,
) -> Outcome {
    let (follow, times) = (follows(flags)?, set_times(accessed, modified, times)?);
    at(guest, fd, (path, path_len), |directory, path| {
        directory.set_times_at(path, follow, &times)
    })
}

#[allow(clippy::too_many_arguments, reason = "the parameters of the interface")]
pub(super) fn path_link(
    guest: &mut dyn Guest,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    // As with the peer, the target of a symbolic link gets no other name.
    if follows(old_flags)? {
        return Err(Errno::Invalid.into());
    }
    let (old, new) = (
        (old_fd, (old_path, old_path_len)),
        (new_fd, (new_path, new_path_len)),
    );
    at_both(guest, old, new, OpenDirectory::link)
}

#[allow(clippy::too_many_arguments, reason = "the parameters of the interface")]
pub(super) fn path_open(
    guest: &mut dyn Guest,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    open_flags: u32,
    base: u64,
    _inheriting: u64,
    flags: u32,
    result: u32,
) -> Outcome {
    let follow = follows(dirflags)?;
    let open_flags = abi::flags(open_flags, oflags::ALL)?;
    let flags = abi::flags(flags, fdflags::ALL)?;
    let sync = match flags & (fdflags::SYNC | fdflags::RSYNC | fdflags::DSYNC) {
        0 => Sync::None,
        fdflags::DSYNC => Sync::Data,
        _ => Sync::All,
    };
    let options = OpenOptions {
        read: base & rights::FD_READ != 0,
        write: base & rights::FD_WRITE != 0,
        create: open_flags & oflags::CREAT != 0,
        exclusive: open_flags & oflags::EXCL != 0,
        truncate: open_flags & oflags::TRUNC != 0,
        directory: open_flags & oflags::DIRECTORY != 0,
        sync,
    };
    let (memory, ctx) = guest.split()?;
    let path = string(memory, path, path_len)?;
    let descriptors = ctx.descriptors();
    let directory = match descriptors.get(fd)? {
        Descriptor::Directory(directory) => &directory.directory,
        Descriptor::File(_) => return Err(Errno::NotDirectory.into()),
        Descriptor::Stdin(_) | Descriptor::Stdout(_) => return Err(Errno::BadDescriptor.into()),
    };
    let opened = match directory.open(path, follow, &options, false)? {
        fs::Descriptor::File(file) => Descriptor::File(File {
            file,
            position: 0,
            append: flags & fdflags::APPEND != 0,
            nonblocking: flags & fdflags::NONBLOCK != 0,
        }),
        fs::Descriptor::Directory(directory) => Descriptor::Directory(Directory {
            directory,
            preopened_as: None,
        }),
    };
    let fd = descriptors.push(opened)?;
    guest.write(result, fd.to_le_bytes())
}

pub(super) fn path_readlink(
    guest: &mut dyn Guest,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    result: u32,
) -> Outcome {
    let target = at(guest, fd, (path, path_len), OpenDirectory::read_link)?;
    let (memory, _) = guest.split()?;
    bytes(memory, buf, buf_len as usize)?;
    let len = target.len().min(buf_len as usize);
    guest.write_bytes(buf, &target.as_bytes()[..len])?;
    guest.write(result, (len as u32).to_le_bytes())
}

pub(super) fn path_remove_directory(
    guest: &mut dyn Guest,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    at(guest, fd, (path, path_len), OpenDirectory::remove_directory)
}

pub(super) fn path_rename(
    guest: &mut dyn Guest,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Outcome {
    let (old, new) = (
        (fd, (old_path, old_path_len)),
        (new_fd, (new_path, new_path_len)),
    );
    at_both(guest, old, new, OpenDirectory::rename)
}

pub(super) fn path_symlink(
    guest: &mut dyn Guest,
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let both = ((fd, (target, target_len)), (fd, (path, path_len)));
    at_both(guest, both.0, both.1, |_, target, directory, path| {
        directory.create_symlink(target, path)
    })
}

pub(super) fn path_unlink_file(
    guest: &mut dyn Guest,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    at(guest, fd, (path, path_len), OpenDirectory::remove_file)
}

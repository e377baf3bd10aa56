//! Functions of open files and directories: `fd_*`, except for those that may wait.

use super::abi::{self, Filestat, fdflags, fstflags, rights};
use super::descriptors::{Descriptor, Directory, File};
use super::guest::{Buffers, Guest, Outcome, bytes};
use crate::clocks::system_time;
use crate::fs::{self, Advice, CookieEntry, SetTime, SetTimes, Sync};
use crate::{Errno, io};
use smallvec::SmallVec;
use std::io::{IoSlice, IoSliceMut};

/// The most bytes of directory entries that are collected before they are written to the guest.
const ENTRIES_PIECE: usize = 32 << 10;

pub(super) fn fd_advise(
    guest: &mut dyn Guest,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Outcome {
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Invalid.into()),
    };
    Ok(guest
        .ctx()
        .descriptors()
        .file(fd)?
        .advise(offset, len, advice)?)
}

/// As with the peer, no space is reserved. Libraries do without it.
pub(super) fn fd_allocate(guest: &mut dyn Guest, fd: u32, _offset: u64, _len: u64) -> Outcome {
    guest.ctx().descriptors().file(fd)?;
    Err(Errno::NotSupported.into())
}

pub(super) fn fd_close(guest: &mut dyn Guest, fd: u32) -> Outcome {
    guest.ctx().descriptors().remove(fd)?;
    Ok(())
}

pub(super) fn fd_datasync(guest: &mut dyn Guest, fd: u32) -> Outcome {
    sync(guest, fd, Sync::Data)
}

pub(super) fn fd_sync(guest: &mut dyn Guest, fd: u32) -> Outcome {
    sync(guest, fd, Sync::All)
}

fn sync(guest: &mut dyn Guest, fd: u32, what: Sync) -> Outcome {
    let file = guest.ctx().descriptors().file(fd)?.clone();
    Ok(fs::Descriptor::File(file).sync(what)?)
}

/// The rights of preopened folders. Many libraries expect exactly these.
const PREOPEN: u64 = rights::PATH_CREATE_DIRECTORY
    | rights::PATH_CREATE_FILE
    | rights::PATH_LINK_SOURCE
    | rights::PATH_LINK_TARGET
    | rights::PATH_OPEN
    | rights::FD_READDIR
    | rights::PATH_READLINK
    | rights::PATH_RENAME_SOURCE
    | rights::PATH_RENAME_TARGET
    | rights::PATH_SYMLINK
    | rights::PATH_REMOVE_DIRECTORY
    | rights::PATH_UNLINK_FILE
    | rights::PATH_FILESTAT_GET
    | rights::PATH_FILESTAT_SET_TIMES
    | rights::FD_FILESTAT_GET
    | rights::FD_FILESTAT_SET_TIMES;

/// The rights that files in preopened folders can have.
const PREOPEN_INHERITING: u64 = PREOPEN
    | rights::FD_DATASYNC
    | rights::FD_READ
    | rights::FD_SEEK
    | rights::FD_FDSTAT_SET_FLAGS
    | rights::FD_SYNC
    | rights::FD_TELL
    | rights::FD_WRITE
    | rights::FD_ADVISE
    | rights::FD_ALLOCATE
    | rights::FD_FILESTAT_SET_SIZE
    | rights::POLL_FD_READWRITE;

/// The rights that directories never have: those of files.
const NOT_OF_DIRECTORIES: u64 =
    rights::FD_SEEK | rights::FD_FILESTAT_SET_SIZE | rights::PATH_FILESTAT_SET_SIZE;

pub(super) fn fd_fdstat_get(guest: &mut dyn Guest, fd: u32, result: u32) -> Outcome {
    let nonblock = |nonblocking| match nonblocking {
        true => fdflags::NONBLOCK,
        false => 0,
    };
    let (filetype, flags, base, inheriting) = match guest.ctx().descriptors().get(fd)? {
        Descriptor::Stdin(stdin) => {
            let flags = nonblock(stdin.nonblocking);
            (stdin.filetype(), flags, rights::FD_READ, rights::FD_READ)
        }
        Descriptor::Stdout(stdout) => {
            let flags = nonblock(stdout.nonblocking);
            (stdout.filetype(), flags, rights::FD_WRITE, rights::FD_WRITE)
        }
        Descriptor::Directory(Directory {
            preopened_as: Some(_),
            ..
        }) => (abi::FILETYPE_DIRECTORY, 0, PREOPEN, PREOPEN_INHERITING),
        Descriptor::Directory(_) => {
            let base = rights::ALL & !NOT_OF_DIRECTORIES & !rights::FD_WRITE;
            (abi::FILETYPE_DIRECTORY, 0, base, base)
        }
        Descriptor::File(File {
            file,
            append,
            nonblocking,
            ..
        }) => {
            let mut base = rights::ALL;
            if !file.is_readable() {
                base &= !(rights::FD_READ | rights::FD_READDIR);
            }
            if !file.is_writable() {
                base &= !rights::FD_WRITE;
            }
            let mut flags = nonblock(*nonblocking);
            flags |= match file.sync_mode() {
                Sync::None => 0,
                Sync::Data => fdflags::DSYNC,
                Sync::All => fdflags::SYNC,
            };
            if *append {
                flags |= fdflags::APPEND;
            }
            (
                abi::filetype(fs::Descriptor::File(file.clone()).kind()?),
                flags,
                base,
                base,
            )
        }
    };
    let stat = abi::fdstat(filetype, flags, base, inheriting);
    guest.write_array(result, stat.bytes(), 8)
}

pub(super) fn fd_fdstat_set_flags(guest: &mut dyn Guest, fd: u32, flags: u32) -> Outcome {
    let flags = abi::flags(flags, fdflags::ALL)?;
    let nonblocking = flags & fdflags::NONBLOCK != 0;
    let others = flags & !fdflags::NONBLOCK;
    match guest.ctx().descriptors().get_mut(fd)? {
        // What is written with an open file is settled when it is opened.
        _ if flags & (fdflags::DSYNC | fdflags::RSYNC | fdflags::SYNC) != 0 => {
            return Err(Errno::Invalid.into());
        }
        Descriptor::File(file) => {
            file.append = flags & fdflags::APPEND != 0;
            file.nonblocking = nonblocking;
        }
        Descriptor::Stdin(stdin) if others == 0 => stdin.nonblocking = nonblocking,
        Descriptor::Stdout(stdout) => stdout.nonblocking = nonblocking,
        Descriptor::Stdin(_) | Descriptor::Directory(_) => {
            return Err(Errno::BadDescriptor.into());
        }
    }
    Ok(())
}

pub(super) fn fd_fdstat_set_rights(
    guest: &mut dyn Guest,
    fd: u32,
    _base: u64,
    _inheriting: u64,
) -> Outcome {
    guest.ctx().descriptors().node(fd)?;
    Err(Errno::NotSupported.into())
}

pub(super) fn fd_filestat_get(guest: &mut dyn Guest, fd: u32, result: u32) -> Outcome {
    let stat = match guest.ctx().descriptors().get(fd)? {
        Descriptor::Stdin(stdin) => Filestat::of_stream(stdin.filetype()),
        Descriptor::Stdout(stdout) => Filestat::of_stream(stdout.filetype()),
        Descriptor::File(file) => file.file.stat()?.into(),
        Descriptor::Directory(directory) => directory.directory.stat()?.into(),
    };
    write_filestat(guest, result, stat)
}

pub(super) fn write_filestat(guest: &mut dyn Guest, result: u32, stat: Filestat) -> Outcome {
    let record = stat.bytes(guest.version());
    guest.write_array(result, &record, 8)
}

pub(super) fn fd_filestat_set_size(guest: &mut dyn Guest, fd: u32, size: u64) -> Outcome {
    Ok(guest.ctx().descriptors().file(fd)?.set_size(size)?)
}

pub(super) fn fd_filestat_set_times(
    guest: &mut dyn Guest,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Outcome {
    let times = set_times(accessed, modified, flags)?;
    Ok(guest.ctx().descriptors().node(fd)?.set_times(&times)?)
}

/// Returns which timestamps a guest sets.
pub(super) fn set_times(accessed: u64, modified: u64, flags: u32) -> fs::Result<SetTimes> {
    let flags = abi::flags(flags, fstflags::ALL)?;
    let set = |time: u64, to: u16, now: u16| match (flags & to != 0, flags & now != 0) {
        (true, true) => Err(Errno::Invalid),
        (true, false) => {
            let (seconds, nanoseconds) = (time / 1_000_000_000, time % 1_000_000_000);
            Ok(SetTime::To(system_time(seconds, nanoseconds as u32)?))
        }
        (false, true) => Ok(SetTime::Now),
        (false, false) => Ok(SetTime::Keep),
    };
    Ok(SetTimes {
        accessed: set(accessed, fstflags::ATIM, fstflags::ATIM_NOW)?,
        modified: set(modified, fstflags::MTIM, fstflags::MTIM_NOW)?,
    })
}

pub(super) fn fd_pread(
    guest: &mut dyn Guest,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    result: u32,
) -> Outcome {
    let (memory, ctx) = guest.split()?;
    let buffers = Buffers::read(memory, iovs, iovs_len)?;
    ctx.descriptors().seekable(fd)?;
    let count = read(guest, fd, &buffers, offset)?;
    guest.write(result, count.to_le_bytes())
}

/// Reads from a file into the memory of the guest. Returns the number of bytes.
pub(super) fn read(guest: &mut dyn Guest, fd: u32, buffers: &Buffers, offset: u64) -> Outcome<u32> {
    let mut done = 0;
    loop {
        let (blocks, wanted) = buffers.piece(done, io::MAX_PIECE);
        let at = offset.checked_add(done as u64).ok_or(Errno::Invalid)?;
        // One buffer is the common case.
        let result = if blocks[1].is_empty() {
            let (block, ctx) = guest.block(blocks[0].clone())?;
            let file = ctx.descriptors().file(fd)?;
            file.read_at(&mut [IoSliceMut::new(block)], at)
        } else {
            let (blocks, ctx) = guest.blocks(&blocks)?;
            let blocks = blocks.into_iter().filter(|block| !block.is_empty());
            let mut slices: SmallVec<[_; super::guest::MAX_BLOCKS]> =
                blocks.map(IoSliceMut::new).collect();
            ctx.descriptors().file(fd)?.read_at(&mut slices, at)
        };
        match result {
            Ok(count) => done += count,
            // What was read before is not lost. The next call has the error.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        }
        if wanted < io::MAX_PIECE || result != Ok(wanted) {
            break;
        }
    }
    Ok(done.min(u32::MAX as usize) as u32)
}

pub(super) fn fd_pwrite(
    guest: &mut dyn Guest,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    result: u32,
) -> Outcome {
    let (memory, ctx) = guest.split()?;
    let buffers = Buffers::read(memory, iovs, iovs_len)?;
    let file = ctx.descriptors().seekable(fd)?;
    let slices: SmallVec<[_; 4]> = buffers.slices(memory).map(IoSlice::new).collect();
    // As on Linux, a file that is opened for appending has no other place to write to.
    let count = match file.append {
        true => file.file.append(&slices)?,
        false => file.file.write_at(&slices, offset)?,
    };
    drop(slices);
    guest.write(result, (count as u32).to_le_bytes())
}

/// Writes to a file from the memory of the guest, at its position. Returns the number of bytes.
pub(super) fn write(file: &mut File, memory: &[u8], buffers: &Buffers) -> Outcome<u32> {
    let slices: SmallVec<[_; 4]> = buffers.slices(memory).map(IoSlice::new).collect();
    let count;
    if file.append {
        count = file.file.append(&slices)?;
        file.position = file.file.stat()?.size;
    } else {
        count = file.file.write_at(&slices, file.position)?;
        file.position = file
            .position
            .checked_add(count as u64)
            .ok_or(Errno::Overflow)?;
    }
    Ok(count as u32)
}

pub(super) fn fd_prestat_get(guest: &mut dyn Guest, fd: u32, result: u32) -> Outcome {
    let Descriptor::Directory(Directory {
        preopened_as: Some(path),
        ..
    }) = guest.ctx().descriptors().get(fd)?
    else {
        return Err(Errno::BadDescriptor.into());
    };
    let len = u32::try_from(path.len()).map_err(|_| Errno::Overflow)?;
    // The tag, for a directory, is 0.
    let record = abi::Record::<8>::new().set(4, len.to_le_bytes());
    guest.write_array(result, record.bytes(), 4)
}

pub(super) fn fd_prestat_dir_name(
    guest: &mut dyn Guest,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Outcome {
    let Descriptor::Directory(Directory {
        preopened_as: Some(name),
        ..
    }) = guest.ctx().descriptors().get(fd)?
    else {
        return Err(Errno::NotDirectory.into());
    };
    if name.len() > path_len as usize {
        return Err(Errno::NameTooLong.into());
    }
    let name = name.clone();
    Ok(guest.write_bytes(path, name.as_bytes())?)
}

pub(super) fn fd_readdir(
    guest: &mut dyn Guest,
    fd: u32,
    buf: u32,
    buf_len: u32,
    mut cookie: u64,
    result: u32,
) -> Outcome {
    let len = buf_len as usize;
    let (memory, _) = guest.split()?;
    bytes(memory, buf, len)?;
    let mut entries = Vec::new();
    let mut done = 0;
    loop {
        // An entry that does not fit is cut off: a full buffer says that there are more.
        let room = (len - done).min(ENTRIES_PIECE);
        let mut is_end = true;
        entries.clear();
        let directory = guest.ctx().descriptors().directory(fd)?;
        let listed = directory.list(cookie, &mut |entry: CookieEntry<'_>| {
            is_end = entries.len() < room;
            if is_end {
                push_entry(&mut entries, &entry);
                cookie = entry.next;
            }
            is_end
        });
        // An entry that cannot be listed is an error only where it is the next one.
        if entries.is_empty() && done == 0 {
            listed?;
        }
        let count = entries.len().min(len - done);
        guest.write_bytes(buf + done as u32, &entries[..count])?;
        done += count;
        if is_end || listed.is_err() || done == len {
            break;
        }
    }
    guest.write(result, (done as u32).to_le_bytes())
}

fn push_entry(entries: &mut Vec<u8>, entry: &CookieEntry<'_>) {
    let (inode, kind) = (entry.hash.lower, abi::filetype(entry.kind));
    // Names have at most a few hundred bytes.
    let record = abi::dirent(entry.next, inode, entry.name.len() as u32, kind);
    entries.extend_from_slice(record.bytes());
    entries.extend_from_slice(entry.name.as_bytes());
}

pub(super) fn fd_renumber(guest: &mut dyn Guest, from: u32, to: u32) -> Outcome {
    Ok(guest.ctx().descriptors().renumber(from, to)?)
}

pub(super) fn fd_seek(
    guest: &mut dyn Guest,
    fd: u32,
    offset: i64,
    whence: u32,
    result: u32,
) -> Outcome {
    let version = guest.version();
    let file = guest.ctx().descriptors().seekable(fd)?;
    let from = match (version, whence) {
        (abi::Version::Preview1, 0) | (abi::Version::Unstable, 2) => 0,
        (abi::Version::Preview1, 1) | (abi::Version::Unstable, 0) => file.position,
        (abi::Version::Preview1, 2) | (abi::Version::Unstable, 1) => file.file.stat()?.size,
        _ => return Err(Errno::Invalid.into()),
    };
    let position = from.checked_add_signed(offset).ok_or(Errno::Invalid)?;
    file.position = position;
    guest.write(result, position.to_le_bytes())
}

pub(super) fn fd_tell(guest: &mut dyn Guest, fd: u32, result: u32) -> Outcome {
    let position = guest.ctx().descriptors().seekable(fd)?.position;
    guest.write(result, position.to_le_bytes())
}

//! `wasi:filesystem`, over the shared layer in [`crate::fs`].
//!
//! No function waits: files are read and written on the thread of the guest, as with WASI 0.2.

use super::bindings::clocks::system_clock::Instant;
use super::bindings::filesystem::preopens;
use super::bindings::filesystem::types::{self, DirectoryEntry, ErrorCode};
use super::stream::{self, Ended, Outcome, Reading};
use crate::fs::{
    Descriptor, DirectoryStream, FileInputStream, FileOutputStream, FileType, OpenDirectory, Sync,
    WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView,
};
use crate::{Errno, TrappableError, fs};
use mintage::component::{
    Access, Destination, FutureReader, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use mintage::{Accessor, Linker, Resource, Result, StoreContextMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

/// The error of functions of `wasi:filesystem`: a code for the guest, or a trap.
pub type FilesystemError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:filesystem`.
pub type FilesystemResult<T> = std::result::Result<T, FilesystemError>;

/// The most entries of a directory that are passed at once.
const MAX_ENTRIES: usize = 64;

/// Defines `wasi:filesystem`.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiFilesystemView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)
}

fs::conversions!(
    crate::p3::bindings::filesystem::types,
    instant,
    without_code
);

/// Converts an error that has no code of its own.
fn without_code(error: Errno) -> ErrorCode {
    ErrorCode::Other(Some(error.to_string()))
}

impl From<FileType> for types::DescriptorType {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Unknown => Self::Other(None),
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::RegularFile => Self::RegularFile,
            FileType::Socket => Self::Socket,
            FileType::SymbolicLink => Self::SymbolicLink,
        }
    }
}

/// Converts a timestamp. Nanoseconds count forwards, also before 1970.
fn instant(time: Option<SystemTime>) -> Option<Instant> {
    let (seconds, nanoseconds) = match time?.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).ok()?;
            match before.subsec_nanos() {
                0 => (-seconds, 0),
                nanoseconds => (-seconds - 1, 1_000_000_000 - nanoseconds),
            }
        }
    };
    Some(Instant {
        seconds,
        nanoseconds,
    })
}

/// Returns a directory.
fn directory<'a>(
    view: &'a WasiFilesystemCtxView<'_>,
    fd: &Resource<Descriptor>,
) -> FilesystemResult<&'a OpenDirectory> {
    Ok(view.table.get(fd)?.directory()?)
}

/// Does something with a descriptor.
fn with<T, R>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    f: impl FnOnce(&Descriptor) -> fs::Result<R>,
) -> FilesystemResult<R> {
    accessor.with(|mut access| Ok(f(access.get().table.get(fd)?)?))
}

/// Does something with a directory.
fn with_directory<T, R>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    f: impl FnOnce(&OpenDirectory) -> fs::Result<R>,
) -> FilesystemResult<R> {
    accessor.with(|mut access| Ok(f(directory(&access.get(), fd)?)?))
}

/// Does something with two directories.
fn with_directories<T, R>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    other: &Resource<Descriptor>,
    f: impl FnOnce(&OpenDirectory, &OpenDirectory) -> fs::Result<R>,
) -> FilesystemResult<R> {
    accessor.with(|mut access| {
        let view = access.get();
        Ok(f(directory(&view, fd)?, directory(&view, other)?)?)
    })
}

impl preopens::Host for WasiFilesystemCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.push_preopens()
    }
}

impl types::Host for WasiFilesystemCtxView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> Result<ErrorCode> {
        error.downcast()
    }
}

impl types::HostDescriptor for WasiFilesystemCtxView<'_> {
    fn drop(&mut self, fd: Resource<Descriptor>) -> Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

/// Writes what a guest writes to a stream of a file, which `open` opens.
fn write_file<T: 'static>(
    mut host: Access<'_, T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    data: StreamReader<u8>,
    open: impl FnOnce(&fs::OpenFile) -> fs::Result<FileOutputStream>,
) -> Result<FutureReader<Ended<ErrorCode>>> {
    let file = host.get().table.get(fd)?.file().and_then(open);
    match file {
        Ok(file) => stream::write(host, data, Box::new(file), None),
        Err(error) => stream::failed_writing(host, data, error),
    }
}

impl<T> types::HostDescriptorWithStore<T> for WasiFilesystem {
    fn read_via_stream(
        mut host: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Reading<ErrorCode>> {
        let file = match host.get().table.get(&fd)? {
            Descriptor::File(file) => FileInputStream::new(file, offset),
            Descriptor::Directory(_) => Err(Errno::IsDirectory),
        };
        match file {
            Ok(file) => stream::read(host, Box::new(file), None),
            Err(error) => stream::failed_reading(host, error),
        }
    }

    fn write_via_stream(
        host: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
        offset: u64,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write_file(host, &fd, data, |file| {
            FileOutputStream::write_at(file, offset)
        })
    }

    fn append_via_stream(
        host: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ended<ErrorCode>>> {
        write_file(host, &fd, data, FileOutputStream::append)
    }

    async fn advise(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> FilesystemResult<()> {
        with(accessor, &fd, |descriptor| {
            descriptor.file()?.advise(offset, length, advice.into())
        })
    }

    async fn sync_data(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<()> {
        with(accessor, &fd, |descriptor| descriptor.sync(Sync::Data))
    }

    async fn get_flags(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<types::DescriptorFlags> {
        with(accessor, &fd, |descriptor| Ok(descriptor_flags(descriptor)))
    }

    async fn get_type(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<types::DescriptorType> {
        with(accessor, &fd, |descriptor| Ok(descriptor.kind()?.into()))
    }

    async fn set_size(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        size: u64,
    ) -> FilesystemResult<()> {
        with(accessor, &fd, |descriptor| {
            descriptor.file()?.set_size(size)
        })
    }

    async fn set_times(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FilesystemResult<()> {
        let times = set_times(accessed, modified)?;
        with(accessor, &fd, |descriptor| descriptor.set_times(&times))
    }

    fn read_directory(
        mut host: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<(StreamReader<DirectoryEntry>, FutureReader<Ended<ErrorCode>>)> {
        let descriptor = host.get().table.get(&fd)?.clone();
        let entries = descriptor
            .directory()
            .and_then(OpenDirectory::read_directory);
        match entries {
            Ok(entries) => {
                let (outcome, ended) = Outcome::new(&mut host)?;
                let entries = Entries { entries, outcome };
                Ok((StreamReader::new(host, entries)?, ended))
            }
            Err(error) => stream::failed_reading(host, error),
        }
    }

    async fn sync(accessor: &Accessor<T, Self>, fd: Resource<Descriptor>) -> FilesystemResult<()> {
        with(accessor, &fd, |descriptor| descriptor.sync(Sync::All))
    }

    async fn create_directory_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        with_directory(accessor, &fd, |directory| directory.create_directory(&path))
    }

    async fn stat(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<types::DescriptorStat> {
        with(accessor, &fd, |descriptor| Ok(descriptor.stat()?.into()))
    }

    async fn stat_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FilesystemResult<types::DescriptorStat> {
        with_directory(accessor, &fd, |directory| {
            Ok(directory.stat_at(&path, follows(flags))?.into())
        })
    }

    async fn set_times_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FilesystemResult<()> {
        let times = set_times(accessed, modified)?;
        with_directory(accessor, &fd, |directory| {
            directory.set_times_at(&path, follows(flags), &times)
        })
    }

    async fn link_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        with_directories(accessor, &fd, &to, |from, to| match follows(flags) {
            // As in 0.2, the target of a symbolic link gets no other name.
            true => Err(Errno::Invalid),
            false => from.link(&path, to, &to_path),
        })
    }

    async fn open_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let options = open_options(open_flags, flags);
        let mutable = flags.contains(types::DescriptorFlags::MUTATE_DIRECTORY);
        accessor.with(|mut access| {
            let view = access.get();
            let directory = directory(&view, &fd)?;
            let opened = directory.open(&path, follows(path_flags), &options, mutable)?;
            Ok(view.table.push(opened)?)
        })
    }

    async fn readlink_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<String> {
        with_directory(accessor, &fd, |directory| directory.read_link(&path))
    }

    async fn remove_directory_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        with_directory(accessor, &fd, |directory| directory.remove_directory(&path))
    }

    async fn rename_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FilesystemResult<()> {
        with_directories(accessor, &fd, &to, |from, to| {
            from.rename(&path, to, &to_path)
        })
    }

    async fn symlink_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        with_directory(accessor, &fd, |directory| {
            directory.create_symlink(&target, &path)
        })
    }

    async fn unlink_file_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        with_directory(accessor, &fd, |directory| directory.remove_file(&path))
    }

    async fn is_same_object(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        accessor.with(|mut access| {
            let view = access.get();
            let stat = view.table.get(&fd)?.stat()?;
            Ok(stat.is_same_object(&view.table.get(&other)?.stat()?))
        })
    }

    async fn metadata_hash(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<types::MetadataHashValue> {
        with(accessor, &fd, |descriptor| {
            Ok(descriptor.stat()?.metadata_hash().into())
        })
    }

    async fn metadata_hash_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FilesystemResult<types::MetadataHashValue> {
        with_directory(accessor, &fd, |directory| {
            let hash = directory.metadata_hash_at(&path, follows(flags))?;
            Ok(hash.into())
        })
    }
}

/// The entries of a directory, for a guest.
struct Entries {
    entries: DirectoryStream,
    outcome: Outcome<ErrorCode>,
}

impl<D: 'static> StreamProducer<D> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, VecBuffer<DirectoryEntry>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let room = destination.remaining(store).unwrap_or(MAX_ENTRIES);
        let mut found = Vec::new();
        let mut result = StreamResult::Completed;
        while found.len() < room.min(MAX_ENTRIES) {
            match this.entries.next_entry() {
                Ok(Some((kind, name))) => found.push(DirectoryEntry {
                    type_: kind.into(),
                    name,
                }),
                Ok(None) => {
                    result = StreamResult::Dropped;
                    break;
                }
                Err(error) => {
                    this.outcome.fail(error);
                    result = StreamResult::Dropped;
                    break;
                }
            }
        }
        destination.set_buffer(found.into());
        Poll::Ready(Ok(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps_before_1970_count_forwards() {
        let at = |time| {
            let instant = instant(Some(time)).unwrap();
            (instant.seconds, instant.nanoseconds)
        };
        assert_eq!(at(UNIX_EPOCH + Duration::new(7, 5)), (7, 5));
        assert_eq!(at(UNIX_EPOCH), (0, 0));
        assert_eq!(at(UNIX_EPOCH - Duration::from_nanos(1)), (-1, 999_999_999));
        assert_eq!(at(UNIX_EPOCH - Duration::from_secs(3)), (-3, 0));
        for time in [(-1, 999_999_999), (-3, 0), (7, 5)] {
            let time = crate::clocks::system_time(time.0, time.1).unwrap();
            let new = instant(Some(time)).unwrap();
            let back = crate::clocks::system_time(new.seconds, new.nanoseconds);
            assert_eq!(back, Ok(time));
        }
    }

    #[test]
    fn each_error_of_files_has_a_code() {
        let other = |error: &&Errno| matches!(ErrorCode::from(**error), ErrorCode::Other(_));
        let others = Errno::ALL.iter().filter(other).count();
        assert_eq!(others, Errno::ALL.len() - 40);
    }
}

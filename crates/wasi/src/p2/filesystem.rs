//! `wasi:filesystem`, over the shared layer in [`crate::fs`].
//!
//! No function waits: files are read and written on the thread of the guest.

use super::bindings::clocks::wall_clock::Datetime;
use super::bindings::filesystem::preopens;
use super::bindings::filesystem::types::{self, ErrorCode};
use super::{DynInputStream, DynOutputStream, IoError, VERSION};
use crate::error::reason;
use crate::fs::{
    Descriptor, DirectoryStream, FileInputStream, FileOutputStream, FileType, OpenDirectory, Sync,
    WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView,
};
use crate::{Errno, TrappableError, WasiView};
use mintage::component::LinkerInstance;
use mintage::{InPlaceList, Linker, Resource, Result, StoreContextMut, WasmList};
use std::io::{IoSlice, IoSliceMut};
use std::time::{SystemTime, UNIX_EPOCH};

/// The error of functions of `wasi:filesystem`: a code for the guest, or a trap.
pub type FsError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:filesystem`.
pub type FsResult<T> = std::result::Result<T, FsError>;

crate::fs::conversions!(
    crate::p2::bindings::filesystem::types,
    datetime,
    only_in_0_2
);

/// Converts an error that has a code in 0.2 only, or none.
fn only_in_0_2(error: Errno) -> ErrorCode {
    match error {
        Errno::Again => ErrorCode::WouldBlock,
        _ => ErrorCode::Io,
    }
}

impl From<FileType> for types::DescriptorType {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Unknown => Self::Unknown,
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

/// Converts a timestamp. One before 1970 is missing, since guests have no way to express it.
fn datetime(time: Option<SystemTime>) -> Option<Datetime> {
    let since = time?.duration_since(UNIX_EPOCH).ok()?;
    Some(Datetime {
        seconds: since.as_secs(),
        nanoseconds: since.subsec_nanos(),
    })
}

impl WasiFilesystemCtxView<'_> {
    fn descriptor(&self, fd: &Resource<Descriptor>) -> FsResult<&Descriptor> {
        Ok(self.table.get(fd)?)
    }

    fn directory(&self, fd: &Resource<Descriptor>) -> FsResult<&OpenDirectory> {
        Ok(self.descriptor(fd)?.directory()?)
    }
}

impl preopens::Host for WasiFilesystemCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.push_preopens()
    }
}

impl types::Host for WasiFilesystemCtxView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(reason(error).map(ErrorCode::from))
    }
}

impl types::HostDescriptor for WasiFilesystemCtxView<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        let Descriptor::File(file) = self.descriptor(&fd)? else {
            return Err(ErrorCode::IsDirectory.into());
        };
        let stream: DynInputStream = Box::new(FileInputStream::new(file, offset)?);
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.descriptor(&fd)?.file()?;
        let stream: DynOutputStream = Box::new(FileOutputStream::write_at(file, offset)?);
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.descriptor(&fd)?.file()?;
        let stream: DynOutputStream = Box::new(FileOutputStream::append(file)?);
        Ok(self.table.push(stream)?)
    }

    fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
        len: u64,
        advice: types::Advice,
    ) -> FsResult<()> {
        let file = self.descriptor(&fd)?.file()?;
        Ok(file.advise(offset, len, advice.into())?)
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        Ok(self.descriptor(&fd)?.sync(Sync::Data)?)
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorFlags> {
        Ok(descriptor_flags(self.descriptor(&fd)?))
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        Ok(self.descriptor(&fd)?.kind()?.into())
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, size: u64) -> FsResult<()> {
        Ok(self.descriptor(&fd)?.file()?.set_size(size)?)
    }

    fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let times = set_times(accessed, modified)?;
        Ok(self.descriptor(&fd)?.set_times(&times)?)
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        len: u64,
        offset: u64,
    ) -> FsResult<(Vec<u8>, bool)> {
        let file = self.descriptor(&fd)?.file()?;
        let bytes = file.read_copy(len, offset)?;
        let ended = bytes.is_empty();
        Ok((bytes, ended))
    }

    fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let file = self.descriptor(&fd)?.file()?;
        Ok(file.write_at(&[IoSlice::new(&bytes)], offset)? as u64)
    }

    fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryStream>> {
        let stream = self.directory(&fd)?.read_directory()?;
        Ok(self.table.push(stream)?)
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        Ok(self.descriptor(&fd)?.sync(Sync::All)?)
    }

    fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self.directory(&fd)?.create_directory(&path)?)
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        Ok(self.descriptor(&fd)?.stat()?.into())
    }

    fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        let stat = self.directory(&fd)?.stat_at(&path, follows(flags))?;
        Ok(stat.into())
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let times = set_times(accessed, modified)?;
        let directory = self.directory(&fd)?;
        Ok(directory.set_times_at(&path, follows(flags), &times)?)
    }

    fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let (from, to) = (self.directory(&fd)?, self.directory(&to)?);
        // As with the peer, the target of a symbolic link gets no other name.
        match follows(flags) {
            true => Err(ErrorCode::Invalid.into()),
            false => Ok(from.link(&path, to, &to_path)?),
        }
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let options = open_options(open_flags, flags);
        let mutable = flags.contains(types::DescriptorFlags::MUTATE_DIRECTORY);
        let directory = self.directory(&fd)?;
        let opened = directory.open(&path, follows(path_flags), &options, mutable)?;
        Ok(self.table.push(opened)?)
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        Ok(self.directory(&fd)?.read_link(&path)?)
    }

    fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self.directory(&fd)?.remove_directory(&path)?)
    }

    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        to: Resource<Descriptor>,
        to_path: String,
    ) -> FsResult<()> {
        let (from, to) = (self.directory(&fd)?, self.directory(&to)?);
        Ok(from.rename(&path, to, &to_path)?)
    }

    fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        Ok(self.directory(&fd)?.create_symlink(&target, &path)?)
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        Ok(self.directory(&fd)?.remove_file(&path)?)
    }

    fn is_same_object(
        &mut self,
        fd: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        let stat = self.table.get(&fd)?.stat()?;
        Ok(stat.is_same_object(&self.table.get(&other)?.stat()?))
    }

    fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<types::MetadataHashValue> {
        Ok(self.descriptor(&fd)?.stat()?.metadata_hash().into())
    }

    fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let directory = self.directory(&fd)?;
        Ok(directory.metadata_hash_at(&path, follows(flags))?.into())
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for WasiFilesystemCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        let entry = self.table.get_mut(&stream)?.next_entry()?;
        Ok(entry.map(|(kind, name)| types::DirectoryEntry {
            type_: kind.into(),
            name,
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

/// Bytes of a file, written straight into guest memory, and whether the file has ended.
type ReadInPlace = InPlaceList<std::result::Result<(usize, bool), ErrorCode>>;

/// Defines `wasi:filesystem`.
///
/// # Errors
///
/// If a name is already defined.
pub(super) fn add_to_linker<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    let mut types = linker.instance(&format!("wasi:filesystem/types@{VERSION}"))?;
    add_in_place(types.allow_shadowing(true))
}

/// Defines `read` and `write` of descriptors so that bytes are not copied in the host, in place of
/// what the bindings define.
fn add_in_place<T: WasiView + 'static>(types: &mut LinkerInstance<'_, T>) -> Result<()> {
    types.func_wrap(
        "[method]descriptor.read",
        |mut store: StoreContextMut<'_, T>, (fd, len, offset): (Resource<Descriptor>, u64, u64)| {
            let view = store.data_mut().filesystem();
            Ok((read_in_place(&view, &fd, len, offset)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write",
        |mut store: StoreContextMut<'_, T>,
         (fd, bytes, offset): (Resource<Descriptor>, WasmList<u8>, u64)| {
            let (bytes, data) = bytes.slice_and_data(&mut store)?;
            let descriptor = data.filesystem().table.get(&fd)?;
            let written = descriptor
                .file()
                .and_then(|file| file.write_at(&[IoSlice::new(bytes)], offset));
            let written = written.map(|count| count as u64);
            Ok((written.map_err(ErrorCode::from),))
        },
    )
}

fn read_in_place(
    view: &WasiFilesystemCtxView<'_>,
    fd: &Resource<Descriptor>,
    len: u64,
    offset: u64,
) -> Result<ReadInPlace> {
    let failed = |error: Errno| InPlaceList::new(0, move |_: &mut [u8]| Ok(Err(error.into())));
    let file = match view.table.get(fd)?.file() {
        Ok(file) => file,
        Err(error) => return Ok(failed(error)),
    };
    if let Some(len) = file.size_of_read(len, offset) {
        let file = file.clone();
        return Ok(InPlaceList::new(len, move |block: &mut [u8]| {
            let count = file.read_at(&mut [IoSliceMut::new(block)], offset);
            Ok(count
                .map(|count| (count, count == 0))
                .map_err(ErrorCode::from))
        }));
    }
    match file.read_copy(len, offset) {
        Ok(bytes) => Ok(InPlaceList::new(bytes.len(), move |block: &mut [u8]| {
            block.copy_from_slice(&bytes);
            Ok(Ok((bytes.len(), bytes.is_empty())))
        })),
        Err(error) => Ok(failed(error)),
    }
}

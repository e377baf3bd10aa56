//! `wasi:filesystem` as the bindings have it.

use super::*;
use mintage::{Resource, ResourceTable};
use mintage_wasi::filesystem::WasiFilesystemCtxView;
use mintage_wasi::io::StreamError;
use mintage_wasi::p2::bindings::clocks::wall_clock::Datetime;
use mintage_wasi::p2::bindings::filesystem::preopens::Host as _;
use mintage_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor,
    HostDirectoryEntryStream, NewTimestamp, OpenFlags, PathFlags,
};
use mintage_wasi::p2::{FsResult, IoError};

/// A guest with one preopened folder.
struct Guest {
    files: MemoryFilesystem,
    ctx: WasiFilesystemCtx,
    table: ResourceTable,
}

impl Guest {
    fn new() -> Guest {
        Guest::with(DirPerms::all(), FilePerms::all())
    }

    fn with(perms: DirPerms, file_perms: FilePerms) -> Guest {
        let files = MemoryFilesystem::new();
        let mut ctx = WasiFilesystemCtx::default();
        ctx.preopen(&files, "/work", perms, file_perms).unwrap();
        let table = ResourceTable::new();
        Guest { files, ctx, table }
    }

    fn view(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn root(&mut self) -> Resource<Descriptor> {
        let mut folders = self.view().get_directories().unwrap();
        assert_eq!(folders.len(), 1);
        assert_eq!(folders[0].1, "/work");
        folders.remove(0).0
    }

    fn open(
        &mut self,
        base: &Resource<Descriptor>,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let path = path.to_owned();
        self.view()
            .open_at(again(base), PathFlags::SYMLINK_FOLLOW, path, open, flags)
    }
}

fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: FsResult<T>) -> ErrorCode {
    result.unwrap_err().downcast().unwrap()
}

fn read_write() -> DescriptorFlags {
    DescriptorFlags::READ | DescriptorFlags::WRITE
}

#[test]
fn files_and_streams() {
    let mut guest = Guest::new();
    let root = guest.root();
    let file = guest
        .open(&root, "f", OpenFlags::CREATE, read_write())
        .unwrap();
    let mut view = guest.view();
    assert_eq!(view.write(again(&file), b"hello".to_vec(), 2).unwrap(), 5);
    assert_eq!(
        view.read(again(&file), 100, 0).unwrap(),
        (b"\0\0hello".to_vec(), false)
    );
    assert_eq!(view.read(again(&file), 100, 7).unwrap(), (vec![], true));
    assert_eq!(
        view.read(again(&file), u64::MAX, 2).unwrap(),
        (b"hello".to_vec(), false)
    );
    assert_eq!(
        code(view.read(again(&file), 1, 1 << 63)),
        ErrorCode::Invalid
    );
    assert_eq!(
        code(view.write(again(&file), vec![0], 1 << 63)),
        ErrorCode::Invalid
    );
    view.set_size(again(&file), 4).unwrap();
    view.advise(again(&file), 0, 0, Advice::WillNeed).unwrap();
    view.sync(again(&file)).unwrap();
    view.sync_data(again(&file)).unwrap();
    let input = view.read_via_stream(again(&file), 2).unwrap();
    let output = view.write_via_stream(again(&file), 4).unwrap();
    let append = view.append_via_stream(again(&file)).unwrap();
    // Streams live on without the descriptor.
    HostDescriptor::drop(&mut view, file).unwrap();
    view.table
        .get_mut(&output)
        .unwrap()
        .write_from(b"XY")
        .unwrap();
    view.table
        .get_mut(&append)
        .unwrap()
        .write_from(b"Z")
        .unwrap();
    let bytes = view.table.get_mut(&input).unwrap().read(100).unwrap();
    assert_eq!(&*bytes, b"heXYZ");
    let error = view.table.get_mut(&input).unwrap().read(100).unwrap_err();
    assert!(matches!(error, StreamError::Closed));
    let folder = view.read_via_stream(again(&root), 0);
    assert_eq!(code(folder.map(|_| ())), ErrorCode::IsDirectory);
    let folder = view.write_via_stream(again(&root), 0);
    assert_eq!(code(folder.map(|_| ())), ErrorCode::BadDescriptor);
    assert_eq!(
        code(view.advise(again(&root), 0, 0, Advice::Normal)),
        ErrorCode::BadDescriptor
    );
}

#[test]
fn errors_of_streams_have_codes() {
    let mut guest = Guest::new();
    let dev = SystemFilesystem::open("/dev").unwrap();
    guest.ctx = WasiFilesystemCtx::default();
    guest
        .ctx
        .preopen(&dev, "/work", DirPerms::all(), FilePerms::all())
        .unwrap();
    let root = guest.root();
    let full = guest
        .open(&root, "full", OpenFlags::empty(), DescriptorFlags::WRITE)
        .unwrap();
    let mut view = guest.view();
    let stream = view.write_via_stream(full, 0).unwrap();
    let failed = view.table.get_mut(&stream).unwrap().write_from(b"x");
    let Err(StreamError::LastOperationFailed(error)) = failed else {
        panic!("a write to a full disk worked");
    };
    let errors: [(IoError, Option<ErrorCode>); 3] = [
        (error, Some(ErrorCode::InsufficientSpace)),
        (
            std::io::Error::from(std::io::ErrorKind::NotFound).into(),
            Some(ErrorCode::NoEntry),
        ),
        (mintage::format_err!("not of a file"), None),
    ];
    for (error, expected) in errors {
        let error = view.table.push(error).unwrap();
        assert_eq!(view.filesystem_error_code(error).unwrap(), expected);
    }
}

#[test]
fn metadata() {
    let mut guest = Guest::new();
    guest.files.write("d/f", b"abc").unwrap();
    let root = guest.root();
    let mut view = guest.view();
    let follow = PathFlags::SYMLINK_FOLLOW;
    view.symlink_at(again(&root), "d/f".into(), "l".into())
        .unwrap();
    assert_eq!(view.readlink_at(again(&root), "l".into()).unwrap(), "d/f");
    let stat = view.stat_at(again(&root), follow, "l".into()).unwrap();
    assert_eq!(
        (stat.type_, stat.size, stat.link_count),
        (DescriptorType::RegularFile, 3, 1)
    );
    let stat = view
        .stat_at(again(&root), PathFlags::empty(), "l".into())
        .unwrap();
    assert_eq!(stat.type_, DescriptorType::SymbolicLink);
    let time = |seconds, nanoseconds| {
        NewTimestamp::Timestamp(Datetime {
            seconds,
            nanoseconds,
        })
    };
    view.set_times_at(
        again(&root),
        follow,
        "l".into(),
        time(5, 7),
        NewTimestamp::NoChange,
    )
    .unwrap();
    let stat = view.stat_at(again(&root), follow, "l".into()).unwrap();
    let accessed = stat.data_access_timestamp.unwrap();
    assert_eq!((accessed.seconds, accessed.nanoseconds), (5, 7));
    assert!(stat.data_modification_timestamp.unwrap().seconds > 1_000_000);
    let too_late = time(u64::MAX, u32::MAX);
    let result = view.set_times(again(&root), too_late, NewTimestamp::Now);
    assert_eq!(code(result), ErrorCode::Overflow);
    view.set_times(again(&root), NewTimestamp::Now, time(1, 0))
        .unwrap();
    let stat = view.stat(again(&root)).unwrap();
    assert_eq!(stat.data_modification_timestamp.unwrap().seconds, 1);
    assert_eq!(
        view.get_type(again(&root)).unwrap(),
        DescriptorType::Directory
    );
    let (a, b) = (
        view.metadata_hash_at(again(&root), follow, "l".into())
            .unwrap(),
        view.metadata_hash_at(again(&root), follow, "d/f".into())
            .unwrap(),
    );
    assert_eq!((a.lower, a.upper), (b.lower, b.upper));
    let own = view.metadata_hash(again(&root)).unwrap();
    assert_ne!(own.lower, a.lower);
    let file = guest
        .open(&root, "l", OpenFlags::empty(), DescriptorFlags::READ)
        .unwrap();
    let same = guest
        .open(&root, "d/f", OpenFlags::empty(), DescriptorFlags::READ)
        .unwrap();
    let mut view = guest.view();
    assert!(view.is_same_object(again(&file), same).unwrap());
    assert!(!view.is_same_object(file, root).unwrap());
}

#[test]
fn flags_are_those_of_the_request() {
    let mut guest = Guest::new();
    let root = guest.root();
    let flags = guest.view().get_flags(again(&root)).unwrap();
    assert_eq!(
        flags,
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY
    );
    guest
        .view()
        .create_directory_at(again(&root), "d".into())
        .unwrap();
    let sync = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::DATA_INTEGRITY_SYNC;
    let cases = [
        ("f", OpenFlags::CREATE, read_write(), read_write()),
        (
            "f",
            OpenFlags::empty(),
            DescriptorFlags::READ,
            DescriptorFlags::READ,
        ),
        (
            "f",
            OpenFlags::empty(),
            DescriptorFlags::WRITE,
            DescriptorFlags::WRITE,
        ),
        (
            "f",
            OpenFlags::empty(),
            DescriptorFlags::empty(),
            DescriptorFlags::READ,
        ),
        (
            "f",
            OpenFlags::TRUNCATE,
            DescriptorFlags::READ,
            read_write(),
        ),
        (
            "f",
            OpenFlags::empty(),
            read_write() | sync,
            read_write() | sync,
        ),
        (
            "d",
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
            DescriptorFlags::READ,
        ),
        (
            "d",
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        ),
    ];
    for (path, open, flags, expected) in cases {
        let opened = guest.open(&root, path, open, flags).unwrap();
        assert_eq!(
            guest.view().get_flags(opened).unwrap(),
            expected,
            "{path} {open:?} {flags:?}"
        );
    }
    let mut guest = Guest::with(DirPerms::READ, FilePerms::READ);
    let root = guest.root();
    assert_eq!(guest.view().get_flags(root).unwrap(), DescriptorFlags::READ);
}

#[test]
fn directories() {
    let mut guest = Guest::new();
    let root = guest.root();
    let mut view = guest.view();
    view.create_directory_at(again(&root), "d".into()).unwrap();
    view.create_directory_at(again(&root), "d/e".into())
        .unwrap();
    let again_result = view.create_directory_at(again(&root), "d".into());
    assert_eq!(code(again_result), ErrorCode::Exist);
    let file = guest
        .open(&root, "d/f", OpenFlags::CREATE, read_write())
        .unwrap();
    let mut view = guest.view();
    let no_folder = view.create_directory_at(again(&file), "x".into());
    assert_eq!(code(no_folder), ErrorCode::NotDirectory);
    let follow = PathFlags::SYMLINK_FOLLOW;
    let followed = view.link_at(again(&root), follow, "d/f".into(), again(&root), "g".into());
    assert_eq!(code(followed), ErrorCode::Invalid);
    let keep = PathFlags::empty();
    view.link_at(again(&root), keep, "d/f".into(), again(&root), "g".into())
        .unwrap();
    view.rename_at(again(&root), "g".into(), again(&root), "d/h".into())
        .unwrap();
    let directory = guest
        .open(&root, "d", OpenFlags::DIRECTORY, DescriptorFlags::READ)
        .unwrap();
    let mut view = guest.view();
    let stream = view.read_directory(directory).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = view.read_directory_entry(again(&stream)).unwrap() {
        entries.push((entry.name, entry.type_));
    }
    assert!(view.read_directory_entry(again(&stream)).unwrap().is_none());
    HostDirectoryEntryStream::drop(&mut view, stream).unwrap();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let (directory, file) = (DescriptorType::Directory, DescriptorType::RegularFile);
    assert_eq!(
        entries,
        [
            ("e".into(), directory),
            ("f".into(), file),
            ("h".into(), file)
        ]
    );
    let full = view.remove_directory_at(again(&root), "d".into());
    assert_eq!(code(full), ErrorCode::NotEmpty);
    view.remove_directory_at(again(&root), "d/e".into())
        .unwrap();
    view.unlink_file_at(again(&root), "d/f".into()).unwrap();
    let missing = view.unlink_file_at(again(&root), "d/f".into());
    assert_eq!(code(missing), ErrorCode::NoEntry);
    let out = view.unlink_file_at(again(&root), "../x".into());
    assert_eq!(code(out), ErrorCode::NotPermitted);
}

/// Descriptors that a guest does not have are traps, not codes.
#[test]
fn foreign_descriptors_trap() {
    let mut guest = Guest::new();
    let missing: Resource<Descriptor> = Resource::new_borrow(12345);
    let trap = guest.view().stat(missing).unwrap_err().downcast();
    assert!(trap.unwrap_err().to_string().contains("not present"));
}

#[test]
fn a_guest_that_opens_too_much_gets_a_code() {
    let mut guest = Guest::new();
    guest.ctx.set_max_descriptors(2);
    let root = guest.root();
    let flags = DescriptorFlags::READ;
    let first = guest.open(&root, ".", OpenFlags::empty(), flags).unwrap();
    let _second = guest.view().read_directory(again(&root)).unwrap();
    let third = guest.open(&root, ".", OpenFlags::empty(), flags);
    assert_eq!(code(third), ErrorCode::InsufficientMemory);
    let third = guest.view().read_directory(again(&root)).map(|_| ());
    assert_eq!(code(third), ErrorCode::InsufficientMemory);
    HostDescriptor::drop(&mut guest.view(), first).unwrap();
    guest.open(&root, ".", OpenFlags::empty(), flags).unwrap();
}

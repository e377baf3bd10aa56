//! Limits against hostile guests, full disks, folders without rights.

use super::*;
use mintage_wasi::WasiCtxBuilder;
use mintage_wasi::filesystem::{FileInputStream, FileOutputStream, SetTime, SetTimes};
use mintage_wasi::io::{InputStream, OutputStream, StreamError};

#[test]
fn descriptors_and_streams_are_limited() {
    let files = MemoryFilesystem::new();
    files.write("a", b"abc").unwrap();
    let mut ctx = WasiFilesystemCtx::default();
    ctx.preopen(&files, "/", DirPerms::all(), FilePerms::all())
        .unwrap();
    ctx.set_max_descriptors(3);
    let base = ctx.preopens()[0].0.clone();
    let file = open_file(&base, "a", &READ_WRITE).unwrap();
    let stream = FileInputStream::new(&file, 0).unwrap();
    let listed = base.read_directory().unwrap();
    let full = Errno::TooManyFiles;
    assert_eq!(open_file(&base, "a", &READ).unwrap_err(), full);
    assert_eq!(open_directory(&base, ".").unwrap_err(), full);
    assert_eq!(FileInputStream::new(&file, 0).unwrap_err(), full);
    assert_eq!(FileOutputStream::write_at(&file, 0).unwrap_err(), full);
    assert_eq!(FileOutputStream::append(&file).unwrap_err(), full);
    assert_eq!(base.read_directory().unwrap_err(), full);
    // Operations that open nothing go on.
    base.stat_at("a", true).unwrap();
    assert_eq!(read(&file, 0, 3).unwrap(), b"abc");
    // A refused file is not created, either.
    assert_eq!(create(&base, "b", b""), Err(full));
    drop(listed);
    drop(stream);
    assert_eq!(base.stat_at("b", true), Err(Errno::NoEntry));
    // A copy of a descriptor is the same open file.
    let copy = file.clone();
    drop(file);
    let others = [
        open_file(&base, "a", &READ).unwrap(),
        open_file(&base, "a", &READ).unwrap(),
    ];
    assert_eq!(open_file(&base, "a", &READ).unwrap_err(), full);
    drop((copy, others));
    // Failed attempts take nothing.
    for _ in 0..10 {
        assert_eq!(
            open_file(&base, "missing", &READ).unwrap_err(),
            Errno::NoEntry
        );
    }
    for _ in 0..3 {
        std::mem::forget(open_file(&base, "a", &READ).unwrap());
    }
    assert_eq!(open_file(&base, "a", &READ).unwrap_err(), full);
}

#[test]
fn a_read_of_any_size_takes_little_memory() {
    let folder = folder();
    let file = std::fs::File::create(folder.path().join("large")).unwrap();
    file.set_len(1 << 40).unwrap();
    let base = preopen(&SystemFilesystem::open(folder.path()).unwrap());
    let file = open_file(&base, "large", &READ).unwrap();
    let mut stream = FileInputStream::new(&file, 0).unwrap();
    let bytes = stream.read(usize::MAX).unwrap();
    assert!((1..=64 << 10).contains(&bytes.len()));
    let available = stream.available(usize::MAX).unwrap().unwrap();
    assert!((1..=1 << 20).contains(&available));
    assert_eq!(stream.skip(usize::MAX).unwrap(), 64 << 10);
    // Also at the end of a file that is not there.
    let mut stream = FileInputStream::new(&file, u64::MAX).unwrap();
    assert!(stream.available(1 << 20).is_none());
    let error = stream.read(1 << 20).unwrap_err();
    assert!(
        matches!(error, StreamError::LastOperationFailed(_)),
        "{error}"
    );
    assert!(matches!(stream.read(1), Err(StreamError::Closed)));
}

#[test]
fn streams_of_files_end() {
    let files = MemoryFilesystem::new();
    files.write("a", vec![7; 10_000]).unwrap();
    let base = preopen(&files);
    let file = open_file(&base, "a", &READ_WRITE).unwrap();
    let mut stream = FileInputStream::new(&file, 1000).unwrap();
    assert_eq!(stream.read(0).unwrap().len(), 0);
    assert_eq!(stream.available(8000).unwrap().unwrap(), 8000);
    assert_eq!(stream.read_into(&mut [0; 8000]).unwrap(), 8000);
    assert_eq!(stream.available(8000).unwrap().unwrap(), 1000);
    assert_eq!(stream.read(8000).unwrap().len(), 1000);
    assert!(stream.available(8000).is_none());
    assert!(matches!(stream.read(8000), Err(StreamError::Closed)));
    assert!(matches!(stream.read(1), Err(StreamError::Closed)));
    let mut stream = FileOutputStream::write_at(&file, 9_998).unwrap();
    assert!(stream.check_write().unwrap() >= 4096);
    stream.write_from(b"abcd").unwrap();
    stream.write(b"ef".as_slice().into()).unwrap();
    stream.flush().unwrap();
    stream.write_zeroes(1).unwrap();
    FileOutputStream::append(&file)
        .unwrap()
        .write_from(b"end")
        .unwrap();
    assert_eq!(&files.read("a").unwrap()[9_997..], b"\x07abcdef\0end");
    let too_much = vec![0; (1 << 20) + 1];
    assert!(matches!(
        stream.write_from(&too_much),
        Err(StreamError::Trap(_))
    ));
}

/// The system's disk is full where everything written to it fails.
#[test]
fn a_full_disk() {
    let dev = preopen(&SystemFilesystem::open("/dev").unwrap());
    let full = open_file(&dev, "full", &WRITE).unwrap();
    assert_eq!(write(&full, 0, b"x"), Err(Errno::NoSpace));
    let mut stream = FileOutputStream::write_at(&full, 0).unwrap();
    let Err(StreamError::LastOperationFailed(error)) = stream.write_from(b"x") else {
        panic!("a write to a full disk worked");
    };
    assert_eq!(error.downcast_ref(), Some(&Errno::NoSpace));
    assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
    assert!(matches!(stream.write_from(b"x"), Err(StreamError::Closed)));
}

#[test]
fn folders_without_rights() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("f"), "abc").unwrap();
    std::os::unix::fs::symlink("f", folder.path().join("l")).unwrap();
    let system = SystemFilesystem::open(folder.path()).unwrap();
    let times = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    let denied = Errno::NotPermitted;
    type Change<'a> = &'a dyn Fn(&OpenDirectory) -> Result<(), Errno>;
    let changes: [Change<'_>; 14] = [
        &|base| create(base, "new", b""),
        &|base| open_file(base, "f", &WRITE).map(|_| ()),
        &|base| open_file(base, "f", &TRUNCATE).map(|_| ()),
        &|base| open_file(base, "f", &CREATE).map(|_| ()),
        &|base| base.create_directory("new"),
        &|base| base.remove_directory("d"),
        &|base| base.remove_file("f"),
        &|base| base.rename("f", base, "g"),
        &|base| base.link("f", base, "g"),
        &|base| base.create_symlink("f", "g"),
        &|base| base.set_times_at("f", true, &times),
        &|base| base.set_times_at("d", true, &times),
        &|base| base.set_times(&times),
        &|base| open_directory(base, "d")?.create_directory("new"),
    ];
    let read_only = preopen_with(&system, DirPerms::READ, FilePerms::READ);
    for (index, change) in changes.iter().enumerate() {
        assert_eq!(change(&read_only), Err(denied), "change {index}");
    }
    assert_eq!(contents(&read_only, "f").unwrap(), b"abc");
    assert_eq!(names(&read_only).unwrap(), ["d", "f", "l"]);
    assert!(!read_only.is_mutable());
    assert!(!open_directory(&read_only, "d").unwrap().is_mutable());
    let file = read_only.open("f", true, &READ, false).unwrap();
    assert_eq!(file.set_times(&times), Err(denied));
    assert_eq!(file.file().unwrap().set_size(0), Err(denied));
    assert_eq!(write(file.file().unwrap(), 0, b"x"), Err(denied));
    assert_eq!(
        FileOutputStream::append(file.file().unwrap()).unwrap_err(),
        denied
    );

    // Directories can be changed, files only read.
    let keep_files = preopen_with(&system, DirPerms::all(), FilePerms::READ);
    assert_eq!(open_file(&keep_files, "f", &WRITE).unwrap_err(), denied);
    assert_eq!(create(&keep_files, "new", b""), Err(denied));
    keep_files.create_directory("e").unwrap();
    keep_files.remove_directory("e").unwrap();

    // Files can be written, and not read.
    let write_only = preopen_with(&system, DirPerms::all(), FilePerms::WRITE);
    assert_eq!(open_file(&write_only, "f", &READ).unwrap_err(), denied);
    let file = open_file(&write_only, "f", &WRITE).unwrap();
    assert_eq!(write(&file, 0, b"ABC"), Ok(3));
    assert_eq!(read(&file, 0, 3), Err(denied));
    open_directory(&write_only, "d").unwrap();

    // Nothing can be looked at.
    let blind = preopen_with(&system, DirPerms::MUTATE, FilePerms::all());
    assert_eq!(open_file(&blind, "f", &READ).unwrap_err(), denied);
    assert_eq!(blind.stat_at("f", true), Err(denied));
    assert_eq!(blind.metadata_hash_at("f", true), Err(denied));
    assert_eq!(blind.read_link("l"), Err(denied));
    assert_eq!(blind.read_directory().unwrap_err(), denied);
    assert_eq!(blind.list(0, &mut |_| true), Err(denied));
    blind.create_directory("made").unwrap();
    assert_eq!(std::fs::read(folder.path().join("f")).unwrap(), b"ABC");
}

#[test]
fn folders_that_cannot_be_opened() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut builder = WasiCtxBuilder::new();
    for (name, reason) in [
        ("missing", "there is no such file or directory"),
        ("file", "it is not a directory"),
    ] {
        let path = folder.path().join(name);
        let result = builder.preopened_dir(&path, "/", DirPerms::all(), FilePerms::all());
        let message = format!("{:#}", result.err().unwrap());
        let expected = format!("cannot open the folder `{}`: {reason}", path.display());
        assert_eq!(message, expected);
    }
    builder
        .preopened_dir(folder.path(), "/a", DirPerms::all(), FilePerms::all())
        .unwrap()
        .preopened_dir(folder.path(), "/b", DirPerms::READ, FilePerms::READ)
        .unwrap();
    let mut ctx = builder.build();
    let paths: Vec<_> = ctx
        .filesystem()
        .preopens()
        .iter()
        .map(|(_, path)| &**path)
        .collect();
    assert_eq!(paths, ["/a", "/b"]);
}

//! What all file systems do alike: each test runs over the system's, with both ways to resolve
//! paths, and over the one in memory.

use super::*;
use mintage_wasi::filesystem::{
    Advice, CookieEntry, FileType, OpenOptions, SetTime, SetTimes, Sync,
};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Runs a test in an empty folder of each implementation.
fn each(test: impl Fn(&OpenDirectory, Implementation)) {
    for implementation in IMPLEMENTATIONS {
        let folder = folder();
        test(&implementation.open(folder.path()), implementation);
    }
}

#[test]
fn files_are_read_and_written_at_offsets() {
    each(|base, _| {
        let file = open_file(base, "a", &READ_CREATE).unwrap();
        assert_eq!(write(&file, 3, b"abc").unwrap(), 3);
        assert_eq!(read(&file, 0, 10).unwrap(), b"\0\0\0abc");
        assert_eq!(read(&file, 4, 1).unwrap(), b"b");
        assert_eq!(read(&file, 6, 10).unwrap(), b"");
        assert_eq!(read(&file, 1 << 40, 10).unwrap(), b"");
        assert_eq!(
            file.append(&[IoSlice::new(b"de"), IoSlice::new(b""), IoSlice::new(b"f")]),
            Ok(3)
        );
        let (mut first, mut second) = ([0; 4], [0; 10]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(file.read_at(&mut buffers, 2), Ok(7));
        assert_eq!((&first, &second[..3]), (b"\0abc", &b"def"[..]));
        assert_eq!(
            file.write_at(&[IoSlice::new(b"X"), IoSlice::new(b"YZ")], 0),
            Ok(3)
        );
        assert_eq!(read(&file, 0, 10).unwrap(), b"XYZabcdef");
        file.set_size(4).unwrap();
        file.set_size(6).unwrap();
        assert_eq!(read(&file, 0, 10).unwrap(), b"XYZa\0\0");
        assert_eq!(file.stat().unwrap().size, 6);
        assert_eq!(file.write_at(&[], 0), Ok(0));
        assert_eq!(file.read_at(&mut [], 0), Ok(0));
        file.advise(0, 0, Advice::Sequential).unwrap();
        file.allocate(0, 10).unwrap();
        assert_eq!(file.stat().unwrap().size, 10);
        let descriptor = base.open("a", true, &READ, false).unwrap();
        descriptor.sync(Sync::Data).unwrap();
        descriptor.sync(Sync::All).unwrap();
        open_directory(base, ".").unwrap();
        base.open(".", true, &DIRECTORY, false)
            .unwrap()
            .sync(Sync::All)
            .unwrap();
    });
}

#[test]
fn many_buffers_are_written_in_pieces() {
    each(|base, _| {
        let file = open_file(base, "a", &READ_CREATE).unwrap();
        let buffers = vec![IoSlice::new(b"ab"); 3000];
        let count = file.write_at(&buffers, 0).unwrap();
        assert!(count >= 2048 && count.is_multiple_of(2), "{count}");
        assert_eq!(file.append(&buffers).unwrap(), count);
        let mut storage = vec![[0_u8; 2]; 3000];
        let mut buffers: Vec<_> = storage
            .iter_mut()
            .map(|part| IoSliceMut::new(part))
            .collect();
        assert!(file.read_at(&mut buffers, 0).unwrap() >= 2048);
        assert_eq!(&storage[1023], b"ab");
    });
}

#[test]
fn offsets_and_sizes_that_files_cannot_have() {
    each(|base, implementation| {
        let file = open_file(base, "a", &READ_CREATE).unwrap();
        for offset in [1 << 63, u64::MAX - 1, u64::MAX] {
            assert_eq!(
                read(&file, offset, 1),
                Err(Errno::Invalid),
                "{implementation:?}"
            );
            assert_eq!(write(&file, offset, b"x"), Err(Errno::Invalid));
            assert_eq!(file.set_size(offset), Err(Errno::Invalid));
            let allocated = file.allocate(offset, offset);
            assert!(matches!(
                allocated,
                Err(Errno::Invalid | Errno::FileTooLarge)
            ));
        }
        assert_eq!(file.allocate(0, 0), Err(Errno::Invalid));
        let last = write(&file, (1 << 63) - 1, b"xy");
        let expected = matches!(
            last,
            Err(Errno::FileTooLarge | Errno::Invalid | Errno::Overflow)
        );
        assert!(expected, "{implementation:?}: {last:?}");
        assert_eq!(file.stat().unwrap().size, 0);
    });
}

#[test]
fn files_are_used_as_they_were_opened() {
    each(|base, _| {
        create(base, "a", b"abc").unwrap();
        let reader = open_file(base, "a", &READ).unwrap();
        assert!(reader.is_readable() && !reader.is_writable());
        assert_eq!(write(&reader, 0, b"x"), Err(Errno::BadDescriptor));
        assert_eq!(
            reader.append(&[IoSlice::new(b"x")]),
            Err(Errno::BadDescriptor)
        );
        assert_eq!(reader.allocate(0, 1), Err(Errno::BadDescriptor));
        assert_eq!(reader.set_size(0), Err(Errno::Invalid));
        let writer = open_file(base, "a", &WRITE).unwrap();
        assert!(!writer.is_readable() && writer.is_writable());
        assert_eq!(read(&writer, 0, 1), Err(Errno::BadDescriptor));
        // Opened for nothing is opened for reading, and truncating is writing.
        let nothing = open_file(base, "a", &OpenOptions::default()).unwrap();
        assert_eq!(read(&nothing, 0, 3).unwrap(), b"abc");
        let truncated = OpenOptions {
            truncate: true,
            ..READ
        };
        let truncated = open_file(base, "a", &truncated).unwrap();
        assert_eq!(write(&truncated, 0, b"z"), Ok(1));
        assert_eq!(contents(base, "a").unwrap(), b"z");
        let synced = OpenOptions {
            sync: Sync::All,
            ..WRITE
        };
        assert_eq!(
            open_file(base, "a", &synced).unwrap().sync_mode(),
            Sync::All
        );
    });
}

#[test]
fn opening_says_what_is_wrong() {
    each(|base, implementation| {
        base.create_directory("d").unwrap();
        create(base, "f", b"").unwrap();
        base.create_symlink("f", "l").unwrap();
        base.create_symlink("d", "ld").unwrap();
        let directory_and = |options: OpenOptions| OpenOptions {
            directory: true,
            ..options
        };
        let cases: &[(&str, bool, OpenOptions, Errno)] = &[
            ("missing", true, READ, Errno::NoEntry),
            ("missing/f", true, CREATE, Errno::NoEntry),
            ("f/x", true, READ, Errno::NotDirectory),
            ("f", true, DIRECTORY, Errno::NotDirectory),
            ("f", true, CREATE_NEW, Errno::Exist),
            ("d", true, CREATE_NEW, Errno::Exist),
            (".", true, CREATE_NEW, Errno::Exist),
            ("l", true, CREATE_NEW, Errno::Exist),
            ("d", true, WRITE, Errno::IsDirectory),
            ("d", true, CREATE, Errno::IsDirectory),
            ("d", true, TRUNCATE, Errno::IsDirectory),
            (".", true, WRITE, Errno::IsDirectory),
            ("d/.", true, CREATE, Errno::IsDirectory),
            ("l", false, READ, Errno::Loop),
            ("l", false, WRITE, Errno::Loop),
            ("l", true, DIRECTORY, Errno::NotDirectory),
            ("ld", false, DIRECTORY, Errno::NotDirectory),
            ("d", true, directory_and(CREATE), Errno::Invalid),
            ("new", true, directory_and(CREATE), Errno::Invalid),
            ("d", true, directory_and(TRUNCATE), Errno::Invalid),
        ];
        for (path, follow, options, expected) in cases {
            let result = base.open(path, *follow, options, false);
            let error = result.err();
            let context = format!("{implementation:?}: {path} {options:?}");
            assert_eq!(error, Some(*expected), "{context}");
        }
        assert!(base.open("ld", true, &DIRECTORY, false).is_ok());
        assert!(base.open("ld/", false, &READ, false).is_ok());
        assert_eq!(
            base.open("l", true, &READ, false).unwrap().kind(),
            Ok(FileType::RegularFile)
        );
        let file = base.open("f", true, &READ, false).unwrap();
        assert_eq!(file.directory().unwrap_err(), Errno::NotDirectory);
        let directory = base.open("d", true, &READ, true).unwrap();
        assert_eq!(directory.file().unwrap_err(), Errno::BadDescriptor);
        assert!(directory.directory().unwrap().is_mutable());
    });
}

#[test]
fn directories_are_made_and_removed() {
    each(|base, _| {
        base.create_directory("d").unwrap();
        base.create_directory("d/e/").unwrap();
        create(base, "f", b"").unwrap();
        assert_eq!(base.create_directory("d"), Err(Errno::Exist));
        assert_eq!(base.create_directory("f"), Err(Errno::Exist));
        assert_eq!(base.create_directory("f/x"), Err(Errno::NotDirectory));
        assert_eq!(base.create_directory("x/y"), Err(Errno::NoEntry));
        assert_eq!(base.remove_directory("d"), Err(Errno::NotEmpty));
        assert_eq!(base.remove_directory("f"), Err(Errno::NotDirectory));
        assert_eq!(base.remove_directory("x"), Err(Errno::NoEntry));
        assert_eq!(base.remove_file("d"), Err(Errno::IsDirectory));
        assert_eq!(base.remove_file("d/"), Err(Errno::IsDirectory));
        assert_eq!(base.remove_file("x"), Err(Errno::NoEntry));
        let removed = open_directory(base, "d/e").unwrap();
        base.remove_directory("d/e/").unwrap();
        base.remove_directory("d").unwrap();
        base.remove_file("f").unwrap();
        assert_eq!(names(base).unwrap(), [""; 0]);
        // A removed directory has nothing in it, and gets nothing.
        assert_eq!(removed.create_directory("x"), Err(Errno::NoEntry));
        assert_eq!(create(&removed, "x", b""), Err(Errno::NoEntry));
    });
}

#[test]
fn renaming_replaces_what_can_be_replaced() {
    each(|base, implementation| {
        for directory in ["d", "d/sub", "e", "full"] {
            base.create_directory(directory).unwrap();
        }
        for file in ["f", "g", "full/x"] {
            create(base, file, file.as_bytes()).unwrap();
        }
        let cases = [
            ("f", "d", Errno::IsDirectory),
            ("d", "f", Errno::NotDirectory),
            ("d", "full", Errno::NotEmpty),
            ("d", "d/sub/d", Errno::Invalid),
            ("d", "d/x", Errno::Invalid),
            ("missing", "x", Errno::NoEntry),
            ("f", "missing/x", Errno::NoEntry),
            ("f", "g/x", Errno::NotDirectory),
            ("f", "x/", Errno::NotDirectory),
            ("f/", "x", Errno::NotDirectory),
        ];
        for (from, to, expected) in cases {
            let result = base.rename(from, base, to);
            assert_eq!(result, Err(expected), "{implementation:?}: {from} to {to}");
        }
        base.rename("f", base, "g").unwrap();
        assert_eq!(contents(base, "g").unwrap(), b"f");
        base.rename("g", base, "d/sub/g").unwrap();
        base.rename("d/", base, "e/").unwrap();
        assert_eq!(contents(base, "e/sub/g").unwrap(), b"f");
        base.rename("e", base, "e").unwrap();
        // Two names of one file: nothing happens.
        base.link("e/sub/g", base, "h").unwrap();
        base.rename("h", base, "e/sub/g").unwrap();
        assert_eq!(names(base).unwrap(), ["e", "full", "h"]);
        // `..` of a directory that has moved is its new parent.
        let sub = open_directory(base, "e/sub").unwrap();
        base.rename("e/sub", base, "full/sub").unwrap();
        assert_eq!(contents(base, "full/sub/../x").unwrap(), b"full/x");
        assert_eq!(contents(&sub, "g").unwrap(), b"f");
    });
}

#[test]
fn links_are_counted() {
    each(|base, _| {
        create(base, "a", b"abc").unwrap();
        base.link("a", base, "b").unwrap();
        assert_eq!(base.link("a", base, "b"), Err(Errno::Exist));
        assert_eq!(base.link("x", base, "c"), Err(Errno::NoEntry));
        let (a, b) = (
            base.stat_at("a", true).unwrap(),
            base.stat_at("b", true).unwrap(),
        );
        assert_eq!((a.links, b.links), (2, 2));
        assert!(a.is_same_object(&b));
        assert_eq!(a.metadata_hash(), base.metadata_hash_at("b", true).unwrap());
        create(base, "c", b"").unwrap();
        let c = base.stat_at("c", true).unwrap();
        assert!(!a.is_same_object(&c));
        assert_ne!(a.metadata_hash(), c.metadata_hash());
        let open = open_file(base, "a", &READ).unwrap();
        base.remove_file("a").unwrap();
        base.remove_file("b").unwrap();
        assert_eq!(open.stat().unwrap().links, 0);
        assert_eq!(read(&open, 0, 10).unwrap(), b"abc");
    });
}

#[test]
fn symbolic_links_are_objects() {
    each(|base, _| {
        base.create_symlink("../x/./y", "l").unwrap();
        assert_eq!(base.read_link("l").unwrap(), "../x/./y");
        let stat = base.stat_at("l", false).unwrap();
        assert_eq!((stat.kind, stat.size), (FileType::SymbolicLink, 8));
        assert_eq!(base.create_symlink("z", "l"), Err(Errno::Exist));
        base.link("l", base, "m").unwrap();
        assert_eq!(base.read_link("m").unwrap(), "../x/./y");
        create(base, "f", b"").unwrap();
        assert_eq!(base.read_link("f"), Err(Errno::Invalid));
        assert_eq!(base.read_link("x"), Err(Errno::NoEntry));
        base.create_symlink("missing", "n").unwrap();
        assert_eq!(base.stat_at("n", true), Err(Errno::NoEntry));
        assert_eq!(base.stat_at("n/", false), Err(Errno::NoEntry));
        base.remove_file("n").unwrap();
    });
}

#[test]
fn timestamps_are_set_and_kept() {
    let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let old = UNIX_EPOCH - Duration::new(5, 7);
    each(|base, implementation| {
        create(base, "f", b"").unwrap();
        base.create_directory("d").unwrap();
        base.create_symlink("f", "l").unwrap();
        let set = |accessed, modified| SetTimes { accessed, modified };
        let times = |path: &str, follow| {
            let stat = base.stat_at(path, follow).unwrap();
            (stat.accessed.unwrap(), stat.modified.unwrap())
        };
        let first = set(SetTime::To(time(1000)), SetTime::To(old));
        base.set_times_at("l", true, &first).unwrap();
        assert_eq!(times("f", true), (time(1000), old), "{implementation:?}");
        assert!(times("l", false).1 > time(1000), "the link is not followed");
        base.set_times_at("l", false, &set(SetTime::Keep, SetTime::To(time(7))))
            .unwrap();
        assert_eq!(times("l", false).1, time(7));
        assert_eq!(times("f", true), (time(1000), old));
        let before = SystemTime::now() - Duration::from_secs(10);
        base.set_times_at("f", true, &set(SetTime::Now, SetTime::Keep))
            .unwrap();
        assert!(times("f", true).0 > before && times("f", true).1 == old);
        for path in ["d", "d/."] {
            base.set_times_at(path, true, &set(SetTime::To(time(9)), SetTime::Keep))
                .unwrap();
            assert_eq!(times("d", true).0, time(9));
            base.set_times_at("d", true, &set(SetTime::To(time(1)), SetTime::Keep))
                .unwrap();
        }
        for (path, options) in [("f", READ), ("d", DIRECTORY)] {
            let opened = base.open(path, true, &options, false).unwrap();
            opened
                .set_times(&set(SetTime::To(time(3)), SetTime::To(time(4))))
                .unwrap();
            assert_eq!(times(path, true), (time(3), time(4)));
        }
        let result = base.set_times_at("missing", true, &first);
        assert_eq!(result, Err(Errno::NoEntry));
    });
}

#[test]
fn entries_are_listed_once_while_others_come_and_go() {
    // Once more on the file system of temporary files, which is not one in memory.
    let on_disk = TempDir::new().unwrap();
    list_while_changing(&IMPLEMENTATIONS[0].open(on_disk.path()), IMPLEMENTATIONS[0]);
    each(list_while_changing);
}

fn list_while_changing(base: &OpenDirectory, implementation: Implementation) {
    let stays: BTreeSet<_> = (0..600).map(|index| format!("stays-{index}")).collect();
    for name in &stays {
        create(base, name, b"").unwrap();
        create(base, &format!("goes-{name}"), b"").unwrap();
    }
    let mut stream = base.read_directory().unwrap();
    let mut seen = Vec::new();
    let mut going = stays.iter();
    while let Some((kind, name)) = stream.next_entry().unwrap() {
        assert_eq!(kind, FileType::RegularFile);
        seen.extend(name.starts_with("stays").then_some(name));
        if let Some(name) = going.next() {
            base.remove_file(&format!("goes-{name}")).unwrap();
            create(base, &format!("came-{name}"), b"").unwrap();
        }
    }
    assert_eq!(stream.next_entry().unwrap(), None);
    assert_eq!(seen.len(), stays.len(), "{implementation:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), stays);
}

#[test]
fn cookies_lead_back_to_entries() {
    each(|base, implementation| {
        base.create_directory("d").unwrap();
        for index in 0..300 {
            create(base, &format!("d/{index}"), b"").unwrap();
        }
        create(base, "d/link", b"").unwrap();
        let directory = open_directory(base, "d").unwrap();
        let list = |cookie, max: usize| {
            let mut entries = Vec::new();
            let result = directory.list(cookie, &mut |entry: CookieEntry<'_>| {
                entries.push((entry.name.to_owned(), entry.next, entry.kind, entry.hash));
                entries.len() < max
            });
            result.map(|()| entries)
        };
        let all = list(0, usize::MAX).unwrap();
        assert_eq!(all.len(), 303);
        assert_eq!((&*all[0].0, &*all[1].0), (".", ".."));
        assert_eq!(all[0].2, FileType::Directory);
        assert_eq!(all[0].3, directory.stat().unwrap().metadata_hash());
        for (index, (name, next, ..)) in all.iter().enumerate() {
            let after = list(*next, 1).unwrap();
            assert_eq!(
                after.first(),
                all.get(index + 1),
                "{implementation:?}: after {name}"
            );
        }
        for (name, _, kind, hash) in &all[2..] {
            let stat = directory.stat_at(name, false).unwrap();
            assert_eq!((*kind, *hash), (stat.kind, stat.metadata_hash()));
        }
        // One at a time, while all that were seen are removed.
        let (mut cookie, mut seen) = (0, Vec::new());
        while let [(name, next, ..)] = &list(cookie, 1).unwrap()[..] {
            cookie = *next;
            if !name.starts_with('.') {
                directory.remove_file(name).unwrap();
            }
            seen.push(name.clone());
        }
        let expected: Vec<_> = all.iter().map(|(name, ..)| name.clone()).collect();
        assert_eq!(seen, expected, "{implementation:?}");
        assert_eq!(list(all[302].1 + 1, 1).unwrap(), []);
        assert_eq!(list(5, 1).unwrap(), []);
        assert_ne!(all[302].1, u64::MAX);
        // Cookies that never were are harmless.
        for cookie in [3, 999_999, u64::MAX, u64::MAX / 2, 1 << 62 | 1] {
            let _ = list(cookie, 10);
        }
    });
}

#[test]
fn kinds_of_the_system() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let folder = folder();
    mkfifoat(CWD, folder.path().join("fifo"), Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    for resolution in [PathResolution::Beneath, PathResolution::Walk] {
        let base = preopen(&SystemFilesystem::open_with(folder.path(), resolution).unwrap());
        assert_eq!(base.stat_at("fifo", true).unwrap().kind, FileType::Fifo);
        assert_eq!(base.stat_at("socket", true).unwrap().kind, FileType::Socket);
        // Opening a named pipe does not wait for its other end.
        let fifo = open_file(&base, "fifo", &READ).unwrap();
        assert_eq!(read(&fifo, 0, 1), Err(Errno::InvalidSeek));
        drop(fifo);
        assert_eq!(
            open_file(&base, "fifo", &WRITE).unwrap_err(),
            Errno::NoSuchDevice
        );
        assert_eq!(
            open_file(&base, "socket", &READ).unwrap_err(),
            Errno::NoSuchDevice
        );
        let dev = preopen(&SystemFilesystem::open_with("/dev", resolution).unwrap());
        let null = dev.open("null", true, &READ, false).unwrap();
        assert_eq!(null.kind(), Ok(FileType::CharacterDevice));
        let mut stream = base.read_directory().unwrap();
        let mut kinds = [stream.next_entry(), stream.next_entry()];
        kinds.sort_by_key(|entry| entry.as_ref().unwrap().as_ref().unwrap().1.clone());
        let kinds = kinds.map(|entry| entry.unwrap().unwrap().0);
        assert_eq!(kinds, [FileType::Fifo, FileType::Socket]);
    }
}

//! The file system in memory: its limits, how it is filled, several guests at a time.

use super::*;
use mintage_wasi::filesystem::{FileType, SetTime, SetTimes};
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn bytes_are_limited() {
    let files = MemoryFilesystem::builder().max_bytes(100).build();
    let base = preopen(&files);
    let file = open_file(&base, "f", &READ_CREATE).unwrap();
    // As much is written as there is room for. The name has taken one byte.
    assert_eq!(write(&file, 0, &[1; 200]), Ok(99));
    assert_eq!(files.used_bytes(), 100);
    assert_eq!(write(&file, 99, b"x"), Err(Errno::NoSpace));
    assert_eq!(file.append(&[IoSlice::new(b"x")]), Err(Errno::NoSpace));
    assert_eq!(write(&file, 1 << 40, b"x"), Err(Errno::NoSpace));
    assert_eq!(file.set_size(100), Err(Errno::NoSpace));
    assert_eq!(file.set_size(1 << 62), Err(Errno::NoSpace));
    assert_eq!(file.allocate(0, 1 << 62), Err(Errno::NoSpace));
    assert_eq!(
        write(&file, 0, &[2; 99]),
        Ok(99),
        "what is there can be replaced"
    );
    assert_eq!(base.create_directory("d"), Err(Errno::NoSpace));
    assert_eq!(base.create_symlink("target", "l"), Err(Errno::NoSpace));
    assert_eq!(create(&base, "g", b""), Err(Errno::NoSpace));
    assert_eq!(base.link("f", &base, "g"), Err(Errno::NoSpace));
    assert_eq!(base.rename("f", &base, "longer"), Err(Errno::NoSpace));
    assert_eq!(names(&base).unwrap(), ["f"], "what failed has left nothing");
    assert_eq!(files.used_nodes(), 1);
    file.set_size(10).unwrap();
    assert_eq!(files.used_bytes(), 11);
    base.create_symlink("target", "l").unwrap();
    assert_eq!(files.used_bytes(), 18);
    base.remove_file("l").unwrap();
    base.rename("f", &base, "longer").unwrap();
    assert_eq!(files.used_bytes(), 16);
    // The bytes of an open file are in use until it is closed.
    base.remove_file("longer").unwrap();
    assert_eq!(files.used_bytes(), 10);
    drop(file);
    assert_eq!((files.used_bytes(), files.used_nodes()), (0, 0));
}

/// Parts of a file that were never written take no memory and no time.
#[test]
fn long_files_are_sparse() {
    let files = MemoryFilesystem::builder().max_bytes(1 << 50).build();
    let base = preopen(&files);
    let file = open_file(&base, "f", &READ_CREATE).unwrap();
    file.set_size(1 << 40).unwrap();
    assert_eq!(read(&file, 1 << 39, 3).unwrap(), [0; 3]);
    // Over the bounds of chunks, in random order, compared with a plain vector.
    let mut expected = vec![0; 400_000];
    file.set_size(400_000).unwrap();
    let mut random = 1_u64;
    for step in 0..2000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let start = (random >> 33) as usize % 390_000;
        let len = (random >> 20) as usize % 10_000;
        match step % 5 {
            0 if step % 50 == 0 => {
                file.set_size(start as u64).unwrap();
                file.set_size(400_000).unwrap();
                expected[start..].fill(0);
            }
            0..3 => {
                let bytes = vec![step as u8; len];
                let (first, second) = bytes.split_at(len / 3);
                let buffers = [IoSlice::new(first), IoSlice::new(second)];
                assert_eq!(file.write_at(&buffers, start as u64), Ok(len));
                expected[start..start + len].copy_from_slice(&bytes);
            }
            _ => {
                let bytes = read(&file, start as u64, len).unwrap();
                assert_eq!(bytes, expected[start..start + len], "step {step}");
            }
        }
    }
    assert_eq!(read(&file, 0, 500_000).unwrap(), expected);
    assert_eq!(files.used_bytes(), 400_001);
    file.set_size(0).unwrap();
    file.set_size(10).unwrap();
    assert_eq!(read(&file, 0, 20).unwrap(), [0; 10]);
}

#[test]
fn nodes_are_limited() {
    let files = MemoryFilesystem::builder().max_nodes(3).build();
    let base = preopen(&files);
    base.create_directory("d").unwrap();
    create(&base, "d/f", b"").unwrap();
    base.create_symlink("x", "l").unwrap();
    assert_eq!(base.create_directory("e"), Err(Errno::NoSpace));
    assert_eq!(create(&base, "g", b""), Err(Errno::NoSpace));
    assert_eq!(base.create_symlink("x", "m"), Err(Errno::NoSpace));
    // A second name is no second file.
    base.link("d/f", &base, "f").unwrap();
    assert_eq!(files.used_nodes(), 3);
    base.remove_file("f").unwrap();
    base.rename("d/f", &base, "l").unwrap();
    assert_eq!(files.used_nodes(), 2, "the link was replaced");
    base.remove_directory("d").unwrap();
    base.remove_file("l").unwrap();
    assert_eq!((files.used_bytes(), files.used_nodes()), (0, 0));
}

#[test]
fn nothing_changes_when_it_is_read_only() {
    let files = MemoryFilesystem::new();
    files.write("d/f", b"abc").unwrap();
    let base = preopen(&files);
    let open = open_file(&base, "d/f", &WRITE).unwrap();
    files.set_read_only(true);
    let times = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    let results = [
        write(&open, 0, b"x").map(|_| ()),
        open.append(&[IoSlice::new(b"x")]).map(|_| ()),
        open.set_size(0),
        open.allocate(0, 10),
        open.set_times(&times),
        open_file(&base, "d/f", &WRITE).map(|_| ()),
        open_file(&base, "d/f", &TRUNCATE).map(|_| ()),
        create(&base, "g", b""),
        base.create_directory("e"),
        base.remove_directory("d"),
        base.remove_file("d/f"),
        base.rename("d/f", &base, "g"),
        base.link("d/f", &base, "g"),
        base.create_symlink("x", "g"),
        base.set_times_at("d/f", true, &times),
        base.set_times_at("d", true, &times),
        files.write("g", b"").map(|_| ()),
    ];
    for (index, result) in results.into_iter().enumerate() {
        assert_eq!(result, Err(Errno::ReadOnly), "{index}");
    }
    assert_eq!(contents(&base, "d/f").unwrap(), b"abc");
    files.set_read_only(false);
    assert_eq!(write(&open, 0, b"x"), Ok(1));
}

#[test]
fn the_host_reads_and_writes_by_path() {
    let files = MemoryFilesystem::new();
    files.write("/a/b/c.txt", b"1").unwrap();
    files.write("a/b/c.txt", b"").unwrap();
    files.create_directory("a/b/").unwrap();
    files.create_directory("").unwrap();
    assert_eq!(files.read("//a/b/c.txt").unwrap(), b"");
    assert_eq!(files.read("a"), Err(Errno::IsDirectory));
    assert_eq!(files.read("x"), Err(Errno::NoEntry));
    assert_eq!(files.write("a/b/c.txt/d", b""), Err(Errno::NotDirectory));
    assert_eq!(files.write("../x", b""), Err(Errno::NotPermitted));
    assert_eq!(
        files.create_directory("a/../../x"),
        Err(Errno::NotPermitted)
    );
    // Copies are the same file system; others are not.
    let copy = files.clone();
    copy.write("new", b"2").unwrap();
    assert_eq!(files.read("new").unwrap(), b"2");
    let (base, other) = (preopen(&files), preopen(&MemoryFilesystem::new()));
    assert_eq!(base.rename("new", &other, "new"), Err(Errno::CrossDevice));
    assert!(!base.stat().unwrap().is_same_object(&other.stat().unwrap()));
    assert!(
        base.stat()
            .unwrap()
            .is_same_object(&preopen(&copy).stat().unwrap())
    );
}

#[test]
fn folders_are_copied() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("d/empty")).unwrap();
    std::fs::write(path("d/f"), vec![9; 200_000]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path("out")).unwrap();
    std::os::unix::fs::symlink("d/f", path("in")).unwrap();
    let modified = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(path("d/f"))
        .unwrap();
    file.set_modified(modified).unwrap();
    let files = MemoryFilesystem::new();
    files.add_folder(folder.path(), "/copy/of").unwrap();
    let base = preopen(&files);
    assert_eq!(files.read("copy/of/in").unwrap(), vec![9; 200_000]);
    assert_eq!(
        names(&open_directory(&base, "copy/of/d/empty").unwrap()).unwrap(),
        [""; 0]
    );
    let stat = base.stat_at("copy/of/d/f", true).unwrap();
    assert_eq!(stat.modified, Some(modified));
    assert_eq!(base.read_link("copy/of/out").unwrap(), "/etc/passwd");
    assert_eq!(contents(&base, "copy/of/out"), Err(Errno::NotPermitted));
    // A folder that does not fit, and one that is not there.
    let small = MemoryFilesystem::builder().max_bytes(1000).build();
    let message = small
        .add_folder(folder.path(), "/")
        .unwrap_err()
        .to_string();
    let expected = format!(
        "cannot copy `{}` to the file system in memory",
        path("d/f").display()
    );
    assert!(
        message.starts_with(&expected) && message.contains("space"),
        "{message}"
    );
    let message = small
        .add_folder(path("missing"), "/")
        .unwrap_err()
        .to_string();
    assert!(message.contains("missing"), "{message}");
}

#[test]
fn archives_are_unpacked() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, link: Option<&str>, contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(contents.len() as u64);
        header.set_mtime(1_000_000);
        header.set_mode(0o644);
        match link {
            Some(link) => archive.append_link(&mut header, path, link).unwrap(),
            None => archive.append_data(&mut header, path, contents).unwrap(),
        }
    };
    let long = format!("{}/file", "long/".repeat(60));
    add(tar::EntryType::Directory, "d/", None, b"");
    add(tar::EntryType::Regular, "d/f", None, b"abc");
    add(tar::EntryType::Regular, &long, None, b"deep");
    add(tar::EntryType::Symlink, "l", Some("d/f"), b"");
    add(tar::EntryType::Link, "h", Some("d/f"), b"");
    add(tar::EntryType::Fifo, "fifo", None, b"");
    let bytes = archive.into_inner().unwrap();
    let files = MemoryFilesystem::new();
    files.add_tar(&*bytes, "from/tar").unwrap();
    assert_eq!(files.read("from/tar/l").unwrap(), b"abc");
    assert_eq!(files.read(&format!("from/tar/{long}")).unwrap(), b"deep");
    let base = preopen(&files);
    let stat = base.stat_at("from/tar/h", false).unwrap();
    assert_eq!(
        (stat.kind, stat.links, stat.size),
        (FileType::RegularFile, 2, 3)
    );
    assert_eq!(
        stat.modified,
        Some(UNIX_EPOCH + Duration::from_secs(1_000_000))
    );
    assert_eq!(base.stat_at("from/tar/fifo", false), Err(Errno::NoEntry));
    // Twice is no error: files are replaced. Links are not.
    let message = files.add_tar(&*bytes, "from/tar").unwrap_err().to_string();
    assert!(message.contains("`l`"), "{message}");
    // Damage, and what does not fit.
    let message = files.add_tar(&bytes[..700], "x").unwrap_err().to_string();
    assert!(
        message.contains("archive") || message.contains("`d/f`"),
        "{message}"
    );
    assert!(files.add_tar(&[0xff; 1024][..], "x").is_err());
    let small = MemoryFilesystem::builder().max_nodes(3).build();
    let message = small.add_tar(&*bytes, "/").unwrap_err().to_string();
    assert!(message.contains("space"), "{message}");
}

/// Paths in archives that lead out, which the crate that writes archives refuses to make.
#[test]
fn archives_do_not_lead_out() {
    for (path, link) in [("../evil", ""), ("d/../../evil", ""), ("h", "../../secret")] {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(match link {
            "" => tar::EntryType::Regular,
            _ => tar::EntryType::Link,
        });
        header.set_size(0);
        header.set_mtime(0);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &b""[..]).unwrap();
        let files = MemoryFilesystem::new();
        let result = files.add_tar(&*archive.into_inner().unwrap(), "/in");
        let message = result.unwrap_err().to_string();
        assert!(message.contains("not permitted"), "{message}");
        assert_eq!(names(&preopen(&files)).unwrap(), ["in"]);
    }
}

#[test]
fn guests_of_several_threads_share_it() {
    let files = MemoryFilesystem::new();
    files.create_directory("from").unwrap();
    files.create_directory("to").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let base = preopen(&files);
            scope.spawn(move || {
                for index in 0..200 {
                    let name = format!("{thread}-{index}");
                    create(&base, &format!("from/{name}"), name.as_bytes()).unwrap();
                    base.rename(&format!("from/{name}"), &base, &format!("to/{name}"))
                        .unwrap();
                    let shared = open_file(&base, "shared", &CREATE).unwrap();
                    shared.append(&[IoSlice::new(b"x")]).unwrap();
                    names(&open_directory(&base, "to").unwrap()).unwrap();
                }
            });
        }
    });
    let base = preopen(&files);
    assert_eq!(
        names(&open_directory(&base, "to").unwrap()).unwrap().len(),
        800
    );
    assert_eq!(
        names(&open_directory(&base, "from").unwrap()).unwrap(),
        [""; 0]
    );
    assert_eq!(files.read("shared").unwrap(), vec![b'x'; 800]);
}

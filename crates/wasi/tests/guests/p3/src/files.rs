//! Programs that use files.

use crate::{join, say};
use wasip3::clocks::system_clock::Instant;
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_stream;

fn root() -> Descriptor {
    let mut folders = preopens::get_directories();
    let (folder, path) = folders.remove(0);
    assert_eq!(path, "/files");
    folder
}

async fn open(
    folder: &Descriptor,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    folder
        .open_at(PathFlags::empty(), path.into(), open, flags)
        .await
}

async fn write(file: &Descriptor, offset: Option<u64>, bytes: &[u8]) -> Result<(), ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    let ended = match offset {
        Some(offset) => file.write_via_stream(reader, offset),
        None => file.append_via_stream(reader),
    };
    let bytes = bytes.to_vec();
    let write = async move {
        writer.write_all(bytes).await;
        drop(writer);
    };
    join(ended.into_future(), write).await.0
}

async fn read(file: &Descriptor, offset: u64) -> Result<Vec<u8>, ErrorCode> {
    let (reader, ended) = file.read_via_stream(offset);
    let bytes = reader.collect().await;
    ended.await.map(|()| bytes)
}

async fn list(folder: &Descriptor) -> Vec<(DescriptorType, String)> {
    let (mut reader, ended) = folder.read_directory();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().await {
        entries.push((entry.type_, entry.name));
    }
    ended.await.unwrap();
    entries.sort_by(|one, other| one.1.cmp(&other.1));
    entries
}

/// Does everything that there is to do with files.
pub async fn all() {
    let root = root();
    let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open(&root, "a.txt", OpenFlags::CREATE, both).await.unwrap();
    write(&file, Some(0), b"some text").await.unwrap();
    write(&file, Some(5), b"more text").await.unwrap();
    write(&file, None, b", at the end").await.unwrap();
    assert_eq!(read(&file, 0).await.unwrap(), b"some more text, at the end");
    assert_eq!(read(&file, 22).await.unwrap(), b" end");
    assert_eq!(read(&file, 1000).await.unwrap(), b"");
    let large: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    write(&file, Some(0), &large).await.unwrap();
    assert_eq!(read(&file, 0).await.unwrap(), large);
    file.set_size(4).await.unwrap();
    assert_eq!(read(&file, 0).await.unwrap(), large[..4]);
    file.sync().await.unwrap();
    file.sync_data().await.unwrap();
    assert!(matches!(
        file.get_type().await,
        Ok(DescriptorType::RegularFile)
    ));
    assert!(matches!(
        root.get_type().await,
        Ok(DescriptorType::Directory)
    ));
    assert_eq!(file.get_flags().await.unwrap(), both);

    let at = |seconds| {
        NewTimestamp::Timestamp(Instant {
            seconds,
            nanoseconds: 500,
        })
    };
    file.set_times(at(1000), at(-1000)).await.unwrap();
    let stat = file.stat().await.unwrap();
    assert_eq!(stat.size, 4);
    let accessed = stat.data_access_timestamp.unwrap();
    assert_eq!((accessed.seconds, accessed.nanoseconds), (1000, 500));
    let modified = stat.data_modification_timestamp.unwrap();
    assert_eq!((modified.seconds, modified.nanoseconds), (-1000, 500));
    root.set_times_at(
        PathFlags::empty(),
        "a.txt".into(),
        NewTimestamp::NoChange,
        at(7),
    )
    .await
    .unwrap();
    let stat = root
        .stat_at(PathFlags::empty(), "a.txt".into())
        .await
        .unwrap();
    assert_eq!(stat.data_modification_timestamp.unwrap().seconds, 7);

    root.create_directory_at("folder".into()).await.unwrap();
    let exists = root.create_directory_at("folder".into()).await;
    assert!(matches!(exists, Err(ErrorCode::Exist)));
    let folder = open(&root, "folder", OpenFlags::DIRECTORY, DescriptorFlags::READ)
        .await
        .unwrap();
    root.link_at(PathFlags::empty(), "a.txt".into(), &folder, "linked".into())
        .await
        .unwrap();
    root.symlink_at("a.txt".into(), "symbolic".into())
        .await
        .unwrap();
    assert_eq!(root.readlink_at("symbolic".into()).await.unwrap(), "a.txt");
    root.rename_at("a.txt".into(), &folder, "moved".into())
        .await
        .unwrap();
    let entries = list(&folder).await;
    let names: Vec<&str> = entries.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["linked", "moved"]);
    assert!(matches!(entries[0].0, DescriptorType::RegularFile));
    assert!(matches!(
        list(&root).await[1].0,
        DescriptorType::SymbolicLink
    ));
    let moved = open(&folder, "moved", OpenFlags::empty(), DescriptorFlags::READ)
        .await
        .unwrap();
    assert!(file.is_same_object(&moved).await);
    assert!(!file.is_same_object(&folder).await);
    let (one, other) = (
        file.metadata_hash().await.unwrap(),
        moved.metadata_hash().await.unwrap(),
    );
    assert_eq!((one.lower, one.upper), (other.lower, other.upper));
    let hash = folder
        .metadata_hash_at(PathFlags::empty(), "linked".into())
        .await
        .unwrap();
    assert_eq!(hash.lower, one.lower);

    // Errors.
    let missing = open(&root, "missing", OpenFlags::empty(), DescriptorFlags::READ).await;
    assert!(matches!(missing, Err(ErrorCode::NoEntry)));
    let outside = open(&root, "../x", OpenFlags::empty(), DescriptorFlags::READ).await;
    assert!(matches!(outside, Err(ErrorCode::NotPermitted)));
    assert!(matches!(
        read(&folder, 0).await,
        Err(ErrorCode::IsDirectory)
    ));
    assert!(matches!(
        write(&folder, None, b"x").await,
        Err(ErrorCode::BadDescriptor)
    ));
    assert!(matches!(
        write(&moved, Some(0), b"x").await,
        Err(ErrorCode::BadDescriptor)
    ));
    let (reader, ended) = file.read_directory();
    assert!(reader.collect().await.is_empty());
    assert!(matches!(ended.await, Err(ErrorCode::NotDirectory)));
    let full = root.remove_directory_at("folder".into()).await;
    assert!(matches!(full, Err(ErrorCode::NotEmpty)));
    folder.unlink_file_at("linked".into()).await.unwrap();
    folder.unlink_file_at("moved".into()).await.unwrap();
    root.unlink_file_at("symbolic".into()).await.unwrap();
    root.remove_directory_at("folder".into()).await.unwrap();

    // A stream that is dropped early ends well, and one of a file that is dropped goes on.
    let file = open(&root, "b.txt", OpenFlags::CREATE, both).await.unwrap();
    write(&file, Some(0), &large).await.unwrap();
    let (mut reader, ended) = file.read_via_stream(1);
    assert_eq!(reader.next().await, Some(1));
    drop(reader);
    ended.await.unwrap();
    let (reader, ended) = file.read_via_stream(299_990);
    drop(file);
    assert_eq!(reader.collect().await, large[299_990..]);
    ended.await.unwrap();
    let (result, _) = open(&root, "b.txt", OpenFlags::empty(), DescriptorFlags::READ)
        .await
        .unwrap()
        .read_via_stream(0)
        .0
        .read(Vec::new())
        .await;
    assert_eq!(result, StreamResult::Complete(0));
    say("all\n").await;
}

/// Reads a file by one read as large as it likes.
pub async fn read_once(size: &str) {
    let file = open(&root(), "large", OpenFlags::empty(), DescriptorFlags::READ)
        .await
        .unwrap();
    let (mut reader, _ended) = file.read_via_stream(0);
    let (_, bytes) = reader.read(Vec::with_capacity(size.parse().unwrap())).await;
    assert!(bytes.iter().all(|byte| *byte == 0));
    say(format!("{}\n", bytes.len())).await;
}

/// Finds that it may not write.
pub async fn read_only() {
    let root = root();
    let write_file = open(&root, "file", OpenFlags::CREATE, DescriptorFlags::WRITE).await;
    assert!(matches!(write_file, Err(ErrorCode::NotPermitted)));
    let file = open(&root, "file", OpenFlags::empty(), DescriptorFlags::READ)
        .await
        .unwrap();
    assert!(matches!(
        write(&file, Some(0), b"x").await,
        Err(ErrorCode::NotPermitted)
    ));
    assert!(matches!(
        file.set_size(0).await,
        Err(ErrorCode::NotPermitted)
    ));
    say(read(&file, 0).await.unwrap()).await;
}

/// Counts entries of a folder.
pub async fn entries() {
    let entries = list(&root()).await;
    for (index, (_, name)) in entries.iter().enumerate() {
        assert_eq!(*name, format!("{index:04}"));
    }
    say(format!("{}\n", entries.len())).await;
}

/// Opens streams until there are too many.
pub async fn open_many() {
    let root = root();
    let file = open(&root, "file", OpenFlags::empty(), DescriptorFlags::READ)
        .await
        .unwrap();
    let mut streams = Vec::new();
    loop {
        let (mut reader, ended) = file.read_via_stream(0);
        if reader.next().await.is_none() {
            assert!(matches!(ended.await, Err(ErrorCode::InsufficientMemory)));
            break;
        }
        streams.push((reader, ended));
    }
    let count = streams.len();
    drop(streams);
    assert_eq!(read(&file, 0).await.unwrap(), b"text");
    say(format!("{count}\n")).await;
}

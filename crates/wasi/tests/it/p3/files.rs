//! Files.

use super::output;
use mintage_wasi::filesystem::MemoryFilesystem;
use mintage_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
use std::path::Path;

fn with_folder(builder: &mut WasiCtxBuilder, folder: &Path) {
    let (dirs, files) = (DirPerms::all(), FilePerms::all());
    builder
        .preopened_dir(folder, "/files", dirs, files)
        .unwrap();
}

#[test]
fn all_of_a_folder_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let printed = output(&["files"], |builder| with_folder(builder, folder.path()));
    assert_eq!(printed, "all\n");
    assert_eq!(
        std::fs::read(folder.path().join("b.txt")).unwrap().len(),
        300_000
    );
}

#[test]
fn all_of_a_file_system_in_memory() {
    let memory = MemoryFilesystem::builder().build();
    let printed = output(&["files"], |builder| {
        let (dirs, files) = (DirPerms::all(), FilePerms::all());
        builder
            .preopened_filesystem(&memory, "/files", dirs, files)
            .unwrap();
    });
    assert_eq!(printed, "all\n");
}

#[test]
fn permissions_hold_for_streams() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "unchanged").unwrap();
    let printed = output(&["read-only"], |builder| {
        let (dirs, files) = (DirPerms::READ, FilePerms::READ);
        builder
            .preopened_dir(folder.path(), "/files", dirs, files)
            .unwrap();
    });
    assert_eq!(printed, "unchanged");
}

#[test]
fn large_folders_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..1000 {
        std::fs::write(folder.path().join(format!("{index:04}")), "").unwrap();
    }
    let printed = output(&["entries"], |builder| with_folder(builder, folder.path()));
    assert_eq!(printed, "1000\n");
}

/// A read is as large as the guest's buffer, up to 1 MiB.
#[test]
fn reads_come_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("large")).unwrap();
    file.set_len(64 << 20).unwrap();
    for (size, read) in [("1000", "1000"), ("100000000", "1048576")] {
        let printed = output(&["read-file", size], |builder| {
            with_folder(builder, folder.path());
        });
        assert_eq!(printed, format!("{read}\n"));
    }
}

#[test]
fn streams_of_files_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let printed = output(&["open-many"], |builder| {
        with_folder(builder, folder.path());
        builder.max_descriptors(20);
    });
    // The file itself is one.
    assert_eq!(printed, "19\n");
}

//! Programs of Rust's standard library. Their sources, and the script that builds them, are in
//! `tests/guests`.

use crate::common::{MODES, exit_code, run_with};
use mintage_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use mintage_wasi::{DirPerms, FilePerms};

const HELLO: &[u8] = include_bytes!("../guests/hello.wasm");

#[test]
fn a_program_without_anything() {
    for mode in MODES {
        let (stdout, stderr) = (MemoryOutputPipe::new(4096), MemoryOutputPipe::new(4096));
        let exit = run_with(HELLO, mode, |builder| {
            builder.stdout(stdout.clone()).stderr(stderr.clone());
        });
        assert_eq!(exit_code(&exit.unwrap_err()), 0);
        assert_eq!(
            stdout.contents(),
            "hello from \n\
             GREETING is Err(NotPresent)\n\
             the first line is \"\", and 0 bytes follow\n\
             the square of 30 is 900\n\
             no notes: NotFound\n"
        );
        assert_eq!(stderr.contents(), "the end\n");
    }
}

#[test]
fn a_program_with_arguments_input_and_files() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "some notes").unwrap();
        let stdout = MemoryOutputPipe::new(4096);
        let input = format!("a line\n{}", "x".repeat(200_000));
        let exit = run_with(HELLO, mode, |builder| {
            builder
                .stdin(MemoryInputPipe::new(input))
                .stdout(stdout.clone())
                .args(&["hello", "one", "two"])
                .env("GREETING", "good morning")
                .preopened_dir(folder.path(), "/files", DirPerms::all(), FilePerms::all())
                .unwrap();
        });
        assert_eq!(exit_code(&exit.unwrap_err()), 1);
        assert_eq!(
            stdout.contents(),
            "hello from hello one two\n\
             GREETING is Ok(\"good morning\")\n\
             the first line is \"a line\\n\", and 200000 bytes follow\n\
             the square of 30 is 900\n\
             copied 10 bytes\n"
        );
        let copy = std::fs::read_to_string(folder.path().join("copy.txt"));
        assert_eq!(copy.unwrap(), "some notes");
    }
}

//! Each function of `wasi:io/streams`.

use crate::common::{MODES, cause, error, guest, output, run_with};
use mintage_wasi::cli::{InputFile, OutputFile};
use mintage_wasi::p2::pipe::{
    AsyncReadStream, ClosedOutputStream, MemoryInputPipe, MemoryOutputPipe,
};
use mintage_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use mintage_wasi::{async_trait, cli::AsyncStdinStream, cli::AsyncStdoutStream};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

/// Copies the input to the output, with requests of `len` bytes, until it ends.
fn cat(function: &str, len: i64) -> String {
    format!(
        r#"(func $run (result i32)
            (local $stdin i32)
            (local.set $stdin (call $get-stdin))
            (loop $more
                (call ${function} (local.get $stdin) (i64.const {len}) (i32.const 64))
                (if (i32.eqz (i32.load8_u (i32.const 64))) (then
                    (if (i32.load (i32.const 72)) (then
                        (call $print (i32.load (i32.const 68)) (i32.load (i32.const 72)))))
                    (br $more))))
            (call $closed (i32.const 64) (i32.const 4))
            (call $drop-input (local.get $stdin))
            (i32.const 0))"#
    )
}

/// 300,000 bytes in lines.
fn long_text() -> String {
    (0..50_000).map(|n| format!("{n:05}\n")).collect()
}

#[test]
fn memory_is_read() {
    for function in ["read", "blocking-read"] {
        // Some requests are for more than there can be: 2^63, and 2^64 - 1.
        for len in [1, 7, 4096, i64::MIN, -1] {
            let text = match len {
                1 | 7 => "some text".to_string(),
                _ => long_text(),
            };
            let input = text.clone();
            let read = output(&cat(function, len), move |builder| {
                builder.stdin(MemoryInputPipe::new(input.clone()));
            });
            assert!(read == text, "{function} {len}");
        }
    }
}

/// However much a guest asks for, it gets no more than a piece at a time.
#[test]
fn reads_come_in_pieces() {
    let fields = r#"(func $run (result i32)
        (call $read (call $get-stdin) (i64.const -1) (i32.const 64))
        (call $print-number (i64.load32_u (i32.const 72)))
        (call $blocking-read (call $get-stdin) (i64.const 0x8000000000000000) (i32.const 64))
        (call $print-number (i64.load32_u (i32.const 72)))
        (call $skip (call $get-stdin) (i64.const -1) (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (i32.const 0))"#;
    let read = output(fields, |builder| {
        builder.stdin(MemoryInputPipe::new(vec![0; 5 << 20]));
    });
    assert_eq!(read, "1048576\n1048576\n1048576\n");
}

/// Input of the host's own, which only knows futures and `read`.
struct Slow(Vec<&'static str>, bool);

#[async_trait]
impl Pollable for Slow {
    async fn ready(&mut self) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        self.1 = true;
    }
}

#[async_trait]
impl InputStream for Slow {
    fn read(&mut self, size: usize) -> StreamResult<bytes::Bytes> {
        if !std::mem::take(&mut self.1) {
            return Ok(bytes::Bytes::new());
        }
        match self.0.pop() {
            Some(text) if text.len() > size => {
                let (now, later) = text.split_at(size);
                self.0.push(later);
                Ok(now.into())
            }
            Some(text) => Ok(text.into()),
            None => Err(StreamError::Closed),
        }
    }
}

struct SlowStdin;

impl mintage_wasi::cli::IsTerminal for SlowStdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl mintage_wasi::cli::StdinStream for SlowStdin {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(&b"three two one "[..])
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Slow(vec!["one ", "two ", "three "], false))
    }
}

/// Input that has only the reader of tokio.
struct TokioStdin;

impl mintage_wasi::cli::IsTerminal for TokioStdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl mintage_wasi::cli::StdinStream for TokioStdin {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(&b"three two one "[..])
    }
}

#[test]
fn streams_of_the_host_are_read() {
    for len in [4, 100] {
        let read = output(&cat("blocking-read", len), |builder| {
            builder.stdin(SlowStdin);
        });
        assert_eq!(read, "three two one ");
        let read = output(&cat("blocking-read", len), |builder| {
            builder.stdin(TokioStdin);
        });
        assert_eq!(read, "three two one ");
    }
}

#[test]
fn streams_of_tokio_are_read_and_written() {
    let text = long_text();
    for mode in MODES {
        let stdout = MemoryOutputPipe::new(1 << 20);
        let input = std::io::Cursor::new(text.clone());
        // The tasks of both streams are in a runtime of this crate, as the host has none yet.
        let (stdin, writer) = (AsyncStdinStream::new(input), stdout.clone());
        let writer = AsyncStdoutStream::new(1000, writer);
        run_with(&guest(&cat("blocking-read", 5000)), mode, |builder| {
            builder.stdin(stdin).stdout(writer);
        })
        .unwrap()
        .unwrap();
        assert!(stdout.contents() == text);
    }
    let mut stream = AsyncReadStream::new(&b""[..]);
    mintage_wasi::runtime::in_tokio(stream.ready());
    assert!(matches!(stream.read(1), Err(StreamError::Closed)));
}

/// Runs `cat` from one file descriptor to another.
fn cat_files(function: &str, len: i64, open: impl Fn() -> (OwnedFd, OwnedFd)) {
    let bytes = guest(&cat(function, len));
    for mode in MODES {
        let (input, output) = open();
        let result = run_with(&bytes, mode, |builder| {
            builder
                .stdin(InputFile::from(input))
                .stdout(OutputFile::from(output));
        });
        result.unwrap().unwrap();
    }
}

#[test]
fn files_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let text = long_text();
    std::fs::write(&from, &text).unwrap();
    for len in [1 << 12, i64::MAX] {
        cat_files("read", len, || {
            let from = File::open(&from).unwrap();
            (from.into(), File::create(&to).unwrap().into())
        });
        assert!(std::fs::read_to_string(&to).unwrap() == text);
    }
}

#[test]
fn pipes_are_read_and_written() {
    let text = long_text();
    let bytes = guest(&cat("blocking-read", 10_000));
    for mode in MODES {
        let (input, mut feed) = std::io::pipe().unwrap();
        let (mut drain, output) = std::io::pipe().unwrap();
        let expected = text.clone();
        let feeder = std::thread::spawn(move || {
            for piece in expected.as_bytes().chunks(50_000) {
                feed.write_all(piece).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let drainer = std::thread::spawn(move || {
            let mut read = String::new();
            drain.read_to_string(&mut read).unwrap();
            read
        });
        let result = run_with(&bytes, mode, |builder| {
            builder
                .stdin(InputFile::from(OwnedFd::from(input)))
                .stdout(OutputFile::from(OwnedFd::from(output)));
        });
        result.unwrap().unwrap();
        feeder.join().unwrap();
        assert!(drainer.join().unwrap() == text, "{mode:?}");
    }
}

#[test]
fn input_is_skipped() {
    let fields = r#"(func $run (result i32)
        (local $stdin i32)
        (local.set $stdin (call $get-stdin))
        (call $skip (local.get $stdin) (i64.const 2) (i32.const 64))
        (call $ok (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (call $blocking-skip (local.get $stdin) (i64.const 3) (i32.const 64))
        (call $ok (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (call $read (local.get $stdin) (i64.const 0) (i32.const 64))
        (call $ok (i32.const 64))
        (call $assert (i32.eqz (i32.load (i32.const 72))))
        (call $blocking-read (local.get $stdin) (i64.const 0) (i32.const 64))
        (call $ok (i32.const 64))
        (call $assert (i32.eqz (i32.load (i32.const 72))))
        (call $blocking-read (local.get $stdin) (i64.const 2) (i32.const 64))
        (call $ok (i32.const 64))
        (call $print-list (i32.const 68))
        (call $blocking-skip (local.get $stdin) (i64.const -1) (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (call $blocking-skip (local.get $stdin) (i64.const 1) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 8))
        (call $skip (local.get $stdin) (i64.const 1) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 8))
        (i32.const 0))"#;
    let skipped = output(fields, |builder| {
        builder.stdin(MemoryInputPipe::new("0123456789"));
    });
    assert_eq!(skipped, "2\n3\n56\n3\n");
}

#[test]
fn output_has_back_pressure() {
    let fields = r#"(data (i32.const 128) "0123456789")
        (func $run (result i32)
            (local $stdout i32)
            (local.set $stdout (call $get-stdout))
            (call $check-write (local.get $stdout) (i32.const 64))
            (call $ok (i32.const 64))
            (call $assert (i64.eq (i64.load (i32.const 72)) (i64.const 30)))
            (call $write (local.get $stdout) (i32.const 128) (i32.const 10) (i32.const 64))
            (call $ok (i32.const 64))
            (call $flush (local.get $stdout) (i32.const 64))
            (call $ok (i32.const 64))
            (call $blocking-flush (local.get $stdout) (i32.const 64))
            (call $ok (i32.const 64))
            (call $write-zeroes (local.get $stdout) (i64.const 5) (i32.const 64))
            (call $ok (i32.const 64))
            (call $blocking-write-zeroes-and-flush
                (local.get $stdout) (i64.const 5) (i32.const 64))
            (call $ok (i32.const 64))
            (call $check-write (local.get $stdout) (i32.const 64))
            (call $assert (i64.eq (i64.load (i32.const 72)) (i64.const 10)))
            (call $blocking-write-and-flush
                (local.get $stdout) (i32.const 128) (i32.const 10) (i32.const 64))
            (call $ok (i32.const 64))
            (call $check-write (local.get $stdout) (i32.const 64))
            (call $closed (i32.const 64) (i32.const 8))
            (i32.const 0))"#;
    for mode in MODES {
        let stdout = MemoryOutputPipe::new(30);
        let result = run_with(&guest(fields), mode, |builder| {
            builder.stdout(stdout.clone());
        });
        result.unwrap().unwrap();
        assert_eq!(
            stdout.contents(),
            "0123456789\0\0\0\0\0\0\0\0\0\x000123456789"
        );
    }
}

#[test]
fn streams_are_spliced() {
    let fields = r#"(func $run (result i32)
        (local $stdin i32) (local $stdout i32)
        (local.set $stdin (call $get-stdin))
        (local.set $stdout (call $get-stdout))
        (call $splice (local.get $stdout) (local.get $stdin) (i64.const 4) (i32.const 64))
        (call $ok (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (call $splice (local.get $stdout) (local.get $stdin) (i64.const 0) (i32.const 64))
        (call $ok (i32.const 64))
        (call $blocking-splice (local.get $stdout) (local.get $stdin) (i64.const -1) (i32.const 64))
        (call $ok (i32.const 64))
        (call $print-number (i64.load (i32.const 72)))
        (call $splice (local.get $stdout) (local.get $stdin) (i64.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 8))
        (call $blocking-splice (local.get $stdout) (local.get $stdin) (i64.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 8))
        (i32.const 0))"#;
    let spliced = output(fields, |builder| {
        builder.stdin(MemoryInputPipe::new("0123456789"));
    });
    assert_eq!(spliced, "01234\n4567896\n");
}

#[test]
fn closed_streams_say_so() {
    let fields = r#"(func $run (result i32)
        (local $stdin i32) (local $stdout i32)
        (local.set $stdin (call $get-stdin))
        (local.set $stdout (call $get-stdout))
        (call $read (local.get $stdin) (i64.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (call $blocking-read (local.get $stdin) (i64.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (call $check-write (local.get $stdout) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 8))
        (call $write (local.get $stdout) (i32.const 0) (i32.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (call $blocking-write-and-flush
            (local.get $stdout) (i32.const 0) (i32.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (call $flush (local.get $stdout) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (i32.const 0))"#;
    for mode in MODES {
        let result = run_with(&guest(fields), mode, |builder| {
            builder.stdout(ClosedOutputStream);
        });
        result.unwrap().unwrap();
    }
    // A pipe whose reader is gone is found closed by the first write.
    let fields = r#"(func $run (result i32)
        (call $blocking-write-and-flush
            (call $get-stdout) (i32.const 0) (i32.const 4) (i32.const 64))
        (call $closed (i32.const 64) (i32.const 4))
        (i32.const 0))"#;
    for mode in MODES {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let result = run_with(&guest(fields), mode, |builder| {
            builder.stdout(OutputFile::from(OwnedFd::from(writer)));
        });
        result.unwrap().unwrap();
    }
}

#[test]
fn failed_operations_have_an_error() {
    let fields = r#"(func $run (result i32)
        (call $blocking-write-and-flush
            (call $get-stdout) (i32.const 0) (i32.const 4) (i32.const 64))
        ;; An error that is not `closed`.
        (call $assert (i32.load8_u (i32.const 64)))
        (call $assert (i32.eqz (i32.load8_u (i32.const 68))))
        (call $to-debug-string (i32.load (i32.const 72)) (i32.const 64))
        (call $assert (i32.gt_u (i32.load (i32.const 68)) (i32.const 10)))
        (i32.const 0))"#;
    for mode in MODES {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let result = run_with(&guest(fields), mode, |builder| {
            builder.stdout(OutputFile::new(full));
        });
        result.unwrap().unwrap();
    }
}

#[test]
fn too_much_output_traps() {
    let call = |call: &str| format!("(func $run (result i32) {call} (i32.const 0))");
    let stdout = |builder: &mut mintage_wasi::WasiCtxBuilder| {
        builder.stdout(MemoryOutputPipe::new(usize::MAX));
    };
    let bad = [
        (
            "(call $write-zeroes (call $get-stdout) (i64.const -1) (i32.const 64))",
            "write-zeroes: more bytes than `check-write` allowed",
        ),
        (
            "(call $blocking-write-zeroes-and-flush (call $get-stdout) (i64.const 4097)
                (i32.const 64))",
            "blocking-write-zeroes-and-flush: more bytes than 4096",
        ),
        (
            "(call $blocking-write-and-flush (call $get-stdout) (i32.const 0) (i32.const 4097)
                (i32.const 64))",
            "blocking-write-and-flush: more bytes than 4096",
        ),
        (
            "(drop (memory.grow (i32.const 100)))
            (call $write (call $get-stdout) (i32.const 0) (i32.const 1048577) (i32.const 64))",
            "write: more bytes than `check-write` allowed",
        ),
    ];
    for (text, expected) in bad {
        assert_eq!(cause(&call(text), stdout), expected);
    }
    let small = cause(
        &call("(call $write (call $get-stdout) (i32.const 0) (i32.const 10) (i32.const 64))"),
        |builder| {
            builder.stdout(MemoryOutputPipe::new(9));
        },
    );
    assert_eq!(small, "write: more bytes than `check-write` allowed");
}

#[test]
fn streams_with_pollables_cannot_be_dropped() {
    let fields = r#"(func $run (result i32)
        (local $stdin i32)
        (local.set $stdin (call $get-stdin))
        (drop (call $subscribe-input (local.get $stdin)))
        (call $drop-input (local.get $stdin))
        (i32.const 0))"#;
    let error = error(fields, |_| {});
    let text = format!("{error:#}");
    assert!(
        text.contains("a stream is dropped before what was made from it, such as its pollables"),
        "{text}"
    );
    // In the right order, it works.
    let fields = r#"(func $run (result i32)
        (local $stdin i32) (local $pollable i32)
        (local.set $stdin (call $get-stdin))
        (local.set $pollable (call $subscribe-input (local.get $stdin)))
        (call $drop-pollable (local.get $pollable))
        (call $drop-input (local.get $stdin))
        (i32.const 0))"#;
    assert_eq!(output(fields, |_| {}), "");
}

/// A stream that says that it is ready and takes nothing.
#[derive(Clone, Copy)]
struct Broken;

#[async_trait]
impl Pollable for Broken {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Broken {
    fn write(&mut self, _bytes: bytes::Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(0)
    }
}

impl mintage_wasi::cli::IsTerminal for Broken {
    fn is_terminal(&self) -> bool {
        true
    }
}

impl mintage_wasi::cli::StdoutStream for Broken {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Broken)
    }
}

#[test]
fn a_broken_stream_is_no_endless_loop() {
    let fields = r#"(func $run (result i32)
        (call $blocking-write-and-flush
            (call $get-stdout) (i32.const 0) (i32.const 4) (i32.const 64))
        (i32.const 0))"#;
    let cause = cause(fields, |builder| {
        builder.stdout(Broken);
    });
    assert_eq!(cause, "a stream says that it is ready, and takes nothing");
}

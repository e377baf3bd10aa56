//! Preview 1: core modules in text, by synchronous and by asynchronous hosts.

use crate::common::{MODES, Mode, assert_interrupted, block_on, engine, exit_code};
use mintage::{Component, Error, Linker, Result, Store, Trap};
use mintage_wasi::cli::{InputFile, OutputFile};
use mintage_wasi::p1::{self, WasiP1Ctx};
use mintage_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use mintage_wasi::{Deterministic, DirPerms, FilePerms, WasiCtxBuilder};
use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// The functions that tests use, under their names, with two pages of memory and helpers.
///
/// - `$is` exits with code `n` unless two numbers are equal.
/// - `$iov` writes a buffer to an array of buffers.
const PRELUDE: &str = r#"
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get"
        (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock_time_get (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get"
        (func $clock_res_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread"
        (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite"
        (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek"
        (func $fd_seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir"
        (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get"
        (func $fd_fdstat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
        (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get"
        (func $fd_filestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
        (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_readlink"
        (func $path_readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink"
        (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename"
        (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file"
        (func $path_unlink_file (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_get"
        (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_accept"
        (func $sock_accept (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func $is (param $n i32) (param $got i32) (param $want i32)
        (if (i32.ne (local.get $got) (local.get $want)) (then (call $proc_exit (local.get $n)))))
    (func $iov (param $at i32) (param $buffer i32) (param $len i32)
        (i32.store (local.get $at) (local.get $buffer))
        (i32.store offset=4 (local.get $at) (local.get $len)))
"#;

/// Compiles a module with these fields after the prelude.
fn module(fields: &str) -> Component {
    let text = format!("(module {PRELUDE} {fields})");
    Component::from_module(engine(false), text).unwrap_or_else(|error| panic!("{error:#}"))
}

fn linker(component: &Component, mode: Mode) -> Linker<WasiP1Ctx> {
    let mut linker = Linker::new(component.engine());
    match mode {
        Mode::Sync => p1::add_to_linker_sync(&mut linker, |ctx| ctx).unwrap(),
        Mode::Async => p1::add_to_linker_async(&mut linker, |ctx| ctx).unwrap(),
    }
    linker
}

/// Calls an exported function of a new instance in a store.
fn call_in(
    store: &mut Store<WasiP1Ctx>,
    component: &Component,
    mode: Mode,
    name: &str,
) -> Result<()> {
    let linker = linker(component, mode);
    match mode {
        Mode::Sync => {
            let instance = linker.instantiate(&mut *store, component)?;
            instance
                .get_typed_func::<(), ()>(&mut *store, name)?
                .call(store, ())
        }
        Mode::Async => block_on(async {
            let instance = linker.instantiate_async(&mut *store, component).await?;
            let func = instance.get_typed_func::<(), ()>(&mut *store, name)?;
            func.call_async(store, ()).await
        }),
    }
}

/// Runs a command with `_start` in one mode.
fn run_in(
    component: &Component,
    mode: Mode,
    configure: impl FnOnce(&mut WasiCtxBuilder),
) -> Result<()> {
    let mut builder = WasiCtxBuilder::new();
    configure(&mut builder);
    let mut store = Store::new(component.engine(), builder.build_p1());
    call_in(&mut store, component, mode, "_start")
}

/// Runs a command in both modes, which has to return without an exit.
fn run(fields: &str, configure: impl Fn(&mut WasiCtxBuilder, Mode)) {
    let component = module(fields);
    for mode in MODES {
        let result = run_in(&component, mode, |builder| configure(builder, mode));
        result.unwrap_or_else(|error| panic!("{mode:?}: {error:#}"));
    }
}

/// Runs a command in both modes, which has to fail. Returns both errors.
fn errors(fields: &str, configure: impl Fn(&mut WasiCtxBuilder)) -> [Error; 2] {
    let component = module(fields);
    MODES.map(|mode| run_in(&component, mode, &configure).unwrap_err())
}

/// Runs a command in both modes, and returns what it has written to standard output.
fn output(fields: &str, configure: impl Fn(&mut WasiCtxBuilder)) -> String {
    let component = module(fields);
    let [one, other] = MODES.map(|mode| {
        let stdout = MemoryOutputPipe::new(1 << 20);
        let result = run_in(&component, mode, |builder| {
            configure(builder);
            builder.stdout(stdout.clone());
        });
        result.unwrap_or_else(|error| panic!("{mode:?}: {error:#}"));
        String::from_utf8(stdout.contents().to_vec()).unwrap()
    });
    assert_eq!(one, other);
    one
}

fn preopen(builder: &mut WasiCtxBuilder, folder: &std::path::Path) {
    let all = (DirPerms::all(), FilePerms::all());
    builder
        .preopened_dir(folder, "/work", all.0, all.1)
        .unwrap();
}

#[test]
fn arguments_and_environment() {
    let text = output(
        r#"(func (export "_start")
            (call $is (i32.const 1) (call $args_sizes_get (i32.const 0) (i32.const 4))
                (i32.const 0))
            (call $is (i32.const 2) (i32.load (i32.const 0)) (i32.const 2))
            (call $is (i32.const 3) (i32.load (i32.const 4)) (i32.const 10))
            (call $is (i32.const 4) (call $args_get (i32.const 16) (i32.const 64)) (i32.const 0))
            (call $is (i32.const 5) (i32.load (i32.const 16)) (i32.const 64))
            (call $is (i32.const 6) (i32.load (i32.const 20)) (i32.const 69))
            (call $is (i32.const 7) (call $environ_sizes_get (i32.const 0) (i32.const 4))
                (i32.const 0))
            (call $is (i32.const 8) (i32.load (i32.const 4)) (i32.const 7))
            (call $is (i32.const 9) (call $environ_get (i32.const 16) (i32.const 74)) (i32.const 0))
            (call $iov (i32.const 0) (i32.const 64) (i32.const 17))
            (call $is (i32.const 10) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1)
                (i32.const 8)) (i32.const 0))
            (call $is (i32.const 11) (i32.load (i32.const 8)) (i32.const 17)))"#,
        |builder| {
            builder.args(&["prog", "äbc"]).env("A", "1").env("B", "");
        },
    );
    assert_eq!(text, "prog\0äbc\0A=1\0B=\0");
}

#[test]
fn a_command_exits_with_any_code() {
    for code in [0, 3, 126, 255, -1] {
        let fields = format!("(func (export \"_start\") (call $proc_exit (i32.const {code})))");
        for error in errors(&fields, |_| {}) {
            assert_eq!(exit_code(&error), code);
        }
    }
}

#[test]
fn what_a_module_lacks_is_named() {
    let component = module("");
    let error = run_in(&component, Mode::Sync, |_| {}).unwrap_err();
    assert!(format!("{error:#}").contains("`_start`"), "{error:#}");

    let text = r#"(module (import "wasi_snapshot_preview1" "fd_teleport" (func (param i32))))"#;
    let component = Component::from_module(engine(false), text).unwrap();
    let error = run_in(&component, Mode::Sync, |_| {}).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("wasi_snapshot_preview1.fd_teleport"),
        "{error}"
    );

    let text = r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $f (param i32 i32) (result i32)))
        (func (export "_start") (drop (call $f (i32.const 0) (i32.const 0)))))"#;
    let component = Component::from_module(engine(false), text).unwrap();
    let error = run_in(&component, Mode::Sync, |_| {}).unwrap_err();
    assert!(format!("{error:#}").contains("has no memory"), "{error:#}");
}

/// Calls with pointers that are not in the memory or not aligned, and with arrays that are too
/// long.
const BAD_POINTERS: &[(&str, Trap)] = &[
    (
        "(call $args_get (i32.const 0x20000) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $args_get (i32.const 0) (i32.const 0x1ffff))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $args_get (i32.const 2) (i32.const 0))",
        Trap::UnalignedPointer,
    ),
    (
        "(call $args_sizes_get (i32.const -4) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 4))",
        Trap::UnalignedPointer,
    ),
    (
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0x20000))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $random_get (i32.const 0) (i32.const 0x20001))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $random_get (i32.const -1) (i32.const -1))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $fd_write (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0))",
        Trap::UnalignedPointer,
    ),
    (
        "(i32.store (i32.const 4) (i32.const -1))
         (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(i32.store (i32.const 4) (i32.const -1))
         (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $iov (i32.const 0) (i32.const 0x1ffff) (i32.const 2))
         (call $fd_pread (i32.const 0) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $path_unlink_file (i32.const 3) (i32.const 0x1fff0) (i32.const 17))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $fd_readdir (i32.const 3) (i32.const 0x1fff0) (i32.const 17) (i64.const 0)
            (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $poll_oneoff (i32.const 0x1fff8) (i32.const 0) (i32.const 1) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $poll_oneoff (i32.const 0) (i32.const 0x1fff8) (i32.const 1) (i32.const 0))",
        Trap::PointerOutOfBounds,
    ),
    (
        "(call $poll_oneoff (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 0))",
        Trap::UnalignedPointer,
    ),
];

#[test]
fn bad_pointers_are_traps() {
    let folder = tempfile::tempdir().unwrap();
    for (call, trap) in BAD_POINTERS {
        let fields = format!("(func (export \"_start\") (drop {call}))");
        let fields = match call.rsplit_once("\n         (call") {
            Some((before, last)) => {
                format!("(func (export \"_start\") {before} (drop (call{last}))")
            }
            None => fields,
        };
        let errors = errors(&fields, |builder| {
            builder.arg("argument").stdin(MemoryInputPipe::new("input"));
            preopen(builder, folder.path());
        });
        for error in errors {
            assert_eq!(error.downcast_ref(), Some(trap), "{call}: {error:#}");
        }
    }
}

#[test]
fn output_is_written_from_all_buffers() {
    // Small buffers, one large one, and an empty one.
    let fields = r#"(data (i32.const 100) "one two three")
        (func (export "_start")
            (memory.fill (i32.const 0x10000) (i32.const 120) (i32.const 0x10000))
            (call $iov (i32.const 0) (i32.const 100) (i32.const 4))
            (call $iov (i32.const 8) (i32.const 0) (i32.const 0))
            (call $iov (i32.const 16) (i32.const 104) (i32.const 9))
            (call $iov (i32.const 24) (i32.const 0x10000) (i32.const 0x10000))
            (call $is (i32.const 1) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 3)
                (i32.const 64)) (i32.const 0))
            (call $is (i32.const 2) (i32.load (i32.const 64)) (i32.const 13))
            (call $is (i32.const 3) (call $fd_write (i32.const 1) (i32.const 16) (i32.const 2)
                (i32.const 64)) (i32.const 0))
            (call $is (i32.const 4) (i32.load (i32.const 64)) (i32.const 0x10009))
            (call $is (i32.const 5) (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1)
                (i32.const 64)) (i32.const 0))
            (call $is (i32.const 6) (i32.load (i32.const 64)) (i32.const 0)))"#;
    let expected = format!("one two three{}{}", "two three", "x".repeat(0x10000));
    assert!(output(fields, |_| {}) == expected);

    // A pipe of the system, whose reader is slow, takes less than all at once.
    let component = module(
        r#"(func (export "_start") (local $rest i32)
            (memory.fill (i32.const 1024) (i32.const 121) (i32.const 0x1f000))
            (local.set $rest (i32.const 0x1f000))
            (loop $more
                (call $iov (i32.const 0) (i32.const 1024) (local.get $rest))
                (call $is (i32.const 1) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1)
                    (i32.const 64)) (i32.const 0))
                (call $is (i32.const 2) (i32.eqz (i32.load (i32.const 64))) (i32.const 0))
                (local.set $rest (i32.sub (local.get $rest) (i32.load (i32.const 64))))
                (br_if $more (local.get $rest))))"#,
    );
    for mode in MODES {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let read = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            std::thread::sleep(Duration::from_millis(30));
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let writer = OutputFile::from(std::os::fd::OwnedFd::from(writer));
        run_in(&component, mode, |builder| {
            builder.stdout(writer);
        })
        .unwrap();
        assert_eq!(read.join().unwrap(), vec![b'y'; 0x1f000], "{mode:?}");
    }
}

#[test]
fn a_pipe_without_a_reader_is_an_error() {
    run(
        r#"(func (export "_start")
            (call $iov (i32.const 0) (i32.const 64) (i32.const 4))
            (call $is (i32.const 1) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1)
                (i32.const 8)) (i32.const 64)))"#,
        |builder, _| {
            let (_, writer) = std::io::pipe().unwrap();
            builder.stdout(OutputFile::from(std::os::fd::OwnedFd::from(writer)));
        },
    );
}

/// Reads standard input into two buffers of 4 and 100 bytes, until its end, and writes it to
/// standard output.
const CAT: &str = r#"(func (export "_start") (local $len i32)
    (loop $more
        (call $iov (i32.const 0) (i32.const 100) (i32.const 4))
        (call $iov (i32.const 8) (i32.const 104) (i32.const 100))
        (call $is (i32.const 1) (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2)
            (i32.const 64)) (i32.const 0))
        (local.set $len (i32.load (i32.const 64)))
        (call $iov (i32.const 0) (i32.const 100) (local.get $len))
        (call $is (i32.const 2) (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1)
            (i32.const 64)) (i32.const 0))
        (br_if $more (local.get $len))))"#;

#[test]
fn input_is_read_into_all_buffers() {
    let long = "a line of text\n".repeat(30);
    assert_eq!(
        output(CAT, |builder| {
            builder.stdin(MemoryInputPipe::new(long.clone()));
        }),
        long
    );
    assert_eq!(output(CAT, |_| {}), "");
    // A pipe of the system that is written while the guest waits.
    let text = output(CAT, |builder| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        builder.stdin(InputFile::from(std::os::fd::OwnedFd::from(reader)));
        std::thread::spawn(move || {
            for part in ["first, ", "second, ", "and more than four bytes"] {
                std::thread::sleep(Duration::from_millis(10));
                writer.write_all(part.as_bytes()).unwrap();
            }
        });
    });
    assert_eq!(text, "first, second, and more than four bytes");
}

#[test]
fn standard_streams_can_be_non_blocking() {
    let (_writer, reader) = {
        let (reader, writer) = std::io::pipe().unwrap();
        (writer, std::os::fd::OwnedFd::from(reader))
    };
    run(
        r#"(func (export "_start")
            (call $is (i32.const 1) (call $fd_fdstat_set_flags (i32.const 0) (i32.const 4))
                (i32.const 0))
            (call $is (i32.const 2) (call $fd_fdstat_get (i32.const 0) (i32.const 64))
                (i32.const 0))
            (call $is (i32.const 3) (i32.load16_u (i32.const 66)) (i32.const 4))
            (call $iov (i32.const 0) (i32.const 100) (i32.const 4))
            (call $is (i32.const 4) (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1)
                (i32.const 8)) (i32.const 6))
            (call $is (i32.const 5) (call $fd_fdstat_set_flags (i32.const 0) (i32.const 2))
                (i32.const 28))
            (call $is (i32.const 6) (call $fd_fdstat_set_flags (i32.const 0) (i32.const 32))
                (i32.const 28)))"#,
        |builder, _| {
            builder.stdin(InputFile::from(reader.try_clone().unwrap()));
        },
    );
}

/// Opens `text`, writes and reads it in several ways, and closes it.
const FILES: &str = r#"
    (data (i32.const 512) "text")
    (data (i32.const 520) "link")
    (data (i32.const 528) "other")
    (data (i32.const 544) "/work")
    (data (i32.const 600) "0123456789")
    (func $open (param $flags i32) (param $fdflags i32) (result i32)
        (call $path_open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 4)
            (local.get $flags) (i64.const 0x42) (i64.const 0) (local.get $fdflags) (i32.const 0)))
    (func (export "_start")
        ;; The preopened folder.
        (call $is (i32.const 1) (call $fd_prestat_get (i32.const 3) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 2) (i32.load (i32.const 4)) (i32.const 5))
        (call $is (i32.const 3) (call $fd_prestat_dir_name (i32.const 3) (i32.const 16)
            (i32.const 5)) (i32.const 0))
        (call $is (i32.const 4) (i32.load (i32.const 16)) (i32.load (i32.const 544)))
        (call $is (i32.const 5) (call $fd_prestat_dir_name (i32.const 3) (i32.const 16)
            (i32.const 4)) (i32.const 37))
        (call $is (i32.const 6) (call $fd_prestat_get (i32.const 4) (i32.const 0)) (i32.const 8))
        ;; Create, write from two buffers, and the position.
        (call $is (i32.const 7) (call $open (i32.const 0) (i32.const 0)) (i32.const 44))
        (call $is (i32.const 8) (call $open (i32.const 5) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 9) (i32.load (i32.const 0)) (i32.const 4))
        (call $is (i32.const 10) (call $open (i32.const 5) (i32.const 0)) (i32.const 20))
        (call $is (i32.const 11) (call $open (i32.const 16) (i32.const 0)) (i32.const 28))
        (call $iov (i32.const 64) (i32.const 600) (i32.const 4))
        (call $iov (i32.const 72) (i32.const 604) (i32.const 6))
        (call $is (i32.const 12) (call $fd_write (i32.const 4) (i32.const 64) (i32.const 2)
            (i32.const 0)) (i32.const 0))
        (call $is (i32.const 13) (i32.load (i32.const 0)) (i32.const 10))
        (call $is (i32.const 14) (call $fd_tell (i32.const 4) (i32.const 8)) (i32.const 0))
        (call $is (i32.const 15) (i32.load (i32.const 8)) (i32.const 10))
        (call $is (i32.const 16) (call $fd_seek (i32.const 4) (i64.const -8) (i32.const 1)
            (i32.const 8)) (i32.const 0))
        (call $is (i32.const 17) (i32.load (i32.const 8)) (i32.const 2))
        (call $is (i32.const 18) (call $fd_seek (i32.const 4) (i64.const -3) (i32.const 1)
            (i32.const 8)) (i32.const 28))
        (call $is (i32.const 19) (call $fd_seek (i32.const 4) (i64.const 0) (i32.const 3)
            (i32.const 8)) (i32.const 28))
        (call $is (i32.const 20) (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0)
            (i32.const 8)) (i32.const 70))
        ;; Read into two buffers that are not in order, and two that overlap.
        (call $iov (i32.const 64) (i32.const 704) (i32.const 4))
        (call $iov (i32.const 72) (i32.const 700) (i32.const 4))
        (call $is (i32.const 21) (call $fd_read (i32.const 4) (i32.const 64) (i32.const 2)
            (i32.const 0)) (i32.const 0))
        (call $is (i32.const 22) (i32.load (i32.const 0)) (i32.const 8))
        (call $is (i32.const 23) (i32.load (i32.const 704)) (i32.load (i32.const 602)))
        (call $is (i32.const 24) (i32.load (i32.const 700)) (i32.load (i32.const 606)))
        (call $iov (i32.const 72) (i32.const 706) (i32.const 4))
        (call $is (i32.const 25) (call $fd_pread (i32.const 4) (i32.const 64) (i32.const 2)
            (i64.const 1) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 26) (i32.load (i32.const 0)) (i32.const 4))
        (call $is (i32.const 27) (i32.load (i32.const 704)) (i32.load (i32.const 601)))
        (call $is (i32.const 28) (call $fd_pread (i32.const 0) (i32.const 64) (i32.const 2)
            (i64.const 1) (i32.const 0)) (i32.const 70))
        (call $is (i32.const 29) (call $fd_pwrite (i32.const 4) (i32.const 64) (i32.const 1)
            (i64.const 20) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 30) (call $fd_filestat_get (i32.const 4) (i32.const 128))
            (i32.const 0))
        (call $is (i32.const 31) (i32.load (i32.const 160)) (i32.const 24))
        (call $is (i32.const 32) (i32.load8_u (i32.const 144)) (i32.const 4))
        (call $is (i32.const 33) (i32.load (i32.const 152)) (i32.const 1))
        ;; Numbers: the lowest that is free.
        (call $is (i32.const 34) (call $open (i32.const 0) (i32.const 1)) (i32.const 0))
        (call $is (i32.const 35) (i32.load (i32.const 0)) (i32.const 5))
        (call $is (i32.const 36) (call $fd_renumber (i32.const 5) (i32.const 4)) (i32.const 0))
        (call $is (i32.const 37) (call $fd_close (i32.const 5)) (i32.const 8))
        (call $is (i32.const 38) (call $fd_renumber (i32.const 4) (i32.const 9)) (i32.const 8))
        (call $is (i32.const 39) (call $fd_fdstat_get (i32.const 4) (i32.const 128)) (i32.const 0))
        (call $is (i32.const 40) (i32.load16_u (i32.const 130)) (i32.const 1))
        ;; Append, wherever.
        (call $is (i32.const 41) (call $fd_pwrite (i32.const 4) (i32.const 64) (i32.const 1)
            (i64.const 0) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 42) (call $fd_filestat_get (i32.const 4) (i32.const 128))
            (i32.const 0))
        (call $is (i32.const 43) (i32.load (i32.const 160)) (i32.const 28))
        (call $is (i32.const 44) (call $fd_close (i32.const 4)) (i32.const 0))
        (call $is (i32.const 45) (call $fd_tell (i32.const 4) (i32.const 8)) (i32.const 8))
        ;; Links and names.
        (call $is (i32.const 46) (call $path_symlink (i32.const 512) (i32.const 4) (i32.const 3)
            (i32.const 520) (i32.const 4)) (i32.const 0))
        (call $is (i32.const 47) (call $path_readlink (i32.const 3) (i32.const 520) (i32.const 4)
            (i32.const 800) (i32.const 3) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 48) (i32.load (i32.const 0)) (i32.const 3))
        (call $is (i32.const 49) (i32.load (i32.const 800)) (i32.const 0x786574))
        (call $is (i32.const 50) (call $path_rename (i32.const 3) (i32.const 512) (i32.const 4)
            (i32.const 3) (i32.const 528) (i32.const 5)) (i32.const 0))
        (call $is (i32.const 51) (call $path_filestat_get (i32.const 3) (i32.const 1)
            (i32.const 520) (i32.const 4) (i32.const 128)) (i32.const 44))
        (call $is (i32.const 52) (call $path_unlink_file (i32.const 3) (i32.const 520)
            (i32.const 4)) (i32.const 0))
        ;; A path that is not text, a flag that is not one, descriptors of other kinds.
        (i32.store8 (i32.const 520) (i32.const 255))
        (call $is (i32.const 53) (call $path_unlink_file (i32.const 3) (i32.const 520)
            (i32.const 4)) (i32.const 25))
        (call $is (i32.const 54) (call $path_filestat_get (i32.const 3) (i32.const 2)
            (i32.const 528) (i32.const 5) (i32.const 128)) (i32.const 28))
        (call $is (i32.const 55) (call $path_unlink_file (i32.const 0) (i32.const 528)
            (i32.const 5)) (i32.const 8))
        (call $is (i32.const 56) (call $fd_read (i32.const 3) (i32.const 64) (i32.const 0)
            (i32.const 0)) (i32.const 8))
        (call $is (i32.const 57) (call $sock_accept (i32.const 3) (i32.const 0) (i32.const 0))
            (i32.const 57))
        (call $is (i32.const 58) (call $sock_accept (i32.const 9) (i32.const 0) (i32.const 0))
            (i32.const 8)))"#;

#[test]
fn files_are_read_and_written() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    run(FILES, |builder, mode| {
        preopen(builder, folders[usize::from(mode == Mode::Async)].path());
    });
    for folder in folders {
        let text = fs::read(folder.path().join("other")).unwrap();
        let zeros = "\0".repeat(10);
        assert_eq!(text, format!("0123456789{zeros}12341234").as_bytes());
    }
}

#[test]
fn directories_are_listed_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("file-{number}")).collect();
    for name in &names {
        fs::write(folder.path().join(name), "").unwrap();
    }
    // Writes each name that is whole, then goes on with the cookie of the last whole entry.
    let text = output(
        r#"(func (export "_start") (local $cookie i64) (local $used i32) (local $at i32)
                (local $end i32)
            (loop $more
                (call $is (i32.const 1) (call $fd_readdir (i32.const 3) (i32.const 1024)
                    (i32.const 200) (local.get $cookie) (i32.const 0)) (i32.const 0))
                (local.set $used (i32.load (i32.const 0)))
                (local.set $at (i32.const 1024))
                (local.set $end (i32.add (i32.const 1024) (local.get $used)))
                (block $cut
                    (loop $entry
                        (br_if $cut (i32.gt_u (i32.add (local.get $at) (i32.const 24))
                            (local.get $end)))
                        (br_if $cut (i32.gt_u (i32.add (i32.add (local.get $at) (i32.const 24))
                            (i32.load offset=16 (local.get $at))) (local.get $end)))
                        (local.set $cookie (i64.load (local.get $at)))
                        (call $iov (i32.const 64) (i32.add (local.get $at) (i32.const 24))
                            (i32.load offset=16 (local.get $at)))
                        (call $iov (i32.const 72) (i32.const 500) (i32.const 1))
                        (call $is (i32.const 2) (call $fd_write (i32.const 1) (i32.const 64)
                            (i32.const 2) (i32.const 8)) (i32.const 0))
                        (local.set $at (i32.add (i32.add (local.get $at) (i32.const 24))
                            (i32.load offset=16 (local.get $at))))
                        (br $entry)))
                (br_if $more (i32.eq (local.get $used) (i32.const 200)))))
        (data (i32.const 500) "\n")"#,
        |builder| preopen(builder, folder.path()),
    );
    let mut found: Vec<&str> = text.lines().collect();
    assert_eq!(found[..2], [".", ".."]);
    found.sort_unstable();
    let mut expected = vec![".", ".."];
    expected.extend(names.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn memory_that_has_grown_is_read_into() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), vec![7; 3 << 20]).unwrap();
    run(
        r#"(data (i32.const 512) "text")
        (func (export "_start")
            (call $is (i32.const 1) (call $path_open (i32.const 3) (i32.const 0) (i32.const 512)
                (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
                (i32.const 0)) (i32.const 0))
            (call $is (i32.const 2) (memory.grow (i32.const 62)) (i32.const 2))
            (call $iov (i32.const 64) (i32.const 0x20000) (i32.const 0x3e0000))
            (call $is (i32.const 3) (call $fd_read (i32.const 4) (i32.const 64) (i32.const 1)
                (i32.const 0)) (i32.const 0))
            (call $is (i32.const 4) (i32.load (i32.const 0)) (i32.const 0x300000))
            (call $is (i32.const 5) (i32.load8_u (i32.const 0x31ffff)) (i32.const 7))
            (call $is (i32.const 6) (i32.load8_u (i32.const 0x320000)) (i32.const 0)))"#,
        |builder, _| preopen(builder, folder.path()),
    );
}

#[test]
fn the_number_of_descriptors_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "").unwrap();
    run(
        r#"(data (i32.const 512) "text")
        (func $open (result i32)
            (call $path_open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 4)
                (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
        (func (export "_start")
            (call $is (i32.const 1) (call $open) (i32.const 0))
            (call $is (i32.const 2) (call $open) (i32.const 0))
            (call $is (i32.const 3) (call $open) (i32.const 33))
            (call $is (i32.const 4) (call $fd_close (i32.const 4)) (i32.const 0))
            (call $is (i32.const 5) (call $open) (i32.const 0)))"#,
        |builder, _| {
            preopen(builder, folder.path());
            builder.max_descriptors(2);
        },
    );
}

/// Writes a subscription at `at`: `userdata`, type, and what comes at byte 16 and after.
const SUBSCRIBE: &str = r#"
    (func $clock (param $at i32) (param $userdata i64) (param $id i32) (param $time i64)
            (param $flags i32)
        (i64.store (local.get $at) (local.get $userdata))
        (i32.store8 offset=8 (local.get $at) (i32.const 0))
        (i32.store offset=16 (local.get $at) (local.get $id))
        (i64.store offset=24 (local.get $at) (local.get $time))
        (i32.store16 offset=40 (local.get $at) (local.get $flags)))
    (func $fd (param $at i32) (param $userdata i64) (param $kind i32) (param $fd i32)
        (i64.store (local.get $at) (local.get $userdata))
        (i32.store8 offset=8 (local.get $at) (local.get $kind))
        (i32.store offset=16 (local.get $at) (local.get $fd)))
    (func $poll (param $count i32) (result i32)
        (call $poll_oneoff (i32.const 1024) (i32.const 4096) (local.get $count) (i32.const 0)))
"#;

#[test]
fn clocks_are_waited_for() {
    let start = Instant::now();
    let fields = r#"(func (export "_start")
        (call $clock (i32.const 1024) (i64.const 7) (i32.const 1) (i64.const 30000000)
            (i32.const 0))
        (call $clock (i32.const 1072) (i64.const 8) (i32.const 0) (i64.const 3600000000000)
            (i32.const 0))
        (call $is (i32.const 1) (call $poll (i32.const 2)) (i32.const 0))
        (call $is (i32.const 2) (i32.load (i32.const 0)) (i32.const 1))
        (call $is (i32.const 3) (i32.load (i32.const 4096)) (i32.const 7))
        (call $is (i32.const 4) (i32.load16_u (i32.const 4104)) (i32.const 0))
        (call $is (i32.const 5) (i32.load8_u (i32.const 4106)) (i32.const 0))
        ;; Absolute times that are over, of both clocks.
        (call $is (i32.const 6) (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8))
            (i32.const 0))
        (call $clock (i32.const 1024) (i64.const 9) (i32.const 0) (i64.load (i32.const 8))
            (i32.const 1))
        (call $clock (i32.const 1072) (i64.const 10) (i32.const 1) (i64.const 0) (i32.const 1))
        (call $is (i32.const 7) (call $poll (i32.const 2)) (i32.const 0))
        (call $is (i32.const 8) (i32.load (i32.const 0)) (i32.const 2))
        (call $is (i32.const 9) (i32.load (i32.const 4128)) (i32.const 10))
        ;; Nothing, too much, a clock that does not exist, an unknown type and an unknown flag.
        (call $is (i32.const 10) (call $poll (i32.const 0)) (i32.const 28))
        (call $is (i32.const 11) (call $poll (i32.const 4097)) (i32.const 48))
        (call $clock (i32.const 1024) (i64.const 9) (i32.const 4) (i64.const 0) (i32.const 0))
        (call $is (i32.const 12) (call $poll (i32.const 1)) (i32.const 28))
        (i32.store8 (i32.const 1032) (i32.const 3))
        (call $is (i32.const 14) (call $poll (i32.const 1)) (i32.const 28))
        (call $clock (i32.const 1024) (i64.const 9) (i32.const 0) (i64.const 0) (i32.const 2))
        (call $is (i32.const 15) (call $poll (i32.const 1)) (i32.const 28))
        (call $is (i32.const 16) (call $clock_res_get (i32.const 1) (i32.const 8)) (i32.const 0))
        (call $is (i32.const 17) (i64.eqz (i64.load (i32.const 8))) (i32.const 0))
        (call $is (i32.const 18) (call $clock_res_get (i32.const 2) (i32.const 8)) (i32.const 8))
        (call $is (i32.const 19) (call $clock_res_get (i32.const 9) (i32.const 8))
            (i32.const 28)))"#;
    run(&format!("{SUBSCRIBE} {fields}"), |_, _| {});
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(start.elapsed() < Duration::from_secs(600));
}

#[test]
fn descriptors_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "12345").unwrap();
    let fields = r#"(data (i32.const 512) "text")
    (func (export "_start")
        ;; Standard input twice, and an hour: input comes.
        (call $fd (i32.const 1024) (i64.const 1) (i32.const 1) (i32.const 0))
        (call $clock (i32.const 1072) (i64.const 2) (i32.const 1) (i64.const 3600000000000)
            (i32.const 0))
        (call $fd (i32.const 1120) (i64.const 3) (i32.const 1) (i32.const 0))
        (call $is (i32.const 1) (call $poll (i32.const 3)) (i32.const 0))
        (call $is (i32.const 2) (i32.load (i32.const 0)) (i32.const 2))
        (call $is (i32.const 3) (i32.load (i32.const 4096)) (i32.const 1))
        (call $is (i32.const 4) (i32.load8_u (i32.const 4106)) (i32.const 1))
        (call $is (i32.const 5) (i32.load (i32.const 4112)) (i32.const 5))
        (call $is (i32.const 6) (i32.load (i32.const 4128)) (i32.const 3))
        ;; Descriptors that are not open, or of another kind.
        (call $fd (i32.const 1120) (i64.const 4) (i32.const 1) (i32.const 99))
        (call $is (i32.const 7) (call $poll (i32.const 3)) (i32.const 8))
        (call $fd (i32.const 1120) (i64.const 5) (i32.const 2) (i32.const 3))
        (call $is (i32.const 8) (call $poll (i32.const 3)) (i32.const 8))
        (call $fd (i32.const 1120) (i64.const 5) (i32.const 2) (i32.const 0))
        (call $is (i32.const 9) (call $poll (i32.const 3)) (i32.const 8))
        ;; Files are ready, and say how much there is. Output is ready.
        (call $is (i32.const 11) (call $path_open (i32.const 3) (i32.const 0) (i32.const 512)
            (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
            (i32.const 0))
        (call $fd (i32.const 1024) (i64.const 6) (i32.const 1) (i32.const 4))
        (call $fd (i32.const 1072) (i64.const 7) (i32.const 2) (i32.const 1))
        (call $is (i32.const 12) (call $poll (i32.const 2)) (i32.const 0))
        (call $is (i32.const 13) (i32.load (i32.const 0)) (i32.const 2))
        (call $is (i32.const 14) (i32.load (i32.const 4112)) (i32.const 5))
        (call $is (i32.const 15) (i32.load16_u (i32.const 4120)) (i32.const 0))
        (call $is (i32.const 16) (call $fd_seek (i32.const 4) (i64.const 5) (i32.const 0)
            (i32.const 8)) (i32.const 0))
        (call $is (i32.const 17) (call $poll (i32.const 1)) (i32.const 0))
        (call $is (i32.const 18) (i32.load16_u (i32.const 4120)) (i32.const 1)))"#;
    run(&format!("{SUBSCRIBE} {fields}"), |builder, _| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        builder.stdin(InputFile::from(std::os::fd::OwnedFd::from(reader)));
        preopen(builder, folder.path());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            writer.write_all(b"input").unwrap();
            // The end comes later.
            std::thread::sleep(Duration::from_millis(500));
        });
    });
}

#[test]
fn a_deadline_ends_waiting() {
    let read = r#"(func (export "_start")
        (call $iov (i32.const 0) (i32.const 64) (i32.const 4))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))"#;
    let write = r#"(func (export "_start")
        (call $iov (i32.const 0) (i32.const 64) (i32.const 65536))
        (loop $more
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $more)))"#;
    let sleep = format!(
        r#"{SUBSCRIBE} (func (export "_start")
        (call $clock (i32.const 1024) (i64.const 7) (i32.const 1) (i64.const -1) (i32.const 0))
        (drop (call $poll (i32.const 1))))"#
    );
    for fields in [read, write, &sleep] {
        let text = format!("(module {PRELUDE} {fields})");
        let component = Component::from_module(engine(true), text).unwrap();
        for mode in MODES {
            let (input, _writer) = std::io::pipe().unwrap();
            let (_reader, output) = std::io::pipe().unwrap();
            let ctx = WasiCtxBuilder::new()
                .stdin(InputFile::from(std::os::fd::OwnedFd::from(input)))
                .stdout(OutputFile::from(std::os::fd::OwnedFd::from(output)))
                .build_p1();
            let mut store = Store::new(engine(true), ctx);
            store.set_deadline(Duration::from_millis(50)).unwrap();
            let start = Instant::now();
            let error = call_in(&mut store, &component, mode, "_start").unwrap_err();
            assert_interrupted(&error);
            assert!(start.elapsed() < Duration::from_secs(60), "{mode:?}");
            // The descriptors are there again.
            assert!(
                format!("{:?}", store.data()).contains("Stdin"),
                "{:?}",
                store.data()
            );
        }
    }
}

#[test]
fn random_numbers_fill_the_memory() {
    run(
        r#"(func (export "_start")
            (call $is (i32.const 1) (call $random_get (i32.const 1) (i32.const 0x1fffe))
                (i32.const 0))
            (call $is (i32.const 2) (i32.load8_u (i32.const 0)) (i32.const 0))
            (call $is (i32.const 3) (i32.load8_u (i32.const 1)) (i32.const 1))
            (call $is (i32.const 4) (i32.load8_u (i32.const 0x1fffe)) (i32.const 2))
            (call $is (i32.const 5) (i32.load8_u (i32.const 0x1ffff)) (i32.const 0)))"#,
        |builder, _| {
            builder.secure_random(Deterministic::new(vec![1, 2]));
        },
    );
    let ask = r#"(func (export "_start") (drop (call $random_get (i32.const 0) (i32.const 11))))"#;
    for error in errors(ask, |builder| {
        builder.max_random_size(10);
    }) {
        assert!(
            format!("{error:#}").contains("`WasiCtxBuilder::max_random_size`"),
            "{error:#}"
        );
    }
}

/// The first version: another order of whence, and smaller records.
#[test]
fn wasi_unstable_has_its_own_layouts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "12345").unwrap();
    let text = PRELUDE.replace("wasi_snapshot_preview1", "wasi_unstable");
    // It has no `sock_accept`.
    let (start, rest) = text
        .split_once(r#"(import "wasi_unstable" "sock_accept""#)
        .unwrap();
    let (_, rest) = rest.split_once("(memory").unwrap();
    let fields = r#"(data (i32.const 512) "text")
    (func (export "_start")
        (call $is (i32.const 1) (call $path_open (i32.const 3) (i32.const 0) (i32.const 512)
            (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))
            (i32.const 0))
        (call $is (i32.const 2) (call $fd_seek (i32.const 4) (i64.const -2) (i32.const 1)
            (i32.const 8)) (i32.const 0))
        (call $is (i32.const 3) (i32.load (i32.const 8)) (i32.const 3))
        (call $is (i32.const 4) (call $fd_seek (i32.const 4) (i64.const 1) (i32.const 0)
            (i32.const 8)) (i32.const 0))
        (call $is (i32.const 5) (i32.load (i32.const 8)) (i32.const 4))
        (call $is (i32.const 6) (call $fd_filestat_get (i32.const 4) (i32.const 128))
            (i32.const 0))
        (call $is (i32.const 7) (i32.load (i32.const 148)) (i32.const 1))
        (call $is (i32.const 8) (i32.load (i32.const 152)) (i32.const 5))
        (call $is (i32.const 9) (i32.load (i32.const 184)) (i32.const 0))
        ;; A clock, after a number of the guest's own.
        (i64.store (i32.const 1024) (i64.const 7))
        (i64.store (i32.const 1040) (i64.const -1))
        (i32.store (i32.const 1048) (i32.const 1))
        (i64.store (i32.const 1056) (i64.const 1000))
        (call $is (i32.const 10) (call $poll_oneoff (i32.const 1024) (i32.const 4096)
            (i32.const 1) (i32.const 0)) (i32.const 0))
        (call $is (i32.const 11) (i32.load (i32.const 4096)) (i32.const 7)))"#;
    let text = format!("(module {start} (memory{rest} {fields})");
    let component = Component::from_module(engine(false), text).unwrap();
    for mode in MODES {
        run_in(&component, mode, |builder| preopen(builder, folder.path())).unwrap();
    }
}

/// `read` reads standard input to an address, `sum` adds up the memory.
const REACTOR: &str = r#"
    (global $address i32 (i32.const 5000))
    (func (export "_initialize") (call $read))
    (func $read (export "read")
        (call $iov (i32.const 0) (global.get $address) (i32.const 60000))
        (call $is (i32.const 1) (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1)
            (i32.const 8)) (i32.const 0))
        (call $iov (i32.const 0) (i32.const 0) (i32.const 0))
        (i32.store (i32.const 8) (i32.const 0)))
    (func (export "sum") (result i32) (local $at i32) (local $sum i32)
        (loop $more
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $at) (i32.const 0x20000))))
        (local.get $sum))"#;

#[test]
fn no_instance_sees_what_another_has_read() {
    let component = module(REACTOR);
    for mode in MODES {
        let linker = linker(&component, mode);
        let pre = linker.instantiate_pre(&component).unwrap();
        for round in 0..30u32 {
            let input = match round % 2 {
                0 => MemoryInputPipe::new(vec![1; 1000 + 1500 * round as usize]),
                _ => MemoryInputPipe::new(vec![1; 3000]),
            };
            let ctx = WasiCtxBuilder::new().stdin(input).build_p1();
            let mut store = Store::new(engine(false), ctx);
            let call = |store: &mut Store<WasiP1Ctx>, instance: mintage::Instance| {
                let sum = instance
                    .get_typed_func::<(), (i32,)>(&mut *store, "sum")
                    .unwrap();
                let read = instance
                    .get_typed_func::<(), ()>(&mut *store, "read")
                    .unwrap();
                let calls = async {
                    let before = sum.call_async(&mut *store, ()).await.unwrap();
                    read.call_async(&mut *store, ()).await.unwrap();
                    (before, sum.call_async(&mut *store, ()).await.unwrap())
                };
                block_on(calls)
            };
            let instance = match mode {
                Mode::Sync => pre.instantiate(&mut store),
                Mode::Async => block_on(pre.instantiate_async(&mut store)),
            };
            let ((before,), (after,)) = call(&mut store, instance.unwrap());
            assert_eq!(before, 0, "{mode:?}, round {round}");
            assert!(after >= 1000, "{mode:?}, round {round}: {after}");
        }
    }
}

#[test]
fn a_reactor_can_be_a_snapshot() {
    let component = module(REACTOR);
    let linker = linker(&component, Mode::Sync);
    let store = |input: &'static str| {
        let ctx = WasiCtxBuilder::new()
            .stdin(MemoryInputPipe::new(input))
            .build_p1();
        Store::new(engine(false), ctx)
    };
    let mut first = store("\u{1}\u{2}\u{3}");
    let instance = linker.instantiate(&mut first, &component).unwrap();
    let initialize = instance
        .get_typed_func::<(), ()>(&mut first, "_initialize")
        .unwrap();
    initialize.call(&mut first, ()).unwrap();
    let snapshot = instance.snapshot(&mut first).unwrap();
    for _ in 0..3 {
        // The memory is that of the snapshot, and the descriptors are new.
        let mut store = store("\u{10}");
        let instance = linker.instantiate(&mut store, &snapshot).unwrap();
        let sum = instance
            .get_typed_func::<(), (i32,)>(&mut store, "sum")
            .unwrap();
        assert_eq!(sum.call(&mut store, ()).unwrap(), (6,));
        let read = instance
            .get_typed_func::<(), ()>(&mut store, "read")
            .unwrap();
        read.call(&mut store, ()).unwrap();
        assert_eq!(sum.call(&mut store, ()).unwrap(), (16 + 2 + 3,));
    }
}

//! `wasi:io/poll`: lists of pollables, ready and not.

use crate::common::{MODES, cause, guest, output, run_with};
use mintage_wasi::cli::InputFile;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Stores a list of pollables at 1024, polls it, and prints the places of those that are ready.
const POLL_AND_PRINT: &str = r#"
    (func $poll-and-print (param $count i32)
        (local $at i32) (local $left i32)
        (call $poll (i32.const 1024) (local.get $count) (i32.const 64))
        (local.set $at (i32.load (i32.const 64)))
        (local.set $left (i32.load (i32.const 68)))
        (loop $more
            (call $print-number (i64.load32_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $more (local.get $left))))"#;

#[test]
fn those_that_are_ready_are_listed() {
    let fields = format!(
        r#"{POLL_AND_PRINT}
        (func $run (result i32)
            ;; Never, at once, the input, never.
            (i32.store (i32.const 1024) (call $subscribe-duration (i64.const -1)))
            (i32.store (i32.const 1028) (call $subscribe-duration (i64.const 0)))
            (i32.store (i32.const 1032) (call $subscribe-input (call $get-stdin)))
            (i32.store (i32.const 1036) (call $subscribe-instant (i64.const -1)))
            ;; The second one twice.
            (i32.store (i32.const 1040) (i32.load (i32.const 1028)))
            (call $assert (i32.eqz (call $ready (i32.load (i32.const 1024)))))
            (call $assert (call $ready (i32.load (i32.const 1028))))
            (call $assert (call $ready (i32.load (i32.const 1032))))
            (call $block (i32.load (i32.const 1032)))
            (call $poll-and-print (i32.const 5))
            (i32.const 0))"#
    );
    assert_eq!(output(&fields, |_| {}), "1\n2\n4\n");
    // Input that knows futures only.
    let listed = output(&fields, |builder| {
        builder.stdin(mintage_wasi::cli::AsyncStdinStream::new(&b"text"[..]));
        // Its task reads ahead.
        std::thread::sleep(Duration::from_millis(50));
    });
    assert_eq!(listed, "1\n2\n4\n");
}

#[test]
fn waits_for_the_first() {
    let guest_until = |nanoseconds: u64| {
        guest(&format!(
            r#"{POLL_AND_PRINT}
            (func $run (result i32)
                (i32.store (i32.const 1024) (call $subscribe-duration (i64.const -1)))
                (i32.store (i32.const 1028) (call $subscribe-input (call $get-stdin)))
                (i32.store (i32.const 1032) (call $subscribe-duration (i64.const {nanoseconds})))
                (call $poll-and-print (i32.const 3))
                (i32.const 0))"#
        ))
    };
    // Once nothing comes, once something does.
    for (bytes, comes, first) in [
        (guest_until(20_000_000), false, "2\n"),
        (guest_until(3_600_000_000_000), true, "1\n"),
    ] {
        for mode in MODES {
            let stdout = MemoryOutputPipe::new(100);
            let (reader, mut writer) = std::io::pipe().unwrap();
            let other = std::thread::spawn(move || {
                if comes {
                    std::thread::sleep(Duration::from_millis(20));
                    writer.write_all(b"x").unwrap();
                }
                writer
            });
            let result = run_with(&bytes, mode, |builder| {
                builder
                    .stdin(InputFile::from(OwnedFd::from(reader)))
                    .stdout(stdout.clone());
            });
            result.unwrap().unwrap();
            assert_eq!(stdout.contents(), first, "{mode:?}");
            other.join().unwrap();
        }
    }
}

#[test]
fn an_empty_list_traps() {
    let fields = r#"(func $run (result i32)
        (call $poll (i32.const 1024) (i32.const 0) (i32.const 64))
        (i32.const 0))"#;
    assert_eq!(
        cause(fields, |_| {}),
        "wasi:io/poll: the list of pollables is empty, so the guest would wait for ever"
    );
}

/// Fills a list with 100,000 pollables, made by `$make`, which gets their place.
fn long_list(make: &str) -> String {
    format!(
        r#"(func $make (param $place i32) (result i32) {make})
        (func $run (result i32)
            (local $list i32) (local $place i32)
            (local.set $list
                (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 400000)))
            (loop $more
                (i32.store
                    (i32.add (local.get $list) (i32.mul (local.get $place) (i32.const 4)))
                    (call $make (local.get $place)))
                (local.set $place (i32.add (local.get $place) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $place) (i32.const 100000))))
            (call $poll (local.get $list) (i32.const 100000) (i32.const 64))
            (call $print-number (i64.load32_u (i32.const 68)))
            (i32.const 0))"#
    )
}

#[test]
fn a_list_of_100_000_pollables() {
    // One of them again and again: ready, never ready but for the last, and a file descriptor.
    let ready = r#"(global $one (mut i32) (i32.const 0))
        (func $get (result i32)
            (if (i32.eqz (global.get $one)) (then
                (global.set $one (call $subscribe-duration (i64.const 0)))))
            (global.get $one))"#;
    let fields = format!("{ready} {}", long_list("(call $get)"));
    assert_eq!(output(&fields, |_| {}), "100000\n");
    let later = ready.replace("(i64.const 0)", "(i64.const 5000000)");
    let fields = format!("{later} {}", long_list("(call $get)"));
    assert_eq!(output(&fields, |_| {}), "100000\n");
    let input = ready.replace(
        "(call $subscribe-duration (i64.const 0))",
        "(call $subscribe-input (call $get-stdin))",
    );
    let fields = format!("{input} {}", long_list("(call $get)"));
    for mode in MODES {
        // The other end is closed.
        let (reader, _) = std::io::pipe().unwrap();
        let stdout = MemoryOutputPipe::new(100);
        let result = run_with(&guest(&fields), mode, |builder| {
            builder
                .stdin(InputFile::from(OwnedFd::from(reader)))
                .stdout(stdout.clone());
        });
        result.unwrap().unwrap();
        assert_eq!(stdout.contents(), "100000\n");
    }
}

#[test]
fn pollables_are_limited() {
    // Each is a pollable and the instant that it waits for.
    let fields = long_list("(call $subscribe-duration (i64.const 0))");
    assert_eq!(cause(&fields, |_| {}), "resource table has no free keys");
    let fields = format!(
        "{} {}",
        "(func $dropped (result i32) (local $p i32)
            (local.set $p (call $subscribe-duration (i64.const 0)))
            (call $drop-pollable (local.get $p))
            (call $subscribe-duration (i64.const 0)))",
        r#"(func $run (result i32)
            (local $n i32)
            (loop $more
                (call $drop-pollable (call $dropped))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))
            (i32.const 0))"#
    );
    // What is dropped does not count.
    let configure = |builder: &mut mintage_wasi::WasiCtxBuilder| {
        builder.max_resources(4);
    };
    assert_eq!(output(&fields, configure), "");
}

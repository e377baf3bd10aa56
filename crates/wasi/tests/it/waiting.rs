//! What ends a wait: a deadline, an interrupt handle, an epoch. And what a wait leaves behind:
//! nothing.

use crate::common::{
    Host, MODES, Mode, assert_interrupted, block_on, engine, guest, linker, run_in,
};
use mintage::component::Component;
use mintage::{Config, Engine, Store, UpdateDeadline};
use mintage_wasi::cli::{InputFile, OutputFile};
use mintage_wasi::p2::bindings;
use mintage_wasi::{WasiCtx, WasiCtxBuilder};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Guests that wait for ever, with what they wait for.
const ENDLESS: &[(&str, &str)] = &[
    (
        "an instant",
        "(func $run (result i32)
            (call $block (call $subscribe-duration (i64.const -1))) (i32.const 0))",
    ),
    (
        "a pipe, by poll",
        "(func $run (result i32)
            (i32.store (i32.const 96) (call $subscribe-input (call $get-stdin)))
            (call $poll (i32.const 96) (i32.const 1) (i32.const 64)) (i32.const 0))",
    ),
    (
        "a pipe, by reading it",
        "(func $run (result i32)
            (call $blocking-read (call $get-stdin) (i64.const 1) (i32.const 64)) (i32.const 0))",
    ),
    (
        "a pipe, by skipping",
        "(func $run (result i32)
            (call $blocking-skip (call $get-stdin) (i64.const 1) (i32.const 64)) (i32.const 0))",
    ),
    (
        "a full pipe",
        "(func $run (result i32)
            (loop $more
                (call $blocking-write-and-flush
                    (call $get-stdout) (i32.const 0) (i32.const 4096) (i32.const 64))
                (call $ok (i32.const 64))
                (br $more)) (unreachable))",
    ),
    (
        // Each stream may write as much as the empty pipe holds.
        "a full pipe, by two streams",
        "(func $run (result i32)
            (local $one i32) (local $other i32)
            (local.set $one (call $get-stdout))
            (local.set $other (call $get-stdout))
            (call $check-write (local.get $one) (i32.const 64))
            (call $check-write (local.get $other) (i32.const 80))
            (call $write (local.get $one) (i32.const 0) (i32.load (i32.const 72)) (i32.const 96))
            (call $ok (i32.const 96))
            (call $write
                (local.get $other) (i32.const 0) (i32.load (i32.const 88)) (i32.const 96))
            (i32.const 0))",
    ),
    (
        "a full pipe, by splicing",
        "(func $run (result i32)
            (call $blocking-splice
                (call $get-stdout) (call $get-stdin) (i64.const 10) (i32.const 64))
            (i32.const 0))",
    ),
];

/// Ends of pipes that no one reads and writes, while they exist.
struct Pipes {
    input: OwnedFd,
    output: OwnedFd,
    _others: (OwnedFd, OwnedFd),
}

impl Pipes {
    fn new() -> Pipes {
        let (input, writer) = std::io::pipe().unwrap();
        let (reader, output) = std::io::pipe().unwrap();
        Pipes {
            input: input.into(),
            output: output.into(),
            _others: (writer.into(), reader.into()),
        }
    }

    fn ctx(&self) -> WasiCtx {
        let input = InputFile::from(self.input.try_clone().unwrap());
        let output = OutputFile::from(self.output.try_clone().unwrap());
        WasiCtxBuilder::new().stdin(input).stdout(output).build()
    }
}

/// Runs each endless guest in a store that `limit` limits.
fn ends(engine: &Engine, modes: &[Mode], limit: impl Fn(&mut Store<Host>)) {
    for (name, fields) in ENDLESS {
        for &mode in modes {
            if mode == Mode::Async && name.contains("two streams") {
                // This write is not asynchronous, and the system has promised that it will not
                // wait. See the rationale.
                continue;
            }
            let pipes = Pipes::new();
            let mut store = Store::new(engine, Host::new(pipes.ctx()));
            limit(&mut store);
            let start = Instant::now();
            let error = run_in(&mut store, &guest(fields), mode)
                .err()
                .unwrap_or_else(|| panic!("{name}, {mode:?}: it has ended by itself"));
            assert_interrupted(&error);
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{name}, {mode:?}"
            );
        }
    }
}

#[test]
fn a_deadline_ends_a_wait() {
    ends(engine(true), &MODES, |store| {
        store.set_deadline(Duration::from_millis(20)).unwrap();
    });
}

#[test]
fn a_handle_ends_a_wait() {
    ends(engine(true), &MODES, |store| {
        let handle = store.interrupt_handle().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            handle.interrupt();
        });
    });
}

fn engine_with_epochs() -> Engine {
    Engine::new(Config::new().epoch_interruption(true)).unwrap()
}

/// Begins an epoch, a moment later.
fn epoch_soon(engine: &Engine) -> std::thread::JoinHandle<()> {
    let engine = engine.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        engine.increment_epoch();
    })
}

#[test]
fn an_epoch_ends_a_synchronous_wait() {
    let engine = engine_with_epochs();
    ends(&engine, &[Mode::Sync], |store| {
        store.set_epoch_deadline(1);
        epoch_soon(store.engine());
    });
}

#[test]
fn an_epoch_may_let_a_wait_go_on() {
    let engine = engine_with_epochs();
    let pipes = Pipes::new();
    let mut store = Store::new(&engine, Host::new(pipes.ctx()));
    let asked = Arc::new(AtomicU32::new(0));
    store.set_epoch_deadline(1);
    let count = asked.clone();
    store.epoch_deadline_callback(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(UpdateDeadline::Continue(100))
    });
    let epoch = epoch_soon(&engine);
    let start = Instant::now();
    let fields = "(func $run (result i32)
        (call $block (call $subscribe-duration (i64.const 100000000))) (i32.const 0))";
    run_in(&mut store, &guest(fields), Mode::Sync)
        .unwrap()
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    epoch.join().unwrap();
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

#[test]
fn waiting_takes_no_time_of_the_processor() {
    let fields = "(func $run (result i32)
        (call $block (call $subscribe-duration (i64.const 300000000))) (i32.const 0))";
    let bytes = guest(fields);
    for mode in MODES {
        for engine in [engine(true).clone(), engine_with_epochs()] {
            let component = Component::new(&engine, &bytes).unwrap();
            let linker = linker(&engine, mode);
            let mut store = Store::new(&engine, Host::new(WasiCtx::default()));
            store.set_epoch_deadline(1 << 20);
            let (start, used) = (Instant::now(), thread_time());
            match mode {
                Mode::Sync => {
                    let command =
                        bindings::sync::Command::instantiate(&mut store, &component, &linker);
                    command
                        .unwrap()
                        .wasi_cli_run()
                        .call_run(&mut store)
                        .unwrap()
                        .unwrap();
                }
                Mode::Async => block_on(async {
                    let command =
                        bindings::Command::instantiate_async(&mut store, &component, &linker);
                    let command = command.await.unwrap();
                    let run = command.wasi_cli_run().call_run(&mut store).await;
                    run.unwrap().unwrap();
                }),
            }
            assert!(start.elapsed() >= Duration::from_millis(300));
            let used = thread_time() - used;
            assert!(used < Duration::from_millis(100), "{mode:?}: {used:?}");
        }
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A call that waits for a pipe and an instant, again and again, or whose future is dropped.
#[test]
fn waits_leave_no_descriptors_behind() {
    // Other tests open files at the same time, so this one runs in a process of its own.
    const ALONE: &str = "MINTAGE_WASI_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "waiting::waits_leave_no_descriptors_behind"])
            .env(ALONE, "1")
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let fields = "(func $run (result i32)
        (local $n i32)
        (i32.store (i32.const 96) (call $subscribe-input (call $get-stdin)))
        (loop $more
            (i32.store (i32.const 100) (call $subscribe-duration (i64.const 1000000)))
            (call $poll (i32.const 96) (i32.const 2) (i32.const 64))
            (call $drop-pollable (i32.load (i32.const 100)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $n) (i32.const 20))))
        (i32.const 0))";
    let bytes = guest(fields);
    let endless = guest(ENDLESS[1].1);
    let engine = engine(true);
    let pipes = Pipes::new();
    let mut counts = Vec::new();
    for _ in 0..4 {
        for mode in MODES {
            let mut store = Store::new(engine, Host::new(pipes.ctx()));
            run_in(&mut store, &bytes, mode).unwrap().unwrap();
        }
        let component = Component::new(engine, &endless).unwrap();
        let linker = linker(engine, Mode::Async);
        block_on(async {
            let mut store = Store::new(engine, Host::new(pipes.ctx()));
            let command = bindings::Command::instantiate_async(&mut store, &component, &linker);
            let command = command.await.unwrap();
            let call = command.wasi_cli_run().call_run(&mut store);
            let dropped = tokio::time::timeout(Duration::from_millis(5), call).await;
            assert!(dropped.is_err());
        });
        counts.push(open_descriptors());
    }
    // The first round may have opened what stays: the eventfd of this thread.
    assert!(
        counts[1..].iter().all(|count| *count == counts[1]),
        "{counts:?}"
    );
}

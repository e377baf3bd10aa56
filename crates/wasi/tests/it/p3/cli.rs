//! The command line, standard streams, clocks and random numbers.

use super::{COMMAND, output, run, run_in, store};
use crate::common::{block_on, exit_code};
use mintage::Trap;
use mintage_wasi::cli::{AsyncStdinStream, AsyncStdoutStream, InputFile, OutputFile};
use mintage_wasi::p2::pipe::{ClosedOutputStream, MemoryInputPipe, MemoryOutputPipe};
use mintage_wasi::{Deterministic, HostMonotonicClock, HostWallClock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn arguments_environment_and_directory() {
    assert_eq!(output(&["hello"], |_| {}), "programs greets \nNone\n");
    let stderr = MemoryOutputPipe::new(100);
    let stdout = MemoryOutputPipe::new(1000);
    let result = run(&["hello", "you", "me"], |builder| {
        builder
            .env("A", "1")
            .env("B", "ä")
            .initial_cwd("/work")
            .stdout(stdout.clone())
            .stderr(stderr.clone());
    });
    result.unwrap().unwrap();
    assert_eq!(
        stdout.contents(),
        "programs greets you and me\nA is 1\nB is ä\nSome(\"/work\")\n"
    );
    assert_eq!(stderr.contents(), "an error\n");
}

#[test]
fn programs_end() {
    assert_eq!(run(&["fail"], |_| {}).unwrap(), Err(()));
    assert_eq!(exit_code(&run(&["exit", "7"], |_| {}).unwrap_err()), 7);
    assert_eq!(exit_code(&run(&["exit-ok"], |_| {}).unwrap_err()), 0);
    let trap = run(&["trap"], |_| {}).unwrap_err();
    assert_eq!(
        trap.downcast_ref(),
        Some(&Trap::UnreachableCodeReached),
        "{trap:?}"
    );
}

fn large() -> String {
    (0..100_000).map(|n| format!("{n}\n")).collect()
}

#[test]
fn input_is_copied_to_the_output() {
    for program in ["cat", "pass"] {
        for text in [String::new(), "text".to_string(), large()] {
            let printed = output(&[program], |builder| {
                builder.stdin(MemoryInputPipe::new(text.clone()));
            });
            assert!(printed == text, "{program}, {} bytes", text.len());
        }
    }
}

#[test]
fn pipes_of_the_system_have_back_pressure() {
    for program in ["cat", "pass"] {
        let (input, mut writer) = std::io::pipe().unwrap();
        let (mut reader, output) = std::io::pipe().unwrap();
        let text = large();
        let expected = text.clone();
        let write = std::thread::spawn(move || {
            std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
        });
        let read = std::thread::spawn(move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            text
        });
        let result = run(&[program], |builder| {
            builder
                .stdin(InputFile::from(std::os::fd::OwnedFd::from(input)))
                .stdout(OutputFile::from(std::os::fd::OwnedFd::from(output)));
        });
        result.unwrap().unwrap();
        write.join().unwrap();
        assert!(read.join().unwrap() == expected, "{program}");
    }
}

/// Streams that a host has written for tokio have a task that reads ahead or writes behind.
#[test]
fn streams_of_the_host_are_flushed() {
    for program in ["cat", "pass"] {
        block_on(async {
            let (mut writer, input) = tokio::io::duplex(1000);
            let (output, mut reader) = tokio::io::duplex(1000);
            let mut store = store(&[program], |builder| {
                builder
                    .stdin(AsyncStdinStream::new(input))
                    .stdout(AsyncStdoutStream::new(3000, output));
            });
            let text = large();
            let write = async {
                writer.write_all(text.as_bytes()).await.unwrap();
                drop(writer);
            };
            let mut read = vec![0; text.len()];
            let (result, (), count) =
                tokio::join!(run_in(&mut store), write, reader.read_exact(&mut read));
            result.unwrap().unwrap();
            assert_eq!(count.unwrap(), text.len());
            assert!(read == text.as_bytes(), "{program}");
        });
    }
}

/// The store needs no runtime of its own.
#[test]
fn any_executor_runs_programs() {
    let (input, mut writer) = std::io::pipe().unwrap();
    let write = std::thread::spawn(move || {
        for piece in ["some ", "text"] {
            std::thread::sleep(Duration::from_millis(10));
            std::io::Write::write_all(&mut writer, piece.as_bytes()).unwrap();
        }
    });
    let stdout = MemoryOutputPipe::new(100);
    let mut store = store(&["cat"], |builder| {
        builder
            .stdin(InputFile::from(std::os::fd::OwnedFd::from(input)))
            .stdout(stdout.clone());
    });
    mintage::block_on(run_in(&mut store)).unwrap().unwrap();
    write.join().unwrap();
    assert_eq!(stdout.contents(), "some text");
}

#[test]
fn streams_are_dropped_and_cancelled() {
    let text = MemoryInputPipe::new("text");
    let printed = output(&["first-byte"], |builder| {
        builder.stdin(text.clone());
    });
    assert_eq!(printed, "Some(116)\n");
    // The rest is for whoever reads next.
    assert!(!text.is_empty());
    let (input, mut writer) = std::io::pipe().unwrap();
    let (mut reader, output) = std::io::pipe().unwrap();
    let answer = std::thread::spawn(move || {
        let mut line = [0; 4];
        std::io::Read::read_exact(&mut reader, &mut line).unwrap();
        std::io::Write::write_all(&mut writer, b"text").unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut reader, &mut rest).unwrap();
        rest
    });
    let result = run(&["cancel-read"], |builder| {
        builder
            .stdin(InputFile::from(std::os::fd::OwnedFd::from(input)))
            .stdout(OutputFile::from(std::os::fd::OwnedFd::from(output)));
    });
    result.unwrap().unwrap();
    assert_eq!(answer.join().unwrap(), "text");
}

#[test]
fn streams_say_whether_they_are_ready() {
    let printed = output(&["ready"], |builder| {
        builder.stdin(MemoryInputPipe::new("text"));
    });
    assert_eq!(printed, "text");
}

#[test]
fn a_closed_output_is_an_error() {
    let result = run(&["closed-stdout"], |builder| {
        builder.stdout(ClosedOutputStream);
    });
    result.unwrap().unwrap();
    let (reader, output) = std::io::pipe().unwrap();
    drop(reader);
    let result = run(&["closed-stdout"], |builder| {
        builder.stdout(OutputFile::from(std::os::fd::OwnedFd::from(output)));
    });
    result.unwrap().unwrap();
    // It is full before all is written.
    let result = run(&["closed-stdout"], |builder| {
        builder.stdout(MemoryOutputPipe::new(50_000));
    });
    result.unwrap().unwrap();
}

#[test]
fn clocks_of_the_system() {
    assert_eq!(output(&["clocks"], |_| {}), "");
}

/// Clocks that stand still.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::new(2_000_000_000, 7)
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        1000
    }
}

#[test]
fn clocks_of_the_host_are_asked() {
    let trap = run(&["clocks"], |builder| {
        builder.wall_clock(Still).monotonic_clock(Still);
    });
    // No time passes by this clock, which the program finds out.
    assert!(trap.is_err());
}

#[test]
fn random_numbers() {
    assert_eq!(output(&["random"], |_| {}), "5000\n5000\n");
    // A guest gets fewer bytes than it asks for.
    let printed = output(&["random"], |builder| {
        builder.max_random_size(100);
    });
    assert_eq!(printed, "100\n100\n");
    let repeats = run(&["random"], |builder| {
        builder.secure_random(Deterministic::new(vec![7]));
    });
    assert!(repeats.is_err());
}

#[test]
fn both_versions_are_in_one_store() {
    let printed = output(&["both-versions"], |_| {});
    assert_eq!(
        printed,
        "this is 0.2\nand this 0.3\nSome(\"both-versions\")\n"
    );
}

/// A store may have many programs, one after the other and at the same time.
#[test]
fn programs_run_side_by_side() {
    let stdout = MemoryOutputPipe::new(1000);
    let mut store = store(&["hello"], |builder| {
        builder.stdout(stdout.clone());
    });
    block_on(async {
        let mut commands = Vec::new();
        for _ in 0..3 {
            commands.push(COMMAND.instantiate_async(&mut store).await.unwrap());
        }
        let run = async |accessor: &_| {
            let [one, two, three] = &commands[..] else {
                unreachable!()
            };
            tokio::join!(
                one.wasi_cli_run().call_run(accessor),
                two.wasi_cli_run().call_run(accessor),
                three.wasi_cli_run().call_run(accessor),
            )
        };
        let (one, two, three) = store.run_concurrent(run).await.unwrap();
        for result in [one, two, three] {
            result.unwrap().unwrap();
        }
    });
    assert_eq!(
        stdout.contents().len(),
        3 * "programs greets \nNone\n".len()
    );
}

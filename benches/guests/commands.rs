//! A command whose first argument names what it does a number of times, which is the second
//! argument. Each is one kind of call of WASI.

use wasip2::clocks::monotonic_clock;
use wasip2::exports::cli::run::Guest;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::{cli, filesystem, random};

struct Command;

wasip2::cli::command::export!(Command);

impl Guest for Command {
    fn run() -> Result<(), ()> {
        let arguments = cli::environment::get_arguments();
        let [_, what, times] = &arguments[..] else {
            return Err(());
        };
        let times: u32 = times.parse().map_err(drop)?;
        match what.as_str() {
            "nothing" => Ok(()),
            "cat" => (0..times).try_for_each(|_| cat()),
            "write" => small_writes(times),
            "stat" => stat(times),
            "list" => (0..times).try_for_each(|_| list()),
            "clock" => clock(times),
            "random" => random_numbers(times),
            "read" => small_reads(times),
            _ => Err(()),
        }
    }
}

/// Copies the file `large` to the standard output.
fn cat() -> Result<(), ()> {
    let input = open("large", OpenFlags::empty())?.read_via_stream(0).map_err(drop)?;
    let output = cli::stdout::get_stdout();
    loop {
        match input.blocking_read(1 << 16) {
            Ok(bytes) => write_all(&output, &bytes)?,
            Err(StreamError::Closed) => return output.blocking_flush().map_err(drop),
            Err(_) => return Err(()),
        }
    }
}

/// Writes as wasi-libc does: as much as the stream takes, and then waits.
fn write_all(output: &OutputStream, mut bytes: &[u8]) -> Result<(), ()> {
    while !bytes.is_empty() {
        let room = output.check_write().map_err(drop)? as usize;
        if room == 0 {
            output.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        output.write(now).map_err(drop)?;
        bytes = later;
    }
    Ok(())
}

/// Writes lines to the standard output, as programs do that do not buffer them.
fn small_writes(times: u32) -> Result<(), ()> {
    let output = cli::stdout::get_stdout();
    (0..times).try_for_each(|_| output.blocking_write_and_flush(b"one short line\n").map_err(drop))
}

/// Reads 16 bytes at a time from a file, at increasing offsets.
fn small_reads(times: u32) -> Result<(), ()> {
    let file = open("large", OpenFlags::empty())?;
    (0..times).try_for_each(|at| match file.read(16, u64::from(at) * 16) {
        Ok((bytes, false)) if bytes.len() == 16 => Ok(()),
        _ => Err(()),
    })
}

fn stat(times: u32) -> Result<(), ()> {
    let root = root()?;
    (0..times).try_for_each(|_| {
        let stat = root.stat_at(PathFlags::SYMLINK_FOLLOW, "many/entry-17").map_err(drop)?;
        (stat.size == 0).then_some(()).ok_or(())
    })
}

/// Reads the directory `many`.
fn list() -> Result<(), ()> {
    let entries = open("many", OpenFlags::DIRECTORY)?.read_directory().map_err(drop)?;
    let mut count = 0;
    while entries.read_directory_entry().map_err(drop)?.is_some() {
        count += 1;
    }
    (count == 10_000).then_some(()).ok_or(())
}

fn clock(times: u32) -> Result<(), ()> {
    let mut last = 0;
    (0..times).try_for_each(|_| {
        let now = monotonic_clock::now();
        let grows = now >= last;
        last = now;
        grows.then_some(()).ok_or(())
    })
}

fn random_numbers(times: u32) -> Result<(), ()> {
    let sum = (0..times).fold(0, |sum: u64, _| sum ^ random::random::get_random_u64());
    (sum != 0).then_some(()).ok_or(())
}

fn root() -> Result<Descriptor, ()> {
    let mut preopened = filesystem::preopens::get_directories();
    preopened.pop().map(|(root, _)| root).ok_or(())
}

fn open(path: &str, flags: OpenFlags) -> Result<Descriptor, ()> {
    let opened = root()?.open_at(PathFlags::SYMLINK_FOLLOW, path, flags, DescriptorFlags::READ);
    opened.map_err(drop)
}


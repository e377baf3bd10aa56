//! Arguments, environment, clocks, random numbers, and the end of the process.

use super::guest::{Guest, Outcome, bytes};
use crate::Errno;
use crate::cli::WasiCliCtx;
use crate::clocks::nanoseconds;
use mintage::format_err;

/// The most bytes of random numbers that are made at once.
const RANDOM_PIECE: usize = 64 << 10;

pub(super) fn args_get(guest: &mut dyn Guest, argv: u32, argv_buf: u32) -> Outcome {
    let text = arguments(&guest.ctx().wasi.cli);
    write_strings(guest, &text, argv, argv_buf)
}

pub(super) fn args_sizes_get(guest: &mut dyn Guest, count: u32, size: u32) -> Outcome {
    let text = arguments(&guest.ctx().wasi.cli);
    write_sizes(guest, &text, count, size)
}

pub(super) fn environ_get(guest: &mut dyn Guest, environ: u32, environ_buf: u32) -> Outcome {
    let text = environment(&guest.ctx().wasi.cli);
    write_strings(guest, &text, environ, environ_buf)
}

pub(super) fn environ_sizes_get(guest: &mut dyn Guest, count: u32, size: u32) -> Outcome {
    let text = environment(&guest.ctx().wasi.cli);
    write_sizes(guest, &text, count, size)
}

/// Strings one after the other, each with a zero at its end.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    /// The offset of each.
    starts: Vec<usize>,
}

impl Strings {
    fn push(&mut self, parts: &[&str]) {
        self.starts.push(self.bytes.len());
        parts
            .iter()
            .for_each(|part| self.bytes.extend_from_slice(part.as_bytes()));
        self.bytes.push(0);
    }
}

fn arguments(cli: &WasiCliCtx) -> Strings {
    let mut strings = Strings::default();
    cli.arguments
        .iter()
        .for_each(|argument| strings.push(&[argument]));
    strings
}

fn environment(cli: &WasiCliCtx) -> Strings {
    let mut strings = Strings::default();
    for (name, value) in &cli.environment {
        strings.push(&[name, "=", value]);
    }
    strings
}

fn write_sizes(guest: &mut dyn Guest, strings: &Strings, count: u32, size: u32) -> Outcome {
    let number = |len: usize| u32::try_from(len).map_err(|_| Errno::Overflow);
    guest.write(count, number(strings.starts.len())?.to_le_bytes())?;
    guest.write(size, number(strings.bytes.len())?.to_le_bytes())
}

fn write_strings(guest: &mut dyn Guest, strings: &Strings, array: u32, buffer: u32) -> Outcome {
    guest.write_bytes(buffer, &strings.bytes)?;
    // The strings are in bounds, so these do not overflow.
    let pointers = strings.starts.iter();
    let pointers: Vec<u8> = pointers
        .flat_map(|&start| buffer.wrapping_add(start as u32).to_le_bytes())
        .collect();
    guest.write_array(array, &pointers, 4)
}

pub(super) fn clock_res_get(guest: &mut dyn Guest, id: u32, result: u32) -> Outcome {
    let clocks = &guest.ctx().wasi.clocks;
    let resolution = match clock(id)? {
        Clock::Realtime => nanoseconds(clocks.wall.resolution()),
        Clock::Monotonic => clocks.monotonic.resolution(),
    };
    guest.write(result, resolution.to_le_bytes())
}

pub(super) fn clock_time_get(
    guest: &mut dyn Guest,
    id: u32,
    _precision: u64,
    result: u32,
) -> Outcome {
    let clocks = &guest.ctx().wasi.clocks;
    let now = match clock(id)? {
        Clock::Realtime => nanoseconds(clocks.wall.now()),
        Clock::Monotonic => clocks.monotonic.now(),
    };
    guest.write(result, now.to_le_bytes())
}

/// A clock of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Realtime,
    Monotonic,
}

/// Returns the clock of a number.
///
/// # Errors
///
/// - [`Errno::BadDescriptor`] for the times that a process or a thread has had on a processor. WASI
///   gives no guest the times of the host's process.
/// - [`Errno::Invalid`] for other numbers.
pub(super) fn clock(id: u32) -> Result<Clock, Errno> {
    match id {
        0 => Ok(Clock::Realtime),
        1 => Ok(Clock::Monotonic),
        2 | 3 => Err(Errno::BadDescriptor),
        _ => Err(Errno::Invalid),
    }
}

pub(super) fn random_get(guest: &mut dyn Guest, at: u32, len: u32) -> Outcome {
    let (memory, ctx) = guest.split()?;
    bytes(memory, at, len as usize)?;
    let max = ctx.wasi.random.max_size;
    if u64::from(len) > max {
        let error = format_err!(
            "the guest asks for {len} random bytes at once, more than the {max} that \
             `WasiCtxBuilder::max_random_size` allows"
        );
        return Err(error.into());
    }
    let end = at as usize + len as usize;
    for start in (at as usize..end).step_by(RANDOM_PIECE) {
        let (block, ctx) = guest.block(start..end.min(start + RANDOM_PIECE))?;
        ctx.wasi.random.random.fill_bytes(block);
    }
    Ok(())
}

pub(super) fn proc_raise(_guest: &mut dyn Guest, _signal: u32) -> Outcome {
    Err(Errno::NotSupported.into())
}

pub(super) fn sched_yield(_guest: &mut dyn Guest) -> Outcome {
    Ok(())
}

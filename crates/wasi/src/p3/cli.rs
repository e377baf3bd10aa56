//! `wasi:cli`: arguments, environment, exit, standard streams and terminals.

use super::bindings::cli as bindings;
use super::bindings::cli::types::ErrorCode;
use super::bindings::cli::{stderr, stdin, stdout};
use super::stream::{self, Ended, Reading};
use crate::Errno;
use crate::cli::{WasiCli, WasiCliCtxView, WasiCliView};
use mintage::component::{Access, FutureReader, StreamReader};
use mintage::{Linker, Resource, Result};

pub use crate::cli::{TerminalInput, TerminalOutput};

/// Defines `wasi:cli`.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiCliView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_streams(linker)?;
    bindings::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    bindings::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)
}

/// Defines the standard streams.
///
/// # Errors
///
/// If an interface is already defined.
pub(super) fn add_streams<T: WasiCliView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    bindings::types::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    stderr::add_to_linker::<T, WasiCli>(linker, T::cli)
}

impl From<Errno> for ErrorCode {
    fn from(error: Errno) -> ErrorCode {
        match error {
            Errno::IllegalByteSequence => ErrorCode::IllegalByteSequence,
            Errno::Pipe => ErrorCode::Pipe,
            _ => ErrorCode::Io,
        }
    }
}

impl bindings::types::Host for WasiCliCtxView<'_> {}

crate::cli::hosts!(crate::p3::bindings::cli, get_initial_cwd);

impl stdin::Host for WasiCliCtxView<'_> {}

impl<T> stdin::HostWithStore<T> for WasiCli {
    fn read_via_stream(mut host: Access<'_, T, Self>) -> Result<Reading<ErrorCode>> {
        let ctx = host.get().ctx;
        match ctx.streams.open() {
            Ok(slot) => {
                let input = ctx.stdin.p2_stream();
                stream::read(host, input, Some(slot))
            }
            Err(error) => stream::failed_reading(host, error),
        }
    }
}

/// Implements an interface for output.
macro_rules! output {
    ($($name:ident)*) => {$(
        impl $name::Host for WasiCliCtxView<'_> {}

        impl<T> $name::HostWithStore<T> for WasiCli {
            fn write_via_stream(
                mut host: Access<'_, T, Self>,
                data: StreamReader<u8>,
            ) -> Result<FutureReader<Ended<ErrorCode>>> {
                let ctx = host.get().ctx;
                match ctx.streams.open() {
                    Ok(slot) => {
                        let output = ctx.$name.p2_stream();
                        stream::write(host, data, output, Some(slot))
                    }
                    Err(error) => stream::failed_writing(host, data, error),
                }
            }
        }
    )*};
}

output!(stdout stderr);

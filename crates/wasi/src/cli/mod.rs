//! Arguments, environment, working directory, standard input and output of a guest.

#[cfg(feature = "tokio")]
mod asynchronous;
mod hosts;
mod stdio;

#[cfg(feature = "tokio")]
pub use asynchronous::{AsyncStdinStream, AsyncStdoutStream};
pub(crate) use hosts::hosts;
pub use stdio::{InputFile, OutputFile};
#[cfg(feature = "tokio")]
#[doc(no_inline)]
pub use tokio::io::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

use crate::I32Exit;
use crate::io::{InputStream, OutputStream};
use crate::limit::DescriptorLimit;
use mintage::{HasData, Resource, ResourceTable};
use std::fmt;
use std::sync::Arc;

/// What is a terminal or not.
pub trait IsTerminal {
    /// Returns whether this is a terminal.
    fn is_terminal(&self) -> bool;
}

/// The standard input of a guest. Each stream that the guest takes reads where the others stopped.
pub trait StdinStream: IsTerminal + Send {
    /// Returns a stream for hosts that read it with tokio.
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync>;

    /// Returns a stream for WASI 0.2 and preview 1. By default, with the feature `tokio`, it reads
    /// [`async_stream`](Self::async_stream).
    #[cfg(feature = "tokio")]
    fn p2_stream(&self) -> Box<dyn InputStream> {
        let reader = std::pin::Pin::from(self.async_stream());
        Box::new(crate::io::AsyncReadStream::new(reader))
    }

    /// Returns a stream for WASI 0.2 and preview 1.
    #[cfg(not(feature = "tokio"))]
    fn p2_stream(&self) -> Box<dyn InputStream>;
}

/// The standard output, or the standard error, of a guest.
pub trait StdoutStream: IsTerminal + Send {
    /// Returns a stream for hosts that write it with tokio.
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync>;

    /// Returns a stream for WASI 0.2 and preview 1. By default, with the feature `tokio`, it writes
    /// [`async_stream`](Self::async_stream), and takes 8 KiB before they are written.
    #[cfg(feature = "tokio")]
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        let writer = std::pin::Pin::from(self.async_stream());
        Box::new(crate::io::AsyncWriteStream::new(8192, writer))
    }

    /// Returns a stream for WASI 0.2 and preview 1.
    #[cfg(not(feature = "tokio"))]
    fn p2_stream(&self) -> Box<dyn OutputStream>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: ?Sized + IsTerminal> IsTerminal for $pointer {
            fn is_terminal(&self) -> bool {
                T::is_terminal(self)
            }
        }

        impl<T: ?Sized + StdinStream + Sync> StdinStream for $pointer {
            #[cfg(feature = "tokio")]
            fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
                T::async_stream(self)
            }

            fn p2_stream(&self) -> Box<dyn InputStream> {
                T::p2_stream(self)
            }
        }

        impl<T: ?Sized + StdoutStream + Sync> StdoutStream for $pointer {
            #[cfg(feature = "tokio")]
            fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
                T::async_stream(self)
            }

            fn p2_stream(&self) -> Box<dyn OutputStream> {
                T::p2_stream(self)
            }
        }
    )*};
}

forward!(&T, &mut T, Box<T>, Arc<T>);

/// The command line and the standard streams of a guest. By default it has no arguments and no
/// environment, empty input, and output that is thrown away.
pub struct WasiCliCtx {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) initial_cwd: Option<String>,
    pub(crate) stdin: Box<dyn StdinStream>,
    pub(crate) stdout: Box<dyn StdoutStream>,
    pub(crate) stderr: Box<dyn StdoutStream>,
    /// Counts the standard streams that a guest of WASI 0.3 has.
    #[cfg_attr(
        not(feature = "tokio"),
        allow(dead_code, reason = "no guest of 0.3 has any")
    )]
    pub(crate) streams: Arc<DescriptorLimit>,
}

impl Default for WasiCliCtx {
    fn default() -> Self {
        WasiCliCtx {
            environment: Vec::new(),
            arguments: Vec::new(),
            initial_cwd: None,
            stdin: Box::new(std::io::empty()),
            stdout: Box::new(std::io::empty()),
            stderr: Box::new(std::io::empty()),
            streams: Arc::default(),
        }
    }
}

impl fmt::Debug for WasiCliCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiCliCtx")
            .field("environment", &self.environment)
            .field("arguments", &self.arguments)
            .field("initial_cwd", &self.initial_cwd)
            .finish_non_exhaustive()
    }
}

/// Names [`WasiCliCtxView`] as what implements the interfaces of `wasi:cli`.
#[derive(Debug)]
pub struct WasiCli;

impl HasData for WasiCli {
    type Data<'a> = WasiCliCtxView<'a>;
}

/// Data of a store that has a [`WasiCliCtx`]. What has a [`WasiView`](crate::WasiView) has one.
pub trait WasiCliView: Send {
    /// Returns the context and the table.
    fn cli(&mut self) -> WasiCliCtxView<'_>;
}

/// A context with the table that has the guest's resources.
#[derive(Debug)]
pub struct WasiCliCtxView<'a> {
    /// The context.
    pub ctx: &'a mut WasiCliCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// The right to control the terminal that a guest reads.
#[derive(Debug)]
pub struct TerminalInput;

/// The right to control the terminal that a guest writes.
#[derive(Debug)]
pub struct TerminalOutput;

impl WasiCliCtxView<'_> {
    /// Returns a right of the guest, if there is a terminal.
    pub(crate) fn terminal<T: Send + 'static>(
        &mut self,
        is_terminal: bool,
        right: T,
    ) -> mintage::Result<Option<Resource<T>>> {
        match is_terminal {
            true => Ok(Some(self.table.push(right)?)),
            false => Ok(None),
        }
    }
}

/// Returns the exit of a guest that only says whether it has succeeded.
pub(crate) fn exit(status: Result<(), ()>) -> I32Exit {
    I32Exit(i32::from(status.is_err()))
}

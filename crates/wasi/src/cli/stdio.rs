//! What can be standard input and output: the process's own, files, pipes in memory.

use super::{IsTerminal, StdinStream, StdoutStream};
use crate::io::fd::{Fd, FdInput, FdOutput};
use crate::io::pipe::{
    ClosedInputStream, ClosedOutputStream, MemoryInputPipe, MemoryOutputPipe, SinkOutputStream,
};
use crate::io::{InputStream, OutputStream};
use std::fs::File;
use std::io::Write;
#[cfg(feature = "tokio")]
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

/// Defines what a type is as an end of standard input or output: its stream, and the stream for
/// hosts that use tokio.
macro_rules! streams {
    ($($name:ident for $ty:ty {
        is_terminal: $is_terminal:expr,
        stream: $stream:expr,
        asynchronous: $asynchronous:expr,
    })*) => {$(
        streams!(@ $name for $ty { $is_terminal, $stream, $asynchronous });
    )*};
    (@ StdinStream for $ty:ty { $is_terminal:expr, $stream:expr, $asynchronous:expr }) => {
        impl StdinStream for $ty {
            #[cfg(feature = "tokio")]
            fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
                let make: fn(&$ty) -> Box<dyn tokio::io::AsyncRead + Send + Sync> = $asynchronous;
                make(self)
            }

            fn p2_stream(&self) -> Box<dyn InputStream> {
                let make: fn(&$ty) -> Box<dyn InputStream> = $stream;
                make(self)
            }
        }

        streams!(@ terminal $ty { $is_terminal });
    };
    (@ StdoutStream for $ty:ty { $is_terminal:expr, $stream:expr, $asynchronous:expr }) => {
        impl StdoutStream for $ty {
            #[cfg(feature = "tokio")]
            fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
                let make: fn(&$ty) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> = $asynchronous;
                make(self)
            }

            fn p2_stream(&self) -> Box<dyn OutputStream> {
                let make: fn(&$ty) -> Box<dyn OutputStream> = $stream;
                make(self)
            }
        }

        streams!(@ terminal $ty { $is_terminal });
    };
    (@ terminal $ty:ty { $is_terminal:expr }) => {
        impl IsTerminal for $ty {
            fn is_terminal(&self) -> bool {
                let ask: fn(&$ty) -> bool = $is_terminal;
                ask(self)
            }
        }
    };
}

streams! {
    StdinStream for std::io::Stdin {
        is_terminal: std::io::IsTerminal::is_terminal,
        stream: |_| stdin(),
        asynchronous: |_| Box::new(tokio::io::stdin()),
    }
    StdoutStream for std::io::Stdout {
        is_terminal: std::io::IsTerminal::is_terminal,
        stream: |_| stdout(),
        asynchronous: |_| Box::new(tokio::io::stdout()),
    }
    StdoutStream for std::io::Stderr {
        is_terminal: std::io::IsTerminal::is_terminal,
        stream: |_| stderr(),
        asynchronous: |_| Box::new(tokio::io::stderr()),
    }
    StdinStream for InputFile {
        is_terminal: |file| rustix::termios::isatty(&file.0),
        stream: |file| Box::new(FdInput::new(file.0.clone())),
        asynchronous: |file| tokio_file(&file.0),
    }
    StdoutStream for OutputFile {
        is_terminal: |file| rustix::termios::isatty(&file.0),
        stream: |file| Box::new(FdOutput::new(file.0.clone())),
        asynchronous: |file| tokio_file(&file.0),
    }
    StdinStream for MemoryInputPipe {
        is_terminal: |_| false,
        stream: |pipe| Box::new(pipe.clone()),
        asynchronous: |pipe| Box::new(pipe.clone()),
    }
    StdoutStream for MemoryOutputPipe {
        is_terminal: |_| false,
        stream: |pipe| Box::new(pipe.clone()),
        asynchronous: |pipe| Box::new(pipe.clone()),
    }
    StdinStream for ClosedInputStream {
        is_terminal: |_| false,
        stream: |_| Box::new(ClosedInputStream),
        asynchronous: |_| Box::new(tokio::io::empty()),
    }
    StdoutStream for ClosedOutputStream {
        is_terminal: |_| false,
        stream: |_| Box::new(ClosedOutputStream),
        asynchronous: |_| Box::new(ClosedOutputStream),
    }
    StdoutStream for SinkOutputStream {
        is_terminal: |_| false,
        stream: |_| Box::new(SinkOutputStream),
        asynchronous: |_| Box::new(tokio::io::empty()),
    }
}

/// [`std::io::empty`] is input that has ended, and output that is thrown away.
impl IsTerminal for std::io::Empty {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for std::io::Empty {
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(ClosedInputStream)
    }
}

impl StdoutStream for std::io::Empty {
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(SinkOutputStream)
    }
}

fn stdin() -> Box<dyn InputStream> {
    Box::new(FdInput::new(Fd::Standard(rustix::stdio::stdin())))
}

fn stdout() -> Box<dyn OutputStream> {
    // What the host has written is first. If it cannot be written, the guest's output fails, too.
    let _ = std::io::stdout().flush();
    Box::new(FdOutput::new(Fd::Standard(rustix::stdio::stdout())))
}

fn stderr() -> Box<dyn OutputStream> {
    Box::new(FdOutput::new(Fd::Standard(rustix::stdio::stderr())))
}

/// Standard input from a file, a pipe or a socket, from its position on.
#[derive(Clone, Debug)]
pub struct InputFile(Fd);

impl InputFile {
    /// Creates standard input from an open file.
    pub fn new(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

/// Standard output to a file, a pipe or a socket, at its position.
#[derive(Clone, Debug)]
pub struct OutputFile(Fd);

impl OutputFile {
    /// Creates standard output to an open file.
    pub fn new(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl From<OwnedFd> for InputFile {
    fn from(fd: OwnedFd) -> Self {
        InputFile(fd.into())
    }
}

impl From<OwnedFd> for OutputFile {
    fn from(fd: OwnedFd) -> Self {
        OutputFile(fd.into())
    }
}

/// Returns the file for tokio, or, if there are no file descriptors left, one that is closed.
#[cfg(feature = "tokio")]
fn tokio_file<S: TokioFile + ?Sized>(fd: &Fd) -> Box<S> {
    S::new(fd.as_fd().try_clone_to_owned().ok().map(File::from))
}

#[cfg(feature = "tokio")]
trait TokioFile {
    fn new(file: Option<File>) -> Box<Self>;
}

#[cfg(feature = "tokio")]
impl TokioFile for dyn tokio::io::AsyncRead + Send + Sync {
    fn new(file: Option<File>) -> Box<Self> {
        match file {
            Some(file) => Box::new(tokio::fs::File::from_std(file)),
            None => Box::new(tokio::io::empty()),
        }
    }
}

#[cfg(feature = "tokio")]
impl TokioFile for dyn tokio::io::AsyncWrite + Send + Sync {
    fn new(file: Option<File>) -> Box<Self> {
        match file {
            Some(file) => Box::new(tokio::fs::File::from_std(file)),
            None => Box::new(ClosedOutputStream),
        }
    }
}

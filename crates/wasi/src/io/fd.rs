//! [`FdInput`] and [`FdOutput`]: streams over file descriptors of the system.

use super::wait::is_fd_ready;
use super::{
    InputStream, Interest, MAX_PIECE, OutputStream, Pollable, Readiness, StreamError, StreamResult,
};
use bytes::Bytes;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The most bytes that a pipe takes at once if it is ready (`PIPE_BUF`). Terminals are treated as
/// pipes are.
const PIPE_PIECE: usize = 4096;

/// `check_write` asks the system again only if less than this is left of what it last allowed. A
/// pipe keeps its promise: small writes fill its buffers up.
const MIN_ALLOWED: usize = 1024;

/// A file descriptor: one of a guest's own, or a standard one of the process.
#[derive(Clone, Debug)]
pub(crate) enum Fd {
    Owned(Arc<OwnedFd>),
    Standard(BorrowedFd<'static>),
}

impl From<OwnedFd> for Fd {
    fn from(fd: OwnedFd) -> Self {
        Fd::Owned(Arc::new(fd))
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Fd::Owned(fd) => fd.as_fd(),
            Fd::Standard(fd) => *fd,
        }
    }
}

/// How operations on a file descriptor behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// They never wait for another program: a file, or a device such as the null device.
    Direct,
    /// They may wait: a pipe, a terminal or a socket.
    Waiting,
}

impl Kind {
    fn of(fd: &Fd) -> Kind {
        match rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile | FileType::BlockDevice | FileType::Directory) => Kind::Direct,
            Ok(FileType::CharacterDevice) if !rustix::termios::isatty(fd) => Kind::Direct,
            // One that is closed fails at each operation.
            Err(_) => Kind::Direct,
            Ok(_) => Kind::Waiting,
        }
    }
}

/// An input stream that reads a file descriptor, from its position on. The descriptor may be a
/// blocking one: a read is made only when it would not block.
#[derive(Clone, Debug)]
pub(crate) struct FdInput {
    fd: Fd,
    kind: Kind,
}

impl FdInput {
    pub fn new(fd: impl Into<Fd>) -> Self {
        let fd = fd.into();
        FdInput {
            kind: Kind::of(&fd),
            fd,
        }
    }

    /// Returns how many bytes there are, if the system knows, and there are any.
    fn count(&self) -> Option<usize> {
        // The system's number is a C `int`, and negative beyond 2 GiB.
        match rustix::io::ioctl_fionread(&self.fd) {
            Ok(0) | Err(_) => None,
            Ok(count) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FdInput {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.kind {
            Kind::Direct => Readiness::Ready,
            Kind::Waiting => Readiness::Fd(self.fd.as_fd(), Interest::Read),
        }
    }
}

impl InputStream for FdInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let size = match self.count() {
            Some(count) => count.min(size).min(MAX_PIECE),
            None if self.kind == Kind::Waiting && !is_fd_ready(self.fd.as_fd(), Interest::Read) => {
                return Ok(Bytes::new());
            }
            // The end, or a device that does not say.
            None => size.min(PIPE_PIECE),
        };
        let mut buffer = vec![0; size];
        let count = self.read_into(&mut buffer)?;
        buffer.truncate(count);
        Ok(buffer.into())
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        match self.count() {
            Some(count) => Some(Ok(count.min(size))),
            None if self.kind == Kind::Waiting && !is_fd_ready(self.fd.as_fd(), Interest::Read) => {
                Some(Ok(0))
            }
            None => None,
        }
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => return Ok(count),
                Err(Errno::INTR) => {}
                // Another program has read first, and the descriptor is not a blocking one.
                Err(Errno::AGAIN) => return Ok(0),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read_available(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        match self.kind == Kind::Direct || is_fd_ready(self.fd.as_fd(), Interest::Read) {
            true => self.read_into(buffer),
            false => Ok(0),
        }
    }
}

/// An output stream that writes a file descriptor, at its position. A write is complete when it
/// returns, so there is nothing to flush.
#[derive(Clone, Debug)]
pub(crate) struct FdOutput {
    fd: Fd,
    kind: Kind,
    /// How many bytes an empty pipe takes, or None if it is not a pipe.
    pipe_size: Option<usize>,
    /// How many bytes the last `check_write` allowed that have not been written yet.
    allowed: usize,
}

impl FdOutput {
    pub fn new(fd: impl Into<Fd>) -> Self {
        let fd = fd.into();
        FdOutput {
            kind: Kind::of(&fd),
            pipe_size: rustix::pipe::fcntl_getpipe_size(&fd).ok(),
            allowed: 0,
            fd,
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FdOutput {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.kind {
            Kind::Direct => Readiness::Ready,
            Kind::Waiting => Readiness::Fd(self.fd.as_fd(), Interest::Write),
        }
    }
}

impl OutputStream for FdOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, mut bytes: &[u8]) -> StreamResult<()> {
        self.allowed = self.allowed.saturating_sub(bytes.len());
        while !bytes.is_empty() {
            match rustix::io::write(&self.fd, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                // Another program has made the descriptor one that does not block.
                Err(Errno::AGAIN) => block_on_fd(self.fd.as_fd(), Interest::Write)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write_allowed(&mut self, bytes: &[u8]) -> StreamResult<()> {
        if bytes.len() > self.allowed && bytes.len() > self.check_write()? {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        self.write_from(bytes)
    }

    fn is_unbuffered(&self) -> bool {
        true
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.allowed = match (self.kind, self.pipe_size) {
            (Kind::Direct, _) => MAX_PIECE,
            _ if self.allowed >= MIN_ALLOWED => self.allowed,
            _ if !is_fd_ready(self.fd.as_fd(), Interest::Write) => 0,
            // All buffers of the pipe are free.
            (_, Some(size)) if rustix::io::ioctl_fionread(&self.fd).is_ok_and(|n| n == 0) => size,
            _ => PIPE_PIECE,
        };
        Ok(self.allowed)
    }

    fn write_zeroes(&mut self, mut size: usize) -> StreamResult<()> {
        const ZEROS: &[u8] = &[0; PIPE_PIECE];
        if size > self.check_write()? {
            return Err(StreamError::trap(
                "write-zeroes: more bytes than `check-write` allowed",
            ));
        }
        while size > 0 {
            let piece = size.min(ZEROS.len());
            self.write_from(&ZEROS[..piece])?;
            size -= piece;
        }
        Ok(())
    }
}

/// Waits on this thread until a file descriptor is ready.
fn block_on_fd(fd: BorrowedFd<'_>, interest: Interest) -> StreamResult<()> {
    use rustix::event::{PollFd, poll};
    match poll(&mut [PollFd::from_borrowed_fd(fd, interest.flags())], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits for a file descriptor in a future.
pub(crate) async fn wait_for(readiness: Readiness<'_>) {
    #[cfg(feature = "tokio")]
    {
        use super::wait::{Source, Sources};
        // If the system cannot wait, the operation that follows says so.
        let _ = Sources::one(Source::of(readiness)).wait_async().await;
    }
    #[cfg(not(feature = "tokio"))]
    if let Readiness::Fd(fd, interest) = readiness {
        let _ = block_on_fd(fd, interest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Seek, Write};

    fn pipe() -> (FdInput, FdOutput) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (FdInput::new(reader), FdOutput::new(writer))
    }

    #[test]
    fn a_pipe_has_back_pressure_and_never_blocks() {
        let (mut input, mut output) = pipe();
        assert_eq!(input.read(10).unwrap(), "");
        assert!(matches!(input.available(10), Some(Ok(0))));
        let size = output.check_write().unwrap();
        assert!(size >= PIPE_PIECE);
        output.write(vec![1; size].into()).unwrap();
        assert_eq!(output.check_write().unwrap(), 0);
        // This would wait for ever.
        assert!(matches!(
            output.write_allowed(b"x"),
            Err(StreamError::Trap(_))
        ));
        assert!(matches!(input.available(10), Some(Ok(10))));
        assert_eq!(input.read(usize::MAX).unwrap().len(), size);
        output.write_zeroes(100).unwrap();
        // The rest of what was allowed. Another stream knows only that the pipe is ready.
        assert_eq!(output.check_write().unwrap(), size - 100);
        let mut other = FdOutput::new(output.fd.clone());
        assert_eq!(other.check_write().unwrap(), PIPE_PIECE);
        assert!(matches!(
            output.write_zeroes(size + 1),
            Err(StreamError::Trap(_))
        ));
        assert_eq!(input.read(usize::MAX).unwrap(), vec![0; 100]);
        // Small writes fill the buffers up, as far as was allowed.
        for _ in 0..(size - 100) / 7 {
            output.write_allowed(&[2; 7]).unwrap();
        }
        assert!(output.check_write().unwrap() < 7 || output.allowed == PIPE_PIECE);
        while input.read(usize::MAX).is_ok_and(|bytes| !bytes.is_empty()) {}
        drop((output, other));
        assert!(input.available(10).is_none());
        assert!(matches!(input.read(10), Err(StreamError::Closed)));
        assert_eq!(input.read(0).unwrap(), "");
    }

    #[test]
    fn a_pipe_without_a_reader_is_closed() {
        let (input, mut output) = pipe();
        drop(input);
        assert!(output.check_write().unwrap() > 0);
        assert!(matches!(output.write("x".into()), Err(StreamError::Closed)));
    }

    #[test]
    fn files_are_always_ready() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"some text").unwrap();
        file.rewind().unwrap();
        let mut input = FdInput::new(OwnedFd::from(file.try_clone().unwrap()));
        assert!(matches!(input.readiness(), Readiness::Ready));
        let mut buffer = [0; 4];
        assert!(matches!(input.available(4), Some(Ok(4))));
        assert_eq!(input.read_into(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"some");
        // Streams of one file share its position.
        assert_eq!(input.clone().read(100).unwrap(), " text");
        assert!(matches!(input.read(100), Err(StreamError::Closed)));
        // Beyond what the system's counter can express.
        file.set_len(5 << 30).unwrap();
        assert_eq!(input.read(10).unwrap(), vec![0; 10]);
        file.set_len(9 + 10 + (1 << 32)).unwrap();
        assert_eq!(input.read(10).unwrap(), vec![0; 10]);
        let mut output = FdOutput::new(OwnedFd::from(file));
        assert_eq!(output.check_write().unwrap(), MAX_PIECE);
        output.write("!".into()).unwrap();
    }

    #[test]
    fn devices_are_read_and_written() {
        let open = |path| OwnedFd::from(File::options().read(true).write(true).open(path).unwrap());
        let mut zeros = FdInput::new(open("/dev/zero"));
        assert_eq!(zeros.read(7).unwrap(), vec![0; 7]);
        let mut null = FdInput::new(open("/dev/null"));
        assert!(matches!(null.read(7), Err(StreamError::Closed)));
        let mut full = FdOutput::new(open("/dev/full"));
        match full.write("x".into()) {
            Err(StreamError::LastOperationFailed(error)) => {
                let error = error.downcast_ref::<std::io::Error>().unwrap();
                assert_eq!(crate::Errno::from(error), crate::Errno::NoSpace);
            }
            other => panic!("{other:?}"),
        }
    }
}

//! [`Connection`]: a connected TCP socket, with its streams [`TcpInput`] and [`TcpOutput`].

use super::{Result, Socket, leftover};
use crate::Errno;
use crate::io::fd::wait_for;
use crate::io::wait::is_fd_ready;
use crate::io::{
    InputStream, Interest, MAX_PIECE, OutputStream, Pollable, Readiness, StreamError, StreamResult,
};
use bytes::{Buf, Bytes, BytesMut};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, sockopt};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes that a guest may write at once.
const MAX_WRITE: usize = 1 << 16;
/// The fewest bytes that a guest may write at once: as many as `blocking-write-and-flush` takes. A
/// send buffer that the guest has made small takes fewer; the others are left over.
const MIN_WRITE: usize = 1 << 12;

/// A connected TCP socket. It is shared by the socket of the guest and its two streams.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    /// Whether the guest is done with reading, or there is nothing more to read.
    input_ended: AtomicBool,
    output: Mutex<Output>,
}

/// The state of the direction in which a guest writes.
#[derive(Debug, Default)]
struct Output {
    /// Bytes that the system has not taken yet. See [`leftover`].
    leftover: BytesMut,
    end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// The guest has shut it down, or the other side has closed it.
    Closed,
    /// An operation has failed, of which the guest does not know yet.
    Failed(Errno),
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    pub fn new(socket: Socket) -> Arc<Self> {
        Arc::new(Connection {
            socket,
            input_ended: AtomicBool::new(false),
            output: Mutex::default(),
        })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn streams(self: &Arc<Self>) -> (TcpInput, TcpOutput) {
        let input = TcpInput {
            connection: self.clone(),
            shuts_down: false,
        };
        let output = TcpOutput {
            connection: self.clone(),
            permit: 0,
            shuts_down: false,
        };
        (input, output)
    }

    /// Ends one direction or both. What the guest has written before is sent nevertheless.
    pub fn shutdown(&self, how: Shutdown) {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.input_ended.store(true, Relaxed);
            self.shutdown_system(Shutdown::Read);
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            let mut output = self.output();
            output.end = End::Closed;
            if output.leftover.is_empty() {
                self.shutdown_system(Shutdown::Write);
            }
        }
    }

    fn shutdown_system(&self, how: Shutdown) {
        // It fails only if the other side has closed the connection, which is as well.
        let _ = rustix::net::shutdown(&self.socket, how);
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        // Nothing that could panic leaves it inconsistent.
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state of the output, if bytes can be written.
    ///
    /// # Errors
    ///
    /// If it is closed, or what was written before could not be sent.
    fn open_output(&self) -> StreamResult<MutexGuard<'_, Output>> {
        let mut output = self.output();
        match output.end {
            End::Open => Ok(output),
            End::Closed => Err(StreamError::Closed),
            End::Failed(error) => {
                output.end = End::Closed;
                Err(std::io::Error::from(error).into())
            }
        }
    }

    /// Sends what is left over, as far as the system takes it. Returns whether nothing is left.
    pub fn send_leftover(&self) -> bool {
        self.send_leftover_of(&mut self.output())
    }

    fn send_leftover_of(&self, output: &mut Output) -> bool {
        if output.leftover.is_empty() {
            return true;
        }
        match self.send(&output.leftover) {
            Ok(count) => output.leftover.advance(count),
            Err(error) => {
                output.leftover.clear();
                if output.end == End::Open {
                    output.end = End::Failed(error);
                }
            }
        }
        let done = output.leftover.is_empty();
        if done && output.end == End::Closed {
            self.shutdown_system(Shutdown::Write);
        }
        done
    }

    /// Sends as much as the system takes.
    fn send(&self, bytes: &[u8]) -> Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(&self.socket, &bytes[sent..], SendFlags::NOSIGNAL) {
                Ok(count) => sent += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Returns how many bytes the system takes for certain if it takes any, unless its buffer is
    /// very small.
    ///
    /// Linux calls a socket writable if a third of its buffer is free. What the bytes take there
    /// is less than twice their number.
    fn room(&self) -> usize {
        let size = sockopt::socket_send_buffer_size(&self.socket).unwrap_or(0);
        (size / 6).clamp(MIN_WRITE, MAX_WRITE)
    }

    /// Returns at most how many bytes there are to read.
    fn available(&self, size: usize) -> StreamResult<usize> {
        if self.input_ended.load(Relaxed) {
            return Err(StreamError::Closed);
        }
        if let Ok(count @ 1..) = rustix::io::ioctl_fionread(&self.socket) {
            return Ok(size.min(usize::try_from(count).unwrap_or(usize::MAX)));
        }
        // Nothing, the end, or an error.
        let count = self.receive(&mut [0; 1], RecvFlags::PEEK)?;
        Ok(count.min(size))
    }

    /// Reads what there is, and returns how many bytes.
    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> StreamResult<usize> {
        if self.input_ended.load(Relaxed) {
            return Err(StreamError::Closed);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match recv(&self.socket, &mut *buffer, flags) {
                Ok((_, 0)) => {
                    self.input_ended.store(true, Relaxed);
                    return Err(StreamError::Closed);
                }
                Ok((_, count)) => return Ok(count),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(0),
                Err(error) => {
                    self.input_ended.store(true, Relaxed);
                    return Err(error.into());
                }
            }
        }
    }
}

/// What a guest reads from a TCP connection.
#[derive(Debug)]
pub(crate) struct TcpInput {
    connection: Arc<Connection>,
    shuts_down: bool,
}

impl TcpInput {
    /// Makes the end of the stream the end of the direction.
    #[cfg(feature = "tokio")]
    pub fn shutting_down(mut self) -> Self {
        self.shuts_down = true;
        self
    }
}

impl Drop for TcpInput {
    fn drop(&mut self) {
        if self.shuts_down {
            self.connection.shutdown(Shutdown::Read);
        }
    }
}

#[async_trait::async_trait]
impl Pollable for TcpInput {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.connection.input_ended.load(Relaxed) {
            true => Readiness::Ready,
            false => Readiness::Fd(self.connection.as_fd(), Interest::Read),
        }
    }
}

impl InputStream for TcpInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let size = self.connection.available(size)?.min(MAX_PIECE);
        let mut buffer = vec![0; size];
        let count = self.read_into(&mut buffer)?;
        buffer.truncate(count);
        Ok(buffer.into())
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        Some(self.connection.available(size))
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        self.connection.receive(buffer, RecvFlags::empty())
    }

    fn read_available(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        self.read_into(buffer)
    }
}

/// What a guest writes to a TCP connection.
#[derive(Debug)]
pub(crate) struct TcpOutput {
    connection: Arc<Connection>,
    /// How many bytes the guest may write.
    permit: usize,
    shuts_down: bool,
}

impl TcpOutput {
    /// Makes the end of the stream the end of the direction.
    #[cfg(feature = "tokio")]
    pub fn shutting_down(mut self) -> Self {
        self.shuts_down = true;
        self
    }
}

impl Drop for TcpOutput {
    fn drop(&mut self) {
        if self.shuts_down {
            self.connection.shutdown(Shutdown::Write);
        }
    }
}

#[async_trait::async_trait]
impl Pollable for TcpOutput {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.connection.output().end {
            End::Open => Readiness::Fd(self.connection.as_fd(), Interest::Write),
            End::Closed | End::Failed(_) => Readiness::Ready,
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for TcpOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        let mut output = self.connection.open_output()?;
        if bytes.len() > self.permit {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        self.permit -= bytes.len();
        if !output.leftover.is_empty() {
            // Another part of what one `check-write` has allowed. All of it has its turn.
            output.leftover.extend_from_slice(bytes);
            return Ok(());
        }
        match self.connection.send(bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(count) => {
                output.leftover.extend_from_slice(&bytes[count..]);
                drop(output);
                Ok(leftover::send_later(&self.connection)?)
            }
            Err(error) => {
                output.end = End::Closed;
                Err(std::io::Error::from(error).into())
            }
        }
    }

    fn write_available(&mut self, bytes: &[u8]) -> StreamResult<usize> {
        let mut output = self.connection.open_output()?;
        if !self.connection.send_leftover_of(&mut output) {
            return Ok(0);
        }
        drop(output);
        let mut output = self.connection.open_output()?;
        let bytes = &bytes[..bytes.len().min(MAX_PIECE)];
        self.connection.send(bytes).map_err(|error| {
            output.end = End::Closed;
            std::io::Error::from(error).into()
        })
    }

    fn needs_flush(&self) -> bool {
        !self.connection.output().leftover.is_empty()
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What was written is with the system, or will be as soon as it takes it.
        self.connection.open_output().map(|_| ())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = 0;
        let mut output = self.connection.open_output()?;
        if !self.connection.send_leftover_of(&mut output) {
            return Ok(0);
        }
        drop(output);
        drop(self.connection.open_output()?);
        if is_fd_ready(self.connection.as_fd(), Interest::Write) {
            self.permit = self.connection.room();
        }
        Ok(self.permit)
    }

    async fn cancel(&mut self) {
        // What the guest has written is not lost with the stream.
        while !self.connection.send_leftover() {
            wait_for(Readiness::Fd(self.connection.as_fd(), Interest::Write)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::DescriptorLimit;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (Arc<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let socket = Socket {
            fd: near.into(),
            _slot: Arc::<DescriptorLimit>::default().open().unwrap(),
        };
        (Connection::new(socket), far)
    }

    /// Writes until the other side has to read first. Returns how many bytes. The system must take
    /// all that is allowed, unless its buffer is small.
    fn fill(output: &mut TcpOutput, piece: usize, is_small: bool) -> usize {
        let mut written = 0;
        let bytes = vec![7; piece];
        loop {
            // The system may still be moving bytes to the other side.
            let Some(allowed) = (0..20).find_map(|_| match output.check_write().unwrap() {
                0 => {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    None
                }
                allowed => Some(allowed),
            }) else {
                return written;
            };
            let count = allowed.min(piece);
            output.write_from(&bytes[..count]).unwrap();
            written += count;
            assert!(
                is_small || output.connection.output().leftover.is_empty(),
                "{count} bytes of {allowed} were not taken after {written}"
            );
        }
    }

    #[test]
    fn what_is_allowed_is_taken_or_left_over() {
        for (size, piece) in [
            (None, MAX_WRITE),
            (None, 100),
            (Some(1), MAX_WRITE),
            (Some(1), 1),
        ] {
            let (connection, mut far) = pair();
            if let Some(size) = size {
                connection.socket.set_send_buffer_size(size).unwrap();
            }
            let (_, mut output) = connection.streams();
            let written = fill(&mut output, piece, size.is_some());
            assert!(written > 0);
            connection.shutdown(Shutdown::Write);
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            assert_eq!(received.len(), written);
        }
    }

    /// Writes more than any system takes at once. Returns how many bytes.
    fn write_too_much(output: &mut TcpOutput) -> usize {
        let bytes = vec![7; 32 << 20];
        // Room has turned out to be less than it was.
        output.permit = bytes.len() + 1;
        output.write_from(&bytes).unwrap();
        output.write_from(&[7]).unwrap();
        bytes.len() + 1
    }

    #[test]
    fn what_is_left_over_is_sent_later() {
        let (connection, mut far) = pair();
        let (_, mut output) = connection.streams();
        let written = write_too_much(&mut output);
        assert!(!connection.output().leftover.is_empty());
        assert_eq!(output.check_write().unwrap(), 0);
        assert!(matches!(output.write_from(b"x"), Err(StreamError::Trap(_))));
        // No one looks at the stream any more, and the end comes after all bytes.
        connection.shutdown(Shutdown::Write);
        drop((connection, output));
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), written);
        assert!(received.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_cannot_be_sent_later_is_an_error() {
        let (connection, far) = pair();
        let (_, mut output) = connection.streams();
        write_too_much(&mut output);
        // Unread bytes make this a reset.
        drop(far);
        let error = loop {
            match output.check_write() {
                Ok(0) => std::thread::yield_now(),
                Ok(_) => panic!("bytes went to no one"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, StreamError::LastOperationFailed(_)),
            "{error:?}"
        );
        assert!(matches!(output.check_write(), Err(StreamError::Closed)));
    }

    #[test]
    fn bytes_are_found_and_read() {
        let (connection, mut far) = pair();
        let (mut input, mut output) = connection.streams();
        assert!(matches!(input.available(10), Some(Ok(0))));
        assert_eq!(input.read(10).unwrap(), "");
        far.write_all(b"some text").unwrap();
        assert!(matches!(input.available(4), Some(Ok(4))));
        assert!(matches!(input.available(100), Some(Ok(9))));
        assert_eq!(input.read(4).unwrap(), "some");
        assert_eq!(input.read(usize::MAX).unwrap(), " text");
        drop(far);
        while let Ok(bytes) = input.read(1) {
            assert_eq!(bytes, "");
        }
        assert!(matches!(input.available(1), Some(Err(StreamError::Closed))));
        assert!(matches!(input.readiness(), Readiness::Ready));
        // The other side is gone: the first write brings the news, the next one fails.
        while output.check_write().is_ok() {
            let _ = output.write_from(b"x");
        }
        assert!(matches!(output.check_write(), Err(StreamError::Closed)));
    }

    #[test]
    fn each_direction_is_shut_down_by_itself() {
        let (connection, mut far) = pair();
        let (mut input, mut output) = connection.streams();
        connection.shutdown(Shutdown::Write);
        assert!(matches!(output.check_write(), Err(StreamError::Closed)));
        assert!(matches!(output.write_from(b"x"), Err(StreamError::Closed)));
        assert!(matches!(output.flush(), Err(StreamError::Closed)));
        assert!(matches!(output.readiness(), Readiness::Ready));
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 0);
        far.write_all(b"still").unwrap();
        assert_eq!(input.read(10).unwrap(), "still");
        connection.shutdown(Shutdown::Both);
        assert!(matches!(input.read(10), Err(StreamError::Closed)));
        assert!(matches!(input.readiness(), Readiness::Ready));
    }
}

//! Reading and writing descriptors at their positions: `fd_read` and `fd_write`. Those of standard
//! streams may wait.

use super::descriptors::{Descriptor, Stdio};
use super::files;
use super::guest::{Buffers, Guest, Outcome};
use super::wait::{Operation, Target, Targets};
use crate::Errno;
use crate::io::{InputStream, Interest, MAX_PIECE, OutputStream, Readiness, StreamError};

/// Buffers of up to this many bytes together are written at once.
const GATHERED: usize = 4096;

/// A call of `fd_read`.
pub(super) struct Read {
    pub fd: u32,
    pub iovs: u32,
    pub iovs_len: u32,
    pub result: u32,
}

impl Operation for Read {
    fn step(&mut self, guest: &mut dyn Guest, _: &[bool]) -> Outcome<Option<Targets>> {
        let (memory, ctx) = guest.split()?;
        let buffers = Buffers::read(memory, self.iovs, self.iovs_len)?;
        let count = match ctx.descriptors().get(self.fd)? {
            Descriptor::File(file) => {
                let position = file.position;
                let count = files::read(guest, self.fd, &buffers, position)?;
                let file = guest.ctx().descriptors().seekable(self.fd)?;
                file.position = position.checked_add(count.into()).ok_or(Errno::Overflow)?;
                Some(count)
            }
            Descriptor::Stdin(_) => read_stream(guest, self.fd, &buffers)?,
            _ => return Err(Errno::BadDescriptor.into()),
        };
        match count {
            Some(count) => {
                guest.write(self.result, count.to_le_bytes())?;
                Ok(None)
            }
            None => Ok(Some(Targets::from_slice(&[Target::Fd(
                self.fd,
                Interest::Read,
            )]))),
        }
    }
}

fn stdin(guest: &mut dyn Guest, fd: u32) -> Outcome<&mut Stdio<Box<dyn InputStream>>> {
    match guest.ctx().descriptors().get_mut(fd)? {
        Descriptor::Stdin(stdin) => Ok(stdin),
        _ => Err(Errno::BadDescriptor.into()),
    }
}

/// Reads standard input into the memory of the guest. Returns the number of bytes, or `None` if
/// there are none yet.
fn read_stream(guest: &mut dyn Guest, fd: u32, buffers: &Buffers) -> Outcome<Option<u32>> {
    let (_, wanted) = buffers.piece(0, MAX_PIECE);
    if wanted == 0 {
        return Ok(Some(0));
    }
    let stdin = stdin(guest, fd)?;
    let nonblocking = stdin.nonblocking;
    let read = match stdin.stream.available(wanted) {
        Some(Ok(0)) => Ok(0),
        Some(Ok(available)) => read_available(guest, fd, buffers, available.min(wanted))?,
        Some(Err(error)) => Err(error),
        None => match stdin.stream.read(wanted) {
            Ok(bytes) => {
                let bytes = bytes.get(..wanted).unwrap_or(&bytes);
                let (blocks, _) = buffers.piece(0, bytes.len());
                let mut rest = bytes;
                for block in blocks {
                    let (bytes, after) = rest.split_at(block.len());
                    guest.write_bytes(block.start as u32, bytes)?;
                    rest = after;
                }
                Ok(bytes.len())
            }
            Err(error) => Err(error),
        },
    };
    match read {
        Ok(0) if nonblocking => Err(Errno::Again.into()),
        Ok(0) => Ok(None),
        // At most `MAX_PIECE`.
        Ok(count) => Ok(Some(count as u32)),
        Err(StreamError::Closed) => Ok(Some(0)),
        Err(error) => Err(failure(error)),
    }
}

/// Reads what a stream has straight into the memory of the guest.
fn read_available(
    guest: &mut dyn Guest,
    fd: u32,
    buffers: &Buffers,
    available: usize,
) -> Outcome<Result<usize, StreamError>> {
    let (blocks, _) = buffers.piece(0, available);
    let (blocks, ctx) = guest.blocks(&blocks)?;
    let Descriptor::Stdin(stdin) = ctx.descriptors().get_mut(fd)? else {
        return Err(Errno::BadDescriptor.into());
    };
    let mut done = 0;
    for block in blocks.into_iter().filter(|block| !block.is_empty()) {
        match stdin.stream.read_into(block) {
            Ok(count) => {
                done += count;
                if count < block.len() {
                    break;
                }
            }
            // What was read before is not lost. The next call has the error.
            Err(_) if done > 0 => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(done))
}

/// A call of `fd_write`.
pub(super) struct Write {
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    result: u32,
    /// The bytes that a stream has taken. The call ends when they are written.
    taken: Option<u32>,
}

impl Write {
    pub fn new(fd: u32, iovs: u32, iovs_len: u32, result: u32) -> Self {
        Write {
            fd,
            iovs,
            iovs_len,
            result,
            taken: None,
        }
    }
}

impl Operation for Write {
    fn step(&mut self, guest: &mut dyn Guest, _: &[bool]) -> Outcome<Option<Targets>> {
        let may_block = guest.may_block();
        let (memory, ctx) = guest.split()?;
        let buffers = Buffers::read(memory, self.iovs, self.iovs_len)?;
        let count = match ctx.descriptors().get_mut(self.fd)? {
            Descriptor::File(file) => Some(files::write(file, memory, &buffers)?),
            Descriptor::Stdout(stdout) => {
                let may_block = may_block && !stdout.nonblocking;
                match self.taken {
                    Some(count) => is_flushed(&mut *stdout.stream)?.then_some(count),
                    None => match write_stream(&mut *stdout.stream, memory, &buffers, may_block)? {
                        0 if buffers.len() == 0 => Some(0),
                        0 if stdout.nonblocking => return Err(Errno::Again.into()),
                        0 => None,
                        count if stdout.nonblocking => Some(count),
                        count => {
                            self.taken = Some(count);
                            is_flushed(&mut *stdout.stream)?.then_some(count)
                        }
                    },
                }
            }
            _ => return Err(Errno::BadDescriptor.into()),
        };
        match count {
            Some(count) => {
                guest.write(self.result, count.to_le_bytes())?;
                Ok(None)
            }
            None => Ok(Some(Targets::from_slice(&[Target::Fd(
                self.fd,
                Interest::Write,
            )]))),
        }
    }
}

/// Writes as much of the buffers as a stream takes. Returns the number of bytes.
fn write_stream(
    stream: &mut dyn OutputStream,
    memory: &[u8],
    buffers: &Buffers,
    may_block: bool,
) -> Outcome<u32> {
    let never_waits = matches!(stream.readiness(), Readiness::Ready);
    let direct = stream.is_unbuffered() && (may_block || never_waits);
    let mut gathered = [0; GATHERED];
    let gathered = gather(memory, buffers, &mut gathered);
    let mut done = 0;
    for mut bytes in gathered
        .into_iter()
        .chain(buffers.slices(memory))
        .take(match gathered {
            Some(_) => 1,
            None => usize::MAX,
        })
    {
        while !bytes.is_empty() {
            let allowed = match direct {
                true => bytes.len(),
                false => stream.check_write().map_err(failure)?,
            };
            if allowed == 0 {
                return start_flush(stream).map(|()| done);
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(allowed));
            match stream.write_from(piece) {
                Ok(()) => {}
                // What was written before is not lost. The next call has the error.
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(failure(error)),
            }
            done += piece.len() as u32;
            bytes = rest;
        }
    }
    start_flush(stream).map(|()| done)
}

/// Copies several small buffers into one, so that they are written at once.
fn gather<'g>(
    memory: &[u8],
    buffers: &Buffers,
    gathered: &'g mut [u8; GATHERED],
) -> Option<&'g [u8]> {
    let mut slices = buffers.slices(memory);
    if buffers.len() > GATHERED || slices.nth(1).is_none() {
        return None;
    }
    let mut len = 0;
    for slice in buffers.slices(memory) {
        gathered[len..len + slice.len()].copy_from_slice(slice);
        len += slice.len();
    }
    Some(&gathered[..len])
}

fn start_flush(stream: &mut dyn OutputStream) -> Outcome {
    match stream.is_unbuffered() {
        true => Ok(()),
        false => unless_closed(stream.flush()),
    }
}

/// Returns whether all that a stream has taken is written.
fn is_flushed(stream: &mut dyn OutputStream) -> Outcome<bool> {
    if stream.is_unbuffered() {
        return Ok(true);
    }
    match stream.check_write() {
        Ok(allowed) => Ok(allowed > 0),
        Err(error) => unless_closed(Err(error)).map(|()| true),
    }
}

/// All bytes were taken, so it does not matter that the other end is gone by now.
fn unless_closed(result: Result<(), StreamError>) -> Outcome {
    match result {
        Ok(()) | Err(StreamError::Closed) => Ok(()),
        Err(error) => Err(failure(error)),
    }
}

/// Returns the failure of an operation on a stream.
fn failure(error: StreamError) -> super::guest::Failure {
    match error {
        StreamError::Closed => Errno::Pipe.into(),
        StreamError::LastOperationFailed(error) => {
            let system = error.downcast_ref::<std::io::Error>().map(Errno::from);
            let known = system.or_else(|| error.downcast_ref::<Errno>().copied());
            known.unwrap_or(Errno::Io).into()
        }
        StreamError::Trap(error) => error.into(),
    }
}

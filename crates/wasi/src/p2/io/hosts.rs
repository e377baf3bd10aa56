//! The generated traits of `wasi:io` for a [`ResourceTable`]: for hosts that add single interfaces
//! to their linkers, or call streams of guests themselves. These copy bytes, and a synchronous wait
//! does not learn of interruptions.

use super::poll::{self, is_ready};
use super::streams::{splice_in_table, zeros};
use super::{
    BlockingUnwatched, flush_blocking, guest_error, now, piece, read_blocking, skip_blocking,
    splice, too_long, write_blocking,
};
use crate::io::{
    DynInputStream, DynOutputStream, DynPollable, MAX_PIECE, StreamError, StreamResult, subscribe,
};
use crate::p2::IoError;
use crate::p2::bindings::io::{error, streams};
use crate::p2::bindings::sync;
use mintage::{Resource, ResourceTable, Result};

impl error::Host for ResourceTable {}

impl error::HostError for ResourceTable {
    fn to_debug_string(&mut self, error: Resource<IoError>) -> Result<String> {
        Ok(format!("{:?}", self.get(&error)?))
    }

    fn drop(&mut self, error: Resource<IoError>) -> Result<()> {
        self.delete(error)?;
        Ok(())
    }
}

macro_rules! run_now {
    ($future:expr) => {
        now($future)
    };
}

#[cfg(feature = "tokio")]
macro_rules! run_later {
    ($future:expr) => {
        $future.await
    };
}

/// Implements the traits of `$poll` and `$streams`. What waits is `$async`, waits with `$wait`, and
/// is run by `$run`.
macro_rules! hosts {
    ($poll:path, $streams:path, [$($async:ident)?], $wait:expr, $run:ident, $poll_list:expr) => {
        const _: () = {
            use $poll as poll_traits;
            use $streams as stream_traits;

            impl poll_traits::Host for ResourceTable {
                $($async)? fn poll(
                    &mut self,
                    pollables: Vec<Resource<DynPollable>>,
                ) -> Result<Vec<u32>> {
                    $run!($poll_list(self, &pollables))
                }
            }

            impl poll_traits::HostPollable for ResourceTable {
                $($async)? fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
                    is_ready(self, &pollable)
                }

                $($async)? fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
                    $run!($poll_list(self, &[pollable])).map(|_| ())
                }

                fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
                    poll::delete(self, pollable)
                }
            }

            impl stream_traits::Host for ResourceTable {
                fn convert_stream_error(
                    &mut self,
                    error: StreamError,
                ) -> Result<stream_traits::StreamError> {
                    Ok(match guest_error(self, error)? {
                        streams::StreamError::Closed => stream_traits::StreamError::Closed,
                        streams::StreamError::LastOperationFailed(error) => {
                            stream_traits::StreamError::LastOperationFailed(error)
                        }
                    })
                }
            }

            impl stream_traits::HostInputStream for ResourceTable {
                fn read(
                    &mut self,
                    stream: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<Vec<u8>> {
                    Ok(self.get_mut(&stream)?.read(piece(len))?.into())
                }

                $($async)? fn blocking_read(
                    &mut self,
                    stream: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<Vec<u8>> {
                    let input = self.get_mut(&stream)?;
                    Ok($run!(read_blocking(&mut $wait, input, piece(len)))?.into())
                }

                fn skip(
                    &mut self,
                    stream: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<u64> {
                    Ok(self.get_mut(&stream)?.skip(piece(len))? as u64)
                }

                $($async)? fn blocking_skip(
                    &mut self,
                    stream: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<u64> {
                    let input = self.get_mut(&stream)?;
                    Ok($run!(skip_blocking(&mut $wait, input, piece(len)))? as u64)
                }

                fn subscribe(
                    &mut self,
                    stream: Resource<DynInputStream>,
                ) -> Result<Resource<DynPollable>> {
                    subscribe(self, stream)
                }

                $($async)? fn drop(&mut self, stream: Resource<DynInputStream>) -> Result<()> {
                    self.delete(stream)?;
                    Ok(())
                }
            }

            impl stream_traits::HostOutputStream for ResourceTable {
                fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
                    Ok(self.get_mut(&stream)?.check_write()?.min(MAX_PIECE) as u64)
                }

                fn write(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                    bytes: Vec<u8>,
                ) -> StreamResult<()> {
                    self.get_mut(&stream)?.write_allowed(&bytes)
                }

                $($async)? fn blocking_write_and_flush(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                    bytes: Vec<u8>,
                ) -> StreamResult<()> {
                    if bytes.len() as u64 > super::MAX_BLOCKING_WRITE {
                        let error = too_long("blocking-write-and-flush", "4096");
                        return Err(StreamError::Trap(error));
                    }
                    let output = self.get_mut(&stream)?;
                    $run!(write_blocking(&mut $wait, output, bytes.into()))
                }

                fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
                    self.get_mut(&stream)?.flush()
                }

                $($async)? fn blocking_flush(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                ) -> StreamResult<()> {
                    $run!(flush_blocking(&mut $wait, self.get_mut(&stream)?))
                }

                fn subscribe(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                ) -> Result<Resource<DynPollable>> {
                    subscribe(self, stream)
                }

                fn write_zeroes(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                    len: u64,
                ) -> StreamResult<()> {
                    if len > MAX_PIECE as u64 {
                        let error = too_long("write-zeroes", "`check-write` allowed");
                        return Err(StreamError::Trap(error));
                    }
                    self.get_mut(&stream)?.write_zeroes(len as usize)
                }

                $($async)? fn blocking_write_zeroes_and_flush(
                    &mut self,
                    stream: Resource<DynOutputStream>,
                    len: u64,
                ) -> StreamResult<()> {
                    let zeros = zeros(len).map_err(StreamError::Trap)?;
                    $run!(write_blocking(&mut $wait, self.get_mut(&stream)?, zeros))
                }

                fn splice(
                    &mut self,
                    output: Resource<DynOutputStream>,
                    input: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<u64> {
                    let closed: DynInputStream = Box::new(crate::io::pipe::ClosedInputStream);
                    let mut taken = std::mem::replace(self.get_mut(&input)?, closed);
                    let output = self.get_mut(&output).map_err(StreamError::from);
                    let moved =
                        output.and_then(|output| splice(&mut **output, &mut *taken, piece(len)));
                    *self.get_mut(&input)? = taken;
                    Ok(moved? as u64)
                }

                $($async)? fn blocking_splice(
                    &mut self,
                    output: Resource<DynOutputStream>,
                    input: Resource<DynInputStream>,
                    len: u64,
                ) -> StreamResult<u64> {
                    let wait = &mut $wait;
                    let moved = $run!(splice_in_table(wait, self, &output, &input, piece(len)));
                    Ok(moved.map_err(StreamError::Trap)?? as u64)
                }

                $($async)? fn drop(&mut self, stream: Resource<DynOutputStream>) -> Result<()> {
                    self.delete(stream)?;
                    Ok(())
                }
            }
        };
    };
}

async fn poll_unwatched(
    table: &mut ResourceTable,
    list: &[Resource<DynPollable>],
) -> Result<Vec<u32>> {
    poll::poll_unwatched(table, list)
}

hosts!(
    sync::io::poll,
    sync::io::streams,
    [],
    BlockingUnwatched,
    run_now,
    poll_unwatched
);

#[cfg(feature = "tokio")]
hosts!(
    crate::p2::bindings::io::poll,
    streams,
    [async],
    super::Asynchronous,
    run_later,
    poll::poll_async
);

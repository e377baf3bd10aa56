//! `wasi:io`: streams and pollables of guests.
//!
//! [`add_to_linker_sync`] and [`add_to_linker_async`] define the functions by hand and not by
//! generated code, so that bytes go from and to the guest's memory without a copy, and a
//! synchronous host learns that a guest which waits is to end. What never waits is the same
//! function for both. What waits is written once, for a [`Wait`].

mod hosts;
mod poll;
mod streams;

use super::VERSION;
use super::bindings::io::streams::StreamError as GuestError;
use crate::WasiView;
use crate::ctx::table_of;
use crate::io::wait::{Source, Sources, wait};
use crate::io::{DynInputStream, DynOutputStream, InputStream, OutputStream, Readiness};
use crate::io::{MAX_ATTEMPTS, MAX_PIECE, StreamError, StreamResult};
use bytes::Bytes;
use mintage::{HasData, Linker, Resource, ResourceTable, Result, StoreContextMut};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The most bytes that `blocking-write-and-flush` takes, by its specification.
const MAX_BLOCKING_WRITE: u64 = 4096;

/// Names the table as what implements `wasi:io`.
pub(super) struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

/// Defines `wasi:io` for hosts that call guests synchronously.
///
/// # Errors
///
/// If a name is already defined.
pub(super) fn add_to_linker_sync<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_error(linker)?;
    let mut instance = linker.instance(&format!("wasi:io/poll@{VERSION}"))?;
    poll::add_sync(&mut instance)?;
    let mut instance = linker.instance(&format!("wasi:io/streams@{VERSION}"))?;
    streams::add_nonblocking(&mut instance)?;
    streams::add_sync(&mut instance)
}

/// Defines `wasi:io` for hosts that call guests asynchronously.
///
/// # Errors
///
/// If a name is already defined.
#[cfg(feature = "tokio")]
pub(super) fn add_to_linker_async<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    add_error(linker)?;
    let mut instance = linker.instance(&format!("wasi:io/poll@{VERSION}"))?;
    poll::add_async(&mut instance)?;
    let mut instance = linker.instance(&format!("wasi:io/streams@{VERSION}"))?;
    streams::add_nonblocking(&mut instance)?;
    streams::add_async(&mut instance)
}

fn add_error<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    super::bindings::io::error::add_to_linker::<T, HasIo>(linker, |data| table_of(data))
}

/// A way to wait.
trait Wait: Send {
    /// Waits until a source is ready.
    ///
    /// # Errors
    ///
    /// When the call of the guest is to end, or the system cannot wait.
    fn wait(&mut self, sources: &mut Sources<'_>) -> impl Future<Output = Result<()>> + Send;
}

/// Waits on this thread. If the guest is to check in meanwhile, it does.
struct Blocking<'a, 's, T: 'static>(&'a mut StoreContextMut<'s, T>);

impl<T: Send> Wait for Blocking<'_, '_, T> {
    async fn wait(&mut self, sources: &mut Sources<'_>) -> Result<()> {
        wait(self.0, sources)
    }
}

/// Waits on this thread, without the store.
struct BlockingUnwatched;

impl Wait for BlockingUnwatched {
    async fn wait(&mut self, sources: &mut Sources<'_>) -> Result<()> {
        sources.wait(None).map(|_| ())
    }
}

/// Waits as a task of tokio.
#[cfg(feature = "tokio")]
struct Asynchronous;

#[cfg(feature = "tokio")]
impl Wait for Asynchronous {
    async fn wait(&mut self, sources: &mut Sources<'_>) -> Result<()> {
        sources.wait_async().await
    }
}

/// Runs what waits only on this thread.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a wait on this thread is over when it returns"),
    }
}

/// Returns how many bytes are read or skipped for a guest that asks for `len`.
fn piece(len: u64) -> usize {
    usize::try_from(len).map_or(MAX_PIECE, |len| len.min(MAX_PIECE))
}

/// Makes the error of a stream one for the guest.
///
/// # Errors
///
/// If it is a trap, or the table is full.
fn guest_error(table: &mut ResourceTable, error: StreamError) -> Result<GuestError> {
    match error {
        StreamError::Closed => Ok(GuestError::Closed),
        StreamError::LastOperationFailed(error) => {
            Ok(GuestError::LastOperationFailed(table.push(error)?))
        }
        StreamError::Trap(error) => Err(error),
    }
}

/// Makes the result of a stream one for the guest.
///
/// # Errors
///
/// As [`guest_error`].
fn guest_result<R>(
    table: &mut ResourceTable,
    result: StreamResult<R>,
) -> Result<Result<R, GuestError>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => guest_error(table, error).map(Err),
    }
}

/// Calls `f` with a stream out of the table, so that it can have the store as well. Meanwhile, the
/// stream of the table is `placeholder`.
///
/// # Errors
///
/// If there is no such stream.
fn with_stream<T: WasiView + 'static, S: Send + 'static, R>(
    store: &mut StoreContextMut<'_, T>,
    stream: &Resource<S>,
    placeholder: S,
    f: impl FnOnce(&mut StoreContextMut<'_, T>, &mut S) -> R,
) -> Result<R> {
    let place = table_of(store.data_mut()).get_mut(stream)?;
    let mut taken = std::mem::replace(place, placeholder);
    let result = f(store, &mut taken);
    // Unless a callback of the host, while the guest waited, has deleted it.
    if let Ok(place) = table_of(store.data_mut()).get_mut(stream) {
        *place = taken;
    }
    Ok(result)
}

/// What a stream has to read.
enum Found {
    /// Nothing yet.
    Nothing,
    /// So many bytes, for `read_into`.
    InPlace(usize),
    /// These bytes.
    Bytes(Bytes),
}

/// Finds what a stream has to read, at most `size` bytes.
fn find(input: &mut dyn InputStream, size: usize) -> StreamResult<Found> {
    match input.available(size) {
        Some(Ok(0)) => Ok(Found::Nothing),
        Some(Ok(count)) => Ok(Found::InPlace(count)),
        Some(Err(error)) => Err(error),
        None => match input.read(size)? {
            bytes if bytes.is_empty() => Ok(Found::Nothing),
            bytes => Ok(Found::Bytes(bytes)),
        },
    }
}

/// Waits for what a pollable waits for that is no future.
///
/// # Errors
///
/// A trap if it is ready, and has been so before.
async fn wait_for(
    wait: &mut impl Wait,
    readiness: Readiness<'_>,
    attempts: &mut u32,
) -> StreamResult<()> {
    if let Readiness::Ready = readiness {
        *attempts += 1;
        if *attempts > MAX_ATTEMPTS {
            return Err(StreamError::trap(
                "a stream says that it is ready, and does nothing",
            ));
        }
        return Ok(());
    }
    let waited = wait.wait(&mut Sources::one(Source::of(readiness))).await;
    waited.map_err(StreamError::Trap)
}

/// Waits for a future of a stream of the host's.
async fn wait_for_future<R: Send>(
    wait: &mut impl Wait,
    future: impl Future<Output = StreamResult<R>> + Send,
) -> StreamResult<R> {
    let mut result = None;
    let source = Source::Future(Box::pin(async { result = Some(future.await) }));
    let waited = wait.wait(&mut Sources::one(source)).await;
    waited.map_err(StreamError::Trap)?;
    result.unwrap_or_else(|| Err(StreamError::trap("a stream was not waited for")))
}

/// Waits until a stream has something to read, and finds it.
async fn find_blocking(
    wait: &mut impl Wait,
    input: &mut DynInputStream,
    size: usize,
) -> StreamResult<Found> {
    if let Readiness::Future = input.readiness() {
        let bytes = wait_for_future(wait, input.blocking_read(size)).await?;
        return Ok(Found::Bytes(bytes));
    }
    let mut attempts = 0;
    if size == 0 {
        wait_for(wait, input.readiness(), &mut attempts).await?;
        return find(&mut **input, 0);
    }
    loop {
        match find(&mut **input, size)? {
            Found::Nothing => wait_for(wait, input.readiness(), &mut attempts).await?,
            found => return Ok(found),
        }
    }
}

/// Waits until a stream has something to read, and reads it.
async fn read_blocking(
    wait: &mut impl Wait,
    input: &mut DynInputStream,
    size: usize,
) -> StreamResult<Bytes> {
    match find_blocking(wait, input, size).await? {
        Found::Nothing => Ok(Bytes::new()),
        Found::InPlace(count) => input.read(count),
        Found::Bytes(bytes) => Ok(bytes),
    }
}

/// Waits until a stream has something to skip, and skips it.
async fn skip_blocking(
    wait: &mut impl Wait,
    input: &mut DynInputStream,
    size: usize,
) -> StreamResult<usize> {
    if let Readiness::Future = input.readiness() {
        return wait_for_future(wait, input.blocking_skip(size)).await;
    }
    let mut attempts = 0;
    loop {
        match input.skip(size)? {
            0 if size > 0 => wait_for(wait, input.readiness(), &mut attempts).await?,
            count => return Ok(count),
        }
    }
}

/// Waits until a stream can be written, and returns how many bytes it takes.
async fn write_ready(wait: &mut impl Wait, output: &mut DynOutputStream) -> StreamResult<usize> {
    if let Readiness::Future = output.readiness() {
        return wait_for_future(wait, output.write_ready()).await;
    }
    let mut attempts = 0;
    loop {
        match output.check_write()? {
            0 => wait_for(wait, output.readiness(), &mut attempts).await?,
            allowed => return Ok(allowed),
        }
    }
}

/// Flushes a stream, and waits until that is done.
async fn flush_blocking(wait: &mut impl Wait, output: &mut DynOutputStream) -> StreamResult<()> {
    output.flush()?;
    match output.is_unbuffered() {
        true => Ok(()),
        false => write_ready(wait, output).await.map(|_| ()),
    }
}

/// Writes all bytes to a stream, flushes it, and waits until that is done.
async fn write_blocking(
    wait: &mut impl Wait,
    output: &mut DynOutputStream,
    mut bytes: Bytes,
) -> StreamResult<()> {
    if let Readiness::Future = output.readiness() {
        return wait_for_future(wait, output.blocking_write_and_flush(bytes)).await;
    }
    while !bytes.is_empty() {
        let allowed = write_ready(wait, output).await?;
        output.write(bytes.split_to(bytes.len().min(allowed)))?;
    }
    match flush_blocking(wait, output).await {
        // It has taken all bytes, so it does not matter that it is closed by now.
        Err(StreamError::Closed) => Ok(()),
        result => result,
    }
}

/// Moves bytes from one stream to the other as far as that is possible without waiting.
fn splice(
    output: &mut dyn OutputStream,
    input: &mut dyn InputStream,
    size: usize,
) -> StreamResult<usize> {
    let size = output.check_write()?.min(size);
    if size == 0 {
        return Ok(0);
    }
    let bytes = input.read(size)?;
    let count = bytes.len();
    if count > 0 {
        output.write(bytes)?;
    }
    Ok(count)
}

/// Waits until one stream can be written and the other one read, moves bytes, and waits until they
/// are written.
async fn splice_blocking(
    wait: &mut impl Wait,
    output: &mut DynOutputStream,
    input: &mut DynInputStream,
    size: usize,
) -> StreamResult<usize> {
    if size == 0 {
        return Ok(0);
    }
    let size = write_ready(wait, output).await?.min(size);
    let bytes = read_blocking(wait, input, size).await?;
    let count = bytes.len();
    write_blocking(wait, output, bytes).await?;
    Ok(count)
}

/// Returns the trap of a guest that has given more bytes than it may.
#[cold]
fn too_long(function: &str, most: &str) -> mintage::Error {
    mintage::format_err!("{function}: more bytes than {most}")
}

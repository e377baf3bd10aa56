//! `wasi:io/streams`.

use super::{
    Blocking, Found, GuestError, MAX_BLOCKING_WRITE, Wait, find, find_blocking, flush_blocking,
    guest_result, now, piece, skip_blocking, splice, splice_blocking, too_long, with_stream,
    write_blocking,
};
use crate::WasiView;
use crate::ctx::table_of;
use crate::io::pipe::{ClosedInputStream, ClosedOutputStream};
use crate::io::wait::{Source, Sources, wait};
use crate::io::{
    DynInputStream, DynOutputStream, MAX_PIECE, Readiness, StreamError, StreamResult, subscribe,
};
use bytes::Bytes;
use mintage::{InPlaceList, LinkerInstance, Resource, ResourceTable, ResourceType, Result};
use mintage::{StoreContextMut, WasmList};

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;
type Store<'a, T> = StoreContextMut<'a, T>;

/// `result<list<u8>, stream-error>`.
type ReadList = InPlaceList<Result<usize, GuestError>>;

/// Defines the functions that never wait.
pub(super) fn add_nonblocking<T: WasiView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
) -> Result<()> {
    instance.func_wrap(
        "[method]input-stream.read",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            let table = table_of(store.data_mut());
            let found = find(&mut **table.get_mut(&stream)?, piece(len));
            Ok((read_list::<T>(table, stream, found)?,))
        },
    )?;
    instance.func_wrap(
        "[method]input-stream.skip",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            let table = table_of(store.data_mut());
            let skipped = table.get_mut(&stream)?.skip(piece(len));
            Ok((guest_result(table, skipped.map(|count| count as u64))?,))
        },
    )?;
    instance.func_wrap(
        "[method]input-stream.subscribe",
        |mut store: Store<'_, T>, (stream,): (Input,)| {
            Ok((subscribe(table_of(store.data_mut()), stream)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.check-write",
        |mut store: Store<'_, T>, (stream,): (Output,)| {
            let table = table_of(store.data_mut());
            let allowed = table.get_mut(&stream)?.check_write();
            let allowed = allowed.map(|allowed| allowed.min(MAX_PIECE) as u64);
            Ok((guest_result(table, allowed)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.write-zeroes",
        |mut store: Store<'_, T>, (stream, len): (Output, u64)| {
            if len > MAX_PIECE as u64 {
                return Err(too_long("write-zeroes", "`check-write` allowed"));
            }
            let table = table_of(store.data_mut());
            let written = table.get_mut(&stream)?.write_zeroes(len as usize);
            Ok((guest_result(table, written)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.flush",
        |mut store: Store<'_, T>, (stream,): (Output,)| {
            let table = table_of(store.data_mut());
            let flushed = table.get_mut(&stream)?.flush();
            Ok((guest_result(table, flushed)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.subscribe",
        |mut store: Store<'_, T>, (stream,): (Output,)| {
            Ok((subscribe(table_of(store.data_mut()), stream)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.splice",
        |mut store: Store<'_, T>, (output, input, len): (Output, Input, u64)| {
            // Both streams are in one table.
            let moved = with_stream(&mut store, &input, closed_input(), |store, input| {
                let output = table_of(store.data_mut()).get_mut(&output)?;
                splice(&mut **output, &mut **input, piece(len))
            })?;
            let moved = moved.map(|count| count as u64);
            Ok((guest_result(table_of(store.data_mut()), moved)?,))
        },
    )
}

fn closed_input() -> DynInputStream {
    Box::new(ClosedInputStream)
}

fn closed_output() -> DynOutputStream {
    Box::new(ClosedOutputStream)
}

/// Makes what a stream has to read a list for the guest.
fn read_list<T: WasiView + 'static>(
    table: &mut ResourceTable,
    stream: Input,
    found: StreamResult<Found>,
) -> Result<ReadList> {
    Ok(match guest_result(table, found)? {
        Ok(Found::Nothing) => InPlaceList::new(0, |_| Ok(Ok(0))),
        Ok(Found::Bytes(bytes)) => InPlaceList::new(bytes.len(), move |block| {
            block.copy_from_slice(&bytes);
            Ok(Ok(block.len()))
        }),
        Ok(Found::InPlace(count)) => InPlaceList::with_data(count, move |block, data: &mut T| {
            let table = table_of(data);
            let read = table.get_mut(&stream)?.read_into(block);
            guest_result(table, read)
        }),
        Err(error) => InPlaceList::new(0, move |_| Ok(Err(error))),
    })
}

/// Deletes a stream.
fn delete<S: Send + 'static>(table: &mut ResourceTable, rep: u32) -> Result<S> {
    use mintage::error::Context;
    table
        .delete(Resource::<S>::new_own(rep))
        .context("a stream is dropped before what was made from it, such as its pollables")
}

/// Defines the functions that wait, for hosts that call guests synchronously.
pub(super) fn add_sync<T: WasiView + 'static>(instance: &mut LinkerInstance<'_, T>) -> Result<()> {
    let ty = ResourceType::host::<DynInputStream>();
    instance.resource("input-stream", ty, |mut store, rep| {
        let mut stream: DynInputStream = delete(table_of(store.data_mut()), rep)?;
        match stream.readiness() {
            Readiness::Future => Sources::one(Source::Future(stream.cancel()))
                .wait(None)
                .map(|_| ()),
            _ => Ok(()),
        }
    })?;
    let ty = ResourceType::host::<DynOutputStream>();
    instance.resource("output-stream", ty, |mut store, rep| {
        let mut stream: DynOutputStream = delete(table_of(store.data_mut()), rep)?;
        match stream.readiness() {
            Readiness::Future => Sources::one(Source::Future(stream.cancel()))
                .wait(None)
                .map(|_| ()),
            _ => Ok(()),
        }
    })?;
    instance.func_wrap(
        "[method]input-stream.blocking-read",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            let found = with_stream(&mut store, &stream, closed_input(), |store, input| {
                now(find_blocking(&mut Blocking(store), input, piece(len)))
            })?;
            let table = table_of(store.data_mut());
            Ok((read_list::<T>(table, stream, found)?,))
        },
    )?;
    instance.func_wrap(
        "[method]input-stream.blocking-skip",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            let skipped = with_stream(&mut store, &stream, closed_input(), |store, input| {
                now(skip_blocking(&mut Blocking(store), input, piece(len)))
            })?;
            let skipped = skipped.map(|count| count as u64);
            Ok((guest_result(table_of(store.data_mut()), skipped)?,))
        },
    )?;
    instance.func_wrap("[method]output-stream.write", write_watched)?;
    instance.func_wrap("[method]output-stream.blocking-write-and-flush", write_sync)?;
    instance.func_wrap(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store: Store<'_, T>, (stream, len): (Output, u64)| {
            let zeros = zeros(len)?;
            let written = with_stream(&mut store, &stream, closed_output(), |store, output| {
                now(write_blocking(&mut Blocking(store), output, zeros))
            })?;
            Ok((guest_result(table_of(store.data_mut()), written)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.blocking-flush",
        |mut store: Store<'_, T>, (stream,): (Output,)| {
            let flushed = with_stream(&mut store, &stream, closed_output(), |store, output| {
                now(flush_blocking(&mut Blocking(store), output))
            })?;
            Ok((guest_result(table_of(store.data_mut()), flushed)?,))
        },
    )?;
    instance.func_wrap(
        "[method]output-stream.blocking-splice",
        |mut store: Store<'_, T>, (output, input, len): (Output, Input, u64)| {
            let moved = with_stream(&mut store, &input, closed_input(), |store, input| {
                with_stream(store, &output, closed_output(), |store, output| {
                    let wait = &mut Blocking(store);
                    now(splice_blocking(wait, output, input, piece(len)))
                })
            })??;
            let moved = moved.map(|count| count as u64);
            Ok((guest_result(table_of(store.data_mut()), moved)?,))
        },
    )
}

/// `blocking-write-and-flush` of a host that calls guests synchronously.
fn write_sync<T: WasiView + 'static>(
    mut store: Store<'_, T>,
    (stream, list): (Output, WasmList<u8>),
) -> Result<(Result<(), GuestError>,)> {
    check_length(&list)?;
    let output = table_of(store.data_mut()).get_mut(&stream)?;
    if !output.is_unbuffered() {
        let bytes = Bytes::copy_from_slice(list.try_as_le_slice(&store)?);
        let written = with_stream(&mut store, &stream, closed_output(), |store, output| {
            now(write_blocking(&mut Blocking(store), output, bytes))
        })?;
        return Ok((guest_result(table_of(store.data_mut()), written)?,));
    }
    if is_watched(&mut store, &stream)? {
        return write_pieces(store, &stream, &list);
    }
    // The write itself waits.
    let (bytes, data) = list.slice_and_data(&mut store)?;
    let table = table_of(data);
    let written = table.get_mut(&stream)?.write_from(bytes);
    Ok((guest_result(table, written)?,))
}

/// `write`.
fn write_now<T: WasiView + 'static>(
    mut store: Store<'_, T>,
    (stream, list): (Output, WasmList<u8>),
) -> Result<(Result<(), GuestError>,)> {
    if list.len() > MAX_PIECE {
        return Err(too_long("write", "`check-write` allowed"));
    }
    let (bytes, data) = list.slice_and_data(&mut store)?;
    let table = table_of(data);
    let written = table.get_mut(&stream)?.write_allowed(bytes);
    Ok((guest_result(table, written)?,))
}

/// `write` of a host that calls guests synchronously. What `check-write` allowed may not be true
/// any more, if others write to the same pipe. If the guest can be interrupted, such a write waits
/// in a way that can be, too.
fn write_watched<T: WasiView + 'static>(
    mut store: Store<'_, T>,
    (stream, list): (Output, WasmList<u8>),
) -> Result<(Result<(), GuestError>,)> {
    if !is_watched(&mut store, &stream)? {
        return write_now(store, (stream, list));
    }
    let table = table_of(store.data_mut());
    match table.get_mut(&stream)?.check_write() {
        Ok(allowed) if list.len() > allowed => Err(too_long("write", "`check-write` allowed")),
        Ok(_) => write_pieces(store, &stream, &list),
        Err(error) => Ok((guest_result(table, Err(error))?,)),
    }
}

/// Returns whether a write to the stream may wait in the system, and the guest can be interrupted
/// meanwhile.
fn is_watched<T: WasiView + 'static>(store: &mut Store<'_, T>, stream: &Output) -> Result<bool> {
    let output = table_of(store.data_mut()).get_mut(stream)?;
    let waits = output.is_unbuffered() && !matches!(output.readiness(), Readiness::Ready);
    Ok(waits && store.interrupt_watch().is_some())
}

/// Writes to a stream whose writes wait, in pieces that it takes at once when it is ready. Before
/// each, waits until it is, or until the call of the guest is to end.
fn write_pieces<T: WasiView + 'static>(
    mut store: Store<'_, T>,
    stream: &Output,
    list: &WasmList<u8>,
) -> Result<(Result<(), GuestError>,)> {
    const PIECE: usize = 4096;

    for start in (0..list.len()).step_by(PIECE) {
        with_stream(&mut store, stream, closed_output(), |store, output| {
            wait(store, &mut Sources::one(Source::of(output.readiness())))
        })??;
        let (bytes, data) = list.slice_and_data(&mut store)?;
        let table = table_of(data);
        let piece = &bytes[start..bytes.len().min(start + PIECE)];
        if let Err(error) = table.get_mut(stream)?.write_from(piece) {
            return Ok((guest_result(table, Err(error))?,));
        }
    }
    Ok((Ok(()),))
}

fn check_length(list: &WasmList<u8>) -> Result<()> {
    match list.len() as u64 > MAX_BLOCKING_WRITE {
        true => Err(too_long("blocking-write-and-flush", "4096")),
        false => Ok(()),
    }
}

/// Returns the zeros of `blocking-write-zeroes-and-flush`.
pub(super) fn zeros(len: u64) -> Result<Bytes> {
    const ZEROS: &[u8] = &[0; MAX_BLOCKING_WRITE as usize];
    match len > MAX_BLOCKING_WRITE {
        true => Err(too_long("blocking-write-zeroes-and-flush", "4096")),
        false => Ok(Bytes::from_static(&ZEROS[..len as usize])),
    }
}

/// Defines the functions that wait, for hosts that call guests asynchronously.
#[cfg(feature = "tokio")]
pub(super) fn add_async<T: WasiView + 'static>(instance: &mut LinkerInstance<'_, T>) -> Result<()> {
    use super::Asynchronous;

    let ty = ResourceType::host::<DynInputStream>();
    instance.resource_async("input-stream", ty, |mut store, rep| {
        Box::new(async move {
            let mut stream: DynInputStream = delete(table_of(store.data_mut()), rep)?;
            stream.cancel().await;
            Ok(())
        })
    })?;
    let ty = ResourceType::host::<DynOutputStream>();
    instance.resource_async("output-stream", ty, |mut store, rep| {
        Box::new(async move {
            let mut stream: DynOutputStream = delete(table_of(store.data_mut()), rep)?;
            stream.cancel().await;
            Ok(())
        })
    })?;
    instance.func_wrap_async(
        "[method]input-stream.blocking-read",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            Box::new(async move {
                let table = table_of(store.data_mut());
                let input = table.get_mut(&stream)?;
                let found = find_blocking(&mut Asynchronous, input, piece(len)).await;
                Ok((read_list::<T>(table, stream, found)?,))
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]input-stream.blocking-skip",
        |mut store: Store<'_, T>, (stream, len): (Input, u64)| {
            Box::new(async move {
                let table = table_of(store.data_mut());
                let input = table.get_mut(&stream)?;
                let skipped = skip_blocking(&mut Asynchronous, input, piece(len)).await;
                Ok((guest_result(table, skipped.map(|count| count as u64))?,))
            })
        },
    )?;
    instance.func_wrap("[method]output-stream.write", write_now)?;
    instance.func_wrap_async(
        "[method]output-stream.blocking-write-and-flush",
        |store: Store<'_, T>, (stream, list): (Output, WasmList<u8>)| {
            Box::new(write_async(store, stream, list))
        },
    )?;
    instance.func_wrap_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store: Store<'_, T>, (stream, len): (Output, u64)| {
            Box::new(async move {
                let zeros = zeros(len)?;
                let table = table_of(store.data_mut());
                let output = table.get_mut(&stream)?;
                let written = write_blocking(&mut Asynchronous, output, zeros).await;
                Ok((guest_result(table, written)?,))
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]output-stream.blocking-flush",
        |mut store: Store<'_, T>, (stream,): (Output,)| {
            Box::new(async move {
                let table = table_of(store.data_mut());
                let flushed = flush_blocking(&mut Asynchronous, table.get_mut(&stream)?).await;
                Ok((guest_result(table, flushed)?,))
            })
        },
    )?;
    instance.func_wrap_async(
        "[method]output-stream.blocking-splice",
        |mut store: Store<'_, T>, (output, input, len): (Output, Input, u64)| {
            Box::new(async move {
                let table = table_of(store.data_mut());
                let moved =
                    splice_in_table(&mut Asynchronous, table, &output, &input, piece(len)).await?;
                Ok((guest_result(table, moved.map(|count| count as u64))?,))
            })
        },
    )
}

/// Splices two streams of one table.
pub(super) async fn splice_in_table(
    wait: &mut impl Wait,
    table: &mut ResourceTable,
    output: &Output,
    input: &Input,
    size: usize,
) -> Result<StreamResult<usize>> {
    let mut taken = std::mem::replace(table.get_mut(input)?, closed_input());
    let moved = match table.get_mut(output) {
        Ok(output) => splice_blocking(wait, output, &mut taken, size).await,
        Err(error) => Err(StreamError::from(error)),
    };
    *table.get_mut(input)? = taken;
    Ok(moved)
}

/// `blocking-write-and-flush` of a host that calls guests asynchronously.
#[cfg(feature = "tokio")]
async fn write_async<T: WasiView + 'static>(
    mut store: Store<'_, T>,
    stream: Output,
    list: WasmList<u8>,
) -> Result<(Result<(), GuestError>,)> {
    use super::Asynchronous;

    check_length(&list)?;
    let (bytes, data) = list.slice_and_data(&mut store)?;
    let table = table_of(data);
    let output = table.get_mut(&stream)?;
    let written = match output.is_unbuffered() {
        true => match output.check_write() {
            Ok(allowed) if allowed >= bytes.len() => Some(output.write_from(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        },
        false => None,
    };
    let written = match written {
        Some(written) => written,
        None => {
            let bytes = Bytes::copy_from_slice(bytes);
            write_blocking(&mut Asynchronous, output, bytes).await
        }
    };
    Ok((guest_result(table, written)?,))
}

//! Bytes that the host writes to and reads from guest memory.

use super::{BLOCKED, Puppet, completed, dropped};
use mintage::{
    Destination, Engine, Result, Source, Store, StoreContextMut, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer, block_on,
};
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Writes numbers that count, into the memory of the reader.
struct Counts {
    next: u8,
    /// The number that is not written any more.
    end: u8,
    /// Whether it delivers one more in its buffer.
    buffers: bool,
}

impl<D: 'static> StreamProducer<D> for Counts {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        if self.buffers {
            destination.set_buffer(vec![99].into());
        }
        let mut direct = destination.reborrow().as_direct(store, 5);
        // In two steps.
        for most in [1, usize::MAX] {
            let room = direct.remaining();
            let left = usize::from(self.end - self.next);
            let count = room.len().min(most).min(left);
            for byte in &mut room[..count] {
                *byte = self.next;
                self.next += 1;
            }
            direct.mark_written(count);
        }
        Poll::Ready(Ok(match self.next == self.end {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}

fn store() -> Store<Vec<u8>> {
    Store::new(&Engine::default(), Vec::new())
}

#[test]
fn a_producer_writes_to_guest_memory() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let counts = Counts {
        next: 1,
        end: 9,
        buffers: false,
    };
    let reader = StreamReader::new(&mut store, counts).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 101, 3), completed(3));
    assert_eq!(guest.read(&mut store, end, 104, 4), completed(4));
    assert_eq!(guest.read(&mut store, end, 108, 4), dropped(1));
    let expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    assert_eq!(guest.load_bytes(&mut store, 100, 10), expected);
}

#[test]
fn buffers_follow_what_is_written_directly() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let counts = Counts {
        next: 1,
        end: 3,
        buffers: true,
    };
    let reader = StreamReader::new(&mut store, counts).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 2), completed(2));
    assert_eq!(guest.read(&mut store, end, 102, 2), dropped(1));
    assert_eq!(guest.load_bytes(&mut store, 100, 4), [1, 2, 99, 0]);
}

/// Appends bytes to the data of the store, from the memory of the writer.
struct Appends {
    /// The most bytes that are taken at once.
    most: usize,
}

impl StreamConsumer<Vec<u8>> for Appends {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, Vec<u8>>,
        mut source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut bytes = vec![0; self.most];
        let context = mintage::AsContextMut::as_context_mut(&mut store);
        let mut direct = source.reborrow().as_direct(context);
        let count = direct.read(&mut bytes).unwrap();
        let left = direct.remaining().len();
        assert_eq!(source.remaining(&mut store), left);
        store.data_mut().extend(&bytes[..count]);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

#[test]
fn a_consumer_reads_from_guest_memory() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, Appends { most: 3 }).unwrap();
    guest.store_bytes(&mut store, 100, &[1, 2, 3, 4]);
    assert_eq!(guest.write(&mut store, writer, 100, 4), completed(3));
    assert_eq!(guest.write(&mut store, writer, 103, 1), completed(1));
    assert_eq!(*store.data(), [1, 2, 3, 4]);
}

#[test]
fn the_host_writes_to_itself() {
    let mut store = store();
    let counts = Counts {
        next: 1,
        end: 9,
        buffers: true,
    };
    let reader = StreamReader::new(&mut store, counts).unwrap();
    reader.pipe(&mut store, Appends { most: 4 }).unwrap();
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run).unwrap();
    assert_eq!(*store.data(), [1, 2, 3, 4, 5, 99, 6, 7, 8, 99]);
}

#[test]
fn nothing_is_written_outside_of_memory() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let counts = Counts {
        next: 1,
        end: 4,
        buffers: false,
    };
    let reader = StreamReader::new(&mut store, counts).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(
        guest.read(&mut store, end, 65_536 * 16 - 2, 2),
        completed(2)
    );
    let out = guest.try_call::<_, _, (u32,)>(&mut store, "read", (end, 65_536u32 * 16 - 2, 3u32));
    assert!(out.is_err());
}

/// Marks more than there is room for.
struct Lies;

impl<D: 'static> StreamProducer<D> for Lies {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut direct = destination.as_direct(store, 5);
        assert_eq!(direct.write(&[1, 2, 3]).unwrap(), 2);
        direct.mark_written(1);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

#[test]
fn more_than_there_is_room_for_panics() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let reader = StreamReader::new(&mut store, Lies).unwrap();
    let end = guest.take(&mut store, reader);
    let read = || guest.read(&mut store, end, 100, 2);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    let panicked = read.unwrap_err();
    let message = panicked.downcast_ref::<String>().unwrap();
    assert_eq!(message, "1 bytes were written where 0 are left");
    assert!(
        guest
            .try_call::<_, _, (u32,)>(&mut store, "load", (100u32,))
            .is_err()
    );
    let _ = BLOCKED;
}

//! Futures in both directions.

use super::{BLOCKED, Puppet};
use mintage::error::format_err;
use mintage::{
    Engine, FutureConsumer, FutureReader, Result, Source, Store, StoreContextMut, block_on,
};
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const COMPLETED: u32 = 0;
const DROPPED: u32 = 1;
const CANCELLED: u32 = 2;

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

/// A value that comes later. Copies are the same.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<(Option<u32>, Option<Waker>)>>);

impl Later {
    fn set(&self, value: u32) {
        let mut state = self.0.lock().unwrap();
        state.0 = Some(value);
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Future for Later {
    type Output = Result<u32>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u32>> {
        let mut state = self.0.lock().unwrap();
        match state.0 {
            Some(value) => Poll::Ready(Ok(value)),
            None => {
                state.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Keeps a value. `waits` makes it pending once.
#[derive(Clone, Default)]
struct Keeps {
    value: Arc<Mutex<Vec<String>>>,
    waits: bool,
}

impl<D: 'static> FutureConsumer<D> for Keeps {
    type Item = String;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, String>,
        finish: bool,
    ) -> Poll<Result<()>> {
        if finish {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut value = None;
        source.read(store, &mut value)?;
        self.value.lock().unwrap().extend(value);
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_guest_reads_the_value_of_a_rust_future() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "future", "u32");
    let reader = FutureReader::new(&mut store, ready(Ok::<_, mintage::Error>(7u32))).unwrap();
    let end = guest.take_future(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 1), COMPLETED);
    assert_eq!(guest.load(&mut store, 100), 7);
    guest.drop_reader(&mut store, end);

    let later = Later::default();
    let reader = FutureReader::new(&mut store, later.clone()).unwrap();
    let end = guest.take_future(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 1), BLOCKED);
    assert_eq!(guest.cancel_read(&mut store, end), CANCELLED);
    assert_eq!(guest.read(&mut store, end, 100, 1), BLOCKED);
    later.set(8);
    assert_eq!(guest.wait(&mut store, end).unwrap(), COMPLETED);
    assert_eq!(guest.load(&mut store, 100), 8);
    // It is done.
    let again = guest.try_call::<_, _, (u32,)>(&mut store, "read", (end, 100u32, 1u32));
    assert!(again.is_err());
}

#[test]
fn a_future_that_fails_ends_the_guest() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "future", "u32");
    let fails = ready(Err::<u32, _>(format_err!("an error of the test")));
    let reader = FutureReader::new(&mut store, fails).unwrap();
    let end = guest.take_future(&mut store, reader);
    let read = guest.try_call::<_, _, (u32,)>(&mut store, "read", (end, 100u32, 1u32));
    let error = format!("{:#}", read.unwrap_err());
    assert!(error.contains("an error of the test"), "{error}");
}

#[test]
fn the_host_reads_a_value() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "future", "string");
    guest.store_bytes(&mut store, 200, b"abc");
    guest.store(&mut store, 100, 200);
    guest.store(&mut store, 104, 3);
    for waits in [false, true] {
        let (reader, writer) = guest.ends(&mut store);
        let reader: FutureReader<String> = guest.give_future(&mut store, reader);
        let keeps = Keeps {
            waits,
            ..Keeps::default()
        };
        reader.pipe(&mut store, keeps.clone()).unwrap();
        match waits {
            false => assert_eq!(guest.write(&mut store, writer, 100, 1), COMPLETED),
            true => {
                assert_eq!(guest.write(&mut store, writer, 100, 1), BLOCKED);
                assert_eq!(guest.wait(&mut store, writer).unwrap(), COMPLETED);
            }
        }
        assert_eq!(*keeps.value.lock().unwrap(), ["abc"]);
        guest.drop_writer(&mut store, writer);
    }
}

#[test]
fn a_guest_cancels_its_write() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "future", "string");
    let (reader, writer) = guest.ends(&mut store);
    let reader: FutureReader<String> = guest.give_future(&mut store, reader);
    let keeps = Keeps {
        waits: true,
        ..Keeps::default()
    };
    reader.pipe(&mut store, keeps.clone()).unwrap();
    assert_eq!(guest.write(&mut store, writer, 100, 1), BLOCKED);
    assert_eq!(guest.cancel_write(&mut store, writer), CANCELLED);
    assert_eq!(guest.write(&mut store, writer, 100, 1), COMPLETED);
    assert_eq!(*keeps.value.lock().unwrap(), [""]);
}

#[test]
fn a_writer_learns_that_no_one_reads() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "future", "u32");
    for writes in [false, true] {
        let (reader, writer) = guest.ends(&mut store);
        let mut reader: FutureReader<u32> = guest.give_future(&mut store, reader);
        // Otherwise it must be written before it is dropped.
        if writes {
            assert_eq!(guest.write(&mut store, writer, 100, 1), BLOCKED);
        }
        reader.close(&mut store).unwrap();
        match writes {
            true => assert_eq!(guest.poll(&mut store, writer), Some(DROPPED)),
            false => assert_eq!(guest.write(&mut store, writer, 100, 1), DROPPED),
        }
        guest.drop_writer(&mut store, writer);
    }
    // As long as the host may read, it must be written.
    let (reader, writer) = guest.ends(&mut store);
    let reader: FutureReader<u32> = guest.give_future(&mut store, reader);
    let error = guest.try_call::<_, _, ()>(&mut store, "drop-writer", (writer,));
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("future"), "{error}");
    drop(reader);
}

#[test]
fn the_host_reads_its_own_future() {
    let mut store = store();
    let keeps = Keeps::default();
    let reader = FutureReader::new(&mut store, async {
        Ok::<_, mintage::Error>("a".to_string())
    });
    reader.unwrap().pipe(&mut store, keeps.clone()).unwrap();
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run).unwrap();
    assert_eq!(*keeps.value.lock().unwrap(), ["a"]);
    let never = FutureReader::new(&mut store, pending::<Result<u32>>()).unwrap();
    drop((never, store));
}

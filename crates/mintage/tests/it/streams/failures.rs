//! Errors, traps, panics and limits.

use super::puppet::puppet;
use super::{BLOCKED, Puppet, Queue, Sink, completed, dropped};
use mintage::component::{Component, Linker};
use mintage::{
    Destination, Engine, ErrorKind, LimitKind, Result, Store, StoreContextMut, StoreLimits,
    StoreLimitsBuilder, StreamProducer, StreamReader, StreamResult, Trap, VecBuffer, block_on,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

fn run(store: &mut Store<()>) -> Result<()> {
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run)
}

fn is_broken(store: &mut Store<()>, guest: Puppet) -> bool {
    let loaded = guest.try_call::<_, _, (u32,)>(store, "load", (0u32,));
    loaded.is_err_and(|error| error.downcast_ref() == Some(&Trap::CannotEnterComponent))
}

#[test]
fn an_error_of_a_producer_ends_the_guest() {
    for is_late in [false, true] {
        let mut store = store();
        let guest = Puppet::new(&mut store, "stream", "u8");
        let other = Puppet::new(&mut store, "stream", "u8");
        let queue = Queue::<u8>::new([]);
        let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
        let end = guest.take(&mut store, reader);
        let error = match is_late {
            false => {
                queue.fail();
                let read = guest.try_call::<_, _, (u32,)>(&mut store, "read", (end, 0u32, 1u32));
                read.unwrap_err()
            }
            true => {
                assert_eq!(guest.read(&mut store, end, 0, 1), BLOCKED);
                queue.fail();
                guest.wait(&mut store, end).unwrap_err()
            }
        };
        assert!(
            format!("{error:#}").contains("an error of the test"),
            "{error:#}"
        );
        assert!(is_broken(&mut store, guest) && !is_broken(&mut store, other));
        assert!(queue.state().is_dropped);
    }
}

#[test]
fn an_error_of_a_consumer_ends_the_guest() {
    for is_late in [false, true] {
        let mut store = store();
        let guest = Puppet::new(&mut store, "stream", "u8");
        let (reader, writer) = guest.ends(&mut store);
        let sink = Sink::<u8>::new(0);
        let reader: StreamReader<u8> = guest.give(&mut store, reader);
        reader.pipe(&mut store, sink.consumer()).unwrap();
        let error = match is_late {
            false => {
                sink.fail();
                let write =
                    guest.try_call::<_, _, (u32,)>(&mut store, "write", (writer, 0u32, 1u32));
                write.unwrap_err()
            }
            true => {
                assert_eq!(guest.write(&mut store, writer, 0, 1), BLOCKED);
                sink.fail();
                guest.wait(&mut store, writer).unwrap_err()
            }
        };
        assert!(
            format!("{error:#}").contains("an error of the test"),
            "{error:#}"
        );
        assert!(is_broken(&mut store, guest) && sink.state().is_dropped);
    }
}

#[test]
fn a_panic_is_that_of_whoever_runs_the_store() {
    for is_late in [false, true] {
        let mut store = store();
        let guest = Puppet::new(&mut store, "stream", "u8");
        let queue = Queue::<u8>::new([]);
        let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
        let end = guest.take(&mut store, reader);
        let (other, writer) = guest.ends(&mut store);
        let sink = Sink::<u8>::new(1);
        let other: StreamReader<u8> = guest.give(&mut store, other);
        other.pipe(&mut store, sink.consumer()).unwrap();
        let panicked = match is_late {
            false => {
                queue.panic();
                catch_unwind(AssertUnwindSafe(|| guest.read(&mut store, end, 0, 1))).unwrap_err()
            }
            true => {
                assert_eq!(guest.read(&mut store, end, 0, 1), BLOCKED);
                queue.panic();
                catch_unwind(AssertUnwindSafe(|| run(&mut store))).unwrap_err()
            }
        };
        assert_eq!(panicked.downcast_ref(), Some(&"a panic of the test"));
        let _ = run(&mut store);
        assert!(is_broken(&mut store, guest));
        assert!(queue.state().is_dropped && sink.state().is_dropped);
        let _ = writer;
    }
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<u8>::new(1);
    sink.panic();
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    let write = catch_unwind(AssertUnwindSafe(|| guest.write(&mut store, writer, 0, 1)));
    assert!(write.is_err() && sink.state().is_dropped && is_broken(&mut store, guest));
}

#[test]
fn panics_and_errors_between_hosts_end_the_stream() {
    for (panics, of_producer) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut store = store();
        let (queue, sink) = (Queue::new([1u8]), Sink::<u8>::new(1));
        match (panics, of_producer) {
            (true, true) => queue.panic(),
            (true, false) => sink.panic(),
            (false, true) => queue.fail(),
            (false, false) => sink.fail(),
        }
        let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
        reader.pipe(&mut store, sink.consumer()).unwrap();
        let ran = catch_unwind(AssertUnwindSafe(|| run(&mut store)));
        assert_eq!(ran.is_err(), panics);
        if let Ok(ran) = ran {
            assert_eq!(ran.unwrap_err().to_string(), "an error of the test");
        }
        assert!(queue.state().is_dropped && sink.state().is_dropped);
        run(&mut store).unwrap();
    }
}

/// Breaks a rule.
struct Wrong(Breaks);

#[derive(Clone, Copy, Debug)]
enum Breaks {
    DeliversAndWaits,
    CompletesWithoutValues,
    CancelsUnasked,
}

impl<D: 'static> StreamProducer<D> for Wrong {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        match self.0 {
            Breaks::DeliversAndWaits => {
                destination.set_buffer(vec![1].into());
                Poll::Pending
            }
            Breaks::CompletesWithoutValues => Poll::Ready(Ok(StreamResult::Completed)),
            Breaks::CancelsUnasked => Poll::Ready(Ok(StreamResult::Cancelled)),
        }
    }
}

#[test]
fn producers_that_break_rules_are_errors() {
    for (breaks, message) in [
        (Breaks::DeliversAndWaits, "returned `Poll::Pending`"),
        (Breaks::CompletesWithoutValues, "without values"),
        (Breaks::CancelsUnasked, "was not asked to finish"),
    ] {
        let mut store = store();
        let guest = Puppet::new(&mut store, "stream", "u8");
        let reader = StreamReader::new(&mut store, Wrong(breaks)).unwrap();
        let end = guest.take(&mut store, reader);
        let read = guest.try_call::<_, _, (u32,)>(&mut store, "read", (end, 0u32, 1u32));
        let error = format!("{:#}", read.unwrap_err());
        assert!(error.contains(message), "{breaks:?}: {error}");
        assert!(is_broken(&mut store, guest));
    }
}

#[test]
fn a_trap_ends_the_host_sides() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let (queue, sink) = (Queue::<u8>::new([]), Sink::<u8>::new(0));
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 0, 1), BLOCKED);
    assert_eq!(guest.write(&mut store, writer, 0, 1), BLOCKED);
    assert!(guest.try_call::<_, (), ()>(&mut store, "trap", ()).is_err());
    assert!(queue.state().is_dropped && sink.state().is_dropped);
    // Late wakes find nothing.
    queue.push([1]);
    sink.make_room(1);
    run(&mut store).unwrap();
}

#[test]
fn a_store_is_dropped_with_open_streams() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let (queue, sink) = (Queue::<u8>::new([]), Sink::<u8>::new(0));
    let held = Queue::<u8>::new([]);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    let reader = StreamReader::new(&mut store, held.producer()).unwrap();
    assert_eq!(guest.read(&mut store, end, 0, 1), BLOCKED);
    assert_eq!(guest.write(&mut store, writer, 0, 1), BLOCKED);
    drop(store);
    assert!(queue.state().is_dropped && sink.state().is_dropped && held.state().is_dropped);
    queue.push([1]);
    drop(reader);
}

#[test]
fn a_reader_that_is_dropped_drops_its_producer() {
    let mut store = store();
    let queue = Queue::<u8>::new([]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    // On another thread, while the store waits.
    let run = store.run_concurrent(async |_| {
        let thread = std::thread::spawn(|| drop(reader));
        while !queue.state().is_dropped {
            crate::concurrent::turns(1).await;
        }
        thread.join().unwrap();
    });
    block_on(run).unwrap();
    // What the host keeps is not a way around the limit.
    for _ in 0..200_000 {
        drop(StreamReader::new(&mut store, Vec::<u8>::new()).unwrap());
    }
}

#[test]
fn the_host_holds_so_many_ends_at_most() {
    let mut store = store();
    let mut readers = Vec::new();
    let error = loop {
        match StreamReader::new(&mut store, Vec::<u8>::new()) {
            Ok(reader) => readers.push(reader),
            Err(error) => break error,
        }
    };
    assert_eq!(readers.len(), 100_000);
    assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Tasks));
    drop(readers);
    assert!(StreamReader::new(&mut store, Vec::<u8>::new()).is_ok());
}

/// A component that passes ends to the host until it fails.
const HOARDS: &str = r#"(component
    (type $bytes (stream u8))
    (import "keep" (func $keep (param "bytes" $bytes)))
    (core func $keep (canon lower (func $keep)))
    (core func $new (canon stream.new $bytes))
    (core func $drop (canon stream.drop-writable $bytes))
    (core module $m
        (import "" "keep" (func $keep (param i32)))
        (import "" "new" (func $new (result i64)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (param $count i32) (param $drops i32)
            (local $ends i64)
            (loop $more
                (local.set $ends (call $new))
                (call $keep (i32.wrap_i64 (local.get $ends)))
                (if (local.get $drops) (then
                    (call $drop (i32.wrap_i64
                        (i64.shr_u (local.get $ends) (i64.const 32))))))
                (br_if $more
                    (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
    (core instance $i (instantiate $m (with "" (instance
        (export "keep" (func $keep)) (export "new" (func $new)) (export "drop" (func $drop))))))
    (func (export "run") (param "count" u32) (param "drops" u32)
        (canon lift (core func $i "run"))))"#;

#[test]
fn guests_that_hoard_ends_meet_a_limit() {
    let engine = Engine::default();
    let component = Component::new(&engine, HOARDS).unwrap();
    for (keeps, drops, may) in [
        // The host keeps them: two ends each, or one.
        (true, false, 10_000),
        (true, true, 10_000),
        // It drops them: the guest's ends are left, or none.
        (false, false, 10_000),
        (false, true, 300_000),
    ] {
        let mut linker = Linker::<(Vec<StreamReader<u8>>, StoreLimits)>::new(&engine);
        linker
            .root()
            .func_wrap("keep", move |mut store, (mut end,): (StreamReader<u8>,)| {
                match keeps {
                    true => store.data_mut().0.push(end),
                    false => end.close(&mut store)?,
                }
                Ok(())
            })
            .unwrap();
        let limits = StoreLimitsBuilder::new().build();
        let mut store = Store::new(&engine, (Vec::new(), limits));
        store.limiter(|data| &mut data.1);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let run = instance
            .get_typed_func::<(u32, u32), ()>(&mut store, "run")
            .unwrap();
        run.call(&mut store, (may, drops.into())).unwrap();
        if !keeps && drops {
            continue;
        }
        let error = run.call(&mut store, (1_000_000, drops.into())).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Limit(LimitKind::Tasks),
            "{error:#}"
        );
        assert!(store.data().0.len() <= 100_000);
        // Others of the store go on.
        store.data_mut().0.clear();
        let other = linker.instantiate(&mut store, &component).unwrap();
        let run = other
            .get_typed_func::<(u32, u32), ()>(&mut store, "run")
            .unwrap();
        run.call(&mut store, (10, 1)).unwrap();
    }
}

#[test]
fn ends_are_dropped_in_every_order() {
    // Steps of the guest's writer, the host's reader, and a second guest's reader.
    let mut store = store();
    let component = puppet(&store.engine().clone(), "stream", "", "u8");
    let [from, to] = [(); 2].map(|()| Puppet::of(&mut store, &component));
    for order in 0..48 {
        let (reader, writer) = from.ends(&mut store);
        let held: StreamReader<u8> = from.give(&mut store, reader);
        let end = to.take(&mut store, held);
        let (writes, reads, first_writer) = (order & 1 != 0, order & 2 != 0, order & 4 != 0);
        let written = writes.then(|| from.write(&mut store, writer, 0, 2));
        let read = reads.then(|| to.read(&mut store, end, 0, 3));
        let drop_writer = |store: &mut Store<()>| {
            if written == Some(BLOCKED) && from.poll(store, writer).is_none() {
                from.cancel_write(store, writer);
            }
            from.drop_writer(store, writer);
        };
        let drop_reader = |store: &mut Store<()>| {
            if read == Some(BLOCKED) && to.poll(store, end).is_none() {
                to.cancel_read(store, end);
            }
            to.drop_reader(store, end);
        };
        match first_writer {
            true => {
                drop_writer(&mut store);
                drop_reader(&mut store);
            }
            false => {
                drop_reader(&mut store);
                drop_writer(&mut store);
            }
        }
    }
    assert!(!is_broken(&mut store, from) && !is_broken(&mut store, to));
    let reader = StreamReader::new(&mut store, vec![1u8, 2]).unwrap();
    let end = to.take(&mut store, reader);
    assert_eq!(to.read(&mut store, end, 0, 1), completed(1));
    assert_eq!(to.read(&mut store, end, 0, 1), dropped(1));
}

#[test]
fn what_a_guest_writes_is_limited() {
    let mut store = store();
    store.set_hostcall_fuel(1 << 16);
    let guest = Puppet::new(&mut store, "stream", "string");
    let (reader, writer) = guest.ends(&mut store);
    let reader: StreamReader<String> = guest.give(&mut store, reader);
    struct All;
    impl mintage::StreamConsumer<()> for All {
        type Item = String;
        fn poll_consume(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            store: StoreContextMut<'_, ()>,
            mut source: mintage::Source<'_, String>,
            _: bool,
        ) -> Poll<Result<StreamResult>> {
            let mut all = Vec::with_capacity(100);
            source.read(store, &mut all)?;
            Poll::Ready(Ok(StreamResult::Completed))
        }
    }
    reader.pipe(&mut store, All).unwrap();
    for number in 0..100 {
        guest.store(&mut store, 1024 + 8 * number, 1 << 16);
        guest.store(&mut store, 1028 + 8 * number, 1 << 15);
    }
    assert_eq!(guest.write(&mut store, writer, 1024, 1), completed(1));
    let all = guest.try_call::<_, _, (u32,)>(&mut store, "write", (writer, 1024u32, 100u32));
    let error = all.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Limit(LimitKind::HostcallFuel),
        "{error:#}"
    );
}

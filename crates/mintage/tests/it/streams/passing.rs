//! Ends that are passed on.

use super::produce::{LINE, Line};
use super::puppet::puppet;
use super::{BLOCKED, Puppet, Queue, Sink, cancelled, completed, dropped};
use mintage::component::{Component, Linker, Resource, ResourceType};
use mintage::{
    Engine, FutureReader, Result, Source, Store, StoreContextMut, StreamConsumer, StreamReader,
    StreamResult, block_on,
};
use std::any::{Any, TypeId};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

fn run(store: &mut Store<()>) {
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run).unwrap();
}

#[test]
fn an_end_that_comes_back_is_the_guests_own() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    // Also in the middle of a write.
    for writes in [false, true] {
        let (reader, writer) = guest.ends(&mut store);
        guest.store_bytes(&mut store, 100, &[1, 2, 3]);
        let held: StreamReader<u8> = guest.give(&mut store, reader);
        if writes {
            assert_eq!(guest.write(&mut store, writer, 100, 3), BLOCKED);
        }
        let reader = guest.take(&mut store, held);
        assert_eq!(
            guest.read(&mut store, reader, 200, 2),
            match writes {
                true => completed(2),
                false => BLOCKED,
            }
        );
        if !writes {
            assert_eq!(guest.write(&mut store, writer, 100, 3), completed(2));
        }
        assert_eq!(guest.load_bytes(&mut store, 200, 3), [1, 2, 0]);
        let _ = guest.poll(&mut store, reader);
        let _ = guest.poll(&mut store, writer);
        guest.drop_writer(&mut store, writer);
        assert_eq!(guest.read(&mut store, reader, 200, 2), dropped(0));
        guest.drop_reader(&mut store, reader);
    }
}

#[test]
fn the_hosts_own_end_comes_back() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::new([1u8, 2, 3]).at_once(3);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 1), completed(1));
    let reader: StreamReader<u8> = guest.give(&mut store, end);
    // No guest has it any more.
    assert!(
        guest
            .try_call::<_, _, (u32,)>(&mut store, "read", (end, 0u32, 0u32))
            .is_err()
    );
    let other = Puppet::new(&mut store, "stream", "u8");
    let end = other.take(&mut store, reader);
    assert_eq!(other.read(&mut store, end, 100, 1), completed(1));
    let reader: StreamReader<u8> = other.give(&mut store, end);
    let sink = Sink::<u8>::new(9);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    run(&mut store);
    assert_eq!(sink.take(), [3]);
    queue.push([4]);
    queue.close();
    run(&mut store);
    assert_eq!(sink.take(), [4]);
    assert!(queue.state().is_dropped && sink.state().is_dropped);
}

#[test]
fn numbers_pass_between_instances() {
    let mut store = store();
    let component = puppet(&store.engine().clone(), "stream", "", "u32");
    let [from, to] = [(); 2].map(|()| Puppet::of(&mut store, &component));
    let (reader, writer) = from.ends(&mut store);
    let reader: StreamReader<u32> = from.give(&mut store, reader);
    for number in 0..4 {
        from.store(&mut store, 100 + 4 * number, number + 1);
    }
    assert_eq!(from.write(&mut store, writer, 100, 3), BLOCKED);
    let reader = to.take(&mut store, reader);
    assert_eq!(to.read(&mut store, reader, 200, 2), completed(2));
    assert_eq!(from.poll(&mut store, writer), Some(completed(2)));
    // The reader first.
    assert_eq!(to.read(&mut store, reader, 208, 2), BLOCKED);
    assert_eq!(from.write(&mut store, writer, 108, 2), completed(2));
    assert_eq!(to.poll(&mut store, reader), Some(completed(2)));
    let numbers = (0..4).map(|number| to.load(&mut store, 200 + 4 * number));
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
    // Nothing meets something, and nothing meets nothing.
    assert_eq!(from.write(&mut store, writer, 100, 1), BLOCKED);
    assert_eq!(to.read(&mut store, reader, 200, 0), completed(0));
    assert_eq!(to.read(&mut store, reader, 200, 1), completed(1));
    assert_eq!(from.poll(&mut store, writer), Some(completed(1)));
    assert_eq!(to.read(&mut store, reader, 200, 0), BLOCKED);
    assert_eq!(from.write(&mut store, writer, 100, 0), completed(0));
    assert_eq!(to.poll(&mut store, reader), None);
    assert_eq!(to.cancel_read(&mut store, reader), cancelled(0));
    assert_eq!(from.write(&mut store, writer, 100, 1), BLOCKED);
    assert_eq!(from.cancel_write(&mut store, writer), cancelled(0));
    from.drop_writer(&mut store, writer);
    assert_eq!(to.read(&mut store, reader, 200, 2), dropped(0));
    to.drop_reader(&mut store, reader);
}

#[test]
fn values_pass_between_instances() {
    let mut store = store();
    let component = puppet(&store.engine().clone(), "stream", LINE, "$line");
    let [from, to] = [(); 2].map(|()| Puppet::of(&mut store, &component));
    let (reader, writer) = from.ends(&mut store);
    let reader: StreamReader<Line> = from.give(&mut store, reader);
    let reader = to.take(&mut store, reader);
    from.store_bytes(&mut store, 200, b"abc");
    for (at, word) in [
        (96, 200),
        (100, 2),
        (104, 7),
        (108, 201),
        (112, 2),
        (116, 8),
    ] {
        from.store(&mut store, at, word);
    }
    assert_eq!(to.read(&mut store, reader, 96, 9), BLOCKED);
    assert_eq!(from.write(&mut store, writer, 96, 2), completed(2));
    assert_eq!(to.wait(&mut store, reader).unwrap(), completed(2));
    let text: String = to.call(&mut store, "text", (108u32,));
    assert_eq!((text.as_str(), to.load(&mut store, 116)), ("bc", 8));
    // The instance that passes what is not a value ends, and not the other one.
    from.store(&mut store, 96, u32::MAX);
    assert_eq!(from.write(&mut store, writer, 96, 1), BLOCKED);
    let read = to.read(&mut store, reader, 96, 9);
    run_failing(&mut store);
    assert!(
        from.try_call::<_, _, (u32,)>(&mut store, "load", (0u32,))
            .is_err()
    );
    let payload = match read {
        BLOCKED => to.wait(&mut store, reader).unwrap(),
        payload => payload,
    };
    assert_eq!(payload, dropped(0));
}

/// Lets a store go on in which an instance fails.
fn run_failing(store: &mut Store<()>) {
    for _ in 0..3 {
        let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
        let _ = block_on(run);
    }
}

#[test]
fn a_future_passes_between_instances() {
    let mut store = store();
    let component = puppet(&store.engine().clone(), "future", "", "string");
    let [from, to] = [(); 2].map(|()| Puppet::of(&mut store, &component));
    let (reader, writer) = from.ends(&mut store);
    let reader: FutureReader<String> = from.give_future(&mut store, reader);
    let reader = to.take_future(&mut store, reader);
    from.store_bytes(&mut store, 200, b"abc");
    from.store(&mut store, 96, 200);
    from.store(&mut store, 100, 3);
    assert_eq!(to.read(&mut store, reader, 96, 1), BLOCKED);
    assert_eq!(from.write(&mut store, writer, 96, 1), 0);
    assert_eq!(to.wait(&mut store, reader).unwrap(), 0);
    let text: String = to.call(&mut store, "text", (96u32,));
    assert_eq!(text, "abc");
    from.drop_writer(&mut store, writer);
    to.drop_reader(&mut store, reader);
}

#[test]
fn an_end_passes_through_many_hands() {
    let mut store = store();
    let component = puppet(&store.engine().clone(), "stream", "", "u8");
    let guests = [(); 3].map(|()| Puppet::of(&mut store, &component));
    let (reader, writer) = guests[0].ends(&mut store);
    let mut reader: StreamReader<u8> = guests[0].give(&mut store, reader);
    for guest in [1, 2, 0, 1, 2, 1, 0] {
        reader = guests[guest].call(&mut store, "echo", (reader,));
    }
    let end = guests[0].take(&mut store, reader);
    guests[0].store_bytes(&mut store, 100, &[5]);
    assert_eq!(guests[0].write(&mut store, writer, 100, 1), BLOCKED);
    assert_eq!(guests[0].read(&mut store, end, 200, 1), completed(1));
    assert_eq!(guests[0].load_bytes(&mut store, 200, 1), [5]);
}

#[test]
fn a_writer_that_is_gone_is_gone_for_all() {
    let mut store = store();
    let component = puppet(&store.engine().clone(), "stream", "", "u8");
    let [from, to] = [(); 2].map(|()| Puppet::of(&mut store, &component));
    for guest in [from, to] {
        let (reader, writer) = from.ends(&mut store);
        let reader: StreamReader<u8> = from.give(&mut store, reader);
        from.drop_writer(&mut store, writer);
        let end = guest.take(&mut store, reader);
        assert_eq!(guest.read(&mut store, end, 100, 1), dropped(0));
        guest.drop_reader(&mut store, end);
    }
    // And so is one whose instance is.
    let (reader, writer) = from.ends(&mut store);
    let reader: StreamReader<u8> = from.give(&mut store, reader);
    let end = to.take(&mut store, reader);
    let (reader, _) = from.ends(&mut store);
    let held: StreamReader<u8> = from.give(&mut store, reader);
    assert_eq!(to.read(&mut store, end, 100, 1), BLOCKED);
    let _ = writer;
    store.drop_instance(from.0).unwrap();
    assert_eq!(to.wait(&mut store, end).unwrap(), dropped(0));
    let end = to.take(&mut store, held);
    assert_eq!(to.read(&mut store, end, 100, 1), dropped(0));
}

#[test]
fn a_reader_is_passed_on_once_and_in_its_store() {
    let mut first = store();
    let mut second = store();
    let component = puppet(&first.engine().clone(), "stream", "", "u8");
    let guest = Puppet::of(&mut first, &component);
    let (reader, _) = guest.ends(&mut first);
    let mut held: StreamReader<u8> = guest.give(&mut first, reader);
    assert!(held.close(&mut second).is_err());
    // By reference, so that it stays.
    let take = guest
        .0
        .get_typed_func::<(&StreamReader<u8>,), (u32,)>(&mut first, "take");
    let take = take.unwrap();
    take.call(&mut first, (&held,)).unwrap();
    let error = take.call(&mut first, (&held,)).unwrap_err().to_string();
    assert!(error.contains("passed to a guest before"), "{error}");
    // Dropping it does not close what the guest has now.
    let (reader, writer) = guest.ends(&mut first);
    let held: StreamReader<u8> = guest.give(&mut first, reader);
    take.call(&mut first, (&held,)).unwrap();
    drop(held);
    run(&mut first);
    assert_eq!(guest.write(&mut first, writer, 0, 1), BLOCKED);
    let sink = Sink::<u8>::new(1);
    let (reader, _) = guest.ends(&mut first);
    let held: StreamReader<u8> = guest.give(&mut first, reader);
    assert!(held.pipe(&mut second, sink.consumer()).is_err());
    assert!(sink.state().is_dropped);
}

/// A producer that converts to its name.
struct Named(Queue<u8>);

impl<D: 'static> mintage::StreamProducer<D> for Named {
    type Item = u8;
    type Buffer = mintage::VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        _: mintage::Destination<'a, u8, mintage::VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        Poll::Pending
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any>, Pin<Box<Self>>> {
        match ty == TypeId::of::<Queue<u8>>() {
            true => Ok(Box::new(me.0.clone())),
            false => Err(me),
        }
    }
}

#[test]
fn a_producer_comes_back() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let reader = StreamReader::new(&mut store, Named(Queue::new([1u8]))).unwrap();
    let reader: StreamReader<u8> = guest.call(&mut store, "echo", (reader,));
    let reader = reader.try_into::<String>(&mut store).unwrap_err();
    let queue = reader.try_into::<Queue<u8>>(&mut store).unwrap();
    queue.push([2]);
    // A stream of a guest has none.
    let (reader, _) = guest.ends(&mut store);
    let held: StreamReader<u8> = guest.give(&mut store, reader);
    assert!(held.try_into::<Queue<u8>>(&mut store).is_err());
}

#[test]
fn the_type_of_the_values_must_be_that_of_the_producer() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "string");
    let texts = vec!["a".to_string()];
    let reader = StreamReader::new(&mut store, texts).unwrap();
    let reader: StreamReader<Box<str>> = guest.call(&mut store, "echo", (reader,));
    let error = reader.pipe(&mut store, Sink::<Box<str>>::new(1).consumer());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("values of another type"), "{error}");
}

struct Ticket;

#[test]
fn resources_of_the_host_pass() {
    let engine = Engine::default();
    let defs = r#"(import "ticket" (type $ticket (sub resource)))"#;
    let component = puppet(&engine, "stream", defs, "(own $ticket)");
    let mut linker = Linker::<()>::new(&engine);
    let ty = ResourceType::host::<Ticket>();
    linker.root().resource("ticket", ty, |_, _| Ok(())).unwrap();
    let mut store = Store::new(&engine, ());
    let mut new = || Puppet(linker.instantiate(&mut store, &component).unwrap());
    let [from, to] = [new(), new()];
    let tickets = vec![Resource::<Ticket>::new_own(7), Resource::new_own(8)];
    let reader = StreamReader::new(&mut store, tickets).unwrap();
    let end = from.take(&mut store, reader);
    assert_eq!(from.read(&mut store, end, 100, 5), dropped(2));
    let (reader, writer) = from.ends(&mut store);
    let reader: StreamReader<Resource<Ticket>> = from.give(&mut store, reader);
    let end = to.take(&mut store, reader);
    assert_eq!(to.read(&mut store, end, 200, 5), BLOCKED);
    assert_eq!(from.write(&mut store, writer, 100, 2), completed(2));
    assert_eq!(to.poll(&mut store, end), Some(completed(2)));
    assert_ne!(to.load(&mut store, 204), 0);
}

#[test]
fn streams_of_streams_pass() {
    let mut store = store();
    let defs = "(type $bytes (stream u8))";
    let component = puppet(&store.engine().clone(), "stream", defs, "$bytes");
    let nested = Puppet::of(&mut store, &component);
    let bytes = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::<u8>::new([]);
    let inner = StreamReader::new(&mut store, queue.producer()).unwrap();
    let outer = StreamReader::new(&mut store, vec![inner]).unwrap();
    let end = nested.take(&mut store, outer);
    assert_eq!(nested.read(&mut store, end, 100, 2), dropped(1));
    // The guest passes it on.
    let (reader, writer) = nested.ends(&mut store);
    let sink = Sink::<StreamReader<u8>>::new(2);
    let held: StreamReader<StreamReader<u8>> = nested.give(&mut store, reader);
    held.pipe(&mut store, sink.consumer()).unwrap();
    assert_eq!(nested.write(&mut store, writer, 100, 1), completed(1));
    let inner = sink.take().pop().unwrap();
    let end = bytes.take(&mut store, inner);
    queue.push([5]);
    assert_eq!(bytes.read(&mut store, end, 100, 2), completed(1));
    // Those that are not read are closed with the outer one.
    let inner = StreamReader::new(&mut store, queue.producer()).unwrap();
    let outer = StreamReader::new(&mut store, vec![inner]).unwrap();
    drop(outer);
    bytes.drop_reader(&mut store, end);
    queue.state().is_dropped = false;
    run(&mut store);
    run(&mut store);
    assert!(queue.state().is_dropped);
}

/// No other function of the component has this `realloc`.
#[test]
fn strings_get_their_place_by_the_realloc_of_the_read() {
    let engine = Engine::default();
    let text = r#"(component
        (core module $libc
            (memory (export "m") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x200)))
        (core instance $libc (instantiate $libc))
        (type $s (stream string))
        (core func $read (canon stream.read $s async
            (memory (core memory $libc "m")) (realloc (core func $libc "realloc"))))
        (core module $m
            (import "" "read" (func $read (param i32 i32 i32) (result i32)))
            (func (export "read") (param i32) (result i32)
                ;; One string was read.
                (if (i32.ne (call $read (local.get 0) (i32.const 16) (i32.const 1)) (i32.const 16))
                    (then unreachable))
                (i32.const 16)))
        (core instance $i (instantiate $m (with "" (instance (export "read" (func $read))))))
        (func (export "read") (param "s" $s) (result string)
            (canon lift (core func $i "read") (memory (core memory $libc "m")))))"#;
    let component = Component::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let read = instance
        .get_typed_func::<(StreamReader<String>,), (String,)>(&mut store, "read")
        .unwrap();
    // The stream does not end with the string that is read.
    let values = ["hello", "world"].map(String::from);
    let reader = StreamReader::new(&mut store, values.to_vec()).unwrap();
    assert_eq!(read.call(&mut store, (reader,)).unwrap().0, "hello");
}

/// Takes two bytes at a time, and has finished with them when it is polled again.
struct Slow {
    taken: Arc<Mutex<Vec<u8>>>,
    is_busy: bool,
}

impl StreamConsumer<()> for Slow {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, ()>,
        mut source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.is_busy) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut bytes = Vec::with_capacity(2);
        source.read(store, &mut bytes)?;
        this.taken.lock().unwrap().extend(bytes);
        this.is_busy = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn a_consumer_may_take_values_and_finish_with_them_later() {
    let mut store = store();
    let taken = Arc::<Mutex<Vec<u8>>>::default();
    let reader = StreamReader::new(&mut store, vec![1, 2, 3, 4, 5]).unwrap();
    let slow = Slow {
        taken: taken.clone(),
        is_busy: false,
    };
    reader.pipe(&mut store, slow).unwrap();
    let run = store.run_concurrent(async |_| crate::concurrent::turns(20).await);
    block_on(run).unwrap();
    assert_eq!(*taken.lock().unwrap(), [1, 2, 3, 4, 5]);
}

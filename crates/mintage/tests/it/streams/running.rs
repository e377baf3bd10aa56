//! Guests that wait for streams, and the event loop.

use super::{Queue, Sink};
use crate::async_calls::{block_on, poll};
use mintage::component::{Component, Linker};
use mintage::{Engine, FutureReader, Instance, Store, StreamReader, Trap};

/// A component that copies streams while it waits: `sum` adds all bytes, `double` returns a stream
/// of each byte twice, and a future of how many there were.
const COPIES: &str = r#"(component
    (core module $memory (memory (export "mem") 2))
    (core instance $i (instantiate $memory))
    (alias core export $i "mem" (core memory $mem))
    (type $bytes (stream u8))
    (type $count (future u32))
    (core func $new (canon stream.new $bytes))
    (core func $read (canon stream.read $bytes async (memory $mem)))
    (core func $write (canon stream.write $bytes async (memory $mem)))
    (core func $drop-reader (canon stream.drop-readable $bytes))
    (core func $drop-writer (canon stream.drop-writable $bytes))
    (core func $new-count (canon future.new $count))
    (core func $write-count (canon future.write $count async (memory $mem)))
    (core func $drop-count (canon future.drop-writable $count))
    (core func $set-new (canon waitable-set.new))
    (core func $set-wait (canon waitable-set.wait (memory $mem)))
    (core func $set-drop (canon waitable-set.drop))
    (core func $join (canon waitable.join))
    (core func $return-sum (canon task.return (result u32)))
    (core func $return (canon task.return (result (tuple $bytes $count))))
    (core module $m
        (import "" "mem" (memory 2))
        (import "" "new" (func $new (result i64)))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "" "write" (func $write (param i32 i32 i32) (result i32)))
        (import "" "drop-reader" (func $drop-reader (param i32)))
        (import "" "drop-writer" (func $drop-writer (param i32)))
        (import "" "new-count" (func $new-count (result i64)))
        (import "" "write-count" (func $write-count (param i32 i32) (result i32)))
        (import "" "drop-count" (func $drop-count (param i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
        (import "" "set-drop" (func $set-drop (param i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "return-sum" (func $return-sum (param i32)))
        (import "" "return" (func $return (param i32 i32)))
        ;; waits for the event of an end if a built-in has to; returns the payload
        (func $wait (param $code i32) (param $end i32) (result i32)
            (local $set i32)
            (if (i32.ne (local.get $code) (i32.const -1)) (then (return (local.get $code))))
            (local.set $set (call $set-new))
            (call $join (local.get $end) (local.get $set))
            (drop (call $set-wait (local.get $set) (i32.const 8)))
            (call $join (local.get $end) (i32.const 0))
            (call $set-drop (local.get $set))
            (i32.load (i32.const 12)))
        (func (export "sum") (param $end i32) (result i32)
            (local $code i32) (local $at i32) (local $sum i32)
            (loop $more
                (local.set $code (call $wait
                    (call $read (local.get $end) (i32.const 1024) (i32.const 100))
                    (local.get $end)))
                (local.set $at (i32.shr_u (local.get $code) (i32.const 4)))
                (loop $next
                    (if (local.get $at) (then
                        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                        (local.set $sum (i32.add (local.get $sum)
                            (i32.load8_u offset=1024 (local.get $at))))
                        (br $next))))
                (br_if $more (i32.eqz (i32.and (local.get $code) (i32.const 15)))))
            (call $drop-reader (local.get $end))
            (call $return-sum (local.get $sum))
            (i32.const 0))
        (func (export "double") (param $end i32) (result i32)
            (local $code i32) (local $ends i64) (local $count-ends i64) (local $writer i32)
            (local $count i32)
            (local.set $ends (call $new))
            (local.set $count-ends (call $new-count))
            (local.set $writer (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
            (call $return (i32.wrap_i64 (local.get $ends)) (i32.wrap_i64 (local.get $count-ends)))
            (block $done
                (loop $more
                    (local.set $code (call $wait
                        (call $read (local.get $end) (i32.const 1024) (i32.const 1))
                        (local.get $end)))
                    (br_if $done (i32.eqz (i32.shr_u (local.get $code) (i32.const 4))))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (i32.store8 (i32.const 1025) (i32.load8_u (i32.const 1024)))
                    ;; one after the other, so that each is written whatever room there is
                    (br_if $done (i32.eq (i32.const 1) (i32.and (i32.const 15) (call $wait
                        (call $write (local.get $writer) (i32.const 1024) (i32.const 1))
                        (local.get $writer)))))
                    (br_if $done (i32.eq (i32.const 1) (i32.and (i32.const 15) (call $wait
                        (call $write (local.get $writer) (i32.const 1025) (i32.const 1))
                        (local.get $writer)))))
                    (br_if $more (i32.eqz (i32.and (local.get $code) (i32.const 15))))))
            (call $drop-reader (local.get $end))
            (call $drop-writer (local.get $writer))
            (i32.store (i32.const 16) (local.get $count))
            (local.set $writer (i32.wrap_i64 (i64.shr_u (local.get $count-ends) (i64.const 32))))
            (drop (call $wait
                (call $write-count (local.get $writer) (i32.const 16)) (local.get $writer)))
            (call $drop-count (local.get $writer))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $p (instantiate $m (with "" (instance
        (export "mem" (memory $mem))
        (export "new" (func $new))
        (export "read" (func $read))
        (export "write" (func $write))
        (export "drop-reader" (func $drop-reader))
        (export "drop-writer" (func $drop-writer))
        (export "new-count" (func $new-count))
        (export "write-count" (func $write-count))
        (export "drop-count" (func $drop-count))
        (export "set-new" (func $set-new))
        (export "set-wait" (func $set-wait))
        (export "set-drop" (func $set-drop))
        (export "join" (func $join))
        (export "return-sum" (func $return-sum))
        (export "return" (func $return))))))
    (func (export "sum") async (param "bytes" $bytes) (result u32)
        (canon lift (core func $p "sum") async (callback (core func $p "callback"))))
    (func (export "double") async (param "bytes" $bytes) (result (tuple $bytes $count))
        (canon lift (core func $p "double") async (callback (core func $p "callback")))))"#;

fn copies() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let component = Component::new(&engine, COPIES).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component);
    let instance = instance.unwrap();
    (store, instance)
}

/// Makes another instance of the same guest.
fn another(store: &mut Store<()>) -> Instance {
    let component = Component::new(store.engine(), COPIES).unwrap();
    let linker = Linker::new(store.engine());
    linker.instantiate(store, &component).unwrap()
}

type Sum = (StreamReader<u8>,);
type Doubled = (StreamReader<u8>, FutureReader<u32>);

#[test]
fn a_guest_waits_for_a_producer() {
    let (mut store, instance) = copies();
    let sum = instance
        .get_typed_func::<Sum, (u32,)>(&mut store, "sum")
        .unwrap();
    let queue = Queue::new([1u8]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let mut call = Box::pin(sum.call_async(&mut store, (reader,)));
    assert!(poll(call.as_mut()).is_pending());
    queue.push([2, 3]);
    assert!(poll(call.as_mut()).is_pending());
    queue.push([4; 150]);
    queue.close();
    assert_eq!(block_on(call).unwrap(), (606,));
    assert!(queue.state().is_dropped);
}

#[test]
fn calls_wait_together() {
    let (mut store, instance) = copies();
    let sum = instance
        .get_typed_func::<Sum, (u32,)>(&mut store, "sum")
        .unwrap();
    let queues: Vec<_> = (0..50).map(|_| Queue::<u8>::new([])).collect();
    let sums = store.run_concurrent(async |accessor| {
        let mut calls = Vec::new();
        for queue in &queues {
            let call = accessor.with(|mut store| {
                let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
                sum.start_call_concurrent(store, (reader,)).unwrap()
            });
            calls.push(call);
        }
        crate::concurrent::turns(3).await;
        for (number, queue) in queues.iter().enumerate() {
            queue.push([number as u8, 1]);
            queue.close();
        }
        let mut sums = Vec::new();
        for call in calls {
            sums.push(sum.finish_call_concurrent(accessor, call).await.unwrap().0);
        }
        sums
    });
    let sums = block_on(sums).unwrap();
    assert!(sums.into_iter().eq(1..=50));
}

#[test]
fn a_guest_copies_from_the_host_to_the_host() {
    let (mut store, instance) = copies();
    let double = instance
        .get_typed_func::<Sum, (Doubled,)>(&mut store, "double")
        .unwrap();
    let queue = Queue::new([1u8, 2]);
    let (sink, count) = (Sink::<u8>::new(3), Sink::<u32>::new(1));
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let ((doubled, counted),) = block_on(double.call_async(&mut store, (reader,))).unwrap();
    doubled.pipe(&mut store, sink.consumer()).unwrap();
    counted.pipe(&mut store, Counts(count.clone())).unwrap();
    let turns = async |store: &mut Store<()>| {
        store
            .run_concurrent(async |_| crate::concurrent::turns(9).await)
            .await
    };
    block_on(turns(&mut store)).unwrap();
    assert_eq!(sink.take(), [1, 1, 2], "there is no more room");
    queue.push([3]);
    queue.close();
    block_on(turns(&mut store)).unwrap();
    assert!(sink.take().is_empty() && count.take().is_empty());
    sink.make_room(9);
    block_on(turns(&mut store)).unwrap();
    assert_eq!((sink.take(), count.take()), (vec![2, 3, 3], vec![3]));
    assert!(sink.state().is_dropped && queue.state().is_dropped);
}

/// Puts the value of a future into a sink.
struct Counts(Sink<u32>);

impl mintage::FutureConsumer<()> for Counts {
    type Item = u32;

    fn poll_consume(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        store: mintage::StoreContextMut<'_, ()>,
        mut source: mintage::Source<'_, u32>,
        _: bool,
    ) -> std::task::Poll<mintage::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        self.0.state().values.extend(value);
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn streams_pass_from_one_waiting_guest_to_the_next() {
    let (mut store, instance) = copies();
    let other = another(&mut store);
    // One that waits excludes others of its instance.
    for (first, second) in [(instance, other), (other, instance)] {
        let double = first
            .get_typed_func::<Sum, (Doubled,)>(&mut store, "double")
            .unwrap();
        let sum = second
            .get_typed_func::<Sum, (u32,)>(&mut store, "sum")
            .unwrap();
        let queue = Queue::new([1u8, 2]);
        let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
        let ((doubled, counted),) = block_on(double.call_async(&mut store, (reader,))).unwrap();
        drop(counted);
        let mut call = Box::pin(sum.call_async(&mut store, (doubled,)));
        assert!(poll(call.as_mut()).is_pending());
        queue.push([3]);
        assert!(poll(call.as_mut()).is_pending());
        queue.close();
        assert_eq!(block_on(call).unwrap(), (12,));
    }
}

#[test]
fn what_can_never_go_on_is_a_deadlock() {
    let (mut store, instance) = copies();
    let double = instance
        .get_typed_func::<Sum, (Doubled,)>(&mut store, "double")
        .unwrap();
    let other = another(&mut store);
    let sum = other
        .get_typed_func::<Sum, (u32,)>(&mut store, "sum")
        .unwrap();
    let reader = StreamReader::new(&mut store, vec![1u8, 2]).unwrap();
    let ((doubled, counted),) = block_on(double.call_async(&mut store, (reader,))).unwrap();
    // The host holds the future, which the guest waits to write, so nothing goes on; but that
    // guest has returned.
    assert_eq!(
        block_on(sum.call_async(&mut store, (doubled,))).unwrap(),
        (6,)
    );
    drop(counted);
    // The host holds the end that the writer of `sum`'s stream would have to have.
    let component = super::puppet::puppet(&store.engine().clone(), "stream", "", "u8");
    let puppet = super::Puppet::of(&mut store, &component);
    let (reader, _) = puppet.ends(&mut store);
    let reader: StreamReader<u8> = puppet.give(&mut store, reader);
    let error = block_on(sum.call_async(&mut store, (reader,))).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::Deadlock));
}

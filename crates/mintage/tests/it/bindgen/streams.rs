//! Streams and futures in bindings.

use crate::async_calls::block_on;
use crate::streams::{Queue, Sink};
use mintage::component::Access;
use mintage::{Component, Engine, FutureReader, HasData, Linker, Result, Store, StreamReader};

mod bindings {
    mintage::bindgen!({
        inline: "
            package my:flow;
            interface lines {
                record line { text: string, number: u32 }
                all: func() -> stream<line>;
                done: func(value: future<u32>);
            }
            world flow {
                import lines;
                use lines.{line};
                export echo: func(bytes: stream<u8>) -> option<stream<u8>>;
                export lines: func() -> stream<line>;
                export finish: async func(value: u32) -> future<u32>;
            }
        ",
        imports: { default: store | trappable },
    });
}

use bindings::Flow;
use bindings::my::flow::lines::{self, Line};

const GUEST: &str = r#"(component
    (type $lines-type (instance
        (type $line' (record (field "text" string) (field "number" u32)))
        (export "line" (type $line (eq $line')))
        (type $stream (stream $line))
        (export "all" (func (result $stream)))
        (type $future (future u32))
        (export "done" (func (param "value" $future)))))
    (import "my:flow/lines" (instance $lines (type $lines-type)))
    (alias export $lines "line" (type $line))
    (import "line" (type $line-of-world (eq $line)))
    (type $bytes (stream u8))
    (type $stream (stream $line-of-world))
    (type $future (future u32))
    (core module $memory (memory (export "mem") 1))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "mem" (core memory $mem))
    (core func $all (canon lower (func $lines "all")))
    (core func $done (canon lower (func $lines "done")))
    (core func $new (canon future.new $future))
    (core func $write (canon future.write $future async (memory $mem)))
    (core func $return (canon task.return (result $future)))
    (core module $m
        (import "" "mem" (memory 1))
        (import "" "all" (func $all (result i32)))
        (import "" "done" (func $done (param i32)))
        (import "" "new" (func $new (result i64)))
        (import "" "write" (func $write (param i32 i32) (result i32)))
        (import "" "return" (func $return (param i32)))
        (func (export "echo") (param i32) (result i32)
            (i32.store (i32.const 0) (i32.const 1))
            (i32.store (i32.const 4) (local.get 0))
            (i32.const 0))
        (func (export "lines") (result i32) (call $all))
        (func (export "finish") (param i32) (result i32)
            (local $first i64) (local $second i64)
            (local.set $first (call $new))
            (local.set $second (call $new))
            (call $done (i32.wrap_i64 (local.get $first)))
            (i32.store (i32.const 8) (local.get 0))
            (drop (call $write
                (i32.wrap_i64 (i64.shr_u (local.get $first) (i64.const 32))) (i32.const 8)))
            (call $return (i32.wrap_i64 (local.get $second)))
            (i32.store (i32.const 12) (i32.add (local.get 0) (i32.const 1)))
            (drop (call $write
                (i32.wrap_i64 (i64.shr_u (local.get $second) (i64.const 32))) (i32.const 12)))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance
        (export "mem" (memory $mem))
        (export "all" (func $all))
        (export "done" (func $done))
        (export "new" (func $new))
        (export "write" (func $write))
        (export "return" (func $return))))))
    (func (export "echo") (param "bytes" $bytes) (result (option $bytes))
        (canon lift (core func $i "echo") (memory $mem)))
    (func (export "lines") (result $stream) (canon lift (core func $i "lines")))
    (func (export "finish") async (param "value" u32) (result $future)
        (canon lift (core func $i "finish") async (callback (core func $i "callback")))))"#;

struct Host {
    done: Sink<u32>,
}

struct HasHost;

impl HasData for HasHost {
    type Data<'a> = &'a mut Host;
}

impl lines::Host for Host {}

/// Puts the value of a future into a sink.
struct Keeps(Sink<u32>);

impl<D: 'static> mintage::FutureConsumer<D> for Keeps {
    type Item = u32;

    fn poll_consume(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        store: mintage::StoreContextMut<'_, D>,
        mut source: mintage::Source<'_, u32>,
        _: bool,
    ) -> std::task::Poll<Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        self.0.state().values.extend(value);
        std::task::Poll::Ready(Ok(()))
    }
}

impl<T: 'static> lines::HostWithStore<T> for HasHost {
    fn all(host: Access<'_, T, Self>) -> Result<StreamReader<Line>> {
        let line = |text: &str, number| Line {
            text: text.to_string(),
            number,
        };
        StreamReader::new(host, vec![line("a", 1), line("b", 2)])
    }

    fn done(mut host: Access<'_, T, Self>, value: FutureReader<u32>) -> Result<()> {
        let done = host.get().done.clone();
        value.pipe(host, Keeps(done))
    }
}

#[test]
fn bindings_have_streams_and_futures() {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST).unwrap();
    let mut linker = Linker::new(&engine);
    Flow::add_to_linker::<_, HasHost>(&mut linker, |host: &mut Host| host).unwrap();
    let done = Sink::new(1);
    let mut store = Store::new(&engine, Host { done: done.clone() });
    let flow = Flow::instantiate(&mut store, &component, &linker).unwrap();

    let queue = Queue::new([1u8, 2]);
    queue.close();
    let bytes = StreamReader::new(&mut store, queue.producer()).unwrap();
    let bytes = flow.call_echo(&mut store, bytes).unwrap().unwrap();
    let (all, texts) = (Sink::<u8>::new(9), Sink::<Line>::new(9));
    bytes.pipe(&mut store, all.consumer()).unwrap();
    let lines = flow.call_lines(&mut store).unwrap();
    lines.pipe(&mut store, texts.consumer()).unwrap();
    let results = store.run_concurrent(async |accessor| {
        let result = flow.call_finish(accessor, 7).await.unwrap();
        let second = Sink::new(1);
        accessor
            .with(|store| result.pipe(store, Keeps(second.clone())))
            .unwrap();
        crate::concurrent::turns(5).await;
        second
    });
    let second = block_on(results).unwrap();
    assert_eq!(all.take(), [1, 2]);
    let texts = texts.take();
    let texts: Vec<_> = texts
        .iter()
        .map(|line| (&*line.text, line.number))
        .collect();
    assert_eq!(texts, [("a", 1), ("b", 2)]);
    assert_eq!((done.take(), second.take()), (vec![7], vec![8]));
}

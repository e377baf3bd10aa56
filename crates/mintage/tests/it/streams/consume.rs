//! A guest writes, and the host reads.

use super::produce::{LINE, Line};
use super::{BLOCKED, Puppet, Sink, cancelled, completed, dropped};
use mintage::{Engine, Store, StreamReader, block_on};

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

/// Lets everything in the store go on.
fn run(store: &mut Store<()>) {
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run).unwrap();
}

#[test]
fn bytes_are_taken_when_there_is_room() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<u8>::new(3);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    guest.store_bytes(&mut store, 100, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(guest.write(&mut store, writer, 100, 2), completed(2));
    assert_eq!(guest.write(&mut store, writer, 102, 4), completed(1));
    assert_eq!(guest.write(&mut store, writer, 103, 3), BLOCKED);
    assert_eq!(sink.take(), [1, 2, 3]);
    run(&mut store);
    assert_eq!(guest.poll(&mut store, writer), None);
    sink.make_room(2);
    assert_eq!(guest.wait(&mut store, writer).unwrap(), completed(2));
    assert_eq!(sink.take(), [4, 5]);
    guest.drop_writer(&mut store, writer);
    assert!(sink.state().is_dropped);
}

#[test]
fn a_write_before_the_pipe_waits_for_it() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    guest.store_bytes(&mut store, 100, &[1, 2]);
    assert_eq!(guest.write(&mut store, writer, 100, 2), BLOCKED);
    run(&mut store);
    assert_eq!(guest.poll(&mut store, writer), None, "no one reads");
    // It can be cancelled.
    assert_eq!(guest.cancel_write(&mut store, writer), cancelled(0));
    assert_eq!(guest.write(&mut store, writer, 100, 2), BLOCKED);
    let sink = Sink::<u8>::new(5);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    assert_eq!(guest.wait(&mut store, writer).unwrap(), completed(2));
    assert_eq!(sink.take(), [1, 2]);
}

#[test]
fn values_are_lifted() {
    let mut store = store();
    let component = super::puppet::puppet(&store.engine().clone(), "stream", LINE, "$line");
    let guest = Puppet::of(&mut store, &component);
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<Line>::new(9);
    let reader: StreamReader<Line> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    guest.store_bytes(&mut store, 200, b"ab");
    for (at, word) in [
        (96, 200),
        (100, 1),
        (104, 7),
        (108, 201),
        (112, 1),
        (116, 8),
    ] {
        guest.store(&mut store, at, word);
    }
    assert_eq!(guest.write(&mut store, writer, 96, 2), completed(2));
    let line = |text: &str, number| Line {
        text: text.into(),
        number,
    };
    assert_eq!(sink.take(), [line("a", 7), line("b", 8)]);
    // What is not a value is a trap.
    guest.store(&mut store, 96, u32::MAX);
    let written = guest.try_call::<_, _, (u32,)>(&mut store, "write", (writer, 96u32, 2u32));
    let error = written.unwrap_err();
    assert!(format!("{error:#}").contains("out of bounds"), "{error:#}");
    assert!(sink.state().is_dropped);
}

#[test]
fn a_stream_without_a_type_counts() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "");
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<()>::new(5);
    let reader: StreamReader<()> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    assert_eq!(guest.write(&mut store, writer, 0, 3), completed(3));
    assert_eq!(guest.write(&mut store, writer, 0, 3), completed(2));
    assert_eq!(sink.take().len(), 5);
}

#[test]
fn values_that_are_not_dealt_with_keep_the_writer_waiting() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<u8>::new(9);
    sink.hold(true);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    guest.store_bytes(&mut store, 100, &[1, 2, 3]);
    assert_eq!(guest.write(&mut store, writer, 100, 3), BLOCKED);
    assert_eq!(sink.take(), [1, 2, 3], "they are taken");
    sink.hold(false);
    assert_eq!(guest.wait(&mut store, writer).unwrap(), completed(3));
    // The guest learns what was taken when it cancels.
    sink.hold(true);
    assert_eq!(guest.write(&mut store, writer, 100, 2), BLOCKED);
    assert_eq!(guest.cancel_write(&mut store, writer), cancelled(2));
    assert_eq!((sink.take(), sink.state().finishes), (vec![1, 2], 1));
}

#[test]
fn a_write_of_nothing_asks_whether_there_is_room() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let (reader, writer) = guest.ends(&mut store);
    let sink = Sink::<u8>::new(0);
    let reader: StreamReader<u8> = guest.give(&mut store, reader);
    reader.pipe(&mut store, sink.consumer()).unwrap();
    assert_eq!(guest.write(&mut store, writer, 100, 0), BLOCKED);
    sink.make_room(1);
    assert_eq!(guest.wait(&mut store, writer).unwrap(), completed(0));
    assert_eq!(guest.write(&mut store, writer, 100, 0), completed(0));
    assert_eq!(guest.write(&mut store, writer, 100, 2), completed(1));
}

#[test]
fn the_host_wants_no_more() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    // The consumer says so, at once or later.
    for is_late in [false, true] {
        let (reader, writer) = guest.ends(&mut store);
        let sink = Sink::<u8>::new(0);
        let reader: StreamReader<u8> = guest.give(&mut store, reader);
        reader.pipe(&mut store, sink.consumer()).unwrap();
        if !is_late {
            sink.close();
            assert_eq!(guest.write(&mut store, writer, 100, 2), dropped(0));
        } else {
            assert_eq!(guest.write(&mut store, writer, 100, 2), BLOCKED);
            sink.close();
            assert_eq!(guest.wait(&mut store, writer).unwrap(), dropped(0));
        }
        assert!(sink.state().is_dropped);
        guest.drop_writer(&mut store, writer);
    }
    // The reader is closed, or dropped.
    for closes in [false, true] {
        for writes in [false, true] {
            let (reader, writer) = guest.ends(&mut store);
            let mut reader: StreamReader<u8> = guest.give(&mut store, reader);
            if writes {
                assert_eq!(guest.write(&mut store, writer, 100, 2), BLOCKED);
            }
            match closes {
                true => {
                    reader.close(&mut store).unwrap();
                    assert!(reader.close(&mut store).is_err());
                }
                false => drop(reader),
            }
            match writes {
                true => assert_eq!(guest.wait(&mut store, writer).unwrap(), dropped(0)),
                false => assert_eq!(guest.write(&mut store, writer, 100, 2), dropped(0)),
            }
            guest.drop_writer(&mut store, writer);
        }
    }
}

#[test]
fn a_writer_that_is_gone_is_the_end() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    // Before the end is passed to the host, before it is piped, and after.
    for step in 0..3 {
        let (reader, writer) = guest.ends(&mut store);
        let drop_at = |store: &mut Store<()>, now| {
            if now == step {
                guest.drop_writer(store, writer);
            }
        };
        drop_at(&mut store, 0);
        let reader: StreamReader<u8> = guest.give(&mut store, reader);
        drop_at(&mut store, 1);
        let sink = Sink::<u8>::new(0);
        reader.pipe(&mut store, sink.consumer()).unwrap();
        drop_at(&mut store, 2);
        run(&mut store);
        let sunk = sink.state();
        assert!(sunk.is_dropped && sunk.polls == 0, "{step}");
    }
}

//! The host writes, and a guest reads.

use super::{BLOCKED, Puppet, Queue, cancelled, completed, dropped};
use mintage::component::{ComponentType, Lift, Lower};
use mintage::{Engine, Store, StreamReader, block_on};
use std::iter;

fn store() -> Store<()> {
    Store::new(&Engine::default(), ())
}

#[test]
fn bytes_come_in_pieces() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let reader = StreamReader::new(&mut store, vec![1u8, 2, 3, 4, 5]).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 2), completed(2));
    assert_eq!(guest.read(&mut store, end, 102, 2), completed(2));
    // The last one, and that there are no more.
    assert_eq!(guest.read(&mut store, end, 104, 2), dropped(1));
    assert_eq!(guest.load_bytes(&mut store, 100, 6), [1, 2, 3, 4, 5, 0]);
    guest.drop_reader(&mut store, end);
}

#[test]
fn an_empty_stream_is_over_at_once() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    for reader in [
        StreamReader::new(&mut store, iter::empty::<u8>()).unwrap(),
        StreamReader::new(&mut store, Vec::<u8>::new()).unwrap(),
        StreamReader::new(&mut store, Box::<[u8]>::default()).unwrap(),
    ] {
        let end = guest.take(&mut store, reader);
        assert_eq!(guest.read(&mut store, end, 100, 2), dropped(0));
        guest.drop_reader(&mut store, end);
    }
}

#[test]
fn values_are_lowered_with_the_options_of_the_read() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "string");
    let texts = ["one", "two", "", "viertes, länger"].map(str::to_string);
    let reader = StreamReader::new(&mut store, texts.to_vec()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 96, 3), completed(3));
    assert_eq!(guest.read(&mut store, end, 120, 3), dropped(1));
    for (number, text) in texts.iter().enumerate() {
        let found: String = guest.call(&mut store, "text", (96 + 8 * number as u32,));
        assert_eq!(found, *text);
    }
}

#[derive(ComponentType, Lift, Lower, Debug, Clone, PartialEq)]
#[component(record)]
pub struct Line {
    pub text: String,
    pub number: u32,
}

/// The definition of [`Line`] for a puppet.
pub const LINE: &str = r#"
    (type $line' (record (field "text" string) (field "number" u32)))
    (export $line "line" (type $line'))"#;

#[test]
fn records_are_lowered() {
    let mut store = store();
    let component = super::puppet::puppet(&store.engine().clone(), "stream", LINE, "$line");
    let guest = Puppet::of(&mut store, &component);
    let line = |text: &str, number| Line {
        text: text.into(),
        number,
    };
    let lines = vec![line("a", 1), line("bc", 2)];
    let reader = StreamReader::new(&mut store, lines).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 96, 9), dropped(2));
    let text: String = guest.call(&mut store, "text", (108u32,));
    assert_eq!((text.as_str(), guest.load(&mut store, 116)), ("bc", 2));
}

#[test]
fn a_stream_without_a_type_counts() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "");
    let reader = StreamReader::new(&mut store, vec![(); 5]).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 0, 3), completed(3));
    assert_eq!(guest.read(&mut store, end, 0, 3), dropped(2));
}

#[test]
fn a_producer_is_polled_when_the_guest_reads_and_when_it_is_woken() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::<u8>::new([]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    queue.push([1]);
    assert_eq!(queue.state().polls, 0, "no one reads");
    assert_eq!(guest.read(&mut store, end, 100, 4), completed(1));
    assert_eq!(queue.state().polls, 1);
    assert_eq!(queue.state().room, Some(4));
    assert_eq!(guest.read(&mut store, end, 100, 4), BLOCKED);
    assert_eq!(queue.state().polls, 2);
    queue.push([2, 3]);
    assert_eq!(guest.poll(&mut store, end), None, "the store has not run");
    assert_eq!(guest.wait(&mut store, end).unwrap(), completed(2));
    assert_eq!(queue.state().polls, 3);
    // A waker that is woken while no one reads does nothing.
    queue.push([4]);
    let run = store.run_concurrent(async |_| crate::concurrent::turns(3).await);
    block_on(run).unwrap();
    assert_eq!(queue.state().polls, 3);
    queue.close();
    assert_eq!(guest.read(&mut store, end, 100, 4), dropped(1));
    assert!(queue.state().is_dropped);
}

#[test]
fn what_is_too_much_is_kept_for_the_next_reads() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::new(1..=9u8).at_once(7);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    for (count, polls) in [(3, 1), (3, 1), (1, 1), (2, 2)] {
        assert_eq!(guest.read(&mut store, end, 100, 3), completed(count));
        assert_eq!(queue.state().polls, polls);
    }
    assert_eq!(guest.load_bytes(&mut store, 100, 2), [8, 9]);
}

#[test]
fn a_read_of_nothing_asks_whether_there_is_something() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::<u8>::new([]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 0), BLOCKED);
    assert_eq!(queue.state().room, Some(0));
    queue.push([1, 2]);
    assert_eq!(guest.wait(&mut store, end).unwrap(), completed(0));
    assert_eq!(guest.read(&mut store, end, 100, 0), completed(0));
    assert_eq!(guest.read(&mut store, end, 100, 4), completed(2));
    // One that buffers nevertheless loses nothing.
    let queue = Queue::new([7u8]).at_once(1);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 0), completed(0));
    assert_eq!(guest.read(&mut store, end, 100, 1), completed(1));
    assert_eq!(guest.load_bytes(&mut store, 100, 1), [7]);
}

#[test]
fn a_guest_cancels_its_read() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    let queue = Queue::<u8>::new([]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 4), BLOCKED);
    assert_eq!(guest.cancel_read(&mut store, end), cancelled(0));
    assert_eq!(queue.state().finishes, 1);
    // What came in the meantime is there.
    assert_eq!(guest.read(&mut store, end, 100, 4), BLOCKED);
    queue.push([1, 2]);
    assert_eq!(guest.cancel_read(&mut store, end), cancelled(2));
    assert_eq!(guest.load_bytes(&mut store, 100, 2), [1, 2]);
    assert_eq!(guest.read(&mut store, end, 100, 4), BLOCKED);
    queue.close();
    assert_eq!(guest.cancel_read(&mut store, end), dropped(0));
    guest.drop_reader(&mut store, end);
    assert!(queue.state().is_dropped);
}

#[test]
fn a_guest_that_drops_its_end_drops_the_producer() {
    let mut store = store();
    let guest = Puppet::new(&mut store, "stream", "u8");
    for reads in [false, true] {
        let queue = Queue::new([1u8, 2, 3]);
        let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
        let end = guest.take(&mut store, reader);
        if reads {
            assert_eq!(guest.read(&mut store, end, 100, 1), completed(1));
        }
        assert!(!queue.state().is_dropped);
        guest.drop_reader(&mut store, end);
        assert!(queue.state().is_dropped);
    }
    // One that reads must cancel first.
    let queue = Queue::<u8>::new([]);
    let reader = StreamReader::new(&mut store, queue.producer()).unwrap();
    let end = guest.take(&mut store, reader);
    assert_eq!(guest.read(&mut store, end, 100, 1), BLOCKED);
    let error = guest.try_call::<_, _, ()>(&mut store, "drop-reader", (end,));
    assert!(error.is_err());
    assert!(queue.state().is_dropped, "the instance ends");
}

//! Tests of the rules of tasks, waitables and ends, without machine code.

use super::*;
use crate::component::handles::EndProblem;
use mintage_environ::component::AsyncValue;
use mintage_environ::{EndOpId, StreamId};

type State = Concurrent<()>;

const DOMAIN: DomainId = DomainId::from_u32(0);
const OTHER: DomainId = DomainId::from_u32(1);
const STREAM: AsyncValue = AsyncValue::Stream(StreamId::from_u32(0));

fn task(state: &mut State, is_exclusive: bool) -> Key {
    let task = Task {
        origin: Origin::Synchronous,
        domain: DOMAIN,
        state: TaskState::Initial,
        caller: Caller::Nobody,
        scope: None,
        words: Box::default(),
        result_pointer: 0,
        implicit: None,
        threads: 0,
        returning: None,
        takes_at_once: false,
        is_exclusive,
        is_cancelled: false,
        tag: 0,
    };
    state.add_task(task, Start::Task).unwrap().1
}

fn buffer(length: u32) -> Buffer {
    Buffer {
        op: EndOpId::from_u32(0),
        pointer: 0,
        progress: 0,
        length,
    }
}

/// Begins a copy, and does all that it says. Returns the payload of the event, if there is one.
fn copy(state: &mut State, end: Key, length: u32) -> Option<u32> {
    let transfer = state.copy(end, buffer(length), true).unwrap();
    if let Some(transfer) = transfer {
        state.copied(end, buffer(length), transfer.count, 1);
    }
    let pending = state.waitables[end].is_pending;
    pending.then(|| state.take_event(end)[2])
}

const fn completed(count: u32) -> u32 {
    count << 4
}
const DROPPED: u32 = 1;
const CANCELLED: u32 = 2;

#[test]
fn tasks_enter_one_after_the_other_in_order() {
    let mut state = State::new(None);
    let threads: Vec<Key> = (0..3).map(|_| task(&mut state, true)).collect();
    let free = task(&mut state, false);
    assert!(state.try_enter(threads[0]));
    // The second waits for the first, and newcomers wait behind it, whether they exclude or not.
    for &thread in &threads[1..] {
        assert!(!state.try_enter(thread));
    }
    assert!(!state.try_enter(free));
    // The one that excludes no one need not wait for the others.
    assert_eq!(state.next_ready(None, None), Some(free));
    state.enter(free);
    assert_eq!(state.next_ready(None, None), None);
    for pair in threads.windows(2) {
        state.release_exclusive(DOMAIN);
        // Those that let others of a component instance run pass by who has not entered it.
        assert_eq!(state.next_ready(Some(DOMAIN), None), None);
        assert_eq!(state.next_ready(None, None), Some(pair[1]));
        state.enter(pair[1]);
        assert_eq!(state.next_ready(None, None), None);
    }
    let indexes: Vec<u32> = threads
        .iter()
        .map(|&key| state.threads[key].index)
        .collect();
    assert_eq!((indexes, state.threads[free].index), (vec![1, 3, 4], 2));
}

/// Returns the orders in which ready threads go on, tasks enter, and events of a set come.
fn orders(seed: Option<u64>) -> [Vec<usize>; 3] {
    let mut state = State::new(seed);
    let position = |list: &[Key], key| list.iter().position(|&other| other == key).unwrap();
    let ready: Vec<Key> = (0..8).map(|_| task(&mut state, false)).collect();
    for &thread in &ready {
        state.wait(thread, Condition::Always);
    }
    let next = || state.next_ready(None, None);
    let turns = std::iter::from_fn(next).map(|key| position(&ready, key));
    let turns = turns.collect();

    state.add_backpressure(DOMAIN, 1).unwrap();
    let entering: Vec<Key> = (0..8).map(|_| task(&mut state, false)).collect();
    for &thread in &entering {
        assert!(!state.try_enter(thread));
    }
    state.add_backpressure(DOMAIN, -1).unwrap();
    let next = || state.next_ready(None, None);
    let entries = std::iter::from_fn(next).map(|key| position(&entering, key));
    let entries = entries.collect();

    let set = state.add_set().unwrap();
    let members: Vec<Key> = (0..8)
        .map(|_| {
            let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
            assert_eq!(copy(&mut state, reader, 1), None);
            state.join(reader, Some(set));
            assert_eq!(copy(&mut state, writer, 1), Some(completed(1)));
            reader
        })
        .collect();
    let next = || state.take_set_event(set);
    let events = std::iter::from_fn(next).map(|(key, _)| position(&members, key));
    [turns, entries, events.collect()]
}

#[test]
fn a_seed_decides_every_order() {
    let in_order: Vec<usize> = (0..8).collect();
    assert_eq!(
        orders(None),
        [in_order.clone(), in_order.clone(), in_order.clone()]
    );
    let of_seeds: Vec<_> = (0..20).map(|seed| orders(Some(seed))).collect();
    for at in 0..3 {
        let differs = |pair: &[[Vec<usize>; 3]]| pair[0][at] != pair[1][at];
        assert!(of_seeds.windows(2).all(differs), "{of_seeds:?}");
    }
    for (seed, order) in of_seeds.iter().enumerate() {
        assert_eq!(&orders(Some(seed as u64)), order);
        for list in order {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, in_order);
        }
    }
}

#[test]
fn backpressure_closes_the_gate_for_all() {
    let mut state = State::new(None);
    let thread = task(&mut state, false);
    state.add_backpressure(DOMAIN, 1).unwrap();
    state.add_backpressure(DOMAIN, 1).unwrap();
    assert!(!state.try_enter(thread));
    state.add_backpressure(DOMAIN, -1).unwrap();
    assert_eq!(state.next_ready(None, None), None);
    state.add_backpressure(DOMAIN, -1).unwrap();
    assert_eq!(state.next_ready(None, None), Some(thread));
    let error = Err(Trap::BackpressureOverflow);
    assert_eq!(state.add_backpressure(DOMAIN, -1), error);
    assert_eq!(state.add_backpressure(OTHER, 1 << 16), error);
}

#[test]
fn a_task_that_waits_to_enter_can_be_cancelled() {
    let mut state = State::new(None);
    let thread = task(&mut state, false);
    state.add_backpressure(DOMAIN, 1).unwrap();
    assert!(!state.try_enter(thread));
    let task = state.threads[thread].task;
    state.tasks[task].state = TaskState::PendingCancel;
    state.enqueue(thread);
    assert_eq!(state.next_ready(None, None), Some(thread));
}

/// An event that says that a subtask has begun may be pending when it ends.
#[test]
fn the_end_of_a_subtask_wakes_who_waits_for_it() {
    let mut state = State::new(None);
    let subtask = state.add_waitable(
        Some(DOMAIN),
        WaitableKind::Subtask(Subtask {
            state: SubtaskState::Started,
            task: None,
            host: None,
            scope: None,
            is_delivered: false,
            cancellation_requested: true,
            result: 0,
            async_caller: Some(DOMAIN),
        }),
    );
    let subtask = subtask.unwrap();
    state.set_pending(subtask);
    let thread = task(&mut state, false);
    state.wait(thread, Condition::Resolved(subtask));
    assert_eq!(state.next_ready(None, None), None);
    state.subtask(subtask).state = SubtaskState::Returned;
    state.set_pending(subtask);
    assert_eq!(state.next_ready(None, None), Some(thread));
}

#[test]
fn events_of_a_set_are_in_the_order_in_which_they_happened() {
    let mut state = State::new(None);
    let set = state.add_set().unwrap();
    let ends: Vec<[Key; 2]> = (0..3)
        .map(|_| state.new_ends(STREAM, Some(DOMAIN)).unwrap())
        .collect();
    for &[reader, _] in &ends {
        assert_eq!(copy(&mut state, reader, 1), None);
        state.join(reader, Some(set));
    }
    for at in [2, 0, 1] {
        assert_eq!(copy(&mut state, ends[at][1], 1), Some(completed(1)));
    }
    // One that leaves takes its event with it, and comes last when it is back.
    state.join(ends[0][0], None);
    state.join(ends[0][0], Some(set));
    let order: Vec<Key> = std::iter::from_fn(|| Some(state.take_set_event(set)?.0)).collect();
    assert_eq!(order, [ends[2][0], ends[1][0], ends[0][0]]);
    assert_eq!(state.remove_set(set), Err(Trap::SetInUse));
    for [reader, _] in ends {
        state.join(reader, None);
    }
    assert_eq!(state.remove_set(set), Ok(()));
}

#[test]
fn a_thread_waits_until_its_set_has_an_event() {
    let mut state = State::new(None);
    let set = state.add_set().unwrap();
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    let thread = task(&mut state, false);
    assert!(state.try_enter(thread));
    state.wait(thread, Condition::Set(set));
    assert_eq!(copy(&mut state, reader, 4), None);
    state.join(reader, Some(set));
    assert_eq!(state.next_ready(None, None), None);
    assert_eq!(copy(&mut state, writer, 2), Some(completed(2)));
    // Another one has taken the event.
    assert!(state.take_set_event(set).is_some());
    assert_eq!(state.next_ready(None, None), None);
    assert_eq!(copy(&mut state, reader, 4), None);
    assert_eq!(copy(&mut state, writer, 9), Some(completed(4)));
    assert_eq!(state.next_ready(None, None), Some(thread));
}

#[test]
fn copies_meet_in_parts() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    assert_eq!(copy(&mut state, writer, 5), None);
    assert_eq!(copy(&mut state, reader, 2), Some(completed(2)));
    // The event of the writer is not taken yet, so its buffer is still open.
    assert_eq!(copy(&mut state, reader, 2), Some(completed(2)));
    assert_eq!(state.take_event(writer)[2], completed(4));
    assert_eq!(copy(&mut state, reader, 2), None);
    state.cancel_copy(reader);
    assert_eq!(state.take_event(reader)[2], CANCELLED);
    assert_eq!(copy(&mut state, reader, 3), None);
    state.drop_end(writer);
    assert_eq!(state.take_event(reader)[2], DROPPED);
    assert_eq!(state.check_idle(reader), Err(EndProblem::Done));
    state.drop_end(reader);
    assert_eq!(state.waitables.len(), 0);
}

/// A write that meets a read of length zero completes the read and waits. Of two of length zero,
/// only the write completes.
#[test]
fn lengths_of_zero() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    assert_eq!(copy(&mut state, reader, 0), None);
    assert_eq!(copy(&mut state, writer, 3), None);
    assert_eq!(state.take_event(reader)[2], completed(0));
    assert_eq!(copy(&mut state, reader, 0), Some(completed(0)));
    assert_eq!(copy(&mut state, reader, 3), Some(completed(3)));
    assert_eq!(state.take_event(writer)[2], completed(3));
    assert_eq!(copy(&mut state, reader, 0), None);
    assert_eq!(copy(&mut state, writer, 0), Some(completed(0)));
    assert!(!state.waitables[reader].is_pending);
}

#[test]
fn an_idle_end_learns_that_the_other_is_gone() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    state.drop_end(reader);
    assert!(state.waitables[writer].is_pending);
    assert_eq!(copy(&mut state, writer, 1), Some(DROPPED));
    assert_eq!(state.check_idle(writer), Err(EndProblem::Done));
}

#[test]
fn forwarding_connects_the_outer_ends() {
    let mut state = State::new(None);
    let [reader, inner_writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    let [inner_reader, writer] = state.new_ends(STREAM, Some(OTHER)).unwrap();
    assert_eq!(copy(&mut state, writer, 4), None);
    assert_eq!(copy(&mut state, reader, 3), None);
    let (end, buffer, transfer) = state
        .forward(inner_reader, inner_writer, true)
        .unwrap()
        .expect("both outer ends copy");
    assert_eq!((end, transfer.count), (reader, 3));
    state.copied(end, buffer, transfer.count, 1);
    assert_eq!(state.take_event(reader)[2], completed(3));
    assert_eq!(copy(&mut state, reader, 3), Some(completed(1)));
    assert_eq!(state.take_event(writer)[2], completed(4));
    assert_eq!(state.waitables.len(), 2);
}

#[test]
fn ends_in_one_component_instance_pass_numbers_only() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    assert_eq!(state.copy(writer, buffer(1), false), Ok(None));
    assert_eq!(
        state.copy(reader, buffer(1), false),
        Err(Trap::SameInstanceCopy)
    );
}

#[test]
fn the_host_copies_bit_by_bit() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_host_end(STREAM, DOMAIN, 7).unwrap();
    let peer = |copy| Peer {
        is_gone: false,
        copy,
    };
    assert_eq!(state.peer(writer), peer(None));
    assert_eq!(copy(&mut state, reader, 5), None);
    assert_eq!(state.host_of_other(reader), Some(7));
    let begun = PeerCopy {
        op: EndOpId::from_u32(0),
        pointer: 0,
        progress: 0,
        remaining: 5,
        is_cancelled: false,
    };
    assert_eq!(state.peer(writer), peer(Some(begun)));
    state.advance_peer(writer, 2, 4);
    let advanced = PeerCopy {
        pointer: 8,
        progress: 2,
        remaining: 3,
        ..begun
    };
    assert_eq!(state.peer(writer), peer(Some(advanced)));
    // The guest waits for the host to finish.
    state.cancel_copy(reader);
    assert!(!state.waitables[reader].is_pending);
    assert!(state.peer(writer).copy.unwrap().is_cancelled);
    state.complete_peer(writer);
    assert_eq!(state.peer(writer), peer(None));
    assert_eq!(state.take_event(reader)[2], completed(2) | CANCELLED);
    // Never more than the guest asks for.
    assert_eq!(copy(&mut state, reader, 3), None);
    state.advance_peer(writer, 9, 1);
    state.drop_host_end(writer);
    assert_eq!(state.take_event(reader)[2], completed(3) | DROPPED);
    assert!(state.peer(writer).is_gone);
    state.drop_end(reader);
    assert_eq!(state.waitables.len(), 0);
}

#[test]
fn an_end_comes_back_from_the_host() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    state.set_host(reader, 7);
    assert_eq!(copy(&mut state, writer, 4), None);
    let other = AsyncValue::Stream(StreamId::from_u32(1));
    assert!(!state.return_end(reader, other, OTHER));
    assert!(state.return_end(reader, STREAM, OTHER));
    assert_eq!(copy(&mut state, reader, 3), Some(completed(3)));
    assert_eq!(state.take_event(writer)[2], completed(3));
    // The writer has gone in the meantime.
    state.set_host(reader, 7);
    state.drop_end(writer);
    assert!(!state.waitables[reader].is_pending && state.peer(reader).is_gone);
    assert!(state.return_end(reader, STREAM, DOMAIN));
    assert_eq!(copy(&mut state, reader, 1), Some(DROPPED));
}

#[test]
fn the_hosts_own_end_comes_back() {
    let mut state = State::new(None);
    let [reader, writer] = state.new_host_end(STREAM, DOMAIN, 7).unwrap();
    assert_eq!(state.dissolve(reader), Some(7));
    assert_eq!(state.waitables.len(), 0);
    // The names mean nothing any more.
    state.complete_peer(writer);
    state.advance_peer(writer, 1, 1);
    state.drop_host_end(writer);
    assert!(state.peer(writer).is_gone);
    let [reader, _] = state.new_ends(STREAM, Some(DOMAIN)).unwrap();
    assert_eq!(state.dissolve(reader), None);
    assert!(
        !state.return_end(reader, STREAM, DOMAIN),
        "the host does not have it"
    );
}

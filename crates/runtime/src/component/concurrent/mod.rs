//! [`Concurrent`]: the tasks and threads of a root instance, and what they wait for
//! (CanonicalABI.md, "Concurrency", "Waitable State", "Stream and Future State").
//!
//! This is the state and its rules alone. Whoever runs threads asks [`Concurrent::next_ready`]
//! which, and says what has happened to it. `F` is the stack of a thread that waits in the middle
//! of a function.
//!
//! ```text
//! tasks        tasks, their threads, the gate of a component instance
//! waitables    subtasks and ends as things that have events; sets of them
//! choices      what the specification leaves open
//! ends         streams and futures: what happens when both sides copy
//! host_ends    those with the host at one side
//! ```
//!
//! A thread that waits is in the list of what it waits for. What happens there puts it into the
//! queue of ready threads, and its condition is tested again when its turn comes.

mod choices;
mod ends;
mod host_ends;
mod tasks;
mod waitables;

use choices::Choices;
pub use ends::{Buffer, EndState, MAX_LENGTH, Transfer};
pub use host_ends::{Peer, PeerCopy};
pub use tasks::{
    Caller, Condition, Origin, Start, TASK_WORDS, Task, TaskState, Then, Thread, ThreadState,
};
pub use waitables::{Event, EventCode, Set, Subtask, SubtaskState, Waitable, WaitableKind};

use super::arena::{Arena, Key};
use mintage_environ::{DomainId, Index, Trap};
use std::collections::VecDeque;

/// The most tasks of a root instance at a time, and the most threads.
pub const MAX_TASKS: usize = 10_000;

/// The most waitables of a root instance at a time, and the most sets. Ends come in pairs, and each
/// task may have some of both.
const MAX_WAITABLES: usize = 10 * MAX_TASKS;

/// The most calls of host functions that have not returned, of a root instance at a time. Each has
/// a future of the host.
pub const MAX_HOST_CALLS: usize = MAX_TASKS;

/// The index of a thread that has not entered its component instance.
const NO_INDEX: u32 = 0;

/// The counter of `backpressure.inc` must stay below this.
const MAX_BACKPRESSURE: u32 = 1 << 16;

/// The most component instances and the most items of a list that room is kept for, from one
/// instance to the next.
const KEPT_DOMAINS: usize = 16;
const KEPT_KEYS: usize = 16;

/// The tasks and threads of a root instance.
pub struct Concurrent<F> {
    domains: Vec<Domain>,
    pub tasks: Arena<Task>,
    pub threads: Arena<Thread<F>>,
    pub sets: Arena<Set>,
    pub waitables: Arena<Waitable>,
    /// Threads that may go on, in order. One that is here may have to wait after all.
    ready: VecDeque<Key>,
    /// The thread that runs.
    pub current: Option<Key>,
    /// The threads that cannot go on before a host function has finished that has the whole store:
    /// the first one waits for it, and each other one has started or resumed the one before.
    pub chain: Vec<Key>,
    /// The thread that goes on in place of the one that has just been suspended.
    pub switch_to: Option<Key>,
    /// The number of calls of host functions that have not returned.
    pub host_calls: usize,
    /// Tasks of the host that have given their results.
    pub returned: VecDeque<Key>,
    /// Arrays of tasks that have ended.
    spare_words: Vec<Box<[u64]>>,
    /// The stack of a thread that has ended, as long as there are tasks.
    spare_stack: Option<F>,
    /// Decides what the specification leaves open, unless that is first come, first served.
    choices: Option<Choices>,
}

/// The state of a component instance.
#[derive(Default)]
struct Domain {
    /// The counter of `backpressure.inc`.
    backpressure: u32,
    /// The number of tasks that wait to enter.
    waiting_to_enter: usize,
    /// Whether a task runs that excludes all others that are lifted without `async` or with a
    /// callback.
    excludes: bool,
    /// Tasks that wait to enter, and exclude others.
    entering_exclusive: VecDeque<Key>,
    /// Other tasks that wait to enter.
    entering: VecDeque<Key>,
    /// Threads between callbacks that wait until no other one excludes them.
    waiting_for_exclusive: VecDeque<Key>,
    /// Threads by their index, and which indexes are free. Index 0 is not used.
    threads: Vec<Option<Key>>,
    free_threads: Vec<u32>,
}

impl Domain {
    /// Returns a new one that has the room of this one, unless that is much.
    fn emptied(self) -> Self {
        let mut threads = self.threads;
        threads.clear();
        threads.shrink_to(KEPT_KEYS);
        Domain {
            entering_exclusive: emptied_queue(self.entering_exclusive),
            entering: emptied_queue(self.entering),
            waiting_for_exclusive: emptied_queue(self.waiting_for_exclusive),
            threads,
            ..Domain::default()
        }
    }
}

/// Returns an empty queue that has the room of this one, unless that is much.
fn emptied_queue(mut keys: VecDeque<Key>) -> VecDeque<Key> {
    keys.clear();
    keys.shrink_to(KEPT_KEYS);
    keys
}

impl<F> Concurrent<F> {
    /// Creates a state without tasks. With a seed, tasks and threads take turns at random.
    pub fn new(schedule_seed: Option<u64>) -> Self {
        Concurrent {
            domains: Vec::new(),
            tasks: Arena::new(),
            threads: Arena::new(),
            sets: Arena::new(),
            waitables: Arena::new(),
            ready: VecDeque::new(),
            current: None,
            chain: Vec::new(),
            switch_to: None,
            host_calls: 0,
            returned: VecDeque::new(),
            spare_words: Vec::new(),
            spare_stack: None,
            choices: schedule_seed.map(Choices::new),
        }
    }

    /// Makes this a state without tasks that has the room of this one, unless that is much.
    pub fn empty(&mut self) {
        let old = std::mem::replace(self, Concurrent::new(None));
        let domains = old.domains.into_iter().take(KEPT_DOMAINS);
        self.domains = domains.map(Domain::emptied).collect();
        self.tasks = old.tasks.emptied();
        self.threads = old.threads.emptied();
        self.sets = old.sets.emptied();
        self.waitables = old.waitables.emptied();
        self.ready = emptied_queue(old.ready);
        self.returned = emptied_queue(old.returned);
    }

    /// Makes tasks and threads take turns at random, if there is a seed.
    pub fn set_schedule(&mut self, seed: Option<u64>) {
        self.choices = seed.map(Choices::new);
    }

    fn domain(&mut self, domain: DomainId) -> &mut Domain {
        if self.domains.len() <= domain.index() {
            self.domains
                .resize_with(domain.index() + 1, Domain::default);
        }
        &mut self.domains[domain.index()]
    }

    /// Returns whether there is no task, waitable or set.
    pub fn is_idle(&self) -> bool {
        let Concurrent {
            tasks,
            sets,
            waitables,
            domains,
            ..
        } = self;
        let open = domains.iter().all(|domain| domain.backpressure == 0);
        open && tasks.len() == 0 && sets.len() == 0 && waitables.len() == 0
    }

    /// `backpressure.inc` and `backpressure.dec`.
    pub fn add_backpressure(&mut self, domain: DomainId, delta: i32) -> Result<(), Trap> {
        let state = self.domain(domain);
        let changed = state.backpressure.checked_add_signed(delta);
        match changed.filter(|&changed| changed < MAX_BACKPRESSURE) {
            None => Err(Trap::BackpressureOverflow),
            Some(changed) => {
                state.backpressure = changed;
                if changed == 0 {
                    self.wake_entering(domain);
                }
                Ok(())
            }
        }
    }

    /// Returns whether a task that excludes others, or does not, may enter.
    fn is_gate_open(&mut self, domain: DomainId, is_exclusive: bool) -> bool {
        let state = self.domain(domain);
        state.backpressure == 0 && !(is_exclusive && state.excludes)
    }

    /// Makes those that wait longest to enter ready.
    fn wake_entering(&mut self, domain: DomainId) {
        if self.domain(domain).waiting_to_enter == 0 {
            return;
        }
        self.shuffle_entering(domain);
        let state = self.domain(domain);
        let first = [
            state.entering_exclusive.front().copied(),
            state.entering.front().copied(),
        ];
        first
            .into_iter()
            .flatten()
            .for_each(|thread| self.enqueue(thread));
    }

    /// Excludes others.
    pub fn take_exclusive(&mut self, domain: DomainId) {
        let state = self.domain(domain);
        debug_assert!(!state.excludes);
        state.excludes = true;
    }

    /// Excludes others, if a task that does so would begin at once. Returns whether it would.
    pub fn try_take_exclusive(&mut self, domain: DomainId) -> bool {
        let begins = self.domain(domain).waiting_to_enter == 0 && self.is_gate_open(domain, true);
        if begins {
            self.take_exclusive(domain);
        }
        begins
    }

    /// Lets others in that are excluded.
    pub fn release_exclusive(&mut self, domain: DomainId) {
        let state = self.domain(domain);
        state.excludes = false;
        if !state.waiting_for_exclusive.is_empty() {
            let waiting = std::mem::take(&mut state.waiting_for_exclusive);
            waiting.into_iter().for_each(|thread| self.enqueue(thread));
        }
        self.wake_entering(domain);
    }

    /// Puts a thread that waits into the queue of ready threads.
    pub fn enqueue(&mut self, key: Key) {
        if let Some(thread) = self.threads.get_mut(key)
            && !thread.queued
        {
            thread.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Takes the next thread that can go on, if there is one: of any component instance, or of
    /// those of `domain` that have entered it. It does not wait any more.
    ///
    /// A synchronous task waits in a loop on the stack of its caller, and only that loop passes its
    /// thread as `own` and may take it. Any other one stays in the list of the waitable or set that
    /// it waits for, so that no one can remove that.
    pub fn next_ready(&mut self, domain: Option<DomainId>, own: Option<Key>) -> Option<Key> {
        self.shuffle_ready();
        let mut at = 0;
        while let Some(&key) = self.ready.get(at) {
            let Some(thread) = self.threads.get(key) else {
                self.ready.remove(at);
                continue;
            };
            let is_elsewhere = thread.start == Start::Nothing && own != Some(key);
            let is_other = |domain: DomainId| domain != thread.domain || thread.index == NO_INDEX;
            if is_elsewhere || domain.is_some_and(is_other) {
                at += 1;
                continue;
            }
            self.ready.remove(at);
            self.threads[key].queued = false;
            let ThreadState::Waiting(condition) = self.threads[key].state else {
                continue;
            };
            if self.holds(key, condition) {
                self.stop_waiting(key);
                return Some(key);
            }
            self.wait_elsewhere(key, condition);
        }
        None
    }

    /// Returns whether a thread may go on by itself. A synchronous task goes on where it waits.
    pub fn has_ready(&self) -> bool {
        let mut ready = self.ready.iter().filter_map(|&key| self.threads.get(key));
        ready.any(|thread| thread.start != Start::Nothing)
    }

    /// Returns whether a thread waits in the middle of a function.
    pub fn has_stack(&self, thread: Key) -> bool {
        self.threads[thread].fiber.is_some()
    }

    /// Returns the number of threads that may be ready.
    pub fn queued(&self) -> usize {
        self.ready.len()
    }
}

#[cfg(test)]
mod tests;

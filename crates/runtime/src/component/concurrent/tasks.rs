//! Tasks and threads: how they start, wait and end.

use super::{Concurrent, Domain, Key, MAX_TASKS};
use mintage_environ::builtin::thread_switch;
use mintage_environ::{AdapterId, CallId, DomainId, LiftId, MemoryId, SigId, Trap};

/// The number of words of a task's array, at least: for the arguments of `task.return` and the
/// caller's pointer for the result.
pub const TASK_WORDS: usize = 24;

/// The most arrays that are kept for later tasks.
const SPARE_WORDS: usize = 16;

/// A call of a function of a component.
pub struct Task {
    pub origin: Origin,
    pub domain: DomainId,
    pub state: TaskState,
    pub caller: Caller,
    /// The scope of handles that are lent to the call.
    pub scope: Option<CallId>,
    /// The words of the call's array.
    pub words: Box<[u64]>,
    /// The caller's pointer for the result, if there is one.
    pub result_pointer: u64,
    /// The thread that the task began with, as long as it exists.
    pub implicit: Option<Key>,
    /// The number of its threads.
    pub threads: u32,
    /// The thread that has given the host the result, and goes on when the host has taken it.
    pub returning: Option<Key>,
    /// Whether the host takes the result within `task.return`, so that no thread waits for that.
    pub takes_at_once: bool,
    /// Whether it excludes others of its component instance that do so, too.
    pub is_exclusive: bool,
    /// Whether it was cancelled, and so has ended without a result.
    pub is_cancelled: bool,
    /// The number by which the host knows the call, if it is the caller.
    pub tag: u64,
}

/// The function whose call a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The callee of an adapter, whose type is `async`.
    Adapter(AdapterId),
    /// An exported function whose type is `async`.
    Lift(LiftId),
    /// A function whose type is not `async`. It ends before its caller goes on.
    Synchronous,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Initial,
    Started,
    PendingCancel,
    CancelDelivered,
    Resolved,
}

/// Who learns of a task's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A subtask in another component instance.
    Guest {
        subtask: Key,
    },
    Host,
    /// No one any more.
    Nobody,
}

/// A thread of a task.
pub struct Thread<F> {
    pub task: Key,
    pub domain: DomainId,
    /// Its index in its component instance; 0 for none.
    pub index: u32,
    /// Its words of storage (`context.get`).
    pub storage: [u64; 2],
    pub state: ThreadState,
    /// Whether it is in the queue of ready threads.
    pub queued: bool,
    /// What it does first, or next, if it has no stack.
    pub start: Start,
    /// Its stack, while it waits in the middle of a function.
    pub fiber: Option<F>,
    /// What follows when it goes on.
    pub then: Then,
    /// The thread that ran on its stack when it was suspended, if that is another one: of a
    /// synchronous task.
    pub inner: Option<Key>,
    /// For the thread of a synchronous task: the one that called it.
    pub outer: Option<Key>,
    /// The argument of a function of a table.
    pub words: Box<[u64]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    Running,
    /// It waits for `thread.resume-later` and its like.
    Suspended,
    Waiting(Condition),
}

/// What a thread does where it has no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Enters its task, and calls the function.
    Task,
    /// Calls the callback with an event.
    Callback([u32; 3]),
    /// Calls a function of a table: the offset of the code, and the signature.
    Function(u32, SigId),
    /// Nothing: it runs on the stack of its caller.
    Nothing,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its turn.
    Always,
    /// The gate of its component instance is open.
    Enter,
    /// No thread excludes it.
    Exclusive,
    /// No thread excludes it, and there is an event in a set or its task is to be cancelled.
    Callback(Key),
    /// There is an event in a set.
    Set(Key),
    /// A waitable has an event.
    Event(Key),
    /// A subtask has ended.
    Resolved(Key),
}

/// What follows when a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The built-in returns a number.
    Return(u32),
    /// The built-in returns the code of an event of a set, and writes the rest to a memory. The
    /// thread of a callback passes the event to the callback.
    SetEvent {
        set: Key,
        memory: Option<MemoryId>,
        pointer: u64,
    },
    /// The built-in returns the payload of an event.
    Event(Key),
    /// The built-in returns the state of a subtask.
    Cancelled(Key),
    /// The caller of a subtask gets its result, at the address of its array of words.
    Result { subtask: Key, words: usize },
    /// The caller of a host function goes on. Its result goes to the address of its array of words.
    HostResult { subtask: Key, words: usize },
    /// The caller of a subtask gets its state.
    Called { subtask: Key, words: usize },
    /// `subtask.cancel` goes on, after a host function has finished that had the store.
    Cancelling { subtask: Key, is_async: bool },
}

impl Task {
    /// Returns whether the task is to be cancelled and does not know yet.
    pub fn has_pending_cancel(&self) -> bool {
        self.state == TaskState::PendingCancel
    }

    /// Tells the task that it is to be cancelled, if it is.
    pub fn deliver_pending_cancel(&mut self) -> bool {
        let pending = self.has_pending_cancel();
        if pending {
            self.state = TaskState::CancelDelivered;
        }
        pending
    }
}

impl<F> Concurrent<F> {
    /// Adds a task with its first thread, which is not started.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add_task(&mut self, task: Task, start: Start) -> Result<(Key, Key), Trap> {
        if self.tasks.len() >= MAX_TASKS {
            return Err(Trap::TooManyTasks);
        }
        let domain = task.domain;
        let task = self.tasks.add(task);
        let thread = self.add_thread(task, domain, start)?;
        self.tasks[task].implicit = Some(thread);
        Ok((task, thread))
    }

    /// Adds a thread, which is suspended and has no index.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add_thread(&mut self, task: Key, domain: DomainId, start: Start) -> Result<Key, Trap> {
        if self.threads.len() >= MAX_TASKS {
            return Err(Trap::TooManyTasks);
        }
        Ok(self.threads.add(Thread {
            task,
            domain,
            index: 0,
            storage: [0; 2],
            state: ThreadState::Suspended,
            queued: false,
            start,
            fiber: None,
            then: Then::Return(0),
            inner: None,
            outer: None,
            words: Box::default(),
        }))
    }

    /// Gives a thread an index (`register_thread`).
    pub fn register(&mut self, key: Key) {
        let Thread { task, domain, .. } = self.threads[key];
        let state = self.domain(domain);
        let index = match state.free_threads.pop() {
            Some(index) => index,
            None => {
                if state.threads.is_empty() {
                    state.threads.push(None);
                }
                state.threads.push(None);
                state.threads.len() as u32 - 1
            }
        };
        state.threads[index as usize] = Some(key);
        self.threads[key].index = index;
        self.tasks[task].threads += 1;
    }

    /// Returns the thread with an index, or the trap of an unknown one.
    pub fn thread_at(&mut self, domain: DomainId, index: u32) -> Option<Key> {
        let threads = &self.domain(domain).threads;
        threads.get(index as usize).copied().flatten()
    }

    /// Removes a thread that has ended (`unregister_thread`), and its task with the last one.
    ///
    /// # Errors
    ///
    /// If the last thread of a task ends that has no result.
    pub fn end_thread(&mut self, key: Key) -> Result<(), Trap> {
        let Some(thread) = self.threads.remove(key) else {
            return Ok(());
        };
        let Domain {
            threads,
            free_threads,
            ..
        } = self.domain(thread.domain);
        if thread.index != 0 {
            threads[thread.index as usize] = None;
            free_threads.push(thread.index);
        }
        let task = &mut self.tasks[thread.task];
        if thread.index != 0 {
            task.threads -= 1;
        }
        if task.implicit == Some(key) {
            task.implicit = None;
        }
        if task.threads == 0 {
            if task.state != TaskState::Resolved {
                return Err(Trap::NoTaskResult);
            }
            self.end_task(thread.task);
        }
        Ok(())
    }

    /// Asks a task to end (`request_cancellation`). Its thread goes on if it can learn of that.
    pub fn request_cancel(&mut self, key: Key) {
        let task = &mut self.tasks[key];
        task.state = TaskState::PendingCancel;
        if let Some(thread) = task.implicit {
            self.enqueue(thread);
        }
    }

    /// Removes a task that has ended, unless the host still has to learn of it.
    pub fn end_task(&mut self, key: Key) {
        if self.tasks[key].caller != Caller::Host {
            self.remove_task(key);
        }
    }

    /// Removes a task that has no threads.
    pub fn remove_task(&mut self, key: Key) {
        let removed = self.tasks.remove(key);
        if self.tasks.len() == 0 {
            self.spare_stack = None;
        }
        if let Some(task) = removed
            && task.words.len() == TASK_WORDS
            && self.spare_words.len() < SPARE_WORDS
        {
            self.spare_words.push(task.words);
        }
    }

    /// Takes the stack of a thread that has ended, if there is one.
    pub fn take_spare_stack(&mut self) -> Option<F> {
        self.spare_stack.take()
    }

    /// Keeps the stack of a thread that has ended for another one. Returns it if that is of no use.
    pub fn keep_stack(&mut self, stack: F) -> Option<F> {
        match self.spare_stack {
            None if self.tasks.len() > 0 => {
                self.spare_stack = Some(stack);
                None
            }
            _ => Some(stack),
        }
    }

    /// Returns the array of a task, which has at least `count` words. They may be those of an
    /// earlier task.
    pub fn new_words(&mut self, count: usize) -> Box<[u64]> {
        let spare = (count <= TASK_WORDS).then(|| self.spare_words.pop());
        let new = || vec![0; count.max(TASK_WORDS)].into_boxed_slice();
        spare.flatten().unwrap_or_else(new)
    }

    /// Returns the function whose call a thread belongs to, unless the call has made the thread.
    pub fn origin(&self, thread: Key) -> Option<Origin> {
        let Thread { task, start, .. } = self.threads[thread];
        let is_first = matches!(start, Start::Task | Start::Callback(_));
        is_first.then(|| self.tasks[task].origin)
    }

    /// Returns whether `task.return` suspends the thread that calls it for this thread's task.
    pub fn waits_to_return(&self, thread: Key) -> bool {
        let task = &self.tasks[self.threads[thread].task];
        task.caller == Caller::Host && !task.takes_at_once
    }

    /// Returns the task of the current thread.
    pub fn current_task(&self) -> Option<Key> {
        let thread = self.threads.get(self.current?)?;
        Some(thread.task)
    }

    /// Returns the current thread, if it is one of this component instance. It is not, where
    /// `realloc` runs for a call from another one.
    pub fn current_in(&self, domain: DomainId) -> Option<Key> {
        let current = self.current?;
        (self.threads.get(current)?.domain == domain).then_some(current)
    }

    /// Makes a task begin (`enter_implicit_thread`), unless the gate of its component instance is
    /// closed. Then it waits. Returns whether it begins.
    pub fn try_enter(&mut self, thread: Key) -> bool {
        let Thread { task, domain, .. } = self.threads[thread];
        let is_exclusive = self.tasks[task].is_exclusive;
        let waiting = self.domain(domain).waiting_to_enter;
        if waiting == 0 && self.is_gate_open(domain, is_exclusive) {
            self.enter(thread);
            return true;
        }
        self.wait(thread, Condition::Enter);
        false
    }

    /// Makes a task begin that may.
    pub fn enter(&mut self, thread: Key) {
        let Thread { task, domain, .. } = self.threads[thread];
        if self.tasks[task].is_exclusive {
            self.take_exclusive(domain);
        }
        self.register(thread);
    }

    /// Makes a thread wait.
    pub fn wait(&mut self, key: Key, condition: Condition) {
        self.threads[key].state = ThreadState::Waiting(condition);
        let Thread { task, domain, .. } = self.threads[key];
        match condition {
            Condition::Always => {}
            Condition::Enter => {
                let is_exclusive = self.tasks[task].is_exclusive;
                let state = self.domain(domain);
                state.waiting_to_enter += 1;
                match is_exclusive {
                    true => state.entering_exclusive.push_back(key),
                    false => state.entering.push_back(key),
                }
                self.wake_entering(domain);
                return;
            }
            Condition::Exclusive => {}
            Condition::Callback(set) | Condition::Set(set) => {
                self.sets[set].waiters.push(key);
            }
            Condition::Event(waitable) | Condition::Resolved(waitable) => {
                let waitable = &mut self.waitables[waitable];
                waitable.waiter = Some(key);
                waitable.has_sync_waiter = true;
            }
        }
        match self.holds(key, condition) {
            true => self.enqueue(key),
            false => self.wait_elsewhere(key, condition),
        }
    }

    /// Puts a thread whose condition does not hold where what it lacks will be noticed, besides the
    /// lists in which it is as long as it waits.
    pub(super) fn wait_elsewhere(&mut self, key: Key, condition: Condition) {
        if let Condition::Exclusive | Condition::Callback(_) = condition {
            let domain = self.threads[key].domain;
            let state = self.domain(domain);
            if state.excludes && !state.waiting_for_exclusive.contains(&key) {
                state.waiting_for_exclusive.push_back(key);
            }
        }
    }

    /// Takes a thread out of the lists of what it has waited for.
    pub fn stop_waiting(&mut self, key: Key) {
        let ThreadState::Waiting(condition) = self.threads[key].state else {
            return;
        };
        self.threads[key].state = ThreadState::Running;
        let Thread { task, domain, .. } = self.threads[key];
        match condition {
            Condition::Always => {}
            Condition::Enter => {
                let is_exclusive = self.tasks[task].is_exclusive;
                let state = self.domain(domain);
                state.waiting_to_enter -= 1;
                let list = match is_exclusive {
                    true => &mut state.entering_exclusive,
                    false => &mut state.entering,
                };
                list.retain(|&other| other != key);
                self.wake_entering(domain);
            }
            Condition::Exclusive => {}
            Condition::Callback(set) | Condition::Set(set) => {
                if let Some(set) = self.sets.get_mut(set) {
                    set.waiters.retain(|&other| other != key);
                }
            }
            Condition::Event(waitable) | Condition::Resolved(waitable) => {
                if let Some(waitable) = self.waitables.get_mut(waitable) {
                    waitable.waiter = None;
                    waitable.has_sync_waiter = false;
                }
            }
        }
    }

    /// Takes a thread out of its lists, if it is ready. Returns whether it was.
    pub fn take_if_ready(&mut self, key: Key) -> bool {
        let ThreadState::Waiting(condition) = self.threads[key].state else {
            return false;
        };
        let ready = self.holds(key, condition);
        if ready {
            self.stop_waiting(key);
        }
        ready
    }

    /// Returns whether what a thread waits for is there.
    pub fn holds(&mut self, key: Key, condition: Condition) -> bool {
        let Thread { task, domain, .. } = self.threads[key];
        match condition {
            Condition::Always => true,
            Condition::Enter => {
                let Task {
                    is_exclusive,
                    state,
                    ..
                } = self.tasks[task];
                state == TaskState::PendingCancel || self.is_gate_open(domain, is_exclusive)
            }
            Condition::Exclusive => !self.domain(domain).excludes,
            Condition::Callback(set) => {
                !self.domain(domain).excludes
                    && (self.set_has_event(set) || self.tasks[task].has_pending_cancel())
            }
            Condition::Set(set) => self.set_has_event(set),
            Condition::Event(waitable) => self.waitables[waitable].is_pending,
            Condition::Resolved(waitable) => self.waitables[waitable].is_resolved(),
        }
    }

    /// `thread.resume-later`.
    ///
    /// # Errors
    ///
    /// If the other thread is not suspended.
    pub fn resume_later(&mut self, other: Key) -> Result<(), Trap> {
        self.check_suspended(other)?;
        self.wait(other, Condition::Always);
        Ok(())
    }

    /// Fails unless a thread is suspended.
    pub fn check_suspended(&self, other: Key) -> Result<(), Trap> {
        match self.threads[other].state {
            ThreadState::Suspended => Ok(()),
            _ => Err(Trap::CannotResumeThread),
        }
    }

    /// Suspends the current thread for a `thread.*` built-in, or lets it yield. Returns the thread
    /// that goes on in its place, if there is one, which does not wait any more.
    pub fn switch(&mut self, current: Key, kind: u32, other: Option<Key>) -> Option<Key> {
        let next = other.filter(|&other| {
            if kind & thread_switch::RESUME != 0 {
                self.threads[other].state = ThreadState::Running;
                return true;
            }
            // The thread of a synchronous task goes on where it waits, before any other one.
            let is_ready = self.take_if_ready(other);
            is_ready && self.threads[other].start != Start::Nothing
        });
        match kind & thread_switch::YIELD {
            0 => self.threads[current].state = ThreadState::Suspended,
            _ => self.wait(current, Condition::Always),
        }
        next
    }
}

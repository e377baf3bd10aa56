//! [`Model`]: tasks, threads, waitables and sets by the rules of the specification
//! (`definitions.py`, "Concurrency", "Waitable State", "Subtask State", "Stream and Future State").
//!
//! The model does not choose who goes on. A thread that goes on reports to the model, which then
//! [checks](Model::report) that the specification allows it, and what the thread has seen. So one
//! model judges every order.

use crate::guest::{BUFFER_BYTES, DOMAINS, Kind};
use std::collections::VecDeque;

/// The number of a thread, which the host gives. It is that of its task, too, if it is the first.
pub type Tid = usize;

/// A place in [`Model::waitables`].
pub type Wid = usize;

/// A value that a function gets or gives: the case of the variant, and its number or handle.
pub type Value = (u32, u32);

/// What a thread reports.
pub type Report = [u32; 3];

pub const BLOCKED: u32 = u32::MAX;

pub const TASK_CANCELLED: Report = [6, 0, 0];

/// Handles or threads by index. The index that became free last is used first.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T: Copy> Table<T> {
    pub fn new() -> Self {
        Table {
            items: vec![None],
            free: Vec::new(),
        }
    }

    pub fn get(&self, index: u32) -> Option<T> {
        self.items.get(index as usize).copied().flatten()
    }

    pub fn add(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(index) => {
                self.items[index as usize] = Some(item);
                index
            }
            None => {
                self.items.push(Some(item));
                self.items.len() as u32 - 1
            }
        }
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.items.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(item)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, T)> {
        let items = self.items.iter().enumerate();
        items.filter_map(|(index, item)| Some((index as u32, (*item)?)))
    }
}

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handle {
    Waitable(Wid),
    Set(usize),
}

/// A component instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    pub handles: Table<Handle>,
    pub threads: Table<Tid>,
    pub backpressure: u32,
    pub waiting_to_enter: u32,
    pub exclusive: Option<Tid>,
    /// The buffers in its memory.
    pub memory: Vec<u8>,
}

impl Domain {
    /// Notes that a task does not wait to enter any more.
    pub fn leave_queue(&mut self) {
        self.waiting_to_enter -= 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Initial,
    Started,
    PendingCancel,
    CancelDelivered,
    Resolved,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub kind: Kind,
    pub domain: usize,
    pub state: TaskState,
    /// The subtask of the caller; none if the host has called.
    pub caller: Option<Wid>,
    /// The parameter: a value of the caller.
    pub param: Value,
    pub threads: u32,
    pub result: Option<u32>,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Turn,
    Enter,
    NotExcluded,
    Callback(usize),
    SetEvent(usize),
    Event(Wid),
    Resolved(Wid),
}

/// What follows when a thread goes on that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Zero,
    /// The thread begins.
    Begin,
    Enter,
    AfterYield,
    CallbackEvent(usize),
    SetEvent(usize),
    Payload(Wid),
    Result(Wid),
    HostResult(Wid),
    Cancelled(Wid),
}

/// What a thread does that is not suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It goes on with these results.
    Reports(Report),
    /// It has a call of a task, which has begun, waits or has ended.
    Called { subtask: Wid, is_async: bool },
    /// It has asked a task to end, and lets others run.
    Cancels {
        subtask: Wid,
        is_async: bool,
        ran: bool,
    },
    /// It goes on after it has waited.
    Promoted(Then),
    /// It polls a set.
    Polls(usize),
    /// It waits, unless that is over at once.
    Waits(Until, Then),
    /// It must trap.
    Traps(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs, or has called who runs.
    Running,
    Suspended,
    Waiting,
    Ended,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    pub task: Tid,
    pub domain: usize,
    pub index: u32,
    pub context: u32,
    pub status: Status,
    pub until: Until,
    pub then: Then,
    pub doing: Doing,
    /// Whether it has not begun.
    pub is_new: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Waitable {
    pub domain: usize,
    pub index: u32,
    pub pending: bool,
    pub set: Option<usize>,
    pub has_waiter: bool,
    pub kind: WaitableKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WaitableKind {
    Subtask(Subtask),
    End(End),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subtask {
    /// As the guest sees it: starting, started, returned, cancelled before that.
    pub state: u32,
    /// The task; `usize::MAX` if the host has it.
    pub task: Tid,
    /// The number of the call of the host.
    pub host: Option<u32>,
    pub is_delivered: bool,
    pub cancel_requested: bool,
    pub result: Value,
    pub has_handle: bool,
}

impl Subtask {
    pub fn new(task: Tid) -> Self {
        Subtask {
            state: 0,
            task,
            host: None,
            is_delivered: false,
            cancel_requested: false,
            result: (0, 0),
            has_handle: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    Idle,
    Copying,
    Cancelling,
    Done,
}

#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub is_future: bool,
    pub writes: bool,
    pub state: EndState,
    pub other: Option<Wid>,
    pub buffer: Option<Buffer>,
    pub progress: u32,
    /// Whether a call that has not begun will pass it on.
    pub is_promised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buffer {
    pub domain: usize,
    pub pointer: u32,
    pub progress: u32,
    pub length: u32,
}

impl Buffer {
    pub fn remain(&self) -> u32 {
        self.length - self.progress
    }
}

impl End {
    pub fn is_busy(&self) -> bool {
        matches!(self.state, EndState::Copying | EndState::Cancelling)
    }
}

/// A rule that is broken, or an operation that must trap.
pub type Checked<T = ()> = Result<T, &'static str>;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub domains: Vec<Domain>,
    pub tasks: Vec<Option<Task>>,
    pub threads: Vec<Option<Thread>>,
    pub waitables: Vec<Option<Waitable>>,
    /// The members of each set, and the number of threads that wait for it.
    pub sets: Vec<(Vec<Wid>, u32)>,
    /// The threads that run: each has called or resumed the next one.
    pub stack: Vec<Tid>,
    /// Calls of the host that have not tried to enter, in order.
    pub queued: VecDeque<Tid>,
}

impl Model {
    pub fn new() -> Self {
        let domain = || Domain {
            handles: Table::new(),
            threads: Table::new(),
            backpressure: 0,
            waiting_to_enter: 0,
            exclusive: None,
            memory: vec![0; BUFFER_BYTES as usize],
        };
        Model {
            domains: (0..DOMAINS).map(|_| domain()).collect(),
            tasks: Vec::new(),
            threads: Vec::new(),
            waitables: Vec::new(),
            sets: Vec::new(),
            stack: Vec::new(),
            queued: VecDeque::new(),
        }
    }

    pub fn task(&self, task: Tid) -> &Task {
        self.tasks[task].as_ref().expect("the thread is a task")
    }

    pub fn task_mut(&mut self, task: Tid) -> &mut Task {
        self.tasks[task].as_mut().expect("the thread is a task")
    }

    pub fn thread(&self, thread: Tid) -> &Thread {
        self.threads[thread].as_ref().expect("there is the thread")
    }

    pub fn thread_mut(&mut self, thread: Tid) -> &mut Thread {
        self.threads[thread].as_mut().expect("there is the thread")
    }

    pub fn waitable(&self, waitable: Wid) -> &Waitable {
        self.waitables[waitable]
            .as_ref()
            .expect("it is not dropped")
    }

    pub fn waitable_mut(&mut self, waitable: Wid) -> &mut Waitable {
        self.waitables[waitable]
            .as_mut()
            .expect("it is not dropped")
    }

    pub fn subtask(&self, waitable: Wid) -> &Subtask {
        match &self.waitable(waitable).kind {
            WaitableKind::Subtask(subtask) => subtask,
            WaitableKind::End(_) => unreachable!("it is a subtask"),
        }
    }

    pub fn subtask_mut(&mut self, waitable: Wid) -> &mut Subtask {
        match &mut self.waitable_mut(waitable).kind {
            WaitableKind::Subtask(subtask) => subtask,
            WaitableKind::End(_) => unreachable!("it is a subtask"),
        }
    }

    pub fn end(&self, waitable: Wid) -> &End {
        match &self.waitable(waitable).kind {
            WaitableKind::End(end) => end,
            WaitableKind::Subtask(_) => unreachable!("it is an end"),
        }
    }

    pub fn end_mut(&mut self, waitable: Wid) -> &mut End {
        match &mut self.waitable_mut(waitable).kind {
            WaitableKind::End(end) => end,
            WaitableKind::Subtask(_) => unreachable!("it is an end"),
        }
    }

    pub fn domain_of(&mut self, thread: Tid) -> &mut Domain {
        let domain = self.thread(thread).domain;
        &mut self.domains[domain]
    }
}

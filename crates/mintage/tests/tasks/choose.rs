//! Chooses what a thread does next: mostly something that is allowed, sometimes anything.

use crate::guest::{
    AT_ONCE, BUFFER_BYTES, BUFFERS, DOMAINS, Kind, host_result_place, result_place,
};
use crate::model::{EndState, Handle, Model, Status, TaskState, Thread, Tid, WaitableKind};
use crate::numbers::Numbers;
use crate::op::Op;
use crate::rules::{Step, callee_index};

/// The most threads of a run. More would share the places of results.
const MAX_THREADS: u32 = 200;

/// The most calls of the host of a run.
const MAX_HOST_CALLS: u32 = 200;

/// How a run is chosen.
#[derive(Debug)]
pub struct Chooser {
    pub numbers: Numbers,
    /// The number of operations that are left. Without any, threads end as soon as they may.
    pub left: u32,
    /// One of so many operations may be anything.
    pub wild: usize,
    /// The number of calls of the host so far.
    pub host_calls: u32,
}

/// Chooses a function for the host to call: one of the first component instance, which no other one
/// calls. A task of the host that gives its result while another thread waits for it to run goes on
/// later than the specification says.
pub fn choose_function(numbers: &mut Numbers) -> (Kind, usize) {
    (Kind::ALL[1 + numbers.below(3)], 0)
}

impl Chooser {
    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.numbers.below(of.len())])
    }

    /// Chooses the next operation of the thread that runs.
    pub fn next(&mut self, model: &Model, thread: Tid) -> Step {
        if self.left == 0 {
            return self.finish(model, thread);
        }
        self.left -= 1;
        if self.wild > 0 && self.numbers.below(self.wild) == 0 {
            return self.anything(model, thread);
        }
        let task = model.thread(thread).task;
        let is_plain = task == thread && model.task(task).kind == Kind::Plain;
        for _ in 0..8 {
            if let Some(step) = self.sensible(model, thread)
                // It would trap if no one can go on.
                && (!(is_plain && step.op.may_wait()) || self.numbers.below(20) == 0)
            {
                return step;
            }
        }
        if is_plain {
            return Step::new(Op::End, 0, 0, 0);
        }
        Step::new(Op::Yield, 0, 0, 0)
    }

    /// Ends a thread in the shortest way.
    fn finish(&mut self, model: &Model, thread: Tid) -> Step {
        let task = model.task_of(thread);
        if task.kind.is_async_lift() && task.state != TaskState::Resolved {
            return match task.state {
                TaskState::CancelDelivered => Step::new(Op::TaskCancel, 0, 0, 0),
                _ => Step::new(Op::TaskReturn, 7, 0, 0),
            };
        }
        Step::new(Op::End, 0, 0, 0)
    }

    /// Chooses any operation that the guest's text survives.
    fn anything(&mut self, model: &Model, thread: Tid) -> Step {
        let (op, _) = Op::ALL[self.numbers.below(Op::ALL.len())];
        let [a, b] = [0; 2].map(|_: u32| self.numbers.below(8) as u32);
        let buffer = BUFFERS + self.numbers.below(BUFFER_BYTES as usize - 8) as u32;
        match op {
            Op::CallSync | Op::CallAsync => self.call(model, thread, op == Op::CallAsync, true),
            Op::ThreadNew => self.new_thread(model),
            Op::HostSync | Op::HostAsync => self.call_host(model, thread),
            Op::Peek | Op::Poke => Some(Step::new(op, buffer, b, 0)),
            Op::End if model.thread(thread).task == thread => {
                let code = self.numbers.below(3) as u32;
                match model.task_of(thread).kind {
                    Kind::Callback => Some(Step::new(op, code | a << 4, 0, 0)),
                    _ => Some(Step::new(op, a, 0, 0)),
                }
            }
            Op::TaskReturn => Some(Step::new(op, a, 0, 0)),
            Op::StreamRead | Op::StreamReadSync | Op::StreamWrite | Op::StreamWriteSync => {
                Some(Step::new(op, a, buffer, b))
            }
            Op::FutureRead | Op::FutureReadSync | Op::FutureWrite | Op::FutureWriteSync => {
                Some(Step::new(op, a, buffer, 0))
            }
            _ => Some(Step::new(op, a, b, 0)),
        }
        .unwrap_or(Step::new(Op::Yield, 0, 0, 0))
    }

    fn call_host(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        if self.host_calls == MAX_HOST_CALLS {
            return None;
        }
        let Thread { task, .. } = *model.thread(thread);
        // A call of a function whose type is not `async` would wait for the host as a whole.
        let may_wait = model.task(task).kind.is_async_type() || task != thread;
        let op = match self.numbers.below(3) {
            0 if may_wait => Op::HostSync,
            _ => Op::HostAsync,
        };
        let number = self.host_calls;
        self.host_calls += 1;
        let at_once = if self.numbers.below(3) == 0 {
            AT_ONCE
        } else {
            0
        };
        Some(Step::new(
            op,
            number | at_once,
            host_result_place(number),
            0,
        ))
    }

    fn new_thread(&mut self, model: &Model) -> Option<Step> {
        let thread = model.next_thread();
        (thread < MAX_THREADS).then(|| Step::new(Op::ThreadNew, thread, 0, 0))
    }

    fn call(&mut self, model: &Model, thread: Tid, is_async: bool, wild: bool) -> Option<Step> {
        let Thread { domain, .. } = *model.thread(thread);
        let next = model.next_thread();
        if domain + 1 == DOMAINS || next >= MAX_THREADS {
            return None;
        }
        let callee = domain + 1 + self.numbers.below(DOMAINS - domain - 1);
        let kind = Kind::ALL[self.numbers.below(4)];
        // A function whose type is not `async` is only called synchronously.
        let is_async = is_async && kind.is_async_type();
        let readers = model.readers_to_pass(domain);
        let mut param = (0, self.numbers.below(1000) as u32);
        if self.numbers.below(2) == 0
            && let Some(reader) = self.pick(&readers)
        {
            param = reader;
        } else if wild && self.numbers.below(4) == 0 {
            param = (1 + param.1 % 2, param.1 % 8);
        }
        let function = callee_index(domain, callee, kind, is_async);
        let op = if is_async {
            Op::CallAsync
        } else {
            Op::CallSync
        };
        Some(Step::new(op, next, function, param.0 | param.1 << 2))
    }

    /// Chooses an operation that the specification allows, if one of the kind that comes up is.
    fn sensible(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        match self.numbers.below(100) {
            0..12 => {
                let is_async = self.numbers.below(4) != 0;
                self.call(model, thread, is_async, false)
            }
            12..16 => self.call_host(model, thread),
            16..50 => self.use_waitable(model, thread),
            50..54 => Some(Step::new(Op::SetNew, 0, 0, 0)),
            54..66 => self.use_set(model, thread),
            66..70 => {
                let op = self.pick(&[Op::StreamNew, Op::FutureNew])?;
                Some(Step::new(op, 0, 0, 0))
            }
            70..80 => self.end_or_return(model, thread),
            80..83 => self.backpressure(model, thread),
            83..87 => self.memory(model, thread),
            87..92 => Some(Step::new(Op::Yield, 0, 0, 0)),
            _ => self.use_thread(model, thread),
        }
    }

    fn backpressure(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let domain = &model.domains[model.thread(thread).domain];
        match domain.backpressure {
            0 if self.numbers.below(3) > 0 => None,
            0 => Some(Step::new(Op::BackpressureInc, 0, 0, 0)),
            _ => Some(Step::new(Op::BackpressureDec, 0, 0, 0)),
        }
    }

    fn memory(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let domain = model.thread(thread).domain;
        let at = BUFFERS + self.numbers.below(BUFFER_BYTES as usize - 8) as u32;
        let value = self.numbers.below(1 << 16) as u32;
        Some(match self.numbers.below(5) {
            0 => Step::new(Op::Poke, at, value, 0),
            1 => Step::new(Op::Peek, at, 0, 0),
            2 => Step::new(Op::ContextSet, value, 0, 0),
            3 => Step::new(Op::ContextGet, 0, 0, 0),
            _ => {
                let results: Vec<u32> = model.domains[domain]
                    .handles
                    .iter()
                    .filter_map(|(_, handle)| match handle {
                        Handle::Waitable(waitable) => match &model.waitable(waitable).kind {
                            WaitableKind::Subtask(subtask) => Some(match subtask.host {
                                Some(number) => host_result_place(number),
                                None => result_place(subtask.task as u32),
                            }),
                            WaitableKind::End(_) => None,
                        },
                        Handle::Set(_) => None,
                    })
                    .collect();
                Step::new(Op::Peek, self.pick(&results)?, 0, 0)
            }
        })
    }

    fn end_or_return(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let Thread { task, domain, .. } = *model.thread(thread);
        let (kind, state) = (model.task(task).kind, model.task(task).state);
        let value = self.numbers.below(1000) as u32;
        let readers = model.readers_to_pass(domain);
        let mut result = (0, value);
        if self.numbers.below(3) == 0
            && model.has_guest_caller(task)
            && let Some(reader) = self.pick(&readers)
        {
            result = reader;
        }
        let is_first = task == thread;
        if !kind.is_async_lift() {
            return match is_first {
                true => Some(Step::new(Op::End, result.1, result.0, 0)),
                false => Some(Step::new(Op::End, 0, 0, 0)),
            };
        }
        if state == TaskState::CancelDelivered && self.numbers.below(2) == 0 {
            return Some(Step::new(Op::TaskCancel, 0, 0, 0));
        }
        if kind == Kind::Callback && is_first && self.numbers.below(3) > 0 {
            let sets: Vec<u32> = self.sets(model, domain);
            return Some(match self.pick(&sets) {
                Some(set) if self.numbers.below(4) > 0 => Step::new(Op::End, 2 | set << 4, 0, 0),
                _ => Step::new(Op::End, 1, 0, 0),
            });
        }
        match state {
            TaskState::Resolved => Some(Step::new(Op::End, 0, 0, 0)),
            _ if !is_first && self.numbers.below(2) == 0 => Some(Step::new(Op::End, 0, 0, 0)),
            _ => Some(Step::new(Op::TaskReturn, result.1, result.0, 0)),
        }
    }

    fn sets(&self, model: &Model, domain: usize) -> Vec<u32> {
        let handles = model.domains[domain].handles.iter();
        handles
            .filter(|(_, handle)| matches!(handle, Handle::Set(_)))
            .map(|(index, _)| index)
            .collect()
    }

    fn use_set(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let domain = model.thread(thread).domain;
        let sets = self.sets(model, domain);
        let handle = self.pick(&sets)?;
        let Some(Handle::Set(set)) = model.domains[domain].handles.get(handle) else {
            return None;
        };
        let (members, waiting) = &model.sets[set];
        match self.numbers.below(8) {
            0 if members.is_empty() && *waiting == 0 => Some(Step::new(Op::SetDrop, handle, 0, 0)),
            0..6 => Some(Step::new(Op::SetPoll, handle, 0, 0)),
            _ if members.is_empty() => None,
            _ => Some(Step::new(Op::SetWait, handle, 0, 0)),
        }
    }

    fn use_thread(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let domain = model.thread(thread).domain;
        let threads = || model.domains[domain].threads.iter();
        let suspended: Vec<u32> = threads()
            .filter(|&(_, other)| model.thread(other).status == Status::Suspended)
            .map(|(index, _)| index)
            .collect();
        let others: Vec<u32> = threads()
            .filter(|&(_, other)| other != thread)
            .map(|(index, _)| index)
            .collect();
        match self.numbers.below(10) {
            0 | 1 => self.new_thread(model),
            2 => Some(Step::new(Op::ThreadIndex, 0, 0, 0)),
            3 => Some(Step::new(Op::Suspend, 0, 0, 0)),
            4 | 5 => Some(Step::new(Op::ResumeLater, self.pick(&suspended)?, 0, 0)),
            6 => Some(Step::new(
                Op::SuspendThenResume,
                self.pick(&suspended)?,
                0,
                0,
            )),
            7 => Some(Step::new(Op::YieldThenResume, self.pick(&suspended)?, 0, 0)),
            8 => Some(Step::new(Op::SuspendThenPromote, self.pick(&others)?, 0, 0)),
            _ => Some(Step::new(Op::YieldThenPromote, self.pick(&others)?, 0, 0)),
        }
    }

    /// Uses a waitable of the thread's component instance.
    fn use_waitable(&mut self, model: &Model, thread: Tid) -> Option<Step> {
        let domain = model.thread(thread).domain;
        let handles: Vec<(u32, usize)> = model.domains[domain]
            .handles
            .iter()
            .filter_map(|(index, handle)| match handle {
                Handle::Waitable(waitable) => Some((index, waitable)),
                Handle::Set(_) => None,
            })
            .collect();
        let (handle, waitable) = self.pick(&handles)?;
        let found = model.waitable(waitable);
        if self.numbers.below(4) == 0 && !found.has_waiter {
            if let WaitableKind::End(end) = &found.kind
                && end.is_promised
            {
                return None;
            }
            let sets = self.sets(model, domain);
            let set = match self.numbers.below(4) {
                0 => 0,
                _ => self.pick(&sets)?,
            };
            return Some(Step::new(Op::Join, handle, set, 0));
        }
        match &found.kind {
            WaitableKind::Subtask(subtask) => {
                if subtask.is_delivered {
                    return (self.numbers.below(3) == 0)
                        .then(|| Step::new(Op::SubtaskDrop, handle, 0, 0));
                }
                let may_cancel = !subtask.cancel_requested && found.set.is_none();
                (may_cancel && self.numbers.below(3) == 0).then(|| {
                    let op = match self.numbers.below(3) {
                        0 => Op::SubtaskCancel,
                        _ => Op::SubtaskCancelAsync,
                    };
                    Step::new(op, handle, 0, 0)
                })
            }
            WaitableKind::End(_) => self.use_end(model, handle, waitable),
        }
    }

    fn use_end(&mut self, model: &Model, handle: u32, waitable: usize) -> Option<Step> {
        let (found, end) = (model.waitable(waitable), model.end(waitable));
        let (future, writes) = (end.is_future, end.writes);
        if end.is_promised || found.has_waiter {
            return None;
        }
        let op = |stream_read, stream_write, future_read, future_write| match (future, writes) {
            (false, false) => stream_read,
            (false, true) => stream_write,
            (true, false) => future_read,
            (true, true) => future_write,
        };
        let drops = op(
            Op::StreamDropReader,
            Op::StreamDropWriter,
            Op::FutureDropReader,
            Op::FutureDropWriter,
        );
        match end.state {
            EndState::Done => Some(Step::new(drops, handle, 0, 0)),
            EndState::Idle => {
                let may_drop = !(future && writes);
                match self.numbers.below(12) {
                    0 if may_drop => return Some(Step::new(drops, handle, 0, 0)),
                    1 if found.set.is_none() => {
                        if let Some(step) = self.forward(model, found.domain, handle, waitable) {
                            return Some(step);
                        }
                    }
                    _ => {}
                }
                let is_sync = found.set.is_none() && self.numbers.below(8) == 0;
                let ops = match is_sync {
                    true => op(
                        Op::StreamReadSync,
                        Op::StreamWriteSync,
                        Op::FutureReadSync,
                        Op::FutureWriteSync,
                    ),
                    false => op(
                        Op::StreamRead,
                        Op::StreamWrite,
                        Op::FutureRead,
                        Op::FutureWrite,
                    ),
                };
                let length = self.numbers.below(6) as u32;
                let at = self.numbers.below((BUFFER_BYTES - 8) as usize) as u32;
                Some(Step::new(ops, handle, BUFFERS + at, length))
            }
            EndState::Copying => {
                if self.numbers.below(3) > 0 {
                    return None;
                }
                let is_sync = found.set.is_none() && self.numbers.below(2) == 0;
                let ops = match is_sync {
                    true => op(
                        Op::StreamCancelRead,
                        Op::StreamCancelWrite,
                        Op::FutureCancelRead,
                        Op::FutureCancelWrite,
                    ),
                    false => op(
                        Op::StreamCancelReadAsync,
                        Op::StreamCancelWriteAsync,
                        Op::FutureCancelReadAsync,
                        Op::FutureCancelWriteAsync,
                    ),
                };
                Some(Step::new(ops, handle, 0, 0))
            }
            EndState::Cancelling => None,
        }
    }

    /// Connects two ends of one kind, of which `waitable` is one.
    fn forward(
        &mut self,
        model: &Model,
        domain: usize,
        handle: u32,
        waitable: usize,
    ) -> Option<Step> {
        let end = model.end(waitable);
        let partners: Vec<u32> = model.domains[domain]
            .handles
            .iter()
            .filter_map(|(index, other)| {
                let Handle::Waitable(other) = other else {
                    return None;
                };
                let found = model.waitable(other);
                match &found.kind {
                    WaitableKind::End(partner)
                        if partner.is_future == end.is_future
                            && partner.writes != end.writes
                            && partner.state == EndState::Idle
                            && !partner.is_promised
                            && found.set.is_none() =>
                    {
                        Some(index)
                    }
                    _ => None,
                }
            })
            .collect();
        let partner = self.pick(&partners)?;
        let op = if end.is_future {
            Op::FutureForward
        } else {
            Op::StreamForward
        };
        let (reader, writer) = if end.writes {
            (partner, handle)
        } else {
            (handle, partner)
        };
        Some(Step::new(op, reader, writer, 0))
    }
}

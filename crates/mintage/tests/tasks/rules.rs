//! What each operation does, by the rules of the specification (`definitions.py`, "Canonical
//! Built-ins").

use crate::guest::{
    AT_ONCE, BUFFER_BYTES, BUFFERS, Kind, host_result, host_result_place, result_place,
};
use crate::model::{
    BLOCKED, Buffer, Checked, Doing, End, EndState, Handle, Model, Report, Status, Subtask, Task,
    TaskState, Then, Thread, Tid, Until, Waitable, WaitableKind, Wid,
};
use crate::op::Op;

/// An operation with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub op: Op,
    pub a: u32,
    pub b: u32,
    pub c: u32,
}

impl Step {
    pub fn new(op: Op, a: u32, b: u32, c: u32) -> Self {
        Step { op, a, b, c }
    }

    /// Returns the operation as the guest gets it.
    pub fn word(self) -> u64 {
        let [a, b, c] = [self.a, self.b, self.c].map(u64::from);
        self.op as u64 | (a & 0xff_ffff) << 8 | (b & 0xffff) << 32 | c << 48
    }
}

/// The function that a call calls: its place in the caller's table has the component instance, the
/// function, and whether the call is asynchronous.
pub fn callee_index(caller: usize, domain: usize, kind: Kind, is_async: bool) -> u32 {
    let functions = (domain - caller - 1) * Kind::ALL.len() + kind as usize;
    2 * functions as u32 + u32::from(is_async)
}

impl Model {
    /// Does an operation of the thread that runs.
    pub fn apply(&mut self, thread: Tid, step: Step) {
        match self.try_apply(thread, step) {
            // The thread may have ended, or another one may run.
            Ok(None) => {}
            Ok(Some(doing)) => self.thread_mut(thread).doing = doing,
            Err(why) => self.thread_mut(thread).doing = Doing::Traps(why),
        }
    }

    fn try_apply(&mut self, thread: Tid, Step { op, a, b, c }: Step) -> Checked<Option<Doing>> {
        let Thread { task, domain, .. } = *self.thread(thread);
        let mut results = [0; 3];
        match op {
            Op::End => return self.end_function(thread, a, b),
            Op::TaskReturn => {
                if !self.task(task).kind.is_async_lift() {
                    return Err("task.return in a function that is lifted without async");
                }
                if self.task(task).state == TaskState::Resolved {
                    return Err("task.return after the task is resolved");
                }
                self.resolve(task, Some((b, a)))?;
            }
            Op::TaskCancel => {
                if !self.task(task).kind.is_async_lift() {
                    return Err("task.cancel in a function that is lifted without async");
                }
                if self.task(task).state != TaskState::CancelDelivered {
                    return Err("task.cancel without a cancellation");
                }
                self.resolve(task, None)?;
            }
            Op::SetNew => {
                self.sets.push((Vec::new(), 0));
                let set = Handle::Set(self.sets.len() - 1);
                results[0] = self.domains[domain].handles.add(set);
            }
            Op::SetWait => {
                let set = self.set(domain, a)?;
                self.sets[set].1 += 1;
                return Ok(Some(Doing::Waits(
                    Until::SetEvent(set),
                    Then::SetEvent(set),
                )));
            }
            Op::SetPoll => {
                let set = self.set(domain, a)?;
                return Ok(Some(Doing::Polls(set)));
            }
            Op::SetDrop => {
                let set = self.set(domain, a)?;
                if !self.sets[set].0.is_empty() || self.sets[set].1 > 0 {
                    return Err("a set is dropped that is in use");
                }
                self.domains[domain].handles.remove(a);
            }
            Op::Join => {
                let waitable = self.any_waitable(domain, a)?;
                if self.waitable(waitable).has_waiter {
                    return Err("a waitable joins that someone waits for");
                }
                let set = match b {
                    0 => None,
                    _ => Some(self.set(domain, b)?),
                };
                self.join_set(waitable, set);
            }
            Op::SubtaskCancel | Op::SubtaskCancelAsync => {
                return self
                    .cancel(domain, a, op == Op::SubtaskCancelAsync)
                    .map(Some);
            }
            Op::SubtaskDrop => {
                let subtask = self.subtask_at(domain, a)?;
                if !self.subtask(subtask).is_delivered {
                    return Err("a subtask is dropped whose end is not known");
                }
                self.domains[domain].handles.remove(a);
                self.drop_waitable(subtask);
            }
            Op::StreamNew | Op::FutureNew => {
                let is_future = op == Op::FutureNew;
                let reader = self.add_end(domain, is_future, false);
                let writer = self.add_end(domain, is_future, true);
                self.end_mut(reader).other = Some(writer);
                self.end_mut(writer).other = Some(reader);
                results[0] = self.waitable(reader).index;
                results[1] = self.waitable(writer).index;
            }
            Op::StreamRead | Op::StreamReadSync | Op::StreamWrite | Op::StreamWriteSync => {
                let writes = matches!(op, Op::StreamWrite | Op::StreamWriteSync);
                let end = self.find_end(domain, a, false, writes)?;
                let is_async = matches!(op, Op::StreamRead | Op::StreamWrite);
                return self.begin_copy(end, b, c, is_async).map(Some);
            }
            Op::FutureRead | Op::FutureReadSync | Op::FutureWrite | Op::FutureWriteSync => {
                let writes = matches!(op, Op::FutureWrite | Op::FutureWriteSync);
                let end = self.find_end(domain, a, true, writes)?;
                let is_async = matches!(op, Op::FutureRead | Op::FutureWrite);
                return self.begin_copy(end, b, 1, is_async).map(Some);
            }
            Op::StreamCancelRead
            | Op::StreamCancelReadAsync
            | Op::StreamCancelWrite
            | Op::StreamCancelWriteAsync
            | Op::FutureCancelRead
            | Op::FutureCancelReadAsync
            | Op::FutureCancelWrite
            | Op::FutureCancelWriteAsync => {
                results[0] = self.cancel_copy(domain, op, a)?;
            }
            Op::StreamDropReader
            | Op::StreamDropWriter
            | Op::FutureDropReader
            | Op::FutureDropWriter => {
                let is_future = matches!(op, Op::FutureDropReader | Op::FutureDropWriter);
                let writes = matches!(op, Op::StreamDropWriter | Op::FutureDropWriter);
                let end = self.find_end(domain, a, is_future, writes)?;
                let state = self.end(end).state;
                if self.end(end).is_busy() {
                    return Err("an end is dropped that copies");
                }
                if is_future && writes && state != EndState::Done {
                    return Err("a future is dropped that has no value");
                }
                self.domains[domain].handles.remove(a);
                self.drop_waitable(end);
            }
            Op::StreamForward | Op::FutureForward => {
                self.forward(domain, op == Op::FutureForward, a, b)?;
            }
            Op::BackpressureInc => self.domains[domain].backpressure += 1,
            Op::BackpressureDec => {
                let count = self.domains[domain].backpressure.checked_sub(1);
                self.domains[domain].backpressure = count.ok_or("backpressure.dec at 0")?;
            }
            Op::ContextGet => results[0] = self.thread(thread).context,
            Op::ContextSet => self.thread_mut(thread).context = a,
            Op::Peek => results = self.peek(domain, a),
            Op::Poke => {
                let at = (a - BUFFERS) as usize;
                self.domains[domain].memory[at..at + 4].copy_from_slice(&b.to_le_bytes());
            }
            Op::HostSync | Op::HostAsync => {
                return Ok(Some(self.call_host(domain, op == Op::HostAsync, a)));
            }
            Op::CallSync | Op::CallAsync => {
                return self.call(domain, op == Op::CallAsync, b, (c & 3, c >> 2));
            }
            _ => return self.thread_built_in(thread, op, a),
        }
        Ok(Some(Doing::Reports(results)))
    }

    fn thread_built_in(&mut self, thread: Tid, op: Op, a: u32) -> Checked<Option<Doing>> {
        let Thread { task, domain, .. } = *self.thread(thread);
        let mut results = [0; 3];
        match op {
            Op::ThreadIndex => results[0] = self.thread(thread).index,
            Op::ThreadNew => {
                let other = self.add_thread(task, domain);
                self.thread_mut(other).doing = Doing::Reports([0, 0, crate::guest::BEGINS]);
                self.register(other);
                results[0] = self.thread(other).index;
            }
            Op::ResumeLater => {
                let other = self.suspended(domain, a)?;
                let then = self.then_of_suspended(other);
                self.start_waiting(other, Until::Turn, then);
            }
            Op::Suspend => {
                self.stack.pop();
                self.thread_mut(thread).status = Status::Suspended;
                return Ok(None);
            }
            Op::Yield => return Ok(Some(Doing::Waits(Until::Turn, Then::Zero))),
            Op::SuspendThenResume | Op::YieldThenResume => {
                let other = self.suspended(domain, a)?;
                let then = self.then_of_suspended(other);
                self.step_aside(thread, op == Op::YieldThenResume);
                self.go_on(other, then);
                return Ok(None);
            }
            Op::SuspendThenPromote | Op::YieldThenPromote => {
                let found = self.domains[domain].threads.get(a);
                let other = found.ok_or("there is no such thread")?;
                if other == thread {
                    return Err("a thread is promoted by itself");
                }
                let yields = op == Op::YieldThenPromote;
                if self.is_ready(other) {
                    self.step_aside(thread, yields);
                    self.promote(other);
                } else if yields {
                    return Ok(Some(Doing::Waits(Until::Turn, Then::Zero)));
                } else {
                    self.step_aside(thread, false);
                }
                return Ok(None);
            }
            _ => unreachable!("the operation is not one of threads"),
        }
        Ok(Some(Doing::Reports(results)))
    }

    /// Suspends the thread that runs, or makes it wait for its turn.
    fn step_aside(&mut self, thread: Tid, yields: bool) {
        self.stack.pop();
        match yields {
            true => self.start_waiting(thread, Until::Turn, Then::Zero),
            false => self.thread_mut(thread).status = Status::Suspended,
        }
    }

    /// Returns a thread that is suspended.
    fn suspended(&self, domain: usize, index: u32) -> Checked<Tid> {
        let found = self.domains[domain].threads.get(index);
        let thread = found.ok_or("there is no such thread")?;
        match self.thread(thread).status {
            Status::Suspended => Ok(thread),
            _ => Err("a thread is resumed that is not suspended"),
        }
    }

    /// Returns what a thread reports that was suspended: the begin, if it has not begun.
    fn then_of_suspended(&self, thread: Tid) -> Then {
        match self.thread(thread).is_new {
            true => Then::Begin,
            false => Then::Zero,
        }
    }

    fn set(&self, domain: usize, handle: u32) -> Checked<usize> {
        match self.domains[domain].handles.get(handle) {
            Some(Handle::Set(set)) => Ok(set),
            _ => Err("the handle is not one of a set"),
        }
    }

    fn any_waitable(&self, domain: usize, handle: u32) -> Checked<Wid> {
        match self.domains[domain].handles.get(handle) {
            Some(Handle::Waitable(waitable)) => Ok(waitable),
            _ => Err("the handle is not one of a waitable"),
        }
    }

    fn subtask_at(&self, domain: usize, handle: u32) -> Checked<Wid> {
        let waitable = self.any_waitable(domain, handle)?;
        match self.waitable(waitable).kind {
            WaitableKind::Subtask(_) => Ok(waitable),
            WaitableKind::End(_) => Err("the handle is not one of a subtask"),
        }
    }

    /// A function or callback returns.
    fn end_function(&mut self, thread: Tid, a: u32, b: u32) -> Checked<Option<Doing>> {
        let Thread { task, domain, .. } = *self.thread(thread);
        if task != thread {
            self.end_thread(thread)?;
            self.stack.pop();
            return Ok(None);
        }
        match self.task(task).kind {
            Kind::Plain | Kind::Blocking => self.resolve(task, Some((b, a)))?,
            Kind::Stackful => {}
            Kind::Callback => {
                let (code, set) = (a & 15, a >> 4);
                if code > 2 {
                    return Err("a callback returns an unknown code");
                }
                if code != 0 {
                    if self.deliver_cancel(task) {
                        return Ok(Some(Doing::Reports([6, 0, 0])));
                    }
                    self.domains[domain].exclusive = None;
                    if code == 1 {
                        let waits = Doing::Waits(Until::NotExcluded, Then::AfterYield);
                        return Ok(Some(waits));
                    }
                    let set = self.set(domain, set)?;
                    self.sets[set].1 += 1;
                    let waits = Doing::Waits(Until::Callback(set), Then::CallbackEvent(set));
                    return Ok(Some(waits));
                }
            }
        }
        self.exit(thread)?;
        Ok(None)
    }

    fn begin_copy(
        &mut self,
        end: Wid,
        pointer: u32,
        length: u32,
        is_async: bool,
    ) -> Checked<Doing> {
        let Waitable { set, domain, .. } = *self.waitable(end);
        if self.end(end).state != EndState::Idle {
            return Err("an end copies that is not idle");
        }
        if set.is_some() && !is_async {
            return Err("an end in a set copies synchronously");
        }
        debug_assert!(pointer + length <= BUFFERS + BUFFER_BYTES);
        let buffer = Buffer {
            domain,
            pointer,
            progress: 0,
            length,
        };
        self.copy(end, buffer);
        Ok(self.event_or_wait(end, is_async))
    }

    fn event_or_wait(&mut self, end: Wid, is_async: bool) -> Doing {
        if self.waitable(end).pending {
            Doing::Reports([self.take_event(end)[2], 0, 0])
        } else if is_async {
            Doing::Reports([BLOCKED, 0, 0])
        } else {
            self.waitable_mut(end).has_waiter = true;
            Doing::Waits(Until::Event(end), Then::Payload(end))
        }
    }

    fn cancel_copy(&mut self, domain: usize, op: Op, handle: u32) -> Checked<u32> {
        let is_future = op as u8 >= Op::FutureCancelRead as u8;
        let (writes, is_async) = match op {
            Op::StreamCancelRead | Op::FutureCancelRead => (false, false),
            Op::StreamCancelReadAsync | Op::FutureCancelReadAsync => (false, true),
            Op::StreamCancelWrite | Op::FutureCancelWrite => (true, false),
            _ => (true, true),
        };
        let end = self.find_end(domain, handle, is_future, writes)?;
        let Waitable {
            set, has_waiter, ..
        } = *self.waitable(end);
        if self.end(end).state != EndState::Copying {
            return Err("a copy is cancelled that is not under way");
        }
        if has_waiter || set.is_some() && !is_async {
            return Err("a copy is cancelled that someone waits for");
        }
        self.end_mut(end).state = EndState::Cancelling;
        if !self.waitable(end).pending {
            self.notify(end, 0);
        }
        Ok(self.take_event(end)[2])
    }

    fn forward(&mut self, domain: usize, is_future: bool, reader: u32, writer: u32) -> Checked {
        let mut ends = [0; 2];
        for (writes, handle) in [(false, reader), (true, writer)] {
            let end = self.find_end(domain, handle, is_future, writes)?;
            if self.end(end).state != EndState::Idle || self.waitable(end).set.is_some() {
                return Err("an end is forwarded that is in use");
            }
            self.domains[domain].handles.remove(handle);
            ends[usize::from(writes)] = end;
        }
        let [source, target] = ends;
        let others = (self.end(source).other, self.end(target).other);
        let (Some(writer), Some(reader)) = others else {
            self.drop_waitable(source);
            self.drop_waitable(target);
            return Ok(());
        };
        if writer == target {
            self.drop_waitable(source);
            self.drop_waitable(target);
            return Ok(());
        }
        self.end_mut(writer).other = Some(reader);
        self.end_mut(reader).other = Some(writer);
        self.waitables[source] = None;
        self.waitables[target] = None;
        let (Some(from), Some(to)) = (self.end(writer).buffer, self.end(reader).buffer) else {
            return Ok(());
        };
        let (smaller, buffer) = match to.remain() > from.remain() {
            true => (writer, from),
            false => (reader, to),
        };
        self.end_mut(smaller).buffer = None;
        self.copy(smaller, buffer);
        Ok(())
    }

    fn cancel(&mut self, domain: usize, handle: u32, is_async: bool) -> Checked<Doing> {
        let key = self.subtask_at(domain, handle)?;
        let Subtask {
            is_delivered,
            cancel_requested,
            state,
            task,
            ..
        } = *self.subtask(key);
        if is_delivered || cancel_requested {
            return Err("a subtask is cancelled that has ended, or was cancelled");
        }
        if self.waitable(key).set.is_some() {
            return Err("a subtask in a set is cancelled");
        }
        if state >= 2 {
            return Ok(Doing::Reports([self.take_event(key)[2], 0, 0]));
        }
        self.subtask_mut(key).cancel_requested = true;
        if self.subtask(key).host.is_some() {
            self.subtask_mut(key).state = 4;
            return Ok(Doing::Reports([self.take_event(key)[2], 0, 0]));
        }
        if self.task(task).state == TaskState::Initial {
            // It learns of it at once, before anything else runs.
            let domain = self.task(task).domain;
            self.domains[domain].leave_queue();
            self.thread_mut(task).status = Status::Ended;
            self.resolve(task, None)?;
            return Ok(Doing::Reports([self.take_event(key)[2], 0, 0]));
        }
        self.waitable_mut(key).has_waiter = true;
        self.task_mut(task).state = TaskState::PendingCancel;
        let ran = false;
        Ok(Doing::Cancels {
            subtask: key,
            is_async,
            ran,
        })
    }

    fn call(
        &mut self,
        caller: usize,
        is_async: bool,
        callee: u32,
        param: (u32, u32),
    ) -> Checked<Option<Doing>> {
        let functions = callee as usize / 2;
        let domain = caller + 1 + functions / Kind::ALL.len();
        let kind = Kind::ALL[functions % Kind::ALL.len()];
        let task = self.threads.len();
        let subtask = self.add_waitable(caller, WaitableKind::Subtask(Subtask::new(task)));
        let current = *self.stack.last().expect("a thread runs");
        self.thread_mut(current).doing = Doing::Called { subtask, is_async };
        if param.0 != 0
            && let Ok(end) = self.find_end(caller, param.1, param.0 == 2, false)
        {
            self.end_mut(end).is_promised = true;
        }
        self.add_task(kind, domain, Some(subtask), param);
        self.try_enter(task);
        Ok(None)
    }

    fn call_host(&mut self, domain: usize, is_async: bool, number: u32) -> Doing {
        if number & AT_ONCE != 0 {
            let result = if is_async { 2 } else { host_result(number) };
            return Doing::Reports([result, 0, 0]);
        }
        let mut subtask = Subtask::new(usize::MAX);
        (subtask.state, subtask.host, subtask.has_handle) = (1, Some(number), is_async);
        let call = self.add_waitable(domain, WaitableKind::Subtask(subtask));
        if !is_async {
            return Doing::Waits(Until::Resolved(call), Then::HostResult(call));
        }
        let index = self.domains[domain].handles.add(Handle::Waitable(call));
        self.waitable_mut(call).index = index;
        Doing::Reports([1 | index << 4, 0, 0])
    }

    fn add_waitable(&mut self, domain: usize, kind: WaitableKind) -> Wid {
        self.waitables.push(Some(Waitable {
            domain,
            index: 0,
            pending: false,
            set: None,
            has_waiter: false,
            kind,
        }));
        self.waitables.len() - 1
    }

    fn peek(&self, domain: usize, at: u32) -> Report {
        if at < BUFFERS + BUFFER_BYTES {
            let at = (at - BUFFERS) as usize;
            let word = |at: usize| {
                let bytes = &self.domains[domain].memory[at..at + 4];
                u32::from_le_bytes(bytes.try_into().expect("four bytes"))
            };
            return [word(at), word(at + 4), 0];
        }
        let mut results = self.waitables.iter().flatten().filter_map(|waitable| {
            let WaitableKind::Subtask(subtask) = &waitable.kind else {
                return None;
            };
            let (place, result) = match subtask.host {
                Some(number) if subtask.state == 2 => {
                    (host_result_place(number), (host_result(number), 0))
                }
                Some(_) => return None,
                None => (result_place(subtask.task as u32), subtask.result),
            };
            (waitable.domain == domain && place == at).then_some(result)
        });
        let (case, value) = results.next_back().unwrap_or_default();
        [case, value, 0]
    }

    /// Returns the handles of the ends of a component instance that can be passed on.
    pub fn readers_to_pass(&self, domain: usize) -> Vec<(u32, u32)> {
        let handles = self.domains[domain].handles.iter();
        let ends = handles.filter_map(|(index, handle)| {
            let Handle::Waitable(waitable) = handle else {
                return None;
            };
            let Waitable { set, kind, .. } = self.waitable(waitable);
            match kind {
                WaitableKind::End(End {
                    is_future,
                    writes: false,
                    state: EndState::Idle,
                    is_promised: false,
                    ..
                }) if set.is_none() => Some((1 + u32::from(*is_future), index)),
                _ => None,
            }
        });
        ends.collect()
    }

    /// Returns whether a guest has called a task.
    pub fn has_guest_caller(&self, task: Tid) -> bool {
        self.task(task).caller.is_some()
    }

    /// Returns the task of a thread.
    pub fn task_of(&self, thread: Tid) -> &Task {
        self.task(self.thread(thread).task)
    }
}

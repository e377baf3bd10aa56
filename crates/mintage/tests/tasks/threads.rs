//! Tasks and threads: how they begin, wait, go on and end (`definitions.py`, "Threads", "Tasks").

use crate::guest::{BEGINS, Kind, host_result};
use crate::model::{
    Checked, Doing, EndState, Handle, Model, Report, Status, TASK_CANCELLED, Task, TaskState, Then,
    Thread, Tid, Until, Value, WaitableKind, Wid,
};

impl Model {
    /// Adds a thread of a task, which is suspended.
    pub fn add_thread(&mut self, task: Tid, domain: usize) -> Tid {
        self.threads.push(Some(Thread {
            task,
            domain,
            index: 0,
            context: 0,
            status: Status::Suspended,
            until: Until::Turn,
            then: Then::Zero,
            doing: Doing::Reports([0; 3]),
            is_new: true,
        }));
        let thread = self.threads.len() - 1;
        self.tasks.resize(thread + 1, None);
        thread
    }

    pub fn add_task(
        &mut self,
        kind: Kind,
        domain: usize,
        caller: Option<Wid>,
        param: Value,
    ) -> Tid {
        let task = self.threads.len();
        self.add_thread(task, domain);
        self.tasks[task] = Some(Task {
            kind,
            domain,
            state: TaskState::Initial,
            caller,
            param,
            threads: 0,
            result: None,
        });
        task
    }

    /// Returns the number of the next thread.
    pub fn next_thread(&self) -> u32 {
        self.threads.len() as u32
    }

    /// Notes that the host calls a function. It begins when nothing is on the stack.
    pub fn call_by_host(&mut self, kind: Kind, domain: usize) -> Tid {
        let task = self.add_task(kind, domain, None, (0, 77));
        self.queued.push_back(task);
        task
    }

    pub fn has_backpressure(&self, task: Tid) -> bool {
        let Task { domain, kind, .. } = *self.task(task);
        let domain = &self.domains[domain];
        domain.backpressure > 0 || kind.is_exclusive() && domain.exclusive.is_some()
    }

    /// `enter_implicit_thread`, first half: the task begins, or waits to.
    pub fn try_enter(&mut self, task: Tid) {
        let Task { domain, kind, .. } = *self.task(task);
        let waits = self.has_backpressure(task) || self.domains[domain].waiting_to_enter > 0;
        if kind.is_async_type() && waits {
            self.domains[domain].waiting_to_enter += 1;
            self.start_waiting(task, Until::Enter, Then::Enter);
        } else {
            self.begin(task);
        }
    }

    /// `enter_implicit_thread`, second half, and `Task.start`.
    pub fn begin(&mut self, task: Tid) {
        let Task {
            domain,
            kind,
            caller,
            param,
            ..
        } = *self.task(task);
        if kind.is_exclusive() {
            self.domains[domain].exclusive = Some(task);
        }
        self.register(task);
        self.task_mut(task).state = TaskState::Started;
        if let Some(subtask) = caller {
            self.subtask_mut(subtask).state = 1;
            self.progress(subtask);
        }
        let from = caller.map(|subtask| self.waitable(subtask).domain);
        let doing = match self.pass(param, from, Some(domain)) {
            Ok((disc, value)) => Doing::Reports([disc, value, BEGINS]),
            Err(why) => Doing::Traps(why),
        };
        self.run(task, doing);
    }

    pub fn register(&mut self, thread: Tid) {
        let Thread { task, domain, .. } = *self.thread(thread);
        self.thread_mut(thread).index = self.domains[domain].threads.add(thread);
        self.task_mut(task).threads += 1;
    }

    /// Makes a thread the one that runs.
    pub fn run(&mut self, thread: Tid, doing: Doing) {
        let entry = self.thread_mut(thread);
        (entry.status, entry.doing) = (Status::Running, doing);
        self.stack.push(thread);
    }

    pub fn start_waiting(&mut self, thread: Tid, until: Until, then: Then) {
        let entry = self.thread_mut(thread);
        entry.status = Status::Waiting;
        (entry.until, entry.then) = (until, then);
    }

    pub fn holds(&self, thread: Tid, until: Until) -> bool {
        let Thread { domain, task, .. } = *self.thread(thread);
        let excluded = self.domains[domain].exclusive.is_some();
        let has_event = |set: usize| {
            let mut members = self.sets[set].0.iter();
            members.any(|&member| self.waitable(member).pending)
        };
        match until {
            Until::Turn => true,
            Until::Enter => !self.has_backpressure(task),
            Until::NotExcluded => !excluded,
            Until::Callback(set) => {
                let cancelled = self.task(task).state == TaskState::PendingCancel;
                !excluded && (cancelled || has_event(set))
            }
            Until::SetEvent(set) => has_event(set),
            Until::Event(waitable) => self.waitable(waitable).pending,
            Until::Resolved(waitable) => self.subtask(waitable).state >= 2,
        }
    }

    /// Returns whether a thread waits and can go on.
    pub fn is_ready(&self, thread: Tid) -> bool {
        let Thread { status, until, .. } = *self.thread(thread);
        status == Status::Waiting && self.holds(thread, until)
    }

    /// Returns the threads that are ready: of all component instances, or of one those that have
    /// begun.
    pub fn candidates(&self, domain: Option<usize>) -> Vec<Tid> {
        match domain {
            None => (0..self.threads.len())
                .filter(|&thread| self.is_ready(thread))
                .collect(),
            Some(domain) => {
                let threads = self.domains[domain].threads.iter();
                let threads = threads.map(|(_, thread)| thread);
                threads.filter(|&thread| self.is_ready(thread)).collect()
            }
        }
    }

    /// Lets a thread go on that has waited. `report` decides what the specification leaves open.
    pub fn resume(&mut self, thread: Tid, report: Report) -> Checked {
        let Thread { then, domain, .. } = *self.thread(thread);
        if then == Then::Enter {
            self.domains[domain].waiting_to_enter -= 1;
            self.begin(thread);
            return Ok(());
        }
        self.run(thread, Doing::Reports([0; 3]));
        let doing = self.after_wait(thread, then, report)?;
        self.thread_mut(thread).doing = doing;
        Ok(())
    }

    pub fn after_wait(&mut self, thread: Tid, then: Then, report: Report) -> Checked<Doing> {
        let task = self.thread(thread).task;
        let results = match then {
            Then::Zero => [0; 3],
            Then::Begin => [0, 0, BEGINS],
            Then::Enter => unreachable!("see `resume`"),
            Then::AfterYield | Then::CallbackEvent(_) => {
                self.domain_of(thread).exclusive = Some(thread);
                if let Then::CallbackEvent(set) = then {
                    self.sets[set].1 -= 1;
                }
                match (self.deliver_cancel(task), then) {
                    (true, _) => TASK_CANCELLED,
                    (false, Then::CallbackEvent(set)) => self.set_event(set, report)?,
                    (false, _) => [0; 3],
                }
            }
            Then::SetEvent(set) => {
                self.sets[set].1 -= 1;
                self.set_event(set, report)?
            }
            Then::Payload(waitable) => {
                self.waitable_mut(waitable).has_waiter = false;
                [self.take_event(waitable)[2], 0, 0]
            }
            Then::Result(subtask) => return Ok(self.synchronous_result(subtask)),
            Then::HostResult(subtask) => {
                let host = self.subtask(subtask).host;
                self.subtask_mut(subtask).is_delivered = true;
                [host.map_or(0, host_result), 0, 0]
            }
            Then::Cancelled(subtask) => {
                self.waitable_mut(subtask).has_waiter = false;
                [self.take_event(subtask)[2], 0, 0]
            }
        };
        Ok(Doing::Reports(results))
    }

    pub fn deliver_cancel(&mut self, task: Tid) -> bool {
        let task = self.task_mut(task);
        let pending = task.state == TaskState::PendingCancel;
        if pending {
            task.state = TaskState::CancelDelivered;
        }
        pending
    }

    /// Ends a thread (`unregister_thread`).
    pub fn end_thread(&mut self, thread: Tid) -> Checked {
        let Thread {
            task,
            domain,
            index,
            ..
        } = *self.thread(thread);
        self.domains[domain].threads.remove(index);
        self.task_mut(task).threads -= 1;
        let Task { threads, state, .. } = *self.task(task);
        self.thread_mut(thread).status = Status::Ended;
        if threads == 0 && state != TaskState::Resolved {
            return Err("the last thread ends without a result");
        }
        Ok(())
    }

    /// `exit_implicit_thread`
    pub fn exit(&mut self, thread: Tid) -> Checked {
        self.end_thread(thread)?;
        if self.task(thread).kind.is_exclusive() {
            self.domain_of(thread).exclusive = None;
        }
        self.stack.pop();
        Ok(())
    }

    /// Resolves a task with a result, or without one if it is cancelled.
    pub fn resolve(&mut self, task: Tid, result: Option<Value>) -> Checked {
        let Task { domain, caller, .. } = *self.task(task);
        if let Some(subtask) = caller {
            let target = self.waitable(subtask).domain;
            let state = match (result, self.subtask(subtask).state) {
                (Some(result), _) => {
                    let result = self.pass(result, Some(domain), Some(target))?;
                    self.subtask_mut(subtask).result = result;
                    2
                }
                (None, 0) => 3,
                (None, _) => 4,
            };
            self.subtask_mut(subtask).state = state;
            self.progress(subtask);
        } else if let Some(result) = result {
            self.task_mut(task).result = Some(result.1);
        }
        self.task_mut(task).state = TaskState::Resolved;
        Ok(())
    }

    /// `on_progress`
    pub fn progress(&mut self, subtask: Wid) {
        if self.subtask(subtask).has_handle {
            self.waitable_mut(subtask).pending = true;
        }
    }

    /// Moves a value between component instances. Without one, the host has it.
    pub fn pass(&mut self, value: Value, from: Option<usize>, to: Option<usize>) -> Checked<Value> {
        let (case, handle) = value;
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(value);
        };
        if case == 0 {
            return Ok(value);
        }
        let end = self.reader(from, handle, case == 2)?;
        if self.end(end).state != EndState::Idle {
            return Err("an end is passed on that is not idle");
        }
        if self.waitable(end).set.is_some() {
            return Err("an end is passed on that is in a set");
        }
        self.domains[from].handles.remove(handle);
        let index = self.domains[to].handles.add(Handle::Waitable(end));
        self.end_mut(end).is_promised = false;
        let entry = self.waitable_mut(end);
        (entry.domain, entry.index) = (to, index);
        Ok((case, index))
    }

    pub fn reader(&self, domain: usize, handle: u32, is_future: bool) -> Checked<Wid> {
        self.find_end(domain, handle, is_future, false)
    }

    pub fn find_end(
        &self,
        domain: usize,
        handle: u32,
        is_future: bool,
        writes: bool,
    ) -> Checked<Wid> {
        match self.domains[domain].handles.get(handle) {
            Some(Handle::Waitable(waitable)) => match &self.waitable(waitable).kind {
                WaitableKind::End(end) if end.is_future == is_future && end.writes == writes => {
                    Ok(waitable)
                }
                _ => Err("the handle is of another kind"),
            },
            Some(Handle::Set(_)) => Err("the handle is of a set"),
            None => Err("there is no such handle"),
        }
    }
}

impl Model {
    /// Lets a thread go on in place of the one that was on top of the stack.
    pub fn go_on(&mut self, thread: Tid, then: Then) {
        let report = match then {
            Then::Begin => [0, 0, BEGINS],
            _ => [0; 3],
        };
        self.run(thread, Doing::Reports(report));
    }

    /// Lets a thread go on at once that waits and is ready. What it sees is decided when it
    /// reports.
    pub fn promote(&mut self, thread: Tid) {
        let then = self.thread(thread).then;
        self.run(thread, Doing::Promoted(then));
    }
}

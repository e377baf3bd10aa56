//! Who may go on, what it must see, and what it means that no one does.

use crate::model::{
    BLOCKED, Checked, Doing, Handle, Model, Report, Subtask, Task, Then, Tid, Until, Waitable,
    WaitableKind, Wid,
};

impl Model {
    /// Checks that this thread may go on, and has seen these results. `breaks` of the threads that
    /// cancel a subtask, the last ones on the stack, do not let others run any more, but wait.
    ///
    /// # Errors
    ///
    /// The rule that does not allow it, or that not so many threads have that choice.
    pub fn report(&mut self, thread: Tid, report: Report, breaks: u32) -> Checked {
        let mut breaks = breaks;
        loop {
            let Some(&top) = self.stack.last() else {
                self.next_of_host(thread, report)?;
                continue;
            };
            match self.thread(top).doing {
                Doing::Reports(_) if top != thread => {
                    return Err("another thread goes on than the one that must");
                }
                Doing::Reports(expected) => {
                    self.thread_mut(thread).is_new = false;
                    return match expected == report {
                        true if breaks > 0 => Err("there is no such choice"),
                        true => Ok(()),
                        false => Err("it reports other results than these"),
                    };
                }
                Doing::Traps(why) => return Err(why),
                Doing::Promoted(_) if top != thread => {
                    return Err("another thread goes on than the one that was promoted");
                }
                Doing::Promoted(then) => {
                    let doing = self.after_wait(top, then, report)?;
                    self.thread_mut(top).doing = doing;
                }
                Doing::Polls(set) => {
                    let results = match self.holds(top, Until::SetEvent(set)) {
                        true => self.set_event(set, report)?,
                        false => [0; 3],
                    };
                    self.thread_mut(top).doing = Doing::Reports(results);
                }
                Doing::Waits(until, then) => {
                    if top == thread && self.holds(top, until) {
                        let doing = self.after_wait(top, then, report)?;
                        self.thread_mut(top).doing = doing;
                    } else {
                        self.block(until, then);
                    }
                }
                Doing::Called { subtask, is_async } => {
                    self.called(top, subtask, is_async, |model, candidates| match candidates
                        .contains(&thread)
                    {
                        true => model.resume(thread, report),
                        false => Err("a thread goes on that cannot while another one blocks"),
                    })?;
                }
                Doing::Cancels {
                    subtask,
                    is_async,
                    ran,
                } => {
                    let domain = self.task(self.subtask(subtask).task).domain;
                    let candidates = self.candidates(Some(domain));
                    let resolved = self.subtask(subtask).state >= 2;
                    let may_break = !is_async && ran && !resolved;
                    if breaks > 0 && may_break {
                        breaks -= 1;
                        self.has_cancelled(top, subtask, is_async);
                    } else if !resolved && candidates.contains(&thread) {
                        let ran = true;
                        self.thread_mut(top).doing = Doing::Cancels {
                            subtask,
                            is_async,
                            ran,
                        };
                        self.resume(thread, report)?;
                    } else if resolved || ran || candidates.is_empty() {
                        self.has_cancelled(top, subtask, is_async);
                    } else {
                        return Err("no thread has run that could learn of the cancellation");
                    }
                }
            }
        }
    }

    /// Makes the thread that runs wait.
    pub fn block(&mut self, until: Until, then: Then) {
        let thread = self.stack.pop().expect("a thread runs");
        self.start_waiting(thread, until, then);
    }

    /// Lets the event loop of the host choose.
    pub fn next_of_host(&mut self, thread: Tid, report: Report) -> Checked {
        // Calls of the host try to enter before anything else goes on.
        if let Some(task) = self.queued.pop_front() {
            self.try_enter(task);
            return Ok(());
        }
        match self.candidates(None).contains(&thread) {
            true => self.resume(thread, report),
            false => Err("a thread goes on that cannot"),
        }
    }

    /// Decides what follows a call of a task, when control is back at the caller. `choose` lets
    /// one of some threads go on, while a function blocks whose type is not `async`.
    pub fn called(
        &mut self,
        thread: Tid,
        subtask: Wid,
        is_async: bool,
        choose: impl FnOnce(&mut Self, Vec<Tid>) -> Checked,
    ) -> Checked {
        let Subtask { task, state, .. } = *self.subtask(subtask);
        let resolved = state >= 2;
        let Task { kind, domain, .. } = *self.task(task);
        if !resolved && !kind.is_async_type() {
            let candidates = self.candidates(Some(domain));
            return choose(self, candidates);
        }
        self.thread_mut(thread).doing = match (is_async, resolved) {
            (false, true) => self.synchronous_result(subtask),
            (false, false) => Doing::Waits(Until::Resolved(subtask), Then::Result(subtask)),
            (true, true) => {
                self.subtask_mut(subtask).is_delivered = true;
                Doing::Reports([2, 0, 0])
            }
            (true, false) => {
                let index = self
                    .domain_of(thread)
                    .handles
                    .add(Handle::Waitable(subtask));
                self.waitable_mut(subtask).index = index;
                self.subtask_mut(subtask).has_handle = true;
                Doing::Reports([state | index << 4, 0, 0])
            }
        };
        Ok(())
    }

    pub fn synchronous_result(&mut self, subtask: Wid) -> Doing {
        let subtask = self.subtask_mut(subtask);
        subtask.is_delivered = true;
        let (case, value) = subtask.result;
        Doing::Reports([case, value, 0])
    }

    /// Goes on in `subtask.cancel`, after others have run.
    pub fn has_cancelled(&mut self, thread: Tid, subtask: Wid, is_async: bool) {
        let resolved = self.subtask(subtask).state >= 2;
        self.thread_mut(thread).doing = if resolved {
            self.waitable_mut(subtask).has_waiter = false;
            Doing::Reports([self.take_event(subtask)[2], 0, 0])
        } else if is_async {
            self.waitable_mut(subtask).has_waiter = false;
            Doing::Reports([BLOCKED, 0, 0])
        } else {
            Doing::Waits(Until::Resolved(subtask), Then::Cancelled(subtask))
        };
    }

    /// Returns the calls of the host that have not returned.
    pub fn host_calls(&self) -> Vec<Wid> {
        let waitables = self.waitables.iter().enumerate();
        let calls = waitables.filter(|(_, waitable)| match waitable {
            Some(Waitable {
                kind: WaitableKind::Subtask(Subtask { host, state, .. }),
                ..
            }) => host.is_some() && *state < 2,
            _ => false,
        });
        calls.map(|(number, _)| number).collect()
    }

    /// Notes that a call of the host returns. Returns its number.
    pub fn host_returns(&mut self, call: Wid) -> u32 {
        self.subtask_mut(call).state = 2;
        self.progress(call);
        self.subtask(call).host.expect("the host has the call")
    }

    /// Checks that nothing can go on.
    ///
    /// # Errors
    ///
    /// If a thread could.
    pub fn check_idle(&mut self) -> Checked {
        match self.settle()? {
            Some(_) => Err("a guest had to trap"),
            None if self.candidates(None).is_empty() => Ok(()),
            None => Err("a thread could go on"),
        }
    }

    /// Checks that the guest must trap.
    ///
    /// # Errors
    ///
    /// If it must not.
    pub fn check_trap(&mut self) -> Checked<&'static str> {
        let traps = self.settle()?.or_else(|| self.begin_that_traps());
        traps.ok_or("a guest had no reason to trap")
    }

    /// Returns why a task must trap that may begin: the caller cannot pass its parameter any more.
    fn begin_that_traps(&self) -> Option<&'static str> {
        let ready = self.candidates(None).into_iter();
        let entering = ready.filter(|&thread| self.thread(thread).then == Then::Enter);
        entering.into_iter().find_map(|task| {
            let mut begun = self.clone();
            begun.resume(task, [0; 3]).ok()?;
            match begun.thread(task).doing {
                Doing::Traps(why) => Some(why),
                _ => None,
            }
        })
    }

    /// Takes all steps that need no choice. Returns why a guest must trap, if it must.
    pub fn settle(&mut self) -> Checked<Option<&'static str>> {
        loop {
            let Some(&top) = self.stack.last() else {
                let Some(task) = self.queued.pop_front() else {
                    return Ok(None);
                };
                self.try_enter(task);
                continue;
            };
            match self.thread(top).doing {
                Doing::Traps(why) => return Ok(Some(why)),
                Doing::Reports(_) | Doing::Polls(_) | Doing::Promoted(_) => {
                    return Err("a thread had to go on");
                }
                Doing::Waits(until, then) => self.block(until, then),
                Doing::Called { subtask, is_async } => {
                    let mut blocks = false;
                    self.called(top, subtask, is_async, |_, candidates| {
                        blocks = true;
                        match candidates.is_empty() {
                            true => Ok(()),
                            false => Err("a thread could go on while another one blocks"),
                        }
                    })?;
                    if blocks {
                        return Ok(Some("a function blocks whose type is not async"));
                    }
                }
                Doing::Cancels {
                    subtask, is_async, ..
                } => {
                    self.has_cancelled(top, subtask, is_async);
                }
            }
        }
    }
}

//! [`Models`]: all states that what was reported so far allows.
//!
//! A thread that need not wait may go on at once, or let others run before (`Thread.wait_until`).
//! If it is the next one to report, both may have happened, and only what follows can tell. The
//! same holds for a thread that cancels a subtask: another one that reports may run within that, or
//! after the cancelling thread has begun to wait (`Task.request_cancellation`).

use crate::guest::Kind;
use crate::model::{Checked, Doing, Model, Report, Then, Tid, Until, Wid};
use crate::rules::Step;

#[derive(Debug)]
pub struct Models(Vec<Model>);

impl Models {
    pub fn new() -> Self {
        Models(vec![Model::new()])
    }

    /// Returns one of the states. What they differ in is only who waits on the stack.
    pub fn one(&self) -> &Model {
        &self.0[0]
    }

    /// Returns the number of states.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// See [`Model::report`].
    pub fn report(&mut self, thread: Tid, report: Report) -> Checked {
        let ready = self.0.iter().filter_map(|model| {
            let (until, then) = model.need_not_wait(thread)?;
            let mut waited = model.clone();
            waited.block(until, then);
            Some(waited)
        });
        let waited: Vec<Model> = ready.collect();
        self.0.extend(waited);
        // The threads that cancel may have stopped to let others run.
        let cancelling: Vec<(Model, u32)> = self.0.iter().flat_map(Model::breaks).collect();
        let broken = cancelling.into_iter().filter_map(|(mut model, breaks)| {
            let checked = model.report(thread, report, breaks);
            checked.is_ok().then_some(model)
        });
        let broken: Vec<Model> = broken.collect();
        match self.keep(|model| model.report(thread, report, 0)) {
            Ok(()) => self.0.extend(broken),
            Err(why) if broken.is_empty() => return Err(why),
            Err(_) => self.0 = broken,
        }
        let mut at = 1;
        while at < self.0.len() {
            match self.0[..at].contains(&self.0[at]) {
                true => drop(self.0.swap_remove(at)),
                false => at += 1,
            }
        }
        Ok(())
    }

    /// Keeps the states that a check allows.
    ///
    /// # Errors
    ///
    /// What the check says of the first one, if it allows none. All are kept then.
    fn keep<R>(&mut self, check: impl Fn(&mut Model) -> Checked<R>) -> Checked<R> {
        let checked: Vec<_> = self.0.iter_mut().map(check).collect();
        if checked.iter().all(Result::is_err) {
            return checked.into_iter().next().expect("there is a state");
        }
        let mut kept = checked.iter().map(Result::is_ok);
        self.0.retain(|_| kept.next().expect("one for each state"));
        checked
            .into_iter()
            .find(Result::is_ok)
            .expect("one is allowed")
    }

    pub fn apply(&mut self, thread: Tid, step: Step) {
        self.0
            .iter_mut()
            .for_each(|model| model.apply(thread, step));
    }

    /// See [`Model::call_by_host`].
    pub fn call_by_host(&mut self, kind: Kind, domain: usize) -> Tid {
        let tasks = self
            .0
            .iter_mut()
            .map(|model| model.call_by_host(kind, domain));
        tasks.last().expect("there is a state")
    }

    /// See [`Model::host_returns`].
    pub fn host_returns(&mut self, call: Wid) -> u32 {
        let numbers = self.0.iter_mut().map(|model| model.host_returns(call));
        numbers.last().expect("there is a state")
    }

    /// See [`Model::check_idle`].
    pub fn check_idle(&mut self) -> Checked {
        self.keep(Model::check_idle)
    }

    /// See [`Model::check_trap`].
    pub fn check_trap(&mut self) -> Checked<&'static str> {
        self.keep(Model::check_trap)
    }
}

impl Model {
    /// Returns this for each number of threads that may break off a cancellation.
    fn breaks(&self) -> Vec<(Model, u32)> {
        let cancels = |&&thread: &&Tid| {
            let doing = self.thread(thread).doing;
            matches!(
                doing,
                Doing::Cancels {
                    is_async: false,
                    ran: true,
                    ..
                }
            )
        };
        let count = self.stack.iter().filter(cancels).count() as u32;
        (1..=count).map(|breaks| (self.clone(), breaks)).collect()
    }

    /// Returns what a thread would wait for that runs and need not wait, unless it makes no
    /// difference.
    fn need_not_wait(&self, thread: Tid) -> Option<(Until, Then)> {
        let &[.., _, top] = &self.stack[..] else {
            return None;
        };
        match self.thread(top).doing {
            Doing::Waits(until, then) if top == thread && self.holds(top, until) => {
                Some((until, then))
            }
            _ => None,
        }
    }
}

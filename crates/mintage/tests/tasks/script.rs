//! [`Script`]: a program that works in every order, with one result.

use crate::guest::{Kind, result_place};
use crate::model::{Model, Report, Tid};
use crate::op::Op;
use crate::rules::{Step, callee_index};
use std::collections::HashMap;

/// The calls that the first task makes.
const CALLS: u32 = 12;

/// The result of the first task.
pub const RESULT: u32 = {
    let (mut sum, mut number) = (0, 0);
    while number < CALLS {
        sum += 2 * (number + 10) + 1;
        number += 1;
    }
    sum
};

/// A task of the first component instance makes calls of the second one, each of which yields and
/// makes a call of the third one. Each adds to the result of the one that it calls.
#[derive(Default)]
pub struct Script {
    threads: HashMap<Tid, State>,
}

/// How far a thread has come.
#[derive(Clone, Debug, Default)]
struct State {
    step: u32,
    number: u32,
    set: u32,
    /// The calls that have not returned, by handle.
    open: HashMap<u32, Tid>,
    /// The places of results that are there.
    results: Vec<u32>,
    made: u32,
    /// The call that has just returned.
    done: u32,
    sum: u32,
}

impl Script {
    pub fn next(&mut self, model: &Model, thread: Tid, report: Report) -> Step {
        let state = self.threads.entry(thread).or_default();
        let (kind, domain) = (model.task_of(thread).kind, model.thread(thread).domain);
        let calls = match domain {
            0 => CALLS,
            1 => 1,
            _ => 0,
        };
        if state.step == 0 {
            // It begins with its parameter.
            (state.number, state.step) = (report[1], 1);
        }
        state.next(model, report, kind, domain, calls)
    }
}

impl State {
    fn next(
        &mut self,
        model: &Model,
        report: Report,
        kind: Kind,
        domain: usize,
        calls: u32,
    ) -> Step {
        loop {
            match self.step {
                // Yields up to twice.
                1 if self.made < self.number % 3 => {
                    self.made += 1;
                    return match kind {
                        Kind::Callback => Step::new(Op::End, 1, 0, 0),
                        _ => Step::new(Op::Yield, 0, 0, 0),
                    };
                }
                1 => {
                    (self.step, self.made) = (2, 0);
                    return Step::new(Op::SetNew, 0, 0, 0);
                }
                2 => (self.set, self.step) = (report[0], 3),
                // Calls.
                3 if self.made < calls => {
                    let thread = model.next_thread();
                    let number = if domain == 0 { self.made } else { self.number };
                    let kinds = [Kind::Callback, Kind::Stackful, Kind::Blocking];
                    let callee = if domain == 0 {
                        number as usize % 2
                    } else {
                        number as usize % 3
                    };
                    let function = callee_index(domain, domain + 1, kinds[callee], true);
                    self.made += 1;
                    self.step = 4;
                    // It has no handle yet.
                    self.open.insert(0, thread as Tid);
                    return Step::new(Op::CallAsync, thread, function, number << 2);
                }
                3 => self.step = 6,
                4 => {
                    let (state, handle) = (report[0] & 15, report[0] >> 4);
                    let thread = self.open.remove(&0).expect("it has just called");
                    self.step = 3;
                    if state == 2 {
                        self.results.push(result_place(thread as u32));
                    } else {
                        self.open.insert(handle, thread);
                        return Step::new(Op::Join, handle, self.set, 0);
                    }
                }
                // Waits.
                6 if self.open.is_empty() => self.step = 9,
                6 => {
                    self.step = 7;
                    return match kind {
                        Kind::Callback => Step::new(Op::End, 2 | self.set << 4, 0, 0),
                        _ => Step::new(Op::SetWait, self.set, 0, 0),
                    };
                }
                7 => {
                    self.step = 6;
                    if report[2] == 2
                        && let Some(thread) = self.open.remove(&report[1])
                    {
                        (self.step, self.done) = (8, report[1]);
                        return Step::new(Op::Peek, result_place(thread as u32), 0, 0);
                    }
                }
                8 => {
                    self.sum += report[1];
                    self.step = 6;
                    return Step::new(Op::SubtaskDrop, self.done, 0, 0);
                }
                // Adds.
                9 => match self.results.pop() {
                    Some(place) => {
                        self.step = 10;
                        return Step::new(Op::Peek, place, 0, 0);
                    }
                    None => {
                        self.step = 11;
                        let result = match domain {
                            0 => self.sum,
                            1 => 2 * self.sum + 1,
                            _ => self.number + 10,
                        };
                        return match kind {
                            Kind::Plain | Kind::Blocking => Step::new(Op::End, result, 0, 0),
                            _ => Step::new(Op::TaskReturn, result, 0, 0),
                        };
                    }
                },
                10 => {
                    self.sum += report[1];
                    self.step = 9;
                }
                _ => return Step::new(Op::End, 0, 0, 0),
            }
        }
    }
}

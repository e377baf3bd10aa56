//! What the specification leaves open: which thread that is ready goes on, which event of a set
//! comes first, and whether a thread goes on at once that need not wait.
//!
//! By default each is first come, first served. With a seed, all are drawn from one generator, so
//! that a test meets other orders, and can repeat each.

use super::{Concurrent, Key};
use mintage_environ::DomainId;
use std::collections::VecDeque;

/// A generator of pseudo-random numbers (splitmix64).
pub(super) struct Choices(u64);

impl Choices {
    pub const fn new(seed: u64) -> Self {
        Choices(seed)
    }

    /// Returns a number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits % limit as u64) as usize
    }

    fn shuffle(&mut self, list: &mut VecDeque<Key>) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

impl<F> Concurrent<F> {
    /// Chooses the order of the threads that may be ready.
    pub(super) fn shuffle_ready(&mut self) {
        if let Some(choices) = &mut self.choices {
            choices.shuffle(&mut self.ready);
        }
    }

    /// Chooses the order of the tasks that wait to enter a component instance.
    pub(super) fn shuffle_entering(&mut self, domain: DomainId) {
        let Some(mut choices) = self.choices.take() else {
            return;
        };
        let state = self.domain(domain);
        choices.shuffle(&mut state.entering_exclusive);
        choices.shuffle(&mut state.entering);
        self.choices = Some(choices);
    }

    /// Chooses one of the members of a set that have events, of which `first` is the first.
    pub(super) fn choose_member(&mut self, first: Key) -> Key {
        let Some(mut choices) = self.choices.take() else {
            return first;
        };
        let members = std::iter::successors(Some(first), |&at| self.waitables[at].after);
        let at = choices.below(members.clone().count());
        let chosen = members.into_iter().nth(at);
        self.choices = Some(choices);
        chosen.unwrap_or(first)
    }

    /// Chooses whether a thread goes on at once whose condition holds, or lets others run before
    /// (`Thread.wait_until`). By default it does what `default` says.
    pub fn goes_on_at_once(&mut self, default: bool) -> bool {
        match &mut self.choices {
            Some(choices) => choices.below(2) == 0,
            None => default,
        }
    }

    /// Chooses how many threads have a turn when a task is asked to end, of `most`, which is not 0
    /// (`Task.request_cancellation`).
    pub fn cancel_turns(&mut self, most: usize) -> usize {
        match &mut self.choices {
            Some(choices) => 1 + choices.below(most),
            None => most,
        }
    }
}

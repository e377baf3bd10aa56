//! [`Kept`]: the instances of a thread that answer further requests.
//!
//! By default, there are none. A host that chooses so has instances answer several requests, one
//! after the other ([`Instance`]) or several at a time ([`SharedInstance`]).

use super::guest::{Instance, ProxyPre};
use super::shared::{Job, SharedInstance, Ticket};
use crate::WasiHttpView;
use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The most instances without a request that a service keeps, on all threads together.
pub const MAX_KEPT_INSTANCES: usize = 256;

/// How often instances answer requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reuse {
    /// The most requests of one instance.
    pub count: usize,
    /// The most that it answers at a time.
    pub at_once: usize,
    /// How long an instance is kept without a request.
    pub idle: Duration,
}

impl Default for Reuse {
    fn default() -> Self {
        Reuse {
            count: 1,
            at_once: 1,
            idle: Duration::from_secs(1),
        }
    }
}

impl Reuse {
    /// Returns whether an instance answers more than one request.
    pub fn is_on(&self) -> bool {
        self.count > 1
    }

    /// Returns whether an instance answers more than one request at a time.
    pub fn is_shared(&self) -> bool {
        self.is_on() && self.at_once > 1
    }
}

/// Counts the instances of a service that have no request.
#[derive(Clone, Debug, Default)]
pub(super) struct IdleCount(Arc<AtomicUsize>);

/// One of them. It counts until it is dropped.
pub(super) struct IdleSlot(Arc<AtomicUsize>);

impl IdleCount {
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Counts one more, unless there are as many as may be.
    pub fn take(&self) -> Option<IdleSlot> {
        let before = self.0.fetch_add(1, Relaxed);
        // Dropped where it is one too many.
        let slot = IdleSlot(self.0.clone());
        (before < MAX_KEPT_INSTANCES).then_some(slot)
    }
}

impl Drop for IdleSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The instances that answer further requests: those of one thread, if the service is a server's.
pub(super) struct Kept<T: 'static> {
    state: Mutex<State<T>>,
    count: IdleCount,
}

struct State<T: 'static> {
    /// The guest of all instances here.
    guest: Option<Arc<ProxyPre<T>>>,
    /// Those that answer one request at a time, while they have none. The last one was used last.
    idle: VecDeque<Idle<T>>,
    shared: Vec<Arc<SharedInstance>>,
    /// Ends instances that have no request for too long.
    sweeper: Option<JoinHandle<()>>,
    /// Set when no instances are kept any more.
    is_closed: bool,
}

/// An instance without a request.
struct Idle<T: 'static> {
    instance: Instance<T>,
    since: Instant,
    _slot: IdleSlot,
}

/// Instances that are not kept any more. They are dropped when the lock is not held.
struct Dropped<T: 'static> {
    _guest: Option<Arc<ProxyPre<T>>>,
    _idle: VecDeque<Idle<T>>,
    shared: Vec<Arc<SharedInstance>>,
}

impl<T: 'static> Drop for Dropped<T> {
    fn drop(&mut self) {
        for shared in &self.shared {
            shared.retire();
        }
    }
}

impl<T: 'static> State<T> {
    /// Takes out all instances.
    fn clear(&mut self) -> Dropped<T> {
        Dropped {
            _guest: self.guest.take(),
            _idle: mem::take(&mut self.idle),
            shared: mem::take(&mut self.shared),
        }
    }

    /// Returns whether instances of `guest` are kept.
    fn keeps(&self, guest: &Arc<ProxyPre<T>>) -> bool {
        let own = self.guest.as_ref();
        !self.is_closed && own.is_some_and(|own| Arc::ptr_eq(own, guest))
    }
}

impl<T: WasiHttpView + 'static> Kept<T> {
    /// Creates the place of a thread's instances. `count` counts those of all threads.
    pub fn new(count: IdleCount) -> Arc<Self> {
        Arc::new(Kept {
            state: Mutex::new(State {
                guest: None,
                idle: VecDeque::new(),
                shared: Vec::new(),
                sweeper: None,
                is_closed: false,
            }),
            count,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the count of instances that have no request.
    pub fn count(&self) -> &IdleCount {
        &self.count
    }

    /// Makes `guest` that of all instances, and ends those of another one.
    pub fn set_guest(&self, guest: &Arc<ProxyPre<T>>) {
        let others = {
            let mut state = self.lock();
            if state.is_closed || state.keeps(guest) {
                return;
            }
            let others = state.clear();
            state.guest = Some(guest.clone());
            others
        };
        drop(others);
    }

    /// Ends all instances, now or when they have answered their requests, and keeps no more.
    pub fn close(&self) {
        let all = {
            let mut state = self.lock();
            state.is_closed = true;
            state.clear()
        };
        drop(all);
    }

    /// Takes an instance that has no request.
    pub fn take(&self, guest: &Arc<ProxyPre<T>>) -> Option<Instance<T>> {
        self.set_guest(guest);
        let idle = self.lock().idle.pop_back();
        idle.map(|idle| idle.instance)
    }

    /// Keeps an instance that has answered a request, unless it has answered as many as it may.
    pub fn put(
        self: &Arc<Self>,
        reuse: &Reuse,
        guest: &Arc<ProxyPre<T>>,
        mut instance: Instance<T>,
    ) {
        if instance.begun >= reuse.count || !instance.is_reusable() {
            return;
        }
        instance.store.clear_deadline();
        let Some(slot) = self.count.take() else {
            return;
        };
        let idle = Idle {
            instance,
            since: Instant::now(),
            _slot: slot,
        };
        let mut state = self.lock();
        if state.keeps(guest) {
            state.idle.push_back(idle);
            self.sweep_later(&mut state, reuse.idle);
        } else {
            drop(state);
            drop(idle);
        }
    }

    /// Gives a request to an instance that has room for it.
    ///
    /// # Errors
    ///
    /// If there is none. The request is returned.
    pub fn join(
        &self,
        reuse: &Reuse,
        guest: &Arc<ProxyPre<T>>,
        mut job: Job,
    ) -> Result<Ticket, Job> {
        self.set_guest(guest);
        let mut state = self.lock();
        state.shared.retain(|shared| !shared.is_retired());
        for shared in &state.shared {
            match shared.join(reuse, job) {
                Ok(ticket) => return Ok(ticket),
                Err(back) => job = back,
            }
        }
        Err(job)
    }

    /// Keeps an instance for further requests while it answers its first one.
    pub fn share(
        self: &Arc<Self>,
        reuse: &Reuse,
        guest: &Arc<ProxyPre<T>>,
        shared: &Arc<SharedInstance>,
    ) {
        let mut state = self.lock();
        if state.keeps(guest) {
            state.shared.push(shared.clone());
            self.sweep_later(&mut state, reuse.idle);
        } else {
            drop(state);
            shared.retire();
        }
    }

    /// Has a task end instances that have no request for longer than `idle`, unless there is one.
    fn sweep_later(self: &Arc<Self>, state: &mut State<T>, idle: Duration) {
        // One that has finished belongs to a runtime that has ended.
        if state
            .sweeper
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            return;
        }
        let kept = Arc::downgrade(self);
        let period = (idle / 4).clamp(Duration::from_millis(5), Duration::from_millis(250));
        state.sweeper = Some(tokio::spawn(async move {
            loop {
                sleep(period).await;
                match kept.upgrade() {
                    Some(kept) if kept.sweep(idle) => {}
                    _ => return,
                }
            }
        }));
    }

    /// Ends instances that have no request for longer than `idle`. Returns whether others are left.
    fn sweep(&self, idle: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let is_over = |entry: &Idle<T>| now.saturating_duration_since(entry.since) >= idle;
        let fresh = state.idle.partition_point(is_over);
        let over: Vec<_> = state.idle.drain(..fresh).collect();
        state.shared.retain(|shared| {
            shared.retire_if_idle(now, idle);
            !shared.is_retired()
        });
        let is_empty = state.idle.is_empty() && state.shared.is_empty();
        if is_empty {
            state.sweeper = None;
        }
        drop(state);
        drop(over);
        !is_empty
    }
}

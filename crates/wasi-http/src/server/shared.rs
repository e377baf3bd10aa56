//! [`SharedInstance`]: an instance that answers several requests at a time.
//!
//! It runs as a task of its own, which gets requests ([`Job`]) and gives each a task in its store.
//! Whoever waits for the end of a request has a [`Ticket`].
//!
//! The store has one deadline, the earliest of its requests'. When one of these fails, by a trap or
//! its deadline, so do all others: the guest's state cannot be trusted any more. A client that goes
//! away does not end those of others. The instance takes no more requests then, and ends when only
//! such requests are left.

use super::call::{CallError, Sent};
use super::gate::Permit;
use super::guest;
use super::reuse::{IdleCount, IdleSlot, Reuse};
use crate::p3::Request;
use crate::p3::bindings::Service;
use crate::{WasiHttpCtxView, WasiHttpView};
use mintage::error::format_err;
use mintage::{Accessor, AccessorTask, AsContextMut, Error, Result, Store, Trap};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Makes the request of the client one for the guest.
pub(super) type MakeRequest =
    Box<dyn FnOnce(WasiHttpCtxView<'_>) -> Result<Request, CallError> + Send>;

/// How a request has ended.
type End = Result<(), CallError>;

/// A request for an instance.
pub(super) struct Job {
    pub request: MakeRequest,
    /// Gets the head of the response.
    pub sender: oneshot::Sender<Sent>,
    pub deadline: Option<Instant>,
    pub permit: Permit,
}

/// An instance that answers several requests at a time.
pub(super) struct SharedInstance {
    state: Mutex<State>,
    idle_count: IdleCount,
}

struct State {
    /// Requests that the task has not begun.
    new: VecDeque<(u64, Begin)>,
    /// All requests that have not ended, by their number, which ascends with the time.
    requests: BTreeMap<u64, Entry>,
    /// Those that have ended well, unless the guest has failed meanwhile: that ends their bodies,
    /// too.
    ended: Vec<Entry>,
    /// The number of requests so far.
    count: u64,
    /// Set when no more requests are taken.
    is_retired: bool,
    /// Set when the guest has failed, and the task is to end.
    has_failed: bool,
    /// Since when there has been nothing to do.
    idle: Option<(Instant, Option<IdleSlot>)>,
    /// The permit of the last request that has ended. It is kept while the guest goes on.
    last: Option<Permit>,
    /// The instance's task.
    task: Option<Waker>,
}

/// A request that has not begun.
struct Begin {
    request: MakeRequest,
    sender: oneshot::Sender<Sent>,
}

/// A request that has not ended.
struct Entry {
    deadline: Option<Instant>,
    end: oneshot::Sender<End>,
    permit: Permit,
    /// Set if its client has gone away.
    is_abandoned: bool,
}

impl State {
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Returns whether there are requests, and all of their clients have gone away.
    fn is_abandoned(&self) -> bool {
        !self.requests.is_empty() && self.requests.values().all(|entry| entry.is_abandoned)
    }
}

impl SharedInstance {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task of an instance with its first request.
    pub fn start<T: WasiHttpView + 'static>(
        store: Store<T>,
        service: Service,
        job: Job,
        idle_count: &IdleCount,
    ) -> (Arc<Self>, Ticket) {
        let shared = Arc::new(SharedInstance {
            state: Mutex::new(State {
                new: VecDeque::new(),
                requests: BTreeMap::new(),
                ended: Vec::new(),
                count: 0,
                is_retired: false,
                has_failed: false,
                idle: None,
                last: None,
                task: None,
            }),
            idle_count: idle_count.clone(),
        });
        let ticket = shared.add(&mut shared.lock(), job);
        tokio::spawn(run(shared.clone(), store, Arc::new(service)));
        (shared, ticket)
    }

    /// Takes a request, if there is room for one more.
    ///
    /// # Errors
    ///
    /// If there is none. The request is returned.
    pub fn join(self: &Arc<Self>, reuse: &Reuse, job: Job) -> Result<Ticket, Job> {
        let mut state = self.lock();
        if state.is_retired || state.requests.len() >= reuse.at_once {
            return Err(job);
        }
        let ticket = self.add(&mut state, job);
        state.is_retired = state.count >= reuse.count as u64;
        state.wake();
        Ok(ticket)
    }

    fn add(self: &Arc<Self>, state: &mut State, job: Job) -> Ticket {
        let Job {
            request,
            sender,
            deadline,
            permit,
        } = job;
        let (end, receiver) = oneshot::channel();
        let number = state.count;
        state.count += 1;
        state.idle = None;
        state.new.push_back((number, Begin { request, sender }));
        let entry = Entry {
            deadline,
            end,
            permit,
            is_abandoned: false,
        };
        state.requests.insert(number, entry);
        Ticket {
            shared: self.clone(),
            number,
            end: receiver,
        }
    }

    /// Returns whether no more requests are taken.
    pub fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    /// Has the instance end when it has answered its requests.
    pub fn retire(&self) {
        let mut state = self.lock();
        state.is_retired = true;
        state.wake();
    }

    /// Ends the instance if it has had no request for `time`.
    pub fn retire_if_idle(&self, now: Instant, time: Duration) {
        let mut state = self.lock();
        let since = state.idle.as_ref().map(|(since, _)| *since);
        if since.is_some_and(|since| now.saturating_duration_since(since) >= time) {
            state.is_retired = true;
            state.wake();
        }
    }

    /// Notes that the client of a request has gone away.
    fn abandon(&self, number: u64) {
        let mut state = self.lock();
        let new = state.new.iter().position(|(other, _)| *other == number);
        if let Some(at) = new {
            // The guest has not seen it.
            let dropped = (state.new.remove(at), state.requests.remove(&number));
            state.wake();
            drop(state);
            drop(dropped);
        } else if let Some(entry) = state.requests.get_mut(&number) {
            entry.is_abandoned = true;
            state.is_retired = true;
            state.wake();
        }
    }

    /// Ends a request.
    fn end(&self, number: u64, end: End) {
        let mut state = self.lock();
        if let Err(CallError::Guest(_)) = &end {
            state.is_retired = true;
            state.has_failed = true;
        }
        state.wake();
        let Some(entry) = state.requests.remove(&number) else {
            return;
        };
        if end.is_ok() {
            state.ended.push(entry);
            return;
        }
        drop(state);
        let is_late = entry.deadline.is_some_and(|at| Instant::now() >= at);
        let end = match end {
            // Only one of the calls that the deadline ends has it as its error.
            Err(CallError::Guest(error)) if is_late && is(&error, Trap::CannotEnterComponent) => {
                Err(error.context(Trap::Interrupt).into())
            }
            end => end,
        };
        // A client that has gone away need not know.
        let _ = entry.end.send(end);
    }

    /// Ends all requests when the instance has ended.
    fn end_all(&self, mut error: Option<Error>) {
        let mut state = self.lock();
        state.is_retired = true;
        state.idle = None;
        let dropped = (mem::take(&mut state.new), state.last.take());
        let mut requests = mem::take(&mut state.ended);
        requests.extend(mem::take(&mut state.requests).into_values());
        drop(state);
        drop(dropped);
        let is_interrupt = error
            .as_ref()
            .is_some_and(|error| is(error, Trap::Interrupt));
        for entry in requests {
            let error = error.take().unwrap_or_else(|| match is_interrupt {
                true => Trap::Interrupt.into(),
                false => format_err!("the instance has ended because of another request"),
            });
            let _ = entry.end.send(Err(error.into()));
        }
    }
}

fn is(error: &Error, trap: Trap) -> bool {
    error.downcast_ref() == Some(&trap)
}

/// Waits for the end of a request. If it is dropped before, the client has gone away.
pub(super) struct Ticket {
    shared: Arc<SharedInstance>,
    number: u64,
    end: oneshot::Receiver<End>,
}

impl Ticket {
    pub async fn end(mut self) -> End {
        let end = (&mut self.end).await;
        end.unwrap_or_else(|_| Err(format_err!("the instance has ended").into()))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // It is gone if the request has ended.
        self.shared.abandon(self.number);
    }
}

/// Runs an instance until it takes no more requests and has answered all.
async fn run<T: WasiHttpView + 'static>(
    shared: Arc<SharedInstance>,
    mut store: Store<T>,
    service: Arc<Service>,
) {
    /// Ends the requests also if the task is dropped.
    struct Ended(Arc<SharedInstance>, Option<Error>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.end_all(self.1.take());
        }
    }
    let mut ended = Ended(shared.clone(), None);
    let running = store.run_concurrent(async |accessor| {
        let mut turn = Turn {
            shared: &shared,
            service,
            deadline: None,
        };
        poll_fn(|cx| turn.poll(accessor, cx)).await
    });
    ended.1 = running.await.flatten().err();
    // The memory is back before the requests have ended.
    drop(store);
}

/// The task of an instance, within its store.
struct Turn<'a> {
    shared: &'a Arc<SharedInstance>,
    service: Arc<Service>,
    /// The deadline of the store, if this has set it.
    deadline: Option<Instant>,
}

impl Turn<'_> {
    /// Begins new requests, and is ready when the instance is to end.
    fn poll<T: WasiHttpView + 'static>(
        &mut self,
        accessor: &Accessor<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let (new, ended, deadline) = {
            let mut state = self.shared.lock();
            state.task = Some(cx.waker().clone());
            if state.has_failed {
                return Poll::Ready(Ok(()));
            }
            let deadlines = state.requests.values().map(|entry| entry.deadline);
            let deadline = deadlines.min().flatten();
            let ended = mem::take(&mut state.ended);
            (mem::take(&mut state.new), ended, deadline)
        };
        for entry in ended {
            self.shared.lock().last = Some(entry.permit);
            // A client that has gone away need not know.
            let _ = entry.end.send(Ok(()));
        }
        if deadline.is_some() && deadline != self.deadline {
            self.set_deadline(accessor, deadline)?;
        }
        for (number, begin) in new {
            accessor.spawn(Answer {
                begin,
                number,
                service: self.service.clone(),
                shared: self.shared.clone(),
            })?;
        }
        {
            let mut state = self.shared.lock();
            if state.is_abandoned() {
                return Poll::Ready(Ok(()));
            }
            if !state.requests.is_empty() {
                state.last = None;
                return Poll::Pending;
            }
        }
        match accessor.poll_no_interesting_tasks(cx) {
            Poll::Ready(()) => self.rest(accessor),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Notes that there is nothing to do. Is ready if there will not be anything more.
    fn rest<T: WasiHttpView + 'static>(&mut self, accessor: &Accessor<T>) -> Poll<Result<()>> {
        self.set_deadline(accessor, None)?;
        let mut state = self.shared.lock();
        let last = state.last.take();
        if state.requests.is_empty() && state.idle.is_none() && !state.is_retired {
            let slot = self.shared.idle_count.take();
            state.is_retired = slot.is_none();
            state.idle = Some((Instant::now(), slot));
        }
        let is_over = state.is_retired && state.requests.is_empty();
        drop(state);
        drop(last);
        match is_over {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn set_deadline<T: WasiHttpView + 'static>(
        &mut self,
        accessor: &Accessor<T>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        self.deadline = deadline;
        accessor.with(|mut access| {
            let mut store = access.as_context_mut();
            match deadline {
                Some(at) => store.set_deadline(at.saturating_duration_since(Instant::now())),
                None => {
                    store.clear_deadline();
                    Ok(())
                }
            }
        })
    }
}

/// Answers a request, as a task of the instance's store.
struct Answer {
    begin: Begin,
    number: u64,
    service: Arc<Service>,
    shared: Arc<SharedInstance>,
}

impl<T: WasiHttpView + 'static> AccessorTask<T> for Answer {
    async fn run(self, accessor: &Accessor<T>) -> Result<()> {
        let Answer {
            begin,
            number,
            service,
            shared,
        } = self;
        let end = answer(accessor, &service, begin).await;
        shared.end(number, end);
        Ok(())
    }
}

async fn answer<T: WasiHttpView + 'static>(
    accessor: &Accessor<T>,
    service: &Service,
    Begin { request, sender }: Begin,
) -> End {
    let request = accessor.with(|mut access| request(access.data_mut().http()))?;
    let response = service.handle(accessor, request).await?;
    let released = guest::send(accessor, response, sender)?;
    // The value is always an error: what it waits for is that the other side is dropped.
    let _ = released.await;
    Ok(())
}

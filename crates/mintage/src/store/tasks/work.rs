//! Polls the futures of the host.

use super::{Failure, HostTaskId, PASSES, StoreInner};
use crate::error::format_err;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;

impl<T: 'static> StoreInner<T> {
    /// Polls a future of the host that was woken, if there is one in this place.
    ///
    /// # Errors
    ///
    /// The payload of its panic.
    fn poll_host_task(&mut self, index: u32) -> thread::Result<()> {
        let Some((id, mut work, waker)) = self.opaque.tasks.get().take(index) else {
            return Ok(());
        };
        let owner = self.opaque.tasks.get().owner(id);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            self.expose(|| {
                let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
                match polled {
                    Poll::Pending => Err(work),
                    Poll::Ready(result) => {
                        drop(work);
                        Ok(result)
                    }
                }
            })
        }));
        let tasks = self.opaque.tasks.get();
        let result = match polled {
            Ok(Err(work)) => {
                let ended = tasks.put(id, work);
                if ended.is_some() {
                    self.expose(|| drop(ended));
                }
                return Ok(());
            }
            Ok(Ok(result)) => result,
            Err(payload) => {
                tasks.end(id);
                if let Some(id) = owner {
                    let failure = Failure::Of(id, format_err!("a host function panicked"));
                    self.host.concurrency.failures.push_back(failure);
                }
                return Err(payload);
            }
        };
        tasks.end(id);
        if let Err(error) = result {
            // The instance may be on the stack now, so it is stopped later.
            match owner {
                Some(id) => {
                    let failure = Failure::Of(id, error);
                    self.host.concurrency.failures.push_back(failure);
                }
                None => self.host.concurrency.keep_unheard(error),
            }
        }
        Ok(())
    }

    /// Ends a future of the host, unless it has been woken and proves to be ready.
    ///
    /// # Panics
    ///
    /// When it panics.
    pub fn cancel_host_task(&mut self, id: HostTaskId) {
        let tasks = self.opaque.tasks.get();
        if tasks.take_bit(id)
            && let Err(payload) = self.poll_host_task(id.index())
        {
            resume_unwind(payload);
        }
        let work = self.opaque.tasks.get().end(id);
        self.expose(|| drop(work));
    }

    /// Makes `waker` the one that is woken with any future of the host, or when the host drops a
    /// readable end. Returns whether that has happened before, and was not dealt with since.
    pub fn listen(&mut self, waker: &Waker) -> bool {
        let dropped = self.listen_for_dropped(waker);
        let tasks = self.opaque.tasks.get();
        tasks.listen(waker);
        tasks.is_woken() || dropped
    }

    /// Forgets the waker.
    pub fn forget_listener(&mut self) {
        if let Some(tasks) = self.opaque.tasks.made() {
            tasks.forget_listener();
        }
        self.opaque.handles.streams.forget_listener();
    }

    /// Polls a future of the host for which guests wait, and meanwhile the others that were woken.
    /// When it has finished, it is dropped, and `future` is empty.
    pub fn poll_alone<F: Future + Unpin>(
        &mut self,
        future: &mut Option<F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        for _ in 0..PASSES {
            let polled = self.expose(|| {
                let polled = match future.as_mut() {
                    Some(polled) => Pin::new(polled).poll(cx),
                    None => Poll::Pending,
                };
                if polled.is_ready() {
                    *future = None;
                }
                polled
            });
            if polled.is_ready() {
                return polled;
            }
            self.poll_host_tasks();
            if !self.listen(cx.waker()) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls all futures of the host that were woken, and closes readable ends that it has dropped.
    /// Returns whether there were some.
    ///
    /// # Panics
    ///
    /// When one panics. The others are polled the next time.
    pub fn poll_host_tasks(&mut self) -> bool {
        let closed = self.close_dropped();
        let Some(tasks) = self.opaque.tasks.made() else {
            return closed;
        };
        let woken = tasks.woken();
        for (at, &index) in woken.iter().enumerate() {
            if let Err(payload) = self.poll_host_task(index) {
                let tasks = self.opaque.tasks.get();
                woken[at + 1..].iter().for_each(|&index| tasks.wake(index));
                resume_unwind(payload);
            }
        }
        closed || !woken.is_empty()
    }
}

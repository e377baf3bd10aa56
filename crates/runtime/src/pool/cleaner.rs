//! [`Cleaner`]: the thread that resets slabs in the background.

use super::shelf::Returned;
use super::{PooledSlab, Shelf, lock};
use crate::sys;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The most slabs that wait to be reset. Each holds memory that its instance took. If the thread
/// falls behind, the threads that drop instances reset the slabs themselves.
const MAX_WAITING: usize = 64;

/// A slab that an instance has left, and that is not reset yet.
pub struct Dirty {
    pub slab: PooledSlab,
    pub shelf: Arc<Shelf>,
    /// The shelf's list of the thread that used it.
    pub list: usize,
}

impl Dirty {
    /// Resets the slab and puts it on the shelf, or unmaps it if that fails.
    pub fn clean(self) {
        if let Some(slab) = self.slab.reset(&self.shelf) {
            self.shelf.put_in(self.list, slab, Returned::Reset);
        }
    }
}

/// A thread that resets slabs. It ends with the pool.
pub struct Cleaner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified when there is work for the thread.
    wake: Condvar,
    /// Notified when a slab has been reset.
    done: Condvar,
}

struct Queue {
    /// Slabs that wait. It has room for [`MAX_WAITING`], so that adding one allocates nothing.
    waiting: VecDeque<Dirty>,
    /// The number of slabs that are being reset, by the thread or by others that help it.
    busy: usize,
    ended: bool,
}

impl Cleaner {
    /// Starts the thread. `None` if the system gives no thread.
    fn start() -> Option<Cleaner> {
        let shared = Arc::new(Shared::new());
        let own = shared.clone();
        let builder = thread::Builder::new().name("mintage-reset".into());
        let thread = builder.spawn(move || own.run()).ok()?;
        Some(Cleaner {
            shared,
            thread: Some(thread),
        })
    }

    /// Forgets the thread, which belongs to the parent of this forked process, and drops the slabs
    /// that waited for it.
    fn abandon(&mut self) {
        std::mem::forget(self.thread.take());
        // The thread may have held the lock at the fork. Then it is locked for ever.
        if let Ok(mut queue) = self.shared.queue.try_lock() {
            queue.waiting.clear();
        }
    }

    /// Passes a slab to the thread, or returns it if too many wait.
    pub fn put(&self, dirty: Dirty) -> Option<Dirty> {
        let mut queue = lock(&self.shared.queue);
        if queue.waiting.len() >= MAX_WAITING {
            return Some(dirty);
        }
        queue.waiting.push_back(dirty);
        // Waking a thread is a system call, so the lock is released first.
        drop(queue);
        self.shared.wake.notify_one();
        None
    }

    /// Takes back a slab of this shelf: the one that was added last, since the thread works from
    /// the other end.
    pub fn take(&self, shelf: &Shelf) -> Option<Dirty> {
        let mut queue = lock(&self.shared.queue);
        let found = queue
            .waiting
            .iter()
            .rposition(|dirty| std::ptr::eq(&*dirty.shelf, shelf))?;
        queue.waiting.remove(found)
    }

    /// Resets a slab that waits, or waits until those that are being reset are finished. Returns
    /// whether there was any.
    pub fn help(&self) -> bool {
        if self.shared.clean_next() {
            return true;
        }
        let queue = lock(&self.shared.queue);
        let was_busy = queue.busy > 0;
        self.shared.wait_while_busy(queue);
        was_busy
    }

    /// Returns the number of slabs that wait or are being reset, and the result of `idle`, which
    /// counts the slabs on shelves. The queue is locked meanwhile, so no slab is missed between the
    /// two. A slab that has just reached its shelf may be in both numbers.
    pub fn waiting_and_idle(&self, idle: impl FnOnce() -> usize) -> (usize, usize) {
        let queue = lock(&self.shared.queue);
        (queue.waiting.len() + queue.busy, idle())
    }

    /// Unmaps what waits of this shelf, and waits until no slab is being reset. Afterwards no one
    /// uses the image of the shelf's component.
    pub fn forget(&self, shelf: &Shelf) {
        while let Some(dirty) = self.take(shelf) {
            drop(dirty);
        }
        self.shared.wait_while_busy(lock(&self.shared.queue));
    }
}

impl Shared {
    fn new() -> Shared {
        Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::with_capacity(MAX_WAITING),
                busy: 0,
                ended: false,
            }),
            wake: Condvar::new(),
            done: Condvar::new(),
        }
    }

    fn run(&self) {
        while self.wait() {
            let no_fork = sys::process::no_fork();
            // Another thread may have taken the slab meanwhile.
            self.clean_next();
            drop(no_fork);
        }
    }

    /// Resets the slab that has waited longest. Returns whether there was one.
    fn clean_next(&self) -> bool {
        let mut queue = lock(&self.queue);
        let Some(dirty) = queue.waiting.pop_front() else {
            return false;
        };
        queue.busy += 1;
        drop(queue);
        let busy = Busy(self);
        dirty.clean();
        drop(busy);
        true
    }

    fn wait_while_busy(&self, mut queue: MutexGuard<'_, Queue>) {
        while queue.busy > 0 {
            queue = self
                .done
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for work. Returns `false` if there will be none any more.
    fn wait(&self) -> bool {
        let mut queue = lock(&self.queue);
        while queue.waiting.is_empty() && !queue.ended {
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !queue.waiting.is_empty()
    }
}

/// A slab that is being reset, whether that ends by a panic or not.
struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.0.queue).busy -= 1;
        self.0.done.notify_all();
    }
}

/// The cleaner of a pool, which starts with the first slab that is to be reset.
#[derive(Default)]
pub struct CleanerCell(Mutex<Option<ProcessCleaner>>);

/// The cleaner of one process.
struct ProcessCleaner {
    process: u64,
    /// `None` if the system gave no thread.
    cleaner: Option<Arc<Cleaner>>,
}

impl CleanerCell {
    /// Returns the cleaner of this process, and starts it if there is none. A forked child starts
    /// its own, and drops the slabs that the parent's cleaner had to reset.
    pub fn get(&self) -> Option<Arc<Cleaner>> {
        let process = sys::process::id();
        let mut place = lock(&self.0);
        if let Some(started) = place.as_ref().filter(|started| started.process == process) {
            return started.cleaner.clone();
        }
        let cleaner = Cleaner::start().map(Arc::new);
        let old = place.replace(ProcessCleaner {
            process,
            cleaner: cleaner.clone(),
        });
        drop(place);
        drop(old);
        cleaner
    }

    /// Returns the cleaner of this process, if there is one.
    pub fn existing(&self) -> Option<Arc<Cleaner>> {
        let process = sys::process::id();
        let place = lock(&self.0);
        let started = place.as_ref().filter(|started| started.process == process);
        started?.cleaner.clone()
    }
}

impl Drop for ProcessCleaner {
    fn drop(&mut self) {
        if self.process == sys::process::id() {
            return;
        }
        if let Some(mut cleaner) = self.cleaner.take() {
            match Arc::get_mut(&mut cleaner) {
                Some(cleaner) => cleaner.abandon(),
                // Another thread of the parent used it at the fork, and does not exist here.
                None => std::mem::forget(cleaner),
            }
        }
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        lock(&self.shared.queue).ended = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            // The thread itself drops the pool if the slab that it resets is the pool's last user.
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the thread has no further effect.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::code;
    use super::*;
    use crate::code::Code;
    use crate::pool::{Pool, PoolConfig};
    use crate::slab::Slab;
    use mintage_environ::MemoryId;

    /// Returns the address of the first byte of the first memory.
    fn first_byte(code: &Code, slab: &Slab) -> *mut u8 {
        let start = code.layout().memory_start(MemoryId::from_u32(0));
        slab.base().as_ptr().wrapping_add(start as usize)
    }

    /// A thread that needs a slab before the cleaner has reset it takes one of its component, or
    /// resets one that blocks it.
    #[test]
    fn slabs_that_wait_are_found_and_made_clean() {
        let pool = Pool::new(&PoolConfig::new());
        let codes = [(); 2].map(|()| {
            code(
                &pool,
                "(component (core module $m (memory 1)) (core instance (instantiate $m)))",
            )
        });
        let cleaner = Cleaner {
            shared: Arc::new(Shared::new()),
            thread: None,
        };
        for code in &codes {
            let slab = code.acquire(code.image()).unwrap();
            slab.fill();
            // SAFETY: the memory has a page, and no one else uses the slab.
            unsafe { first_byte(code, &slab).write(1) };
            let shelf = code.shelf().clone();
            assert!(
                cleaner
                    .put(Dirty {
                        slab,
                        shelf,
                        list: 0
                    })
                    .is_none()
            );
        }
        let [first, second] = &codes;
        let dirty = cleaner.take(first.shelf()).unwrap();
        assert!(Arc::ptr_eq(&dirty.shelf, first.shelf()));
        assert!(cleaner.take(first.shelf()).is_none());
        assert!(cleaner.help() && !cleaner.help());
        let slab = second.shelf().take().unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { first_byte(second, &slab).read() }, 0);
    }
}

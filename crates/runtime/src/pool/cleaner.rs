//! [`Cleaner`]: the thread that resets slabs in the background.

use super::{PooledSlab, Shelf, lock};
use crate::sys;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The most slabs that wait. Each holds memory that its instance took, so when the thread falls
/// behind, those who drop instances reset the slabs themselves.
const MAX_WAITING: usize = 64;

/// A slab that an instance has left, on its way to its component's shelf.
pub struct Dirty {
    pub slab: PooledSlab,
    pub shelf: Arc<Shelf>,
    /// The list of the thread that used it.
    pub list: usize,
}

impl Dirty {
    /// Resets the slab and puts it on the shelf; unmaps it if that fails.
    pub fn clean(self) {
        if let Some(slab) = self.slab.reset(&self.shelf) {
            self.shelf.put_in(self.list, slab);
        }
    }
}

/// A thread that resets slabs; ends with the pool.
pub struct Cleaner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// There is something to do for the thread.
    wake: Condvar,
    /// The thread has done something.
    done: Condvar,
}

struct Queue {
    /// With room for [`MAX_WAITING`], so that adding one allocates nothing.
    waiting: VecDeque<Dirty>,
    /// Whether the thread resets one at this moment.
    busy: bool,
    ended: bool,
}

impl Cleaner {
    /// Starts the thread, if the system gives one.
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

    /// Forgets the thread, which is the parent's of the process that was forked, and drops the
    /// slabs that waited for it.
    fn abandon(&mut self) {
        std::mem::forget(self.thread.take());
        // The thread may have had the lock at that moment. Then it is locked for ever.
        if let Ok(mut queue) = self.shared.queue.try_lock() {
            queue.waiting.clear();
        }
    }

    /// Leaves a slab to the thread, or gives it back when too many wait.
    pub fn put(&self, dirty: Dirty) -> Option<Dirty> {
        let mut queue = lock(&self.shared.queue);
        if queue.waiting.len() >= MAX_WAITING {
            return Some(dirty);
        }
        queue.waiting.push_back(dirty);
        // Waking is a system call.
        drop(queue);
        self.shared.wake.notify_one();
        None
    }

    /// Takes a slab of this shelf back, the last one, since the thread works from the other end.
    pub fn take(&self, shelf: &Shelf) -> Option<Dirty> {
        let mut queue = lock(&self.shared.queue);
        let found = queue
            .waiting
            .iter()
            .rposition(|dirty| std::ptr::eq(&*dirty.shelf, shelf))?;
        queue.waiting.remove(found)
    }

    /// Resets a slab that waits, or waits for the thread to finish the one that it has begun.
    /// Whether there was any.
    pub fn help(&self) -> bool {
        let mut queue = lock(&self.shared.queue);
        if let Some(dirty) = queue.waiting.pop_front() {
            drop(queue);
            dirty.clean();
            return true;
        }
        let busy = queue.busy;
        while queue.busy {
            queue = self
                .shared
                .done
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        busy
    }
}

impl Shared {
    fn new() -> Shared {
        Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::with_capacity(MAX_WAITING),
                busy: false,
                ended: false,
            }),
            wake: Condvar::new(),
            done: Condvar::new(),
        }
    }

    fn run(&self) {
        while self.wait() {
            let no_fork = sys::process::no_fork();
            let mut queue = lock(&self.queue);
            // Whoever needed a slab may have taken it meanwhile.
            let Some(dirty) = queue.waiting.pop_front() else {
                continue;
            };
            queue.busy = true;
            drop(queue);
            dirty.clean();
            lock(&self.queue).busy = false;
            self.done.notify_all();
            drop(no_fork);
        }
    }

    /// Waits until there is something to do for the thread. Returns `false` if there will be
    /// nothing any more.
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

/// The cleaner of a pool, which the first slab starts that is to be reset.
#[derive(Default)]
pub struct Place(Mutex<Option<Started>>);

/// The cleaner of one process.
struct Started {
    process: u64,
    /// None if the system gave no thread.
    cleaner: Option<Arc<Cleaner>>,
}

impl Place {
    /// Returns the cleaner of this process. Starts it if there is none: in a child that was forked
    /// as well, where the slabs that the parent's had to reset are dropped.
    pub fn get(&self) -> Option<Arc<Cleaner>> {
        let process = sys::process::id();
        let mut place = lock(&self.0);
        if let Some(started) = place.as_ref().filter(|started| started.process == process) {
            return started.cleaner.clone();
        }
        let cleaner = Cleaner::start().map(Arc::new);
        let old = place.replace(Started {
            process,
            cleaner: cleaner.clone(),
        });
        drop(place);
        drop(old);
        cleaner
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.process == sys::process::id() {
            return;
        }
        if let Some(mut cleaner) = self.cleaner.take() {
            match Arc::get_mut(&mut cleaner) {
                Some(cleaner) => cleaner.abandon(),
                // Another thread of the parent used it at that moment, and never ends here.
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
            // The thread itself drops the pool when the slab that it resets is the last that knows
            // the pool.
            && thread.thread().id() != thread::current().id()
        {
            // A panic there ends nothing but the thread.
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

    /// The first byte of the first memory.
    fn first_byte(code: &Code, slab: &Slab) -> *mut u8 {
        let start = code.layout().memory_start(MemoryId::from_u32(0));
        slab.base().as_ptr().wrapping_add(start as usize)
    }

    /// Whoever comes before the thread takes what waits, of one component, or makes clean what is
    /// in the way.
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
            // SAFETY: the memory has a page, and nobody else has the slab.
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

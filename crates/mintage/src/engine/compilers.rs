//! [`Compilers`]: the threads that compile.

use crate::error::{Context, Result};
use mintage_runtime::process_id;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// The number of components that the threads compile at a time. A thread that waits for a part of
/// one begins another one, on the same stack.
const AT_A_TIME: usize = 16;
/// The size in bytes of a thread's stack, which is enough for so many. What is not used takes no
/// memory.
const STACK: usize = AT_A_TIME * (1 << 20);

/// Who compiles the components of an engine.
pub(crate) enum Compilers {
    /// The thread that asks.
    Caller,
    /// Threads of the engine's own, so many.
    Own(usize, Threads),
    /// Threads that all engines share, one for each processor.
    Shared,
}

/// Threads, once they were needed.
#[derive(Default)]
pub(crate) struct Threads(Mutex<Option<Started>>);

/// Threads of one process: a child that was forked has none of them.
struct Started {
    process: u64,
    /// None when the system gave no threads.
    pool: Option<Arc<Pool>>,
}

/// The threads, and the number of components that they may begin.
struct Pool {
    threads: ThreadPool,
    places: Mutex<usize>,
    left: Condvar,
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.process != process_id() {
            // Its threads are the parent's, and may have had its locks when the process was forked:
            // nothing of it can be ended here.
            std::mem::forget(self.pool.take());
        }
    }
}

static SHARED: Threads = Threads(Mutex::new(None));

impl Compilers {
    /// The compilers for `threads` threads; `None` is one for each processor.
    ///
    /// # Errors
    ///
    /// When so many threads cannot be started.
    pub fn new(threads: Option<usize>) -> Result<Compilers> {
        match threads {
            Some(1) => Ok(Compilers::Caller),
            Some(count) => {
                let threads = Threads::default();
                let started = threads.get(count);
                started.with_context(|| {
                    format!("the system does not start {count} threads to compile with")
                })?;
                Ok(Compilers::Own(count, threads))
            }
            None => Ok(Compilers::Shared),
        }
    }

    /// Runs `work`, which shares its parts among the threads of the rayon pool that it runs in, if
    /// it runs in one. If the system refuses threads, the calling thread does all of it.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let pool = match self {
            Compilers::Caller => None,
            Compilers::Own(count, threads) => threads.get(*count),
            Compilers::Shared => SHARED.get(0),
        };
        match pool {
            Some(pool) => pool.run(work),
            None => work(),
        }
    }
}

impl Pool {
    /// Runs `work` on the threads, once they have a place for it.
    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        if self.threads.current_thread_index().is_some() {
            return work();
        }
        if rayon::current_thread_index().is_none() {
            return self.run_in_place(work);
        }
        // A thread of another pool would do other work of that while it waits: it could begin
        // component after component, each of which holds a place.
        let mut work = Some(work);
        let result = thread::scope(|scope| {
            let run = || work.take().map(|work| self.run_in_place(work));
            let waiting = thread::Builder::new().spawn_scoped(scope, run).ok()?;
            waiting.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        match (result, work) {
            (Some(result), _) => result,
            // The system starts no thread.
            (None, Some(work)) => work(),
            (None, None) => unreachable!("the work was done"),
        }
    }

    fn run_in_place<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.left.wait_while(places, |places| *places == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        let _place = Place(self);
        self.threads.install(work)
    }
}

/// A place of a component that is being compiled. Dropping it leaves the place to another one.
struct Place<'a>(&'a Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.places.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.left.notify_one();
    }
}

impl Threads {
    /// The threads of this process, started when they are needed first: `count`, or one for each
    /// processor when that is 0.
    fn get(&self, count: usize) -> Option<Arc<Pool>> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = process_id();
        if started
            .as_ref()
            .is_none_or(|started| started.process != process)
        {
            let name = |number| format!("mintage-compile-{number}");
            let pool = ThreadPoolBuilder::new()
                .num_threads(count)
                .thread_name(name)
                .stack_size(STACK)
                .build();
            let pool = pool.ok().map(|threads| {
                Arc::new(Pool {
                    threads,
                    places: Mutex::new(AT_A_TIME),
                    left: Condvar::new(),
                })
            });
            *started = Some(Started {
                process,
                pool: pool.clone(),
            });
        }
        started.as_ref().and_then(|started| started.pool.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_where_it_is_asked_to() {
        let inside =
            |compilers: &Compilers| compilers.run(|| rayon::current_thread_index().is_some());
        assert!(!inside(&Compilers::new(Some(1)).unwrap()));
        assert!(inside(&Compilers::new(Some(2)).unwrap()));
        assert!(inside(&Compilers::new(None).unwrap()));
    }

    /// Many host threads compile at once, each with work that is divided among the threads.
    #[test]
    fn work_of_many_is_not_nested_without_bound() {
        use rayon::prelude::*;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let compilers = &Compilers::new(Some(2)).unwrap();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let compile = || {
            compilers.run(|| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let part = |n: u32| std::hint::black_box((0..10_000).map(|i| i ^ n).max());
                assert_eq!((0..64).into_par_iter().filter_map(part).count(), 64);
                // Work within work has its place.
                compilers.run(|| ());
                now.fetch_sub(1, Ordering::SeqCst);
            });
        };
        thread::scope(|scope| {
            for _ in 0..4 * AT_A_TIME {
                scope.spawn(compile);
            }
        });
        // Threads of a pool of the host's.
        let host = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        host.install(|| (0..4 * AT_A_TIME).into_par_iter().for_each(|_| compile()));
        assert!((1..=AT_A_TIME).contains(&most.into_inner()));
    }

    #[test]
    fn threads_of_another_process_are_not_used() {
        let threads = Threads::default();
        let first = threads.get(2).unwrap();
        assert!(Arc::ptr_eq(&first, &threads.get(2).unwrap()));
        threads.0.lock().unwrap().as_mut().unwrap().process += 1;
        assert!(!Arc::ptr_eq(&first, &threads.get(2).unwrap()));
    }
}

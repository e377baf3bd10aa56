//! [`Compilers`]: the threads that compile.

use crate::error::{Context, Result};
use mintage_runtime::process_id;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};

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
    pool: Option<Arc<ThreadPool>>,
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
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

impl Threads {
    /// The threads of this process, started when they are needed first: `count`, or one for each
    /// processor when that is 0.
    fn get(&self, count: usize) -> Option<Arc<ThreadPool>> {
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
                .build();
            let pool = pool.ok().map(Arc::new);
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

    #[test]
    fn threads_of_another_process_are_not_used() {
        let threads = Threads::default();
        let first = threads.get(2).unwrap();
        assert!(Arc::ptr_eq(&first, &threads.get(2).unwrap()));
        threads.0.lock().unwrap().as_mut().unwrap().process += 1;
        assert!(!Arc::ptr_eq(&first, &threads.get(2).unwrap()));
    }
}

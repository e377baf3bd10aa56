//! [`Queue`]: lines that wait until they are written.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The most bytes that wait.
const MAX_WAITING: usize = 1 << 20;

/// The longest that the end of the server waits until the last lines are written.
const LAST_TIME: Duration = Duration::from_secs(1);

/// Lines that wait until a thread of their own has written them.
pub(crate) struct Queue {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when there is something to write, or nothing more will come.
    filled: Condvar,
    /// Signalled when there is room.
    emptied: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that were left out since the last one that was not.
    left_out: u64,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(name: &str, mut target: impl Write + Send + 'static) -> io::Result<Queue> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Notify::new(),
        });
        let own = shared.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            while let Some(bytes) = own.take() {
                // The log itself cannot be written, so the error is dropped.
                let _ = target.write_all(&bytes).and_then(|()| target.flush());
            }
        });
        Ok(Queue {
            shared,
            thread: Mutex::new(Some(thread?)),
        })
    }

    /// Adds a line, or more of them, unless too much waits.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.waiting.len() + line.len() > MAX_WAITING {
            state.left_out += 1;
            return;
        }
        if state.left_out > 0 {
            let count = mem::take(&mut state.left_out);
            let note = format!("note: {count} lines of the log were left out\n");
            state.waiting.extend_from_slice(note.as_bytes());
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Returns whether there is room for another line.
    pub fn has_room(&self) -> bool {
        self.shared.lock().waiting.len() <= MAX_WAITING / 2
    }

    /// Waits until there is room for another line.
    pub async fn room(&self) {
        loop {
            let emptied = self.shared.emptied.notified();
            if self.has_room() {
                return;
            }
            emptied.await;
        }
    }

    /// Waits until everything is written, but not for long: no one may read it.
    pub fn finish(&self) {
        let mut state = self.shared.lock();
        state.ended = true;
        drop(state);
        self.shared.filled.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else { return };
        let start = Instant::now();
        while !thread.is_finished() && start.elapsed() < LAST_TIME {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Shared {
    /// Waits for lines, and returns all; `None` if there are none and none will come.
    fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                let bytes = mem::take(&mut state.waiting);
                drop(state);
                self.emptied.notify_waiters();
                return Some(bytes);
            }
            if state.ended {
                return None;
            }
            let woken = self.filled.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Writes to memory, once it is allowed to.
    struct Gated(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The sender is gone once all writes are allowed.
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_left_out_when_no_one_reads() {
        let (allow, allowed) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let queue = Queue::start("test", Gated(allowed, written.clone())).unwrap();
        queue.push(b"first\n");
        // The thread takes it, and waits in `write`.
        while !queue.shared.lock().waiting.is_empty() {
            thread::yield_now();
        }
        let long = vec![b'x'; MAX_WAITING / 4];
        for _ in 0..10 {
            queue.push(&long);
        }
        assert!(!queue.has_room());
        drop(allow);
        while !queue.has_room() {
            thread::yield_now();
        }
        queue.push(b"last\n");
        queue.finish();
        let written = written.lock().unwrap();
        let text = String::from_utf8_lossy(&written);
        assert!(text.starts_with("first\nxxx") && text.ends_with("last\n"));
        assert!(text.contains("note: 6 lines of the log were left out\n"));
        assert_eq!(
            written.iter().filter(|&&byte| byte == b'x').count(),
            MAX_WAITING
        );
    }
}

//! [`Stop`]: SIGTERM and Ctrl-C.

use mintage::error::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// Waits for a signal that ends the server. A second one ends the process at once.
pub(super) struct Stop(UnixStream);

impl Stop {
    /// Begins to watch for signals.
    ///
    /// # Errors
    ///
    /// If the system refuses the handlers.
    pub fn new() -> Result<Stop> {
        let register = || -> io::Result<UnixStream> {
            let (receiver, sender) = UnixStream::pair()?;
            let stopping = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                // In this order, the first signal finds the flag unset.
                flag::register_conditional_default(signal, stopping.clone())?;
                flag::register(signal, stopping.clone())?;
                pipe::register(signal, sender.try_clone()?)?;
            }
            Ok(receiver)
        };
        register()
            .map(Stop)
            .context("cannot watch for SIGTERM and Ctrl-C")
    }

    /// Calls `action` at the first signal, in a thread of its own.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(mut self, action: impl FnOnce() + Send + 'static) -> Result<()> {
        let wait = move || {
            if self.0.read(&mut [0]).is_ok_and(|read| read == 1) {
                action();
            }
        };
        let started = thread::Builder::new().name("signals".into()).spawn(wait);
        started.context("the system does not start a thread that watches for signals")?;
        Ok(())
    }
}

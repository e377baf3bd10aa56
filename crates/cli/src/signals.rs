//! Signals: Ctrl-C and closed pipes.

use mintage::error::{Context, Result};
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use signal_hook::low_level::{self, pipe};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Whether Ctrl-C was pressed, once [`at_interrupt`] was called.
static PRESSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Calls `action` in a thread of its own at the first SIGINT (Ctrl-C). A second one ends the
/// process, as it does without this.
///
/// # Errors
///
/// Fails if the system refuses the handler or the thread.
pub(crate) fn at_interrupt(action: impl FnOnce() + Send + 'static) -> Result<()> {
    let pressed = PRESSED.get_or_init(Arc::default);
    let register = || -> io::Result<UnixStream> {
        let (receiver, sender) = UnixStream::pair()?;
        // In this order, the first signal finds the flag unset.
        flag::register_conditional_default(SIGINT, pressed.clone())?;
        flag::register(SIGINT, pressed.clone())?;
        pipe::register(SIGINT, sender)?;
        Ok(receiver)
    };
    let mut receiver = register().context("cannot watch for Ctrl-C")?;
    let wait = move || {
        if receiver.read(&mut [0]).is_ok_and(|read| read == 1) {
            action();
        }
    };
    let started = thread::Builder::new().name("interrupt".into()).spawn(wait);
    started.context("the system does not start a thread that watches for Ctrl-C")?;
    Ok(())
}

/// Returns whether Ctrl-C was pressed, as far as [`at_interrupt`] knows.
pub(crate) fn is_interrupted() -> bool {
    PRESSED
        .get()
        .is_some_and(|pressed| pressed.load(Ordering::Relaxed))
}

/// Ends the process as SIGINT ends a process without a handler. Shells then see that it was
/// interrupted, and end loops around it.
pub(crate) fn end_as_interrupted() {
    let _ = low_level::emulate_default_handler(SIGINT);
}

/// Lets writing to a closed pipe end the process, as it ends other programs. (Rust programs get an
/// error instead.)
#[allow(unsafe_code, reason = "sets the default action of a signal")]
pub(crate) fn end_at_closed_pipes() {
    // SAFETY: the default action runs no code of this process, and no other thread depends on the
    // action of this signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

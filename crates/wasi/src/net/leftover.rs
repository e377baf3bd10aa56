//! Sends what the system has not taken of what a guest has written.
//!
//! A guest that was allowed to write bytes, and has written them, may then wait for something else,
//! or drop the stream. [`Connection`] allows only what the system takes at once. But the system may
//! lack memory, or the guest may make the buffer smaller in between. One thread of the process
//! sends the bytes that are left over. It starts when there are some for the first time. A guest
//! makes it keep at most one piece for each socket.

use super::connection::Connection;
use crate::Errno;
use rustix::event::{EventfdFlags, PollFd, PollFlags, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections with bytes that are left over, which the thread does not know yet.
struct Inbox {
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Wakes the thread.
    event: OwnedFd,
}

static INBOX: Mutex<Option<Arc<Inbox>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked is consistent after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what is left over of a connection as soon as the system takes it.
///
/// # Errors
///
/// If there is no thread for it, and the system has none.
pub(super) fn send_later(connection: &Arc<Connection>) -> std::io::Result<()> {
    let inbox = inbox()?;
    lock(&inbox.connections).push(connection.clone());
    rustix::io::write(&inbox.event, &1u64.to_ne_bytes())?;
    Ok(())
}

/// Returns the inbox of the thread, and starts it if need be.
fn inbox() -> std::io::Result<Arc<Inbox>> {
    let mut started = lock(&INBOX);
    if let Some(inbox) = &*started {
        return Ok(inbox.clone());
    }
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let inbox = Arc::new(Inbox {
        connections: Mutex::default(),
        event: rustix::event::eventfd(0, flags)?,
    });
    let of_thread = inbox.clone();
    std::thread::Builder::new()
        .name("mintage-wasi-send".into())
        .spawn(move || send_all(&of_thread))?;
    *started = Some(inbox.clone());
    Ok(inbox)
}

/// Sends what is left over, for ever.
fn send_all(inbox: &Inbox) {
    let mut connections: Vec<Arc<Connection>> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&inbox.event, PollFlags::IN)];
        let sockets = connections.iter();
        fds.extend(sockets.map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT)));
        match poll(&mut fds, None).map_err(Errno::from) {
            Ok(_) | Err(Errno::Interrupted) => {}
            // The system lacks memory.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
        drop(fds);
        let _ = rustix::io::read(&inbox.event, &mut [0; 8]);
        connections.append(&mut lock(&inbox.connections));
        connections.retain(|connection| !connection.send_leftover());
    }
}

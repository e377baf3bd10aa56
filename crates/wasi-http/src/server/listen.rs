//! Sockets that listen: one for each thread at the same address.

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// Connections that wait until they are accepted, for each thread.
const BACKLOG: i32 = 1024;

/// Returns `count` sockets that listen at one address. The system shares out new connections among
/// them.
///
/// # Errors
///
/// If another process has the port, or the address is not one of the machine.
pub(super) fn shared(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // Processes of one user may share a port, if all of them say so. That is meant for the threads
    // of this server alone. So the first socket does not say so, and fails if the port is in use.
    let first = open(address, false)?;
    let address = TcpListener::from(first).local_addr()?;
    (0..count)
        .map(|_| {
            let fd = open(address, true)?;
            listen(&fd, BACKLOG)?;
            Ok(TcpListener::from(fd))
        })
        .collect()
}

/// Returns `count` copies of a socket that listens.
///
/// # Errors
///
/// If the process has too many open files.
pub(super) fn copies(listener: TcpListener, count: usize) -> io::Result<Vec<TcpListener>> {
    listener.set_nonblocking(true)?;
    (0..count).map(|_| listener.try_clone()).collect()
}

fn open(address: SocketAddr, is_shared: bool) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    // A server that starts again does not wait for connections of the one before.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if is_shared {
        sockopt::set_socket_reuseport(&fd, true)?;
    }
    bind(&fd, &address)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_port_and_others_do_not() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = shared(any, 3).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert!(
            listeners
                .iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
        let error = shared(address, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listeners);
        let again = shared(address, 1).unwrap();
        assert_eq!(
            copies(again.into_iter().next().unwrap(), 2).unwrap().len(),
            2
        );
    }
}

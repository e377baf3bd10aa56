//! The address, or the socket that a supervisor passes on.

use mintage::error::{Context, Error, Result, bail, ensure};
use mintage_wasi_http::server::{Server, ServerConfig};
use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};

/// The first file descriptor that a supervisor passes on (`sd_listen_fds(3)`).
const FIRST: i32 = 3;

/// Binds the server.
///
/// # Errors
///
/// If the address cannot be used, or no socket was passed on.
pub(super) fn bind(config: &ServerConfig, address: SocketAddr, passed: bool) -> Result<Server> {
    if passed {
        let server = Server::from_listener(config, passed_on()?);
        return server.context("cannot serve at the socket that was passed on");
    }
    Server::bind(config, address).map_err(|error| explain(error, address, "--addr"))
}

/// Says why an address cannot be used.
pub(super) fn explain(error: io::Error, address: SocketAddr, option: &str) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process has port {}; choose another with `{option}`",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {}", address.ip())
        }
        io::ErrorKind::PermissionDenied => format!(
            "this process may not have port {}; ports below 1024 are for privileged processes",
            address.port()
        ),
        _ => return Error::from(error).context(format!("cannot serve at {address}")),
    };
    Error::from(error).context(format!("cannot serve at {address}: {advice}"))
}

/// Returns the socket that a supervisor has passed on to this process.
fn passed_on() -> Result<TcpListener> {
    let number = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    ensure!(
        number("LISTEN_PID") == Some(std::process::id()),
        "`--listenfd`: no socket was passed on to this process (`LISTEN_PID` is not its number)"
    );
    match number("LISTEN_FDS") {
        Some(1) => {}
        Some(count) if count > 1 => {
            bail!("`--listenfd`: {count} sockets were passed on; expected one")
        }
        _ => bail!("`--listenfd`: no socket was passed on to this process"),
    }
    let fd = take_passed_on();
    let listener = TcpListener::from(fd);
    listener
        .local_addr()
        .context("`--listenfd`: what was passed on is not a TCP socket")?;
    Ok(listener)
}

#[allow(unsafe_code, reason = "takes over a file descriptor by its number")]
fn take_passed_on() -> OwnedFd {
    // SAFETY: by the protocol, the file descriptor is open and belongs to the process whose number
    // is in `LISTEN_PID`, which was compared. This is called once, before anything else could have
    // closed it.
    unsafe { OwnedFd::from_raw_fd(FIRST) }
}

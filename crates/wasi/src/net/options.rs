//! Options of sockets: sizes of buffers, hop limits, keep-alive. Values beyond what the system
//! takes are made the nearest one that it does.

use super::{AddressFamily, Result, Socket};
use crate::Errno;
use rustix::net::sockopt;
use std::time::Duration;

/// The most seconds of keep-alive that Linux takes.
const MAX_KEEP_ALIVE: u64 = i16::MAX as u64;

/// The most probes of keep-alive that Linux takes.
const MAX_KEEP_ALIVE_COUNT: u32 = i8::MAX as u32;

/// Checks that a value is not 0, which no option takes.
fn positive<T: Default + PartialEq>(value: T) -> Result<T> {
    match value == T::default() {
        true => Err(Errno::Invalid),
        false => Ok(value),
    }
}

/// Linux doubles sizes of buffers to have room for its own data, and returns what it has made of
/// them.
fn halved(size: usize) -> u64 {
    size as u64 / 2
}

fn size(value: u64) -> Result<usize> {
    let value = positive(value)?.min(i32::MAX as u64);
    usize::try_from(value).map_err(|_| Errno::Invalid)
}

fn nanoseconds(time: Duration) -> u64 {
    crate::clocks::nanoseconds(time)
}

fn keep_alive_time(nanoseconds: u64) -> Result<Duration> {
    // What is less than a second would become 0.
    let seconds = (positive(nanoseconds)? / 1_000_000_000).clamp(1, MAX_KEEP_ALIVE);
    Ok(Duration::from_secs(seconds))
}

impl Socket {
    pub fn receive_buffer_size(&self) -> Result<u64> {
        Ok(halved(sockopt::socket_recv_buffer_size(self)?))
    }

    pub fn set_receive_buffer_size(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_socket_recv_buffer_size(self, size(value)?)?)
    }

    pub fn send_buffer_size(&self) -> Result<u64> {
        Ok(halved(sockopt::socket_send_buffer_size(self)?))
    }

    pub fn set_send_buffer_size(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_socket_send_buffer_size(self, size(value)?)?)
    }

    pub fn hop_limit(&self, family: AddressFamily) -> Result<u8> {
        match family {
            AddressFamily::Ipv4 => {
                u8::try_from(sockopt::ip_ttl(self)?).map_err(|_| Errno::NotSupported)
            }
            AddressFamily::Ipv6 => Ok(sockopt::ipv6_unicast_hops(self)?),
        }
    }

    pub fn set_hop_limit(&self, family: AddressFamily, value: u8) -> Result<()> {
        let value = positive(value)?;
        match family {
            AddressFamily::Ipv4 => Ok(sockopt::set_ip_ttl(self, value.into())?),
            AddressFamily::Ipv6 => Ok(sockopt::set_ipv6_unicast_hops(self, Some(value))?),
        }
    }

    pub fn keep_alive_enabled(&self) -> Result<bool> {
        Ok(sockopt::socket_keepalive(self)?)
    }

    pub fn set_keep_alive_enabled(&self, value: bool) -> Result<()> {
        Ok(sockopt::set_socket_keepalive(self, value)?)
    }

    /// Returns a time in nanoseconds, as all times of keep-alive are.
    pub fn keep_alive_idle_time(&self) -> Result<u64> {
        Ok(nanoseconds(sockopt::tcp_keepidle(self)?))
    }

    pub fn set_keep_alive_idle_time(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_tcp_keepidle(self, keep_alive_time(value)?)?)
    }

    pub fn keep_alive_interval(&self) -> Result<u64> {
        Ok(nanoseconds(sockopt::tcp_keepintvl(self)?))
    }

    pub fn set_keep_alive_interval(&self, value: u64) -> Result<()> {
        Ok(sockopt::set_tcp_keepintvl(self, keep_alive_time(value)?)?)
    }

    pub fn keep_alive_count(&self) -> Result<u32> {
        Ok(sockopt::tcp_keepcnt(self)?)
    }

    pub fn set_keep_alive_count(&self, value: u32) -> Result<()> {
        let value = positive(value)?.min(MAX_KEEP_ALIVE_COUNT);
        Ok(sockopt::set_tcp_keepcnt(self, value)?)
    }
}

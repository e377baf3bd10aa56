//! `sock_*`. A module of preview 1 cannot open sockets, and none are preopened. So no descriptor is
//! one.

use super::guest::{Guest, Outcome};
use crate::Errno;

fn not_a_socket(guest: &mut dyn Guest, fd: u32) -> Outcome {
    guest.ctx().descriptors().get(fd)?;
    Err(Errno::NotSocket.into())
}

pub(super) fn sock_accept(guest: &mut dyn Guest, fd: u32, _flags: u32, _result: u32) -> Outcome {
    not_a_socket(guest, fd)
}

pub(super) fn sock_recv(
    guest: &mut dyn Guest,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _count: u32,
    _result_flags: u32,
) -> Outcome {
    not_a_socket(guest, fd)
}

pub(super) fn sock_send(
    guest: &mut dyn Guest,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _count: u32,
) -> Outcome {
    not_a_socket(guest, fd)
}

pub(super) fn sock_shutdown(guest: &mut dyn Guest, fd: u32, _how: u32) -> Outcome {
    not_a_socket(guest, fd)
}

//! [`RequestOptions`].

use std::time::Duration;

/// The timeouts of an outgoing request. One that is `None` is up to the host.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// How long it may take to connect: to look up the name, try all its addresses and, with TLS,
    /// shake hands.
    pub connect_timeout: Option<Duration>,
    /// How long it may take from then on until the head of the response has arrived.
    pub first_byte_timeout: Option<Duration>,
    /// How long it may take from one piece of the response's body to the next.
    pub between_bytes_timeout: Option<Duration>,
}

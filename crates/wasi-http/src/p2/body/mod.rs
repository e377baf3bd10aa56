//! Bodies of requests and responses.

mod incoming;
mod outgoing;

pub use incoming::{HostFutureTrailers, HostIncomingBody, HostIncomingBodyStream};
pub use outgoing::{HostOutgoingBody, StreamContext};

pub(super) use incoming::BodyError;

use crate::WasiBody;
use http_body_util::{BodyExt, Empty};

/// A body that a guest receives.
pub type HyperIncomingBody = WasiBody;

/// A body that a guest sends.
pub type HyperOutgoingBody = WasiBody;

/// Creates a body without bytes.
pub(super) fn empty() -> HyperOutgoingBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

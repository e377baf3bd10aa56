//! Streams and futures that pass between guests and the host.
//!
//! ```text
//! puppet      a guest that does one step of a stream at a time, as the host says
//! hosts       producers and consumers of these tests
//! produce     the host writes, a guest reads
//! consume     a guest writes, the host reads
//! futures     the same with futures
//! direct      bytes in guest memory
//! passing     ends that are passed on: back, to other guests, through the host
//! running     guests that wait, and the event loop
//! failures    errors, traps, panics, limits
//! dynamic     values without Rust types
//! ```

mod consume;
mod direct;
mod dynamic;
mod failures;
mod futures;
mod hosts;
mod passing;
mod produce;
mod puppet;
mod running;

pub use hosts::{Queue, Sink};
use puppet::{BLOCKED, Puppet, cancelled, completed, dropped};

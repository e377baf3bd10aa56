//! The host's side of concurrency: host functions that go on while guests do, calls that go on
//! together, tasks of the host, and how they use the store.
//!
//! ```text
//! guest       the guest of these tests, and what its host function waits for
//! calls       calls that go on together, cancellation by guests, values
//! cancel      calls that the host cancels or gives up
//! direct      calls between components that need no stack
//! failures    errors, traps, panics, deadlines, limits
//! host        tasks of the host, accessors, dropped futures
//! ```

mod calls;
mod cancel;
mod direct;
mod failures;
mod guest;
mod host;

use crate::async_calls::poll;
use guest::{Gates, Guests, Host};
pub use host::turns;
use mintage::{Accessor, Store};
use std::task::Poll;

/// Runs the store for one poll. Returns whether `fun` has not finished.
fn run_once(store: &mut Store<Host>, fun: impl AsyncFnOnce(&Accessor<Host>)) -> bool {
    let mut run = Box::pin(store.run_concurrent(fun));
    match poll(run.as_mut()) {
        Poll::Ready(result) => {
            result.unwrap();
            false
        }
        Poll::Pending => true,
    }
}

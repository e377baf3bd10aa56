//! The host's side of concurrency: how its futures, which go on while guests do, use the store.
//!
//! ```text
//! data        from the data of a store to what implements an interface
//! access      the store, for as long as a borrow lasts
//! accessor    the right to borrow the store whenever it polls
//! spawn       tasks of the host in the background
//! exposed     a future for which a guest waits
//! run         the event loop, as the host enters it
//! ```

mod access;
mod accessor;
mod data;
mod exposed;
mod run;
mod spawn;

pub use access::Access;
pub use accessor::{Accessor, AsAccessor};
pub use data::{HasData, HasSelf};
pub(crate) use exposed::{Exposed, HostWork};
pub use spawn::{AccessorTask, JoinHandle};

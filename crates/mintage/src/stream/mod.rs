//! Streams and futures that pass between guests and the host.
//!
//! The host holds a readable end ([`StreamReader`], [`FutureReader`]) that a guest has passed to
//! it, or that it has made with a producer. It passes the end to a guest, or *pipes* it to a
//! consumer. The event loop polls producers and consumers when the other side is ready.
//!
//! ```text
//! reader        the readable ends that the host holds
//! any           the same, without the type of the values
//! producer      the host at the side that writes
//! destination   where it puts values
//! consumer      the host at the side that reads
//! source        where it takes values from
//! buffer        values on their way
//! guest         a guest at one side: its copy, its memory
//! drive         lets a stream go on whose sides may be ready
//! relay         values from one guest to another
//! ```

mod any;
mod buffer;
mod consumer;
mod destination;
mod drive;
mod guest;
mod producer;
mod reader;
mod relay;
mod source;

pub use buffer::{ReadBuffer, VecBuffer, WriteBuffer};
pub use consumer::{FutureConsumer, StreamConsumer};
pub use destination::{Destination, DirectDestination};
pub(crate) use drive::drive;
pub use producer::{FutureProducer, StreamProducer};
pub use reader::{FutureReader, GuardedFutureReader, GuardedStreamReader, StreamReader};
pub use source::{DirectSource, Source};

/// How a producer or consumer has ended a read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamResult {
    /// It has delivered or taken values, and may do so again.
    Completed,
    /// It was asked to finish, and has not delivered or taken all that it could. It may go on
    /// later.
    Cancelled,
    /// It has delivered or taken its last values, if any.
    Dropped,
}

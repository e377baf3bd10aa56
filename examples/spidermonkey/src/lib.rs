//! The JavaScript guest of this example. Tests and benchmarks use it, too, as a large component of
//! practical use.

#![forbid(unsafe_code)]

mod clock;
pub mod guest;

pub use clock::Clock;

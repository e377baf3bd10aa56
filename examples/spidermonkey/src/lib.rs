//! The JavaScript guest of this example, for everyone who wants a real and large component: the
//! example itself, the tests and the benchmarks.

#![forbid(unsafe_code)]

mod clock;
pub mod guest;

pub use clock::Clock;

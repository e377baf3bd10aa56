//! The JavaScript guest of this example, for everyone who wants a real and large component:
//! the example itself, the tests and the benchmarks.

#![forbid(unsafe_code)]

pub mod guest;

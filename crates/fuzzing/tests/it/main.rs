//! Tests of the whole crate.

mod bodies;
mod round_trips;

//! Tests of the whole crate.

mod programs;
mod verify;

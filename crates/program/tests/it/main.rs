//! Tests of the whole crate.

mod checks;
mod programs;
mod verify;

//! Tests of WASI with guests, one module for each part. Most guests are core modules in text, which
//! `common` makes components of.

mod cli;
mod clocks;
mod common;
mod fs;
mod hosts;
mod net;
mod p1;
mod p3;
mod poll;
mod programs;
mod random;
mod streams;
mod versions;
mod waiting;

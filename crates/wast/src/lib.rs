//! Runs `.wast` scripts, each module wrapped as a component.
#![forbid(unsafe_code)]

mod spectest;
mod wrap;

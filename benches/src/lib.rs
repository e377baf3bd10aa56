//! Measures Mintage, alone and next to its peer.
//!
//! 1. [`guest`]: the components under test, and [`kernels`], those of the steady state;
//! 2. [`contender`]: what an engine must do to be measured, done by [`mintage`] and [`wasmtime`];
//! 3. [`lab`]: one engine with the guests prepared for it;
//! 4. [`metrics`]: the list of what is measured, each with the builder of its probe;
//! 5. [`duel`]: runs the probes of both engines alternately;
//! 6. [`stats`]: samples to medians; [`report`], [`summary`] and [`chart`]: medians to a table or
//!    JSON, sentences, and a picture.
//!
//! `cargo run --release -p mintage-benches` compares; `cargo bench -p mintage-benches` tracks
//! Mintage alone.

pub mod chart;
pub mod contender;
pub mod duel;
pub mod guest;
pub mod kernels;
pub mod lab;
pub mod memory;
pub mod metrics;
pub mod mintage;
pub mod report;
pub mod stats;
pub mod summary;
pub mod wasmtime;

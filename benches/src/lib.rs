//! Measures Mintage, alone or side by side with Wasmtime.
//!
//! | module | contents |
//! |---|---|
//! | [`guest`], [`kernels`] | the components under test |
//! | [`contender`] | the trait of a measured engine; [`mintage`] and [`wasmtime`] implement it |
//! | [`lab`] | an engine with the guests prepared for it |
//! | [`commands`] | components that use WASI, and their metrics |
//! | [`similar`] | metrics of components that are nearly the same |
//! | `tasks` | metrics of components whose functions are `async` |
//! | [`metrics`] | the list of metrics, each with a function that prepares its probe |
//! | [`differ`] | compares the results of random asynchronous programs |
//! | [`duel`] | runs the probes of two engines alternately |
//! | [`stats`] | reduces samples to medians and quartiles |
//! | [`report`], [`summary`], [`chart`] | print medians as a table, JSON, sentences or a chart |
//!
//! `cargo run --release -p mintage-benches` compares the engines. `cargo bench -p mintage-benches`
//! measures Mintage alone.

pub mod chart;
pub mod commands;
pub mod contender;
pub mod differ;
pub mod duel;
pub mod guest;
pub mod kernels;
pub mod lab;
pub mod memory;
pub mod metrics;
pub mod mintage;
pub mod report;
pub mod similar;
pub mod stats;
pub mod summary;
mod tasks;
pub mod wasmtime;

//! Runs `.wast` scripts, the test language of the WebAssembly specification.
//!
//! Mintage runs components only. The runner therefore wraps core modules in components, and calls
//! core exports through [`mintage::core`], a hidden part of the embedding API.
//!
//! | step | files |
//! |---|---|
//! | apply the settings in a script's header to the engine | `header.rs` |
//! | parse the script with the crate `wast` and run its directives | `script.rs`, `legacy.rs` |
//! | wrap core modules in a component | `wrap.rs`, `spectest.rs`, `collector.rs` |
//! | put instances that import from each other into one component | `linking.rs`, `component.rs` |
//! | compile, instantiate and call components | `engine.rs`, `host.rs` |
//! | compare results | `core_value.rs`, `component_value.rs` |
//! | run many scripts in parallel, with a list of expected failures | `suite.rs` |

#![forbid(unsafe_code)]

mod collector;
mod component;
mod component_value;
mod core_value;
mod engine;
mod header;
mod host;
mod legacy;
mod linking;
mod report;
mod script;
mod spectest;
mod suite;
mod wrap;

pub use report::{Failure, Report, Skipped};
pub use script::run;
pub use suite::{Exclusions, Script, Summary, run_all};

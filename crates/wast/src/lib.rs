//! Runs `.wast` scripts: the specification's test language.
//!
//! Mintage hosts components, so the runner wraps core modules as components and calls core exports
//! through a back door of the embedding API.
//!
//! ```text
//! script text   -> engine                  its header says what it is about      header.rs
//! script text   -> directives              parsed by the crate `wast`            script.rs, legacy.rs
//! core modules  -> component binary        with what the runner provides         wrap.rs, spectest.rs, collector.rs
//! instances that import each other         moved into one component              linking.rs, component.rs
//! component     -> instance in a store     all use of the engine                 engine.rs, host.rs
//! results       -> pass or cause           core_value.rs, component_value.rs
//! many scripts  -> summary                 in parallel, with exclusions          suite.rs
//! ```

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

//! The script runner itself, and suites of scripts under a matrix of settings:
//! {optimized, not optimized} x {guard pages, explicit bounds checks}. `--nocapture` prints counts.

mod bulk;
mod component_model;
mod core;
mod damaged;
mod generated;
mod matrix;
mod runner;
mod settings;

//! Suites of scripts, each under every cell of a matrix of settings: {optimized, not optimized} x
//! {guard pages, explicit bounds checks}. Run with `--nocapture` to see counts.

mod bulk;
mod component_model;
mod core;
mod damaged;
mod generated;
mod matrix;
mod settings;

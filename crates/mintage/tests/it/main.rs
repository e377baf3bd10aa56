//! The tests of the public API: one binary, one module per subject.

mod common;

mod adapters;
mod async_calls;
mod backtraces;
mod bindgen;
mod calls;
mod collector;
mod compile_limits;
mod compose;
mod derive;
mod epochs;
mod errors;
mod exceptions;
mod features;
mod fuel;
mod guards;
mod in_place;
mod interrupt;
mod isolation;
mod limits;
mod linking;
mod lookup;
mod memory64;
mod modules;
mod objects;
mod paths;
mod reexport;
mod reflection;
mod resources;
mod smoke;
mod snapshots;
mod stacks;
mod started;
mod values;
mod views;

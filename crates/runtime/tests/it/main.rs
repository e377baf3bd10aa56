//! The runtime over compiled guests, without the embedding API.

mod calls;
mod common;
mod reset;
mod slabs;

//! The GC heap of a component instance: allocation, and the collector.

mod collector;
mod heap;

pub use heap::allocate;

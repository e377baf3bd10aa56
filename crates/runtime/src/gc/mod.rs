//! The GC heap of a component instance: allocation and collection.

mod collector;
mod heap;

pub use heap::allocate;

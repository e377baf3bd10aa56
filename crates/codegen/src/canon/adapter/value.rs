//! The places that adapters read values from and write them to.

use anyhow::{Context as _, Result};
use cranelift_codegen::ir::Value;
use mintage_environ::limit;
use std::slice;

/// A place in memory that was checked to have room for a value.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// An address in the host process.
    pub address: Value,
    /// A displacement that is added to the address.
    pub offset: i32,
}

impl Place {
    /// Returns the place `offset` bytes further on.
    pub fn at(self, offset: u32) -> Result<Place> {
        let sum = i64::from(self.offset) + i64::from(offset);
        let offset = i32::try_from(sum).with_context(|| {
            limit!(
                ComponentSize,
                "a value type of more than 2 GiB is not supported"
            )
        })?;
        Ok(Place { offset, ..self })
    }
}

/// The place that a value is read from.
pub(crate) enum Source<'v> {
    /// The core values of its flat form that are still to be read.
    Flat(slice::Iter<'v, Value>),
    /// Memory of the source side.
    Memory(Place),
}

impl Source<'_> {
    /// Returns the next core value.
    pub fn next(values: &mut slice::Iter<'_, Value>) -> Result<Value> {
        values
            .next()
            .copied()
            .context("internal error: a flat value is too short")
    }
}

/// The place that a value is written to.
pub(crate) enum Destination {
    /// The core values of its flat form, to which more are appended.
    Flat(Vec<Value>),
    /// Memory of the destination side.
    Memory(Place),
}

impl Destination {
    /// Returns the core values that were written.
    pub fn into_flat(self) -> Vec<Value> {
        match self {
            Destination::Flat(values) => values,
            Destination::Memory(_) => Vec::new(),
        }
    }
}

//! Veneers: branches that reach the whole text, for branches that do not.
//!
//! A text that is smaller than the reach of a branch has none. A larger one is cut into chunks of
//! whole functions. After each chunk is its island: a veneer for every function that the chunk
//! calls. A branch whose target is out of reach goes to the veneer in the island of its chunk. It
//! always reaches that, since a chunk and its island together are smaller than the reach
//! ([`Reach`](super::isa::Reach)).

use super::isa::{Isa, VENEER, patch_veneer, push_veneer};
use super::{LINE, PlacedFunction, find};
use anyhow::{Context, Result};
use mintage_codegen::{CompiledFunction, RelocationKind, RelocationTarget};
use mintage_environ::FuncKey;
use std::collections::BTreeSet;

/// The islands of a text, in the order of their places.
pub(super) struct Islands {
    /// The size in bytes of a chunk; `None` if every branch reaches all functions.
    chunk: Option<usize>,
    /// The start of the current chunk.
    start: usize,
    /// The functions that the current chunk calls.
    callees: BTreeSet<FuncKey>,
    islands: Vec<Island>,
}

struct Island {
    /// The offset of the first veneer.
    start: usize,
    /// The targets of the veneers, sorted.
    callees: Vec<FuncKey>,
}

impl Islands {
    /// Starts the first chunk of a text that will have these functions.
    pub fn new(isa: Isa, functions: &[CompiledFunction]) -> Islands {
        let sizes = functions
            .iter()
            .map(|function| function.code.len() + function.alignment as usize + LINE);
        let size: usize = isa.stub.len() + sizes.sum::<usize>();
        let reach = isa.branches.filter(|reach| size as i64 >= reach.branch);
        Islands {
            chunk: reach.map(|reach| reach.chunk),
            start: 0,
            callees: BTreeSet::new(),
            islands: Vec::new(),
        }
    }

    /// Appends the island of the current chunk to the text if `next` does not fit the chunk. Then
    /// adds the calls of `next` to the current chunk.
    pub fn make_place(&mut self, text: &mut Vec<u8>, isa: Isa, next: &CompiledFunction) {
        let Some(chunk) = self.chunk else {
            return;
        };
        // The place of the function is known only afterwards. It is within a cache line.
        let end = text.len() + next.alignment as usize + LINE + next.code.len();
        if end - self.start > chunk {
            self.finish(text, isa);
        }
        let branches = next
            .relocations
            .iter()
            .filter(|relocation| relocation.kind == RelocationKind::Branch26);
        self.callees
            .extend(branches.filter_map(|branch| match branch.target {
                RelocationTarget::Func(key) => Some(key),
                RelocationTarget::TextBase => None,
            }));
    }

    /// Appends the island of the current chunk, which ends.
    pub fn finish(&mut self, text: &mut Vec<u8>, isa: Isa) {
        if !self.callees.is_empty() {
            text.resize(text.len().next_multiple_of(4), isa.padding);
            let callees: Vec<_> = std::mem::take(&mut self.callees).into_iter().collect();
            let start = text.len();
            callees.iter().for_each(|_| push_veneer(text));
            self.islands.push(Island { start, callees });
        }
        self.start = text.len();
    }

    /// Gives all veneers their targets.
    pub fn resolve(&self, text: &mut [u8], placed: &[PlacedFunction]) -> Result<()> {
        for island in &self.islands {
            for (place, &key) in (island.start..).step_by(VENEER).zip(&island.callees) {
                let target = find(placed, key);
                let target = target.with_context(|| format!("{key} is not compiled"))?;
                patch_veneer(text, place as i64, i64::from(target.offset))?;
            }
        }
        Ok(())
    }

    /// Returns the offset of the veneer for `key` in the chunk of a branch at `place`.
    pub fn veneer(&self, place: i64, key: FuncKey) -> Option<i64> {
        let next = self
            .islands
            .partition_point(|island| (island.start as i64) < place);
        let island = self.islands.get(next)?;
        let number = island.callees.binary_search(&key).ok()?;
        Some((island.start + number * VENEER) as i64)
    }
}

//! The result of compiling one function: plain data, ready to be placed and linked.

use mintage_environ::{CatchSite, FuncKey, StackMap, Trap};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// A compiled function that has no place in the text yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFunction {
    /// The name of the function.
    pub key: FuncKey,
    /// Machine code followed by its constants.
    pub code: Vec<u8>,
    /// The alignment of the function's first byte, a power of two.
    pub alignment: u32,
    /// Code ranges of loops, in ascending order. The linker places a function with loops so that
    /// they cross few cache lines.
    pub loops: Vec<Range<u32>>,
    /// Bytes that the linker fills in, sorted by offset.
    pub relocations: Vec<Relocation>,
    /// Code offset and cause of each instruction that can trap, sorted by offset. Every trap of
    /// guest code is listed, apart from those that trampolines raise by calling the raise stub.
    pub traps: Vec<(u32, Trap)>,
    /// Calls during which this function catches exceptions, sorted by return address.
    pub catches: Vec<CatchSite>,
    /// Calls across which GC references are live, sorted by return address.
    pub stack_maps: Vec<StackMap>,
    /// The map from code offsets to byte offsets in the component, sorted. Each entry holds up to
    /// the next one. `u32::MAX` marks code that has no place in the source. Empty unless
    /// `Tunables::address_map` is set.
    pub addresses: Vec<(u32, u32)>,
}

impl CompiledFunction {
    /// Returns the size of everything but the machine code, in bytes.
    pub fn table_size(&self) -> usize {
        let mut shared = HashSet::new();
        let mut size = size_of_val(&self.relocations[..]) + size_of_val(&self.traps[..]);
        size += size_of_val(&self.addresses[..]) + size_of_val(&self.loops[..]);
        for site in &self.catches {
            let new = shared.insert(Arc::as_ptr(&site.handlers).cast::<()>());
            size += size_of_val(site)
                + if new {
                    size_of_val(&site.handlers[..])
                } else {
                    0
                };
        }
        for map in &self.stack_maps {
            let new = shared.insert(Arc::as_ptr(&map.slots).cast::<()>());
            size += size_of_val(map)
                + if new {
                    size_of_val(map.slots.encoded())
                } else {
                    0
                };
        }
        size
    }
}

/// A place in the code whose value depends on where functions are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Code offset of the bytes to fill in.
    pub offset: u32,
    /// The form of the value.
    pub kind: RelocationKind,
    /// The place that the value depends on.
    pub target: RelocationTarget,
    /// A number that is added to the offset of the target.
    pub addend: i64,
}

/// The way in which a relocation's value is computed and written. `P` is the offset of the patched
/// bytes. It and `target` are counted from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelocationKind {
    /// 4 bytes, little endian: `target + addend - P`, which must fit `i32`.
    PcRelative4,
    /// The low 26 bits of an instruction: `(target + addend - P) / 4`, signed. If the target is out
    /// of reach, the branch goes to a veneer, which goes on to it. The addend is 0.
    Branch26,
    /// The 21 bits of an instruction that computes the address of a page of 4 KiB: the number of
    /// pages from that of `P` to that of `target + addend`, signed. Bits 29 and 30 have the low two
    /// bits, and bits 5 to 23 the others.
    Page21,
    /// Bits 10 to 21 of an instruction: the offset of `target + addend` in its page of 4 KiB. The
    /// text starts at the start of a page.
    PageOffset12,
    /// 8 bytes, little endian: `target + addend`. The value is an offset and not an address, so the
    /// code stays position independent. With a signature word in the high half of the addend it is
    /// a whole [`FuncEntry`](mintage_environ::FuncEntry).
    TextOffset8,
}

/// The place that a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// The first byte of a function.
    Func(FuncKey),
    /// The first byte of the text, offset 0.
    TextBase,
}

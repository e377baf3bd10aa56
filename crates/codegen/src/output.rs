//! What compiling one function gives: plain data, ready to be placed and linked.

use mintage_environ::{FuncKey, Trap};

/// A compiled function, not yet placed in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFunction {
    /// Which function it is.
    pub key: FuncKey,
    /// Machine code followed by its constants.
    pub code: Vec<u8>,
    /// The power of two that the function's place must be a multiple of.
    pub alignment: u32,
    /// What the linker must fill in, sorted by offset.
    pub relocations: Vec<Relocation>,
    /// Code offset of each instruction that can trap, and why; sorted by offset. A host call's trampoline aside, which raises
    /// traps by calling the raise stub, every trap of guest code is listed here.
    pub traps: Vec<(u32, Trap)>,
    /// Code offset to byte offset in the component, sorted: each entry holds up to the next one. `u32::MAX` is code without a
    /// place in the source. Empty unless `Tunables::address_map` is set.
    pub addresses: Vec<(u32, u32)>,
}

/// A place in the code that depends on where functions are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Code offset of the bytes to fill in.
    pub offset: u32,
    /// What to write there.
    pub kind: RelocationKind,
    /// What the value depends on.
    pub target: RelocationTarget,
    /// Added to the target's place.
    pub addend: i64,
}

/// How a relocation's value is computed and written. `P` is the place that is patched, both counted from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationKind {
    /// 4 bytes, little endian: `target + addend - P`, which must fit `i32`.
    X86PcRel4,
    /// 8 bytes, little endian: `target + addend`, where `target` is the offset from the start of the text: no address, so
    /// the code stays position independent. With the signature word in the high half of the addend this is a whole
    /// [`FuncEntry`](mintage_environ::FuncEntry).
    TextOffset8,
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// The first byte of a function.
    Func(FuncKey),
    /// The first byte of the text, offset 0.
    TextBase,
}

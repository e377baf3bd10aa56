//! The decoded part of an artifact: what the runtime and the embedding API need to know, and whether they fit this host.

use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::ComponentInterface;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{DataId, ElemId, IndexVec, Target, Tunables};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Pages of the image start and end at multiples of this, in the slab and in the file.
pub const PAGE: u64 = 4096;

/// A part of the slab that is not zero when an instance starts, and where its bytes stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRun {
    /// Offset of the first byte from the start of the slab: a multiple of [`PAGE`].
    pub slab_offset: u64,
    /// Offset of the first byte from the start of the file: a multiple of [`PAGE`].
    pub file_offset: u64,
    /// Bytes: a multiple of [`PAGE`], never 0.
    pub len: u64,
}

/// All that is decoded when an artifact is loaded. Everything else is read in place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// The machine that the code was made for.
    pub target: Target,
    /// The settings that the code and the layout depend on.
    pub tunables: Tunables,
    /// Imports, exports, types and run-time initializers.
    pub interface: ComponentInterface,
    /// Where everything lies in a slab.
    pub layout: SlabLayout,
    /// The parts of the slab that are not zero when an instance starts, in order, without overlap. Control blocks are
    /// zero in them.
    pub image: Vec<ImageRun>,
    /// File ranges of the data segments that code can name at run time.
    pub data: IndexVec<DataId, Range<u64>>,
    /// File ranges of the element segments that code can name at run time: 8-byte `FuncEntry` words.
    pub elems: IndexVec<ElemId, Range<u64>>,
}

impl Metadata {
    /// Checks that the code can run on `host` and was made with the settings that the host expects.
    ///
    /// `OptLevel` and the code generator's own verifier may differ: they change nothing that code and runtime agree on.
    ///
    /// # Errors
    ///
    /// Names the first difference: the triple, the missing CPU feature, or the setting with both its values.
    pub fn check_host(&self, host: &Target, tunables: &Tunables) -> Result<()> {
        let _ = (host, tunables);
        bail!("not written")
    }
}

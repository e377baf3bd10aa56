//! Reading an artifact in place.

use crate::Metadata;
use anyhow::{Result, bail};
use mintage_environ::{CoreInstanceId, DataId, ElemId, Trap};
use std::ops::Range;

/// How much of an artifact is compared with its hashes when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// The header, the section table, the metadata and the key table. The cost does not depend on the amount of code, apart
    /// from 4 bytes per function.
    #[default]
    Metadata,
    /// Every byte of the file.
    Full,
}

/// An open artifact: its bytes, where everything stands in them, and the decoded [`Metadata`].
///
/// `B` owns or borrows the bytes of the whole file: a slice, a vector, or a mapping of the file. The bytes must not change.
///
/// No method panics or reads out of bounds, whatever the bytes are; lookups in damaged tables give `None` or a wrong answer.
pub struct Artifact<B> {
    bytes: B,
    metadata: Metadata,
}

impl<B: AsRef<[u8]>> Artifact<B> {
    /// Opens the artifact that `bytes` hold.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a file that is no artifact, is cut off or damaged, was made by another version, or breaks a
    /// rule of the format. Whether it fits this host is asked with [`Metadata::check_host`].
    pub fn parse(bytes: B, check: Check) -> Result<Artifact<B>> {
        let _ = (bytes, check);
        bail!("not written")
    }

    /// The owner of the bytes.
    pub fn owner(&self) -> &B {
        &self.bytes
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The decoded metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the machine code stands in the file; its start is a multiple of [`PAGE`](crate::PAGE), never empty.
    pub fn text_range(&self) -> Range<usize> {
        0..0
    }

    /// The trap that the instruction at `code_offset` (from the start of the text) raises when it faults.
    ///
    /// Neither allocates nor panics nor locks, so that a signal handler can call it.
    pub fn trap_at(&self, code_offset: u32) -> Option<Trap> {
        let _ = code_offset;
        None
    }

    /// The byte offset in the component of the wasm instruction that the machine instruction which contains `code_offset`
    /// belongs to. For a return address, pass the address less one.
    pub fn address_at(&self, code_offset: u32) -> Option<u32> {
        let _ = code_offset;
        None
    }

    /// The name of the function with this ordinal in the key table, as the module's name section gives it.
    pub fn function_name(&self, ordinal: u32) -> Option<&str> {
        let _ = ordinal;
        None
    }

    /// The name of a core instance's module, as its name section gives it.
    pub fn module_name(&self, instance: CoreInstanceId) -> Option<&str> {
        let _ = instance;
        None
    }

    /// The bytes of a run-time data segment.
    pub fn data_segment(&self, id: DataId) -> Option<&[u8]> {
        let _ = id;
        None
    }

    /// The entries of a run-time element segment, as the bytes of 8-byte little-endian `FuncEntry` words.
    pub fn elem_segment(&self, id: ElemId) -> Option<&[u8]> {
        let _ = id;
        None
    }

    /// Name and size in bytes of each section, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, usize)> {
        std::iter::empty()
    }
}

//! [`Code`]: a mapped artifact whose functions can be called.

use anyhow::{Result, bail};
use mintage_artifact::Metadata;
use mintage_environ::component::{ComponentInterface, CoreCallee};
use mintage_environ::layout::SlabLayout;
use mintage_environ::{LiftId, LowerId, Tunables};
use std::path::Path;
use std::sync::Arc;

/// A core function that can be called: pointers into mapped code. Valid as long as its [`Code`] lives.
#[derive(Clone, Copy, Debug)]
pub struct Callee {
    pub(crate) func: *const u8,
    pub(crate) entry: *const u8,
}

/// What a loader demands of an artifact, besides that this machine can run it.
#[derive(Clone, Debug, Default)]
pub struct LoadCheck {
    /// The settings that the artifact must have been compiled with.
    pub tunables: Tunables,
    /// How much of the file is compared with its hashes.
    pub level: mintage_artifact::Check,
}

/// The resolved core functions of a lift.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedLift {
    /// The lifted function.
    pub callee: Callee,
    /// `realloc`.
    pub realloc: Option<Callee>,
    /// `post-return`.
    pub post_return: Option<Callee>,
}

/// A component's machine code and image, mapped once and shared by all its instances.
pub struct Code {
    metadata: Metadata,
}

impl Code {
    /// Maps the artifact in the file at `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no artifact of this version, or was made for another machine or other settings.
    /// Nothing is executable before these checks.
    ///
    /// # Safety
    ///
    /// The file was made by this project's compiler and nobody changes it as long as the result lives.
    pub unsafe fn open(path: &Path, check: &LoadCheck) -> Result<Arc<Code>> {
        bail!("{path:?} {check:?}")
    }

    /// Maps a copy of the artifact in `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Code::open`].
    ///
    /// # Safety
    ///
    /// The bytes were made by this project's compiler.
    pub unsafe fn from_bytes(bytes: &[u8], check: &LoadCheck) -> Result<Arc<Code>> {
        bail!("{bytes:?} {check:?}")
    }

    /// All that the embedding API needs to know of the component.
    pub fn interface(&self) -> &ComponentInterface {
        &self.metadata.interface
    }

    /// Where everything lies in a slab.
    pub fn layout(&self) -> &SlabLayout {
        &self.metadata.layout
    }

    /// The decoded part of the artifact.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The whole artifact.
    pub fn bytes(&self) -> &[u8] {
        &[]
    }

    /// The functions of a lift: resolved at load, so this is one array access.
    ///
    /// # Panics
    ///
    /// When `id` is not a lift of this component.
    pub fn lift(&self, id: LiftId) -> &ResolvedLift {
        panic!("{id:?} is no lift")
    }

    /// The `realloc` of a lowered import's options.
    ///
    /// # Panics
    ///
    /// When `id` is not a lowered import of this component.
    pub fn lower_realloc(&self, id: LowerId) -> Option<Callee> {
        panic!("{id:?} is no lowered import")
    }

    /// Looks up a function that the interface names (a core export, a start function, ...).
    ///
    /// # Errors
    ///
    /// When the artifact has no code for it.
    pub fn callee(&self, callee: CoreCallee) -> Result<Callee> {
        bail!("{callee:?}")
    }
}

//! Getting a component ready to run, from a component's binary or from an artifact.

use crate::input::Input;
use anyhow::{Context, Result};
use mintage::{Component, Engine};
use std::path::Path;

/// Compiles or loads what stands in `path`.
///
/// # Errors
///
/// As [`Input::read`]; when compiling fails; or when the artifact is damaged, or was made by another version, for another
/// machine or for other settings.
pub(crate) fn component(engine: &Engine, path: &Path) -> Result<Component> {
    match Input::read(path)? {
        Input::Component(bytes) => {
            Component::new(engine, bytes).with_context(|| format!("cannot compile `{}`", path.display()))
        }
        Input::Artifact(bytes) => artifact(engine, &bytes).with_context(|| format!("cannot load `{}`", path.display())),
    }
}

/// Loads an artifact.
///
/// # Errors
///
/// When it is damaged, or was made by another version, for another machine or for other settings.
#[allow(unsafe_code, reason = "an artifact's machine code is run as it stands in the file")]
pub(crate) fn artifact(engine: &Engine, bytes: &[u8]) -> Result<Component> {
    // SAFETY: `deserialize` wants an artifact that a compiler of this version made. It compares every byte of it with the hashes in
    // it, which rules out damage; that nobody forged it is what the user vouches for by running it, as with any executable. The
    // bytes are the process's own copy.
    unsafe { Component::deserialize(engine, bytes) }
}

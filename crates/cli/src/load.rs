//! Getting a component ready to run, from a component's binary or from an artifact.

use crate::input::{Artifact, Input, Precompiled, Source};
use anyhow::{Context, Result};
use mintage::{Component, Engine};
use std::path::Path;

/// Compiles or loads what the user names.
///
/// # Errors
///
/// As [`Source::read`]; when compiling fails; when an artifact is not allowed, is damaged, or was made by another version, for
/// another machine or for other settings.
pub(crate) fn component(engine: &Engine, source: &Source, precompiled: &Precompiled) -> Result<Component> {
    let app = source.app.display();
    match source.read(engine)? {
        Input::Component(bytes) => Component::new(engine, bytes).with_context(|| format!("cannot compile `{app}`")),
        Input::Artifact(artifact) => {
            precompiled.check(&source.app)?;
            let component = match artifact {
                Artifact::File(path) => artifact_file(engine, &path),
                Artifact::Bytes(bytes) => artifact_bytes(engine, &bytes),
            };
            component.with_context(|| format!("cannot load `{app}`"))
        }
    }
}

/// Loads an artifact.
///
/// # Errors
///
/// When it is damaged, or was made by another version, for another machine or for other settings.
#[allow(unsafe_code, reason = "an artifact's machine code is run as it stands in the file")]
pub(crate) fn artifact_bytes(engine: &Engine, bytes: &[u8]) -> Result<Component> {
    // SAFETY: `deserialize` wants an artifact that a compiler of this version made. It compares every byte of it with the hashes in
    // it, which rules out damage; that nobody forged it is what the user vouches for by allowing it. The bytes are the
    // process's own copy.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Loads an artifact from a file, which is mapped.
#[allow(unsafe_code, reason = "an artifact's machine code is run as it stands in the file")]
fn artifact_file(engine: &Engine, path: &Path) -> Result<Component> {
    // SAFETY: as above; `engine` verifies artifacts, so that every byte of the file is compared, too. That nobody changes the
    // file while it runs is as true of it as of any executable.
    unsafe { Component::deserialize_file(engine, path) }
}

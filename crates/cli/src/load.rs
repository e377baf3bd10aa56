//! Getting a component ready to run, from a component's binary or from an artifact.

use crate::input::{Artifact, Input, Precompiled, Source};
use crate::settings::CodeSettings;
use mintage::error::{Context, Result};
use mintage::{Component, Config, Engine};
use std::path::Path;

/// Compiles or loads what the user names. The component's engine has the settings of an artifact
/// where it is one, and otherwise those of `config` and `settings`.
///
/// # Errors
///
/// As [`Source::read`]; when compiling fails; when an artifact is not allowed, is damaged, was made
/// by another version or for another machine, or when settings are given for it.
pub(crate) fn component(
    config: &Config,
    settings: &CodeSettings,
    source: &Source,
    precompiled: &Precompiled,
) -> Result<Component> {
    let app = source.app.display();
    let mut config = config.clone();
    settings.apply(&mut config)?;
    let engine = Engine::new(&config)?;
    match source.read(&engine)? {
        Input::Component(bytes) => {
            Component::new(&engine, bytes).with_context(|| format!("cannot compile `{app}`"))
        }
        Input::Artifact(artifact) => {
            precompiled.check(&source.app)?;
            settings.refuse(&source.app)?;
            let component = match artifact {
                Artifact::File(path) => artifact_file(&mut config, &path),
                Artifact::Bytes(bytes) => config
                    .match_artifact(&bytes)
                    .and_then(|config| artifact_bytes(&Engine::new(config)?, &bytes)),
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
#[allow(
    unsafe_code,
    reason = "an artifact's machine code is run as it stands in the file"
)]
pub(crate) fn artifact_bytes(engine: &Engine, bytes: &[u8]) -> Result<Component> {
    // SAFETY: `deserialize` wants an artifact that a compiler of this version made. It compares
    // every byte of it with the hashes in it, which rules out damage; that nobody forged it is what
    // the user vouches for by allowing it. The bytes are the process's own copy.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Loads an artifact from a file, which is mapped, for an engine with its settings.
#[allow(
    unsafe_code,
    reason = "an artifact's machine code is run as it stands in the file"
)]
fn artifact_file(config: &mut Config, path: &Path) -> Result<Component> {
    // SAFETY: that nobody changes the file while it is used is as true of it as of any executable.
    let config = unsafe { config.match_artifact_file(path) }?;
    let engine = Engine::new(config.verify_artifacts(true))?;
    // SAFETY: as in `artifact_bytes`; the engine verifies artifacts, so that every byte of the file
    // is compared, too. That nobody changes it, see above.
    unsafe { Component::deserialize_file(&engine, path) }
}

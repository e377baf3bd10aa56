//! Compiles components and loads artifacts.

use crate::cache::CommandCache;
use crate::input::{self, Artifact, Input, Precompiled, Source};
use crate::settings::CodeSettings;
use mintage::error::{Context, Result};
use mintage::{Component, Config, Engine};
use std::path::Path;
use std::time::Instant;

/// A component that was compiled or loaded.
pub(crate) struct Loaded {
    pub component: Component,
    /// Whether it was made of a core module.
    pub is_module: bool,
}

/// Compiles or loads `source`. What is compiled is looked up and kept in `cache`.
///
/// The engine of a component has the settings of `config` and `settings`. The engine of an artifact
/// has the settings that it was compiled with.
///
/// # Errors
///
/// Fails like [`Source::read`], or if compilation fails. Fails for an artifact if artifacts are not
/// allowed, if it is damaged, if it was made by another version or for another machine, or if
/// `settings` has any.
pub(crate) fn component(
    config: &Config,
    settings: &CodeSettings,
    source: &Source,
    precompiled: &Precompiled,
    cache: CommandCache,
) -> Result<Loaded> {
    let mut config = config.clone();
    settings.apply(&mut config)?;
    // An artifact is not looked up: that would read and hash all of it.
    if !source.has_additions() && input::is_artifact(&source.app) {
        let artifact = Artifact::File(source.app.clone());
        return self::artifact(config, settings, source, precompiled, &artifact);
    }
    cache.apply(&mut config);
    let engine = Engine::new(&config)?;
    // A file that is in the cache is not read as a whole.
    if !source.has_additions()
        && let Some((component, is_module)) = Component::from_cache(&engine, &source.app)
    {
        return Ok(Loaded {
            component,
            is_module,
        });
    }
    let input = source.read(&engine)?;
    let is_module = matches!(input, Input::Module(_));
    let start = Instant::now();
    let compiled = match input {
        Input::Component(bytes) => Component::new(&engine, bytes),
        Input::Module(bytes) => Component::from_module(&engine, bytes),
        Input::Artifact(bytes) => {
            return artifact(config, settings, source, precompiled, &bytes);
        }
    };
    let component =
        compiled.with_context(|| format!("cannot compile `{}`", source.app.display()))?;
    cache.explain(start);
    Ok(Loaded {
        component,
        is_module,
    })
}

/// Loads an artifact that the user must have allowed, with the settings that it was compiled with.
fn artifact(
    mut config: Config,
    settings: &CodeSettings,
    source: &Source,
    precompiled: &Precompiled,
    artifact: &Artifact,
) -> Result<Loaded> {
    precompiled.check(&source.app)?;
    settings.ensure_none(&source.app)?;
    let component = match artifact {
        Artifact::File(path) => artifact_file(&mut config, path),
        Artifact::Bytes(bytes) => config
            .match_artifact(bytes)
            .and_then(|config| artifact_bytes(&Engine::new(config)?, bytes)),
    };
    Ok(Loaded {
        component: component.with_context(|| format!("cannot load `{}`", source.app.display()))?,
        is_module: false,
    })
}

/// Loads an artifact.
///
/// # Errors
///
/// Fails if it is damaged, or was made by another version, for another machine or with other
/// settings.
#[allow(unsafe_code, reason = "the machine code in an artifact is trusted")]
pub(crate) fn artifact_bytes(engine: &Engine, bytes: &[u8]) -> Result<Component> {
    // SAFETY: `deserialize` requires an artifact that this version compiled. It checks the version
    // and the hashes of all bytes, which rules out damage. That the artifact is not forged is what
    // the user states with `--allow-precompiled`, or `mintage compile` has just made it. The bytes
    // are the process's own copy.
    unsafe { Component::deserialize(engine, bytes) }
}

/// Maps an artifact in a file, for an engine with the artifact's settings.
#[allow(unsafe_code, reason = "the machine code in an artifact is trusted")]
fn artifact_file(config: &mut Config, path: &Path) -> Result<Component> {
    // SAFETY: the file must not change while it is mapped. As for any executable, that is up to the
    // user, who has allowed this file.
    let config = unsafe { config.match_artifact_file(path) }?;
    let engine = Engine::new(config.verify_artifacts(true))?;
    // SAFETY: as in `artifact_bytes`, since `verify_artifacts` makes the engine check the hashes of
    // all bytes of a file, too; the file does not change, as above.
    unsafe { Component::deserialize_file(&engine, path) }
}

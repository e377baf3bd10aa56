//! Composes the components of a case into one, in which the exports of the others satisfy the
//! runner's imports.

use crate::suite::{Case, Source};
use indexmap::IndexMap;
use mintage::error::{Context, Result};
use std::fs;
use std::path::Path;
use wac_graph::EncodeOptions;
use wac_parser::Document;
use wac_types::BorrowedPackageKey;
use wasm_compose::composer::ComponentComposer;
use wasm_compose::config::Config;

/// Composes the components of `case`. `component` returns the file of each. Intermediate files are
/// written to `folder`.
///
/// # Errors
///
/// Fails if imports and exports do not match.
pub fn compose<'a>(
    case: &Case<'_>,
    folder: &Path,
    component: impl Fn(&Source) -> &'a Path,
) -> Result<Vec<u8>> {
    match &case.test.config.wac {
        Some(script) => by_script(case, &case.test.folder.join(script), component),
        None => one_by_one(case, folder, component),
    }
}

/// Satisfies the runner's imports by adding the other components one by one.
fn one_by_one<'a>(
    case: &Case<'_>,
    folder: &Path,
    component: impl Fn(&Source) -> &'a Path,
) -> Result<Vec<u8>> {
    let mut composed = Vec::new();
    let mut outer = component(case.runner).to_path_buf();
    for (index, called) in case.called.iter().enumerate() {
        let config = Config {
            definitions: vec![component(called).to_path_buf()],
            ..Config::default()
        };
        composed = ComponentComposer::new(&outer, &config)
            .compose()
            .with_context(|| format!("cannot compose with {}", called.name))?;
        // The composer can only read files.
        outer = folder.join(format!("{}-{index}.wasm", case.name().replace('/', "-")));
        fs::write(&outer, &composed)
            .with_context(|| format!("cannot write {}", outer.display()))?;
    }
    Ok(composed)
}

/// Follows the test's script, which names components by their worlds.
fn by_script<'a>(
    case: &Case<'_>,
    script: &Path,
    component: impl Fn(&Source) -> &'a Path,
) -> Result<Vec<u8>> {
    let text =
        fs::read_to_string(script).with_context(|| format!("cannot read {}", script.display()))?;
    let names = case
        .components()
        .map(|source| format!("test:{}", source.world))
        .collect::<Vec<_>>();
    let mut packages = IndexMap::new();
    for (name, source) in names.iter().zip(case.components()) {
        let key = BorrowedPackageKey {
            name,
            version: None,
        };
        packages.insert(key, fs::read(component(source))?);
    }
    let options = EncodeOptions {
        define_components: true,
        // The validator rejects features that are off by default. The engine validates anyway.
        validate: false,
        processor: None,
    };
    let document = Document::parse(&text).context("cannot read the script")?;
    let resolution = document
        .resolve(packages)
        .context("cannot follow the script")?;
    resolution
        .encode(options)
        .context("cannot encode the composition")
}

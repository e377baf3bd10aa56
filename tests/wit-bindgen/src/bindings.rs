//! Generates bindings between a world and the source of a component.

use crate::suite::{Language, Source, Test};
use clap::{Args, Parser};
use mintage::error::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_bindgen_core::{Files, WorldGenerator};

/// The generator's arguments in a source: those of its language and those for reading WIT.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Arguments<O: Args> {
    #[command(flatten)]
    language: O,
    /// Features of the WIT to turn on.
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

/// Reads the WIT of a test and returns it with the world that a source implements.
pub fn world(test: &Test, source: &Source, features: Vec<String>) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    resolve.features.extend(features);
    let (package, _) = resolve
        .push_path(test.wit())
        .context("cannot read the WIT")?;
    let world = resolve.select_world(&[package], Some(&source.world))?;
    Ok((resolve, world))
}

/// Writes the bindings of a source to `folder` and returns the paths of the files.
///
/// # Errors
///
/// Fails if the generator does not know an argument, or does not support the world.
pub fn generate(test: &Test, source: &Source, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut arguments = source.config.args.to_vec();
    let (mut generator, features): (Box<dyn WorldGenerator>, _) = match source.language {
        Language::Rust => {
            if test.config.default_bindgen_args != Some(false) {
                arguments.push("--generate-all".into());
            }
            let arguments = Arguments::<wit_bindgen_rust::Opts>::try_parse_from(arguments)?;
            (Box::new(arguments.language.build()), arguments.features)
        }
        Language::C => {
            let arguments = Arguments::<wit_bindgen_c::Opts>::try_parse_from(arguments)?;
            (arguments.language.build(), arguments.features)
        }
        Language::Cpp => {
            let arguments = Arguments::<wit_bindgen_cpp::Opts>::try_parse_from(arguments)?;
            copy_headers(test, folder)?;
            (
                arguments.language.build(Some(&folder.to_path_buf())),
                arguments.features,
            )
        }
        other => bail!("there are no bindings for {other}"),
    };
    let (mut resolve, world) = world(test, source, features)?;
    let mut files = Files::default();
    generator
        .generate(&mut resolve, world, &mut files)
        .context("cannot generate bindings")?;
    let mut paths = Vec::new();
    for (name, contents) in files.iter() {
        let path = folder.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Copies the headers for resources that a test implements in C++. The generator does not overwrite
/// them.
fn copy_headers(test: &Test, folder: &Path) -> Result<()> {
    let headers = test.folder.join("cpp");
    if !headers.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&headers)? {
        let path = entry?.path();
        let copy = folder.join(path.file_name().expect("an entry has a name"));
        fs::copy(&path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
    }
    Ok(())
}

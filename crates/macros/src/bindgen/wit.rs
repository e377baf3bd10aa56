//! [`Wit`]: the packages that the options of `bindgen!` name.

use super::Input;
use anyhow::{Error, Result, anyhow as format_err};
use std::path::Path;
use wit_parser::{PackageId, Resolve};

/// The packages that the options name.
pub struct Wit {
    pub resolve: Resolve,
    /// The packages that may have the world.
    pub packages: Vec<PackageId>,
    /// The files that were read.
    pub files: Vec<String>,
}

impl Wit {
    /// Reads the packages. Paths are relative to `root`; without any, the folder `wit` is read if
    /// there is one, or if there is no other source.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not WIT. The error names the file and line.
    pub fn read(input: &Input, root: &Path) -> Result<Wit> {
        let mut wit = Wit {
            resolve: Resolve {
                all_features: input.features.is_none(),
                ..Resolve::default()
            },
            packages: Vec::new(),
            files: Vec::new(),
        };
        let features = input.features.iter().flatten().cloned();
        wit.resolve.features.extend(features);
        for path in &input.paths {
            wit.read_path(&root.join(path))?;
        }
        let default = root.join("wit");
        let has_default = default.is_dir() || input.inline.is_none();
        if input.paths.is_empty() && has_default {
            wit.read_path(&default)?;
        }
        if let Some(inline) = &input.inline {
            let package = wit.resolve.push_str("inline.wit", inline);
            let package = package.map_err(|error| wit.failed("inline", &error))?;
            // The world is that of the inline package, unless its name says otherwise.
            wit.packages = vec![package];
        }
        Ok(wit)
    }

    fn read_path(&mut self, path: &Path) -> Result<()> {
        // Messages are easier to read without `..`.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let pushed = self.resolve.push_path(&path);
        let (package, sources) =
            pushed.map_err(|error| self.failed(&path.to_string_lossy(), &error))?;
        let files = sources.paths().filter_map(|path| path.to_str());
        self.files.extend(files.map(str::to_string));
        self.packages.push(package);
        Ok(())
    }

    /// Adds to an error which source it is from, and the line.
    fn failed(&self, source: &str, error: &Error) -> Error {
        let error = self.resolve.render_error(error);
        format_err!("cannot read the WIT of `{source}`: {error}")
    }
}

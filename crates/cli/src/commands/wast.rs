//! `mintage wast`: runs scripts.

use mintage::error::{Context, Result, bail};
use mintage::{Config, Engine};
use mintage_wast::{Exclusions, Script};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Run `.wast` scripts, core modules wrapped as components
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare with a list of what is expected to fail: one `SCRIPT REASON` (not run) or
    /// `SCRIPT:LINE REASON` a line
    #[arg(long, value_name = "LIST")]
    expected_failures: Option<PathBuf>,
    /// The scripts, and folders of scripts (whose names in the list are relative to the folder)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        // Scripts say what they need by what they use.
        let mut config = Config::new();
        config.core_exports(true).wasm_all_features();
        let engine = Engine::new(&config)?;
        let expected = match &self.expected_failures {
            Some(path) => {
                let list = read(path)?;
                Exclusions::parse(&list).with_context(|| format!("in `{}`", path.display()))?
            }
            None => Exclusions::default(),
        };
        let mut scripts = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                add_folder(path, "", &mut scripts)?;
            } else {
                add(path, path.display().to_string(), &mut scripts)?;
            }
        }
        let summary = mintage_wast::run_all(&engine, &scripts, &expected);
        for problem in &summary.problems {
            eprintln!("{problem}");
        }
        writeln!(io::stdout(), "{summary}")?;
        match summary.problems.len() {
            0 => Ok(()),
            // Directives are skipped only because another one has failed.
            problems => bail!(
                "{problems} problems; {} directives were skipped",
                summary.skipped
            ),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn add(path: &Path, name: String, scripts: &mut Vec<Script>) -> Result<()> {
    let text = read(path)?;
    scripts.push(Script { name, text });
    Ok(())
}

/// Adds the scripts in a folder and the folders in it, in order of their names, which start with
/// `prefix`.
fn add_folder(folder: &Path, prefix: &str, scripts: &mut Vec<Script>) -> Result<()> {
    let list = || -> io::Result<Vec<_>> {
        let mut paths = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    for path in list().with_context(|| format!("cannot list `{}`", folder.display()))? {
        let Some(name) = path.file_name() else {
            continue;
        };
        let name = format!("{prefix}{}", name.to_string_lossy());
        if path.is_dir() {
            add_folder(&path, &format!("{name}/"), scripts)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wast")
        {
            add(&path, name, scripts)?;
        }
    }
    Ok(())
}

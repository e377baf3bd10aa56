//! `mintage wast`: runs `.wast` scripts.

use crate::settings::{CodeSettings, in_terms_of_options};
use mintage::error::{Context, Result, bail};
use mintage::{Config, Engine};
use mintage_wast::{Exclusions, Script};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Run `.wast` scripts, with each core module wrapped in a component
///
/// All features are on unless `-W` turns them off.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// List of expected failures; each line is `SCRIPT REASON` for a script that is not run, or
    /// `SCRIPT:LINE REASON`
    #[arg(long, value_name = "LIST")]
    expected_failures: Option<PathBuf>,

    /// Scripts or folders of scripts; in the list, a script in a folder is named relative to it
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten, next_help_heading = "Compilation")]
    settings: CodeSettings,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let mut config = Config::new();
        config.core_exports(true).wasm_all_features();
        self.settings.apply(&mut config)?;
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
            eprintln!("{}", in_terms_of_options(problem));
        }
        writeln!(io::stdout(), "{summary}")?;
        match summary.problems.len() {
            0 => Ok(()),
            // Directives are skipped only if an earlier one has failed.
            problems => bail!(
                "{problems} problems; {} directives skipped",
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

/// Adds the scripts in a folder and its subfolders, sorted by name. `prefix` is put in front of
/// each name.
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

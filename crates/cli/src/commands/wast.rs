//! `mintage wast`: runs scripts.

use anyhow::{Context, Result, bail};
use mintage::{Config, Engine};
use mintage_wast::{Exclusions, Script};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Run `.wast` scripts, core modules wrapped as components
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scripts
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        // Scripts say what they need by what they use.
        let mut config = Config::new();
        config
            .core_exports(true)
            .wasm_component_model_implements(true)
            .wasm_component_model_map(true)
            .wasm_component_model_error_context(true)
            .wasm_component_model_memory64(true)
            .wasm_component_model_fixed_length_lists(true);
        let engine = Engine::new(&config)?;
        let mut scripts = Vec::new();
        for path in &self.files {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            scripts.push(Script {
                name: path.display().to_string(),
                text,
            });
        }
        let summary = mintage_wast::run_all(&engine, &scripts, &Exclusions::default());
        for problem in &summary.problems {
            let _ = writeln!(io::stderr(), "{problem}");
        }
        writeln!(io::stdout(), "{summary}")?;
        match summary.problems.len() + summary.skipped {
            0 => Ok(()),
            _ => bail!(
                "{} directives failed, {} were skipped",
                summary.problems.len(),
                summary.skipped
            ),
        }
    }
}

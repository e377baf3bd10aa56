//! `mintage completions`: scripts by which shells complete options.

use clap::CommandFactory;
use clap_complete::Shell;
use mintage::error::Result;
use std::io::{self, Write};

/// Print a script by which a shell completes the options of this command
///
/// For example, for bash: `mintage completions bash >
/// ~/.local/share/bash-completion/completions/mintage`.
#[derive(clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        // The generator panics when it cannot write, so it writes to memory.
        let mut script = Vec::new();
        let command = &mut crate::Cli::command();
        clap_complete::generate(self.shell, command, "mintage", &mut script);
        io::stdout().write_all(&script)?;
        Ok(())
    }
}

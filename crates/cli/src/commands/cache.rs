//! `mintage cache`: the cache of compiled components.

use crate::cache;
use clap::Subcommand;
use mintage::error::Result;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Show or clear the cache of compiled components
///
/// `mintage run` keeps the machine code of components there. The folder is `mintage` in
/// `XDG_CACHE_HOME` or `~/.cache`. It is used by its owner only: each entry is authenticated with a
/// secret in it. Entries that were not used for longest are removed beyond 1 GiB.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the path of the folder
    Path,
    /// Remove all entries
    Clear,
    /// Print the number and the size of the entries
    Stats,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let cache = cache::users()?;
        let mut out = io::stdout();
        match self.action {
            Action::Path => {
                out.write_all(cache.directory().as_os_str().as_bytes())?;
                writeln!(out)?;
            }
            Action::Clear => {
                let removed = cache.clear()?;
                writeln!(
                    out,
                    "removed {} entries, {}",
                    removed.entries,
                    megabytes(removed.bytes)
                )?;
            }
            Action::Stats => {
                let stats = cache.stats()?;
                writeln!(out, "folder   {}", cache.directory().display())?;
                writeln!(out, "entries  {}", stats.entries)?;
                writeln!(out, "size     {}", megabytes(stats.bytes))?;
            }
        }
        Ok(())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64)
}

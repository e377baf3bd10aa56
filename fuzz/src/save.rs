//! Saves a failure in a folder.

use anyhow::{Context, Result};
use mintage_fuzzing::{Failure, FuzzTarget};
use std::fs;
use std::path::{Path, PathBuf};

/// Saves a failure with the input that shows it, and returns the folder. Replaces what was saved
/// for the case before.
pub fn save(
    out: &Path,
    target: FuzzTarget,
    case: u64,
    input: &[u8],
    failure: &Failure,
) -> Result<PathBuf> {
    let folder = out.join(format!("{}-{case}", target.name()));
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write("input.bin", input)?;
    for (name, bytes) in &failure.guests {
        write(name, bytes)?;
        // Bytes that are not a module cannot be printed.
        if let Ok(text) = wasmprinter::print_bytes(bytes) {
            write(&format!("{name}.wat"), text.as_bytes())?;
        }
    }
    let replay = format!(
        "mintage-fuzz --target {} --replay {}",
        target.name(),
        folder.join("input.bin").display()
    );
    write(
        "README",
        format!("{}\n\n{replay}\n", failure.what).as_bytes(),
    )?;
    Ok(folder)
}

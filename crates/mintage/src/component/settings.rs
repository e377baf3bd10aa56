//! Settings that are taken from an artifact.

use crate::Config;
use crate::error::Result;
use std::path::Path;

impl Config {
    /// Takes over the settings of machine code that an artifact was compiled with, so that engines
    /// with this configuration load it. Settings of the host stay as they are.
    ///
    /// # Errors
    ///
    /// When the bytes are not an artifact of this version.
    pub fn match_artifact(&mut self, bytes: &[u8]) -> Result<&mut Self> {
        self.tunables = mintage_runtime::artifact_settings(bytes)?;
        Ok(self)
    }

    /// Takes over the settings of the artifact in a file, as
    /// [`match_artifact`](Self::match_artifact).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not an artifact of this version.
    ///
    /// # Safety
    ///
    /// Nobody changes the file meanwhile: it is mapped and not read.
    pub unsafe fn match_artifact_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self> {
        // SAFETY: as the caller promises.
        self.tunables = unsafe { mintage_runtime::artifact_file_settings(path.as_ref()) }?;
        Ok(self)
    }
}

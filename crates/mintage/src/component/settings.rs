//! Settings that are taken from an artifact.

use crate::Config;
use crate::error::Result;
use std::path::Path;

impl Config {
    /// Adopts the settings of machine code that an artifact was compiled with, so that engines with
    /// this configuration load it. Settings of the host do not change.
    ///
    /// # Errors
    ///
    /// If the bytes are not an artifact of this version.
    pub fn match_artifact(&mut self, bytes: &[u8]) -> Result<&mut Self> {
        self.tunables = mintage_runtime::artifact_settings(bytes)?;
        Ok(self)
    }

    /// Adopts the settings of the artifact in a file, as
    /// [`match_artifact`](Self::match_artifact).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not an artifact of this version.
    ///
    /// # Safety
    ///
    /// The file must not change meanwhile, since it is mapped rather than read.
    pub unsafe fn match_artifact_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self> {
        // SAFETY: as the caller promises.
        self.tunables = unsafe { mintage_runtime::artifact_file_settings(path.as_ref()) }?;
        Ok(self)
    }
}

//! File systems: preopened folders, files, and what a guest does with them.

/// What a guest can do with files. Empty by default: no folder is open.
#[derive(Debug, Default)]
pub struct WasiFilesystemCtx {}

//! File systems: the trait that they are, the system's, one in memory, and what guests have open.
//!
//! | file | has |
//! |---|---|
//! | `types` | permissions, options, metadata |
//! | `traits` | [`Filesystem`], [`Directory`], [`File`]: what a file system is |
//! | `walk` | how paths are resolved, name by name |
//! | `system` | [`SystemFilesystem`], a folder of the host |
//! | `memory` | [`MemoryFilesystem`] |
//! | `open` | [`Descriptor`]: open files and directories, with permissions and limits |
//! | `list` | entries of open directories |
//! | `stream` | reading and writing open files as streams |
//! | `convert` | conversions from and to the types of `wasi:filesystem` |

mod convert;
mod list;
mod memory;
mod open;
mod stream;
mod system;
mod traits;
mod types;
mod walk;

pub(crate) use convert::conversions;
pub use list::{CookieEntry, DirectoryStream};
pub use memory::{MemoryFilesystem, MemoryFilesystemBuilder};
pub use open::{Descriptor, OpenDirectory, OpenFile};
pub use stream::{FileInputStream, FileOutputStream};
pub use system::{PathResolution, SystemFilesystem};
pub use traits::{Directory, File, Filesystem, Lookup, Node};
pub use types::{
    Advice, DirPerms, Entry, FilePerms, FileType, MetadataHash, OpenOptions, Result, SetTime,
    SetTimes, Stat, Sync, unique_device,
};

use crate::limit::DescriptorLimit;
use mintage::{HasData, Resource, ResourceTable};
use std::sync::Arc;

/// What a guest can do with files. Empty by default: no folder is open.
#[derive(Debug, Default)]
pub struct WasiFilesystemCtx {
    preopens: Vec<(OpenDirectory, String)>,
    limit: Arc<DescriptorLimit>,
}

impl WasiFilesystemCtx {
    /// Returns the preopened folders, with the paths that the guest knows them by, in the order in
    /// which they were added.
    pub fn preopens(&self) -> &[(OpenDirectory, String)] {
        &self.preopens
    }

    /// Adds a preopened folder: the root of a file system.
    ///
    /// # Errors
    ///
    /// If the root is not there.
    pub fn preopen(
        &mut self,
        filesystem: &dyn Filesystem,
        guest_path: impl Into<String>,
        perms: DirPerms,
        file_perms: FilePerms,
    ) -> Result<()> {
        let directory = OpenDirectory::preopen(filesystem, perms, file_perms, &self.limit)?;
        self.preopens.push((directory, guest_path.into()));
        Ok(())
    }

    /// Sets how many files, directories and streams of them the guest may have open at a time,
    /// without the preopened folders.
    pub fn set_max_descriptors(&mut self, max: usize) {
        self.limit.set_max(max);
    }
}

/// The files of a guest, with the table that has its descriptors and streams.
#[derive(Debug)]
pub struct WasiFilesystemCtxView<'a> {
    /// The preopened folders.
    pub ctx: &'a mut WasiFilesystemCtx,
    /// The guest's descriptors and streams.
    pub table: &'a mut ResourceTable,
}

impl WasiFilesystemCtxView<'_> {
    /// Adds descriptors of the preopened folders to the table.
    pub(crate) fn push_preopens(&mut self) -> mintage::Result<Vec<(Resource<Descriptor>, String)>> {
        let preopens = self.ctx.preopens().iter().map(|(directory, path)| {
            let descriptor = self.table.push(Descriptor::Directory(directory.clone()))?;
            Ok((descriptor, path.clone()))
        });
        preopens.collect()
    }
}

/// Data of a store that has the files of a guest.
pub trait WasiFilesystemView: Send {
    /// Returns the files and the table.
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_>;
}

/// The type parameter `D` of functions of bindings that add `wasi:filesystem` to a linker.
///
/// ```
/// use mintage::{Engine, Linker, ResourceTable};
/// use mintage_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView};
/// use mintage_wasi::p2::bindings::filesystem::types;
///
/// struct Host {
///     files: WasiFilesystemCtx,
///     table: ResourceTable,
/// }
///
/// # fn main() -> mintage::Result<()> {
/// let mut linker = Linker::new(&Engine::default());
/// types::add_to_linker::<Host, WasiFilesystem>(&mut linker, |host| WasiFilesystemCtxView {
///     ctx: &mut host.files,
///     table: &mut host.table,
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WasiFilesystem;

impl HasData for WasiFilesystem {
    type Data<'a> = WasiFilesystemCtxView<'a>;
}

//! [`Code`]: a loaded artifact, whose functions can be called.

mod base;
mod callees;
mod debug_info;

pub use base::{Base, Borrowed};
pub use callees::{Callee, TaskCallees};
pub use debug_info::DebugInfo;

use crate::arch;
use crate::component::handles::{Handles, KeptHandles};
use crate::pool::{Pool, PooledSlab, SharedParts, Shelf, Written};
use crate::slab::Image;
use crate::sys::mmap::{self, FileMapping};
use crate::sys::{self, signals, thread};
use anyhow::{Context, Result, ensure};
use base::MappedBase;
use callees::{Callees, Text};
use mintage_artifact::{Artifact, CHUNK, Check, Metadata};
use mintage_environ::component::{ComponentInterface, CoreCallee};
use mintage_environ::layout::SlabLayout;
use mintage_environ::{
    AdapterId, ArtifactFault, ErrorKind, FuncKey, LiftId, ObjectTypeId, Printable, SigId, Target,
    Tunables, artifact,
};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The requirements of loading an artifact, besides that this machine can run it.
#[derive(Clone, Debug, Default)]
pub struct LoadCheck {
    /// The settings that the artifact must have been compiled with.
    pub tunables: Tunables,
    /// The part of the file that is compared with its hashes.
    pub level: Check,
}

/// A component's machine code and image, mapped once and shared by all its instances.
pub struct Code {
    artifact: Arc<Artifact<FileMapping>>,
    /// The parts that are not in the artifact's own file.
    shared: Option<Arc<SharedParts>>,
    text: Text,
    callees: Callees,
    data_segments: DataSegments,
    /// The initial contents of a slab, before start functions run.
    declared: Arc<Image>,
    started: StartedImage,
    shelf: Arc<Shelf>,
    debug_info: OnceLock<DebugInfo>,
    /// The handles that instances start with.
    handles: Option<Arc<KeptHandles>>,
}

/// The image of instances whose start functions have run.
struct StartedImage {
    /// The image, once it is known, if it can be kept.
    image: OnceLock<Arc<Image>>,
    /// Whether a thread is making it, or it is known that it cannot be made.
    is_settled: AtomicBool,
}

impl StartedImage {
    fn new(is_settled: bool) -> StartedImage {
        StartedImage {
            image: OnceLock::new(),
            is_settled: AtomicBool::new(is_settled),
        }
    }
}

/// The files besides its own that a mapping of an artifact has parts of.
pub(crate) enum Others {
    None,
    /// Those of components that have the same chunks.
    Shared(SharedParts),
    /// One with the parts that the artifact's own file lacks.
    Base(MappedBase),
}

/// The addresses of the bytes of data segments, by number. Control blocks point to them.
struct DataSegments(Box<[*const u8]>);

// SAFETY: the segments are read-only, and live as long as the `Code` that owns both this and the
// mapping.
unsafe impl Send for DataSegments {}
// SAFETY: as above.
unsafe impl Sync for DataSegments {}

impl DataSegments {
    fn resolve(artifact: &Artifact<FileMapping>) -> Result<DataSegments> {
        let address = |id| artifact.data_segment(id).map(<[u8]>::as_ptr);
        let ids = artifact.metadata().layout.data_lengths.keys();
        let addresses: Option<_> = ids.map(address).collect();
        Ok(DataSegments(
            addresses.context("the artifact lacks a data segment")?,
        ))
    }
}

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<Code>();
};

impl Code {
    /// Maps the artifact in the file at `path`. Its instances get their slabs from `pool`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not an artifact of this version, or was compiled for another
    /// machine or with other settings. Nothing is made executable before these checks.
    ///
    /// # Safety
    ///
    /// The file was made by this project's compiler, and no one changes it while the result lives.
    pub unsafe fn open(path: &Path, check: &LoadCheck, pool: &Arc<Pool>) -> Result<Arc<Code>> {
        // SAFETY: as the caller promises.
        let mapping = unsafe { FileMapping::open(path)? };
        // SAFETY: as the caller promises.
        unsafe { Self::publish(mapping, Others::None, check, pool) }
            .with_context(|| format!("cannot load the artifact {}", path.display()))
    }

    /// Maps the artifact in the first `len` bytes of `file`, with what it borrows from `base`, if
    /// `accept` returns true for the bytes. Its instances get their slabs from `pool`.
    ///
    /// `accept` reads the bytes where they are mapped, so they are those that are then loaded.
    ///
    /// # Errors
    ///
    /// As [`Code::open`], if `accept` returns false, and if the artifact borrows other bytes than
    /// whole chunks of its text.
    ///
    /// # Safety
    ///
    /// If `accept` returns true for the bytes, this project's compiler made them. No one ever
    /// changes the file or the base, but they may be removed.
    pub unsafe fn open_if(
        file: File,
        len: usize,
        base: Option<Base>,
        accept: impl FnOnce(&[u8]) -> bool,
        check: &LoadCheck,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Code>> {
        // SAFETY: as the caller promises.
        let mapping = unsafe { FileMapping::of_file(file, len) }.context("cannot map the file")?;
        // SAFETY: no one has read the mapping, and the base never changes, as the caller promises.
        let base = base.map(|base| unsafe { base.map(&mapping) }).transpose()?;
        ensure!(
            accept(mapping.as_ref()),
            artifact!(Damaged, "the artifact is not accepted")
        );
        match base {
            None => {
                // SAFETY: as the caller promises.
                unsafe { Self::publish(mapping, Others::None, check, pool) }
            }
            Some(base) if pool.config().share_code => {
                // SAFETY: as the caller promises.
                unsafe { Self::publish(mapping, Others::Base(base), check, pool) }
            }
            // Other components map the base, too. The host wants code of its own for each.
            Some(_) => {
                // SAFETY: as the caller promises.
                unsafe { Self::publish_copy(mapping.as_ref(), check, pool) }
            }
        }
    }

    /// Maps a copy of the artifact in `bytes`. Its instances get their slabs from `pool`.
    ///
    /// # Errors
    ///
    /// As [`Code::open`].
    ///
    /// # Safety
    ///
    /// The bytes were made by this project's compiler.
    pub unsafe fn from_bytes(
        bytes: &[u8],
        check: &LoadCheck,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Code>> {
        ensure!(
            !bytes.is_empty(),
            artifact!(NotAnArtifact, "the artifact is empty")
        );
        // SAFETY: as the caller promises.
        unsafe { Self::publish_copy(bytes, check, pool) }.context("cannot load the artifact")
    }

    /// # Safety
    ///
    /// As [`Code::from_bytes`].
    unsafe fn publish_copy(bytes: &[u8], check: &LoadCheck, pool: &Arc<Pool>) -> Result<Arc<Code>> {
        let shared = match bytes.len() < CHUNK {
            true => None,
            false => find_shared(&Artifact::parse(bytes, Check::Metadata)?, pool, false),
        };
        let parts = match &shared {
            Some(shared) => shared.others(bytes),
            None => vec![(0, bytes)],
        };
        let mapping = FileMapping::of_parts(bytes.len(), &parts, pool.config().memfd)
            .context("cannot make a copy of the artifact")?;
        if let Some(shared) = &shared {
            // SAFETY: no one has read the new mapping.
            unsafe { shared.map(&mapping)? };
        }
        let others = shared.map_or(Others::None, Others::Shared);
        // SAFETY: as the caller promises.
        unsafe { Self::publish(mapping, others, check, pool) }
    }

    /// Checks the artifact, makes its text executable, and resolves the keys that the host needs.
    /// `others` are the files that the mapping has parts of already, besides its own.
    ///
    /// # Safety
    ///
    /// The mapping holds an artifact that this project's compiler made.
    pub(crate) unsafe fn publish(
        mapping: FileMapping,
        others: Others,
        check: &LoadCheck,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Code>> {
        let artifact = Arc::new(Artifact::parse(mapping, check.level)?);
        artifact.metadata().check_host(host(), &check.tunables)?;
        let page = artifact.metadata().page();
        ensure!(
            page.is_multiple_of(mmap::page_size() as u64),
            artifact!(
                Target,
                "this system's pages have {} bytes; the artifact is laid out for pages of up to \
                 {page}",
                mmap::page_size()
            )
        );
        let damaged = |error| ErrorKind::Artifact(ArtifactFault::Damaged).or_of(error);
        signals::install()?;

        let (shared, base) = match others {
            Others::None => (None, None),
            Others::Shared(shared) => (Some(shared), None),
            Others::Base(base) => (None, Some(base)),
        };
        let base = match &base {
            Some(base) => Some((base, base.parts(&artifact).map_err(damaged)?)),
            None => None,
        };
        let mut shared = match shared {
            Some(shared) => Some(shared),
            None => {
                let may_change = !artifact.owner().is_immutable();
                let shared = find_shared(&artifact, pool, may_change);
                if let Some(shared) = &shared {
                    // SAFETY: no one else has the artifact yet. Its bytes are what its hashes say,
                    // since this project's compiler made it.
                    unsafe { shared.map(artifact.owner())? };
                }
                shared
            }
        };
        if let (Some(shared), Some((base, parts))) = (&mut shared, base) {
            shared.keep_base(base.file(), parts);
        }
        let declared = Image::of_artifact(&artifact).map_err(damaged)?;
        if let Some(shared) = &shared
            && artifact.owner().is_immutable()
        {
            pool.chunks().offer(&artifact, shared);
        }
        let range = artifact.text_range();
        let landing_pads = artifact.metadata().target.has_landing_pads();
        artifact
            .owner()
            .make_executable(range.clone(), landing_pads)
            .context("cannot make the artifact's text executable")?;
        let has_copies = shared.as_ref().is_some_and(|shared| !shared.is_empty());
        publish_instructions(artifact.text(), artifact.owner().is_copy() || has_copies)?;
        let text = Text::new(&artifact.bytes()[range]);
        let callees = Callees::resolve(&artifact, &text).map_err(damaged)?;
        let data_segments = DataSegments::resolve(&artifact).map_err(damaged)?;
        Ok(Arc::new(Code {
            artifact,
            shared: shared.map(Arc::new),
            text,
            callees,
            data_segments,
            declared: Arc::new(declared),
            started: StartedImage::new(!pool.config().keep_started),
            shelf: Shelf::new(pool),
            debug_info: OnceLock::new(),
            handles: None,
        }))
    }

    /// Returns the component's interface, which is all that the embedding API needs to know.
    pub fn interface(&self) -> &ComponentInterface {
        &self.metadata().interface
    }

    /// Returns the layout of a slab.
    pub fn layout(&self) -> &SlabLayout {
        &self.metadata().layout
    }

    /// Returns the decoded part of the artifact.
    pub fn metadata(&self) -> &Metadata {
        self.artifact.metadata()
    }

    /// Returns an artifact whose instances start as those of this code do, before start functions
    /// run.
    ///
    /// # Errors
    ///
    /// If they start with handles.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        ensure!(
            self.handles.is_none(),
            "an artifact has no place for the handles that instances of this snapshot start with; \
             have the guest drop them before the snapshot is taken"
        );
        if self.declared.is_of_artifact() {
            return Ok(self.artifact.bytes().to_vec());
        }
        let mut metadata = self.metadata().clone();
        self.declared.sizes().declare(&mut metadata.layout);
        // The start functions have run in the instance that the snapshot was taken of.
        metadata.interface.initializers.clear();
        mintage_artifact::rewrite(&self.artifact, metadata, &self.declared.pieces())
    }

    /// Keeps debug information with the code. Frames of backtraces have it.
    pub fn set_debug_info(&self, debug_info: DebugInfo) {
        let _ = self.debug_info.set(debug_info);
    }

    /// Returns the debug information that was kept.
    pub(crate) fn debug_info(&self) -> Option<DebugInfo> {
        self.debug_info.get().cloned()
    }

    /// Looks up a function that the interface names (a core export, a start function, ...).
    ///
    /// # Errors
    ///
    /// If the interface does not name it.
    pub fn callee(&self, callee: CoreCallee) -> Result<Callee> {
        self.callees.get(callee)
    }

    /// Returns a function of the component that is called as an entry trampoline is.
    pub(crate) fn routine(&self, key: FuncKey) -> Result<Callee> {
        self.callees.routine(key)
    }

    /// Returns the functions of the task that an adapter calls, if its type is `async`.
    #[inline]
    pub(crate) fn task_of_adapter(&self, id: AdapterId) -> Option<&TaskCallees> {
        self.callees.of_adapter(id)
    }

    /// Returns the functions of the task that a call of an exported function is, if its type is
    /// `async`.
    #[inline]
    pub(crate) fn task_of_lift(&self, id: LiftId) -> Option<&TaskCallees> {
        self.callees.of_lift(id)
    }

    /// Returns the function of signature `sig` at an offset of the text, as tables have it.
    pub(crate) fn callee_at(&self, offset: u32, sig: SigId) -> Result<Callee> {
        let func = self.text.address(offset);
        let func = func.context("a table has a function outside of the text")?;
        let entry = self.callees.routine(FuncKey::Entry(sig))?;
        Ok(Callee {
            func: std::ptr::with_exposed_provenance(func),
            ..entry
        })
    }

    /// Returns the list of data segments for the control blocks.
    pub(crate) fn data_segments(&self) -> *const *const u8 {
        self.data_segments.0.as_ptr()
    }

    /// Returns the artifact as it is mapped.
    pub fn bytes(&self) -> &[u8] {
        self.artifact.bytes()
    }

    /// Returns the machine code.
    pub fn text(&self) -> &[u8] {
        self.artifact.text()
    }

    pub(crate) fn artifact(&self) -> &Artifact<FileMapping> {
        &self.artifact
    }

    /// Returns the image that new instances start with: the state after start functions if it is
    /// kept, and the state before them otherwise.
    #[inline]
    pub fn image(&self) -> &Arc<Image> {
        self.started.image.get().unwrap_or(&self.declared)
    }

    /// Returns the image of the state before start functions run.
    pub fn declared_image(&self) -> &Arc<Image> {
        &self.declared
    }

    pub(crate) fn has_image(&self, image: &Arc<Image>) -> bool {
        Arc::ptr_eq(image, &self.declared) || Arc::ptr_eq(image, self.image())
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Returns a slab with `image` in it, which is one of this code.
    ///
    /// # Errors
    ///
    /// If a limit of the pool is reached, or the system gives no address space or memory.
    pub(crate) fn acquire(&self, image: &Arc<Image>) -> Result<PooledSlab> {
        self.shelf.acquire(image, self.image())
    }

    /// Takes back a slab that an instance has left. `written` tells which pages may have been
    /// written, control blocks aside.
    pub(crate) fn release(&self, slab: PooledSlab, written: Written) {
        self.shelf.release(slab, written, self.image());
    }

    /// Returns whether the caller, whose instance has just run its start functions, has to decide
    /// whether their result becomes the image of later instances. If so, it calls
    /// [`keep_started`](Self::keep_started) or [`leave_start_open`](Self::leave_start_open), or
    /// neither if the result can never be kept.
    pub(crate) fn settle_start(&self) -> bool {
        // Relaxed: it only decides who does it. The image is passed by `OnceLock`.
        !self.started.is_settled.swap(true, Ordering::Relaxed)
    }

    /// Leaves this decision to a later instance.
    pub(crate) fn leave_start_open(&self) {
        self.started.is_settled.store(false, Ordering::Relaxed);
    }

    /// Makes `image` the one that new instances start with.
    pub(crate) fn keep_started(&self, image: Image) {
        let _ = self.started.image.set(Arc::new(image));
        self.shelf.clear();
    }

    /// Returns the handle tables of a new instance, with at most `limit` handles.
    #[inline]
    pub(crate) fn new_handles(&self, limit: u32) -> Handles {
        match &self.handles {
            None => Handles::new(limit),
            Some(kept) => Handles::of_snapshot(kept, limit),
        }
    }

    /// Returns the same code with instances that start with `image` and these handles. No start
    /// functions run for them.
    pub(crate) fn with_image(&self, image: Image, handles: Option<KeptHandles>) -> Arc<Code> {
        Arc::new(Code {
            artifact: self.artifact.clone(),
            shared: self.shared.clone(),
            text: self.text,
            callees: self.callees.clone(),
            data_segments: DataSegments(self.data_segments.0.clone()),
            declared: Arc::new(image),
            started: StartedImage::new(true),
            shelf: Shelf::new(self.shelf.pool()),
            debug_info: self.debug_info.clone(),
            handles: handles.map(Arc::new),
        })
    }

    /// Returns the address of an offset in the text, or `None` outside of it.
    pub(crate) fn text_address(&self, offset: u32) -> Option<usize> {
        self.text.address(offset)
    }

    /// Describes the exceptions of type `ty`, for messages.
    pub(crate) fn describe_exception(&self, ty: ObjectTypeId) -> String {
        let metadata = self.metadata();
        match metadata.tag_of(ty) {
            Some(tag) => match &metadata.tags[tag] {
                Some(name) => format!("`{}`", Printable(name)),
                None => tag.as_u32().to_string(),
            },
            None => "that is not known".into(),
        }
    }

    /// Returns the offset in the text of an address, or `None` outside of it.
    #[inline]
    pub(crate) fn text_offset(&self, address: usize) -> Option<u32> {
        self.text.offset(address)
    }
}

/// Makes sure that all threads execute these instructions, and not what was at their addresses
/// before. `is_copy` says whether this process wrote some of them.
fn publish_instructions(text: &[u8], is_copy: bool) -> Result<()> {
    if arch::HAS_COHERENT_INSTRUCTIONS {
        return Ok(());
    }
    if is_copy {
        arch::flush_instructions(text);
    }
    // Another thread may have run code that was unmapped here.
    thread::synchronize_instructions()
}

impl Drop for Code {
    fn drop(&mut self) {
        // The host may change the artifact's file as soon as this is gone.
        self.shelf.finish();
    }
}

/// Returns what an artifact shares with other components, if it is large enough and the host wants
/// that. `is_own` says whether the artifact is in a file that may change.
fn find_shared<B: AsRef<[u8]>>(
    artifact: &Artifact<B>,
    pool: &Pool,
    is_own: bool,
) -> Option<SharedParts> {
    let may_share = pool.config().share_code && artifact.chunks().len() > 0;
    may_share.then(|| pool.chunks().find(artifact, is_own))
}

/// Returns the settings that the artifact in `bytes` was compiled with.
///
/// # Errors
///
/// If the bytes are not an artifact of this version.
pub fn artifact_settings(bytes: &[u8]) -> Result<Tunables> {
    let artifact = Artifact::parse(bytes, Check::Metadata)?;
    Ok(artifact.metadata().tunables.clone())
}

/// Returns the settings that the artifact in the file at `path` was compiled with.
///
/// # Errors
///
/// If the file cannot be mapped, or is not an artifact of this version.
///
/// # Safety
///
/// No one changes the file meanwhile.
pub unsafe fn artifact_file_settings(path: &Path) -> Result<Tunables> {
    // SAFETY: as the caller promises.
    let mapping = unsafe { FileMapping::open(path)? };
    artifact_settings(mapping.as_ref())
}

/// Returns this machine as an artifact's target names it.
pub fn host() -> &'static Target {
    static HOST: OnceLock<Target> = OnceLock::new();
    HOST.get_or_init(|| Target {
        triple: sys::target_triple(),
        cpu_features: arch::cpu_features(),
    })
}

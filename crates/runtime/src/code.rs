//! [`Code`]: a mapped artifact whose functions can be called.

use crate::data::InstanceData;
use crate::image::Image;
use crate::pool::Shelf;
use crate::sys::mmap::{self, FileMapping};
use crate::sys::signals;
use crate::{Growth, Instance, Pool, arch};
use anyhow::{Context, Result, anyhow, ensure};
use hashbrown::HashMap;
use mintage_artifact::{Artifact, Check, Metadata, PAGE};
use mintage_environ::component::{ComponentInterface, CoreCallee, CoreItem, Initializer, Resource};
use mintage_environ::layout::SlabLayout;
use mintage_environ::{
    FuncKey, IndexVec, LiftId, LowerId, ObjectTypeId, Printable, Target, Tunables,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A core function that can be called: pointers into mapped code. Valid as long as its [`Code`]
/// lives.
#[derive(Clone, Copy, Debug)]
pub struct Callee {
    /// The function.
    pub(crate) func: *const u8,
    /// The entry adapter of its signature.
    pub(crate) entry: *const u8,
}

// SAFETY: the pointers are to code, which never changes; calling it is `unsafe` with the condition
// that it lives.
unsafe impl Send for Callee {}
// SAFETY: as above.
unsafe impl Sync for Callee {}

/// What a loader demands of an artifact, besides that this machine can run it.
#[derive(Clone, Debug, Default)]
pub struct LoadCheck {
    /// The settings that the artifact must have been compiled with.
    pub tunables: Tunables,
    /// How much of the file is compared with its hashes.
    pub level: Check,
}

/// The resolved core functions of a lift.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedLift {
    /// The lifted function.
    pub callee: Callee,
    /// `realloc`.
    pub realloc: Option<Callee>,
    /// `post-return`.
    pub post_return: Option<Callee>,
}

/// A component's machine code and image, mapped once and shared by all its instances.
pub struct Code {
    artifact: Arc<Artifact<FileMapping>>,
    text: Text,
    callees: Callees,
    lifts: IndexVec<LiftId, ResolvedLift>,
    lower_reallocs: IndexVec<LowerId, Option<Callee>>,
    data_segments: DataSegments,
    /// What a slab holds before start functions run.
    declared: Arc<Image>,
    /// What a slab holds after them, as soon as it is known, where it can be kept.
    started: OnceLock<Arc<Image>>,
    /// Whether somebody is making it, or it is known that it cannot be made.
    start_is_settled: AtomicBool,
    shelf: Arc<Shelf>,
}

/// The addresses of the bytes of data segments, by number. Control blocks point at them.
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

/// Where the machine code lies in the address space.
#[derive(Clone, Copy)]
struct Text {
    base: *const u8,
    len: usize,
}

// SAFETY: the text is read-only and executable, and lives as long as the `Code` that owns both this
// and the mapping.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<Code>();
};

impl Code {
    /// Maps the artifact in the file at `path`. Its instances get their slabs from `pool`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no artifact of this version, or was made for another
    /// machine or other settings. Nothing is executable before these checks.
    ///
    /// # Safety
    ///
    /// The file was made by this project's compiler and nobody changes it as long as the result
    /// lives.
    pub unsafe fn open(path: &Path, check: &LoadCheck, pool: &Arc<Pool>) -> Result<Arc<Code>> {
        // SAFETY: as the caller promises.
        let mapping = unsafe { FileMapping::open(path)? };
        // SAFETY: as the caller promises.
        unsafe { Self::publish(mapping, check, pool) }
            .with_context(|| format!("cannot load the artifact {}", path.display()))
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
        ensure!(!bytes.is_empty(), "the artifact is empty");
        let mapping = FileMapping::of_parts(bytes.len(), &[(0, bytes)], pool.config().memfd)
            .context("cannot make a copy of the artifact")?;
        // SAFETY: as the caller promises.
        unsafe { Self::publish(mapping, check, pool) }.context("cannot load the artifact")
    }

    /// Checks the artifact, makes its text executable and resolves the keys that the host needs.
    ///
    /// # Safety
    ///
    /// The mapping holds what this project's compiler made.
    pub(crate) unsafe fn publish(
        mapping: FileMapping,
        check: &LoadCheck,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Code>> {
        let artifact = Arc::new(Artifact::parse(mapping, check.level)?);
        artifact.metadata().check_host(host(), &check.tunables)?;
        ensure!(
            PAGE.is_multiple_of(mmap::page_size() as u64),
            "this system's pages have {} bytes; artifacts are laid out for pages of up to {PAGE}",
            mmap::page_size()
        );
        let declared = Image::of_artifact(&artifact)?;
        signals::install()?;

        let range = artifact.text_range();
        artifact
            .owner()
            .make_executable(range.clone())
            .context("cannot make the artifact's text executable")?;
        let text = Text {
            base: artifact.bytes()[range.clone()].as_ptr(),
            len: range.len(),
        };
        let callees = Callees::resolve(&artifact, &text)?;
        let interface = &artifact.metadata().interface;
        let optional =
            |callee: &Option<CoreCallee>| callee.map(|callee| callees.get(callee)).transpose();
        let lifts = interface.lifts.values().map(|lift| {
            Ok(ResolvedLift {
                callee: callees.get(lift.callee)?,
                realloc: optional(&lift.options.realloc)?,
                post_return: optional(&lift.post_return)?,
            })
        });
        let lifts = lifts.collect::<Result<_>>()?;
        let lower_reallocs = interface
            .lowers
            .values()
            .map(|lower| optional(&lower.options.realloc))
            .collect::<Result<_>>()?;
        let data_segments = DataSegments::resolve(&artifact)?;
        Ok(Arc::new(Code {
            artifact,
            text,
            callees,
            lifts,
            lower_reallocs,
            data_segments,
            declared: Arc::new(declared),
            started: OnceLock::new(),
            start_is_settled: AtomicBool::new(!pool.config().keep_started),
            shelf: Shelf::new(pool),
        }))
    }

    /// All that the embedding API needs to know of the component.
    pub fn interface(&self) -> &ComponentInterface {
        &self.metadata().interface
    }

    /// Where everything lies in a slab.
    pub fn layout(&self) -> &SlabLayout {
        &self.metadata().layout
    }

    /// The decoded part of the artifact.
    pub fn metadata(&self) -> &Metadata {
        self.artifact.metadata()
    }

    /// An artifact whose instances start as those of this code do, start functions aside.
    ///
    /// # Errors
    ///
    /// Never for code that this host can run.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        if self.declared.is_of_artifact() {
            return Ok(self.artifact.bytes().to_vec());
        }
        let mut metadata = self.metadata().clone();
        self.declared.sizes().declare(&mut metadata.layout);
        // They have run in the instance that the snapshot was taken of.
        metadata.interface.initializers.clear();
        mintage_artifact::rewrite(&self.artifact, metadata, &self.declared.pieces())
    }

    /// The functions of a lift: resolved at load, so this is one array access.
    ///
    /// # Panics
    ///
    /// When `id` is not a lift of this component.
    #[inline]
    pub fn lift(&self, id: LiftId) -> &ResolvedLift {
        &self.lifts[id]
    }

    /// The `realloc` of a lowered import's options.
    ///
    /// # Panics
    ///
    /// When `id` is not a lowered import of this component.
    pub fn lower_realloc(&self, id: LowerId) -> Option<Callee> {
        self.lower_reallocs[id]
    }

    /// Looks up a function that the interface names (a core export, a start function, ...).
    ///
    /// # Errors
    ///
    /// When the interface does not name it.
    pub fn callee(&self, callee: CoreCallee) -> Result<Callee> {
        self.callees.get(callee)
    }

    /// The list for the control blocks.
    pub(crate) fn data_segments(&self) -> *const *const u8 {
        self.data_segments.0.as_ptr()
    }

    pub(crate) fn artifact(&self) -> &Artifact<FileMapping> {
        &self.artifact
    }

    /// What new instances start with: the state after the start functions, where it is kept, or
    /// else before them.
    #[inline]
    pub fn image(&self) -> &Arc<Image> {
        self.started.get().unwrap_or(&self.declared)
    }

    /// The state before the start functions run.
    pub fn declared_image(&self) -> &Arc<Image> {
        &self.declared
    }

    /// How large memories, object heaps and tables are in one of the images.
    pub fn sizes<'a>(&'a self, image: &'a Image) -> impl Iterator<Item = Growth> + 'a {
        Growth::at_start(self.layout(), image.sizes())
    }

    pub(crate) fn has_image(&self, image: &Arc<Image>) -> bool {
        Arc::ptr_eq(image, &self.declared) || Arc::ptr_eq(image, self.image())
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Keeps the state of an instance as the image for later ones, if that is exact. Its
    /// initializers have just run to their end, and nothing else has.
    ///
    /// It is exact when the initializers changed nothing but the slab, and everything that had a
    /// say in what they did is the same for the next instance: no host function was called, and
    /// nobody refused growth. That they ended at all shows that they were not interrupted.
    pub(crate) fn keep_started(&self, instance: &InstanceData) {
        // Where fuel is counted, every instance pays for its own start.
        if self.start_is_settled.swap(true, Ordering::Relaxed)
            || self.metadata().tunables.consume_fuel
        {
            return;
        }
        if !instance.is_all_in_slab() {
            // Another store may have other limits.
            self.start_is_settled.store(false, Ordering::Relaxed);
            return;
        }
        let image = self.capture(instance);
        // When there is no memory for it, or it is too large, the start functions run each time.
        if let Ok(Some(image)) = image {
            let _ = self.started.set(Arc::new(image));
            self.shelf.clear();
        }
    }

    /// The same code, whose instances start as `instance` stands now. No start functions run for
    /// them.
    ///
    /// # Errors
    ///
    /// When `instance` is of other code, a call into it was stopped, it has handles, which mean
    /// nothing to another instance, or what it holds is too large or too scattered, or the system
    /// gives no memory for it.
    pub fn snapshot(self: &Arc<Self>, instance: &mut Instance) -> Result<Arc<Code>> {
        let data = instance.data();
        ensure!(
            Arc::ptr_eq(self, &data.code),
            "the instance was made from another component"
        );
        ensure!(
            !data.poisoned.get(),
            "a call into the instance was stopped, and what it holds is in no known state"
        );
        ensure!(
            data.handles.borrow().are_empty(),
            "the instance holds handles of resources or error contexts, which other instances \
             could not use; have the guest drop them before"
        );
        let image = self.capture(data)?.with_context(|| {
            format!(
                "the instance has written more than {} MiB, or in too many places",
                Image::MAX_KEPT >> 20
            )
        })?;
        Ok(Arc::new(Code {
            artifact: self.artifact.clone(),
            text: self.text,
            callees: self.callees.clone(),
            lifts: self.lifts.clone(),
            lower_reallocs: self.lower_reallocs.clone(),
            data_segments: DataSegments(self.data_segments.0.clone()),
            declared: Arc::new(image),
            started: OnceLock::new(),
            start_is_settled: AtomicBool::new(true),
            shelf: Shelf::new(self.shelf.pool()),
        }))
    }

    /// The image of an instance as it stands; none when it is too large.
    fn capture(&self, instance: &InstanceData) -> Result<Option<Image>> {
        let pool = self.shelf.pool();
        let (slab, sizes) = (instance.slab(), instance.sizes());
        slab.image().capture(
            self.layout(),
            slab,
            sizes,
            pool.pagemap(),
            pool.config().memfd,
        )
    }

    /// The address of an offset in the text, when it lies there.
    pub(crate) fn text_address(&self, offset: u32) -> Option<usize> {
        ((offset as usize) < self.text.len).then(|| self.text.base as usize + offset as usize)
    }

    /// What exceptions of type `ty` are, for messages.
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

    /// The offset in the text of an address, when it lies there.
    #[inline]
    pub(crate) fn text_offset(&self, address: usize) -> Option<u32> {
        let offset = address.wrapping_sub(self.text.base as usize);
        (offset < self.text.len).then_some(offset as u32)
    }
}

/// The pointers of all functions that the host can name, resolved once per component.
#[derive(Clone)]
struct Callees(HashMap<FuncKey, *const u8>);

// SAFETY: the pointers are to code; see `Callee`.
unsafe impl Send for Callees {}
// SAFETY: as above.
unsafe impl Sync for Callees {}

impl Callees {
    /// Resolves what the interface names: lifts with their options, `realloc`s of lowers, start
    /// functions, core exports, destructors.
    fn resolve(artifact: &Artifact<FileMapping>, text: &Text) -> Result<Callees> {
        let interface = &artifact.metadata().interface;
        let lifts = interface
            .lifts
            .values()
            .flat_map(|lift| [Some(lift.callee), lift.options.realloc, lift.post_return]);
        let lowers = interface.lowers.values().map(|lower| lower.options.realloc);
        let starts = interface
            .initializers
            .iter()
            .map(|initializer| match initializer {
                Initializer::Start { callee, .. } => Some(*callee),
                Initializer::Data { .. } | Initializer::Elem { .. } | Initializer::Trap(_) => None,
            });
        let exports = interface
            .core_exports
            .iter()
            .map(|export| match export.item {
                CoreItem::Func(callee, _) => Some(callee),
                CoreItem::Memory(_) | CoreItem::Table(_) | CoreItem::Global(..) => None,
            });

        let dtors = interface.resources.values().map(|resource| match resource {
            Resource::Defined { dtor, .. } => *dtor,
            Resource::Imported { .. } => None,
        });

        let keys = artifact
            .key_table()
            .context("the artifact has no key table")?;
        let mut pointers = HashMap::new();
        for callee in lifts
            .chain(lowers)
            .chain(starts)
            .chain(exports)
            .chain(dtors)
            .flatten()
        {
            for key in [callee.key, FuncKey::Entry(callee.sig)] {
                if let hashbrown::hash_map::Entry::Vacant(vacant) = pointers.entry(key) {
                    let range = keys
                        .get(key)
                        .with_context(|| format!("the artifact has no code for {key}"))?;
                    ensure!(
                        range.end as usize <= text.len,
                        "{key} lies outside the artifact's text"
                    );
                    // SAFETY: the offset is within the text.
                    vacant.insert(unsafe { text.base.add(range.start as usize) });
                }
            }
        }
        Ok(Callees(pointers))
    }

    fn get(&self, callee: CoreCallee) -> Result<Callee> {
        let pointer = |key| {
            self.0
                .get(&key)
                .copied()
                .ok_or_else(|| anyhow!("the component's interface does not name {key}"))
        };
        Ok(Callee {
            func: pointer(callee.key)?,
            entry: pointer(FuncKey::Entry(callee.sig))?,
        })
    }
}

/// Returns the settings that the artifact in `bytes` was compiled with.
///
/// # Errors
///
/// When the bytes are not an artifact of this version.
pub fn artifact_settings(bytes: &[u8]) -> Result<Tunables> {
    let artifact = Artifact::parse(bytes, Check::Metadata)?;
    Ok(artifact.metadata().tunables.clone())
}

/// Returns the settings that the artifact in the file at `path` was compiled with.
///
/// # Errors
///
/// When the file cannot be mapped, or is not an artifact of this version.
///
/// # Safety
///
/// Nobody changes the file meanwhile.
pub unsafe fn artifact_file_settings(path: &Path) -> Result<Tunables> {
    // SAFETY: as the caller promises.
    let mapping = unsafe { FileMapping::open(path)? };
    artifact_settings(mapping.as_ref())
}

/// This machine, in the terms of an artifact's target.
fn host() -> &'static Target {
    static HOST: OnceLock<Target> = OnceLock::new();
    HOST.get_or_init(|| Target {
        triple: format!(
            "{}-unknown-linux-{}",
            std::env::consts::ARCH,
            if cfg!(target_env = "musl") {
                "musl"
            } else {
                "gnu"
            }
        ),
        cpu_features: arch::cpu_features(),
    })
}

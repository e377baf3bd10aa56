//! [`Metadata`]: the part of an artifact that is decoded at load, and its comparison with the host.

use crate::chunks::ChunkHash;
use crate::elf;
use crate::format::page_of;
use crate::image::MAX_RUNS;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::ComponentInterface;
use mintage_environ::layout::SlabLayout;
use mintage_environ::objects::ObjectLayout;
use mintage_environ::{
    DataId, ElemId, GlobalId, IndexVec, ObjectTypeId, TableId, TagId, Target, Tunables, artifact,
};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::Range;

/// The size of the pieces in which images are handled, and the smallest size of pages.
pub const PAGE: u64 = 4096;

/// A part of the image, with the place of its bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRun {
    /// Slab offset of the first byte.
    pub slab_offset: u64,
    /// File offset of the first byte.
    pub file_offset: u64,
    /// The number of bytes, never 0.
    pub len: u64,
}

/// The part of an artifact that is decoded at load. Everything else is read in place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// The target that the code was generated for.
    pub target: Target,
    /// The settings that the code and the layout depend on.
    pub tunables: Tunables,
    /// Imports, exports, types and the run-time steps of instantiation.
    pub interface: ComponentInterface,
    /// The slab layout.
    pub layout: SlabLayout,
    /// The pages of the image that are mapped: in order, without overlap, at most [`MAX_RUNS`]
    /// runs.
    pub image: Vec<ImageRun>,
    /// The bytes of the image that are copied: in order, without overlap, and on other pages than
    /// those of `image`. Control blocks are in neither.
    pub patches: Vec<ImageRun>,
    /// The file ranges of the data segments that code can use at run time.
    pub data: IndexVec<DataId, Range<u64>>,
    /// The file ranges of the element segments that code can use at run time: aligned 8-byte words,
    /// as in tables.
    pub elems: IndexVec<ElemId, Range<u64>>,
    /// The hash of each chunk ([`Artifact::chunks`](crate::Artifact::chunks)).
    #[serde(with = "crate::chunks::as_bytes")]
    pub chunks: Vec<ChunkHash>,
    /// The layout of the objects of each type. The types of exceptions, one for each tag, come
    /// last.
    pub objects: IndexVec<ObjectTypeId, ObjectLayout>,
    /// The mutable globals with references that the collector traces.
    pub traced_globals: Vec<GlobalId>,
    /// The mutable tables with such references.
    pub traced_tables: Vec<TableId>,
    /// The names of tags.
    pub tags: IndexVec<TagId, Option<Box<str>>>,
}

impl Metadata {
    /// Checks that the code can run on `host`: that the triples are equal, and that `host` has all
    /// required CPU features.
    ///
    /// # Errors
    ///
    /// Returns an error that names both triples, or all missing features.
    pub fn check_target(&self, host: &Target) -> Result<()> {
        let Target {
            triple,
            cpu_features,
        } = &self.target;
        ensure!(
            *triple == host.triple,
            artifact!(
                Target,
                "the artifact was made for {triple}, this host is {}",
                host.triple
            )
        );
        let needed = cpu_features
            .iter()
            .filter(|feature| !feature.ends_with("=false"));
        let missing: Vec<&str> = needed
            .filter(|feature| !host.cpu_features.contains(feature))
            .map(String::as_str)
            .collect();
        ensure!(
            missing.is_empty(),
            artifact!(
                Target,
                "the artifact needs CPU features that this host does not have: {}",
                missing.join(", ")
            )
        );
        Ok(())
    }

    /// Checks that the artifact was made with the settings of the host.
    ///
    /// The optimization level, inlining, the use of the code generator's verifier, and the features
    /// may differ, since the host does not depend on them.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first setting that differs, with both values.
    pub fn check_tunables(&self, expected: &Tunables) -> Result<()> {
        // The pattern names all fields, so that the compiler asks about a new one.
        let Tunables {
            opt_level: _,
            inlining: _,
            memory_reservation,
            memory64_reservation,
            memory_guard,
            table_reservation,
            gc_heap_reservation,
            gc_zeal,
            debug_verifier: _,
            address_map,
            interruptible,
            consume_fuel,
            fuel_by_length,
            nan_canonicalization,
            relaxed_simd_deterministic,
            core_exports,
            // A component that uses a feature was accepted when it was compiled.
            features: _,
        } = expected;
        let actual = &self.tunables;
        same(
            "memory_reservation",
            &actual.memory_reservation,
            memory_reservation,
        )?;
        same(
            "memory64_reservation",
            &actual.memory64_reservation,
            memory64_reservation,
        )?;
        same("memory_guard", &actual.memory_guard, memory_guard)?;
        same(
            "table_reservation",
            &actual.table_reservation,
            table_reservation,
        )?;
        same(
            "gc_heap_reservation",
            &actual.gc_heap_reservation,
            gc_heap_reservation,
        )?;
        same("gc_zeal", &actual.gc_zeal, gc_zeal)?;
        same("address_map", &actual.address_map, address_map)?;
        same("interruptible", &actual.interruptible, interruptible)?;
        same("consume_fuel", &actual.consume_fuel, consume_fuel)?;
        same("fuel_by_length", &actual.fuel_by_length, fuel_by_length)?;
        same(
            "cranelift_nan_canonicalization",
            &actual.nan_canonicalization,
            nan_canonicalization,
        )?;
        same(
            "relaxed_simd_deterministic",
            &actual.relaxed_simd_deterministic,
            relaxed_simd_deterministic,
        )?;
        same("core_exports", &actual.core_exports, core_exports)
    }

    /// Returns the size in bytes of the pages that the artifact is laid out for. A host can map it
    /// if its pages are not larger.
    pub fn page(&self) -> u64 {
        elf::machine(&self.target.triple).map_or(PAGE, page_of)
    }

    /// Checks [target](Self::check_target) and [settings](Self::check_tunables).
    ///
    /// # Errors
    ///
    /// Returns the error of the first check that fails.
    pub fn check_host(&self, host: &Target, expected: &Tunables) -> Result<()> {
        self.check_target(host)?;
        self.check_tunables(expected)
    }

    /// Returns the tag of the exceptions of this type, or `None` if the type is not that of
    /// exceptions.
    pub fn tag_of(&self, ty: ObjectTypeId) -> Option<TagId> {
        let first = self.objects.len().checked_sub(self.tags.len())?;
        let tag = TagId::from_u32(ty.as_u32().checked_sub(first as u32)?);
        self.tags.get(tag).is_some().then_some(tag)
    }

    /// Checks that the runtime may map or read all ranges: that image runs are in order, within the
    /// slab and within the file range `image`, and that patches and segments are within the file
    /// range `segments`.
    pub(crate) fn check_ranges(&self, image: &Range<u64>, segments: &Range<u64>) -> Result<()> {
        ensure!(
            self.image.len() <= MAX_RUNS,
            "the image has {} runs of pages, but the limit is {MAX_RUNS}",
            self.image.len()
        );
        let (mut slab_end, mut file_end) = (0, image.start);
        for run in &self.image {
            let aligned = [run.slab_offset, run.file_offset, run.len]
                .iter()
                .all(|value| value.is_multiple_of(self.page()));
            ensure!(
                aligned && run.len > 0,
                "an image run does not consist of whole pages: {run:?}"
            );
            ensure!(
                run.slab_offset >= slab_end && run.file_offset >= file_end,
                "image runs overlap or are out of order: {run:?}"
            );
            let ends = end_within(run.slab_offset, run.len, self.layout.size).zip(end_within(
                run.file_offset,
                run.len,
                image.end,
            ));
            (slab_end, file_end) = ends.with_context(|| {
                format!("an image run leaves the slab or the image section: {run:?}")
            })?;
        }
        self.check_patches(segments)?;
        let inside = |range: &Range<u64>| {
            segments.start <= range.start && range.start <= range.end && range.end <= segments.end
        };
        let words =
            |range: &Range<u64>| range.start.is_multiple_of(8) && range.end.is_multiple_of(8);
        if let Some((id, range)) = self.data.iter().find(|(_, range)| !inside(range)) {
            bail!("data segment {id:?} at {range:#x?} is not in the segment section");
        }
        if let Some((id, range)) = self
            .elems
            .iter()
            .find(|(_, range)| !(inside(range) && words(range)))
        {
            bail!("element segment {id:?} at {range:#x?} is not in the segment section");
        }
        Ok(())
    }

    /// Checks that patches are in order, within the slab and the file range `segments`, and not on
    /// the pages of image runs.
    fn check_patches(&self, segments: &Range<u64>) -> Result<()> {
        let mut slab_end = 0;
        let mut runs = self.image.iter().peekable();
        for patch in &self.patches {
            ensure!(
                patch.len > 0 && patch.slab_offset >= slab_end,
                "patches of the image overlap or are out of order: {patch:?}"
            );
            let end = end_within(patch.slab_offset, patch.len, self.layout.size);
            let file_end = end_within(patch.file_offset, patch.len, segments.end);
            ensure!(
                end.is_some() && file_end.is_some() && patch.file_offset >= segments.start,
                "a patch of the image leaves the slab or the segment section: {patch:?}"
            );
            slab_end = patch.slab_offset + patch.len;
            let before = |run: &ImageRun| run.slab_offset + run.len <= patch.slab_offset;
            while runs.next_if(|run| before(run)).is_some() {}
            ensure!(
                runs.peek().is_none_or(|run| slab_end <= run.slab_offset),
                "a patch of the image overlaps a run of pages: {patch:?}"
            );
        }
        Ok(())
    }
}

/// Returns the end of the range of `len` bytes at `start`, unless it exceeds `limit`.
fn end_within(start: u64, len: u64, limit: u64) -> Option<u64> {
    start.checked_add(len).filter(|&end| end <= limit)
}

/// Checks that a setting is the same in artifact and host.
fn same<T: PartialEq + Debug>(name: &str, actual: &T, expected: &T) -> Result<()> {
    ensure!(
        actual == expected,
        artifact!(
            Settings,
            "the artifact was made with `{name}` = {actual:?}, this host is set to {expected:?}: \
             compile the component again or change `Config::{name}`"
        )
    );
    Ok(())
}

//! The check of the image.
//!
//! The last write to a byte determines its value. Therefore, the writes are visited in reverse
//! order, and each claims the bytes that no later write has claimed.

use super::Read;
use crate::write::Written;
use anyhow::{Context, Result, ensure};
use mintage_artifact::ImageRun;
use mintage_environ::layout::{HeadSlot, HeapLayout, REGION_ALIGN, SlabLayout};
use mintage_environ::{DomainId, FuncEntry, KeyTable, ObjectKind, ValType};
use mintage_program::{Const, Program, StaticObject, StaticValues};
use std::collections::BTreeMap;
use std::ops::Range;

/// Compares the image with all writes to it. All other bytes must be zero.
pub(super) fn verify_image(
    artifact: &Read<'_>,
    keys: KeyTable<'_>,
    written: &Written<'_>,
) -> Result<()> {
    let program = &written.imaged.linked.laid_out.program;
    let metadata = artifact.metadata();
    let runs = metadata.image.iter().chain(&metadata.patches);
    let mut runs: Vec<ImageRun> = runs.copied().collect();
    runs.sort_by_key(|run| run.slab_offset);
    let mut check = ImageCheck {
        artifact,
        program,
        keys,
        layout: &metadata.layout,
        runs,
        claimed: BTreeMap::new(),
    };
    check.claim_segments()?;
    check.claim_tables()?;
    check.claim_memory_sizes()?;
    check.claim_heaps()?;
    check.claim_globals()?;
    check.claim_lengths()?;
    check.ensure_rest_is_zero()
}

/// Compares writes with an artifact's image, the last write first.
struct ImageCheck<'a> {
    artifact: &'a Read<'a>,
    program: &'a Program<'a>,
    keys: KeyTable<'a>,
    layout: &'a SlabLayout,
    /// The artifact's image runs and patches, in order.
    runs: Vec<ImageRun>,
    /// The slab ranges that were compared: start and end. They do not overlap.
    claimed: BTreeMap<u64, u64>,
}

impl<'a> ImageCheck<'a> {
    /// Compares active segments. Later ones replace earlier ones, and all of them replace the
    /// initial contents of tables.
    fn claim_segments(&mut self) -> Result<()> {
        for elems in self.program.image_elems.iter().rev() {
            let start = self.layout.table_start(elems.table) + u64::from(elems.offset) * 8;
            let bytes = elems
                .values
                .iter()
                .map(|value| const_bytes(value, self.program, self.keys))
                .collect::<Result<Vec<_>>>()?
                .concat();
            self.claim(start, &bytes)?;
        }
        for data in self.program.image_data.iter().rev() {
            let start = self.layout.memory_start(data.memory) + data.offset;
            self.claim(start, data.bytes)?;
        }
        Ok(())
    }

    fn claim_tables(&mut self) -> Result<()> {
        for (id, table) in self.layout.tables.iter() {
            let entry = const_bytes(&self.program.tables[id].fill, self.program, self.keys)?;
            if entry.iter().any(|&byte| byte != 0) {
                let entries = entry.repeat(table.minimum as usize);
                self.claim(self.layout.table_start(id), &entries)?;
            }
            self.claim_word(table.domain, table.size_slot, table.minimum.into())?;
        }
        Ok(())
    }

    fn claim_memory_sizes(&mut self) -> Result<()> {
        for memory in self.layout.memories.values() {
            self.claim_word(memory.domain, memory.size_slot, memory.minimum)?;
        }
        Ok(())
    }

    fn claim_heaps(&mut self) -> Result<()> {
        for shape in &self.program.shape.heaps {
            let heap = self.heap(shape.domain)?;
            let first = HeapLayout::FIRST + shape.initial.next_multiple_of(REGION_ALIGN);
            let limit = match heap.zeal {
                true => first,
                false => first + heap.minimum,
            };
            self.claim_word(shape.domain, heap.next_slot, first)?;
            self.claim_word(shape.domain, heap.limit_slot, limit)?;
            self.claim_word(shape.domain, heap.half_slot, first)?;
            self.claim_word(shape.domain, heap.size_slot, heap.minimum)?;
        }
        for (at, object) in self.program.statics.iter().enumerate() {
            let heap = self.heap(object.domain)?;
            let start = self.layout.heap_start(object.domain, heap) + u64::from(object.reference);
            self.claim_object(start, object)
                .with_context(|| format!("static object {at}"))?;
        }
        Ok(())
    }

    fn claim_globals(&mut self) -> Result<()> {
        for (id, global) in self.program.globals.iter() {
            let bytes = const_bytes(&global.init, self.program, self.keys)?;
            let ty = self.program.shape.globals[id].ty;
            ensure!(
                bytes.len() == ty.size() as usize,
                "{id:?} of type {ty} starts as {:?}",
                global.init
            );
            ensure!(
                matches!(ty, ValType::Ref(_))
                    == matches!(
                        global.init,
                        Const::Null | Const::Func(_) | Const::I31(_) | Const::Object(_)
                    ),
                "{id:?} is not of type {ty}"
            );
            self.claim(self.layout.slot_start(self.layout.globals[id]), &bytes)?;
        }
        Ok(())
    }

    fn claim_lengths(&mut self) -> Result<()> {
        for (id, bytes) in self.program.data.iter() {
            let start = self.layout.slot_start(self.layout.data_lengths[id]);
            self.claim(start, &(bytes.len() as u32).to_le_bytes())?;
        }
        for (id, values) in self.program.elems.iter() {
            let start = self.layout.slot_start(self.layout.elem_lengths[id]);
            self.claim(start, &(values.len() as u32).to_le_bytes())?;
        }
        Ok(())
    }

    fn heap(&self, domain: DomainId) -> Result<&'a HeapLayout> {
        let heap = self.layout.domains[domain].heap.as_ref();
        heap.with_context(|| format!("{domain:?} has no GC heap"))
    }

    /// Compares an 8-byte word of a head.
    fn claim_word(&mut self, domain: DomainId, offset: i32, word: u64) -> Result<()> {
        let start = self.layout.slot_start(HeadSlot { domain, offset });
        self.claim(start, &word.to_le_bytes())
    }

    /// Compares those of `bytes`, at slab offset `start`, that no later write has replaced.
    fn claim(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        let end = start + bytes.len() as u64;
        for gap in self.gaps(start..end) {
            self.compare(
                gap.start,
                &bytes[(gap.start - start) as usize..(gap.end - start) as usize],
            )?;
            self.claimed.insert(gap.start, gap.end);
        }
        Ok(())
    }

    /// Compares a static object at slab offset `start`.
    fn claim_object(&mut self, start: u64, object: &StaticObject) -> Result<()> {
        let (program, keys) = (self.program, self.keys);
        let number = object.ty.as_u32() * 2;
        self.claim(start, &number.to_le_bytes())?;
        let bytes_of = |value: Const, size: u32| {
            let bytes = const_bytes(&value, program, keys)?;
            ensure!(bytes.len() >= size as usize, "{value:?} is too short");
            Ok(bytes[..size as usize].to_vec())
        };
        match &program.interface.objects[object.ty].kind {
            ObjectKind::Struct(fields) => {
                for (value, (storage, offset)) in object.values.iter().zip(fields) {
                    self.claim(
                        start + u64::from(*offset),
                        &bytes_of(value, storage.stored().size)?,
                    )?;
                }
            }
            ObjectKind::Array(element) => {
                let size = element.stored().size;
                self.claim(start + 4, &(object.values.len() as u32).to_le_bytes())?;
                let elements = match &object.values {
                    StaticValues::Each(values) => values
                        .iter()
                        .map(|&value| bytes_of(value, size))
                        .collect::<Result<Vec<_>>>()?
                        .concat(),
                    StaticValues::Same(value, count) => match bytes_of(*value, size)? {
                        // Bytes that are not claimed must be zero anyway.
                        zero if zero.iter().all(|&byte| byte == 0) => Vec::new(),
                        bytes => bytes.repeat(*count as usize),
                    },
                };
                self.claim(start + 8, &elements)?;
            }
        }
        Ok(())
    }

    /// Returns the parts of `range` that are not claimed.
    fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut position = range.start;
        let before = self.claimed.range(..range.start).next_back();
        for (&start, &end) in before.into_iter().chain(self.claimed.range(range.clone())) {
            if position < start {
                gaps.push(position..start);
            }
            position = position.max(end);
        }
        if position < range.end {
            gaps.push(position..range.end);
        }
        gaps
    }

    /// Compares a part of the slab with `expected`, run by run. Bytes outside of all runs are zero.
    fn compare(&self, start: u64, expected: &[u8]) -> Result<()> {
        let runs = &self.runs;
        let mut position = start;
        let mut rest = expected;
        while !rest.is_empty() {
            let index = runs.partition_point(|run| run.slab_offset + run.len <= position);
            let run = runs.get(index);
            let inside = run.filter(|run| run.slab_offset <= position);
            let until = inside
                .map(|run| run.slab_offset + run.len)
                .or(run.map(|run| run.slab_offset))
                .unwrap_or(u64::MAX);
            let (now, later) = rest.split_at(rest.len().min((until - position) as usize));
            let equal = match inside {
                Some(run) => {
                    let bytes = self
                        .artifact
                        .image_bytes(run)
                        .context("an image run has no bytes")?;
                    bytes[(position - run.slab_offset) as usize..].starts_with(now)
                }
                None => now.iter().all(|&byte| byte == 0),
            };
            ensure!(
                equal,
                "the slab differs between {position:#x} and {:#x}",
                position + now.len() as u64
            );
            position += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Checks that all unclaimed bytes are zero, and that no run starts or ends with a page of
    /// zeros.
    fn ensure_rest_is_zero(&self) -> Result<()> {
        for run in &self.runs {
            let bytes = self
                .artifact
                .image_bytes(run)
                .context("an image run has no bytes")?;
            let slice = |range: &Range<u64>| {
                &bytes[(range.start - run.slab_offset) as usize
                    ..(range.end - run.slab_offset) as usize]
            };
            for gap in self.gaps(run.slab_offset..run.slab_offset + run.len) {
                ensure!(
                    slice(&gap).iter().all(|&byte| byte == 0),
                    "the slab has bytes that were never written at {gap:#x?}"
                );
            }
            let page = self.artifact.metadata().page() as usize;
            for page in [bytes.chunks(page).next(), bytes.rchunks(page).next()] {
                ensure!(
                    page.is_some_and(|page| page.iter().any(|&byte| byte != 0)),
                    "the image has a page of zeros at an end of {run:?}"
                );
            }
        }
        Ok(())
    }
}

/// Returns the representation of a value in a global, or of a reference in a table.
pub(super) fn const_bytes(
    value: &Const,
    program: &Program<'_>,
    keys: KeyTable<'_>,
) -> Result<Vec<u8>> {
    Ok(match *value {
        Const::I32(value) => value.to_le_bytes().to_vec(),
        Const::F32(value) => value.to_le_bytes().to_vec(),
        Const::I64(value) => value.to_le_bytes().to_vec(),
        Const::F64(value) => value.to_le_bytes().to_vec(),
        Const::V128(value) => value.to_le_bytes().to_vec(),
        Const::Null => vec![0; 8],
        Const::I31(value) => (u64::from(value) * 2 + 1).to_le_bytes().to_vec(),
        Const::Object(at) => {
            let object = program
                .statics
                .get(at as usize)
                .context("there is no such object")?;
            u64::from(object.reference).to_le_bytes().to_vec()
        }
        Const::Func(callee) => {
            let place = keys
                .get(callee.key)
                .with_context(|| format!("{} has no place", callee.key))?;
            [
                place.start.to_le_bytes(),
                FuncEntry::signature_word(callee.sig).to_le_bytes(),
            ]
            .concat()
        }
    })
}

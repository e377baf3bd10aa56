//! Phase `verify`: reads the artifact back and compares it with the plan.
//!
//! Shares no code with the phases that it checks: places come from the artifact's own tables,
//! relocations are recomputed from these, and the image is compared from the last write to the
//! first instead of being built a second time.

use crate::LaidOut;
use crate::emit::Written;
use crate::link::PlacedFunction;
use anyhow::{Context, Result, bail, ensure};
use mintage_artifact::{Artifact, Catch, Check, ImageRun, NO_ADDRESS, PAGE};
use mintage_codegen::{RelocationKind, RelocationTarget};
use mintage_environ::layout::{HeadSlot, HeapLayout, REGION_ALIGN};
use mintage_environ::{FuncEntry, FuncKey, KeyTable, ObjectKind, ObjectTypeId, ValType};
use mintage_program::{Const, Program, StaticObject, StaticValues};
use std::collections::BTreeMap;
use std::ops::Range;

/// Compares the artifact with the plan.
pub(crate) fn verify(written: &Written<'_>) -> Result<()> {
    let artifact = Artifact::parse(written.artifact.as_slice(), Check::Full)?;
    let keys = artifact
        .key_table()
        .context("the artifact has no key table")?;
    let functions = &written.imaged.linked.functions;
    ensure!(
        keys.len() as usize == functions.len(),
        "the artifact has {} functions instead of {}",
        keys.len(),
        functions.len()
    );
    for (ordinal, function) in functions.iter().enumerate() {
        verify_function(&artifact, keys, ordinal as u32, function)
            .with_context(|| format!("function {} differs from the plan", function.compiled.key))?;
    }
    let LaidOut { program, layout } = &written.imaged.linked.laid_out;
    layout.verify(&program.shape)?;
    ensure!(
        artifact.metadata().layout == *layout,
        "the layout differs from the plan"
    );
    verify_segments(&artifact, keys, written)?;
    verify_image(&artifact, keys, written).context("the image differs from the plan")
}

type Read<'a> = Artifact<&'a [u8]>;

fn verify_function(
    artifact: &Read<'_>,
    keys: KeyTable<'_>,
    ordinal: u32,
    function: &PlacedFunction,
) -> Result<()> {
    let plan = &function.compiled;
    let range = keys.get(plan.key).context("it has no place")?;
    ensure!(
        keys.key(ordinal) == Some(plan.key) && keys.ordinal(plan.key) == Some(ordinal),
        "it has another ordinal"
    );
    ensure!(range.start % plan.alignment == 0, "it is misaligned");
    ensure!(range.start != 0, "it is at offset 0, which stands for null");
    let text = &artifact.text()[range.start as usize..range.end as usize];
    let (code, padding) = text
        .split_at_checked(plan.code.len())
        .context("it is shorter")?;
    ensure!(
        padding.iter().all(|&byte| byte == 0xcc || byte == 0),
        "there are instructions behind it"
    );

    let mut expected = plan.code.clone();
    for relocation in &plan.relocations {
        let target = match relocation.target {
            RelocationTarget::TextBase => 0,
            RelocationTarget::Func(key) => {
                keys.get(key)
                    .with_context(|| format!("{key} has no place"))?
                    .start
            }
        };
        let value = i128::from(target) + i128::from(relocation.addend);
        let at = relocation.offset as usize;
        match relocation.kind {
            RelocationKind::PcRelative4 => {
                let distance =
                    i32::try_from(value - i128::from(range.start) - i128::from(relocation.offset))?;
                expected[at..at + 4].copy_from_slice(&distance.to_le_bytes());
            }
            RelocationKind::TextOffset8 => {
                expected[at..at + 8].copy_from_slice(&i64::try_from(value)?.to_le_bytes())
            }
        }
    }
    if let Some(at) = code
        .iter()
        .zip(&expected)
        .position(|(actual, expected)| actual != expected)
    {
        bail!("its machine code differs at {at:#x}");
    }
    verify_records(artifact, ordinal, range.start, function)
}

fn verify_records(
    artifact: &Read<'_>,
    ordinal: u32,
    start: u32,
    function: &PlacedFunction,
) -> Result<()> {
    let plan = &function.compiled;
    let traps = plan
        .traps
        .iter()
        .map(|&(offset, trap)| (offset, Some(trap)));
    ensure!(artifact.traps(ordinal).eq(traps), "its traps differ");
    // Looking up every one would be quadratic in the size of the function.
    for &(offset, trap) in plan.traps.iter().take(3).chain(plan.traps.last()) {
        ensure!(
            artifact.trap_at(start + offset) == Some(trap),
            "its trap at {offset:#x} is not found"
        );
    }
    verify_catches(artifact, start, function)?;
    verify_stack_maps(artifact, start, function)?;
    let mut known: BTreeMap<u32, u32> = BTreeMap::new();
    known.extend(
        plan.addresses
            .iter()
            .copied()
            .filter(|&(_, address)| address != NO_ADDRESS),
    );
    let mut entries = artifact.addresses(ordinal).peekable();
    let mut current = None;
    for (offset, address) in known {
        while let Some((_, next)) = entries.next_if(|&(at, _)| at <= offset) {
            current = Some(next);
        }
        ensure!(
            current == Some(address),
            "its code at {offset:#x} has address {current:?} instead of {address:#x}"
        );
    }
    ensure!(entries.next().is_none(), "it has more addresses");
    Ok(())
}

fn verify_segments(artifact: &Read<'_>, keys: KeyTable<'_>, written: &Written<'_>) -> Result<()> {
    let program = &written.imaged.linked.laid_out.program;
    for (id, bytes) in program.data.iter() {
        ensure!(
            artifact.data_segment(id) == Some(*bytes),
            "{id:?} differs from the plan"
        );
    }
    for (id, values) in program.elems.iter() {
        let bytes = values
            .iter()
            .map(|value| const_bytes(value, program, keys))
            .collect::<Result<Vec<_>>>()?
            .concat();
        ensure!(
            artifact.elem_segment(id) == Some(&bytes),
            "{id:?} differs from the plan"
        );
    }
    Ok(())
}

/// Every handler is found, by what it catches.
fn verify_catches(artifact: &Read<'_>, start: u32, function: &PlacedFunction) -> Result<()> {
    let plan = &function.compiled;
    let table = artifact
        .unwind()
        .context("the artifact has no table of handlers")?;
    let is_core = matches!(plan.key, FuncKey::CoreFunc { .. });
    ensure!(
        table.is_core(start) == is_core,
        "exceptions do not know what kind of function it is"
    );
    for site in &plan.catches {
        for &(ty, offset) in site.handlers.iter() {
            // A number that no type has stands for those of all types that are not listed.
            let found = table.find(
                start + site.return_offset,
                ty.unwrap_or(ObjectTypeId::from_u32(u32::MAX - 1)),
            );
            ensure!(
                found
                    == Some(Catch {
                        offset: start + offset,
                        frame_size: site.frame_size
                    }),
                "its handler for the call at {:#x} is {found:?}",
                site.return_offset
            );
        }
    }
    Ok(())
}

/// The references in each frame are found.
fn verify_stack_maps(artifact: &Read<'_>, start: u32, function: &PlacedFunction) -> Result<()> {
    let table = artifact
        .stack_maps()
        .context("the artifact has no stack maps")?;
    for map in &function.compiled.stack_maps {
        let found = table.find(start + map.return_offset);
        ensure!(
            found.is_some_and(|(_, slots)| slots.eq(map.slots.iter())),
            "its references at the call at {:#x} are not found",
            map.return_offset
        );
    }
    Ok(())
}

/// Compares the image with all that is written to it. Whatever is not written must be zero.
fn verify_image(artifact: &Read<'_>, keys: KeyTable<'_>, written: &Written<'_>) -> Result<()> {
    let program = &written.imaged.linked.laid_out.program;
    let layout = &artifact.metadata().layout;
    let slot = |domain, offset| layout.slot_start(HeadSlot { domain, offset });
    let metadata = artifact.metadata();
    let mut runs: Vec<_> = metadata
        .image
        .iter()
        .chain(&metadata.patches)
        .copied()
        .collect();
    runs.sort_by_key(|run| run.slab_offset);
    let mut check = ImageCheck {
        artifact,
        runs,
        claimed: BTreeMap::new(),
    };
    // The last write to a place counts, so they are visited from the last to the first.
    for elems in program.image_elems.iter().rev() {
        let start = layout.table_start(elems.table) + u64::from(elems.offset) * 8;
        let bytes = elems
            .values
            .iter()
            .map(|value| const_bytes(value, program, keys))
            .collect::<Result<Vec<_>>>()?
            .concat();
        check.claim(start, &bytes)?;
    }
    for data in program.image_data.iter().rev() {
        check.claim(layout.memory_start(data.memory) + data.offset, data.bytes)?;
    }
    for (id, table) in layout.tables.iter() {
        let entry = const_bytes(&program.tables[id].fill, program, keys)?;
        if entry.iter().any(|&byte| byte != 0) {
            check.claim(
                layout.table_start(id),
                &entry.repeat(table.minimum as usize),
            )?;
        }
        check.claim(
            slot(table.domain, table.size_slot),
            &u64::from(table.minimum).to_le_bytes(),
        )?;
    }
    for memory in layout.memories.values() {
        check.claim(
            slot(memory.domain, memory.size_slot),
            &memory.minimum.to_le_bytes(),
        )?;
    }
    for heap in &program.shape.heaps {
        let place = layout.domains[heap.domain].heap.as_ref();
        let place = place.with_context(|| format!("{:?} has no object heap", heap.domain))?;
        let first = HeapLayout::FIRST + heap.initial.next_multiple_of(REGION_ALIGN);
        let words = [
            (place.next_slot, first),
            (
                place.limit_slot,
                if place.zeal {
                    first
                } else {
                    first + place.minimum
                },
            ),
            (place.half_slot, first),
            (place.size_slot, place.minimum),
        ];
        for (offset, word) in words {
            check.claim(slot(heap.domain, offset), &word.to_le_bytes())?;
        }
    }
    for (at, object) in program.statics.iter().enumerate() {
        let place = layout.domains[object.domain].heap.as_ref();
        let place = place.with_context(|| format!("{:?} has no object heap", object.domain))?;
        let start = layout.heap_start(object.domain, place) + u64::from(object.reference);
        check
            .object(start, object, program, keys)
            .with_context(|| format!("static object {at}"))?;
    }
    for (id, global) in program.globals.iter() {
        let bytes = const_bytes(&global.init, program, keys)?;
        let ty = program.shape.globals[id].ty;
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
            "{id:?} is no {ty}"
        );
        check.claim(layout.slot_start(layout.globals[id]), &bytes)?;
    }
    for (id, bytes) in program.data.iter() {
        check.claim(
            layout.slot_start(layout.data_lengths[id]),
            &(bytes.len() as u32).to_le_bytes(),
        )?;
    }
    for (id, values) in program.elems.iter() {
        check.claim(
            layout.slot_start(layout.elem_lengths[id]),
            &(values.len() as u32).to_le_bytes(),
        )?;
    }
    check.rest_is_zero()
}

fn const_bytes(value: &Const, program: &Program<'_>, keys: KeyTable<'_>) -> Result<Vec<u8>> {
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

/// Compares writes, the last one first, with an artifact's image.
struct ImageCheck<'a> {
    artifact: &'a Read<'a>,
    /// Its pages and patches, in order.
    runs: Vec<ImageRun>,
    /// Slab ranges that were compared: start and end. They do not overlap.
    claimed: BTreeMap<u64, u64>,
}

impl ImageCheck<'_> {
    /// Compares what no later write has replaced of `bytes` at slab offset `start`.
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

    /// Compares a static object, which starts at slab offset `start`.
    fn object(
        &mut self,
        start: u64,
        object: &StaticObject,
        program: &Program<'_>,
        keys: KeyTable<'_>,
    ) -> Result<()> {
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
                        // What nobody claims must be zero anyway.
                        zero if zero.iter().all(|&byte| byte == 0) => Vec::new(),
                        bytes => bytes.repeat(*count as usize),
                    },
                };
                self.claim(start + 8, &elements)?;
            }
        }
        Ok(())
    }

    /// The parts of `range` that are not claimed.
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

    /// Compares a part of the slab with `expected`, run by run; what is in no run is zero.
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

    /// Checks that all that nobody wrote is zero, and that no run starts or ends with a page of
    /// zeros.
    fn rest_is_zero(&self) -> Result<()> {
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
                    "the slab has bytes that nobody wrote at {gap:#x?}"
                );
            }
            for page in [
                bytes.chunks(PAGE as usize).next(),
                bytes.rchunks(PAGE as usize).next(),
            ] {
                ensure!(
                    page.is_some_and(|page| page.iter().any(|&byte| byte != 0)),
                    "the image holds a page of zeros at an end of {run:?}"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CompileLimits, Spent};
    use crate::{LaidOut, NoProgress, Options, emit, functions, image, link};
    use mintage_codegen::Compiler;
    use mintage_environ::layout::SlabLayout;
    use mintage_environ::{CatchSite, FrameSlots, StackMap, Trap, Tunables};

    const KITCHEN: &str = include_str!("../tests/kitchen.wat");

    fn with_written(change: impl FnOnce(&mut Written<'_>)) -> Result<()> {
        let bytes = wat::parse_str(KITCHEN)?;
        let tunables = Tunables {
            core_exports: true,
            ..Tunables::default()
        };
        let compiler = Compiler::new(&tunables)?;
        let program = mintage_program::build(&bytes, &tunables)?;
        let layout = SlabLayout::compute(&program.shape, &tunables)?;
        let limits = CompileLimits::new();
        let generated = functions::generate(
            LaidOut { program, layout },
            &compiler,
            &Spent::new(&limits),
            &NoProgress,
        )?;
        let linked = link::link(generated, &compiler.target())?;
        let imaged = image::build(linked)?;
        let mut written = emit::write(imaged, &compiler.target(), &tunables, &Options::default())?;
        change(&mut written);
        verify(&written)
    }

    /// The plan is changed instead of the artifact: the checker must see each difference.
    #[test]
    fn every_kind_of_difference_is_seen() {
        type Change = fn(&mut Written<'_>);
        fn function<'a>(
            written: &'a mut Written<'_>,
            with: impl Fn(&PlacedFunction) -> bool,
        ) -> &'a mut PlacedFunction {
            written
                .imaged
                .linked
                .functions
                .iter_mut()
                .find(|function| with(function))
                .expect("there is one")
        }
        fn program<'a, 'b>(written: &'a mut Written<'b>) -> &'a mut Program<'b> {
            &mut written.imaged.linked.laid_out.program
        }
        let cases: &[(&str, Change)] = &[
            ("the artifact is cut off", |w| w.artifact.truncate(5000)),
            ("functions instead of", |w| {
                _ = w.imaged.linked.functions.pop()
            }),
            ("has another ordinal", |w| {
                w.imaged.linked.functions.swap(0, 1)
            }),
            ("is misaligned", |w| {
                function(w, |_| true).compiled.alignment = 1 << 20
            }),
            ("its machine code differs at 0x1", |w| {
                function(w, |_| true).compiled.code[1] ^= 1
            }),
            ("instructions behind it", |w| {
                _ = function(w, |_| true).compiled.code.pop()
            }),
            ("it is shorter", |w| {
                function(w, |_| true).compiled.code.extend([0; 200])
            }),
            ("its machine code differs", |w| {
                function(w, |f| !f.compiled.relocations.is_empty())
                    .compiled
                    .relocations[0]
                    .addend += 1;
            }),
            ("its machine code differs", |w| {
                function(w, |f| !f.compiled.relocations.is_empty())
                    .compiled
                    .relocations[0]
                    .target = RelocationTarget::TextBase;
            }),
            ("its traps differ", |w| {
                function(w, |_| true)
                    .compiled
                    .traps
                    .push((99, Trap::Interrupt))
            }),
            ("its traps differ", |w| {
                _ = function(w, |f| !f.compiled.traps.is_empty())
                    .compiled
                    .traps
                    .pop()
            }),
            ("its handler for the call at 0x1", |w| {
                let site = CatchSite {
                    return_offset: 1,
                    frame_size: 8,
                    handlers: [(None, 2)].into(),
                };
                function(w, |_| true).compiled.catches.push(site)
            }),
            ("its references at the call at 0x1", |w| {
                let map = StackMap {
                    return_offset: 1,
                    slots: FrameSlots::new([8]).unwrap().into(),
                };
                function(w, |_| true).compiled.stack_maps.push(map)
            }),
            ("has address", |w| {
                function(w, |f| !f.compiled.addresses.is_empty())
                    .compiled
                    .addresses
                    .push((1 << 20, 7))
            }),
            ("it has more addresses", |w| {
                function(w, |f| f.compiled.addresses.len() > 2)
                    .compiled
                    .addresses
                    .truncate(1)
            }),
            ("the layout differs", |w| {
                w.imaged.linked.laid_out.layout.size += 1 << 20
            }),
            ("data0 differs", |w| {
                program(w)
                    .data
                    .values_mut()
                    .for_each(|bytes| *bytes = b"other")
            }),
            ("elem0 differs", |w| {
                program(w)
                    .elems
                    .values_mut()
                    .for_each(|values| values[0] = Const::Null)
            }),
            ("the slab differs", |w| {
                program(w).image_data[0].bytes = b"Over a page"
            }),
            ("the slab differs", |w| program(w).image_data.swap(0, 1)),
            ("bytes that nobody wrote", |w| {
                _ = program(w).image_data.remove(0)
            }),
            ("the slab differs", |w| program(w).image_elems.swap(0, 1)),
            ("the slab differs", |w| {
                program(w).image_elems[0].values[0] = Const::Null
            }),
            ("the slab differs", |w| {
                let globals = &mut program(w).globals;
                globals
                    .values_mut()
                    .filter(|global| global.init == Const::I64(-2))
                    .for_each(|global| global.init = Const::I64(-3));
            }),
        ];
        with_written(|_| ()).unwrap();
        for (message, change) in cases {
            let error = match with_written(change) {
                Ok(()) => "nothing".to_string(),
                Err(error) => format!("{error:#}"),
            };
            assert!(
                error.contains(message),
                "expected {message:?}, got {error:?}"
            );
        }
    }
}

//! Phase `verify`: reads the artifact back and compares it with the plan.
//!
//! It shares no code with the phases that it checks. Places come from the artifact's own tables,
//! relocations are recomputed from them, and the image is compared with the writes in reverse order
//! instead of being built again.

mod image;
#[cfg(test)]
mod tests;

use crate::LaidOut;
use crate::link::PlacedFunction;
use crate::write::Written;
use anyhow::{Context, Result, bail, ensure};
use image::{const_bytes, verify_image};
use mintage_artifact::{Artifact, Catch, Check, NO_ADDRESS};
use mintage_codegen::{RelocationKind, RelocationTarget};
use mintage_environ::{FuncKey, FuncOrdinal, KeyTable, ObjectTypeId};
use mintage_program::Program;
use std::collections::BTreeMap;

/// Compares the artifact with the plan.
///
/// # Errors
///
/// Returns an error that names the first difference.
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
    let LaidOut { program, layout } = &written.imaged.linked.laid_out;
    let ordinals = (0..).map(FuncOrdinal::from_u32);
    for (ordinal, function) in ordinals.zip(functions) {
        verify_function(&artifact, keys, ordinal, function)
            .and_then(|start| verify_records(&artifact, ordinal, start, function))
            .and_then(|start| verify_catches(&artifact, start, function))
            .and_then(|start| verify_stack_maps(&artifact, program, start, function))
            .with_context(|| format!("function {} differs from the plan", function.compiled.key))?;
    }
    layout.verify(&program.shape)?;
    ensure!(
        artifact.metadata().layout == *layout,
        "the layout differs from the plan"
    );
    verify_segments(&artifact, keys, written)?;
    verify_image(&artifact, keys, written).context("the image differs from the plan")
}

type Read<'a> = Artifact<&'a [u8]>;

/// Compares place and machine code of a function. Returns its start in the text.
fn verify_function(
    artifact: &Read<'_>,
    keys: KeyTable<'_>,
    ordinal: FuncOrdinal,
    function: &PlacedFunction,
) -> Result<u32> {
    let plan = &function.compiled;
    let range = keys.get(plan.key).context("it has no place")?;
    ensure!(
        keys.key(ordinal) == Some(plan.key) && keys.ordinal(plan.key) == Some(ordinal),
        "it has another ordinal"
    );
    ensure!(range.start % plan.alignment == 0, "it is misaligned");
    ensure!(range.start != 0, "it is at offset 0, which means null");
    let text = &artifact.text()[range.start as usize..range.end as usize];
    let (code, padding) = text
        .split_at_checked(plan.code.len())
        .context("it is shorter")?;
    ensure!(
        is_padding(artifact, keys, padding, range.end as usize),
        "there are instructions after it"
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
            RelocationKind::Branch26 => {
                let branch = word_at(code, at).context("its code differs in size")?;
                // A signed number of instructions.
                let distance = i128::from((branch << 6) as i32 >> 6) * 4;
                let goes_to = i128::from(range.start) + at as i128 + distance;
                let veneer = usize::try_from(goes_to)
                    .ok()
                    .and_then(|place| veneer_target(artifact.text(), place));
                ensure!(
                    goes_to == value || veneer.is_some_and(|target| target as i128 == value),
                    "its machine code differs at {at:#x}: the branch goes elsewhere"
                );
                set_bits(&mut expected, at, 0x03ff_ffff, branch);
            }
            RelocationKind::Page21 => {
                let place = i128::from(range.start) + at as i128;
                let pages = i32::try_from((value >> 12) - (place >> 12))?;
                ensure!(pages == pages << 11 >> 11, "a page is out of reach");
                let low = (pages as u32 & 3) << 29;
                let high = ((pages >> 2) as u32) << 5;
                set_bits(&mut expected, at, 0x60ff_ffe0, low | high & 0x00ff_ffe0);
            }
            RelocationKind::PageOffset12 => {
                let offset = (value & 0xfff) as u32;
                set_bits(&mut expected, at, 0x003f_fc00, offset << 10);
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
    Ok(range.start)
}

/// Returns whether bytes of the text that end at `end` are unused: instructions that fault, or
/// veneers to functions.
fn is_padding(artifact: &Read<'_>, keys: KeyTable<'_>, mut bytes: &[u8], end: usize) -> bool {
    let text = artifact.text();
    let is_aarch64 = artifact.metadata().target.triple.starts_with("aarch64-");
    while let Some((&byte, rest)) = bytes.split_first() {
        if byte == 0xcc || byte == 0 {
            bytes = rest;
            continue;
        }
        let target = veneer_target(text, end - bytes.len())
            .and_then(|target| u32::try_from(target).ok())
            .filter(|_| is_aarch64);
        let is_function = |target| keys.find(target).is_some_and(|(.., start)| start == target);
        match (target, bytes.get(12..)) {
            (Some(target), Some(rest)) if is_function(target) => bytes = rest,
            _ => return false,
        }
    }
    true
}

/// Returns the target of the veneer at `place`: `adrp x16, page; add x16, x16, offset; br x16`.
fn veneer_target(text: &[u8], place: usize) -> Option<usize> {
    let address = word_at(text, place)?;
    let add = word_at(text, place + 4)?;
    let jump = word_at(text, place + 8)?;
    if address & 0x9f00_001f != 0x9000_0010
        || add & 0xffc0_03ff != 0x9100_0210
        || jump != 0xd61f_0200
    {
        return None;
    }
    let pages = (address >> 5 & 0x7_ffff) << 2 | address >> 29 & 3;
    // A signed number of 21 bits.
    let pages = (pages << 11) as i32 >> 11;
    let page = (place >> 12).checked_add_signed(pages as isize)?;
    Some(page << 12 | (add >> 10 & 0xfff) as usize)
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

/// Replaces the bits `mask` of the instruction at `at`.
fn set_bits(code: &mut [u8], at: usize, mask: u32, bits: u32) {
    if let Some(word) = code.get_mut(at..).and_then(|code| code.first_chunk_mut()) {
        *word = (u32::from_le_bytes(*word) & !mask | bits & mask).to_le_bytes();
    }
}

/// Compares the traps and the address map of a function.
fn verify_records(
    artifact: &Read<'_>,
    ordinal: FuncOrdinal,
    start: u32,
    function: &PlacedFunction,
) -> Result<u32> {
    let plan = &function.compiled;
    let traps = plan
        .traps
        .iter()
        .map(|&(offset, trap)| (offset, Some(trap)));
    ensure!(artifact.traps(ordinal).eq(traps), "its traps differ");
    // Looking up all of them would be quadratic in the size of the function.
    for &(offset, trap) in plan.traps.iter().take(3).chain(plan.traps.last()) {
        ensure!(
            artifact.trap_at(start + offset) == Some(trap),
            "its trap at {offset:#x} is not found"
        );
    }
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
    Ok(start)
}

/// Compares the run-time segments.
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

/// Checks that lookups find each exception handler.
fn verify_catches(artifact: &Read<'_>, start: u32, function: &PlacedFunction) -> Result<u32> {
    let plan = &function.compiled;
    let table = artifact
        .unwind()
        .context("the artifact has no table of handlers")?;
    let is_core = matches!(plan.key, FuncKey::CoreFunc { .. });
    ensure!(
        table.is_core(start) == is_core,
        "the table of handlers has it on the wrong side of the core end"
    );
    for site in &plan.catches {
        for &(ty, offset) in site.handlers.iter() {
            // A number that no type has represents all types that are not listed.
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
    Ok(start)
}

/// Checks that lookups find each stack map.
fn verify_stack_maps(
    artifact: &Read<'_>,
    program: &Program<'_>,
    start: u32,
    function: &PlacedFunction,
) -> Result<()> {
    let table = artifact
        .stack_maps()
        .context("the artifact has no stack maps")?;
    for map in &function.compiled.stack_maps {
        let found = table.find(start + map.return_offset);
        let (domain, slots) = found.with_context(|| {
            format!(
                "its stack map for the call at {:#x} is not found",
                map.return_offset
            )
        })?;
        let FuncKey::CoreFunc { instance, .. } = function.compiled.key else {
            bail!("it has stack maps, but is not a core function")
        };
        ensure!(
            slots.eq(map.slots.iter()) && domain == program.instances[instance].domain,
            "its stack map for the call at {:#x} differs",
            map.return_offset
        );
    }
    Ok(())
}

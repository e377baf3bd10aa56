//! Phase `image`: the contents of the slab when an instance starts, before start functions.
//!
//! Later writes replace earlier ones, as in instantiation: memories with their active data
//! segments, tables with their active element segments, globals, lengths of segments, GC heaps.

mod sparse;

pub(crate) use sparse::Image;

use crate::LaidOut;
use crate::link::LinkedProgram;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::layout::HeadSlot;
use mintage_environ::{FuncEntry, ObjectKind, Reference, StorageType, objects};
use mintage_program::{Const, StaticObject, StaticValues};
use sparse::MAX_IMAGE;

/// A program with its linked machine code and its image.
pub(crate) struct Imaged<'a> {
    pub linked: LinkedProgram<'a>,
    pub image: Image,
}

/// Computes the image of a linked program.
pub(crate) fn build(linked: LinkedProgram<'_>) -> Result<Imaged<'_>> {
    let mut image = Image::new(MAX_IMAGE);
    write_memories(&mut image, &linked.laid_out)?;
    write_tables(&mut image, &linked)?;
    write_globals(&mut image, &linked)?;
    write_lengths(&mut image, &linked.laid_out)?;
    write_heaps(&mut image, &linked)?;
    let image = image.settled();
    Ok(Imaged { linked, image })
}

fn write_memories(image: &mut Image, laid_out: &LaidOut<'_>) -> Result<()> {
    let LaidOut { program, layout } = laid_out;
    for memory in layout.memories.values() {
        let slot = HeadSlot {
            domain: memory.domain,
            offset: memory.size_slot,
        };
        image.write(layout.slot_start(slot), &memory.minimum.to_le_bytes())?;
    }
    for data in &program.image_data {
        let memory = layout
            .memories
            .get(data.memory)
            .with_context(|| format!("{:?} has no place", data.memory))?;
        let end = data.offset.checked_add(data.bytes.len() as u64);
        ensure!(
            end.is_some_and(|end| end <= memory.minimum),
            "a data segment of the image leaves {:?}",
            data.memory
        );
        image.write(layout.memory_start(data.memory) + data.offset, data.bytes)?;
    }
    Ok(())
}

fn write_tables(image: &mut Image, linked: &LinkedProgram<'_>) -> Result<()> {
    let LaidOut { program, layout } = &linked.laid_out;
    for (id, table) in layout.tables.iter() {
        let slot = HeadSlot {
            domain: table.domain,
            offset: table.size_slot,
        };
        image.write(
            layout.slot_start(slot),
            &u64::from(table.minimum).to_le_bytes(),
        )?;
        let init = program
            .tables
            .get(id)
            .with_context(|| format!("{id:?} has no initial contents"))?;
        image.fill(
            layout.table_start(id),
            linked.word(&init.fill)?,
            u64::from(table.minimum),
        )?;
    }
    for elems in &program.image_elems {
        let table = layout
            .tables
            .get(elems.table)
            .with_context(|| format!("{:?} has no place", elems.table))?;
        let end = u64::from(elems.offset) + elems.values.len() as u64;
        ensure!(
            end <= u64::from(table.minimum),
            "an element segment of the image leaves {:?}",
            elems.table
        );
        let words = linked.words(&elems.values)?;
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        image.write(
            layout.table_start(elems.table) + u64::from(elems.offset) * 8,
            &bytes,
        )?;
    }
    Ok(())
}

fn write_globals(image: &mut Image, linked: &LinkedProgram<'_>) -> Result<()> {
    let LaidOut { program, layout } = &linked.laid_out;
    for (id, &slot) in layout.globals.iter() {
        let global = program
            .globals
            .get(id)
            .with_context(|| format!("{id:?} has no initial value"))?;
        let start = layout.slot_start(slot);
        image.write(start, &linked.value_bytes(&global.init)?)?;
    }
    Ok(())
}

/// Writes the current lengths of the run-time segments. None of them is dropped yet.
fn write_lengths(image: &mut Image, laid_out: &LaidOut<'_>) -> Result<()> {
    let LaidOut { program, layout } = laid_out;
    let data = layout
        .data_lengths
        .values()
        .zip(program.data.values().map(|bytes| bytes.len()));
    let elems = layout
        .elem_lengths
        .values()
        .zip(program.elems.values().map(|values| values.len()));
    for (&slot, length) in data.chain(elems) {
        let length =
            u32::try_from(length).context("a segment has 2^32 bytes or entries or more")?;
        image.write(layout.slot_start(slot), &length.to_le_bytes())?;
    }
    Ok(())
}

/// Writes the words of each GC heap, and the static objects.
fn write_heaps(image: &mut Image, linked: &LinkedProgram<'_>) -> Result<()> {
    let LaidOut { program, layout } = &linked.laid_out;
    for shape in &program.shape.heaps {
        let domain = shape.domain;
        let heap = layout.domains[domain].heap.as_ref();
        let heap = heap.with_context(|| format!("the GC heap of {domain:?} has no place"))?;
        let [first, _] = heap.halves();
        for (offset, word) in [
            (heap.next_slot, first),
            (heap.limit_slot, heap.limit(first, heap.minimum)),
            (heap.half_slot, first),
            (heap.size_slot, heap.minimum),
        ] {
            image.write(
                layout.slot_start(HeadSlot { domain, offset }),
                &word.to_le_bytes(),
            )?;
        }
    }
    for object in &program.statics {
        let heap = layout.domains[object.domain].heap.as_ref();
        let heap =
            heap.with_context(|| format!("the GC heap of {:?} has no place", object.domain))?;
        let start = layout.heap_start(object.domain, heap) + u64::from(object.reference);
        linked.write_object(image, start, object)?;
    }
    Ok(())
}

impl LinkedProgram<'_> {
    /// Returns the representation of a reference in tables and globals.
    fn word(&self, value: &Const) -> Result<u64> {
        match *value {
            Const::Null => Ok(FuncEntry::NULL.to_u64()),
            Const::Func(callee) => Ok(self.entry(callee)?.to_u64()),
            Const::I31(value) => Ok(Reference::I31(value).to_u32().into()),
            Const::Object(at) => {
                let object = self.laid_out.program.statics.get(at as usize);
                Ok(object
                    .with_context(|| format!("{value:?} does not exist"))?
                    .reference
                    .into())
            }
            other => bail!("{other:?} is not a reference"),
        }
    }

    /// Writes a static object at slab offset `start`.
    fn write_object(&self, image: &mut Image, start: u64, object: &StaticObject) -> Result<()> {
        image.write(start, &objects::header(object.ty).to_le_bytes())?;
        match &self.laid_out.program.interface.objects[object.ty].kind {
            ObjectKind::Struct(fields) => {
                for (value, (storage, offset)) in object.values.iter().zip(fields) {
                    image.write(
                        start + u64::from(*offset),
                        &self.stored_bytes(value, *storage)?,
                    )?;
                }
            }
            ObjectKind::Array(element) => {
                let length = object.values.len() as u32;
                image.write(
                    start + u64::from(objects::LENGTH_OFFSET),
                    &length.to_le_bytes(),
                )?;
                let mut at = start + u64::from(objects::ELEMENTS_OFFSET);
                match &object.values {
                    StaticValues::Each(values) => {
                        for &value in values {
                            let bytes = self.stored_bytes(value, *element)?;
                            image.write(at, &bytes)?;
                            at += bytes.len() as u64;
                        }
                    }
                    StaticValues::Same(value, count) => {
                        image.repeat(
                            at,
                            &self.stored_bytes(*value, *element)?,
                            u64::from(*count),
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the representation of a value in a field or element.
    fn stored_bytes(&self, value: Const, storage: StorageType) -> Result<Vec<u8>> {
        let mut bytes = self.value_bytes(&value)?;
        bytes.truncate(storage.stored().size as usize);
        Ok(bytes)
    }

    /// Returns the representation of a value in a global.
    fn value_bytes(&self, value: &Const) -> Result<Vec<u8>> {
        Ok(match *value {
            Const::I32(value) => value.to_le_bytes().to_vec(),
            Const::I64(value) => value.to_le_bytes().to_vec(),
            Const::F32(bits) => bits.to_le_bytes().to_vec(),
            Const::F64(bits) => bits.to_le_bytes().to_vec(),
            Const::V128(bits) => bits.to_le_bytes().to_vec(),
            Const::Null | Const::Func(_) | Const::I31(_) | Const::Object(_) => {
                self.word(value)?.to_le_bytes().to_vec()
            }
        })
    }

    /// Returns the representations of a list of references.
    pub fn words(&self, values: &[Const]) -> Result<Vec<u64>> {
        values.iter().map(|value| self.word(value)).collect()
    }
}

//! Phase `image`: the bytes of a slab as they stand when an instance starts.
//!
//! Only pages with bytes in them are held, and of a page that is nearly empty only its bytes, so a
//! component pays for what it writes and not for the reach of its memories. What a small component
//! can ask for is bounded: a data segment of one byte makes each instance write a page, and a table
//! can be filled with a reference, so pages are counted, and too many are an error.

use crate::LaidOut;
use crate::link::Linked;
use anyhow::{Context, Result, bail, ensure};
use mintage_artifact::{PAGE, Piece, stretches};
use mintage_environ::layout::HeadSlot;
use mintage_environ::{FuncEntry, ObjectKind, Reference, StorageType, objects};
use mintage_program::{Const, StaticObject, StaticValues};
use std::collections::BTreeMap;

/// The most bytes of pages in an image: four tables at the limit of their initial size (128 MiB
/// each), or the data of a component that is far larger than any known.
const MAX_IMAGE: u64 = 512 << 20;
/// Bytes of a page.
const PAGE_SIZE: usize = PAGE as usize;
/// The most bytes that the writes to a page are noted in, before it is held as a whole.
const MAX_NOTES: usize = 512;

/// A program with its linked machine code and the bytes of its slab.
pub(crate) struct Imaged<'a> {
    pub linked: Linked<'a>,
    pub image: Image,
}

/// A sparse array of bytes, zero where there is no page.
pub(crate) struct Image {
    /// Pages by number.
    pages: BTreeMap<u64, Page>,
    /// The most bytes of pages.
    limit: u64,
}

enum Page {
    /// The writes to it, one after the other: offset and length in two bytes each, and the bytes.
    Notes(Vec<u8>),
    Whole(Box<[u8; PAGE_SIZE]>),
}

impl Page {
    /// Writes `chunk`, which fits, from byte `within` on.
    fn write(&mut self, within: usize, chunk: &[u8]) {
        if let Page::Notes(notes) = self {
            if notes.len() + 4 + chunk.len() <= MAX_NOTES {
                notes.extend((within as u16).to_le_bytes());
                notes.extend((chunk.len() as u16).to_le_bytes());
                notes.extend(chunk);
                return;
            }
            *self = Page::Whole(self.whole());
        }
        if let Page::Whole(page) = self {
            page[within..within + chunk.len()].copy_from_slice(chunk);
        }
    }

    /// The whole page.
    fn whole(&self) -> Box<[u8; PAGE_SIZE]> {
        match self {
            Page::Whole(page) => page.clone(),
            Page::Notes(notes) => {
                let mut page = Box::new([0; PAGE_SIZE]);
                for (within, chunk) in notes_of(notes) {
                    page[within..within + chunk.len()].copy_from_slice(chunk);
                }
                page
            }
        }
    }

    /// Makes notes ordered, without overlap, and leaves out zeros.
    fn settle(&mut self) {
        if let Page::Notes(_) = self {
            let page = self.whole();
            *self = Page::Notes(Vec::new());
            for (within, chunk) in stretches(0, &page[..]) {
                self.write(within as usize, chunk);
            }
        }
    }

    /// The bytes that are not zero, and where on the page.
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (notes, page) = match self {
            Page::Notes(notes) => (&notes[..], &[][..]),
            Page::Whole(page) => (&[][..], &page[..]),
        };
        let notes = notes_of(notes).map(|(within, chunk)| (within as u64, chunk));
        notes.chain(stretches(0, page))
    }
}

/// The writes in the notes on a page.
fn notes_of(mut notes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let (&[a, b, c, d], rest) = notes.split_first_chunk()?;
        let (chunk, rest) = rest.split_at_checked(u16::from_le_bytes([c, d]).into())?;
        notes = rest;
        Some((u16::from_le_bytes([a, b]).into(), chunk))
    })
}

impl Image {
    /// An image of zeros, with a limit for the bytes of its pages.
    fn new(limit: u64) -> Self {
        Self {
            pages: BTreeMap::new(),
            limit,
        }
    }

    /// Ends the writing.
    fn settled(mut self) -> Self {
        self.pages.values_mut().for_each(Page::settle);
        self
    }

    /// What is not zero, in order, without overlap: slab offsets, and bytes of one page each. The
    /// image is settled.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pages.iter().flat_map(|(number, page)| {
            let pieces = page.pieces();
            pieces.map(move |(within, bytes)| (number * PAGE + within, bytes))
        })
    }

    /// Writes `bytes` at slab offset `start`.
    fn write(&mut self, start: u64, mut bytes: &[u8]) -> Result<()> {
        let mut position = start;
        while !bytes.is_empty() {
            let within = (position % PAGE) as usize;
            let (chunk, rest) = bytes.split_at(bytes.len().min(PAGE_SIZE - within));
            self.write_in_page(position / PAGE, within, chunk)?;
            position += chunk.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn write_in_page(&mut self, number: u64, within: usize, chunk: &[u8]) -> Result<()> {
        let count = self.pages.len() as u64;
        let page = match self.pages.get_mut(&number) {
            Some(page) => page,
            None if chunk.iter().all(|&byte| byte == 0) => return Ok(()),
            None => {
                ensure!(
                    (count + 1) * PAGE <= self.limit,
                    "memories and tables start with more than {} bytes of pages that are not zero, \
                     which is the limit",
                    self.limit
                );
                self.pages.entry(number).or_insert(Page::Notes(Vec::new()))
            }
        };
        page.write(within, chunk);
        Ok(())
    }

    /// Writes `word` `count` times from slab offset `start` on.
    fn fill(&mut self, start: u64, word: u64, count: u64) -> Result<()> {
        self.repeat(start, &word.to_le_bytes(), count)
    }

    /// Writes `item`, whose length is a power of two, `count` times from slab offset `start` on.
    fn repeat(&mut self, start: u64, item: &[u8], count: u64) -> Result<()> {
        if item.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let pattern: Vec<u8> = item.repeat(PAGE_SIZE / item.len());
        let (mut position, end) = (start, start + count * item.len() as u64);
        while position < end {
            let len = (end - position).min(PAGE);
            self.write(position, &pattern[..len as usize])?;
            position += len;
        }
        Ok(())
    }
}

/// Computes the image of a linked program.
pub(crate) fn build(linked: Linked<'_>) -> Result<Imaged<'_>> {
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

fn write_tables(image: &mut Image, linked: &Linked<'_>) -> Result<()> {
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

fn write_globals(image: &mut Image, linked: &Linked<'_>) -> Result<()> {
    let LaidOut { program, layout } = &linked.laid_out;
    for (id, &slot) in layout.globals.iter() {
        let global = program
            .globals
            .get(id)
            .with_context(|| format!("{id:?} has no initial value"))?;
        let start = layout.slot_start(slot);
        match global.init {
            Const::I32(value) => image.write(start, &value.to_le_bytes()),
            Const::F32(bits) => image.write(start, &bits.to_le_bytes()),
            Const::I64(value) => image.write(start, &value.to_le_bytes()),
            Const::F64(bits) => image.write(start, &bits.to_le_bytes()),
            Const::V128(bits) => image.write(start, &bits.to_le_bytes()),
            Const::Null | Const::Func(_) | Const::I31(_) | Const::Object(_) => {
                image.write(start, &linked.word(&global.init)?.to_le_bytes())
            }
        }?;
    }
    Ok(())
}

/// The current lengths of the segments that code can name: all of them, since none is dropped yet.
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

/// The words of each object heap, and the objects that stand there from the start.
fn write_heaps(image: &mut Image, linked: &Linked<'_>) -> Result<()> {
    let LaidOut { program, layout } = &linked.laid_out;
    for shape in &program.shape.heaps {
        let domain = shape.domain;
        let heap = layout.domains[domain].heap.as_ref();
        let heap = heap.with_context(|| format!("the object heap of {domain:?} has no place"))?;
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
            heap.with_context(|| format!("the object heap of {:?} has no place", object.domain))?;
        let start = layout.heap_start(object.domain, heap) + u64::from(object.reference);
        linked.write_object(image, start, object)?;
    }
    Ok(())
}

impl Linked<'_> {
    /// The word that stands for a reference in tables and globals.
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
            other => bail!("{other:?} is no reference"),
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

    /// The bytes that a field or element with a value holds.
    fn stored_bytes(&self, value: Const, storage: StorageType) -> Result<Vec<u8>> {
        let mut bytes = match value {
            Const::I32(value) => value.to_le_bytes().to_vec(),
            Const::I64(value) => value.to_le_bytes().to_vec(),
            Const::F32(bits) => bits.to_le_bytes().to_vec(),
            Const::F64(bits) => bits.to_le_bytes().to_vec(),
            Const::V128(bits) => bits.to_le_bytes().to_vec(),
            Const::Null | Const::Func(_) | Const::I31(_) | Const::Object(_) => {
                self.word(&value)?.to_le_bytes().to_vec()
            }
        };
        bytes.truncate(storage.stored().size as usize);
        Ok(bytes)
    }

    /// The words of a list of references.
    pub fn words(&self, values: &[Const]) -> Result<Vec<u64>> {
        values.iter().map(|value| self.word(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an image that are not zero.
    fn bytes(image: Image) -> BTreeMap<u64, u8> {
        let image = image.settled();
        let mut found = BTreeMap::new();
        let mut last = 0;
        for (offset, bytes) in image.pieces() {
            assert!(last <= offset && offset / PAGE == (offset + bytes.len() as u64 - 1) / PAGE);
            last = offset + bytes.len() as u64;
            found.extend(
                (offset..)
                    .zip(bytes.iter().copied())
                    .filter(|&(_, byte)| byte != 0),
            );
        }
        found
    }

    #[test]
    fn far_apart_bytes_are_held_and_zeros_are_not() {
        let mut image = Image::new(MAX_IMAGE);
        image.write(5, &[1]).unwrap();
        image.write((1 << 40) - 1, &[2, 3]).unwrap();
        image.write(1 << 30, &[0; 100_000]).unwrap();
        image.write(4 * PAGE, &[4]).unwrap();
        image.write(4 * PAGE, &[0]).unwrap();
        assert_eq!(
            bytes(image),
            [(5, 1), ((1 << 40) - 1, 2), (1 << 40, 3)].into()
        );
    }

    #[test]
    fn later_bytes_replace_earlier_ones_in_notes_and_on_whole_pages() {
        // The second one makes whole pages of them, or not.
        for repeated in [600, 20] {
            let mut image = Image::new(MAX_IMAGE);
            let mut expected = BTreeMap::new();
            let mut write = |at: u64, bytes: &[u8]| {
                image.write(at, bytes).unwrap();
                expected.extend((at..).zip(bytes.iter().copied()));
            };
            write(PAGE - 100, &[9; 50]);
            write(PAGE - 16, &[1; 8].repeat(repeated));
            for at in (PAGE - 120..PAGE + 120).step_by(7) {
                write(at, &[0, at as u8, 0, 0]);
            }
            write(PAGE - 1, &[7, 0]);
            expected.retain(|_, byte| *byte != 0);
            assert_eq!(bytes(image), expected);
        }
    }

    /// A byte on a page takes no page of memory.
    #[test]
    fn pages_that_are_nearly_empty_are_notes() {
        let mut image = Image::new(MAX_IMAGE);
        for page in 0..1000 {
            image.write(page * PAGE + page, &[1]).unwrap();
        }
        let len = |page: &Page| match page {
            Page::Notes(notes) => notes.len(),
            Page::Whole(_) => PAGE_SIZE,
        };
        assert_eq!(
            image.settled().pages.values().map(len).sum::<usize>(),
            1000 * 5
        );
    }

    #[test]
    fn too_many_pages_are_an_error() {
        let mut image = Image::new(1 << 20);
        image.fill(0, 1, (1 << 20) / 8).unwrap();
        image.write(17, &[1]).unwrap();
        let error = image.write(1 << 40, &[1]).unwrap_err().to_string();
        assert!(error.contains("limit"), "{error}");
    }
}

//! Reading an artifact in place.

use crate::chunks::{self, ChunkHash};
use crate::elf::{Sections, file_machine, machine};
use crate::format::{FIRST_PAGE, Header, Section, check_hash};
use crate::table::names::Names;
use crate::table::records::Records;
use crate::table::stack_maps::StackMaps;
use crate::table::unwind::Unwind;
use crate::table::{addresses, traps};
use crate::{ImageRun, Metadata};
use anyhow::{Context, Result, ensure};
use mintage_environ::key_table::KeyTable;
use mintage_environ::{
    ArtifactFault, CoreInstanceId, DataId, ElemId, ErrorKind, FuncOrdinal, Trap,
};
use std::ops::Range;

/// The extent of the checks when an artifact is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Verifies the header, the section table, the metadata and the key table. The body, with code
    /// and other tables, is not read, except for the heads of tables if the component has objects.
    /// The time does not depend on the amount of code, apart from 4 bytes of key table for each
    /// function.
    #[default]
    Metadata,
    /// Verifies every byte of the file.
    Full,
}

/// An open artifact: its bytes, its section table, and the decoded [`Metadata`].
///
/// `B` owns or borrows the bytes of the whole file: a slice, a vector, or a mapping of the file.
/// The bytes must not change.
///
/// No method panics or reads out of bounds, whatever the bytes are. Lookups in damaged tables
/// return `None` or a wrong answer.
pub struct Artifact<B> {
    bytes: B,
    sections: Sections,
    metadata: Metadata,
    /// The places of the chunks.
    chunks: Vec<Range<usize>>,
}

impl<B: AsRef<[u8]>> Artifact<B> {
    /// Opens the artifact in `bytes`. [`Metadata::check_host`] then compares it with the host.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not an artifact, is truncated or damaged, was made by
    /// another version, or breaks a rule of the format.
    pub fn parse(bytes: B, check: Check) -> Result<Artifact<B>> {
        let parsed = Self::parse_sections(bytes, check);
        parsed.map_err(|error| ErrorKind::Artifact(ArtifactFault::Damaged).or_of(error))
    }

    fn parse_sections(bytes: B, check: Check) -> Result<Artifact<B>> {
        let file = bytes.as_ref();
        let header = Header::open(file)?;
        let sections = Sections::read(file, &header)?;
        let (body, tail) = file
            .split_at_checked(header.tail_start as usize)
            .context("the artifact is truncated")?;
        check_hash("metadata", tail, header.tail_hash)?;
        let part = |section| file.get(sections.range(section)).unwrap_or_default();
        let keys = KeyTable::new(part(Section::Keys)).with_context(|| wrong(Section::Keys))?;
        let (text, expected) = (part(Section::Text).len(), keys.text_size());
        ensure!(
            expected as usize == text,
            "{}: it is for {expected} bytes of machine code, but there are {text}",
            wrong(Section::Keys)
        );
        let metadata: Metadata = postcard::from_bytes(part(Section::Metadata))
            .context("the artifact's metadata cannot be decoded")?;
        ensure!(
            file_machine(file) == Some(machine(&metadata.target.triple)?),
            "the artifact's ELF header names another machine than {}",
            metadata.target.triple
        );
        let range = |section| {
            let range = sections.range(section);
            range.start as u64..range.end as u64
        };
        if check == Check::Full {
            check_hash(
                "body",
                body.get(FIRST_PAGE..).unwrap_or_default(),
                header.body_hash,
            )?;
        }
        // Not reading the body saves a page fault for each table. The collector, however, depends
        // on valid tables.
        if check == Check::Full || !metadata.objects.is_empty() {
            check_tables(&keys, part)?;
        }
        metadata.check_ranges(&range(Section::Image), &range(Section::Segments))?;
        let tables = sections.range(Section::Traps).start..sections.range(Section::Addresses).end;
        let chunks = chunks::places(&metadata.image, sections.range(Section::Text), tables);
        ensure!(
            metadata.chunks.len() == chunks.len(),
            "the artifact has {} hashes for {} chunks",
            metadata.chunks.len(),
            chunks.len()
        );
        Ok(Artifact {
            bytes,
            sections,
            metadata,
            chunks,
        })
    }

    /// Returns the owner of the bytes.
    pub fn owner(&self) -> &B {
        &self.bytes
    }

    /// Returns the bytes of the whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Returns the decoded metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the place of the machine code in the file, which is never empty. Its start is a
    /// multiple of [`Metadata::page`], and its pages contain nothing else.
    pub fn text_range(&self) -> Range<usize> {
        self.section_range(Section::Text)
    }

    /// Returns the machine code.
    pub fn text(&self) -> &[u8] {
        self.section(Section::Text)
    }

    /// Returns the parts of the file that components can share, in order: the place of each, which
    /// starts at a multiple of [`Metadata::page`], and its hash. The last page of each has nothing
    /// else that is used.
    ///
    /// They are pieces of the pages of the image, of the machine code, and of the tables that tell
    /// of its traps and addresses. Small artifacts have none.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = (&Range<usize>, &ChunkHash)> {
        self.chunks.iter().zip(&self.metadata.chunks)
    }

    /// Returns the table of all functions.
    pub fn key_table(&self) -> Option<KeyTable<'_>> {
        KeyTable::new(self.section(Section::Keys)).ok()
    }

    /// Returns the trap that the instruction at `code_offset` in the text raises if it faults.
    ///
    /// A signal handler can call this function: it does not allocate, panic or lock.
    pub fn trap_at(&self, code_offset: u32) -> Option<Trap> {
        let (ordinal, _, start) = self.key_table()?.find(code_offset)?;
        let record = Records::new(self.section(Section::Traps))?.get(ordinal)?;
        traps::find(record, code_offset.checked_sub(start)?)
    }

    /// Returns the byte offset in the component of the wasm instruction from which the machine
    /// instruction at `code_offset` was generated. For a return address, pass the address minus
    /// one.
    ///
    /// `None` for code before the function's first wasm instruction, for trampolines, and in
    /// artifacts without `Tunables::address_map`.
    pub fn address_at(&self, code_offset: u32) -> Option<u32> {
        let (ordinal, _, start) = self.key_table()?.find(code_offset)?;
        let record = Records::new(self.section(Section::Addresses))?.get(ordinal)?;
        addresses::find(record, code_offset.checked_sub(start)?)
    }

    /// Returns the instructions of a function that can fault: code offset in the function, and
    /// trap.
    pub fn traps(&self, ordinal: FuncOrdinal) -> impl Iterator<Item = (u32, Option<Trap>)> + '_ {
        let records = Records::new(self.section(Section::Traps));
        traps::entries(
            records
                .and_then(|records| records.get(ordinal))
                .unwrap_or_default(),
        )
    }

    /// Returns the address map of a function: code offset in the function, and byte offset in the
    /// component. An entry applies to the code up to the next one.
    pub fn addresses(&self, ordinal: FuncOrdinal) -> impl Iterator<Item = (u32, u32)> + '_ {
        let records = Records::new(self.section(Section::Addresses));
        addresses::entries(
            records
                .and_then(|records| records.get(ordinal))
                .unwrap_or_default(),
        )
    }

    /// Returns the table of exception handlers.
    pub fn unwind(&self) -> Option<Unwind<'_>> {
        Unwind::new(self.section(Section::Unwind))
    }

    /// Returns the table of stack maps.
    pub fn stack_maps(&self) -> Option<StackMaps<'_>> {
        StackMaps::new(self.section(Section::StackMaps))
    }

    /// Returns the name of a function in its module's name section.
    pub fn function_name(&self, ordinal: FuncOrdinal) -> Option<&str> {
        Names::new(self.section(Section::Names))?.function(ordinal)
    }

    /// Returns the name of a core instance's module in the module's name section.
    pub fn module_name(&self, instance: CoreInstanceId) -> Option<&str> {
        Names::new(self.section(Section::Names))?.module(instance)
    }

    /// Returns the bytes of a run-time data segment.
    pub fn data_segment(&self, id: DataId) -> Option<&[u8]> {
        self.file_range(self.metadata.data.get(id)?)
    }

    /// Returns the entries of a run-time element segment, as little-endian 8-byte words.
    pub fn elem_segment(&self, id: ElemId) -> Option<&[u8]> {
        self.file_range(self.metadata.elems.get(id)?)
    }

    /// Returns the bytes of a part of the image.
    pub fn image_bytes(&self, run: &ImageRun) -> Option<&[u8]> {
        self.file_range(&(run.file_offset..run.file_offset.checked_add(run.len)?))
    }

    /// Returns the name and the size in bytes of each section, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        let present = Section::ALL
            .iter()
            .filter(|&&section| self.sections.range(section).start != 0);
        present.map(|&section| (section.name(), self.sections.range(section).len()))
    }

    /// Returns the place of a section in the file.
    pub(crate) fn section_range(&self, section: Section) -> Range<usize> {
        self.sections.range(section)
    }

    fn section(&self, section: Section) -> &[u8] {
        self.bytes()
            .get(self.section_range(section))
            .unwrap_or_default()
    }

    pub(crate) fn file_range(&self, range: &Range<u64>) -> Option<&[u8]> {
        self.bytes()
            .get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }
}

fn wrong(section: Section) -> String {
    format!("section {} is wrong", section.name())
}

/// Checks that the heads of the body's tables fit their sections and the key table. The time does
/// not depend on the number of functions.
fn check_tables<'a>(keys: &KeyTable<'_>, part: impl Fn(Section) -> &'a [u8]) -> Result<()> {
    for section in [Section::Traps, Section::Addresses] {
        let records = Records::new(part(section));
        let records = records
            .with_context(|| format!("{}: it does not end with its last record", wrong(section)))?;
        ensure!(
            records.len() == keys.len() as usize,
            "{}: it has records of {} functions, but there are {}",
            wrong(section),
            records.len(),
            keys.len()
        );
    }
    let unwind = Unwind::new(part(Section::Unwind));
    unwind.with_context(|| {
        format!(
            "{}: it does not end with its last handler",
            wrong(Section::Unwind)
        )
    })?;
    let stack_maps = StackMaps::new(part(Section::StackMaps));
    stack_maps.with_context(|| {
        format!(
            "{}: it does not end with its last slot",
            wrong(Section::StackMaps)
        )
    })?;
    let names = Names::new(part(Section::Names));
    names.with_context(|| {
        format!(
            "{}: it does not end with its last name",
            wrong(Section::Names)
        )
    })?;
    Ok(())
}

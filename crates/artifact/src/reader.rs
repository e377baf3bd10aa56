//! Reading an artifact in place.

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
use mintage_environ::{ArtifactFault, CoreInstanceId, DataId, ElemId, ErrorKind, Trap};
use std::ops::Range;

/// How much of an artifact is compared with its hashes when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// The header, the section table, the metadata and the key table; of the body, with code and
    /// tables, at most the tables' heads. The cost does not depend on the amount of code, apart
    /// from 4 bytes per function.
    #[default]
    Metadata,
    /// Every byte of the file.
    Full,
}

/// An open artifact: its bytes, where everything stands in them, and the decoded [`Metadata`].
///
/// `B` owns or borrows the bytes of the whole file: a slice, a vector, or a mapping of the file.
/// The bytes must not change.
///
/// No method panics or reads out of bounds, whatever the bytes are; lookups in damaged tables give
/// `None` or a wrong answer.
pub struct Artifact<B> {
    bytes: B,
    sections: Sections,
    metadata: Metadata,
}

impl<B: AsRef<[u8]>> Artifact<B> {
    /// Opens the artifact that `bytes` hold.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a file that is no artifact, is cut off or damaged, was made by
    /// another version, or breaks a rule of the format. Whether it fits this host is asked with
    /// [`Metadata::check_target`] and [`Metadata::check_tunables`].
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
            .context("the artifact is cut off")?;
        check_hash("metadata", tail, header.tail_hash)?;
        let part = |section| file.get(sections.range(section)).unwrap_or_default();
        let keys = KeyTable::new(part(Section::Keys)).with_context(|| wrong(Section::Keys))?;
        let (text, expected) = (part(Section::Text).len(), keys.text_size());
        ensure!(
            expected as usize == text,
            "{}: it is made for {expected} bytes of machine code, and there are {text}",
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
        // Not even looking at the body saves a page fault for each table. But objects would be lost
        // without theirs.
        if check == Check::Full || !metadata.objects.is_empty() {
            check_tables(&keys, part)?;
        }
        metadata.check_ranges(&range(Section::Image), &range(Section::Segments))?;
        Ok(Artifact {
            bytes,
            sections,
            metadata,
        })
    }

    /// The owner of the bytes.
    pub fn owner(&self) -> &B {
        &self.bytes
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The decoded metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the machine code stands in the file. The start is a multiple of [`PAGE`](crate::PAGE),
    /// and nothing else is on the pages of the text; it is never empty.
    pub fn text_range(&self) -> Range<usize> {
        self.section_range(Section::Text)
    }

    /// The machine code.
    pub fn text(&self) -> &[u8] {
        self.section(Section::Text)
    }

    /// The table of all functions.
    pub fn key_table(&self) -> Option<KeyTable<'_>> {
        KeyTable::new(self.section(Section::Keys)).ok()
    }

    /// The trap that the instruction at `code_offset` (from the start of the text) raises when it
    /// faults.
    ///
    /// Neither allocates nor panics nor locks, so that a signal handler can call it.
    pub fn trap_at(&self, code_offset: u32) -> Option<Trap> {
        let (ordinal, _, start) = self.key_table()?.find(code_offset)?;
        let record = Records::new(self.section(Section::Traps))?.get(ordinal as usize)?;
        traps::find(record, code_offset.checked_sub(start)?)
    }

    /// The byte offset in the component of the wasm instruction that the machine instruction which
    /// contains `code_offset` belongs to. For a return address, pass the address less one. `None`
    /// for code in front of the function's first wasm instruction, trampolines, and artifacts made
    /// without `Tunables::address_map`.
    pub fn address_at(&self, code_offset: u32) -> Option<u32> {
        let (ordinal, _, start) = self.key_table()?.find(code_offset)?;
        let record = Records::new(self.section(Section::Addresses))?.get(ordinal as usize)?;
        addresses::find(record, code_offset.checked_sub(start)?)
    }

    /// The faulting instructions of the function with this ordinal in the key table: offset from
    /// its start and trap.
    pub fn traps(&self, ordinal: u32) -> impl Iterator<Item = (u32, Option<Trap>)> + '_ {
        let records = Records::new(self.section(Section::Traps));
        traps::entries(
            records
                .and_then(|records| records.get(ordinal as usize))
                .unwrap_or_default(),
        )
    }

    /// The address map of the function with this ordinal in the key table: offset from its start
    /// and byte offset in the component. An entry holds up to the next one.
    pub fn addresses(&self, ordinal: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let records = Records::new(self.section(Section::Addresses));
        addresses::entries(
            records
                .and_then(|records| records.get(ordinal as usize))
                .unwrap_or_default(),
        )
    }

    /// Where exceptions are caught.
    pub fn unwind(&self) -> Option<Unwind<'_>> {
        Unwind::new(self.section(Section::Unwind))
    }

    /// Where references to objects stand in frames.
    pub fn stack_maps(&self) -> Option<StackMaps<'_>> {
        StackMaps::new(self.section(Section::StackMaps))
    }

    /// The name of the function with this ordinal in the key table, as its module's name section
    /// gives it.
    pub fn function_name(&self, ordinal: u32) -> Option<&str> {
        Names::new(self.section(Section::Names))?.function(ordinal as usize)
    }

    /// The name of a core instance's module, as its name section gives it.
    pub fn module_name(&self, instance: CoreInstanceId) -> Option<&str> {
        Names::new(self.section(Section::Names))?.module(instance)
    }

    /// The bytes of a run-time data segment.
    pub fn data_segment(&self, id: DataId) -> Option<&[u8]> {
        self.file_range(self.metadata.data.get(id)?)
    }

    /// The entries of a run-time element segment, as the bytes of 8-byte little-endian `FuncEntry`
    /// words.
    pub fn elem_segment(&self, id: ElemId) -> Option<&[u8]> {
        self.file_range(self.metadata.elems.get(id)?)
    }

    /// The bytes of a part of the slab.
    pub fn image_bytes(&self, run: &ImageRun) -> Option<&[u8]> {
        self.file_range(&(run.file_offset..run.file_offset.checked_add(run.len)?))
    }

    /// Name and size in bytes of each section, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        let present = Section::ALL
            .iter()
            .filter(|&&section| self.sections.range(section).start != 0);
        present.map(|&section| (section.name(), self.sections.range(section).len()))
    }

    /// The place of a section in the file.
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

/// Checks that the heads of the body's tables fit their sections and the key table. The cost does
/// not depend on the number of functions.
fn check_tables<'a>(keys: &KeyTable<'_>, part: impl Fn(Section) -> &'a [u8]) -> Result<()> {
    for section in [Section::Traps, Section::Addresses] {
        let records = Records::new(part(section));
        let records = records
            .with_context(|| format!("{}: it does not end with its last record", wrong(section)))?;
        ensure!(
            records.len() == keys.len() as usize,
            "{}: it has records of {} functions, and there are {}",
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

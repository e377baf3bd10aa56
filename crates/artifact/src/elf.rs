//! A strict reader of the section table in an artifact's first page.
//!
//! It accepts only what `writer` writes: the sections of [`Section`], in file order, without
//! overlap, relocations or addresses.

use crate::PAGE;
use crate::format::{FIRST_PAGE, Header, Part, Section, page_of};
use anyhow::{Context, Result, bail, ensure};
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, EM_AARCH64, EM_X86_64, ET_REL, Machine, SHT_CREL, SHT_NULL, SHT_REL,
    SHT_RELA, SHT_RELR, SectionType,
};
use std::ops::Range;

/// The size of the ELF header in bytes.
const FILE_HEADER_SIZE: usize = 64;
/// The size of an entry of the section table in bytes.
const SECTION_HEADER_SIZE: usize = 64;

/// The place of each section in the file. Absent sections have empty ranges.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    ranges: [Range<usize>; Section::COUNT],
}

impl Sections {
    /// Returns the place of `section` in the file.
    pub fn range(&self, section: Section) -> Range<usize> {
        self.ranges[section as usize].clone()
    }

    /// Reads the section table of `file`, given its `header`.
    ///
    /// # Errors
    ///
    /// Returns an error if the table breaks a rule of the format. Each rule has its own message.
    pub fn read(file: &[u8], header: &Header) -> Result<Sections> {
        let page = file
            .get(..FIRST_PAGE)
            .context("the artifact is truncated: it is shorter than a page")?;
        let table = SectionTable::open(page)?;
        let mapped = file_machine(file).map_or(PAGE, page_of);
        let mut sections = Sections::default();
        let mut last: Option<(Section, usize)> = None;
        for raw in table.entries() {
            let (section, range) = read_entry(&raw?, &table, header, mapped)?;
            if let Some((before, end)) = last {
                ensure!(
                    section > before,
                    "section {} comes after {}, or occurs twice",
                    section.name(),
                    before.name()
                );
                ensure!(
                    range.start >= end,
                    "section {} overlaps {}",
                    section.name(),
                    before.name()
                );
            }
            last = Some((section, range.end));
            sections.ranges[section as usize] = range;
        }
        for &section in Section::ALL.iter().filter(|section| section.is_required()) {
            let range = sections.range(section);
            // Even an empty section has a place after the ELF header.
            ensure!(range.start != 0, "section {} is missing", section.name());
        }
        ensure!(
            sections.range(Section::Strings) == table.names,
            "the ELF header gives another section for the section names"
        );
        let place = Header::OFFSET..FIRST_PAGE;
        ensure!(
            sections.range(Section::Header) == place,
            "section {} is not at its fixed place",
            Section::Header.name()
        );
        ensure!(
            !sections.range(Section::Text).is_empty(),
            "section {} is empty",
            Section::Text.name()
        );
        Ok(sections)
    }
}

/// Returns the ELF machine number of a target triple's architecture.
///
/// # Errors
///
/// Returns an error if artifacts do not support the architecture.
pub fn machine(triple: &str) -> Result<Machine> {
    match triple.split('-').next() {
        Some("x86_64") => Ok(EM_X86_64),
        Some("aarch64") => Ok(EM_AARCH64),
        _ => bail!("target {triple} is not supported: the architecture must be x86_64 or aarch64"),
    }
}

/// Returns the machine number in the ELF header of `file`.
pub fn file_machine(file: &[u8]) -> Option<Machine> {
    u16_at(file, 18).map(Machine)
}

/// The section table in an ELF file's first page.
struct SectionTable<'a> {
    page: &'a [u8],
    entries: &'a [u8],
    names: Range<usize>,
}

/// An entry of the section table, without the fields for symbols.
struct RawSection {
    name: u32,
    ty: SectionType,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    align: u64,
}

impl<'a> SectionTable<'a> {
    fn open(page: &'a [u8]) -> Result<Self> {
        let field = "the ELF header is truncated";
        let ident = page.get(..16).context(field)?;
        ensure!(
            ident[4] == ELFCLASS64.0 && ident[5] == ELFDATA2LSB.0 && ident[6] == 1,
            "the ELF header is not that of a 64-bit little-endian file"
        );
        ensure!(
            u16_at(page, 16) == Some(ET_REL.0),
            "the ELF header is not that of an object file"
        );
        ensure!(
            u16_at(page, 52) == Some(FILE_HEADER_SIZE as u16)
                && u16_at(page, 58) == Some(SECTION_HEADER_SIZE as u16),
            "the ELF header declares structures of unusual size"
        );
        ensure!(
            u16_at(page, 56) == Some(0) && u64_at(page, 32) == Some(0),
            "the ELF header declares program headers"
        );
        let start = u64_at(page, 40).context(field)?;
        let count = usize::from(u16_at(page, 60).context(field)?);
        let names = usize::from(u16_at(page, 62).context(field)?);
        ensure!(
            start.is_multiple_of(8) && start >= FILE_HEADER_SIZE as u64,
            "the section table is misaligned"
        );
        let size = count * SECTION_HEADER_SIZE;
        let entries = usize::try_from(start)
            .ok()
            .and_then(|start| page.get(start..)?.get(..size));
        let entries = entries.context("the section table is not within the first page")?;
        let mut table = SectionTable {
            page,
            entries,
            names: 0..0,
        };
        let names = table
            .entry(names)
            .context("the ELF header gives a section that does not exist for the section names")?;
        table.names = file_range(&names)
            .filter(|range| range.end <= FIRST_PAGE)
            .context("the section names are not within the first page")?;
        Ok(table)
    }

    /// Returns all entries but the first, which is always empty.
    fn entries(&self) -> impl Iterator<Item = Result<RawSection>> {
        let count = self.entries.len() / SECTION_HEADER_SIZE;
        (1..count).map(|index| self.entry(index).context("the section table is truncated"))
    }

    fn entry(&self, index: usize) -> Option<RawSection> {
        let entry = self.entries.chunks_exact(SECTION_HEADER_SIZE).nth(index)?;
        Some(RawSection {
            name: u32_at(entry, 0)?,
            ty: SectionType(u32_at(entry, 4)?),
            flags: u64_at(entry, 8)?,
            address: u64_at(entry, 16)?,
            offset: u64_at(entry, 24)?,
            size: u64_at(entry, 32)?,
            align: u64_at(entry, 48)?,
        })
    }

    fn name(&self, section: &RawSection) -> Result<&'a [u8]> {
        let names = self.page.get(self.names.clone()).unwrap_or_default();
        let rest = names
            .get(section.name as usize..)
            .context("a section has no name")?;
        let end = rest
            .iter()
            .position(|&byte| byte == 0)
            .context("a section's name does not end")?;
        Ok(&rest[..end])
    }
}

/// Reads one entry and checks it on its own. `page` is the alignment of sections that are mapped.
fn read_entry(
    raw: &RawSection,
    table: &SectionTable<'_>,
    header: &Header,
    page: u64,
) -> Result<(Section, Range<usize>)> {
    let name = table.name(raw)?;
    let shown = String::from_utf8_lossy(name);
    ensure!(
        ![SHT_REL, SHT_RELA, SHT_RELR, SHT_CREL].contains(&raw.ty),
        "section {shown} has relocations, which artifacts must not have"
    );
    let section =
        Section::from_name(name).with_context(|| format!("section {shown} is unknown"))?;
    ensure!(
        raw.ty == section.ty() && raw.ty != SHT_NULL,
        "section {shown} has ELF type {} instead of {}",
        raw.ty.0,
        section.ty().0
    );
    ensure!(
        raw.flags == section.flags(),
        "section {shown} has flags {:#x} instead of {:#x}",
        raw.flags,
        section.flags()
    );
    ensure!(
        raw.address == 0,
        "section {shown} requests address {:#x}",
        raw.address
    );
    let range = file_range(raw).filter(|range| range.end as u64 <= header.file_size);
    let range =
        range.with_context(|| format!("section {shown} extends past the end of the file"))?;
    ensure!(
        raw.align == section.align(page) && raw.offset.is_multiple_of(section.align(page)),
        "section {shown} is misaligned: it is at {:#x}, not at a multiple of {:#x}",
        raw.offset,
        section.align(page)
    );
    let tail = header.tail_start as usize;
    let part = match section.part() {
        Part::FirstPage => FILE_HEADER_SIZE..FIRST_PAGE,
        Part::Body => FIRST_PAGE..tail,
        Part::Tail => tail..header.file_size as usize,
    };
    ensure!(
        part.start <= range.start && range.end <= part.end,
        "section {shown} is in the wrong part of the file"
    );
    Ok((section, range))
}

fn file_range(raw: &RawSection) -> Option<Range<usize>> {
    let start = usize::try_from(raw.offset).ok()?;
    Some(start..start.checked_add(usize::try_from(raw.size).ok()?)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|&field| u16::from_le_bytes(field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|&field| u32::from_le_bytes(field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|&field| u64::from_le_bytes(field))
}

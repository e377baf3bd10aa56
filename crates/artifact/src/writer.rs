//! Writing an artifact.

use crate::chunks::{self, ChunkHash, hash_chunk};
use crate::elf;
use crate::format::{FIRST_PAGE, Header, Section, page_of};
use crate::image::{Piece, Plan};
use crate::table::names;
use crate::table::records::RecordsBuilder;
use crate::{Artifact, ImageRun, Metadata};
use anyhow::{Context, Result, ensure};
use mintage_environ::key_table::KeyTableBuilder;
use mintage_environ::{DataId, ElemId, FuncKey, IndexVec};
use object::Endianness;
use object::elf::{
    ELFOSABI_NONE, ET_REL, FileFlags, Machine, STB_LOCAL, STT_FUNC, SectionFlags, SymbolInfo,
    SymbolOther, SymbolSection,
};
use object::write::elf::{Encoder, FileHeader, FileHeaderLayout, SectionHeader, Sym};
use std::collections::HashMap;
use std::ops::Range;

/// A linked function.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// The function's key.
    pub key: FuncKey,
    /// Offset of the first byte in the text.
    pub offset: u32,
    /// The size of the code in bytes, without padding.
    pub size: u32,
    /// The instructions that can fault, from [`encode_traps`](crate::encode_traps).
    pub traps: &'a [u8],
    /// The address map, from [`encode_addresses`](crate::encode_addresses).
    pub addresses: &'a [u8],
    /// The function's name in the module's name section.
    pub name: Option<&'a str>,
}

/// The contents of an artifact.
pub struct Contents<'a> {
    /// The metadata. [`write()`] replaces its file ranges (`image`, `patches`, `data`, `elems`)
    /// and `chunks`.
    pub metadata: Metadata,
    /// The linked machine code.
    pub text: &'a [u8],
    /// The functions of the text, in the order of keys and offsets.
    pub functions: &'a [Function<'a>],
    /// The name of each core instance's module.
    pub modules: &'a [Option<&'a str>],
    /// The image: the bytes of the slab that are not zero, in order and without overlap. No piece
    /// crosses a page boundary.
    pub image: &'a [Piece<'a>],
    /// The table of exception handlers, from [`encode_unwind`](crate::encode_unwind).
    pub unwind: &'a [u8],
    /// The table of stack maps, from [`encode_stack_maps`](crate::encode_stack_maps).
    pub stack_maps: &'a [u8],
    /// The run-time data segments.
    pub data: &'a IndexVec<DataId, &'a [u8]>,
    /// The run-time element segments, as 8-byte words.
    pub elems: &'a IndexVec<ElemId, Vec<u64>>,
    /// Whether to write ELF symbols, for other tools.
    pub symbols: bool,
}

/// Writes an artifact.
///
/// # Errors
///
/// Returns an error if the target's architecture is unknown, the text is empty, or a table exceeds
/// 4 GiB.
///
/// # Panics
///
/// Panics if functions are not in order.
pub fn write(contents: Contents<'_>) -> Result<Vec<u8>> {
    ensure!(
        !contents.text.is_empty(),
        "there is no machine code to write"
    );
    let mut metadata = contents.metadata;
    let machine = elf::machine(&metadata.target.triple)?;
    let page = page_of(machine);
    let plan = Plan::new(&metadata.layout, contents.image, page);
    let mut file = File::new(plan.pages_len() as usize + contents.text.len(), page);

    metadata.image = file.image(&plan);
    file.table(Section::Text, contents.text);
    file.table(
        Section::Traps,
        &records(contents.functions, |function| function.traps)?,
    );
    file.table(
        Section::Addresses,
        &records(contents.functions, |function| function.addresses)?,
    );
    file.section(Section::Segments);
    // Element segments come first: their words are aligned.
    metadata.elems = contents
        .elems
        .values()
        .map(|words| file.append(words.iter().flat_map(|word| word.to_le_bytes())))
        .collect();
    // All instances of a module share its segments.
    let mut written = HashMap::new();
    metadata.data = contents
        .data
        .values()
        .map(|bytes| {
            let place = written.entry((bytes.as_ptr(), bytes.len()));
            place
                .or_insert_with(|| file.append(bytes.iter().copied()))
                .clone()
        })
        .collect();
    metadata.patches = file.patches(&plan);

    file.table(Section::Unwind, contents.unwind);
    file.table(Section::StackMaps, contents.stack_maps);
    let function_names: Vec<_> = contents
        .functions
        .iter()
        .map(|function| function.name)
        .collect();
    file.table(
        Section::Names,
        &names::encode(&function_names, contents.modules)?,
    );
    if contents.symbols {
        let (symbols, names) = symbols(machine, contents.functions)?;
        file.table(Section::Symbols, &symbols);
        file.table(Section::SymbolNames, &names);
    }

    let text_size = u32::try_from(contents.text.len()).context("the machine code exceeds 4 GiB")?;
    let keys = contents
        .functions
        .iter()
        .map(|function| (function.key, function.offset));
    file.table(Section::Keys, &KeyTableBuilder::encode(keys, text_size));
    metadata.chunks = file.chunk_hashes(&metadata.image)?;
    file.table(Section::Metadata, &encode(&metadata)?);
    file.finish(machine)
}

/// Writes a copy of `artifact` with another image and other metadata, whose file ranges it
/// replaces.
///
/// # Errors
///
/// Returns an error if the target's architecture is unknown.
pub fn rewrite<B: AsRef<[u8]>>(
    artifact: &Artifact<B>,
    mut metadata: Metadata,
    image: &[Piece<'_>],
) -> Result<Vec<u8>> {
    let machine = elf::machine(&metadata.target.triple)?;
    let page = page_of(machine);
    let plan = Plan::new(&metadata.layout, image, page);
    let mut file = File::new(plan.pages_len() as usize + artifact.text().len(), page);
    metadata.image = file.image(&plan);
    for &section in Section::ALL {
        let range = artifact.section_range(section);
        match section {
            Section::Segments => {
                file.section(section);
                for range in metadata
                    .elems
                    .values_mut()
                    .chain(metadata.data.values_mut())
                {
                    let bytes = artifact
                        .file_range(range)
                        .context("a segment leaves the artifact")?;
                    *range = file.append(bytes.iter().copied());
                }
                metadata.patches = file.patches(&plan);
            }
            _ if section > Section::Image && section < Section::Metadata && range.start != 0 => {
                file.table(section, &artifact.bytes()[range]);
            }
            _ => {}
        }
    }
    metadata.chunks = file.chunk_hashes(&metadata.image)?;
    file.table(Section::Metadata, &encode(&metadata)?);
    file.finish(machine)
}

fn encode(metadata: &Metadata) -> Result<Vec<u8>> {
    postcard::to_stdvec(metadata).context("the metadata cannot be encoded")
}

/// A file under construction: space for the first page, then the sections in order.
struct File {
    bytes: Vec<u8>,
    /// The alignment of sections that are mapped.
    page: u64,
    /// Each section and its place, in file order. The last one is open.
    sections: Vec<(Section, Range<usize>)>,
}

impl File {
    /// Starts a file with about `size` bytes of large sections, which is laid out for pages of
    /// `page` bytes.
    fn new(size: usize, page: u64) -> Self {
        let mut bytes = Vec::with_capacity(size + size / 4 + FIRST_PAGE);
        bytes.resize(FIRST_PAGE, 0);
        Self {
            bytes,
            page,
            sections: vec![(Section::Header, Header::OFFSET..FIRST_PAGE)],
        }
    }

    /// Ends the open section and opens the next one.
    fn section(&mut self, section: Section) {
        self.end_section();
        let start = self
            .bytes
            .len()
            .next_multiple_of(section.align(self.page) as usize);
        self.bytes.resize(start, 0);
        self.sections.push((section, start..start));
    }

    fn end_section(&mut self) {
        if let Some((_, range)) = self.sections.last_mut() {
            range.end = self.bytes.len();
        }
    }

    /// Writes a whole section.
    fn table(&mut self, section: Section, table: &[u8]) {
        self.section(section);
        self.bytes.extend_from_slice(table);
    }

    /// Writes the mapped pages of the image and returns their places.
    fn image(&mut self, plan: &Plan<'_>) -> Vec<ImageRun> {
        self.section(Section::Image);
        let start = self.bytes.len();
        self.bytes.resize(start + plan.pages_len() as usize, 0);
        for (at, bytes) in plan.pages() {
            self.bytes[start + at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        let place = |run: &ImageRun| ImageRun {
            file_offset: start as u64 + run.file_offset,
            ..*run
        };
        plan.runs.iter().map(place).collect()
    }

    /// Appends the copied bytes of the image to the open section and returns their places.
    fn patches(&mut self, plan: &Plan<'_>) -> Vec<ImageRun> {
        let mut append = |&(slab_offset, bytes): &Piece<'_>| ImageRun {
            slab_offset,
            file_offset: self.append(bytes.iter().copied()).start,
            len: bytes.len() as u64,
        };
        plan.patches.iter().map(&mut append).collect()
    }

    /// Appends `bytes` to the open section and returns their place in the file.
    fn append(&mut self, bytes: impl Iterator<Item = u8>) -> Range<u64> {
        let start = self.bytes.len();
        self.bytes.extend(bytes);
        start as u64..self.bytes.len() as u64
    }

    /// Returns the hash of each chunk. All sections that have some are written, and closed.
    fn chunk_hashes(&self, image: &[ImageRun]) -> Result<Vec<ChunkHash>> {
        let tables = self.range_of(Section::Traps)?.start..self.range_of(Section::Addresses)?.end;
        let places = chunks::places(image, self.range_of(Section::Text)?, tables);
        let hashes = places
            .into_iter()
            .map(|place| hash_chunk(&self.bytes[place]));
        Ok(hashes.collect())
    }

    /// Writes the first page and returns the file.
    fn finish(mut self, machine: Machine) -> Result<Vec<u8>> {
        self.end_section();
        let encoder = Encoder::new(Endianness::Little, true, machine);
        let count = self.sections.len() + 2;
        let names_start =
            encoder.file_header_size() as usize + count * encoder.section_header_size() as usize;
        let all: Vec<Section> = std::iter::once(Section::Strings)
            .chain(self.sections.iter().map(|&(section, _)| section))
            .collect();
        let names: Vec<u8> = std::iter::once(0)
            .chain(
                all.iter()
                    .flat_map(|section| section.name().bytes().chain(std::iter::once(0))),
            )
            .collect();
        self.sections.insert(
            0,
            (Section::Strings, names_start..names_start + names.len()),
        );

        let mut page = Vec::with_capacity(FIRST_PAGE);
        let header = FileHeader {
            os_abi: ELFOSABI_NONE,
            abi_version: 0,
            e_type: ET_REL,
            e_machine: machine,
            e_entry: 0,
            e_flags: FileFlags(0),
        };
        let layout = FileHeaderLayout {
            e_phoff: 0,
            segment_num: 0,
            e_shoff: encoder.file_header_size(),
            section_num: count as u32,
            shstrtab_index: 1,
        };
        encoder.file_header(&mut page, &header, &layout)?;
        encoder.null_section_header(&mut page, &layout);
        let mut name = 1;
        for (section, range) in &self.sections {
            encoder.section_header(&mut page, &self.section_header(*section, range, name));
            name += section.name().len() as u32 + 1;
        }
        page.extend(names);
        ensure!(
            page.len() <= Header::OFFSET,
            "the section table does not fit the first page"
        );
        self.bytes[..page.len()].copy_from_slice(&page);
        let tail = self.range_of(Section::Keys)?.start;
        Header::seal(&mut self.bytes, tail);
        Ok(self.bytes)
    }

    /// Returns the place of a section in the file.
    fn range_of(&self, section: Section) -> Result<Range<usize>> {
        let mut sections = self.sections.iter();
        let found = sections.find(|(other, _)| *other == section);
        let (_, range) =
            found.with_context(|| format!("there is no section {}", section.name()))?;
        Ok(range.clone())
    }

    fn section_header(&self, section: Section, range: &Range<usize>, name: u32) -> SectionHeader {
        let common = SectionHeader {
            sh_name: name,
            sh_type: section.ty(),
            sh_flags: SectionFlags(section.flags()),
            sh_offset: range.start as u64,
            sh_size: range.len() as u64,
            sh_addralign: section.align(self.page),
            ..SectionHeader::default()
        };
        match section {
            Section::Symbols => SectionHeader {
                sh_link: self.index(Section::SymbolNames),
                // The number of local symbols. All are local.
                sh_info: (range.len() as u64 / SYMBOL_SIZE) as u32,
                sh_entsize: SYMBOL_SIZE,
                ..common
            },
            _ => common,
        }
    }

    /// Returns the index of a section in the section table.
    fn index(&self, section: Section) -> u32 {
        self.sections
            .iter()
            .take_while(|&&(other, _)| other != section)
            .count() as u32
            + 1
    }
}

/// The size in bytes of a 64-bit ELF symbol.
const SYMBOL_SIZE: u64 = 24;
/// The index of `.text` in the section table, which starts with a null entry.
const TEXT_INDEX: u32 = Section::Text as u32 + 1;

/// Returns the symbol table and its string table.
fn symbols(machine: Machine, functions: &[Function<'_>]) -> Result<(Vec<u8>, Vec<u8>)> {
    let encoder = Encoder::new(Endianness::Little, true, machine);
    let (mut symbols, mut names) = (Vec::new(), vec![0]);
    encoder.null_symbol(&mut symbols);
    for function in functions {
        let name = u32::try_from(names.len()).context("the names of all symbols exceed 4 GiB")?;
        match function.name {
            // A null byte would end the name.
            Some(text) => names.extend(text.bytes().filter(|&byte| byte != 0)),
            None => names.extend(function.key.to_string().bytes()),
        }
        names.push(0);
        encoder.symbol(
            &mut symbols,
            &Sym {
                section: Some(TEXT_INDEX),
                st_name: name,
                st_info: SymbolInfo::new(STB_LOCAL, STT_FUNC),
                st_other: SymbolOther(0),
                st_shndx: SymbolSection::new(TEXT_INDEX),
                st_value: u64::from(function.offset),
                st_size: u64::from(function.size),
            },
        );
    }
    Ok((symbols, names))
}

/// Returns the table with a record of each function.
fn records<'a>(
    functions: &[Function<'a>],
    record: impl Fn(&Function<'a>) -> &'a [u8],
) -> Result<Vec<u8>> {
    let mut builder = RecordsBuilder::default();
    for function in functions {
        builder.push(record(function))?;
    }
    Ok(builder.finish())
}

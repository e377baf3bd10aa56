//! The format of the file: the list of sections, and the encoder and decoder of the header.
//!
//! ```text
//! first page   ELF header | section table | section names | ... zero ... | .mintage.header
//! body         .rodata.image | .text | .mintage.traps | .mintage.addrs | .mintage.segments
//!              | .mintage.unwind | .mintage.stackmaps | .mintage.names | symbols
//! tail         .mintage.keys | .mintage.meta
//! ```
//!
//! Each of the three parts has a hash, so that hashes cover every byte of the file. The header is
//! at the end of the first page, and its last field is the hash of all bytes before it. Opening an
//! artifact always verifies the hashes of the first page and the tail. The size of the tail depends
//! on the interface and the number of functions, not on the amount of code.
//!
//! # Why this shape?
//!
//! - *Why is the header at a fixed place?* Magic number and version can be read before everything
//!   that might differ between versions, the section table included.
//! - *Why does the image come first?* Its place must be known when the metadata, which contains it,
//!   is encoded.
//! - *Why does nothing share a page with the text?* Pages of the text are executable. The pages are
//!   the largest that systems use on the processor.
//! - *Why do the tables of traps and addresses follow the text?* They are at the same places of
//!   their pages in all components with this text, and can be shared as the text is. The segments
//!   differ more often.

use crate::PAGE;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::artifact;
use object::elf::{
    EM_AARCH64, Machine, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB,
    SectionType,
};
use xxhash_rust::xxh3::xxh3_128;

/// The version of the format. It changes with the meaning of any byte of the file, or of a struct
/// that machine code shares with the runtime.
pub const FORMAT_VERSION: u32 = 11;
/// The version of the engine that writes and reads the file.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The first bytes of the file.
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// The first bytes of the header.
const MAGIC: [u8; 8] = *b"MINTAGE\n";
/// The size in bytes of the engine version, padded with zeros.
const VERSION_SIZE: usize = 32;
const _: () = assert!(ENGINE_VERSION.len() <= VERSION_SIZE);

/// The size of the first page.
pub const FIRST_PAGE: usize = PAGE as usize;

/// Returns the size in bytes of the largest pages that systems for a machine use. Sections that are
/// mapped start at a multiple of it, and so do runs of the image in the file and in the slab.
pub fn page_of(machine: Machine) -> u64 {
    match machine {
        EM_AARCH64 => 64 << 10,
        _ => PAGE,
    }
}

macro_rules! sections {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:literal $ty:ident $flags:expr, $align:expr, $required:literal;
    )*) => {
        /// A section of the file, in file order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Section {
            $($(#[$doc])* $variant,)*
        }

        impl Section {
            /// Every section, in file order.
            pub const ALL: &[Section] = &[$(Section::$variant),*];

            /// Returns the section's name.
            pub const fn name(self) -> &'static str {
                match self { $(Section::$variant => $name,)* }
            }

            /// Returns the section's ELF type.
            pub const fn ty(self) -> SectionType {
                match self { $(Section::$variant => $ty,)* }
            }

            /// Returns the section's ELF flags.
            pub const fn flags(self) -> u64 {
                match self { $(Section::$variant => $flags,)* }
            }

            /// Returns the alignment of the section's place in a file that is laid out for pages of
            /// `page` bytes.
            pub const fn align(self, page: u64) -> u64 {
                let align = match self { $(Section::$variant => $align,)* };
                if align == PAGE { page } else { align }
            }

            /// Returns whether every artifact has the section.
            pub const fn is_required(self) -> bool {
                match self { $(Section::$variant => $required,)* }
            }
        }
    };
}

// To add a section: add a row, write it in `writer::write`, read it in `reader`, and raise
// `FORMAT_VERSION`.
sections! {
    /// Names of the sections.
    Strings ".shstrtab" SHT_STRTAB 0, 1, true;
    /// Magic number, version, hashes.
    Header ".mintage.header" SHT_PROGBITS 0, 8, true;
    /// The pages of the image that are mapped.
    Image ".rodata.image" SHT_PROGBITS SHF_ALLOC.0, PAGE, true;
    /// Machine code.
    Text ".text" SHT_PROGBITS SHF_ALLOC.0 | SHF_EXECINSTR.0, PAGE, true;
    /// `table::traps` of each function.
    Traps ".mintage.traps" SHT_PROGBITS 0, PAGE, true;
    /// `table::addresses` of each function.
    Addresses ".mintage.addrs" SHT_PROGBITS 0, 8, true;
    /// Run-time element segments, then run-time data segments, then the bytes of the image that are
    /// copied.
    Segments ".mintage.segments" SHT_PROGBITS SHF_ALLOC.0, 8, true;
    /// `table::unwind`.
    Unwind ".mintage.unwind" SHT_PROGBITS 0, 8, true;
    /// `table::stack_maps`.
    StackMaps ".mintage.stackmaps" SHT_PROGBITS 0, 8, true;
    /// `table::names`.
    Names ".mintage.names" SHT_PROGBITS 0, 8, true;
    /// ELF symbols, for other tools.
    Symbols ".symtab" SHT_SYMTAB 0, 8, false;
    /// Names of the ELF symbols.
    SymbolNames ".strtab" SHT_STRTAB 0, 1, false;
    /// The key table.
    Keys ".mintage.keys" SHT_PROGBITS 0, 8, true;
    /// The metadata, in postcard.
    Metadata ".mintage.meta" SHT_PROGBITS 0, 8, true;
}

impl Section {
    /// The number of sections.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the section with this name, if there is one.
    pub fn from_name(name: &[u8]) -> Option<Section> {
        Self::ALL
            .iter()
            .copied()
            .find(|section| section.name().as_bytes() == name)
    }

    /// Returns the part of the file that the section is in.
    pub fn part(self) -> Part {
        match self {
            Section::Strings | Section::Header => Part::FirstPage,
            Section::Keys | Section::Metadata => Part::Tail,
            _ => Part::Body,
        }
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first page.
    FirstPage,
    /// The part between the others, whose hash is verified on request.
    Body,
    /// The last part, whose hash is always verified.
    Tail,
}

/// The header's fields after magic number and versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The size of the file in bytes.
    pub file_size: u64,
    /// The offset at which the body ends and the tail starts.
    pub tail_start: u64,
    /// Hash of the body.
    pub body_hash: u128,
    /// Hash of the tail.
    pub tail_hash: u128,
}

/// Returns whether the beginning of a file is that of an artifact, of any version. A page of it is
/// enough.
pub fn is_artifact(start: &[u8]) -> bool {
    let page = start.first_chunk::<FIRST_PAGE>();
    start.starts_with(ELF_MAGIC)
        && page.is_some_and(|page| page[Header::OFFSET..].starts_with(&MAGIC))
}

impl Header {
    /// The size of the header in bytes.
    pub const SIZE: usize = MAGIC.len() + 8 + VERSION_SIZE + 8 + 8 + 16 + 16 + 16;
    /// The offset of the header in the file.
    pub const OFFSET: usize = FIRST_PAGE - Self::SIZE;

    /// Computes the hashes of a file that is complete except for its header, and writes the header.
    ///
    /// # Panics
    ///
    /// Panics if the file is shorter than a page, or if `tail_start` is in the first page or past
    /// the end of the file.
    pub fn seal(file: &mut [u8], tail_start: usize) {
        let header = Header {
            file_size: file.len() as u64,
            tail_start: tail_start as u64,
            body_hash: xxh3_128(&file[FIRST_PAGE..tail_start]),
            tail_hash: xxh3_128(&file[tail_start..]),
        };
        let mut bytes = Vec::with_capacity(Self::SIZE);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(ENGINE_VERSION.as_bytes());
        bytes.resize(MAGIC.len() + 8 + VERSION_SIZE, 0);
        bytes.extend(header.file_size.to_le_bytes());
        bytes.extend(header.tail_start.to_le_bytes());
        bytes.extend(header.body_hash.to_le_bytes());
        bytes.extend(header.tail_hash.to_le_bytes());
        file[Self::OFFSET..][..bytes.len()].copy_from_slice(&bytes);
        let hash = xxh3_128(&file[..FIRST_PAGE - 16]);
        file[FIRST_PAGE - 16..FIRST_PAGE].copy_from_slice(&hash.to_le_bytes());
    }

    /// Reads the header and checks it: magic number, versions, size of the file, hash of the first
    /// page.
    ///
    /// # Errors
    ///
    /// Returns an error if one of these is wrong, or if the bytes are not an ELF file or shorter
    /// than a page.
    pub fn open(file: &[u8]) -> Result<Header> {
        ensure!(
            file.starts_with(ELF_MAGIC),
            artifact!(
                NotAnArtifact,
                "this is not an artifact: it does not start as an ELF file"
            )
        );
        let page = file.first_chunk::<FIRST_PAGE>();
        let page = page.with_context(|| {
            format!(
                "the artifact is truncated: it has only {} bytes",
                file.len()
            )
        })?;
        let mut rest = &page[Self::OFFSET..];
        ensure!(
            take::<8>(&mut rest)? == MAGIC,
            artifact!(
                NotAnArtifact,
                "this ELF file is not an artifact of Mintage: the magic number is missing"
            )
        );
        let format = u32::from_le_bytes(take(&mut rest)?);
        take::<4>(&mut rest)?;
        let version: [u8; VERSION_SIZE] = take(&mut rest)?;
        let version =
            String::from_utf8_lossy(version.split(|&byte| byte == 0).next().unwrap_or_default());
        ensure!(
            format == FORMAT_VERSION && version == ENGINE_VERSION,
            artifact!(
                Version,
                "the artifact was made by Mintage {version} (format {format}), this is Mintage \
                 {ENGINE_VERSION} (format {FORMAT_VERSION}): compile the component again"
            )
        );
        let header = Header {
            file_size: u64::from_le_bytes(take(&mut rest)?),
            tail_start: u64::from_le_bytes(take(&mut rest)?),
            body_hash: u128::from_le_bytes(take(&mut rest)?),
            tail_hash: u128::from_le_bytes(take(&mut rest)?),
        };
        let (size, expected) = (file.len() as u64, header.file_size);
        match size {
            size if size < expected => {
                bail!("the artifact is truncated: it has {size} of {expected} bytes")
            }
            size if size > expected => {
                bail!("the artifact is followed by {} more bytes", size - expected)
            }
            _ => {}
        }
        check_hash(
            "header",
            &page[..FIRST_PAGE - 16],
            u128::from_le_bytes(take(&mut rest)?),
        )?;
        ensure!(
            (PAGE..=size).contains(&header.tail_start),
            "the artifact's header is wrong: its tail starts at {:#x}",
            header.tail_start
        );
        Ok(header)
    }
}

/// Verifies the hash of `bytes`, the artifact's `what`.
///
/// # Errors
///
/// Returns an error if the hash differs.
pub fn check_hash(what: &str, bytes: &[u8], expected: u128) -> Result<()> {
    ensure!(
        xxh3_128(bytes) == expected,
        "the artifact's {what} is damaged: its hash differs from the recorded one"
    );
    Ok(())
}

/// Removes `N` bytes from the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (&front, rest) = bytes
        .split_first_chunk()
        .context("the artifact's header is truncated")?;
    *bytes = rest;
    Ok(front)
}

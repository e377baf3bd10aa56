//! What stands where in the file: the list of sections and the header, whose encoder and decoder
//! are here.
//!
//! ```text
//! first page   ELF header | section table | section names | ... zero ... | .mintage.header
//! body         .rodata.image | .text | .mintage.segments | .mintage.traps | .mintage.addrs | .mintage.unwind | .mintage.stackmaps
//!              | .mintage.names | symbols
//! tail         .mintage.keys | .mintage.meta
//! ```
//!
//! The three parts are hashed one by one, so that every byte of the file is covered by a hash; the
//! header ends the first page and its last field is the hash of the page in front of it. Opening an
//! artifact always compares the hashes of the first page and the tail, whose size depends on the
//! interface and the number of functions, not on the amount of code.
//!
//! # Why this shape?
//!
//! - *Why is the header at a fixed place?* Magic number and version can be read before anything
//!   that a version might change, the section table included.
//! - *Why is the image in front of everything else?* Its place is known before the metadata is
//!   encoded, which hold it.
//! - *Why does nothing share a page with the text?* Pages of the text are executable; segment bytes
//!   are the guest's.

use crate::PAGE;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::artifact;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB, SectionType};
use xxhash_rust::xxh3::xxh3_128;

/// Changes whenever the meaning of any byte of the file changes, or a struct that machine code
/// shares with the runtime.
pub const FORMAT_VERSION: u32 = 5;
/// The version of this project that makes and reads the files.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// What the header starts with.
const MAGIC: [u8; 8] = *b"MINTAGE\n";
/// Bytes of the engine version, zero padded.
const VERSION_SIZE: usize = 32;
const _: () = assert!(ENGINE_VERSION.len() <= VERSION_SIZE);

/// Bytes of the first page, as a position.
pub const FIRST_PAGE: usize = PAGE as usize;

macro_rules! sections {
    ($($(#[$doc:meta])* $variant:ident $name:literal $ty:ident $flags:expr, $align:expr, $required:literal;)*) => {
        /// A section of the file, in file order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Section {
            $($(#[$doc])* $variant,)*
        }

        impl Section {
            /// Every section, in file order.
            pub const ALL: &[Section] = &[$(Section::$variant),*];

            /// The section's name.
            pub const fn name(self) -> &'static str {
                match self { $(Section::$variant => $name,)* }
            }

            /// The section's ELF type.
            pub const fn ty(self) -> SectionType {
                match self { $(Section::$variant => $ty,)* }
            }

            /// The section's ELF flags.
            pub const fn flags(self) -> u64 {
                match self { $(Section::$variant => $flags,)* }
            }

            /// What the section's place in the file is a multiple of.
            pub const fn align(self) -> u64 {
                match self { $(Section::$variant => $align,)* }
            }

            /// Whether every artifact has the section.
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
    /// Pages of the slab that are not zero, to be mapped.
    Image ".rodata.image" SHT_PROGBITS SHF_ALLOC.0, PAGE, true;
    /// Machine code.
    Text ".text" SHT_PROGBITS SHF_ALLOC.0 | SHF_EXECINSTR.0, PAGE, true;
    /// Run-time element segments, then data segments, then what of the image is copied.
    Segments ".mintage.segments" SHT_PROGBITS SHF_ALLOC.0, PAGE, true;
    /// `table::traps` of each function.
    Traps ".mintage.traps" SHT_PROGBITS 0, 8, true;
    /// `table::addresses` of each function.
    Addresses ".mintage.addrs" SHT_PROGBITS 0, 8, true;
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

    /// The section with this name.
    pub fn from_name(name: &[u8]) -> Option<Section> {
        Self::ALL
            .iter()
            .copied()
            .find(|section| section.name().as_bytes() == name)
    }

    /// Which of the three parts of the file the section is in.
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
    /// What is hashed on demand.
    Body,
    /// What is hashed always, besides the first page.
    Tail,
}

/// The header's fields behind magic number and versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the file.
    pub file_size: u64,
    /// Where the body ends and the tail starts.
    pub tail_start: u64,
    /// Hash of the body.
    pub body_hash: u128,
    /// Hash of the tail.
    pub tail_hash: u128,
}

impl Header {
    /// Bytes of the header.
    pub const SIZE: usize = MAGIC.len() + 8 + VERSION_SIZE + 8 + 8 + 16 + 16 + 16;
    /// Where the header stands in the file.
    pub const OFFSET: usize = FIRST_PAGE - Self::SIZE;

    /// Computes the hashes of a file that is complete but for its header, with its tail at
    /// `tail_start`, and writes the header.
    ///
    /// # Panics
    ///
    /// When the file is shorter than a page or `tail_start` is not behind the first page and in the
    /// file.
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

    /// Reads and checks the header: magic number, versions, size of the file, hash of the first
    /// page.
    ///
    /// # Errors
    ///
    /// One message for each of these, and for a file that is shorter than a page or no ELF file.
    pub fn open(file: &[u8]) -> Result<Header> {
        ensure!(
            file.starts_with(b"\x7fELF"),
            artifact!(
                NotAnArtifact,
                "this is no artifact: it does not start as an ELF file"
            )
        );
        let page = file.first_chunk::<FIRST_PAGE>();
        let page = page.with_context(|| {
            format!("the artifact is cut off: it has only {} bytes", file.len())
        })?;
        let mut rest = &page[Self::OFFSET..];
        ensure!(
            take::<8>(&mut rest)? == MAGIC,
            artifact!(
                NotAnArtifact,
                "this ELF file is no artifact of Mintage: the magic number is missing"
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
                bail!("the artifact is cut off: it has {size} of {expected} bytes")
            }
            size if size > expected => {
                bail!("the artifact has {} bytes behind its end", size - expected)
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

/// Compares the hash of `bytes`, which are the artifact's `what`.
///
/// # Errors
///
/// When the hash differs.
pub fn check_hash(what: &str, bytes: &[u8], expected: u128) -> Result<()> {
    ensure!(
        xxh3_128(bytes) == expected,
        "the artifact's {what} is damaged: its hash is not the one recorded"
    );
    Ok(())
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (&front, rest) = bytes
        .split_first_chunk()
        .context("the artifact's header is cut off")?;
    *bytes = rest;
    Ok(front)
}

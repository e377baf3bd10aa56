//! Tests of writer and reader: lookups in a written artifact, and truncated, corrupted and forged
//! files.

use crate::forge::{exercise, reseal};
use crate::format::{FIRST_PAGE, Header, Section};
use crate::{
    Artifact, Check, Contents, Function, Metadata, PAGE, encode_addresses, encode_stack_maps,
    encode_traps, encode_unwind, rewrite, write,
};
use mintage_environ::component::ComponentInterface;
use mintage_environ::layout::SlabLayout;
use mintage_environ::objects::ObjectLayout;
use mintage_environ::{
    Builtin, CoreInstanceId, DataId, ElemId, FuncIndex, FuncKey, FuncOrdinal, IndexVec, SigId,
    Target, Trap, Tunables,
};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// A function of the sample: key, size of the code, traps, addresses, name.
type Plan = (
    FuncKey,
    u32,
    Vec<(u32, Trap)>,
    Vec<(u32, u32)>,
    Option<&'static str>,
);

fn plan() -> Vec<Plan> {
    let func = |instance, func| FuncKey::CoreFunc {
        instance: CoreInstanceId::from_u32(instance),
        func: FuncIndex::from_u32(func),
    };
    let traps = vec![
        (3, Trap::MemoryOutOfBounds),
        (9, Trap::IntegerDivisionByZero),
        (70, Trap::IntegerDivisionByZero),
    ];
    vec![
        (
            func(0, 7),
            100,
            traps,
            vec![(0, 1000), (8, 1004), (50, u32::MAX), (60, 990)],
            Some("first"),
        ),
        (func(0, 900), 20, vec![], vec![], None),
        (
            func(3, 1),
            300,
            vec![(299, Trap::Interrupt)],
            vec![(5, 0)],
            Some("näxt"),
        ),
        (FuncKey::Entry(SigId::from_u32(2)), 60, vec![], vec![], None),
        (
            FuncKey::Builtin(Builtin::MemoryGrow),
            60,
            vec![(1, Trap::StackOverflow)],
            vec![],
            None,
        ),
    ]
}

fn metadata() -> Metadata {
    let mut interface = ComponentInterface::default();
    interface
        .types
        .intern_list(mintage_environ::component::InterfaceType::String);
    Metadata {
        target: Target {
            triple: "x86_64-unknown-linux-gnu".into(),
            cpu_features: vec!["a=true".into(), "b=false".into()],
        },
        tunables: Tunables::default(),
        interface,
        layout: SlabLayout {
            size: 1 << 33,
            ..SlabLayout::default()
        },
        ..Metadata::default()
    }
}

/// The image of the sample: two runs of pages, and a page that is copied.
const PAGES: [(u64, u8); 7] = [
    (0, 1),
    (PAGE, 2),
    (2 * PAGE, 3),
    (20 * PAGE, 4),
    (21 * PAGE, 5),
    (22 * PAGE, 6),
    ((1 << 33) - PAGE, 7),
];
const MODULES: [Option<&str>; 4] = [Some("main"), None, None, Some("side")];
const SEGMENT: &[u8] = b"run-time data";
const WORDS: [u64; 3] = [0, 0x1_0000_0010, 7];

fn sample(symbols: bool) -> Vec<u8> {
    sample_of(metadata(), symbols)
}

fn sample_of(metadata: Metadata, symbols: bool) -> Vec<u8> {
    let plan = plan();
    let encoded: Vec<_> = plan
        .iter()
        .map(|f| (encode_traps(&f.2), encode_addresses(&f.3)))
        .collect();
    let mut text = vec![0xcc; 16];
    let mut functions = Vec::new();
    for (&(key, size, _, _, name), (traps, addresses)) in plan.iter().zip(&encoded) {
        functions.push(Function {
            key,
            offset: text.len() as u32,
            size,
            traps,
            addresses,
            name,
        });
        text.resize(text.len() + size as usize, functions.len() as u8);
    }
    let pages = PAGES.map(|(offset, byte)| (offset, [byte; FIRST_PAGE]));
    let image: Vec<_> = pages
        .iter()
        .map(|(offset, page)| (*offset, &page[..]))
        .collect();
    let contents = Contents {
        metadata,
        text: &text,
        functions: &functions,
        modules: &MODULES,
        image: &image,
        unwind: &encode_unwind(0, &[]).unwrap(),
        stack_maps: &encode_stack_maps(&[]).unwrap(),
        data: &IndexVec::from(vec![SEGMENT, &[]]),
        elems: &IndexVec::from(vec![vec![], WORDS.to_vec()]),
        symbols,
    };
    write(contents).unwrap()
}

fn open(file: &[u8]) -> Artifact<&[u8]> {
    Artifact::parse(file, Check::Full).unwrap()
}

#[test]
fn lookups_agree_with_the_plan() {
    for symbols in [false, true] {
        let file = sample(symbols);
        let artifact = open(&file);
        let keys = artifact.key_table().unwrap();
        let mut start = 16;
        let ordinals = (0..).map(FuncOrdinal::from_u32);
        for (ordinal, (key, size, traps, addresses, name)) in ordinals.zip(plan()) {
            assert_eq!(keys.get(key), Some(start..start + size));
            for offset in 0..size {
                let trap = traps
                    .iter()
                    .find(|&&(at, _)| at == offset)
                    .map(|&(_, trap)| trap);
                assert_eq!(artifact.trap_at(start + offset), trap, "{key} {offset}");
                let address = addresses
                    .iter()
                    .rfind(|&&(at, address)| at <= offset && address != u32::MAX);
                assert_eq!(
                    artifact.address_at(start + offset),
                    address.map(|&(_, address)| address)
                );
            }
            assert_eq!(artifact.function_name(ordinal), name);
            assert!(
                artifact
                    .traps(ordinal)
                    .eq(traps.into_iter().map(|(at, trap)| (at, Some(trap))))
            );
            start += size;
        }
        assert_eq!(artifact.trap_at(3), None, "before all functions");
        assert_eq!(artifact.trap_at(u32::MAX), None);
        for (i, name) in (0..).zip(MODULES) {
            assert_eq!(artifact.module_name(CoreInstanceId::from_u32(i)), name);
        }
        assert_eq!(artifact.data_segment(DataId::from_u32(0)), Some(SEGMENT));
        assert_eq!(artifact.data_segment(DataId::from_u32(2)), None);
        let words: Vec<u8> = WORDS.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(artifact.elem_segment(ElemId::from_u32(1)), Some(&words[..]));
    }
}

#[test]
fn text_and_image_can_be_mapped_in_place() {
    let file = sample(false);
    let artifact = open(&file);
    let text = artifact.text_range();
    assert!(
        text.start.is_multiple_of(FIRST_PAGE)
            && file[text.start] == 0xcc
            && artifact.text().len() == 556
    );
    let runs = &artifact.metadata().image;
    assert_eq!(runs.len(), 2, "neighboring pages are one run");
    let mut pages = Vec::new();
    for run in runs {
        assert!(run.file_offset.is_multiple_of(PAGE));
        let bytes = artifact.image_bytes(run).unwrap();
        pages.extend(
            (run.slab_offset..)
                .step_by(FIRST_PAGE)
                .zip(bytes.chunks(FIRST_PAGE))
                .map(|(at, page)| (at, page[17])),
        );
    }
    let [patch] = artifact.metadata().patches[..] else {
        panic!("the last page is copied");
    };
    assert_eq!(artifact.image_bytes(&patch), Some(&[7; FIRST_PAGE][..]));
    pages.push((patch.slab_offset, 7));
    assert_eq!(pages, PAGES);
    text_has_its_pages(&artifact, FIRST_PAGE);
}

#[test]
fn artifacts_for_arm_are_laid_out_for_large_pages() {
    let mut metadata = metadata();
    metadata.target.triple = "aarch64-unknown-linux-gnu".into();
    assert_eq!(metadata.page(), 64 << 10);
    let file = sample_of(metadata, true);
    let artifact = open(&file);
    let page = 64 << 10;
    text_has_its_pages(&artifact, page);
    let metadata = artifact.metadata();
    let mut bytes = 0;
    for run in &metadata.image {
        for value in [run.slab_offset, run.file_offset, run.len] {
            assert!(value.is_multiple_of(page as u64), "{run:?}");
        }
        bytes += artifact
            .image_bytes(run)
            .unwrap()
            .iter()
            .filter(|&&byte| byte != 0)
            .count();
    }
    for patch in &metadata.patches {
        bytes += artifact.image_bytes(patch).unwrap().len();
    }
    assert_eq!(bytes, PAGES.len() * FIRST_PAGE);
    // The same file, as if it were for a processor with small pages.
    let mut other = file.clone();
    other[18..20].copy_from_slice(&62u16.to_le_bytes());
    Header::seal(&mut other, artifact.section_range(Section::Keys).start);
    let error = Artifact::parse(&other[..], Check::Full).err().unwrap();
    assert!(error.to_string().contains("is misaligned"), "{error}");
}

/// Checks that nothing shares the text's pages of `page` bytes.
fn text_has_its_pages(artifact: &Artifact<&[u8]>, page: usize) {
    let text = artifact.text_range();
    assert!(text.start.is_multiple_of(page));
    for (name, _) in artifact.sections().filter(|(name, _)| *name != ".text") {
        let range = artifact.sections_range(name);
        let pages = text.start..text.end.next_multiple_of(page);
        assert!(
            range.is_empty() || range.end <= pages.start || range.start >= pages.end,
            "{name} shares a page with the text"
        );
    }
}

impl<B: AsRef<[u8]>> Artifact<B> {
    fn sections_range(&self, name: &str) -> std::ops::Range<usize> {
        self.section_range(Section::from_name(name.as_bytes()).unwrap())
    }
}

/// Reads the symbols with another ELF reader.
#[test]
fn symbols_are_written_on_request() {
    use object::read::elf::{FileHeader, Sym};
    let parse = |file: &[u8]| -> Vec<(String, u64, u64)> {
        let header = object::elf::FileHeader64::<object::Endianness>::parse(file).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, file).unwrap();
        let symbols = sections
            .symbols(endian, file, object::elf::SHT_SYMTAB)
            .unwrap();
        let name = |symbol: &object::elf::Sym64<_>| {
            String::from_utf8(symbol.name(endian, symbols.strings()).unwrap().to_vec()).unwrap()
        };
        let rows = symbols
            .iter()
            .skip(1)
            .map(|s| (name(s), s.st_value.get(endian), s.st_size.get(endian)));
        rows.collect()
    };
    assert_eq!(parse(&sample(false)), []);
    let symbols = parse(&sample(true));
    let names: Vec<_> = symbols
        .iter()
        .map(|(name, at, size)| (name.as_str(), *at, *size))
        .collect();
    assert_eq!(names[..2], [("first", 16, 100), ("core[0]:f900", 116, 20)]);
    assert_eq!(names[4], ("builtin:memory_grow", 496, 60));
}

#[test]
fn writing_is_deterministic() {
    assert_eq!(sample(true), sample(true));
}

/// Returns the message with which the reader refuses `file`.
fn refused(file: &[u8], check: Check) -> String {
    match Artifact::parse(file, check) {
        Ok(_) => "accepted".into(),
        Err(error) => format!("{error:#}"),
    }
}

/// Returns the file offset of a field in the section table's entry for `section`.
fn entry(section: Section, field: usize) -> usize {
    // The sample has no symbols: two optional sections before the last two are absent.
    let absent = if section > Section::SymbolNames { 2 } else { 0 };
    64 + 64 * (section as usize + 1 - absent) + field
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

const TYPE: usize = 4;
const FLAGS: usize = 8;
const ADDRESS: usize = 16;
const OFFSET: usize = 24;
const SIZE: usize = 32;
const ALIGN: usize = 48;

/// Breaks each rule of the format, with valid hashes, and expects its message.
#[test]
fn each_broken_rule_has_its_message() {
    type Change = fn(&mut Vec<u8>);
    let cases: &[(&str, bool, Change)] = &[
        ("does not start as an ELF file", false, |f| f[0] = 0),
        ("magic number is missing", false, |f| f[Header::OFFSET] ^= 1),
        ("made by Mintage", false, |f| f[Header::OFFSET + 8] ^= 1),
        ("compile the component again", false, |f| {
            f[Header::OFFSET + 16] = b'9'
        }),
        ("truncated: it has", false, |f| f.truncate(f.len() - 1)),
        ("followed by 1 more bytes", false, |f| f.push(0)),
        ("header is damaged", false, |f| f[70] ^= 1),
        ("metadata is damaged", false, |f| {
            *f.last_mut().unwrap() ^= 1
        }),
        ("body is damaged", false, |f| f[FIRST_PAGE] ^= 1),
        ("64-bit little-endian", true, |f| f[5] = 2),
        ("not that of an object file", true, |f| f[16] = 3),
        ("unusual size", true, |f| f[58] = 40),
        ("program headers", true, |f| f[56] = 1),
        ("section table is misaligned", true, |f| f[40] = 65),
        ("section table is not within the first page", true, |f| {
            f[60] = 200
        }),
        ("a section that does not exist", true, |f| f[62] = 99),
        ("another section for the section names", true, |f| {
            let place = entry(Section::Strings, OFFSET);
            f.copy_within(place..place + 16, entry(Section::Header, OFFSET));
            put(f, entry(Section::Strings, SIZE), &[0; 8]);
            f[62] = 2;
        }),
        ("another machine", true, |f| f[18] = 8),
        // Of a processor with larger pages.
        ("is misaligned", true, |f| f[18] = 183),
        ("has no name", true, |f| {
            put(f, entry(Section::Text, 0), &[0xff, 0xff])
        }),
        ("section text is unknown", true, |f| {
            f[entry(Section::Text, 0)] += 1
        }),
        ("has relocations", true, |f| {
            f[entry(Section::Traps, TYPE)] = 4
        }),
        ("has ELF type", true, |f| f[entry(Section::Traps, TYPE)] = 8),
        ("section .text has flags 0x7 instead of 0x6", true, |f| {
            f[entry(Section::Text, FLAGS)] = 7
        }),
        ("requests address 0x1", true, |f| {
            f[entry(Section::Text, ADDRESS)] = 1
        }),
        ("section .text is misaligned", true, |f| {
            f[entry(Section::Text, OFFSET)] = 8
        }),
        ("section .text is misaligned", true, |f| {
            f[entry(Section::Text, ALIGN)] = 16
        }),
        (
            "section .text extends past the end of the file",
            true,
            |f| f[entry(Section::Text, SIZE) + 3] = 1,
        ),
        (
            "section .text extends past the end of the file",
            true,
            |f| put(f, entry(Section::Text, SIZE), &[0xff; 8]),
        ),
        ("overlaps .rodata.image", true, |f| {
            f[entry(Section::Image, SIZE) + 1] += 0x10
        }),
        ("comes after .mintage.unwind, or occurs twice", true, |f| {
            let name = f[entry(Section::Unwind, 0)];
            f[entry(Section::StackMaps, 0)] = name;
        }),
        ("is in the wrong part of the file", true, |f| {
            put(f, entry(Section::Image, OFFSET), &[0; 8])
        }),
        ("section .text is empty", true, |f| {
            put(f, entry(Section::Text, SIZE), &[0; 8])
        }),
        ("section .mintage.meta is missing", true, |f| f[60] -= 1),
        ("section .mintage.keys is wrong", true, |f| {
            f[entry(Section::Keys, SIZE)] -= 4
        }),
        ("bytes of machine code, but there are 555", true, |f| {
            f[entry(Section::Text, SIZE)] -= 1
        }),
        ("section .mintage.traps is wrong", true, |f| {
            f[entry(Section::Traps, SIZE)] -= 1
        }),
        ("section .mintage.names is wrong", true, |f| {
            f[entry(Section::Names, SIZE)] += 1
        }),
        ("metadata cannot be decoded", true, |f| {
            f[entry(Section::Metadata, SIZE)] -= 1
        }),
    ];
    let good = sample(false);
    for &(message, sealed, change) in cases {
        let mut file = good.clone();
        change(&mut file);
        if sealed {
            reseal(&mut file);
        }
        let error = refused(&file, Check::Full);
        assert!(
            error.contains(message),
            "expected {message:?}, got {error:?}"
        );
    }
}

/// Opening checks the heads of the body's tables if the collector depends on them.
#[test]
fn tables_are_checked_where_there_are_objects() {
    let without_objects = sample(false);
    let artifact = open(&without_objects);
    let mut metadata = artifact.metadata().clone();
    metadata.objects.push(ObjectLayout {
        size: 16,
        traced: Box::default(),
        elements: None,
    });
    let with_objects = rewrite(&artifact, metadata, &[]).unwrap();
    assert_eq!(refused(&with_objects, Check::Full), "accepted");
    for (file, message) in [
        (without_objects, "accepted"),
        (with_objects, "section .mintage.stackmaps is wrong"),
    ] {
        let mut file = file;
        file[entry(Section::StackMaps, SIZE)] -= 1;
        reseal(&mut file);
        let error = refused(&file, Check::Metadata);
        assert!(
            error.contains(message),
            "expected {message:?}, got {error:?}"
        );
    }
}

#[test]
fn ranges_of_the_metadata_are_checked() {
    type Change = fn(&mut Metadata);
    let cases: &[(&str, Change)] = &[
        ("whole pages", |m| m.image[0].len = 5),
        ("whole pages", |m| m.image[0].len = 0),
        ("out of order", |m| m.image.swap(0, 1)),
        ("leaves the slab", |m| m.layout.size -= 1),
        ("leaves the slab", |m| {
            m.image[1].slab_offset = u64::MAX - PAGE + 1
        }),
        ("leaves the slab or the image section", |m| {
            m.image[1].file_offset += PAGE
        }),
        ("129 runs", |m| m.image = vec![m.image[0]; 129]),
        ("patches of the image overlap", |m| m.patches[0].len = 0),
        ("patches of the image overlap", |m| {
            m.patches = vec![m.patches[0]; 2]
        }),
        ("leaves the slab or the segment section", |m| {
            m.patches[0].len += 1
        }),
        ("leaves the slab or the segment section", |m| {
            m.patches[0].file_offset = m.image[0].file_offset
        }),
        ("leaves the slab or the segment section", |m| {
            m.patches[0].file_offset = u64::MAX
        }),
        ("overlaps a run of pages", |m| {
            m.patches[0].slab_offset = 19 * PAGE + 1
        }),
        ("data segment data0", |m| {
            m.data[DataId::from_u32(0)].start = 0
        }),
        ("data segment data0", |m| {
            m.data[DataId::from_u32(0)].end = u64::MAX
        }),
        ("element segment elem1", |m| {
            m.elems[ElemId::from_u32(1)].end -= 1
        }),
    ];
    let file = sample(false);
    let artifact = open(&file);
    let section = |section| {
        let range = artifact.section_range(section);
        range.start as u64..range.end as u64
    };
    let (image, segments) = (section(Section::Image), section(Section::Segments));
    artifact.metadata().check_ranges(&image, &segments).unwrap();
    for &(message, change) in cases {
        let mut metadata = artifact.metadata().clone();
        change(&mut metadata);
        let error = metadata
            .check_ranges(&image, &segments)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(message),
            "expected {message:?}, got {error:?}"
        );
    }
}

#[test]
fn other_hosts_are_refused() {
    let metadata = metadata();
    let host = |triple: &str, features: &[&str]| Target {
        triple: triple.into(),
        cpu_features: features.iter().map(|feature| feature.to_string()).collect(),
    };
    let linux = "x86_64-unknown-linux-gnu";
    metadata
        .check_target(&host(linux, &["c=true", "a=true"]))
        .unwrap();
    let error = metadata
        .check_target(&host(linux, &["a=false"]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the artifact needs CPU features that this host does not have: a=true"
    );
    let error = metadata
        .check_target(&host("aarch64-apple-darwin", &["a=true"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("x86_64-unknown-linux-gnu, this host is aarch64-apple-darwin"),
        "{error}"
    );
}

#[test]
fn other_settings_are_refused() {
    type Change = fn(&mut Tunables);
    let check = |change: Change| {
        let mut tunables = Tunables::default();
        change(&mut tunables);
        metadata().check_tunables(&tunables)
    };
    check(|t| t.debug_verifier = !t.debug_verifier).unwrap();
    let cases: &[(&str, Change)] = &[
        ("memory_reservation", |t| t.memory_reservation = 1),
        ("memory64_reservation", |t| t.memory64_reservation = 1),
        ("memory_guard", |t| t.memory_guard = 1),
        ("table_reservation", |t| t.table_reservation = 1),
        ("gc_heap_reservation", |t| t.gc_heap_reservation = 1),
        ("gc_zeal", |t| t.gc_zeal ^= true),
        ("address_map", |t| t.address_map ^= true),
        ("interruptible", |t| t.interruptible ^= true),
        ("consume_fuel", |t| t.consume_fuel ^= true),
        ("fuel_by_length", |t| t.fuel_by_length ^= true),
        ("cranelift_nan_canonicalization", |t| {
            t.nan_canonicalization ^= true
        }),
        ("relaxed_simd_deterministic", |t| {
            t.relaxed_simd_deterministic ^= true
        }),
        ("core_exports", |t| t.core_exports ^= true),
    ];
    for &(name, change) in cases {
        let error = check(change).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let good = sample(true);
    let text = open(&good).text_range();
    // The bytes of the image and of padding are alike, so that a sample of them is enough.
    for at in (0..FIRST_PAGE)
        .chain((FIRST_PAGE..text.start).step_by(61))
        .chain(text.start..good.len())
    {
        let mut file = good.clone();
        file[at] ^= 1 << (at % 8);
        assert_ne!(refused(&file, Check::Full), "accepted", "byte {at:#x}");
        if let Ok(artifact) = Artifact::parse(file.as_slice(), Check::Metadata) {
            assert!(
                artifact.text_range().end > at || at > FIRST_PAGE,
                "byte {at:#x} of the header"
            );
            exercise(&artifact, (0..600).step_by(37));
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let good = sample(true);
    for len in (0..good.len())
        .step_by(3)
        .chain(Section::ALL.iter().flat_map(|&section| {
            let range = open(&good).section_range(section);
            [range.start, range.end.min(good.len() - 1), range.end - 1]
        }))
    {
        assert_ne!(
            refused(&good[..len], Check::Metadata),
            "accepted",
            "{len} bytes"
        );
    }
}

/// Corrupts files and recomputes their hashes: the checks of the format and the lookups must be
/// safe on their own.
#[test]
fn forged_files_are_harmless() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let good = sample(true);
    let interesting = {
        let artifact = open(&good);
        let tables = [
            Section::Traps,
            Section::Addresses,
            Section::Names,
            Section::Keys,
            Section::Metadata,
        ];
        let mut ranges: Vec<_> = tables
            .map(|section| artifact.section_range(section))
            .to_vec();
        ranges.push(0..1200);
        ranges
    };
    let mut accepted = 0;
    for _ in 0..8_000 {
        let mut file = good.clone();
        for _ in 0..1 + rng.next_u32() % 4 {
            let range = &interesting[rng.next_u32() as usize % interesting.len()];
            let at = range.start + rng.next_u32() as usize % range.len();
            file[at] = match rng.next_u32() % 4 {
                0 => 0,
                1 => 0xff,
                2 => file[at] ^ (1 << (rng.next_u32() % 8)),
                _ => rng.next_u32() as u8,
            };
        }
        reseal(&mut file);
        if let Ok(artifact) = Artifact::parse(file.as_slice(), Check::Full) {
            accepted += 1;
            let first = rng.next_u32() % 40;
            exercise(&artifact, (first..600).step_by(29).chain([u32::MAX]));
        }
    }
    assert!(
        accepted > 500,
        "only {accepted} forged files got as far as the lookups"
    );
}

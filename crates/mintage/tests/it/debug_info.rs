//! Lines of source in backtraces (`Config::wasm_backtrace_details`), and debug information that is
//! damaged or takes long.

use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections, UnitEntryId,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};
use mintage::{
    CodeBuilder, Component, Config, Engine, Linker, Store, WasmBacktrace, WasmBacktraceDetails,
};
use std::time::{Duration, Instant};

/// `run` calls a function at a known place of the code section, which traps.
const MODULE: &str = r#"(module
    (func (export "run") nop nop (call $b))
    (func $b unreachable))"#;
/// The functions, and the instructions in them: offsets in the contents of the code section.
const RUN: std::ops::Range<u64> = 2..8;
const CALL: u64 = 5;
const B: std::ops::Range<u64> = 9..12;
const UNREACHABLE: u64 = 10;

type Named<'a> = (&'a str, Vec<u8>);

/// Returns the sections of debug information for [`MODULE`]: in `$b`, the instruction that traps is
/// of a function that is inlined.
fn dwarf(version: u16) -> Vec<Named<'static>> {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version,
        address_size: 4,
    };
    let mut dwarf = DwarfUnit::new(encoding);
    let text = |text: &str| LineString::String(text.into());
    let mut program = LineProgram::new(
        encoding,
        LineEncoding::default(),
        text("/src"),
        None,
        text("app.rs"),
        None,
    );
    let directory = program.default_directory();
    let app = program.add_file(text("app.rs"), directory, None);
    let other = program.add_directory(text("lib"));
    let inlined = program.add_file(text("inline.rs"), other, None);
    for (function, rows) in [
        (RUN, &[(RUN.start, app, 10, 0), (CALL, app, 12, 5)][..]),
        (
            B,
            &[
                (B.start, app, 20, 1),
                (UNREACHABLE, inlined, 99, 7),
                (UNREACHABLE + 1, app, 22, 1),
            ],
        ),
    ] {
        program.begin_sequence(Some(Address::Constant(function.start)));
        for &(address, file, line, column) in rows {
            let row = program.row();
            row.address_offset = address - function.start;
            (row.file, row.line, row.column) = (file, line, column);
            program.generate_row();
        }
        program.end_sequence(function.end - function.start);
    }
    dwarf.unit.line_program = program;

    let root = dwarf.unit.root();
    let string = |text: &str| AttributeValue::String(text.into());
    let range = |dwarf: &mut DwarfUnit, entry: UnitEntryId, range: std::ops::Range<u64>| {
        let entry = dwarf.unit.get_mut(entry);
        let start = AttributeValue::Address(Address::Constant(range.start));
        entry.set(gimli::DW_AT_low_pc, start);
        entry.set(
            gimli::DW_AT_high_pc,
            AttributeValue::Udata(range.end - range.start),
        );
    };
    let name = |dwarf: &mut DwarfUnit, entry: UnitEntryId, text: &str| {
        dwarf
            .unit
            .get_mut(entry)
            .set(gimli::DW_AT_linkage_name, string(text));
    };
    dwarf
        .unit
        .get_mut(root)
        .set(gimli::DW_AT_name, string("app.rs"));
    dwarf
        .unit
        .get_mut(root)
        .set(gimli::DW_AT_comp_dir, string("/src"));
    range(&mut dwarf, root, RUN.start..B.end);

    let origin = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    name(&mut dwarf, origin, "_ZN3lib5inner17h0123456789abcdefE");
    let run = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    name(&mut dwarf, run, "run");
    range(&mut dwarf, run, RUN);
    let b = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    name(&mut dwarf, b, "_RNvC3app5outer");
    range(&mut dwarf, b, B);
    let block = dwarf.unit.add(b, gimli::DW_TAG_lexical_block);
    let call = dwarf.unit.add(block, gimli::DW_TAG_inlined_subroutine);
    range(&mut dwarf, call, UNREACHABLE..UNREACHABLE + 1);
    let entry = dwarf.unit.get_mut(call);
    entry.set(
        gimli::DW_AT_abstract_origin,
        AttributeValue::UnitRef(origin),
    );
    entry.set(gimli::DW_AT_call_file, AttributeValue::FileIndex(Some(app)));
    entry.set(gimli::DW_AT_call_line, AttributeValue::Udata(21));
    entry.set(gimli::DW_AT_call_column, AttributeValue::Udata(3));

    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut named = Vec::new();
    let add = |id: gimli::SectionId, data: &EndianVec<LittleEndian>| {
        named.push((id.name(), data.slice().to_vec()));
        Ok::<_, gimli::write::Error>(())
    };
    sections.for_each(add).unwrap();
    named
}

/// Appends custom sections to [`MODULE`].
fn module(sections: &[Named<'_>]) -> Vec<u8> {
    let mut module = wat::parse_str(MODULE).unwrap();
    let leb = |bytes: &mut Vec<u8>, mut number: usize| loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(byte | if number > 0 { 0x80 } else { 0 });
        if number == 0 {
            break;
        }
    };
    for (name, data) in sections {
        let mut contents = Vec::new();
        leb(&mut contents, name.len());
        contents.extend(name.as_bytes());
        contents.extend(data);
        module.push(0);
        leb(&mut module, contents.len());
        module.extend(contents);
    }
    module
}

fn with_details() -> Config {
    let mut config = Config::new();
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// Returns the backtrace of a call of `run`, which traps.
fn backtrace(component: &Component) -> mintage::Error {
    let engine = component.engine();
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine)
        .instantiate(&mut store, component)
        .unwrap();
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    let error = run.call(&mut store, ()).unwrap_err();
    assert!(error.is::<WasmBacktrace>());
    error
}

/// Returns the symbols of all frames as text.
fn symbols(component: &Component) -> Vec<Vec<String>> {
    let error = backtrace(component);
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    let frames = backtrace.frames().iter().map(|frame| {
        let symbols = frame.symbols().iter().map(|symbol| {
            format!(
                "{} {}:{}:{}",
                symbol.name().unwrap_or("-"),
                symbol.file().unwrap_or("-"),
                symbol.line().unwrap_or(0),
                symbol.column().unwrap_or(0),
            )
        });
        symbols.collect()
    });
    frames.collect()
}

fn expected() -> [Vec<String>; 2] {
    [
        vec![
            "_ZN3lib5inner17h0123456789abcdefE /src/lib/inline.rs:99:7".into(),
            "_RNvC3app5outer /src/app.rs:21:3".into(),
        ],
        vec!["run /src/app.rs:12:5".into()],
    ]
}

#[test]
fn frames_have_lines_of_source() {
    for version in [2, 3, 4, 5] {
        let bytes = module(&dwarf(version));
        let engine = Engine::new(&with_details()).unwrap();
        let component = Component::from_module(&engine, &bytes).unwrap();
        assert_eq!(symbols(&component), expected(), "{version}");
        let text = backtrace(&component).to_string();
        for part in [
            "b (core[0]:f1) at ",
            "\n             lib::inner\n             at /src/lib/inline.rs:99:7\n",
            "\n             app::outer\n             at /src/app.rs:21:3\n",
            "\n             at /src/app.rs:12:5",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        // In a component in a component.
        let nested = r#"(component
            (import "m" (core module $m (export "run" (func))))
            (component $c
                (alias outer 1 $m (core module $m))
                (core instance $i (instantiate $m))
                (func (export "run") (canon lift (core func $i "run"))))
            (instance $c (instantiate $c))
            (export "run" (func $c "run")))"#;
        let mut builder = CodeBuilder::new(&engine);
        builder
            .wasm_binary_or_text(nested.as_bytes(), None)
            .unwrap();
        builder.core_module("m", &bytes).unwrap();
        let component = builder.compile_component().unwrap();
        assert_eq!(symbols(&component), expected(), "{version}");
    }
}

#[test]
fn details_are_kept_where_they_are_asked_for() {
    let bytes = module(&dwarf(4));
    let none: [Vec<String>; 2] = Default::default();
    let symbols_with = |config: &Config| {
        symbols(&Component::from_module(&Engine::new(config).unwrap(), &bytes).unwrap())
    };
    assert_eq!(symbols_with(&Config::new()), none);
    let mut config = with_details();
    assert_eq!(symbols_with(&config), expected());
    assert_eq!(
        symbols_with(config.wasm_backtrace_details(WasmBacktraceDetails::Disable)),
        none
    );
    assert_eq!(
        symbols_with(with_details().generate_address_map(false)),
        none
    );

    // A snapshot is of the same code; an artifact has no debug information.
    let engine = Engine::new(&with_details()).unwrap();
    let component = Component::from_module(&engine, &bytes).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let snapshot = instance.snapshot(&mut store).unwrap();
    assert_eq!(symbols(&snapshot), expected());
    let artifact = component.serialize().unwrap();
    assert!(!artifact.windows(9).any(|bytes| bytes == b"inline.rs"));
    // SAFETY: the artifact was just made.
    let loaded = unsafe { Component::deserialize(&engine, artifact) }.unwrap();
    assert_eq!(symbols(&loaded), none);
}

#[test]
fn components_of_a_cache_read_their_file_when_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = mintage::CacheConfig::new();
    cache.with_directory(folder.path().join("cache"));
    let cache = mintage::Cache::new(cache).unwrap();
    let engine = Engine::new(with_details().cache(Some(cache.clone()))).unwrap();
    let path = folder.path().join("app.wasm");
    std::fs::write(&path, module(&dwarf(5))).unwrap();
    assert!(Component::from_cache(&engine, &path).is_none());
    Component::from_module(&engine, std::fs::read(&path).unwrap()).unwrap();
    let (component, is_module) = Component::from_cache(&engine, &path).unwrap();
    assert!(is_module);
    assert_eq!(cache.cache_hits(), 1);
    assert_eq!(symbols(&component), expected());
    let in_memory = Component::from_module(&engine, std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        (cache.cache_hits(), symbols(&in_memory)),
        (2, expected().into())
    );
    // The module is not taken for a component.
    assert!(Component::from_file(&engine, &path).is_err());
    // A file that has changed since says nothing.
    let (component, is_module) = Component::from_cache(&engine, &path).unwrap();
    assert!(is_module);
    std::fs::write(&path, module(&[])).unwrap();
    assert_eq!(symbols(&component), <[Vec<String>; 2]>::default());
}

/// Whatever the sections contain, the trap is reported.
#[test]
fn damaged_debug_information_is_left_out() {
    let engine = Engine::new(with_details().opt_level(mintage::OptLevel::None)).unwrap();
    let good = dwarf(5);
    let mut found = 0;
    let mut try_with = |sections: &[Named<'_>]| {
        let component = Component::from_module(&engine, module(sections)).unwrap();
        found += usize::from(symbols(&component)[0].len() == 2);
    };
    for section in 0..good.len() {
        let len = good[section].1.len();
        for at in (0..len).step_by(1 + len / 40) {
            for byte in [0, 0xff, good[section].1[at] ^ 0x55] {
                let mut sections = good.clone();
                sections[section].1[at] = byte;
                try_with(&sections);
            }
            let mut sections = good.clone();
            sections[section].1.truncate(at);
            try_with(&sections);
        }
        let mut sections = good.clone();
        sections.remove(section);
        try_with(&sections);
    }
    assert!(found > 0, "some damage does not matter");
}

/// Many units share a line program that is long, and none has the address.
#[test]
fn debug_information_that_takes_long_is_left_out() {
    let good = dwarf(4);
    let section = |name: &str| {
        let found = good.iter().find(|(other, _)| *other == name);
        found.unwrap().1.clone()
    };
    let unit = section(".debug_info");
    let units = unit.repeat(200_000);
    // Abbreviations are parsed anew for each unit.
    let mut abbreviations = section(".debug_abbrev");
    assert_eq!(abbreviations.pop(), Some(0));
    for code in 100u32..30_000 {
        let low = (code & 0x7f) as u8 | 0x80;
        let middle = (code >> 7 & 0x7f) as u8 | 0x80;
        abbreviations.extend([low, middle, (code >> 14) as u8, 0x2e, 0, 0, 0]);
    }
    abbreviations.push(0);
    let mut sections = vec![
        (".debug_info", units),
        (".debug_abbrev", abbreviations),
        (".debug_line", section(".debug_line")),
        (".debug_str", section(".debug_str")),
    ];
    // No unit has the address: their code begins elsewhere.
    for at in (0..sections[0].1.len()).step_by(unit.len()) {
        let unit = &mut sections[0].1[at..at + unit.len()];
        let low = unit
            .windows(4)
            .position(|bytes| bytes == 2u32.to_le_bytes())
            .unwrap();
        unit[low..low + 4].copy_from_slice(&5000u32.to_le_bytes());
    }
    let engine = Engine::new(&with_details()).unwrap();
    let component = Component::from_module(&engine, module(&sections)).unwrap();
    let start = Instant::now();
    symbols(&component);
    // Half a second, and what one step takes on a busy machine.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

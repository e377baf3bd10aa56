//! Backtraces of programs that trap: names of functions, and lines of source.

use crate::common::Sandbox;
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};
use std::fmt::Write;

/// The program. The trap is at offset 8 of the contents of its code section, and the call at 3.
const PROGRAM: &str = r#"(module
    (func $main (export "_start") (call $divide))
    (func $divide unreachable)"#;

/// Returns debug information for the program, as custom sections in the text format.
fn debug_sections() -> String {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 4,
    };
    let text = |text: &str| LineString::String(text.into());
    let mut lines = LineProgram::new(
        encoding,
        LineEncoding::default(),
        text("/home/app"),
        None,
        text("main.c"),
        None,
    );
    let directory = lines.default_directory();
    let file = lines.add_file(text("main.c"), directory, None);
    lines.begin_sequence(Some(Address::Constant(2)));
    for (offset, line) in [(0, 20), (1, 21), (5, 30), (6, 31)] {
        let row = lines.row();
        (row.address_offset, row.file, row.line, row.column) = (offset, file, line, 5);
        lines.generate_row();
    }
    lines.end_sequence(8);
    let mut dwarf = DwarfUnit::new(encoding);
    dwarf.unit.line_program = lines;
    let root = dwarf.unit.get_mut(dwarf.unit.root());
    for (name, value) in [
        (
            gimli::DW_AT_name,
            AttributeValue::String(b"main.c".to_vec()),
        ),
        (
            gimli::DW_AT_comp_dir,
            AttributeValue::String(b"/home/app".to_vec()),
        ),
        (
            gimli::DW_AT_low_pc,
            AttributeValue::Address(Address::Constant(2)),
        ),
        (gimli::DW_AT_high_pc, AttributeValue::Udata(8)),
    ] {
        root.set(name, value);
    }
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut custom = String::new();
    let add = |id: gimli::SectionId, data: &EndianVec<LittleEndian>| {
        let bytes = data.slice().iter().fold(String::new(), |mut text, byte| {
            _ = write!(text, "\\{byte:02x}");
            text
        });
        _ = write!(custom, "(@custom \"{}\" \"{bytes}\")", id.name());
        Ok::<_, gimli::write::Error>(())
    };
    sections.for_each(add).unwrap();
    custom
}

#[test]
fn backtraces_have_names_and_lines_of_source() {
    let sandbox = Sandbox::new();
    let trap = "wasm trap: wasm `unreachable` instruction executed";
    sandbox.write("app.wat", format!("{PROGRAM})"));
    sandbox.fail(&["app.wat"], 134, &[trap, "divide", "main"]);
    let binary = wat::parse_str(format!("{PROGRAM} {})", debug_sections())).unwrap();
    sandbox.write("lines.wasm", binary);
    for _ in ["compiled", "from the cache"] {
        let places = ["/home/app/main.c:31:5", "/home/app/main.c:21:5"];
        let messages = [&[trap, "divide", "main"][..], &places].concat();
        sandbox.fail(&["lines.wasm"], 134, &messages);
    }
}

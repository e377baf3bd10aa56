//! Looks up one address in the debug information of a core module.

use super::sections::ModuleSections;
use crate::error::FrameSymbol;
use gimli::{
    AttributeValue, ColumnType, DW_AT_abstract_origin, DW_AT_call_column, DW_AT_call_file,
    DW_AT_call_line, DW_AT_linkage_name, DW_AT_name, DW_AT_specification,
    DW_TAG_inlined_subroutine, DW_TAG_subprogram, DebugInfoOffset, DebuggingInformationEntry,
    Dwarf, EndianSlice, LineProgramHeader, LittleEndian, RangeIter, Unit, UnitHeader, UnitOffset,
};
use std::time::Instant;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// The most functions that are inlined into each other, and the most references from one
/// description of a function to another.
const DEPTH: usize = 64;

/// A lookup in progress.
struct Lookup<'a> {
    dwarf: Dwarf<Slice<'a>>,
    address: u64,
    deadline: Instant,
    steps: u32,
}

/// A function that has the address: one with code of its own, or one that is inlined.
struct Found<'a> {
    name: Option<Slice<'a>>,
    /// For one that is inlined, the place of the call in the function around it.
    call: Place,
}

#[derive(Clone, Copy, Default)]
struct Place {
    file: Option<u64>,
    line: Option<u32>,
    column: Option<u32>,
}

/// Returns the places in the source of the instruction at an address, innermost inlined function
/// first. `None` if the debug information does not have the address, is damaged, or would take
/// longer than until `deadline`.
pub fn lookup(
    module: &ModuleSections,
    address: u64,
    deadline: Instant,
) -> Option<Vec<FrameSymbol>> {
    let section = |id: gimli::SectionId| {
        let bytes = module.debug.get(id.name()).map_or(&[][..], |bytes| bytes);
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    };
    let mut lookup = Lookup {
        dwarf: Dwarf::load(section).ok()?,
        address,
        deadline,
        steps: 0,
    };
    let unit = lookup.unit()?;
    let functions = lookup.functions(&unit).unwrap_or_default();
    let row = lookup.line(&unit).unwrap_or_default();
    Some(lookup.symbols(&unit, functions, row))
}

impl<'a> Lookup<'a> {
    /// Counts a step of the lookup. `None` if there is no time left.
    fn step(&mut self) -> Option<()> {
        self.steps = self.steps.wrapping_add(1);
        (!self.steps.is_multiple_of(256) || Instant::now() < self.deadline).then_some(())
    }

    /// A step that takes long by itself.
    fn long_step(&mut self) -> Option<()> {
        (Instant::now() < self.deadline).then_some(())
    }

    /// Finds the unit with the address.
    fn unit(&mut self) -> Option<Unit<Slice<'a>>> {
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            self.long_step()?;
            let Some(unit) = self.parse(header) else {
                continue;
            };
            if let Ok(ranges) = self.dwarf.unit_ranges(&unit)
                && self.is_in(ranges)?
            {
                return Some(unit);
            }
        }
        None
    }

    fn parse(&self, header: UnitHeader<Slice<'a>>) -> Option<Unit<Slice<'a>>> {
        self.dwarf.unit(header).ok()
    }

    /// Returns whether one of the ranges has the address. `None` if there is no time left.
    fn is_in(&mut self, mut ranges: RangeIter<Slice<'a>>) -> Option<bool> {
        while let Ok(Some(range)) = ranges.next() {
            self.step()?;
            // The linker moves functions that it removes to address 0.
            if range.begin != 0 && (range.begin..range.end).contains(&self.address) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Returns the functions of a unit that have the address, outermost first.
    fn functions(&mut self, unit: &Unit<Slice<'a>>) -> Option<Vec<Found<'a>>> {
        let mut found = Vec::new();
        let mut entries = unit.entries();
        // Entries below this depth are in a function that does not have the address.
        let mut skipped = isize::MAX;
        // The depth of the innermost function that has it.
        let mut inside = isize::MIN;
        while let Ok(Some(entry)) = entries.next_dfs() {
            self.step()?;
            let depth = entry.depth();
            if depth > skipped {
                continue;
            }
            skipped = isize::MAX;
            if depth <= inside {
                // The function has ended, and the address is in no other.
                break;
            }
            let tag = entry.tag();
            if tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine {
                continue;
            }
            let ranges = self.dwarf.die_ranges(unit, entry).unwrap_or_default();
            if !self.is_in(ranges)? {
                skipped = depth;
                continue;
            }
            if found.len() == DEPTH {
                break;
            }
            inside = depth;
            found.push(Found {
                name: self.name(unit, entry),
                call: Place {
                    file: number(entry, DW_AT_call_file),
                    line: number(entry, DW_AT_call_line).and_then(|line| line.try_into().ok()),
                    column: number(entry, DW_AT_call_column).and_then(|c| c.try_into().ok()),
                },
            });
        }
        Some(found)
    }

    /// Returns the name of a function. It may be in another entry that the entry refers to.
    fn name(&mut self, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) -> Option<Slice<'a>> {
        let name = |dwarf: &Dwarf<Slice<'a>>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>| {
            [DW_AT_linkage_name, DW_AT_name]
                .iter()
                .filter_map(|&name| entry.attr_value(name))
                .find_map(|value| dwarf.attr_string(unit, value).ok())
        };
        let reference = |entry: &Entry<'a>| {
            [DW_AT_abstract_origin, DW_AT_specification]
                .iter()
                .find_map(|&name| entry.attr_value(name))
        };
        if let Some(name) = name(&self.dwarf, unit, entry) {
            return Some(name);
        }
        let mut next = reference(entry);
        let mut other: Option<Unit<Slice<'a>>> = None;
        for _ in 0..DEPTH {
            self.step()?;
            let offset = match next? {
                AttributeValue::UnitRef(offset) => offset,
                AttributeValue::DebugInfoRef(offset) => {
                    let (unit, offset) = self.other_unit(offset)?;
                    other = Some(unit);
                    offset
                }
                _ => return None,
            };
            let unit = other.as_ref().unwrap_or(unit);
            let mut entries = unit.entries_at_offset(offset).ok()?;
            let entry = entries.next_dfs().ok()??;
            if let Some(name) = name(&self.dwarf, unit, entry) {
                return Some(name);
            }
            next = reference(entry);
        }
        None
    }

    /// Finds the unit with an entry, by its offset in the section.
    fn other_unit(
        &mut self,
        offset: DebugInfoOffset<usize>,
    ) -> Option<(Unit<Slice<'a>>, UnitOffset<usize>)> {
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            self.step()?;
            if let Some(offset) = offset.to_unit_offset(&header) {
                self.long_step()?;
                return Some((self.parse(header)?, offset));
            }
        }
        None
    }

    /// Returns the line of the address.
    fn line(&mut self, unit: &Unit<Slice<'a>>) -> Option<Place> {
        let mut rows = unit.line_program.clone()?.rows();
        let mut before: Option<(u64, Place)> = None;
        while let Ok(Some((_, row))) = rows.next_row() {
            self.step()?;
            if let Some((start, place)) = before
                && (start..row.address()).contains(&self.address)
            {
                return Some(place);
            }
            let place = Place {
                file: Some(row.file_index()),
                line: row.line().and_then(|line| line.get().try_into().ok()),
                column: match row.column() {
                    ColumnType::LeftEdge => None,
                    ColumnType::Column(column) => column.get().try_into().ok(),
                },
            };
            before = (!row.end_sequence()).then_some((row.address(), place));
        }
        None
    }

    /// Combines the functions, outermost first, with the line of the innermost one.
    fn symbols(
        &self,
        unit: &Unit<Slice<'a>>,
        functions: Vec<Found<'a>>,
        row: Place,
    ) -> Vec<FrameSymbol> {
        let header = unit.line_program.as_ref().map(|program| program.header());
        let symbol = |name: Option<Slice<'a>>, place: Place| FrameSymbol {
            name: name.map(|name| name.to_string_lossy().into_owned()),
            file: place.file.and_then(|file| self.path(unit, header?, file)),
            line: place.line,
            column: place.column,
        };
        let mut symbols = Vec::new();
        let mut place = row;
        for function in functions.into_iter().rev() {
            symbols.push(symbol(function.name, place));
            place = function.call;
        }
        if symbols.is_empty() && row.line.is_some() {
            symbols.push(symbol(None, row));
        }
        symbols
    }

    /// Returns the path of a file of a unit.
    fn path(
        &self,
        unit: &Unit<Slice<'a>>,
        header: &LineProgramHeader<Slice<'a>>,
        file: u64,
    ) -> Option<String> {
        let text = |value| {
            let text = self.dwarf.attr_string(unit, value).ok()?;
            Some(text.to_string_lossy().into_owned())
        };
        let file = header.file(file)?;
        let mut path = text(file.path_name())?;
        let mut prepend = |folder: &str| {
            if !folder.is_empty() && !path.starts_with('/') {
                path = format!("{}/{path}", folder.trim_end_matches('/'));
            }
        };
        if let Some(folder) = file.directory(header).and_then(text) {
            prepend(&folder);
        }
        if let Some(folder) = unit.comp_dir {
            prepend(&folder.to_string_lossy());
        }
        Some(path)
    }
}

fn number(entry: &Entry<'_>, name: gimli::DwAt) -> Option<u64> {
    match entry.attr_value(name)? {
        AttributeValue::FileIndex(file) => Some(file),
        value => value.udata_value(),
    }
}

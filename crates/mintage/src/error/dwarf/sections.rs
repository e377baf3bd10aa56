//! The sections of the core modules in a component, without validation.

use std::collections::HashMap;
use std::ops::Range;

/// A core module that has debug information.
pub struct ModuleSections {
    /// The place of the contents of its code section in the component.
    pub code: Range<usize>,
    /// The contents of its sections of debug information, by name.
    pub debug: HashMap<String, Box<[u8]>>,
}

/// The number of the section with a core module, in a component.
const CORE_MODULE: u8 = 1;
/// The number of the section with a nested component, in a component.
const COMPONENT: u8 = 4;
/// The number of a custom section.
const CUSTOM: u8 = 0;
/// The number of the code section, in a core module.
const CODE: u8 = 10;
/// The number of bytes of magic number and version.
const HEADER: usize = 8;

/// Returns the core modules that have debug information, in the order of the component. What is
/// malformed is left out.
pub fn read(bytes: &[u8]) -> Vec<ModuleSections> {
    let mut modules = Vec::new();
    // Ranges of components that are to be searched. Each is smaller than the one around it, and
    // ranges beside each other do not overlap.
    let mut components: Vec<Range<usize>> = std::iter::once(0..bytes.len()).collect();
    while let Some(component) = components.pop() {
        for (id, contents) in sections(bytes, component) {
            match id {
                CORE_MODULE => modules.extend(module(bytes, contents)),
                COMPONENT => components.push(contents),
                _ => {}
            }
        }
    }
    modules
}

fn module(bytes: &[u8], range: Range<usize>) -> Option<ModuleSections> {
    let mut code = None;
    let mut debug = HashMap::new();
    for (id, contents) in sections(bytes, range) {
        match id {
            CODE => code = Some(contents),
            CUSTOM => {
                let mut at = contents.start;
                let Some(len) = leb(bytes, &mut at, contents.end) else {
                    continue;
                };
                let (name, data) = bytes[at..contents.end].split_at_checked(len as usize)?;
                if let Ok(name) = std::str::from_utf8(name)
                    && name.starts_with(".debug_")
                {
                    debug.insert(name.to_string(), data.into());
                }
            }
            _ => {}
        }
    }
    match debug.is_empty() {
        true => None,
        false => Some(ModuleSections { code: code?, debug }),
    }
}

/// Returns the numbers and contents of the sections of a module or component, up to the first one
/// that is malformed.
fn sections(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = (u8, Range<usize>)> {
    let mut at = range.start.saturating_add(HEADER);
    std::iter::from_fn(move || {
        let id = *bytes.get(at).filter(|_| at < range.end)?;
        at += 1;
        let len = leb(bytes, &mut at, range.end)? as usize;
        let end = at.checked_add(len).filter(|end| *end <= range.end)?;
        let contents = at..end;
        at = end;
        Some((id, contents))
    })
}

/// Reads an unsigned number of 32 bits that ends before `end`.
fn leb(bytes: &[u8], at: &mut usize, end: usize) -> Option<u32> {
    let mut number = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(*at).filter(|_| *at < end)?;
        *at += 1;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

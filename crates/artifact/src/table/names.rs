//! The names in the name sections of core modules: of functions, by ordinal in the key table, and
//! of modules, by core instance.
//!
//! ```text
//! functions: u32 | modules: u32 | end: [u32; functions + modules] | bytes
//! ```
//!
//! Ends are relative to the first of the bytes. A name starts at the end of the previous one, and
//! an empty one stands for no name. If no function has a name, `functions` is 0.

use super::word;
use anyhow::{Context, Result};
use mintage_environ::{CoreInstanceId, FuncOrdinal};

/// Encodes the table of these names.
///
/// # Errors
///
/// Returns an error if all names together exceed 4 GiB.
pub fn encode(functions: &[Option<&str>], modules: &[Option<&str>]) -> Result<Vec<u8>> {
    let or_none = |names| if has_names(names) { names } else { &[] };
    let (functions, modules) = (or_none(functions), or_none(modules));
    let mut table = Vec::new();
    table.extend((functions.len() as u32).to_le_bytes());
    table.extend((modules.len() as u32).to_le_bytes());
    let names = || {
        functions
            .iter()
            .chain(modules)
            .map(|name| name.unwrap_or_default())
    };
    let mut end = 0usize;
    for name in names() {
        end += name.len();
        table.extend(
            u32::try_from(end)
                .context("the names of all functions exceed 4 GiB")?
                .to_le_bytes(),
        );
    }
    names().for_each(|name| table.extend(name.as_bytes()));
    Ok(table)
}

fn has_names(names: &[Option<&str>]) -> bool {
    names.iter().flatten().any(|name| !name.is_empty())
}

/// The names, in place.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    functions: usize,
    ends: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Names<'a> {
    /// Opens `table`. Returns `None` if its size differs from the size that its head implies. The
    /// time does not depend on the size.
    pub fn new(table: &'a [u8]) -> Option<Self> {
        let functions = word(table, 0)? as usize;
        let ends = functions
            .checked_add(word(table, 1)? as usize)?
            .checked_mul(4)?;
        let (ends, bytes) = table.get(8..)?.split_at_checked(ends)?;
        let names = Self {
            functions,
            ends,
            bytes,
        };
        let end = match names.len().checked_sub(1) {
            Some(last) => word(ends, last)? as usize,
            None => 0,
        };
        (end == bytes.len()).then_some(names)
    }

    fn len(&self) -> usize {
        self.ends.len() / 4
    }

    fn get(&self, index: usize) -> Option<&'a str> {
        let start = match index.checked_sub(1) {
            Some(before) => word(self.ends, before)?,
            None => 0,
        };
        let bytes = self
            .bytes
            .get(start as usize..word(self.ends, index)? as usize)?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|name| !name.is_empty())
    }

    /// Returns the name of the function with this ordinal.
    pub fn function(&self, ordinal: FuncOrdinal) -> Option<&'a str> {
        let index = ordinal.as_u32() as usize;
        (index < self.functions).then(|| self.get(index))?
    }

    /// Returns the name of a core instance's module.
    pub fn module(&self, instance: CoreInstanceId) -> Option<&'a str> {
        self.get(self.functions.checked_add(instance.as_u32() as usize)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = Vec<Option<String>>> {
        vec(proptest::option::of(".{1,6}"), 0..20)
    }

    fn as_strs(names: &[Option<String>]) -> Vec<Option<&str>> {
        names.iter().map(|name| name.as_deref()).collect()
    }

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(functions in names(), modules in names()) {
            let (functions, modules) = (as_strs(&functions), as_strs(&modules));
            let table = encode(&functions, &modules).unwrap();
            let names = Names::new(&table).unwrap();
            for i in 0..25 {
                let ordinal = FuncOrdinal::from_u32(i as u32);
                prop_assert_eq!(names.function(ordinal), functions.get(i).copied().flatten());
                let instance = CoreInstanceId::from_u32(i as u32);
                prop_assert_eq!(names.module(instance), modules.get(i).copied().flatten());
            }
            if table.len() > 8 {
                prop_assert!(Names::new(&table[..table.len() - 1]).is_none());
            }
        }

        #[test]
        fn any_bytes_are_harmless(
            table in vec(any::<u8>(), 0..64),
            counts in [0u8..12, 0u8..12],
            index in 0u32..30,
        ) {
            let mut table = table;
            if let Some(front) = table.first_chunk_mut() {
                *front = [counts[0], 0, 0, 0, counts[1], 0, 0, 0];
            }
            if let Some(names) = Names::new(&table) {
                names.function(FuncOrdinal::from_u32(index));
                names.module(CoreInstanceId::from_u32(index));
            }
        }
    }

    #[test]
    fn absent_names_take_no_space() {
        assert_eq!(encode(&[None; 1000], &[None]).unwrap().len(), 8);
    }
}

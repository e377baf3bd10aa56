//! Names that the component's core modules give: of functions by ordinal in the key table, of
//! modules by core instance.
//!
//! ```text
//! functions: u32 | modules: u32 | end: [u32; functions + modules] | bytes
//! ```
//!
//! Ends count from the first of the bytes; a name starts where the one before it ends. No name is
//! an empty one. Where no function has a name, `functions` is 0.

use super::word;
use anyhow::{Context, Result};
use mintage_environ::CoreInstanceId;

/// The table of these names.
///
/// # Errors
///
/// When the names together exceed 4 GiB.
pub fn encode(functions: &[Option<&str>], modules: &[Option<&str>]) -> Result<Vec<u8>> {
    let or_none = |names| if names_anything(names) { names } else { &[] };
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

fn names_anything(names: &[Option<&str>]) -> bool {
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
    /// The table in `table`, or `None` when it cannot hold as many names as it claims, or has bytes
    /// behind the last one. The cost does not depend on its size.
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

    /// The name of the function with this ordinal.
    pub fn function(&self, ordinal: usize) -> Option<&'a str> {
        (ordinal < self.functions).then(|| self.get(ordinal))?
    }

    /// The name of the module of this core instance.
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
                prop_assert_eq!(names.function(i), functions.get(i).copied().flatten());
                prop_assert_eq!(names.module(CoreInstanceId::from_u32(i as u32)), modules.get(i).copied().flatten());
            }
            if table.len() > 8 {
                prop_assert!(Names::new(&table[..table.len() - 1]).is_none());
            }
        }

        #[test]
        fn any_bytes_are_harmless(
            table in vec(any::<u8>(), 0..64),
            counts in [0u8..12, 0u8..12],
            index in 0usize..30,
        ) {
            let mut table = table;
            if let Some(front) = table.first_chunk_mut() {
                *front = [counts[0], 0, 0, 0, counts[1], 0, 0, 0];
            }
            if let Some(names) = Names::new(&table) {
                names.function(index);
                names.module(CoreInstanceId::from_u32(index as u32));
            }
        }
    }

    #[test]
    fn no_names_take_no_room() {
        assert_eq!(encode(&[None; 1000], &[None]).unwrap().len(), 8);
    }
}

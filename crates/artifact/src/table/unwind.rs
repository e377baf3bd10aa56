//! Exception handlers: for each call whose exceptions the calling function catches, by its return
//! address, the handlers.
//!
//! ```text
//! core end: u32 | sites: u32 | lists: u32 | handlers: u32
//! return offset: [u32; sites]                  ascending
//! { frame size: u32, list: u32 } [sites]       calls with the same handlers share a list
//! end of its handlers: [u32; lists]            a list's handlers start at the previous list's end
//! { type: u32, offset: u32 } [handlers]        the first handler that fits counts
//! ```
//!
//! All offsets are relative to the start of the text. Functions of core modules are before the core
//! end. All others, adapters and trampolines, are after it, and exceptions do not propagate through
//! them. A handler of type [`ANY`] catches all exceptions.

use super::word;
use anyhow::{Context, Result};
use indexmap::IndexSet;
use mintage_environ::{CatchSite, Handlers, ObjectTypeId};

/// The type of a handler that catches all exceptions.
const ANY: u32 = u32::MAX;
/// The number of words before the return offsets.
const HEAD: usize = 4;

/// The handler that catches an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Catch {
    /// Code offset of the handler's first instruction.
    pub offset: u32,
    /// Bytes from the stack pointer up to the frame pointer there.
    pub frame_size: u32,
}

/// The table of `sites`, in order of their return addresses.
///
/// # Errors
///
/// When there are 2^32 handlers or more.
pub fn encode(core_end: u32, sites: &[CatchSite]) -> Result<Vec<u8>> {
    debug_assert!(
        sites.is_sorted_by(|a, b| a.return_offset < b.return_offset),
        "sites are sorted"
    );
    let mut lists: IndexSet<&Handlers> = IndexSet::new();
    let mut records = Vec::with_capacity(2 * sites.len());
    for site in sites {
        let (number, _) = lists.insert_full(&site.handlers);
        records.extend([site.frame_size, number as u32]);
    }
    let handlers = lists.iter().map(|list| list.len()).sum::<usize>();
    let handlers = u32::try_from(handlers).context("there are 2^32 exception handlers or more")?;
    let mut words = vec![core_end, sites.len() as u32, lists.len() as u32, handlers];
    words.extend(sites.iter().map(|site| site.return_offset));
    words.extend(records);
    let mut end = 0;
    for list in &lists {
        end += list.len() as u32;
        words.push(end);
    }
    for &(ty, offset) in lists.iter().copied().flatten() {
        words.extend([ty.map_or(ANY, ObjectTypeId::as_u32), offset]);
    }
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// The table, in place.
#[derive(Clone, Copy)]
pub struct Unwind<'a> {
    core_end: u32,
    sites: usize,
    lists: usize,
    bytes: &'a [u8],
}

impl<'a> Unwind<'a> {
    /// The table in `bytes`, or `None` when these are not as many as it claims to take. The cost
    /// does not depend on its size.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let count = |at| word(bytes, at).map(|count| count as usize);
        let (sites, lists, handlers) = (count(1)?, count(2)?, count(3)?);
        let words = sites.checked_mul(3)?.checked_add(lists)?;
        let words = words
            .checked_add(handlers.checked_mul(2)?)?
            .checked_add(HEAD)?;
        (words.checked_mul(4)? == bytes.len()).then_some(Self {
            core_end: word(bytes, 0)?,
            sites,
            lists,
            bytes,
        })
    }

    /// Returns whether a return address is in a function of a core module.
    pub fn is_core(&self, return_offset: u32) -> bool {
        return_offset < self.core_end
    }

    /// Returns the handler for an exception of type `ty` that leaves the call with this return
    /// address, if the caller has one.
    pub fn find(&self, return_offset: u32, ty: ObjectTypeId) -> Option<Catch> {
        let word = |index| word(self.bytes, index);
        let number = super::search(self.bytes, HEAD, self.sites, return_offset)?;
        let site = HEAD + self.sites + 2 * number;
        let list = word(site + 1)? as usize;
        let ends = HEAD + 3 * self.sites;
        let end = |list: usize| word(ends.checked_add(list)?);
        let start = if list == 0 { 0 } else { end(list - 1)? };
        let handlers = ends + self.lists;
        for handler in start..end(list)? {
            let handler = handlers.checked_add(2 * handler as usize)?;
            let caught = word(handler)?;
            if caught == ty.as_u32() || caught == ANY {
                return Some(Catch {
                    offset: word(handler + 1)?,
                    frame_size: word(site)?,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn sites() -> impl Strategy<Value = Vec<CatchSite>> {
        let ty = (0u32..4).prop_map(ObjectTypeId::from_u32);
        let handlers = vec((proptest::option::of(ty), any::<u32>()), 0..5);
        btree_map(0u32..100, (any::<u32>(), handlers), 0..30).prop_map(|sites| {
            let site = |(return_offset, (frame_size, handlers)): (u32, (u32, Vec<_>))| CatchSite {
                return_offset,
                frame_size,
                handlers: handlers.into(),
            };
            sites.into_iter().map(site).collect()
        })
    }

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(sites in sites(), core_end: u32) {
            let bytes = encode(core_end, &sites).unwrap();
            let table = Unwind::new(&bytes).unwrap();
            for return_offset in 0..101 {
                let site = sites.iter().find(|site| site.return_offset == return_offset);
                for ty in (0..5).map(ObjectTypeId::from_u32) {
                    let expected = site.and_then(|site| {
                        let mut handlers = site.handlers.iter();
                        let (_, offset) = *handlers.find(|(caught, _)| {
                            caught.is_none_or(|caught| caught == ty)
                        })?;
                        Some(Catch { offset, frame_size: site.frame_size })
                    });
                    prop_assert_eq!(table.find(return_offset, ty), expected);
                }
                prop_assert_eq!(table.is_core(return_offset), return_offset < core_end);
            }
            prop_assert!(Unwind::new(&bytes[..bytes.len() - 1]).is_none());
        }

        #[test]
        fn any_bytes_are_harmless(
            words in vec(any::<u32>(), 0..40),
            counts in [0u32..6, 0u32..6, 0u32..6],
            ty in 0u32..4,
        ) {
            let mut words = words;
            if words.len() >= HEAD {
                words[1..HEAD].copy_from_slice(&counts);
                words.resize(HEAD + (3 * counts[0] + counts[1] + 2 * counts[2]) as usize, 1);
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Some(table) = Unwind::new(&bytes) {
                words.iter().for_each(|&word| _ = table.find(word, ObjectTypeId::from_u32(ty)));
            }
        }
    }

    #[test]
    fn equal_lists_are_kept_once() {
        let handlers: Arc<[_]> = (0..1000)
            .map(|ty| (Some(ObjectTypeId::from_u32(ty)), 7))
            .collect();
        let sites = (0..1000).map(|return_offset| CatchSite {
            return_offset,
            frame_size: 16,
            handlers: handlers.clone(),
        });
        let sites: Vec<_> = sites.collect();
        assert!(encode(0, &sites).unwrap().len() < 12 * sites.len() + 8 * handlers.len() + 100);
    }
}

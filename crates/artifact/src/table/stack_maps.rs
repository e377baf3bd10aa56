//! Where references to objects stand in the frames of callers: for each call across which some are live, by its return address.
//!
//! ```text
//! sites: u32 | slots: u32
//! return offset: [u32; sites]                      from the start of the text, ascending
//! { domain: u32, end of its slots: u32 } [sites]   a site's slots start where those of the one before end
//! distance: [u32; slots]                           from a word of the frame up to its frame pointer, in bytes
//! ```

use super::word;
use anyhow::{Context, Result};
use mintage_environ::DomainId;

/// Words in front of the return offsets.
const HEAD: usize = 2;

/// A call across which references are live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackMap {
    /// The return address.
    pub return_offset: u32,
    /// The component instance whose objects they refer to.
    pub domain: DomainId,
    /// How far below the frame pointer each is: a word of 8 bytes.
    pub slots: Vec<u32>,
}

/// The table of `maps`, in order of their return addresses.
///
/// # Errors
///
/// When there are 2^32 slots or more.
pub fn encode(maps: &[StackMap]) -> Result<Vec<u8>> {
    debug_assert!(
        maps.is_sorted_by(|a, b| a.return_offset < b.return_offset),
        "stack maps are sorted"
    );
    let slots = maps.iter().map(|map| map.slots.len()).sum::<usize>();
    let slots = u32::try_from(slots).context("there are 2^32 references in frames or more")?;
    let mut words = vec![maps.len() as u32, slots];
    words.extend(maps.iter().map(|map| map.return_offset));
    let mut end = 0;
    for map in maps {
        end += map.slots.len() as u32;
        words.extend([map.domain.as_u32(), end]);
    }
    words.extend(maps.iter().flat_map(|map| &map.slots));
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// The table, in place.
#[derive(Clone, Copy)]
pub struct StackMaps<'a> {
    sites: usize,
    bytes: &'a [u8],
}

impl<'a> StackMaps<'a> {
    /// The table in `bytes`, or `None` when these are not as many as it claims to take. The cost does not depend on its size.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (sites, slots) = (word(bytes, 0)? as usize, word(bytes, 1)? as usize);
        let words = sites.checked_mul(3)?.checked_add(slots)?.checked_add(HEAD)?;
        (words.checked_mul(4)? == bytes.len()).then_some(Self { sites, bytes })
    }

    /// Whose objects the references in a frame refer to that is called back at `return_offset`, and how far below the frame
    /// pointer each is; `None` when it has none.
    pub fn find(self, return_offset: u32) -> Option<(DomainId, impl Iterator<Item = u32> + 'a)> {
        let word = move |index| word(self.bytes, index);
        let site = super::search(self.bytes, HEAD, self.sites, return_offset)?;
        let record = HEAD + self.sites + 2 * site;
        let start = if site == 0 { 0 } else { word(record - 1)? };
        let (domain, end) = (word(record)?, word(record + 1)?);
        let slots = HEAD + 3 * self.sites;
        let slots = (start..end).map_while(move |slot| word(slots.checked_add(slot as usize)?));
        Some((DomainId::from_u32(domain), slots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn maps() -> impl Strategy<Value = Vec<StackMap>> {
        btree_map(0u32..100, (0u32..4, vec(any::<u32>(), 0..5)), 0..30).prop_map(|maps| {
            let map = |(return_offset, (domain, slots))| StackMap {
                return_offset,
                domain: DomainId::from_u32(domain),
                slots,
            };
            maps.into_iter().map(map).collect()
        })
    }

    proptest! {
        #[test]
        fn lookups_agree_with_the_list(maps in maps()) {
            let bytes = encode(&maps).unwrap();
            let table = StackMaps::new(&bytes).unwrap();
            for return_offset in 0..101 {
                let expected = maps.iter().find(|map| map.return_offset == return_offset);
                let expected = expected.map(|map| (map.domain, map.slots.clone()));
                let found = table.find(return_offset).map(|(domain, slots)| (domain, slots.collect::<Vec<_>>()));
                prop_assert_eq!(found, expected);
            }
            prop_assert!(StackMaps::new(&bytes[..bytes.len() - 1]).is_none());
        }

        #[test]
        fn any_bytes_are_harmless(words in vec(any::<u32>(), 0..40), counts in [0u32..6, 0u32..6]) {
            let mut words = words;
            if words.len() >= HEAD {
                words[..HEAD].copy_from_slice(&counts);
                words.resize(HEAD + 3 * counts[0] as usize + counts[1] as usize, 1);
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Some(table) = StackMaps::new(&bytes) {
                words.iter().filter_map(|&word| table.find(word)).for_each(|(_, slots)| _ = slots.count());
            }
        }
    }
}

//! Stack maps: for each call across which GC references are live, by its return address, the words
//! of the frame that hold them.
//!
//! ```text
//! sites: u32 | maps: u32 | words: u32
//! return offset: [u32; sites]              from the start of the text, ascending
//! { domain: u32, map: u32 } [sites]        calls with references in the same places share a map
//! end of its words: [u32; maps]            a map's words start at the previous map's end
//! word: [u32; words]                       see [`FrameSlots`]
//! ```

use super::word;
use anyhow::{Context, Result};
use indexmap::IndexSet;
use mintage_environ::{DomainId, FrameSlots, StackMap};

/// The number of words before the return offsets.
const HEAD: usize = 3;

/// Encodes the table of `maps`, in order of their return addresses, each with the component
/// instance whose objects the references refer to.
///
/// # Errors
///
/// Returns an error if the sets take 2^32 words or more.
pub fn encode(maps: &[(DomainId, StackMap)]) -> Result<Vec<u8>> {
    debug_assert!(
        maps.is_sorted_by(|(_, a), (_, b)| a.return_offset < b.return_offset),
        "stack maps are sorted"
    );
    let mut shared: IndexSet<&FrameSlots> = IndexSet::new();
    let mut records = Vec::with_capacity(2 * maps.len());
    for (domain, map) in maps {
        let (number, _) = shared.insert_full(&map.slots);
        records.extend([domain.as_u32(), number as u32]);
    }
    let total = shared
        .iter()
        .map(|slots| slots.encoded().len())
        .sum::<usize>();
    let total =
        u32::try_from(total).context("the maps of references in frames take 2^32 words or more")?;
    let mut words = vec![maps.len() as u32, shared.len() as u32, total];
    words.extend(maps.iter().map(|(_, map)| map.return_offset));
    words.extend(records);
    let mut end = 0;
    for slots in &shared {
        end += slots.encoded().len() as u32;
        words.push(end);
    }
    words.extend(shared.iter().flat_map(|slots| slots.encoded()));
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// The table, in place.
#[derive(Clone, Copy)]
pub struct StackMaps<'a> {
    sites: usize,
    maps: usize,
    bytes: &'a [u8],
}

impl<'a> StackMaps<'a> {
    /// Returns the table in `bytes`, or `None` when these are not as many as it claims to take. The
    /// cost does not depend on its size.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let count = |at| word(bytes, at).map(|count| count as usize);
        let (sites, maps, words) = (count(0)?, count(1)?, count(2)?);
        let total = sites
            .checked_mul(3)?
            .checked_add(maps)?
            .checked_add(words)?;
        let total = total.checked_add(HEAD)?.checked_mul(4)?;
        (total == bytes.len()).then_some(Self { sites, maps, bytes })
    }

    /// Returns whose objects the references refer to in a frame that is returned to at
    /// `return_offset`, and how far below the frame pointer each is; `None` when it has none.
    pub fn find(self, return_offset: u32) -> Option<(DomainId, impl Iterator<Item = u32> + 'a)> {
        let word = move |index| word(self.bytes, index);
        let site = super::search(self.bytes, HEAD, self.sites, return_offset)?;
        let record = HEAD + self.sites + 2 * site;
        let (domain, map) = (word(record)?, word(record + 1)? as usize);
        let ends = HEAD + 3 * self.sites;
        let end = |map: usize| word(ends.checked_add(map)?);
        let start = if map == 0 { 0 } else { end(map - 1)? };
        let words = ends + self.maps;
        let words = (start..end(map)?).map_while(move |at| word(words.checked_add(at as usize)?));
        Some((DomainId::from_u32(domain), FrameSlots::decode(words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn maps() -> impl Strategy<Value = Vec<(DomainId, StackMap)>> {
        let slots = btree_set((0u32..50).prop_map(|word| word * 8), 1..5);
        btree_map(0u32..100, (0u32..4, slots), 0..30).prop_map(|maps| {
            let map = |(return_offset, (domain, slots))| {
                let slots = Arc::new(FrameSlots::new(slots).unwrap());
                let map = StackMap {
                    return_offset,
                    slots,
                };
                (DomainId::from_u32(domain), map)
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
                let expected = maps.iter().find(|(_, map)| map.return_offset == return_offset);
                let expected = expected.map(|(domain, map)| (*domain, map.slots.iter().collect()));
                let found = table.find(return_offset);
                let found = found.map(|(domain, slots)| (domain, slots.collect::<Vec<_>>()));
                prop_assert_eq!(found, expected);
            }
            prop_assert!(StackMaps::new(&bytes[..bytes.len() - 1]).is_none());
        }

        #[test]
        fn any_bytes_are_harmless(
            words in vec(any::<u32>(), 0..40),
            counts in [0u32..6, 0u32..6, 0u32..6],
        ) {
            let mut words = words;
            if words.len() >= HEAD {
                words[..HEAD].copy_from_slice(&counts);
                words.resize(HEAD + (3 * counts[0] + counts[1] + counts[2]) as usize, 1);
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Some(table) = StackMaps::new(&bytes) {
                let found = words.iter().filter_map(|&word| table.find(word));
                found.for_each(|(_, slots)| _ = slots.count());
            }
        }
    }

    #[test]
    fn equal_maps_are_kept_once() {
        let slots = Arc::new(FrameSlots::new((0..1000).map(|word| word * 8)).unwrap());
        let map = |return_offset| StackMap {
            return_offset,
            slots: slots.clone(),
        };
        let maps = (0..1000).map(|return_offset| (DomainId::from_u32(0), map(return_offset)));
        let maps: Vec<_> = maps.collect();
        assert!(encode(&maps).unwrap().len() < 12 * maps.len() + 200);
    }
}

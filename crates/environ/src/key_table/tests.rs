//! Tests of the table against a list of functions, and with corrupted bytes.

use super::*;
use crate::key::tests::{core_func, lower};
use crate::{Builtin, SigId};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The reference: functions in text order, and the size of the text.
#[derive(Clone, Debug)]
struct Functions {
    list: Vec<(FuncKey, Range<u32>)>,
    text_size: u32,
}

impl Functions {
    /// Lays out `keys` after `lead` bytes that belong to no function. The functions have `sizes`
    /// bytes in turn.
    fn new(mut keys: Vec<FuncKey>, sizes: &[u32], lead: u32) -> Self {
        keys.sort();
        keys.dedup();
        let mut end = lead;
        let list = keys
            .into_iter()
            .zip(sizes.iter().cycle())
            .map(|(key, size)| {
                let start = end;
                end += size;
                (key, start..end)
            });
        Self {
            list: list.collect(),
            text_size: end,
        }
    }

    fn encode(&self) -> Vec<u8> {
        KeyTableBuilder::encode(
            self.list.iter().map(|(key, range)| (*key, range.start)),
            self.text_size,
        )
    }

    /// Checks all lookups in both directions, for functions that exist and for neighbours that do
    /// not.
    fn check(&self) {
        let bytes = self.encode();
        let table = KeyTable::new(&bytes).unwrap();
        assert_eq!(table.len() as usize, self.list.len());
        assert_eq!(table.is_empty(), self.list.is_empty());
        assert_eq!(table.text_size(), self.text_size);
        assert_eq!(table.iter().collect::<Vec<_>>(), self.list);

        let by_key: BTreeMap<u64, FuncOrdinal> = self
            .list
            .iter()
            .zip(0..)
            .map(|((key, _), at)| (key.to_u64(), FuncOrdinal::from_u32(at)))
            .collect();
        for ((key, range), ordinal) in self.list.iter().zip((0..).map(FuncOrdinal::from_u32)) {
            assert_eq!(table.ordinal(*key), Some(ordinal), "{key}");
            assert_eq!(table.get(*key), Some(range.clone()), "{key}");
            assert_eq!(table.key(ordinal), Some(*key));
            assert_eq!(table.range(ordinal), Some(range.clone()));
            for offset in [
                range.start,
                range.start + (range.end - range.start) / 2,
                range.end - 1,
            ] {
                assert_eq!(
                    table.find(offset),
                    Some((ordinal, *key, range.start)),
                    "{offset:#x}"
                );
            }
            for step in [1, 63, 64, 511, 512, 1 << 32] {
                let packed = key.to_u64();
                for packed in [packed.wrapping_sub(step), packed.wrapping_add(step)] {
                    let Some(neighbour) = FuncKey::from_u64(packed) else {
                        continue;
                    };
                    assert_eq!(
                        table.ordinal(neighbour),
                        by_key.get(&packed).copied(),
                        "{neighbour}"
                    );
                }
            }
        }

        let lead = self.list.first().map_or(0, |(_, range)| range.start);
        let before = (lead > 0).then(|| lead - 1);
        for offset in before.into_iter().chain([self.text_size, u32::MAX]) {
            assert_eq!(table.find(offset), None, "{offset:#x}");
        }
        for ordinal in [table.len(), u32::MAX].map(FuncOrdinal::from_u32) {
            assert_eq!(table.key(ordinal), None);
            assert_eq!(table.range(ordinal), None);
        }
    }
}

/// Indexes of one namespace: sparse, dense with holes, or a run from zero.
fn indexes() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        btree_set(0..20_000u32, 0..60).prop_map(|set| set.into_iter().collect()),
        vec(prop::bool::weighted(0.9), 0..1500).prop_map(|live| (0..)
            .zip(live)
            .filter(|f| f.1)
            .map(|f| f.0)
            .collect()),
        (0..1100u32).prop_map(|count| (0..count).collect()),
    ]
}

fn functions() -> impl Strategy<Value = Functions> {
    let instances = vec(indexes(), 0..5);
    // A stride of more than one leaves core instances without functions.
    let keys = (
        instances,
        1..4u32,
        0..600u32,
        0..600u32,
        vec(any::<bool>(), Builtin::COUNT),
    );
    let keys = keys.prop_map(|(instances, stride, lowers, entries, builtins)| {
        let instances = instances.into_iter().zip((0..).step_by(stride as usize));
        let core = instances.flat_map(|(funcs, instance)| {
            funcs.into_iter().map(move |func| core_func(instance, func))
        });
        let builtins = Builtin::ALL
            .iter()
            .zip(builtins)
            .filter(|b| b.1)
            .map(|b| FuncKey::Builtin(*b.0));
        let entries = (0..entries).map(|signature| FuncKey::Entry(SigId::from_u32(signature)));
        core.chain((0..lowers).map(lower))
            .chain(entries)
            .chain(builtins)
            .collect()
    });
    (keys, vec(1..300u32, 1..20), 0..40u32)
        .prop_map(|(keys, sizes, lead)| Functions::new(keys, &sizes, lead))
}

/// Does all lookups in `bytes`, if they are a table. The answers must be within the promised
/// bounds.
fn exercise(bytes: &[u8], keys: &[FuncKey], offsets: &[u32]) {
    let Ok(table) = KeyTable::new(bytes) else {
        return;
    };
    let in_text =
        |range: Range<u32>| assert!(range.start <= range.end && range.end <= table.text_size());
    for key in keys {
        table.get(*key).into_iter().for_each(in_text);
        assert!(
            table
                .ordinal(*key)
                .is_none_or(|ordinal| ordinal.as_u32() < table.len())
        );
    }
    for offset in offsets.iter().copied() {
        for ordinal in [offset, offset.wrapping_add(1)].map(FuncOrdinal::from_u32) {
            table.range(ordinal).into_iter().for_each(in_text);
            table.key(ordinal);
        }
        if let Some((ordinal, _, start)) = table.find(offset) {
            assert!(
                ordinal.as_u32() < table.len() && start <= offset && offset < table.text_size()
            );
        }
    }
    for (_, range) in table.iter() {
        in_text(range);
    }
}

/// A word that is likely to be small or close to the maximum.
fn any_word() -> impl Strategy<Value = u32> {
    prop_oneof![0..20u32, any::<u32>(), u32::MAX - 9..=u32::MAX]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lookups_agree_with_the_list(functions in functions()) {
        functions.check();
    }

    #[test]
    fn corrupted_bytes_never_panic(
        functions in functions(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        words in vec((any::<prop::sample::Index>(), any_word()), 0..8),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = functions.encode();
        let length = length.map_or(bytes.len(), |length| length.index(bytes.len() + 1));
        bytes.truncate(length);
        for (at, value) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= value;
            }
        }
        // Plausible numbers get further into the table than flipped bits.
        for (at, value) in words {
            let (words, _) = bytes.as_chunks_mut();
            if !words.is_empty() {
                let at = at.index(words.len());
                words[at] = value.to_le_bytes();
            }
        }
        let list = functions.list.iter();
        let keys = list.clone().map(|f| f.0).chain([core_func(0xff_ffff, u32::MAX)]);
        let offsets = list.zip(0..).flat_map(|(f, at)| [at, f.1.start, f.1.end]);
        exercise(&bytes, &keys.collect::<Vec<_>>(), &offsets.collect::<Vec<_>>());
    }

    /// Everything that opening a table does not check is arbitrary here.
    #[test]
    fn unchecked_words_never_panic(
        rows in vec((0..8u32, 1..4usize), 1..5),
        counts in vec(prop_oneof![0..40u32, any::<u32>(), Just(u32::MAX)], 16),
        bits in vec(any::<[u64; 8]>(), 16),
        offsets in vec(prop_oneof![0..200u32, any::<u32>(), Just(u32::MAX)], 6..40),
    ) {
        let blocks = rows.iter().map(|row| row.1).sum();
        let mut words = vec![rows.len() as u32, blocks as u32, offsets.len() as u32 - 1];
        let mut counts = counts[..blocks].to_vec();
        let mut block = 0;
        for ((namespace, blocks), row) in rows.into_iter().zip(0..) {
            // Known and unknown kinds, ascending.
            words.extend([row << FuncKey::NAMESPACE_BITS | namespace, block as u32]);
            counts[block] = row;
            block += blocks;
        }
        words.extend(counts);
        for &word in bits[..blocks].iter().flatten() {
            words.extend([word as u32, (word >> 32) as u32]);
        }
        words.extend(&offsets);
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        prop_assert_eq!(KeyTable::new(&bytes).err(), None);
        let keys = (0..2000).flat_map(|index| [core_func(index % 8, index), lower(index)]);
        exercise(&bytes, &keys.collect::<Vec<_>>(), &offsets);
    }
}

#[test]
fn edges_of_blocks_and_words() {
    let edges = [
        0, 1, 63, 64, 65, 127, 128, 510, 511, 512, 513, 1023, 1024, 5119, 5120,
    ];
    for first in edges {
        for second in edges {
            Functions::new(
                vec![core_func(7, first), core_func(7, second), lower(second)],
                &[16, 48],
                16,
            )
            .check();
        }
    }
}

#[test]
fn no_functions() {
    Functions::new(vec![], &[1], 0).check();
    Functions::new(vec![], &[1], 32).check();
}

#[test]
fn size_of_the_encoding() {
    let functions = Functions::new(
        (0..1024).map(|func| core_func(0, func)).collect(),
        &[16],
        16,
    );
    let (header, row, blocks, offsets) = (12, 8, 2 * (4 + 64), 1025 * 4);
    assert_eq!(functions.encode().len(), header + row + blocks + offsets);
}

#[test]
fn errors_say_what_is_wrong() {
    let functions = Functions::new(
        vec![core_func(0, 5), core_func(1, 600), lower(0)],
        &[16],
        16,
    );
    let good = functions.encode();
    let size = good.len();
    // Three rows start at byte 12, the counts of four blocks at byte 36.
    for (at, word, message) in [
        (
            0,
            4,
            format!(
                "key table has {size} bytes, but its header implies {}",
                size + 8
            ),
        ),
        (
            4,
            u32::MAX,
            format!(
                "key table has {size} bytes, but its header implies {}",
                size as u64 - 4 * 68 + 68 * 0xffff_ffff
            ),
        ),
        (
            12,
            0x0100_0001,
            "key table row 1: namespaces are not in ascending order".into(),
        ),
        (
            16,
            1,
            "key table row 0: the namespace has no blocks of its own".into(),
        ),
        (
            24,
            0,
            "key table row 1: the namespace has no blocks of its own".into(),
        ),
        (
            32,
            4,
            "key table row 2: the namespace has no blocks of its own".into(),
        ),
        (
            36,
            1,
            "key table row 0: the count of the first block does not fit".into(),
        ),
        (
            36 + 4,
            0,
            "key table row 1: the count of the first block does not fit".into(),
        ),
        (
            36 + 3 * 4,
            3,
            "key table row 2: the count of the first block does not fit".into(),
        ),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        assert_eq!(KeyTable::new(&bytes).unwrap_err().to_string(), message);
    }
    assert_eq!(
        KeyTable::new(&good[..11]).unwrap_err().to_string(),
        "key table of 11 bytes is too short for its header"
    );
    let orphans: Vec<u8> = [0, 0, 1, 16, 32]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    assert_eq!(
        KeyTable::new(&orphans).unwrap_err().to_string(),
        "key table has functions but no namespace"
    );
}

#[test]
#[should_panic(expected = "core[0]:f1 comes after core[0]:f2 in the text")]
fn keys_out_of_order() {
    KeyTableBuilder::encode([(core_func(0, 2), 0), (core_func(0, 1), 16)], 32);
}

#[test]
#[should_panic(expected = "lower[1] starts at 0x10, the function before it at 0x10")]
fn empty_function() {
    KeyTableBuilder::encode([(lower(0), 16), (lower(1), 16)], 32);
}

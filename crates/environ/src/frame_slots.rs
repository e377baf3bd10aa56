//! [`FrameSlots`]: a set of words of a stack frame.

use std::iter;

/// A set of 8-byte words of a stack frame, each named by its distance below the frame pointer in
/// bytes.
///
/// A function can have thousands of live references across each of thousands of calls. Therefore,
/// the set has one bit for each word of the frame between its lowest and its highest member, and
/// lists of sets keep equal ones once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameSlots {
    /// The lowest distance as a number of words, then one bit for each word from there on, the
    /// lowest bit first.
    encoded: Box<[u32]>,
}

/// The size in bytes of a word of a frame.
const WORD: u32 = 8;

impl FrameSlots {
    /// Returns the set of `distances`, or `None` when one is not a multiple of 8.
    pub fn new(distances: impl IntoIterator<Item = u32>) -> Option<FrameSlots> {
        let mut words = Vec::new();
        for distance in distances {
            words.push((distance % WORD == 0).then_some(distance / WORD)?);
        }
        let first = words.iter().copied().min().unwrap_or(0);
        let last = words.iter().copied().max().unwrap_or(0);
        let mut encoded =
            vec![0; 1 + (last - first) as usize / 32 + usize::from(!words.is_empty())];
        encoded[0] = first;
        for word in words {
            let at = word - first;
            encoded[1 + at as usize / 32] |= 1 << (at % 32);
        }
        Some(FrameSlots {
            encoded: encoded.into(),
        })
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.encoded.len() == 1
    }

    /// Returns the distances in the set, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        Self::decode(self.encoded.iter().copied())
    }

    /// Returns the encoded set, for [`decode`](Self::decode).
    pub fn encoded(&self) -> &[u32] {
        &self.encoded
    }

    /// Returns the distances in the encoded set `words`. Any words are safe to decode: a distance
    /// that exceeds a `u32` ends the list.
    pub fn decode(mut words: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
        let first = words.next();
        words.zip(0u32..).flat_map(move |(bits, number)| {
            let members = iter::successors(Some(bits), |&rest| Some(rest & rest.wrapping_sub(1)));
            let members = members.take_while(|&rest| rest != 0);
            members.map_while(move |rest| {
                let at = number.checked_mul(32)?.checked_add(rest.trailing_zeros())?;
                first?.checked_add(at)?.checked_mul(WORD)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_has_the_distances_it_was_made_from(
            words in btree_set(0u32..300, 0..40),
            base in 0u32..1 << 20,
        ) {
            let distances: Vec<u32> = words.iter().map(|word| (base + word) * WORD).collect();
            let set = FrameSlots::new(distances.iter().rev().copied()).unwrap();
            prop_assert_eq!(set.is_empty(), distances.is_empty());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), distances);
        }

        #[test]
        fn any_words_are_harmless(words in vec(any::<u32>(), 0..10)) {
            FrameSlots::decode(words.into_iter()).for_each(drop);
        }
    }

    #[test]
    fn distances_between_words_are_refused() {
        assert_eq!(FrameSlots::new([8, 12]), None);
    }
}

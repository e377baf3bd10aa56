//! A set of small numbers.

/// A set of numbers below a bound.
#[derive(Clone, Default)]
pub(super) struct BitSet(Vec<u64>);

impl BitSet {
    /// Returns an empty set with room for the numbers below `bound`.
    pub fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// Adds `item`. Returns whether it is new.
    pub fn insert(&mut self, item: u32) -> bool {
        let word = &mut self.0[item as usize / 64];
        let bit = 1 << (item % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub fn contains(&self, item: u32) -> bool {
        self.0[item as usize / 64] & 1 << (item % 64) != 0
    }

    /// Returns the items in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            let bits = std::iter::successors(Some(word), |&rest| Some(rest & rest.wrapping_sub(1)));
            bits.take_while(|&rest| rest != 0)
                .map(move |rest| i as u32 * 64 + rest.trailing_zeros())
        })
    }
}

//! A table with a byte string for each function, by its ordinal in the key table.
//!
//! ```text
//! count: u32 | start: [u32; count + 1] | bytes
//! ```
//!
//! Starts are relative to the first of the bytes. The last start is the number of bytes.

use super::word;
use anyhow::{Context, Result};
use mintage_environ::FuncOrdinal;

/// Builds the table from the records, in the order of ordinals.
pub struct RecordsBuilder {
    starts: Vec<u32>,
    bytes: Vec<u8>,
}

impl Default for RecordsBuilder {
    fn default() -> Self {
        Self {
            starts: vec![0],
            bytes: Vec::new(),
        }
    }
}

impl RecordsBuilder {
    /// Appends the record of the next function.
    ///
    /// # Errors
    ///
    /// Returns an error if all records together exceed 4 GiB.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(record);
        self.starts.push(
            u32::try_from(self.bytes.len()).context("the records of all functions exceed 4 GiB")?,
        );
        Ok(())
    }

    /// Returns the bytes of the table.
    pub fn finish(self) -> Vec<u8> {
        let count = self.starts.len() as u32 - 1;
        let words = std::iter::once(count).chain(self.starts);
        let mut table: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        table.extend_from_slice(&self.bytes);
        table
    }
}

/// The records, in place.
#[derive(Clone, Copy)]
pub struct Records<'a> {
    starts: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Opens `table`. Returns `None` if its size differs from the size that its head implies. The
    /// time does not depend on the size.
    pub fn new(table: &'a [u8]) -> Option<Self> {
        let (count, rest) = table.split_first_chunk()?;
        let starts = (u32::from_le_bytes(*count) as usize)
            .checked_add(1)?
            .checked_mul(4)?;
        let (starts, bytes) = rest.split_at_checked(starts)?;
        let records = Self { starts, bytes };
        let end = word(starts, records.len())? as usize;
        (end == bytes.len()).then_some(records)
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.starts.len() / 4 - 1
    }

    /// Returns the record of the function with this ordinal, or `None` past the last.
    pub fn get(&self, ordinal: FuncOrdinal) -> Option<&'a [u8]> {
        let ordinal = ordinal.as_u32() as usize;
        let (start, end) = (
            word(self.starts, ordinal)?,
            word(self.starts, ordinal.checked_add(1)?)?,
        );
        self.bytes.get(start as usize..end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(list in vec(vec(any::<u8>(), 0..9), 0..40)) {
            let mut builder = RecordsBuilder::default();
            list.iter().for_each(|record| builder.push(record).unwrap());
            let table = builder.finish();
            let records = Records::new(&table).unwrap();
            prop_assert_eq!(records.len(), list.len());
            let get = |ordinal: usize| records.get(FuncOrdinal::from_u32(ordinal as u32));
            for (i, record) in list.iter().enumerate() {
                prop_assert_eq!(get(i), Some(record.as_slice()));
            }
            prop_assert_eq!(get(list.len()), None);
            prop_assert_eq!(get(u32::MAX as usize), None);
            prop_assert!(Records::new(&table[..table.len() - 1]).is_none());
        }

        #[test]
        fn any_bytes_are_harmless(
            table in vec(any::<u8>(), 0..64),
            small in 0u8..20,
            ordinal in 0u32..20,
        ) {
            let mut table = table;
            if let Some(count) = table.first_chunk_mut() {
                *count = [small, 0, 0, 0];
            }
            if let Some(records) = Records::new(&table) {
                records.get(FuncOrdinal::from_u32(ordinal));
            }
        }
    }
}

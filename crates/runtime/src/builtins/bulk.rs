//! Bulk operations on memories and tables, with their bounds checks.

use crate::instance::InstanceData;
use crate::instance::growth::fill_entries;
use mintage_environ::{MemoryId, TableId, Trap};

/// Returns `len` items of `item` bytes each, from item `start` on.
pub fn part(segment: &[u8], start: u32, len: u32, item: usize) -> Option<&[u8]> {
    let start = start as usize * item;
    segment.get(start..start + len as usize * item)
}

/// Returns the address of `len` bytes at `start` of a memory, after a bounds check.
#[inline]
pub fn memory_range(
    data: &InstanceData,
    id: MemoryId,
    start: u64,
    len: u64,
) -> Result<*mut u8, Trap> {
    data.memory_range(id, start, len)
        .ok_or(Trap::MemoryOutOfBounds)
}

/// Returns the address of `len` entries at `start` of a table, after a bounds check.
#[inline]
fn table_range(data: &InstanceData, id: TableId, start: u64, len: u64) -> Result<*mut u64, Trap> {
    let table = data.table(id).ok_or(Trap::TableOutOfBounds)?;
    match start.checked_add(len) {
        Some(end) if end <= table.size => Ok(table.base.wrapping_add(start as usize)),
        _ => Err(Trap::TableOutOfBounds),
    }
}

/// Copies `bytes` to a memory.
pub fn init_memory(
    data: &InstanceData,
    memory: MemoryId,
    dst: u64,
    bytes: &[u8],
) -> Result<(), Trap> {
    let target = memory_range(data, memory, dst, bytes.len() as u64)?;
    // SAFETY: the range is accessible, and the artifact is not part of it.
    unsafe {
        data.pauses(bytes.len())
            .copy(target, bytes.as_ptr(), bytes.len())
    }
}

pub fn fill_table(
    data: &InstanceData,
    table: TableId,
    dst: u64,
    value: u64,
    len: u64,
) -> Result<(), Trap> {
    let target = table_range(data, table, dst, len)?;
    // SAFETY: the range is accessible.
    unsafe { fill_entries(target, value, len, data.pauses(usize::MAX)) }
}

pub fn copy_table(
    data: &InstanceData,
    dst_table: TableId,
    src_table: TableId,
    dst: u64,
    src: u64,
    len: u64,
) -> Result<(), Trap> {
    let source = table_range(data, src_table, src, len)?;
    let target = table_range(data, dst_table, dst, len)?;
    let bytes = len as usize * size_of::<u64>();
    // SAFETY: both ranges are accessible. They may overlap.
    unsafe { data.pauses(bytes).copy(target.cast(), source.cast(), bytes) }
}

/// Copies `entries`, the bytes of 8-byte words, to a table.
pub fn init_table(
    data: &InstanceData,
    table: TableId,
    dst: u64,
    entries: &[u8],
) -> Result<(), Trap> {
    let target = table_range(data, table, dst, entries.len() as u64 / 8)?;
    // SAFETY: the range is accessible, and the artifact is not part of it.
    unsafe {
        data.pauses(entries.len())
            .copy(target.cast(), entries.as_ptr(), entries.len() / 8 * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_segments() {
        let segment: Vec<u8> = (0..32).collect();
        assert_eq!(part(&segment, 0, 32, 1), Some(&segment[..]));
        assert_eq!(part(&segment, 32, 0, 1), Some(&[][..]));
        assert_eq!(part(&segment, 33, 0, 1), None);
        assert_eq!(part(&segment, 1, 3, 8), Some(&segment[8..]));
        assert_eq!(part(&segment, 2, 3, 8), None);
        assert_eq!(part(&segment, u32::MAX, u32::MAX, 8), None);
    }
}

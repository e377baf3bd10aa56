//! Growth of memories and tables in place, and the permission for it.

use super::data::{InstanceData, MemoryView, TableView};
use super::limits::{Growing, Growth, GrowthEnded};
use crate::bulk::Pauses;
use mintage_environ::builtin::GROWTH_ENDED;
use mintage_environ::{MemoryId, TableId, Trap};
use std::io;

/// Decides about growth.
pub trait Permission {
    /// Returns whether something may grow.
    ///
    /// # Errors
    ///
    /// If the guest's call is to end.
    fn allows(&self, growth: &Growth) -> Result<bool, GrowthEnded>;

    /// Is told that the system refused what was allowed.
    ///
    /// # Errors
    ///
    /// If the guest's call is to end.
    fn failed(&self, growth: &Growth, error: io::Error) -> Result<(), GrowthEnded>;
}

/// Permits everything. This is for growth that the host itself requests.
pub struct Unlimited;

impl Permission for Unlimited {
    fn allows(&self, _: &Growth) -> Result<bool, GrowthEnded> {
        Ok(true)
    }

    fn failed(&self, _: &Growth, _: io::Error) -> Result<(), GrowthEnded> {
        Ok(())
    }
}

/// Growth that machine code requests.
#[derive(Clone, Copy)]
pub enum GrowthRequest {
    /// Of a memory, by so many pages.
    Memory { id: MemoryId, pages: u64 },
    /// Of a table, by so many entries that are `init`.
    Table { id: TableId, init: u64, delta: u64 },
}

impl GrowthRequest {
    /// Grows if `permission` allows it. Returns the result for machine code: the old size, -1, or
    /// that the call ends.
    ///
    /// # Errors
    ///
    /// If the permission comes later.
    pub fn perform(self, data: &InstanceData, permission: impl Permission) -> Result<u64, Later> {
        let grown = match self {
            GrowthRequest::Memory { id, pages } => grow_memory(data, id, pages, permission),
            GrowthRequest::Table { id, init, delta } => {
                let pauses = data.pauses(usize::MAX);
                grow_table(data, id, init, delta, pauses, permission)
            }
        };
        match grown {
            Ok(old_size) => Ok(old_size.unwrap_or(u64::MAX)),
            Err(GrowthEnded::Failure) => Ok(GROWTH_ENDED),
            Err(GrowthEnded::Trap(trap)) => Ok(GROWTH_ENDED - trap as u64),
            Err(GrowthEnded::Later) => Err(Later),
        }
    }
}

/// The permission for growth comes later.
pub struct Later;

/// Grows a memory in place if `permission` allows it. Returns its old size in pages, or `None` if
/// its capacity, a limit or the system forbids it.
pub fn grow_memory(
    data: &InstanceData,
    id: MemoryId,
    pages: u64,
    permission: impl Permission,
) -> Result<Option<u64>, GrowthEnded> {
    let (Some(layout), Some(MemoryView { size, .. })) =
        (data.code().layout().memories.get(id), data.memory(id))
    else {
        return Ok(None);
    };
    let old_pages = size >> layout.page_size_log2;
    if pages == 0 {
        return Ok(Some(old_pages));
    }
    let bytes = pages.checked_mul(1 << layout.page_size_log2);
    let Some(new_size) = bytes.and_then(|bytes| bytes.checked_add(size)) else {
        return Ok(None);
    };
    let growth = Growth {
        what: Growing::Memory(id),
        current: size,
        desired: new_size,
        maximum: layout.capacity,
    };
    if new_size > layout.capacity || !permission.allows(&growth)? {
        return Ok(None);
    }
    if let Err(error) = data
        .slab()
        .grow_memory(data.code().layout(), id, size, new_size)
    {
        permission.failed(&growth, error)?;
        return Ok(None);
    }
    // SAFETY: the size slot is an aligned word of the head.
    unsafe {
        data.size_slot(layout.domain, layout.size_slot)
            .write(new_size)
    };
    Ok(Some(old_pages))
}

/// Grows a table in place by `delta` entries that are `init`, if `permission` allows it. Returns
/// its old size, or `None` if its maximum or a limit forbids it.
pub fn grow_table(
    data: &InstanceData,
    id: TableId,
    init: u64,
    delta: u64,
    pauses: Pauses<'_>,
    permission: impl Permission,
) -> Result<Option<u64>, GrowthEnded> {
    let (Some(layout), Some(TableView { base, size })) =
        (data.code().layout().tables.get(id), data.table(id))
    else {
        return Ok(None);
    };
    if delta == 0 {
        return Ok(Some(size));
    }
    let maximum = u64::from(layout.maximum);
    let Some(new_size) = size
        .checked_add(delta)
        .filter(|&new_size| new_size <= maximum)
    else {
        return Ok(None);
    };
    let growth = Growth {
        what: Growing::Table(id),
        current: size,
        desired: new_size,
        maximum,
    };
    if !permission.allows(&growth)? {
        return Ok(None);
    }
    // SAFETY: a table's whole capacity is accessible, and its maximum is at most that.
    let filled = unsafe { fill_entries(base.add(size as usize), init, delta, pauses) };
    filled.map_err(GrowthEnded::Trap)?;
    // SAFETY: the size slot is a word of the head.
    unsafe {
        data.size_slot(layout.domain, layout.size_slot)
            .write(new_size)
    };
    Ok(Some(size))
}

/// Sets `count` entries of a table from `first` on.
///
/// # Errors
///
/// [`Trap::Interrupt`] if the guest is to stop.
///
/// # Safety
///
/// There are as many entries, and no one else uses them.
pub unsafe fn fill_entries(
    first: *mut u64,
    value: u64,
    count: u64,
    pauses: Pauses<'_>,
) -> Result<(), Trap> {
    let pattern = u128::from(value) << 64 | u128::from(value);
    // SAFETY: as the caller promises.
    unsafe {
        pauses.fill(
            first.cast(),
            pattern.to_le_bytes(),
            count as usize * size_of::<u64>(),
        )
    }
}

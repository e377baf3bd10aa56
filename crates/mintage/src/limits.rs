//! [`StoreLimits`]: how much the instances of a store may take.

use anyhow::{Result, ensure};
use mintage_environ::layout::SlabLayout;

/// How much the instances of a store may take. Applies to instances that are made after it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    pub(crate) memory_size: u64,
    pub(crate) table_elements: u64,
    pub(crate) handles: u32,
    pub(crate) instances: usize,
    pub(crate) memories: usize,
    pub(crate) tables: usize,
}

impl Default for StoreLimits {
    /// No limits on the size of memories and tables but their own, 2^20 handles in each instance, and 10,000 each of instances,
    /// memories and tables.
    fn default() -> Self {
        Self {
            memory_size: u64::MAX,
            table_elements: u64::MAX,
            // 20 MiB of the host's memory, or twice that while a table grows.
            handles: 1 << 20,
            instances: 10_000,
            memories: 10_000,
            tables: 10_000,
        }
    }
}

/// Builds [`StoreLimits`].
#[derive(Clone, Debug, Default)]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// Default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that each memory may have, and each heap of objects. Growth past it fails in the guest; an instance that starts with more is an error.
    pub fn memory_size(mut self, bytes: usize) -> Self {
        self.0.memory_size = bytes as u64;
        self
    }

    /// Entries that each table may have, likewise.
    pub fn table_elements(mut self, entries: usize) -> Self {
        self.0.table_elements = entries as u64;
        self
    }

    /// Handles of resources that each instance may have, with all component instances inside it, and that may be lent to
    /// calls at a time. A guest that makes more traps. At most 2^28 - 1. They take memory of the host: some 20 bytes each.
    pub fn handles(mut self, handles: usize) -> Self {
        self.0.handles = u32::try_from(handles).unwrap_or(u32::MAX);
        self
    }

    /// Component instances that the store may hold.
    pub fn instances(mut self, instances: usize) -> Self {
        self.0.instances = instances;
        self
    }

    /// Memories that all instances of the store may have together, heaps of objects among them. With [`memory_size`](Self::memory_size), this bounds the
    /// memory that its guests can take.
    pub fn memories(mut self, memories: usize) -> Self {
        self.0.memories = memories;
        self
    }

    /// Tables that all instances of the store may have together.
    pub fn tables(mut self, tables: usize) -> Self {
        self.0.tables = tables;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

impl StoreLimits {
    /// Checks that a store with `used` can hold another instance, of a component laid out as `layout`: what is used then.
    ///
    /// # Errors
    ///
    /// Names the limit that is exceeded.
    pub(crate) fn admit(&self, used: Used, layout: &SlabLayout) -> Result<Used> {
        let add = |what: &str, used: usize, more: usize, limit: usize| {
            let sum = used + more;
            ensure!(
                sum <= limit,
                "the store would hold {sum} {what}, more than the {limit} that its `StoreLimits` allow; raise \
                 `StoreLimitsBuilder::{what}`"
            );
            Ok(sum)
        };
        Ok(Used {
            // Their numbers are 32-bit.
            instances: add("instances", used.instances, 1, self.instances.min(u32::MAX as usize))?,
            memories: add(
                "memories",
                used.memories,
                layout.memories.len() + layout.heaps().count(),
                self.memories,
            )?,
            tables: add("tables", used.tables, layout.tables.len(), self.tables)?,
        })
    }
}

/// What the instances of a store have together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    instances: usize,
    memories: usize,
    tables: usize,
}

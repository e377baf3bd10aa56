//! [`StoreLimits`]: how much the instances of a store may take.

/// How much the instances of a store may take. Applies to instances that are made after it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    pub(crate) memory_size: u64,
    pub(crate) table_elements: u64,
    pub(crate) handles: u32,
    pub(crate) instances: usize,
}

impl Default for StoreLimits {
    /// No limits on memories and tables but their own, 2^20 handles in each table of them, and 10,000 instances.
    fn default() -> Self {
        Self {
            memory_size: u64::MAX,
            table_elements: u64::MAX,
            // 20 MiB of the host's memory.
            handles: 1 << 20,
            instances: 10_000,
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

    /// Bytes that each memory may have. Growth past it fails in the guest; an instance that starts with more is an error.
    pub fn memory_size(mut self, bytes: usize) -> Self {
        self.0.memory_size = bytes as u64;
        self
    }

    /// Entries that each table may have, likewise.
    pub fn table_elements(mut self, entries: usize) -> Self {
        self.0.table_elements = entries as u64;
        self
    }

    /// Handles of resources that each component instance inside a component may have, and that may be lent to calls at a time.
    /// A guest that makes more traps. At most 2^28 - 1. They take memory of the host: some 20 bytes each.
    pub fn handles(mut self, handles: usize) -> Self {
        self.0.handles = u32::try_from(handles).unwrap_or(u32::MAX);
        self
    }

    /// Component instances that the store may hold.
    pub fn instances(mut self, instances: usize) -> Self {
        self.0.instances = instances;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

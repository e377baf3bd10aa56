//! [`EngineMetrics`]: current resources of an engine, and totals since its creation.

use super::Engine;
use std::sync::atomic::Ordering;

/// Current resources of an engine, and totals since its creation, for dashboards and alarms.
///
/// Returned by [`Engine::metrics`]. Other threads may change the numbers while they are read, so
/// they are not one consistent snapshot: a sum may be off by a few instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// Loaded components, including snapshots.
    pub components: usize,
    /// Live instances.
    pub instances_live: usize,
    /// Instances created so far.
    pub instances_created: u64,
    /// Slots that are ready for the next instance of their component.
    pub slots_idle: usize,
    /// Slots that wait to be reset in the background
    /// ([`PoolConfig::background_reset`](crate::PoolConfig::background_reset)).
    pub slots_waiting: usize,
    /// Slots that were reset after use and kept, so far.
    pub resets: u64,
    /// Guest calls that ended by a [`Trap`](crate::Trap) so far, including deadlines. A trap that
    /// ends several nested calls counts once for each of them.
    pub traps: u64,
    /// Stacks of asynchronous calls in progress.
    pub stacks_in_use: usize,
    /// Mapped stacks without a call.
    pub stacks_idle: usize,
    /// Bytes of address space that all slots reserve, accessible or not.
    pub address_space: u64,
    /// Memory mappings that are reserved for all slots.
    pub mappings: usize,
    /// Bytes that slots kept in memory at their last reset, including page tables.
    /// [`PoolConfig::total_keep_resident`](crate::PoolConfig::total_keep_resident) limits this
    /// number. It does not include pages that live instances have touched since.
    pub resident_bytes: usize,
    /// Bytes of machine code that components share with others, which have the same code. Without
    /// sharing, each would have them in memory or in a file of its own.
    pub shared_code_bytes: usize,
}

impl Engine {
    /// Returns the current resources of the engine, and its totals so far.
    ///
    /// Takes a few short locks, and some nanoseconds for each loaded component. Instances are
    /// counted under locks that their threads take anyway, so counting adds no contention.
    ///
    /// ```
    /// # fn main() -> mintage::Result<()> {
    /// use mintage::{Component, Engine, Linker, Store};
    ///
    /// let engine = Engine::default();
    /// # #[cfg(feature = "compiler")]
    /// # {
    /// let component = Component::new(&engine, "(component)")?;
    /// let mut store = Store::new(&engine, ());
    /// Linker::new(&engine).instantiate(&mut store, &component)?;
    /// assert_eq!(engine.metrics().instances_live, 1);
    /// drop(store);
    /// assert_eq!(engine.metrics().instances_live, 0);
    /// assert_eq!(engine.metrics().slots_idle, 1);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(&self) -> EngineMetrics {
        let (pool, stacks) = (self.inner.pool.metrics(), self.inner.stacks.metrics());
        EngineMetrics {
            components: pool.components,
            instances_live: pool.live,
            instances_created: pool.created,
            slots_idle: pool.idle,
            slots_waiting: pool.waiting,
            resets: pool.resets,
            traps: self.inner.traps.load(Ordering::Relaxed),
            stacks_in_use: stacks.in_use,
            stacks_idle: stacks.idle,
            address_space: pool.address_space,
            mappings: pool.mappings,
            resident_bytes: pool.resident,
            shared_code_bytes: pool.shared_text,
        }
    }
}

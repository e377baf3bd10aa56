//! [`EngineMetrics`]: what an engine has at a moment, and what it has done so far.

use super::Engine;
use std::sync::atomic::Ordering;

/// What an engine has at a moment, and what it has done since it was created: numbers for
/// dashboards and alarms.
///
/// Made by [`Engine::metrics`]. The numbers are read one after the other while other threads go on,
/// so they may be some instances apart from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// The components that are loaded, each snapshot included.
    pub components: usize,
    /// The instances that live.
    pub instances_live: usize,
    /// The instances that were created so far.
    pub instances_created: u64,
    /// The slots that are ready for the next instance of their component.
    pub slots_idle: usize,
    /// The slots that wait to be reset in the background
    /// ([`PoolConfig::background_reset`](crate::PoolConfig::background_reset)).
    pub slots_waiting: usize,
    /// The slots that were reset after use so far, and kept.
    pub resets: u64,
    /// The calls of guests that ended by a [`Trap`](crate::Trap) so far, deadlines included. A
    /// trap that ends several calls within each other is counted for each of them.
    pub traps: u64,
    /// The stacks of asynchronous calls that are under way.
    pub stacks_in_use: usize,
    /// The stacks that are mapped and have no call.
    pub stacks_idle: usize,
    /// Bytes of address space that all slots take, accessible or not.
    pub address_space: u64,
    /// The mappings of the process that all slots may take.
    pub mappings: usize,
    /// Bytes that slots had in memory after their last reset, page tables included: what
    /// [`PoolConfig::total_keep_resident`](crate::PoolConfig::total_keep_resident) limits. What
    /// live instances have touched since is not part of it.
    pub resident_bytes: usize,
}

impl Engine {
    /// Returns what the engine has at the moment, and what it has done so far.
    ///
    /// It takes a short lock or two, and a few nanoseconds for each component. Counting costs the
    /// engine nothing that other threads would notice: what is counted for each instance is counted
    /// where its thread has a lock anyway.
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
        }
    }
}

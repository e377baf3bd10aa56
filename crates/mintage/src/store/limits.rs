//! Limits on what the guests of a store may use: [`ResourceLimiter`], and [`StoreLimits`], which
//! implements it with fixed numbers.

use crate::error::{Error, ErrorKind, LimitKind, Result, bail, ensure};
use async_trait::async_trait;
use mintage_environ::layout::SlabLayout;

/// Default limit on the numbers of instances, of memories and of tables of a store.
const DEFAULT_COUNT: usize = 10_000;
/// Default limit on the stacks of an instance.
const DEFAULT_STACKS: usize = 1000;
/// Default limit on the handles of an instance. They take up to 20 MiB of the host's memory, or
/// twice that while a table grows.
const DEFAULT_HANDLES: usize = 1 << 20;

/// Decides how much the guests of a store may use; see [`Store::limiter`](crate::Store::limiter).
/// [`StoreLimits`] is an implementation with fixed numbers.
///
/// If a cached image of an instance after its start functions is used, the limiter is asked about
/// the final sizes up front. If it refuses them, the start functions run instead, and the limiter
/// is asked about each growth.
///
/// ```
/// use mintage::{Engine, ResourceLimiter, Result, Store};
///
/// /// Counts the bytes of all memories and refuses more than a quota.
/// struct Quota {
///     left: usize,
/// }
///
/// impl ResourceLimiter for Quota {
///     fn memory_growing(
///         &mut self,
///         current: usize,
///         desired: usize,
///         _maximum: Option<usize>,
///     ) -> Result<bool> {
///         let more = desired - current;
///         if more > self.left {
///             return Ok(false);
///         }
///         self.left -= more;
///         Ok(true)
///     }
///
///     fn memory_released(&mut self, bytes: usize) {
///         self.left += bytes;
///     }
///
///     fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
///         Ok(desired <= 1 << 16)
///     }
/// }
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, Quota { left: 64 << 20 });
/// store.limiter(|quota| quota);
/// ```
pub trait ResourceLimiter: Send {
    /// Returns whether a memory may grow from `current` to `desired` bytes. `current` is 0 for the
    /// initial size of a memory in a new instance. `maximum` is the size that the memory can never
    /// exceed.
    ///
    /// If the answer is `false`, the guest's growth fails, or the instance is not created. An error
    /// ends the guest's call.
    ///
    /// The GC heap of a component instance counts as a memory. Its growth is first requested in a
    /// size that makes collections rare, and then in the size that is needed now. If the smaller
    /// request is also refused, the guest's call ends with the error, or with
    /// [`Trap::HeapExhausted`](crate::Trap).
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// Called if growth that [`memory_growing`](Self::memory_growing) allowed has failed because
    /// the system refused memory. Growth then fails in the guest.
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call. By default there is none.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// Called with the number of bytes that [`memory_growing`](Self::memory_growing) allowed but
    /// that are not used any more: growth failed, the instance could not be created, or it was
    /// dropped before its store.
    fn memory_released(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Returns whether a table may grow from `current` to `desired` entries. Otherwise as
    /// [`memory_growing`](Self::memory_growing).
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// Called if growth that [`table_growing`](Self::table_growing) allowed has failed because the
    /// system refused memory.
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call. By default there is none.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// Called with the number of entries that [`table_growing`](Self::table_growing) allowed but
    /// that are not used any more.
    fn table_released(&mut self, entries: usize) {
        let _ = entries;
    }

    /// Returns the maximum number of component instances in the store; default: 10,000.
    fn instances(&self) -> usize {
        DEFAULT_COUNT
    }

    /// Returns the maximum number of tables of all instances in the store; default: 10,000.
    fn tables(&self) -> usize {
        DEFAULT_COUNT
    }

    /// Returns the maximum number of memories of all instances in the store, including GC heaps;
    /// default: 10,000.
    fn memories(&self) -> usize {
        DEFAULT_COUNT
    }

    /// Returns the maximum number of stacks of each instance; default: 1,000. See
    /// [`StoreLimitsBuilder::stacks`].
    fn stacks(&self) -> usize {
        DEFAULT_STACKS
    }

    /// Returns the maximum number of resource handles of each instance; default: 2^20. See
    /// [`StoreLimitsBuilder::handles`].
    fn handles(&self) -> usize {
        DEFAULT_HANDLES
    }

    /// Returns the limit by which [`memory_growing`](Self::memory_growing) or
    /// [`table_growing`](Self::table_growing) has just refused a size, and the rest of a sentence
    /// about it.
    #[doc(hidden)]
    fn refusal(&self, table: bool, desired: usize) -> Option<(LimitKind, String)> {
        let _ = (table, desired);
        None
    }
}

/// A [`ResourceLimiter`] that may wait before it answers; see
/// [`Store::limiter_async`](crate::Store::limiter_async). Implement it with `#[async_trait]`, from
/// the crate of that name.
///
/// The guest waits for an answer as it does for an asynchronous host function. Where it cannot,
/// an answer that is not ready at once is an error that ends the guest's call: in a synchronous
/// call, in `realloc` and `post-return`, and for the growth of GC heaps.
#[async_trait]
pub trait ResourceLimiterAsync: Send {
    /// Returns whether a memory may grow, as [`ResourceLimiter::memory_growing`] does.
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call.
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// See [`ResourceLimiter::memory_grow_failed`].
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call. By default there is none.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// See [`ResourceLimiter::memory_released`].
    fn memory_released(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Returns whether a table may grow, as [`ResourceLimiter::table_growing`] does.
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call.
    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// See [`ResourceLimiter::table_grow_failed`].
    ///
    /// # Errors
    ///
    /// Any error of the host, which ends the guest's call. By default there is none.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// See [`ResourceLimiter::table_released`].
    fn table_released(&mut self, entries: usize) {
        let _ = entries;
    }

    /// See [`ResourceLimiter::instances`].
    fn instances(&self) -> usize {
        DEFAULT_COUNT
    }

    /// See [`ResourceLimiter::tables`].
    fn tables(&self) -> usize {
        DEFAULT_COUNT
    }

    /// See [`ResourceLimiter::memories`].
    fn memories(&self) -> usize {
        DEFAULT_COUNT
    }

    /// See [`ResourceLimiter::stacks`].
    fn stacks(&self) -> usize {
        DEFAULT_STACKS
    }

    /// See [`ResourceLimiter::handles`].
    fn handles(&self) -> usize {
        DEFAULT_HANDLES
    }
}

/// A [`ResourceLimiter`] with fixed limits, made by [`StoreLimitsBuilder`].
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, ErrorKind, LimitKind, Linker, Store, StoreLimitsBuilder};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m (memory 100))
///         (core instance (instantiate $m)))"#,
/// )?;
/// let limits = StoreLimitsBuilder::new().memory_size(1 << 20).build();
/// let mut store = Store::new(&engine, limits);
/// store.limiter(|limits| limits);
/// let linker = Linker::new(&engine);
/// let error = linker.instantiate(&mut store, &component).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Limit(LimitKind::Memory));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    memory_size: usize,
    total_memory_size: usize,
    table_elements: usize,
    stacks: usize,
    handles: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    trap_on_grow_failure: bool,
    /// Bytes of all memories, GC heaps and tables that were granted.
    memory_used: usize,
}

/// Size of a table entry in bytes.
const TABLE_ENTRY: usize = size_of::<u64>();

impl Default for StoreLimits {
    /// Returns limits of 2^20 handles and 1,000 stacks in each instance, and of 10,000 instances,
    /// 10,000 memories and 10,000 tables. The size of memories and tables is not limited.
    fn default() -> Self {
        Self {
            memory_size: usize::MAX,
            total_memory_size: usize::MAX,
            table_elements: usize::MAX,
            stacks: DEFAULT_STACKS,
            handles: DEFAULT_HANDLES,
            instances: DEFAULT_COUNT,
            memories: DEFAULT_COUNT,
            tables: DEFAULT_COUNT,
            trap_on_grow_failure: false,
            memory_used: 0,
        }
    }
}

/// Builds [`StoreLimits`].
#[derive(Clone, Debug, Default)]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// Creates a builder with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum size in bytes of each memory and each GC heap. Growth past it fails in the
    /// guest. Creating an instance that starts with more is an error.
    pub fn memory_size(mut self, bytes: usize) -> Self {
        self.0.memory_size = bytes;
        self
    }

    /// Sets the maximum size in bytes of all memories, GC heaps and tables of the store together. A
    /// table entry has 8 bytes. Instances keep their memory until they or the store are dropped.
    ///
    /// This bounds the memory that guests of the store can use, except for what the host keeps for
    /// them: 24 to 48 bytes for each of their [`handles`](Self::handles), a few KiB for each of
    /// their [`instances`](Self::instances), and the [`stacks`](Self::stacks) and other state of
    /// tasks in asynchronous components.
    pub fn total_memory_size(mut self, bytes: usize) -> Self {
        self.0.total_memory_size = bytes;
        self
    }

    /// Sets the maximum number of entries of each table; see [`memory_size`](Self::memory_size).
    pub fn table_elements(mut self, entries: usize) -> Self {
        self.0.table_elements = entries;
        self
    }

    /// Sets the maximum number of stacks of each instance: one for each thread of an asynchronous
    /// guest that waits in the middle of a function. A guest that exceeds it fails with
    /// [`LimitKind::Stacks`]. The stacks of all instances of an engine are limited, too; see
    /// [`PoolConfig::total_stacks`](crate::PoolConfig::total_stacks).
    pub fn stacks(mut self, stacks: usize) -> Self {
        self.0.stacks = stacks;
        self
    }

    /// Sets the maximum number of resource handles of each instance, including the component
    /// instances inside it, and of handles that are lent to calls at a time. A guest that exceeds
    /// it traps. At most 2^28 - 1. Each handle takes 24 to 48 bytes of the host's memory.
    pub fn handles(mut self, handles: usize) -> Self {
        self.0.handles = handles;
        self
    }

    /// Sets the maximum number of component instances in the store.
    pub fn instances(mut self, instances: usize) -> Self {
        self.0.instances = instances;
        self
    }

    /// Sets the maximum number of memories of all instances in the store, including GC heaps.
    pub fn memories(mut self, memories: usize) -> Self {
        self.0.memories = memories;
        self
    }

    /// Sets the maximum number of tables of all instances in the store.
    pub fn tables(mut self, tables: usize) -> Self {
        self.0.tables = tables;
        self
    }

    /// Sets whether growth that fails ends the guest's call with an error; default: off.
    pub fn trap_on_grow_failure(mut self, trap: bool) -> Self {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// Returns the limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

impl StoreLimits {
    /// Counts `more` bytes, if the limit on the total allows them.
    fn take(&mut self, more: usize) -> bool {
        let used = self
            .memory_used
            .checked_add(more)
            .filter(|&used| used <= self.total_memory_size);
        self.memory_used = used.unwrap_or(self.memory_used);
        used.is_some()
    }

    /// Returns the limit that forbids growth, as the rest of a sentence about it.
    fn reason(&self, table: bool, desired: usize) -> (LimitKind, String) {
        let (kind, setting, limit) = match table {
            true => (LimitKind::Table, "table_elements", self.table_elements),
            false => (LimitKind::Memory, "memory_size", self.memory_size),
        };
        if desired > limit {
            let text = format!("more than the {limit} that `StoreLimitsBuilder::{setting}` allows");
            return (kind, text);
        }
        let text = format!(
            "but all memories, GC heaps and tables of the store together already have {} of the \
             {} bytes that `StoreLimitsBuilder::total_memory_size` allows",
            self.memory_used, self.total_memory_size
        );
        (LimitKind::TotalMemory, text)
    }

    /// Refuses growth.
    fn refuse(&self, table: bool, current: usize, desired: usize) -> Result<bool> {
        if self.trap_on_grow_failure {
            let (what, unit) = match table {
                true => ("table", "entries"),
                false => ("memory", "bytes"),
            };
            let (kind, reason) = self.reason(table, desired);
            bail!(ErrorKind::Limit(kind).error(format!(
                "a {what} is to grow from {current} to {desired} {unit}, {reason}"
            )));
        }
        Ok(false)
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        match desired <= self.memory_size && self.take(desired.saturating_sub(current)) {
            true => Ok(true),
            false => self.refuse(false, current, desired),
        }
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        match self.trap_on_grow_failure {
            true => Err(error.context("a memory cannot grow")),
            false => Ok(()),
        }
    }

    fn memory_released(&mut self, bytes: usize) {
        self.memory_used = self.memory_used.saturating_sub(bytes);
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(TABLE_ENTRY);
        match desired <= self.table_elements && self.take(more) {
            true => Ok(true),
            false => self.refuse(true, current, desired),
        }
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        match self.trap_on_grow_failure {
            true => Err(error.context("a table cannot grow")),
            false => Ok(()),
        }
    }

    fn table_released(&mut self, entries: usize) {
        self.memory_released(entries.saturating_mul(TABLE_ENTRY));
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }

    fn stacks(&self) -> usize {
        self.stacks
    }

    fn handles(&self) -> usize {
        self.handles
    }

    fn refusal(&self, table: bool, desired: usize) -> Option<(LimitKind, String)> {
        Some(self.reason(table, desired))
    }
}

/// The limits on the numbers of instances, memories, tables, handles and stacks of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub instances: usize,
    pub memories: usize,
    pub tables: usize,
    /// The limit for each instance.
    pub handles: u32,
    /// The limit for each instance.
    pub stacks: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            instances: DEFAULT_COUNT,
            memories: DEFAULT_COUNT,
            tables: DEFAULT_COUNT,
            handles: DEFAULT_HANDLES as u32,
            stacks: DEFAULT_STACKS as u32,
        }
    }
}

impl Allowance {
    /// Checks that a store which uses `used` can hold another instance with the layout `layout`,
    /// and returns what is used then.
    ///
    /// # Errors
    ///
    /// If a limit is exceeded; the error names it.
    pub fn admit(&self, used: Used, layout: &SlabLayout) -> Result<Used> {
        let add = |kind, what: &str, used: usize, more: usize, limit: usize| {
            let sum = used + more;
            ensure!(
                sum <= limit,
                ErrorKind::Limit(kind).error(format!(
                    "the store would hold {sum} {what}, more than the {limit} that its limiter \
                     allows; raise `StoreLimitsBuilder::{what}`, or change what `Store::limiter` \
                     was given"
                ))
            );
            Ok(sum)
        };
        Ok(Used {
            // Instances are numbered with 32 bits.
            instances: add(
                LimitKind::Instances,
                "instances",
                used.instances,
                1,
                self.instances.min(u32::MAX as usize),
            )?,
            memories: add(
                LimitKind::Memories,
                "memories",
                used.memories,
                layout.memories.len() + layout.heaps().count(),
                self.memories,
            )?,
            tables: add(
                LimitKind::Tables,
                "tables",
                used.tables,
                layout.tables.len(),
                self.tables,
            )?,
        })
    }
}

/// The numbers of instances, memories and tables in a store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    instances: usize,
    memories: usize,
    tables: usize,
}

impl Used {
    /// Gives back what an instance with the layout `layout` has used.
    pub fn remove(&mut self, layout: &SlabLayout) {
        self.instances -= 1;
        self.memories -= layout.memories.len() + layout.heaps().count();
        self.tables -= layout.tables.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check_in::TimeLimits;
    use crate::store::growth::{FindLimiter, GrowthLimiter, HostState, MayGrow};
    use crate::store::tasks::Concurrency;
    use mintage_environ::{DomainId, MemoryId, TableId};
    use mintage_runtime::{Growing, Growth};

    #[test]
    fn memory_that_the_system_refuses_is_not_taken() {
        let limits = |trap| {
            StoreLimitsBuilder::new()
                .total_memory_size(30)
                .trap_on_grow_failure(trap)
        };
        for trap in [false, true] {
            let mut host = HostState {
                limiter: Some(FindLimiter::Sync(Box::new(|limits: &mut StoreLimits| {
                    limits as &mut dyn ResourceLimiter
                }))),
                caps: None,
                time: TimeLimits::none(),
                watches_crossings: false,
                hook: None,
                hooked: None,
                concurrency: Concurrency::default(),
                data: limits(trap).build(),
            };
            let growth = |what| Growth {
                what,
                current: 1,
                desired: 4,
                maximum: 9,
            };
            for (what, bytes) in [
                (Growing::Memory(MemoryId::from_u32(0)), 3),
                (Growing::Heap(DomainId::from_u32(0)), 3),
                (Growing::Table(TableId::from_u32(0)), 24),
            ] {
                assert!(host.growing(&growth(what)).and_then(MayGrow::now).unwrap());
                assert_eq!(host.data.memory_used, bytes);
                assert_eq!(
                    host.failed(&growth(what), Error::msg("no memory")).is_err(),
                    trap
                );
                assert_eq!(host.data.memory_used, 0);
            }
        }
    }
}

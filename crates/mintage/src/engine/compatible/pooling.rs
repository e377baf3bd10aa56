//! [`PoolingAllocationConfig`]: the settings of a pool as hosts of Wasmtime make them.

use super::Enabled;
use crate::PoolConfig;
use crate::error::{ErrorKind, LimitKind, Result, bail};
use mintage_environ::layout::SlabLayout;
use mintage_runtime::{Growing, Growth};

/// How the memory of instances is managed; see [`Config::allocation_strategy`].
///
/// Engines always have a pool, which makes no slots before they are needed. So the difference
/// between the strategies is the pool's settings.
///
/// [`Config::allocation_strategy`]: crate::Config::allocation_strategy
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum InstanceAllocationStrategy {
    /// A pool with the default settings of [`PoolConfig`].
    #[default]
    OnDemand,
    /// A pool with these settings.
    Pooling(PoolingAllocationConfig),
}

impl InstanceAllocationStrategy {
    /// Returns a pool with the default settings.
    pub fn pooling() -> Self {
        Self::Pooling(PoolingAllocationConfig::new())
    }

    /// Returns the settings of the pool, and the limits that are not the pool's.
    pub(super) fn settings(self) -> (PoolConfig, Option<Caps>) {
        match self {
            Self::OnDemand => (PoolConfig::new(), None),
            Self::Pooling(config) => (config.pool, config.caps),
        }
    }
}

impl From<PoolingAllocationConfig> for InstanceAllocationStrategy {
    fn from(config: PoolingAllocationConfig) -> Self {
        Self::Pooling(config)
    }
}

/// The settings of a pool by the names that hosts of Wasmtime use. [`PoolConfig`] is the engine's
/// own form of them, with more settings; it is passed to [`Config::pool`](crate::Config::pool).
///
/// The engine's pool grows as needed, and each slot has the size of its component. So most limits
/// that a pool of equal slots needs are needless here, and say so.
///
/// ```
/// use mintage::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
///
/// # fn main() -> mintage::Result<()> {
/// let mut pool = PoolingAllocationConfig::new();
/// pool.total_component_instances(1000).max_memory_size(64 << 20);
/// let mut config = Config::new();
/// config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
/// let engine = Engine::new(&config)?;
/// # let _ = engine;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PoolingAllocationConfig {
    pool: PoolConfig,
    caps: Option<Caps>,
    memory_keep_resident: Option<usize>,
    table_keep_resident: Option<usize>,
}

impl PoolingAllocationConfig {
    /// Creates the settings of [`PoolConfig`]'s default, without further limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the effect of [`PoolConfig::max_unused_warm_slots`].
    pub fn max_unused_warm_slots(&mut self, slots: u32) -> &mut Self {
        self.pool.max_unused_warm_slots(slots);
        self
    }

    /// Sets how many bytes of a memory stay resident when an instance is dropped. The sum with
    /// [`table_keep_resident`](Self::table_keep_resident) has the effect of
    /// [`PoolConfig::keep_resident`], which counts for the whole slot.
    pub fn linear_memory_keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.memory_keep_resident = Some(bytes);
        self.keep_resident()
    }

    /// Sets how many bytes of a table stay resident when an instance is dropped; see
    /// [`linear_memory_keep_resident`](Self::linear_memory_keep_resident).
    pub fn table_keep_resident(&mut self, bytes: usize) -> &mut Self {
        self.table_keep_resident = Some(bytes);
        self.keep_resident()
    }

    fn keep_resident(&mut self) -> &mut Self {
        let kept = [self.memory_keep_resident, self.table_keep_resident];
        let sum = kept.into_iter().flatten().fold(0, usize::saturating_add);
        self.pool.keep_resident(sum);
        self
    }

    /// Has the effect of [`PoolConfig::total_component_instances`].
    pub fn total_component_instances(&mut self, count: u32) -> &mut Self {
        self.pool.total_component_instances(count);
        self
    }

    /// Has the effect of [`PoolConfig::total_stacks`].
    pub fn total_stacks(&mut self, count: u32) -> &mut Self {
        self.pool.total_stacks(count);
        self
    }

    /// Sets the maximum number of memories of a component, including GC heaps. A component that has
    /// more cannot be instantiated. By default, there is no limit.
    pub fn max_memories_per_component(&mut self, count: u32) -> &mut Self {
        self.caps().memories = count;
        self
    }

    /// Sets the maximum number of tables of a component. A component that has more cannot be
    /// instantiated. By default, there is no limit.
    pub fn max_tables_per_component(&mut self, count: u32) -> &mut Self {
        self.caps().tables = count;
        self
    }

    /// Sets the maximum number of entries of each table. A table cannot grow past it, and an
    /// instance that starts with more is not created. By default, there is no limit.
    pub fn table_elements(&mut self, entries: usize) -> &mut Self {
        self.caps().table_elements = entries as u64;
        self
    }

    /// Sets the maximum size in bytes of each memory and each GC heap. It cannot grow past it, and
    /// an instance that starts with more is not created. By default, there is no limit.
    ///
    /// [`StoreLimits`](crate::StoreLimits) limit one store, and all its memories together.
    pub fn max_memory_size(&mut self, bytes: usize) -> &mut Self {
        self.caps().memory_size = bytes as u64;
        self
    }

    fn caps(&mut self) -> &mut Caps {
        self.caps.get_or_insert(Caps {
            memory_size: u64::MAX,
            table_elements: u64::MAX,
            memories: u32::MAX,
            tables: u32::MAX,
        })
    }

    /// Sets whether the system is asked which pages an instance has written to, if it can tell.
    /// [`Enabled::Auto`], the default, has the effect of [`Enabled::Yes`].
    pub fn pagemap_scan(&mut self, enable: Enabled) -> &mut Self {
        self.pool.pagemap_scan(enable != Enabled::No);
        self
    }

    /// Returns `false`: protection keys are not used. Guests cannot reach past the guard of a
    /// memory, so that slots need none.
    pub fn are_memory_protection_keys_available() -> bool {
        false
    }
}

ignored! { PoolingAllocationConfig:
    async_stack_keep_resident(usize) "What stacks keep is fixed; see [`PoolConfig::total_stacks`].";
    decommit_batch_size(usize) "Slots are reset one by one, as soon as an instance is dropped.";
    max_component_instance_size(usize)
        "[`Config::max_instance_address_space`](crate::Config::max_instance_address_space) limits \
         the size of instances.";
    max_core_instance_size(usize)
        "[`Config::max_instance_address_space`](crate::Config::max_instance_address_space) limits \
         the size of instances.";
    max_core_instances_per_component(u32)
        "Core instances take nothing by themselves: their code is compiled for their component.";
    max_memories_per_module(u32)
        "[`max_memories_per_component`](Self::max_memories_per_component) limits memories.";
    max_memory_protection_keys(usize) "Protection keys are not used.";
    max_tables_per_module(u32)
        "[`max_tables_per_component`](Self::max_tables_per_component) limits tables.";
    memory_protection_keys(Enabled)
        "Protection keys are not used. Guests cannot reach past the guard of a memory.";
    total_core_instances(u32)
        "[`total_component_instances`](Self::total_component_instances) limits slots, which have \
         all core instances of a component.";
    total_gc_heaps(u32)
        "[`total_component_instances`](Self::total_component_instances) limits slots, which have \
         all GC heaps of a component.";
    total_memories(u32)
        "[`total_component_instances`](Self::total_component_instances) limits slots, which have \
         all memories of a component.";
    total_tables(u32)
        "[`total_component_instances`](Self::total_component_instances) limits slots, which have \
         all tables of a component.";
}

/// Limits on what instances have, for all stores of an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// The size in bytes of each memory and each GC heap.
    memory_size: u64,
    /// The number of entries of each table.
    table_elements: u64,
    /// The number of memories and GC heaps of an instance.
    memories: u32,
    /// The number of tables of an instance.
    tables: u32,
}

impl Caps {
    /// Fails if instances with this layout have too many memories or tables.
    ///
    /// # Errors
    ///
    /// The error names the limit.
    pub fn admit(&self, layout: &SlabLayout) -> Result<()> {
        let memories = layout.memories.len() + layout.heaps().count();
        for (kind, what, count, limit) in [
            (LimitKind::Memories, "memories", memories, self.memories),
            (
                LimitKind::Tables,
                "tables",
                layout.tables.len(),
                self.tables,
            ),
        ] {
            if count > limit as usize {
                bail!(ErrorKind::Limit(kind).error(format!(
                    "an instance of the component has {count} {what}, more than the {limit} that \
                     `PoolingAllocationConfig::max_{what}_per_component` allows"
                )));
            }
        }
        Ok(())
    }

    /// Returns the setting that forbids growth, if one does.
    pub fn refusal(&self, growth: &Growth) -> Option<&'static str> {
        let (limit, setting) = match growth.what {
            Growing::Memory(_) | Growing::Heap(_) => {
                (self.memory_size, "PoolingAllocationConfig::max_memory_size")
            }
            Growing::Table(_) => (
                self.table_elements,
                "PoolingAllocationConfig::table_elements",
            ),
        };
        (growth.desired > limit).then_some(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn settings_are_those_of_the_pool() {
        let mut pooling = PoolingAllocationConfig::new();
        pooling
            .max_unused_warm_slots(7)
            .total_component_instances(8)
            .total_stacks(9)
            .linear_memory_keep_resident(1000)
            .table_keep_resident(24)
            .pagemap_scan(Enabled::No);
        let mut expected = PoolConfig::new();
        expected
            .max_unused_warm_slots(7)
            .total_component_instances(8)
            .total_stacks(9)
            .keep_resident(1024)
            .pagemap_scan(false);
        let mut config = Config::new();
        config.allocation_strategy(pooling.clone());
        assert_eq!(format!("{:?}", config.pool), format!("{expected:?}"));
        assert!(config.caps.is_none());
        pooling.max_memory_size(1 << 20).pagemap_scan(Enabled::Auto);
        config.allocation_strategy(pooling);
        expected.pagemap_scan(true);
        assert_eq!(format!("{:?}", config.pool), format!("{expected:?}"));
        assert!(config.caps.is_some());

        for strategy in [
            InstanceAllocationStrategy::OnDemand,
            InstanceAllocationStrategy::pooling(),
        ] {
            config.allocation_strategy(strategy);
            assert!(config.caps.is_none());
            let default = PoolConfig::new();
            assert_eq!(format!("{:?}", config.pool), format!("{default:?}"));
        }
    }

    #[test]
    fn settings_without_effect_change_nothing() {
        let before = format!("{:?}", PoolingAllocationConfig::new());
        for on in [true, false] {
            let mut pooling = PoolingAllocationConfig::new();
            set_ignored(&mut pooling, on);
            assert_eq!(format!("{pooling:?}"), before);
        }
        assert!(!PoolingAllocationConfig::are_memory_protection_keys_available());
    }
}

//! Wasmtime, at its best settings for many short-lived instances.

use crate::contender::{ArtifactFile, Calls, FUEL, Host, Mode};
use ::wasmtime::component::{
    Component, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower, TypedFunc,
};
use ::wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, Store};
use anyhow::Result;

/// The peer.
pub struct Wasmtime {
    /// Compiles for the compile time and the artifact size: the defaults.
    plain: Engine,
    /// Does everything else.
    tuned: Engine,
    mode: Mode,
}

/// An instance and its store.
pub struct Live {
    store: Store<()>,
    instance: Instance,
}

/// The settings that instantiate and call fastest.
fn tuned(mode: Mode) -> Config {
    let mut config = Config::new();
    match mode {
        Mode::Free => {}
        Mode::Interruptible => {
            config.epoch_interruption(true);
        }
        Mode::Fuel => {
            config.consume_fuel(true);
        }
    }
    config
        .allocation_strategy(pool())
        .memory_init_cow(true)
        .parallel_compilation(true)
        // The guests are synchronous: their stores need not prepare for concurrent calls.
        .concurrency_support(false);
    config
}

/// The pooling allocator, which keeps as much resident as is good for speed.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // The call-indirect guest has 65,536 functions in each table, and the longest chain 500 core
    // instances, which the default limits refuse.
    pool.table_elements(1 << 16)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .total_core_instances(10_000)
        .max_core_instances_per_component(1000)
        .max_memories_per_component(1000)
        .max_tables_per_component(1000)
        .max_tables_per_module(2);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // Resets only pages that were written, so that a generous limit costs nothing.
        pool.pagemap_scan(Enabled::Yes);
        pool.linear_memory_keep_resident(64 << 20)
            .table_keep_resident(1 << 20);
    } else {
        // Without the scan all that is kept is copied at each reset.
        pool.linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10);
    }
    pool
}

impl Host for Wasmtime {
    const NAME: &'static str = "Wasmtime";
    type Component = Component;
    type Linked = InstancePre<()>;
    type Live = Live;

    fn new(mode: Mode) -> Result<Self> {
        Ok(Self {
            plain: Engine::new(&Config::new())?,
            tuned: Engine::new(&tuned(mode))?,
            mode,
        })
    }

    fn compile(&self, wasm: &[u8]) -> Result<Component> {
        Ok(Component::new(&self.plain, wasm)?)
    }

    fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        Ok(self.tuned.precompile_component(wasm)?)
    }

    fn serialize(component: &Component) -> Result<Vec<u8>> {
        Ok(component.serialize()?)
    }

    fn load(&self, artifact: &ArtifactFile) -> Result<Component> {
        // SAFETY: an `ArtifactFile` holds what `precompile` gave, in a folder that only this
        // process uses.
        Ok(unsafe { Component::deserialize_file(&self.tuned, artifact.path()) }?)
    }

    fn link(&self, component: &Component) -> Result<InstancePre<()>> {
        Ok(Linker::new(&self.tuned).instantiate_pre(component)?)
    }

    fn instantiate(&self, linked: &InstancePre<()>) -> Result<Live> {
        let mut store = Store::new(&self.tuned, ());
        match self.mode {
            Mode::Free => {}
            // Nobody counts epochs up.
            Mode::Interruptible => store.set_epoch_deadline(1),
            Mode::Fuel => store.set_fuel(FUEL)?,
        }
        let instance = linked.instantiate(&mut store)?;
        Ok(Live { store, instance })
    }

    fn snapshot(&self, _: &mut Live) -> Result<Option<InstancePre<()>>> {
        Ok(None)
    }
}

impl<Params, Results> Calls<Params, Results> for Wasmtime
where
    Params: ComponentNamedList + Lower,
    Results: ComponentNamedList + Lift,
{
    type Func = TypedFunc<Params, Results>;

    fn func(live: &mut Live, name: &str) -> Result<Self::Func> {
        Ok(live.instance.get_typed_func(&mut live.store, name)?)
    }

    fn call(live: &mut Live, func: &Self::Func, params: Params) -> Result<Results> {
        Ok(func.call(&mut live.store, params)?)
    }
}

//! Wasmtime, with its best settings for many short-lived instances.

use crate::contender::{ArtifactFile, Calls, FUEL, Host, Mode, poll_until_ready, wait};
use crate::similar::replace;
use ::wasmtime::component::{
    Component, ComponentNamedList, Func, Instance, InstancePre, Lift, Linker, Lower, TypedFunc, Val,
};
use ::wasmtime::{
    Cache, CacheConfig, CacheStore, Config, Enabled, Engine, PoolingAllocationConfig, Store,
    Strategy,
};
use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Wasmtime.
pub struct Wasmtime {
    /// Has the default settings, for the compile time and the artifact size.
    plain: Engine,
    /// Used for everything else.
    tuned: Engine,
    mode: Mode,
}

impl Wasmtime {
    /// Returns the engine with the best settings.
    pub(crate) fn engine(&self) -> &Engine {
        &self.tuned
    }
}

/// Machine code of functions in memory, without a limit.
#[derive(Debug, Default)]
struct Functions(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let functions = self.0.lock().ok()?;
        functions.get(key).cloned().map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let functions = self.0.lock();
        functions.is_ok_and(|mut functions| functions.insert(key.into(), value).is_none())
    }
}

/// An instance and its store.
pub struct Live {
    store: Store<()>,
    instance: Instance,
}

/// Returns the settings for the fastest instantiation and calls.
fn tuned(mode: Mode) -> Config {
    let mut config = Config::new();
    match mode {
        // Its default is to inline nothing.
        Mode::Free | Mode::Separate => {}
        Mode::Interruptible => {
            config.epoch_interruption(true);
        }
        Mode::Fuel => {
            config.consume_fuel(true);
        }
        Mode::Fast => {
            config.strategy(Strategy::Winch);
        }
    }
    config
        .allocation_strategy(pool())
        .memory_init_cow(true)
        .parallel_compilation(true)
        // The guests are synchronous, so stores need no support for concurrent calls.
        .concurrency_support(false);
    config
}

/// Returns the settings of the pooling allocator, with generous limits on resident memory.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // The default limits are too low for the call-indirect guest, with 65,536 functions in each
    // table, and for the longest chain, with 500 core instances.
    pool.table_elements(1 << 16)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .total_core_instances(10_000)
        .max_core_instances_per_component(1000)
        .max_memories_per_component(1000)
        .max_tables_per_component(1000)
        .max_tables_per_module(2);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // With the scan, a reset affects only pages that were written, so a generous limit is free.
        pool.pagemap_scan(Enabled::Yes);
        pool.linear_memory_keep_resident(64 << 20)
            .table_keep_resident(1 << 20);
    } else {
        // Without the scan, each reset copies all resident memory.
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
    type ValueFunc = Func;

    fn new(mode: Mode) -> Result<Self> {
        Ok(Self {
            plain: match mode {
                Mode::Fast => Engine::new(Config::new().strategy(Strategy::Winch))?,
                _ => Engine::new(&Config::new())?,
            },
            tuned: Engine::new(&tuned(mode))?,
            mode,
        })
    }

    fn for_one_guest() -> Result<Self> {
        // A pool is for many instances. To reserve it takes longer than to run a short program.
        // Artifacts load only in an engine with the same support for concurrent calls.
        let engine = Engine::new(Config::new().concurrency_support(false))?;
        Ok(Self {
            plain: engine.clone(),
            tuned: engine,
            mode: Mode::Free,
        })
    }

    fn for_tasks() -> Result<Self> {
        let mut config = tuned(Mode::Free);
        config
            .concurrency_support(true)
            .wasm_component_model_async(true);
        let engine = Engine::new(&config)?;
        Ok(Self {
            plain: engine.clone(),
            tuned: engine,
            mode: Mode::Free,
        })
    }

    fn with_functions() -> Result<Self> {
        let mut config = Config::new();
        config.enable_incremental_compilation(Arc::new(Functions::default()))?;
        let engine = Engine::new(&config)?;
        Ok(Self {
            plain: engine.clone(),
            tuned: engine,
            mode: Mode::Free,
        })
    }

    fn with_cache(folder: &Path) -> Result<Self> {
        let mut cache = CacheConfig::new();
        cache.with_directory(folder);
        let mut config = Config::new();
        config.cache(Some(Cache::new(cache)?));
        // This saves time, and leaves the contents of the cache as they are.
        config.enable_incremental_compilation(Arc::new(Functions::default()))?;
        let engine = Engine::new(&config)?;
        Ok(Self {
            plain: engine.clone(),
            tuned: engine,
            mode: Mode::Free,
        })
    }

    fn compile_with(
        &self,
        _wasm: &[u8],
        first: &Component,
        old: &[u8],
        new: &[u8],
    ) -> Result<Component> {
        let mut artifact = first.serialize()?;
        replace(&mut artifact, old, new)?;
        // SAFETY: the compiler made the artifact, and only bytes of the guest's data differ.
        Ok(unsafe { Component::deserialize(&self.tuned, artifact) }?)
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
        // SAFETY: an `ArtifactFile` contains the result of `precompile`, in a folder that only this
        // process uses.
        Ok(unsafe { Component::deserialize_file(&self.tuned, artifact.path()) }?)
    }

    fn link(&self, component: &Component) -> Result<InstancePre<()>> {
        Ok(Linker::new(&self.tuned).instantiate_pre(component)?)
    }

    fn link_waiting(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.tuned);
        linker
            .root()
            .func_wrap_async("wait", |_, (times,): (u32,)| {
                Box::new(async move { Ok((wait(times).await,)) })
            })?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn link_host(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.tuned);
        linker
            .root()
            .func_wrap("wait", |_, (value,): (u32,)| Ok((value,)))?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn link_tasks(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.tuned);
        linker
            .root()
            .func_wrap_concurrent("host", |_, (times,): (u32,)| {
                Box::pin(async move { Ok((wait(times).await,)) })
            })?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn instantiate_waiting(&self, linked: &InstancePre<()>) -> Result<Live> {
        let mut store = Store::new(&self.tuned, ());
        let instance = poll_until_ready(linked.instantiate_async(&mut store))?;
        Ok(Live { store, instance })
    }

    fn instantiate(&self, linked: &InstancePre<()>) -> Result<Live> {
        let mut store = Store::new(&self.tuned, ());
        match self.mode {
            Mode::Free | Mode::Fast | Mode::Separate => {}
            // The epoch never increases.
            Mode::Interruptible => store.set_epoch_deadline(1),
            Mode::Fuel => store.set_fuel(FUEL)?,
        }
        let instance = linked.instantiate(&mut store)?;
        Ok(Live { store, instance })
    }

    fn value_func(live: &mut Live, name: &str) -> Result<Func> {
        let func = live.instance.get_func(&mut live.store, name);
        func.with_context(|| format!("no export `{name}`"))
    }

    fn call_values(live: &mut Live, func: &Func, [a, b]: [i32; 2]) -> Result<i32> {
        let mut results = [Val::Bool(false)];
        func.call(&mut live.store, &[Val::S32(a), Val::S32(b)], &mut results)?;
        match results {
            [Val::S32(result)] => Ok(result),
            [other] => bail!("{other:?} is not an `s32`"),
        }
    }

    fn snapshot(&self, _: &mut Live) -> Result<Option<InstancePre<()>>> {
        Ok(None)
    }
}

impl<Params, Results> Calls<Params, Results> for Wasmtime
where
    Params: ComponentNamedList + Lower + Send + 'static,
    Results: ComponentNamedList + Lift + Send + 'static,
{
    type Func = TypedFunc<Params, Results>;

    fn func(live: &mut Live, name: &str) -> Result<Self::Func> {
        Ok(live.instance.get_typed_func(&mut live.store, name)?)
    }

    fn call(live: &mut Live, func: &Self::Func, params: Params) -> Result<Results> {
        Ok(func.call(&mut live.store, params)?)
    }
    async fn call_async(live: &mut Live, func: &Self::Func, params: Params) -> Result<Results> {
        Ok(func.call_async(&mut live.store, params).await?)
    }

    async fn call_together(
        live: &mut Live,
        func: &Self::Func,
        params: Params,
        times: usize,
    ) -> Result<Vec<Results>>
    where
        Params: Copy,
    {
        let results = live.store.run_concurrent(async |accessor| {
            let calls = (0..times).map(|_| func.call_concurrent(accessor, params));
            try_join_all(calls).await
        });
        Ok(results.await??)
    }
}

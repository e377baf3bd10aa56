//! Mintage at its default settings, with the limits raised that guests exceed.

use crate::contender::{ArtifactFile, Calls, FUEL, Host, Mode, poll_until_ready, wait};
use ::mintage::{
    Cache, CacheConfig, Component, ComponentNamedList, Config, Engine, Func, FunctionStore,
    Inlining, Instance, InstancePre, Lift, Linker, Lower, OptLevel, Store, TypedFunc, Val,
};
use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use std::path::Path;
use std::sync::Arc;

/// The engine of this repository.
pub struct Mintage {
    engine: Engine,
    mode: Mode,
}

impl Mintage {
    /// Returns the engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// An instance and its store.
pub struct Live {
    pub(crate) store: Store<()>,
    pub(crate) instance: Instance,
}

impl Host for Mintage {
    const NAME: &'static str = "Mintage";
    type Component = Component;
    type Linked = InstancePre<()>;
    type Live = Live;
    type ValueFunc = Func;

    fn new(mode: Mode) -> Result<Self> {
        let mut config = Config::new();
        // The longest chain has 500 memories, each with 6 GiB of address space.
        config.max_instance_address_space(4 << 40);
        match mode {
            Mode::Free => {}
            Mode::Interruptible => {
                config.interruptible(true);
            }
            Mode::Fuel => {
                config.consume_fuel(true);
            }
            Mode::Fast => {
                config.opt_level(OptLevel::None);
            }
            Mode::Separate => {
                config.compiler_inlining(Inlining::No);
            }
        }
        Ok(Self {
            engine: Engine::new(&config)?,
            mode,
        })
    }

    fn with_functions() -> Result<Self> {
        let mut config = Config::new();
        config.enable_incremental_compilation(Arc::new(FunctionStore::new(1 << 30)))?;
        Ok(Self {
            engine: Engine::new(&config)?,
            mode: Mode::Free,
        })
    }

    fn with_cache(folder: &Path) -> Result<Self> {
        let mut cache = CacheConfig::new();
        cache.with_directory(folder);
        let mut config = Config::new();
        config.cache(Some(Cache::new(cache)?));
        Ok(Self {
            engine: Engine::new(&config)?,
            mode: Mode::Free,
        })
    }

    fn compile_with(
        &self,
        wasm: &[u8],
        _first: &Component,
        _old: &[u8],
        _new: &[u8],
    ) -> Result<Component> {
        self.compile(wasm)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Component> {
        Ok(Component::new(&self.engine, wasm)?)
    }

    fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        Self::serialize(&self.compile(wasm)?)
    }

    fn serialize(component: &Component) -> Result<Vec<u8>> {
        Ok(component.serialize()?)
    }

    fn load(&self, artifact: &ArtifactFile) -> Result<Component> {
        // SAFETY: an `ArtifactFile` contains the result of `precompile`, in a folder that only this
        // process uses.
        Ok(unsafe { Component::deserialize_file(&self.engine, artifact.path()) }?)
    }

    fn link(&self, component: &Component) -> Result<InstancePre<()>> {
        Ok(Linker::new(&self.engine).instantiate_pre(component)?)
    }

    fn link_waiting(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.engine);
        linker
            .root()
            .func_wrap_async("wait", |_, (times,): (u32,)| {
                Box::new(async move { Ok((wait(times).await,)) })
            })?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn link_host(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.engine);
        linker
            .root()
            .func_wrap("wait", |_, (value,): (u32,)| Ok((value,)))?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn link_tasks(&self, component: &Component) -> Result<InstancePre<()>> {
        let mut linker = Linker::<()>::new(&self.engine);
        linker
            .root()
            .func_wrap_concurrent("host", |_, (times,): (u32,)| {
                Box::pin(async move { Ok((wait(times).await,)) })
            })?;
        Ok(linker.instantiate_pre(component)?)
    }

    fn instantiate_waiting(&self, linked: &InstancePre<()>) -> Result<Live> {
        let mut store = Store::new(&self.engine, ());
        let instance = poll_until_ready(linked.instantiate_async(&mut store))?;
        Ok(Live { store, instance })
    }

    fn instantiate(&self, linked: &InstancePre<()>) -> Result<Live> {
        let mut store = Store::new(&self.engine, ());
        match self.mode {
            Mode::Free | Mode::Interruptible | Mode::Fast | Mode::Separate => {}
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

    fn snapshot(&self, live: &mut Live) -> Result<Option<InstancePre<()>>> {
        let snapshot = live.instance.snapshot(&mut live.store)?;
        self.link(&snapshot).map(Some)
    }
}

impl<Params, Results> Calls<Params, Results> for Mintage
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

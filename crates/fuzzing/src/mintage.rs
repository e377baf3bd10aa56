//! Mintage behind [`Oracle`].

use crate::echo::Echo;
use crate::modules::{Linked, MEMORY_LIMIT, TABLE_LIMIT, features};
use crate::oracle::{Compiled, CoreInstance, Echoed, Oracle, PLENTY, Stop};
use mintage::core::{self, CoreVal};
use mintage::error::{Context, Result};
use mintage::{
    Component, Config, Engine, Instance, InstancePre, Linker, OptLevel, Store, StoreLimits,
    StoreLimitsBuilder, Val,
};

/// Settings that must not change what a guest does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How hard the code generator tries.
    pub opt_level: OptLevel,
    /// Whether accesses are compared with bounds, not left to guard pages.
    pub explicit_bounds: bool,
    /// Whether functions can be interrupted.
    pub interruptible: bool,
    /// Whether what is executed is counted.
    pub consume_fuel: bool,
    /// Whether arithmetic gives one NaN only. This is the one that a guest can see.
    pub canonical_nans: bool,
}

impl Settings {
    /// Combinations in which each two of them meet.
    pub fn all() -> impl Iterator<Item = Settings> {
        let levels = [OptLevel::Speed, OptLevel::None, OptLevel::SpeedAndSize];
        levels.into_iter().flat_map(|opt_level| {
            // None, and all but one.
            [0b0000, 0b1110, 0b1101, 0b1011, 0b0111].map(|set| Settings {
                opt_level,
                explicit_bounds: set & 1 != 0,
                interruptible: set & 2 != 0,
                consume_fuel: set & 4 != 0,
                canonical_nans: set & 8 != 0,
            })
        })
    }
}

/// Mintage under certain settings.
pub struct Mintage {
    settings: Settings,
    engine: Engine,
}

impl Mintage {
    /// An engine with these settings, which accepts all that Mintage supports.
    ///
    /// # Errors
    ///
    /// When its thread cannot be started.
    pub fn new(settings: Settings) -> Result<Mintage> {
        let mut config = Config::new();
        config
            .core_exports(true)
            .debug_verifier(true)
            .opt_level(settings.opt_level)
            .interruptible(settings.interruptible)
            .consume_fuel(settings.consume_fuel)
            .cranelift_nan_canonicalization(settings.canonical_nans)
            .relaxed_simd_deterministic(true)
            .wasm_gc(features().gc)
            .wasm_custom_page_sizes(features().custom_page_sizes)
            .wasm_component_model_map(true)
            .wasm_component_model_error_context(true)
            .wasm_component_model_fixed_length_lists(true);
        if settings.explicit_bounds {
            config
                .memory_reservation(16 << 20)
                .memory64_reservation(16 << 20)
                .memory_guard_size(0);
        }
        let engine = Engine::new(&config)?;
        Ok(Mintage { settings, engine })
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn run_echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed> {
        let component = Component::new(&self.engine, echo.text())?;
        let mut linker = Linker::<Vec<Val>>::new(&self.engine);
        linker
            .root()
            .func_new(Echo::HOST, |mut store, _, params, results| {
                store.data_mut().push(params[0].clone());
                results[0] = params[0].clone();
                Ok(())
            })?;
        let mut store = Store::new(&self.engine, Vec::new());
        if self.settings.consume_fuel {
            store.set_fuel(PLENTY)?;
        }
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance.get_func(&mut store, Echo::EXPORT);
        let func =
            func.with_context(|| format!("the component has no export `{}`", Echo::EXPORT))?;
        let mut echoed = Echoed::default();
        for value in values {
            let mut results = [Val::Bool(false)];
            if let Err(error) = func.call(&mut store, std::slice::from_ref(value), &mut results) {
                echoed.stop = Some(Stop::of(&error));
                return Ok(echoed);
            }
            let seen = store
                .data_mut()
                .pop()
                .context("the host function was not called")?;
            let [result] = results;
            echoed.values.push([seen, result]);
        }
        let freed = instance.get_typed_func::<(), (u32,)>(&mut store, Echo::FREED)?;
        (echoed.freed,) = freed.call(&mut store, ())?;
        Ok(echoed)
    }
}

impl Oracle for Mintage {
    fn name(&self) -> String {
        format!("Mintage with {:?}", self.settings)
    }

    fn compile(&self, linked: &Linked) -> Result<Box<dyn Compiled>, Stop> {
        let compile = || {
            Linker::new(&self.engine)
                .instantiate_pre(&Component::new(&self.engine, linked.component())?)
        };
        let linked = compile().map_err(|error| Stop::of(&error))?;
        Ok(Box::new(Modules(linked)))
    }

    fn has_error_context(&self) -> bool {
        true
    }

    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
        self.run_echo(echo, values)
            .map_err(|error| Stop::of(&error))
    }
}

/// Compiled modules.
struct Modules(InstancePre<StoreLimits>);

impl Compiled for Modules {
    fn instantiate(&self) -> Result<Box<dyn CoreInstance>, Stop> {
        match instantiate(&self.0) {
            Ok(live) => Ok(Box::new(live)),
            Err(error) => Err(Stop::of(&error)),
        }
    }
}

fn instantiate(linked: &InstancePre<StoreLimits>) -> Result<Live> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_LIMIT)
        .table_elements(TABLE_LIMIT);
    let mut store = Store::new(linked.engine(), limits.build());
    store.limiter(|limits| limits);
    // Fails where fuel is not counted.
    let _ = store.set_fuel(PLENTY);
    let instance = linked.instantiate(&mut store)?;
    Ok(Live { store, instance })
}

/// Instances of modules.
struct Live {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Live {
    #[allow(unsafe_code, reason = "an artifact's machine code is run")]
    fn start_again(&mut self, serialized: bool) -> Result<Live> {
        let mut snapshot = self.instance.snapshot(&mut self.store)?;
        if serialized {
            let engine = self.store.engine();
            // SAFETY: the engine wrote the artifact just now.
            snapshot = unsafe { Component::deserialize(engine, snapshot.serialize()?) }?;
        }
        instantiate(&Linker::new(snapshot.engine()).instantiate_pre(&snapshot)?)
    }
}

impl CoreInstance for Live {
    fn set_fuel(&mut self, fuel: u64) {
        // Fails where fuel is not counted.
        let _ = self.store.set_fuel(fuel);
    }

    fn fuel(&mut self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    fn call(&mut self, module: usize, name: &str, args: &[CoreVal]) -> Result<Vec<CoreVal>, Stop> {
        core::call(&mut self.store, &self.instance, module as u32, name, args)
            .map_err(|error| Stop::of(&error))
    }

    fn global(&mut self, module: usize, name: &str) -> CoreVal {
        core::global(&self.store, &self.instance, module as u32, name)
            .expect("the module exports the global")
    }

    fn memory(&mut self, module: usize, name: &str) -> Vec<u8> {
        core::memory(&self.store, &self.instance, module as u32, name)
            .expect("the module exports the memory")
    }

    fn of_snapshot(&mut self, serialized: bool) -> Result<Option<Box<dyn CoreInstance>>, Stop> {
        self.start_again(serialized)
            .map(|live| Some(Box::new(live) as _))
            .map_err(|error| Stop::of(&error))
    }
}

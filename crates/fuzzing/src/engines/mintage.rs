//! Mintage behind [`Oracle`].

use super::{CompiledModules, Echoed, ModuleInstances, Oracle, PLENTY, Stop};
use crate::guests::modules::features;
use crate::guests::{Echo, LinkedModules, MEMORY_LIMIT, TABLE_LIMIT};
use mintage::core::{self, CoreVal};
use mintage::error::{Context, Result};
use mintage::{
    Component, Config, Engine, Instance, InstancePre, Linker, OptLevel, Store, StoreLimits,
    StoreLimitsBuilder, Val,
};

/// Settings that must not change what a guest does, except where a field says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The effort of the code generator.
    pub opt_level: OptLevel,
    /// Whether code checks bounds instead of relying on guard pages.
    pub explicit_bounds: bool,
    /// Whether functions can be interrupted.
    pub interruptible: bool,
    /// Whether code counts fuel.
    pub consume_fuel: bool,
    /// Whether bulk operations consume fuel in proportion to their length. Changes the fuel that a
    /// guest consumes.
    pub fuel_by_length: bool,
    /// Whether arithmetic produces only one NaN. Changes the bits that a guest can see.
    pub canonical_nans: bool,
}

impl Settings {
    /// Returns combinations that contain every pair of settings.
    pub fn all() -> impl Iterator<Item = Settings> {
        let levels = [OptLevel::Speed, OptLevel::None, OptLevel::SpeedAndSize];
        levels.into_iter().flat_map(|opt_level| {
            // None, and all but one.
            [0b00000, 0b11110, 0b11101, 0b11011, 0b10111, 0b01111].map(|set| Settings {
                opt_level,
                explicit_bounds: set & 1 != 0,
                interruptible: set & 2 != 0,
                consume_fuel: set & 4 != 0,
                canonical_nans: set & 8 != 0,
                fuel_by_length: set & 16 != 0,
            })
        })
    }

    /// Returns whether guests consume the same fuel under both settings.
    pub fn counts_like(&self, other: &Settings) -> bool {
        let counts = self.consume_fuel && other.consume_fuel;
        counts && self.fuel_by_length == other.fuel_by_length
    }
}

/// Mintage under given settings.
pub struct Mintage {
    settings: Settings,
    engine: Engine,
}

impl Mintage {
    /// Creates an engine with these settings and all features that Mintage supports.
    ///
    /// # Errors
    ///
    /// If the settings contradict each other, or the engine's thread cannot be started.
    pub fn new(settings: Settings) -> Result<Mintage> {
        let mut config = Config::new();
        config
            .core_exports(true)
            .debug_verifier(true)
            .opt_level(settings.opt_level)
            .interruptible(settings.interruptible)
            .consume_fuel(settings.consume_fuel)
            .fuel_by_length(settings.fuel_by_length)
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

    /// Returns the settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Returns the engine.
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

    fn compile(&self, linked: &LinkedModules) -> Result<Box<dyn CompiledModules>, Stop> {
        let compile = || {
            Linker::new(&self.engine)
                .instantiate_pre(&Component::new(&self.engine, linked.component())?)
        };
        let pre = compile().map_err(|error| Stop::of(&error))?;
        let fuel_by_length = self.settings.fuel_by_length;
        Ok(Box::new(CompiledComponent {
            pre,
            fuel_by_length,
        }))
    }

    fn has_error_context(&self) -> bool {
        true
    }

    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
        self.run_echo(echo, values)
            .map_err(|error| Stop::of(&error))
    }
}

/// A component that instantiates the modules.
struct CompiledComponent {
    pre: InstancePre<StoreLimits>,
    fuel_by_length: bool,
}

impl CompiledModules for CompiledComponent {
    fn instantiate(&self) -> Result<Box<dyn ModuleInstances>, Stop> {
        match instantiate(&self.pre) {
            Ok(instance) => Ok(Box::new(instance)),
            Err(error) => Err(Stop::of(&error)),
        }
    }

    fn fuel_by_length(&self) -> bool {
        self.fuel_by_length
    }
}

fn instantiate(pre: &InstancePre<StoreLimits>) -> Result<ComponentInstance> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_LIMIT)
        .table_elements(TABLE_LIMIT);
    let mut store = Store::new(pre.engine(), limits.build());
    store.limiter(|limits| limits);
    // Fails if fuel is not counted.
    let _ = store.set_fuel(PLENTY);
    let instance = pre.instantiate(&mut store)?;
    Ok(ComponentInstance { store, instance })
}

/// An instance of the component that instantiates the modules.
struct ComponentInstance {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl ComponentInstance {
    #[allow(unsafe_code, reason = "runs the machine code of an artifact")]
    fn start_again(&mut self, serialized: bool) -> Result<ComponentInstance> {
        let mut snapshot = self.instance.snapshot(&mut self.store)?;
        if serialized {
            let engine = self.store.engine();
            // SAFETY: the engine has just written the artifact.
            snapshot = unsafe { Component::deserialize(engine, snapshot.serialize()?) }?;
        }
        let pre = Linker::new(snapshot.engine()).instantiate_pre(&snapshot)?;
        instantiate(&pre)
    }
}

impl ModuleInstances for ComponentInstance {
    fn set_fuel(&mut self, fuel: u64) {
        // Fails if fuel is not counted.
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
        core::global(&mut self.store, &self.instance, module as u32, name)
            .expect("the module exports the global")
    }

    fn memory(&mut self, module: usize, name: &str) -> Vec<u8> {
        core::memory(&mut self.store, &self.instance, module as u32, name)
            .expect("the module exports the memory")
    }

    fn of_snapshot(&mut self, serialized: bool) -> Result<Option<Box<dyn ModuleInstances>>, Stop> {
        self.start_again(serialized)
            .map(|instance| Some(Box::new(instance) as _))
            .map_err(|error| Stop::of(&error))
    }
}

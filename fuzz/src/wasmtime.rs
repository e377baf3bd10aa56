//! Wasmtime behind [`Oracle`].

use ::wasmtime::component::{Component, Linker as ComponentLinker, Val as WasmtimeVal};
use ::wasmtime::error::Context;
use ::wasmtime::{
    AnyRef, Config, Engine, Error, ExternRef, GcHeapOutOfMemory, I31, Instance, Linker, Module,
    OperatorCost, Result, Rooted, Store, StoreLimits, StoreLimitsBuilder, ThrownException,
    Val as WasmtimeCoreVal, VariableOperatorCost,
};
use mintage::core::{CoreRef, CoreVal};
use mintage::{Trap, Val};
use mintage_fuzzing::{
    CompiledModules, Echo, Echoed, LinkedModules, MEMORY_LIMIT, ModuleInstances, Oracle, PLENTY,
    Stop, TABLE_LIMIT, WitType, module_name,
};

/// Wasmtime with all features that Mintage supports.
pub struct Wasmtime(Engine);

impl Wasmtime {
    /// Creates an engine whose arithmetic produces only one NaN if `canonical_nans` is set. Such an
    /// engine also counts fuel, by the same rules as Mintage.
    ///
    /// # Errors
    ///
    /// If the settings contradict each other.
    pub fn new(canonical_nans: bool) -> Result<Wasmtime> {
        let mut config = Config::new();
        config
            .cranelift_nan_canonicalization(canonical_nans)
            .consume_fuel(canonical_nans)
            .operator_cost(costs())
            .relaxed_simd_deterministic(true)
            .wasm_custom_page_sizes(true)
            .wasm_exceptions(true)
            .wasm_extended_const(true)
            .wasm_function_references(true)
            .wasm_gc(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_tail_call(true)
            .wasm_threads(true)
            .wasm_wide_arithmetic(true)
            .wasm_component_model_fixed_length_lists(true)
            .wasm_component_model_map(true);
        Ok(Wasmtime(Engine::new(&config)?))
    }

    fn run_echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed> {
        let component = Component::new(&self.0, wat::parse_str(echo.text())?)?;
        let mut linker = ComponentLinker::<Vec<WasmtimeVal>>::new(&self.0);
        linker
            .root()
            .func_new(Echo::HOST, |mut store, _, params, results| {
                store.data_mut().push(params[0].clone());
                results[0] = params[0].clone();
                Ok(())
            })?;
        let mut store = Store::new(&self.0, Vec::new());
        // Fails if fuel is not counted.
        let _ = store.set_fuel(PLENTY);
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance
            .get_func(&mut store, Echo::EXPORT)
            .context("no such export")?;
        let mut echoed = Echoed::default();
        for value in values {
            let mut results = [WasmtimeVal::Bool(false)];
            let params = [to_wasmtime(value, &echo.ty)];
            if let Err(error) = func.call(&mut store, &params, &mut results) {
                echoed.stop = Some(stop(&error));
                return Ok(echoed);
            }
            let seen = store
                .data_mut()
                .pop()
                .context("the host function was not called")?;
            let [result] = results;
            echoed
                .values
                .push([from_wasmtime(seen), from_wasmtime(result)]);
        }
        let freed = instance.get_typed_func::<(), (u32,)>(&mut store, Echo::FREED)?;
        (echoed.freed,) = freed.call(&mut store, ())?;
        Ok(echoed)
    }
}

/// Returns the cost of operators in Mintage, where bulk operations cost no more than others.
fn costs() -> OperatorCost {
    OperatorCost {
        variable: VariableOperatorCost {
            memory_copy_per_byte: 0,
            memory_fill_per_byte: 0,
            memory_init_per_byte: 0,
            memory_grow_per_page: 0,
            table_copy_per_element: 0,
            table_fill_per_element: 0,
            table_init_per_element: 0,
            table_grow_per_element: 0,
            array_copy_per_element: 0,
            array_fill_per_element: 0,
            array_new_data_per_element: 0,
            array_init_data_per_element: 0,
            array_new_elem_per_element: 0,
            array_init_elem_per_element: 0,
            array_new_default_per_element: 0,
            array_new_per_element: 0,
        },
        ..OperatorCost::new()
    }
}

/// Returns the reason that an error of Wasmtime stands for.
fn stop(error: &Error) -> Stop {
    use ::wasmtime::Trap as Theirs;
    if error.is::<ThrownException>() {
        return Stop::Trap(Trap::UncaughtException);
    }
    if error.is::<GcHeapOutOfMemory<()>>() {
        return Stop::Trap(Trap::HeapExhausted);
    }
    match error.downcast_ref::<Theirs>() {
        Some(Theirs::AtomicWaitNonSharedMemory) => Stop::Trap(Trap::AtomicWaitNonSharedMemory),
        // The other traps have the same messages in both engines.
        Some(trap) => {
            let text = trap.to_string();
            let found = Trap::ALL.iter().find(|trap| trap.to_string() == text);
            found.map_or(Stop::Refused(text), |&trap| Stop::Trap(trap))
        }
        None => Stop::Refused(format!("{error:#}")),
    }
}

impl Oracle for Wasmtime {
    fn name(&self) -> String {
        "Wasmtime".into()
    }

    fn compile(&self, linked: &LinkedModules) -> Result<Box<dyn CompiledModules>, Stop> {
        let modules = linked
            .modules
            .iter()
            .map(|module| Module::new(&self.0, &module.bytes));
        let modules = modules
            .collect::<Result<_>>()
            .map_err(|error| stop(&error))?;
        Ok(Box::new(Modules(modules)))
    }

    /// Wasmtime supports it only together with async components.
    fn has_error_context(&self) -> bool {
        false
    }

    fn echo(&self, echo: &Echo, values: &[Val]) -> Result<Echoed, Stop> {
        self.run_echo(echo, values).map_err(|error| stop(&error))
    }
}

/// Compiled modules.
struct Modules(Vec<Module>);

impl CompiledModules for Modules {
    fn instantiate(&self) -> Result<Box<dyn ModuleInstances>, Stop> {
        let engine = self.0[0].engine();
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_LIMIT)
            .table_elements(TABLE_LIMIT);
        let mut store = Store::new(engine, limits.build());
        store.limiter(|limits| limits);
        // Fails if fuel is not counted.
        let _ = store.set_fuel(PLENTY);
        let mut linker = Linker::new(engine);
        let mut instances = Vec::new();
        for (index, module) in self.0.iter().enumerate() {
            let mut instantiate = || {
                let instance = linker.instantiate(&mut store, module)?;
                linker.instance(&mut store, &module_name(index), instance)?;
                Ok(instance)
            };
            instances.push(instantiate().map_err(|error| stop(&error))?);
        }
        Ok(Box::new(WasmtimeInstances {
            store,
            instances,
            is_counted: false,
        }))
    }
}

/// Instances of modules.
struct WasmtimeInstances {
    store: Store<StoreLimits>,
    instances: Vec<Instance>,
    /// Whether fuel has been counted exactly since it was set. Instantiation executes operators of
    /// Wasmtime's own, and a trap leaves the last operators uncounted.
    is_counted: bool,
}

impl ModuleInstances for WasmtimeInstances {
    fn set_fuel(&mut self, fuel: u64) {
        self.is_counted = self.store.set_fuel(fuel).is_ok();
    }

    fn fuel(&mut self) -> Option<u64> {
        self.store.get_fuel().ok().filter(|_| self.is_counted)
    }

    fn call(&mut self, module: usize, name: &str, args: &[CoreVal]) -> Result<Vec<CoreVal>, Stop> {
        let func = self.instances[module].get_func(&mut self.store, name);
        let func = func.expect("the module exports the function");
        let args = args
            .iter()
            .map(|&arg| to_core(&mut self.store, arg))
            .collect::<Result<Vec<_>>>();
        let args = args.map_err(|error| stop(&error))?;
        let mut results = vec![WasmtimeCoreVal::I32(0); func.ty(&self.store).results().len()];
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(results
                .iter()
                .map(|value| from_core(&mut self.store, value))
                .collect()),
            Err(error) => {
                self.is_counted = false;
                // Otherwise the store keeps the exception.
                let _ = self.store.take_pending_exception();
                Err(stop(&error))
            }
        }
    }

    fn global(&mut self, module: usize, name: &str) -> CoreVal {
        let global = self.instances[module].get_global(&mut self.store, name);
        let value = global
            .expect("the module exports the global")
            .get(&mut self.store);
        from_core(&mut self.store, &value)
    }

    fn memory(&mut self, module: usize, name: &str) -> Vec<u8> {
        let memory = self.instances[module].get_memory(&mut self.store, name);
        memory
            .expect("the module exports the memory")
            .data(&self.store)
            .to_vec()
    }
}

fn to_core(store: &mut Store<StoreLimits>, value: CoreVal) -> Result<WasmtimeCoreVal> {
    Ok(match value {
        CoreVal::I32(value) => value.into(),
        CoreVal::I64(value) => value.into(),
        CoreVal::F32(bits) => WasmtimeCoreVal::F32(bits),
        CoreVal::F64(bits) => WasmtimeCoreVal::F64(bits),
        CoreVal::V128(bits) => WasmtimeCoreVal::V128(bits.into()),
        CoreVal::FuncRef(_) => WasmtimeCoreVal::FuncRef(None),
        CoreVal::ExternRef(CoreRef::Null) => WasmtimeCoreVal::ExternRef(None),
        CoreVal::ExternRef(CoreRef::Host(number)) => ExternRef::new(store, number)?.into(),
        CoreVal::AnyRef(CoreRef::Null) => WasmtimeCoreVal::AnyRef(None),
        CoreVal::AnyRef(CoreRef::I31(value)) => {
            AnyRef::from_i31(store, I31::wrapping_u32(value)).into()
        }
        CoreVal::ExnRef(CoreRef::Null) => WasmtimeCoreVal::ExnRef(None),
        other => ::wasmtime::bail!("bodies pass no value like {other:?}"),
    })
}

fn from_core(store: &mut Store<StoreLimits>, value: &WasmtimeCoreVal) -> CoreVal {
    let gone = "a new reference is valid";
    match value {
        WasmtimeCoreVal::I32(value) => CoreVal::I32(*value),
        WasmtimeCoreVal::I64(value) => CoreVal::I64(*value),
        WasmtimeCoreVal::F32(bits) => CoreVal::F32(*bits),
        WasmtimeCoreVal::F64(bits) => CoreVal::F64(*bits),
        WasmtimeCoreVal::V128(bits) => CoreVal::V128(bits.as_u128()),
        WasmtimeCoreVal::FuncRef(func) => CoreVal::FuncRef(func.is_some().into()),
        WasmtimeCoreVal::ExternRef(None) => CoreVal::ExternRef(CoreRef::Null),
        WasmtimeCoreVal::ExternRef(Some(value)) => {
            let any = AnyRef::convert_extern(&mut *store, *value).expect(gone);
            CoreVal::ExternRef(object(store, any).expect(gone))
        }
        WasmtimeCoreVal::AnyRef(None) => CoreVal::AnyRef(CoreRef::Null),
        WasmtimeCoreVal::AnyRef(Some(any)) => CoreVal::AnyRef(object(store, *any).expect(gone)),
        WasmtimeCoreVal::ExnRef(None) => CoreVal::ExnRef(CoreRef::Null),
        WasmtimeCoreVal::ExnRef(Some(_)) => CoreVal::ExnRef(CoreRef::Exception),
        other => unreachable!("no module has a value like {other:?}"),
    }
}

/// Returns the object that a reference refers to.
fn object(store: &mut Store<StoreLimits>, any: Rooted<AnyRef>) -> Result<CoreRef> {
    if let Some(value) = any.as_i31(&*store)? {
        return Ok(CoreRef::I31(value.get_u32()));
    }
    if any.is_struct(&*store)? {
        return Ok(CoreRef::Struct);
    }
    if any.is_array(&*store)? {
        return Ok(CoreRef::Array);
    }
    let value = ExternRef::convert_any(&mut *store, any)?;
    let number = value
        .data(&*store)?
        .and_then(|data| data.downcast_ref::<u32>());
    Ok(CoreRef::Host(
        *number.context("the value is none that this host made")?,
    ))
}

/// Converts a value of type `ty` to Wasmtime's.
fn to_wasmtime(value: &Val, ty: &WitType) -> WasmtimeVal {
    let all =
        |values: &[Val], ty: &WitType| values.iter().map(|value| to_wasmtime(value, ty)).collect();
    let payload = |value: &Option<Box<Val>>, ty: Option<&WitType>| {
        let pair = value.as_ref().zip(ty);
        pair.map(|(value, ty)| Box::new(to_wasmtime(value, ty)))
    };
    match (value, ty) {
        (Val::List(values), WitType::List(element)) => WasmtimeVal::List(all(values, element)),
        (Val::FixedLengthList(values), WitType::FixedList(element, _)) => {
            WasmtimeVal::FixedLengthList(all(values, element))
        }
        (Val::Map(entries), WitType::Map(key, payload)) => {
            let key = WitType::Primitive(key);
            let entries = entries.iter();
            WasmtimeVal::Map(
                entries
                    .map(|(k, v)| (to_wasmtime(k, &key), to_wasmtime(v, payload)))
                    .collect(),
            )
        }
        (Val::Tuple(values), WitType::Tuple(fields)) => {
            let values = values.iter().zip(fields);
            WasmtimeVal::Tuple(values.map(|(value, ty)| to_wasmtime(value, ty)).collect())
        }
        (Val::Record(values), WitType::Record(fields)) => {
            let values = values.iter().zip(fields);
            WasmtimeVal::Record(
                values
                    .map(|((name, value), ty)| (name.clone(), to_wasmtime(value, ty)))
                    .collect(),
            )
        }
        (Val::Variant(name, value), WitType::Variant(cases)) => {
            let case = name
                .strip_prefix('f')
                .and_then(|number| number.parse::<usize>().ok());
            let ty = case.and_then(|case| cases[case].as_ref());
            WasmtimeVal::Variant(name.clone(), payload(value, ty))
        }
        (Val::Option(value), WitType::Option(ty)) => WasmtimeVal::Option(payload(value, Some(ty))),
        (Val::Result(value), WitType::Result(ok, error)) => WasmtimeVal::Result(match value {
            Ok(value) => Ok(payload(value, ok.as_deref())),
            Err(value) => Err(payload(value, error.as_deref())),
        }),
        (value, _) => primitive_to_wasmtime(value),
    }
}

/// Converts a value of a primitive type, an enum or flags.
fn primitive_to_wasmtime(value: &Val) -> WasmtimeVal {
    match value {
        Val::Bool(value) => WasmtimeVal::Bool(*value),
        Val::S8(value) => WasmtimeVal::S8(*value),
        Val::U8(value) => WasmtimeVal::U8(*value),
        Val::S16(value) => WasmtimeVal::S16(*value),
        Val::U16(value) => WasmtimeVal::U16(*value),
        Val::S32(value) => WasmtimeVal::S32(*value),
        Val::U32(value) => WasmtimeVal::U32(*value),
        Val::S64(value) => WasmtimeVal::S64(*value),
        Val::U64(value) => WasmtimeVal::U64(*value),
        Val::Float32(value) => WasmtimeVal::Float32(*value),
        Val::Float64(value) => WasmtimeVal::Float64(*value),
        Val::Char(value) => WasmtimeVal::Char(*value),
        Val::String(value) => WasmtimeVal::String(value.clone()),
        Val::Enum(name) => WasmtimeVal::Enum(name.clone()),
        Val::Flags(names) => WasmtimeVal::Flags(names.clone()),
        other => unreachable!("{other:?} does not have its type"),
    }
}

/// Converts a value to Mintage's.
fn from_wasmtime(value: WasmtimeVal) -> Val {
    let all = |values: Vec<WasmtimeVal>| values.into_iter().map(from_wasmtime).collect();
    let payload =
        |value: Option<Box<WasmtimeVal>>| value.map(|value| Box::new(from_wasmtime(*value)));
    match value {
        WasmtimeVal::Bool(value) => Val::Bool(value),
        WasmtimeVal::S8(value) => Val::S8(value),
        WasmtimeVal::U8(value) => Val::U8(value),
        WasmtimeVal::S16(value) => Val::S16(value),
        WasmtimeVal::U16(value) => Val::U16(value),
        WasmtimeVal::S32(value) => Val::S32(value),
        WasmtimeVal::U32(value) => Val::U32(value),
        WasmtimeVal::S64(value) => Val::S64(value),
        WasmtimeVal::U64(value) => Val::U64(value),
        WasmtimeVal::Float32(value) => Val::Float32(value),
        WasmtimeVal::Float64(value) => Val::Float64(value),
        WasmtimeVal::Char(value) => Val::Char(value),
        WasmtimeVal::String(value) => Val::String(value),
        WasmtimeVal::Enum(name) => Val::Enum(name),
        WasmtimeVal::Flags(names) => Val::Flags(names),
        WasmtimeVal::List(values) => Val::List(all(values)),
        WasmtimeVal::Tuple(values) => Val::Tuple(all(values)),
        WasmtimeVal::FixedLengthList(values) => Val::FixedLengthList(all(values)),
        WasmtimeVal::Map(entries) => {
            let entries = entries.into_iter();
            Val::Map(
                entries
                    .map(|(key, value)| (from_wasmtime(key), from_wasmtime(value)))
                    .collect(),
            )
        }
        WasmtimeVal::Record(fields) => {
            let fields = fields.into_iter();
            Val::Record(
                fields
                    .map(|(name, value)| (name, from_wasmtime(value)))
                    .collect(),
            )
        }
        WasmtimeVal::Variant(name, value) => Val::Variant(name, payload(value)),
        WasmtimeVal::Option(value) => Val::Option(payload(value)),
        WasmtimeVal::Result(value) => Val::Result(value.map(payload).map_err(payload)),
        other => unreachable!("no echo has a value like {other:?}"),
    }
}

//! Compiles, instantiates and calls components. All use of the engine is here.

use crate::component_value::fitted;
use crate::core_value::CoreValue;
use crate::host::{self, Host};
use mintage::core::CoreVal;
use mintage::error::{Context, Error, Result, bail};
use mintage::{Component, Engine, Instance, Store, Trap, Val, block_on};

/// Compiles a component, which also validates it.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component> {
    Component::new(engine, bytes)
}

/// Returns the trap among the causes of an error.
pub(crate) fn trap(error: &Error) -> Option<Trap> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Trap>())
        .copied()
}

/// A component instance with a store of its own.
pub(crate) struct Live {
    store: Store<Host>,
    instance: Instance,
}

impl Live {
    /// Compiles and instantiates a component.
    ///
    /// # Errors
    ///
    /// Fails if it is invalid or not supported, imports something that the host does not define, or
    /// traps during instantiation.
    pub(crate) fn new(engine: &Engine, bytes: &[u8]) -> Result<Live> {
        Live::of(&compile(engine, bytes)?)
    }

    /// Instantiates a component.
    ///
    /// # Errors
    ///
    /// Fails if it imports something that the host does not define, or traps during instantiation.
    pub(crate) fn of(component: &Component) -> Result<Live> {
        let mut store = Store::new(component.engine(), Host::default());
        // Scripts must not run out of fuel. Fails if the engine does not consume fuel.
        let _ = store.set_fuel(u64::MAX);
        let instance = host::linker(component)?.instantiate(&mut store, component)?;
        Ok(Live { store, instance })
    }

    /// Calls an exported function of the root, or of an exported instance.
    pub(crate) fn call(
        &mut self,
        instance: Option<&str>,
        name: &str,
        args: &[Val],
    ) -> Result<Vec<Val>> {
        let inside = match instance {
            Some(instance) => {
                let export = self.instance.get_export(&mut self.store, None, instance);
                Some(
                    export
                        .with_context(|| format!("no instance `{instance}`"))?
                        .1,
                )
            }
            None => None,
        };
        let func = self
            .instance
            .get_export(&mut self.store, inside.as_ref(), name)
            .and_then(|(_, index)| self.instance.get_func(&mut self.store, index))
            .with_context(|| format!("no function `{name}`"))?;
        let results = func.results(&self.store).len();
        let mut results = vec![Val::Bool(false); results];
        let params = func.params(&self.store);
        let typed = args
            .iter()
            .zip(&params)
            .map(|(arg, (_, ty))| fitted(arg, ty));
        // Too many arguments are the library's to refuse.
        let args: Vec<_> = typed
            .chain(args.iter().skip(params.len()).cloned())
            .collect();
        match func.ty(&self.store).async_() {
            false => func.call(&mut self.store, &args, &mut results)?,
            true => block_on(func.call_async(&mut self.store, &args, &mut results))?,
        }
        Ok(results)
    }

    /// Calls an exported function of a core instance.
    pub(crate) fn core_call(
        &mut self,
        core_instance: u32,
        name: &str,
        args: &[CoreValue],
    ) -> Result<Vec<CoreValue>> {
        let args = args
            .iter()
            .map(|&value| to_engine(value))
            .collect::<Vec<_>>();
        let results =
            mintage::core::call(&mut self.store, &self.instance, core_instance, name, &args)?;
        results.into_iter().map(from_engine).collect()
    }

    /// Returns the value of an exported global of a core instance.
    pub(crate) fn core_global(&mut self, core_instance: u32, name: &str) -> Result<CoreValue> {
        from_engine(mintage::core::global(
            &mut self.store,
            &self.instance,
            core_instance,
            name,
        )?)
    }
}

fn to_engine(value: CoreValue) -> CoreVal {
    match value {
        CoreValue::I32(value) => CoreVal::I32(value as i32),
        CoreValue::I64(value) => CoreVal::I64(value as i64),
        CoreValue::F32(bits) => CoreVal::F32(bits),
        CoreValue::F64(bits) => CoreVal::F64(bits),
        CoreValue::V128(bits) => CoreVal::V128(bits),
        CoreValue::FuncRef(word) => CoreVal::FuncRef(word),
        CoreValue::ExternRef(reference) => CoreVal::ExternRef(reference),
        CoreValue::AnyRef(reference) => CoreVal::AnyRef(reference),
        CoreValue::ExnRef(reference) => CoreVal::ExnRef(reference),
    }
}

fn from_engine(value: CoreVal) -> Result<CoreValue> {
    Ok(match value {
        CoreVal::I32(value) => CoreValue::I32(value as u32),
        CoreVal::I64(value) => CoreValue::I64(value as u64),
        CoreVal::F32(bits) => CoreValue::F32(bits),
        CoreVal::F64(bits) => CoreValue::F64(bits),
        CoreVal::V128(bits) => CoreValue::V128(bits),
        CoreVal::FuncRef(word) => CoreValue::FuncRef(word),
        CoreVal::ExternRef(reference) => CoreValue::ExternRef(reference),
        CoreVal::AnyRef(reference) => CoreValue::AnyRef(reference),
        CoreVal::ExnRef(reference) => CoreValue::ExnRef(reference),
        other => bail!("the value {other:?} is not supported yet"),
    })
}

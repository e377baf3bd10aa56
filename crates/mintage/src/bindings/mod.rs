//! Macros, and the functions that generated bindings use.

#[cfg(feature = "macros")]
pub mod macros;

use crate::error::{Result, bail, format_err};
use crate::types::ComponentItem;
use crate::{
    AsContextMut, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
    TypedFunc,
};

/// Finds an exported function of a component by name, and checks its type.
///
/// # Errors
///
/// If there is none, or its type is another one.
pub fn export_index<Params, Return, T>(
    pre: &InstancePre<T>,
    instance: Option<&ComponentExportIndex>,
    name: &str,
) -> Result<ComponentExportIndex>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let export = pre.component().get_export(instance, name);
    let (item, index) = export.ok_or_else(|| {
        format_err!("the component has no export `{name}`, which its world demands")
    })?;
    let ComponentItem::ComponentFunc(function) = item else {
        bail!("the export `{name}` is not a function, which its world demands");
    };
    function
        .typecheck::<Params, Return>(&pre.instance_type())
        .map_err(|error| error.context(format!("in the export `{name}`")))?;
    Ok(index)
}

/// Returns an exported function, whose type is checked.
///
/// # Errors
///
/// When its type is another one.
pub fn exported<Params, Return>(
    store: impl AsContextMut,
    instance: &Instance,
    index: &ComponentExportIndex,
    name: &str,
) -> Result<TypedFunc<Params, Return>>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let function = instance.get_typed_func::<Params, Return>(store, index);
    function.map_err(|error| error.context(format!("in the export `{name}`")))
}

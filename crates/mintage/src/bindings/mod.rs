//! The common ground of hosts and generated bindings: [`HasData`] leads from a store's data to the
//! implementation of an interface, and generated code uses the functions beside it.

mod access;
#[cfg(feature = "macros")]
pub mod macros;

pub use access::Access;

use crate::error::{Result, bail, format_err};
use crate::types::ComponentItem;
use crate::{
    AsContextMut, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
    TypedFunc,
};
use std::marker::PhantomData;

/// Names the type that implements a host's interfaces. Where a linker takes a function from the
/// data `&mut T` of a store to [`Data`](Self::Data), an implementation of this trait says what
/// `Data` is.
///
/// A host names such a type where it adds an interface to a linker. [`HasSelf`] is for data that
/// implements the interface itself.
pub trait HasData: 'static {
    /// The implementation of the interface, while the data of the store is borrowed.
    type Data<'a>;
}

impl HasData for () {
    type Data<'a> = ();
}

/// Stands for data that implements an interface itself: [`HasData::Data`] is `&mut T`.
pub struct HasSelf<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized + 'static> HasData for HasSelf<T> {
    type Data<'a> = &'a mut T;
}

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

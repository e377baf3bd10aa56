//! Methods that only hosts written for Wasmtime need: calls of `post-return` functions by hand, as
//! its earlier versions asked for, and the type check of code that its `bindgen!` has generated.

use super::host::typecheck;
use super::{Func, TypedFunc};
use crate::abi::InstanceTypes;
use crate::error::{Result, ensure};
use crate::types::ComponentFunc;
use crate::{AsContextMut, ComponentNamedList, Lift, Lower};

impl ComponentFunc {
    /// Fails unless `Params` and `Return` are the parameters and the results of this type. `types`
    /// are those of its component, with the linker's resource types.
    #[doc(hidden)]
    pub fn typecheck<Params, Return>(&self, types: &InstanceTypes<'_>) -> Result<()>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let (component, id) = self.parts();
        ensure!(
            std::ptr::eq(&**types, &component.interface().types),
            "the function type belongs to another component than the types to check it with"
        );
        typecheck::<Params, Return>(id, types, "the Rust type has")
    }
}

impl Func {
    /// Does nothing: every call runs the `post-return` function of the guest itself.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn post_return(&self, _store: impl AsContextMut) -> Result<()> {
        Ok(())
    }

    /// Does nothing, as [`post_return`](Self::post_return).
    ///
    /// # Errors
    ///
    /// Never.
    pub async fn post_return_async(&self, _store: impl AsContextMut<Data: Send>) -> Result<()> {
        Ok(())
    }
}

impl<Params, Return> TypedFunc<Params, Return>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    /// Does nothing: every call runs the `post-return` function of the guest itself.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn post_return(&self, _store: impl AsContextMut) -> Result<()> {
        Ok(())
    }

    /// Does nothing, as [`post_return`](Self::post_return).
    ///
    /// # Errors
    ///
    /// Never.
    pub async fn post_return_async<T: Send>(
        &self,
        _store: impl AsContextMut<Data = T>,
    ) -> Result<()> {
        Ok(())
    }
}

//! Host functions: from a Rust closure to a function that machine code calls.

use super::protocol::{Call, CallAbi, CallTarget};
use crate::abi::{
    ComponentNamedList, InstanceTypes, InterfaceType, Lift, LiftContext, LiftSource, Lower,
    LowerContext, LowerTarget,
};
use crate::component::Boundary;
use crate::error::{Context, Error, Result, bail, ensure};
use crate::store::{CallScope, HostFuncCall, host_func};
use crate::types::{ComponentFunc, HostResourceTypes, TypeScope};
use crate::{Component, StoreContextMut, Val};
use mintage_environ::{DomainId, FuncTypeId, ImportId, LowerId};
use mintage_runtime::HostFunc;
use std::marker::PhantomData;
use std::sync::Arc;

/// A host function in a linker, for stores of host data `T`.
pub(crate) trait HostFunction<T>: Send + Sync {
    /// Fails if the function does not meet an import of type `ty`.
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()>;

    /// Makes the function for one lowered import.
    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc;

    /// Runs the function for one call of an import.
    fn call(&self, import: &ResolvedImport, call: HostFuncCall<'_, T>) -> Result<()>;
}

/// An import of one linked component, resolved as it is called: by guests with one set of canonical
/// options, or by the host.
pub(crate) struct ResolvedImport {
    component: Component,
    resources: HostResourceTypes,
    import: ImportId,
    boundary: Boundary,
    /// Number of 8-byte words in the argument array of a guest's call.
    words: usize,
}

impl ResolvedImport {
    /// Resolves a lowered import, which guests call.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for the guest's `realloc`.
    pub fn lowered(
        component: &Component,
        resources: &HostResourceTypes,
        id: LowerId,
    ) -> Result<Self> {
        let interface = component.interface();
        let lower = &interface.lowers[id];
        let ty = interface.import_funcs[lower.import].ty;
        Ok(Self {
            boundary: Boundary::new(component.code(), ty, &lower.options)?,
            import: lower.import,
            words: interface.signatures[lower.sig].array_words(),
            component: component.clone(),
            resources: resources.clone(),
        })
    }

    /// Resolves an import that the component exports again, which the host calls. No component
    /// instance has the handles that pass: their table is that of a domain which does not exist.
    pub fn reexported(
        component: &Component,
        resources: &HostResourceTypes,
        import: ImportId,
    ) -> Self {
        let interface = component.interface();
        let ty = interface.import_funcs[import].ty;
        let nobody = DomainId::from_u32(component.code().layout().domains.len() as u32);
        Self {
            import,
            boundary: Boundary::without_memory(interface, ty, nobody),
            words: 0,
            component: component.clone(),
            resources: resources.clone(),
        }
    }

    pub fn borrows(&self) -> bool {
        self.boundary.borrows
    }

    /// Adds context to the error of the host function.
    #[cold]
    fn failed(&self, error: Error) -> Error {
        let path = &self.component.interface().import_funcs[self.import].path;
        error.of_host(format!("the host function `{}` failed", path.join(".")))
    }
}

impl CallTarget for &ResolvedImport {
    type Words = [u64];

    #[inline]
    fn boundary<'a>(self, _component: &'a Component) -> &'a Boundary
    where
        Self: 'a,
    {
        &self.boundary
    }
}

/// Runs a host function (`canon_lower`): lifts the parameters, calls `body`, lowers the results.
/// Loans of the guest end with it.
#[inline]
fn call_host<T: 'static, P, R>(
    call: HostFuncCall<'_, T>,
    import: &ResolvedImport,
    abi: CallAbi,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<P>,
    body: impl FnOnce(StoreContextMut<'_, T>, P) -> Result<R>,
    lower: impl FnOnce(R, &mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
) -> Result<()> {
    let HostFuncCall {
        store,
        instance,
        words,
        scratch,
    } = call;
    let mut scope = CallScope::new(store, instance, import.borrows());
    let mut call = Call {
        target: import,
        instance,
        lends_to: scope.lends_to(),
        abi,
        words,
        scratch,
        trapped: false,
    };
    let params = call.lift_params(scope.store, lift)?;
    let result = body(StoreContextMut(scope.store), params);
    let result = result.map_err(|error| import.failed(error))?;
    call.lower_results(scope.store, |cx, ty, target| lower(result, cx, ty, target))?;
    scope.exit()
}

/// A closure over Rust types.
pub(crate) struct TypedHost<F, P, R> {
    f: F,
    types: PhantomData<fn(P) -> R>,
}

impl<F, P, R> TypedHost<F, P, R> {
    pub fn new(f: F) -> Self {
        Self {
            f,
            types: PhantomData,
        }
    }
}

impl<T, F, P, R> HostFunction<T> for TypedHost<F, P, R>
where
    T: 'static,
    F: Fn(StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()> {
        typecheck::<P, R>(ty, types, "the host function has")
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        host_func(import.words, move |call| self.call(&import, call))
    }

    #[inline]
    fn call(&self, import: &ResolvedImport, call: HostFuncCall<'_, T>) -> Result<()> {
        call_host(
            call,
            import,
            const {
                CallAbi {
                    params: P::ABI,
                    results: R::ABI,
                }
            },
            |cx, ty, source| source.lift(cx, ty),
            &self.f,
            |result, cx, ty, target| target.lower(cx, ty, &result),
        )
    }
}

/// A closure over [`Val`]s.
pub(crate) struct DynamicHost<F> {
    f: F,
}

impl<F> DynamicHost<F> {
    pub fn new(f: F) -> Self {
        Self { f }
    }
}

impl<T, F> HostFunction<T> for DynamicHost<F>
where
    T: 'static,
    F: Fn(StoreContextMut<'_, T>, ComponentFunc, &[Val], &mut [Val]) -> Result<()>
        + Send
        + Sync
        + 'static,
{
    fn typecheck(&self, _ty: FuncTypeId, _types: &InstanceTypes<'_>) -> Result<()> {
        Ok(())
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        host_func(import.words, move |call| self.call(&import, call))
    }

    fn call(&self, import: &ResolvedImport, call: HostFuncCall<'_, T>) -> Result<()> {
        let boundary = &import.boundary;
        let types = &import.component.interface().types;
        let abi = CallAbi {
            params: types.abi(boundary.params),
            results: types.abi(boundary.results),
        };
        let results = types.func(boundary.ty).result.into_iter().count();
        let scope = TypeScope::linked(&import.component, &import.resources);
        let ty = ComponentFunc::new(&scope, boundary.ty);
        call_host(
            call,
            import,
            abi,
            |cx, ty, source| match source {
                LiftSource::Flat(words) => Val::lift_flat(cx, ty, words),
                LiftSource::Memory(bytes) => Val::lift_memory(cx, ty, bytes),
            },
            |store, params| {
                let Val::Tuple(params) = params else {
                    bail!("parameters are always lifted as a tuple")
                };
                // An empty tuple is not a value of most types, so a result that the function leaves
                // unset is noticed.
                let mut values = vec![Val::Tuple(Vec::new()); results];
                (self.f)(store, ty, &params, &mut values)?;
                Ok(Val::Tuple(values))
            },
            |result, cx, ty, target| {
                match target {
                    LowerTarget::Flat(words) => result.lower_flat(cx, ty, words),
                    LowerTarget::Memory(offset) => result.lower_memory(cx, ty, offset),
                }
                .context("in the result of the host function")
            },
        )
    }
}

/// Fails if `P` and `R` are not the parameters and results of the component function type `ty`.
/// `whose` begins the description of `P` and `R` in the error.
pub(crate) fn typecheck<P: ComponentNamedList, R: ComponentNamedList>(
    ty: FuncTypeId,
    types: &InstanceTypes<'_>,
    whose: &str,
) -> Result<()> {
    let func = types.func(ty);
    ensure!(
        !func.is_async,
        "the component's function is `async`, which is not supported yet"
    );
    ensure!(
        P::ELEMENTS.len() == func.params.len(),
        "the component's function has {} parameters, {whose} {}",
        func.params.len(),
        P::ELEMENTS.len()
    );
    for (i, (element, (name, ty))) in P::ELEMENTS.iter().zip(&func.params).enumerate() {
        ensure!(
            (element.matches)(*ty, types),
            "type mismatch in parameter {} (`{name}`): the component has `{}`, {whose} `{}`",
            i + 1,
            types.display(*ty),
            (element.describe)()
        );
    }
    match (R::ELEMENTS, func.result) {
        ([], None) => Ok(()),
        ([element], Some(ty)) => {
            ensure!(
                (element.matches)(ty, types),
                "type mismatch in the result: the component has `{}`, {whose} `{}`",
                types.display(ty),
                (element.describe)()
            );
            Ok(())
        }
        (elements, result) => bail!(
            "the component's function has {} results, {whose} {}",
            result.into_iter().count(),
            elements.len()
        ),
    }
}

//! Host functions: from a Rust closure to what machine code calls.

use crate::abi::guest::Guest;
use crate::abi::{
    AbiOptions, ComponentNamedList, HandleContext, InstanceTypes, InterfaceType, Lift, LiftContext,
    Lower, LowerContext, Source, Target,
};
use crate::error::{Context, Error, Result, bail, ensure};
use crate::store::{
    CallScope, GuestCall, Linked, StoreInner, StoreInstance, StoreOpaque, host_func,
};
use crate::types::{ComponentFunc, Scope};
use crate::{Component, StoreContextMut, Val};
use mintage_environ::component::{CanonOptions, CanonicalAbi, MAX_FLAT_RESULTS, StringEncoding};
use mintage_environ::{DomainId, FuncTypeId, ImportId, LowerId};
use mintage_runtime::HostFunc;
use std::marker::PhantomData;
use std::sync::Arc;

/// A host function in a linker, for stores of host data `T`.
pub(crate) trait HostFunction<T>: Send + Sync {
    /// Fails when the function cannot stand for an import of type `ty`.
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()>;

    /// The function for one lowered import.
    fn lower(self: Arc<Self>, imported: Imported) -> HostFunc;

    /// Runs the function for a call of an import.
    fn call(&self, imported: &Imported, call: GuestCall<'_, T>) -> Result<()>;
}

/// An import of one component, as it is called: by guests with one set of canonical options, or by
/// the host.
pub(crate) struct Imported {
    component: Component,
    linked: Arc<Linked>,
    import: ImportId,
    /// Which lowered import; none when the host calls.
    lower: Option<LowerId>,
    ty: FuncTypeId,
    /// The parameters as a tuple.
    params: InterfaceType,
    /// The results as a tuple.
    results: InterfaceType,
    options: CanonOptions,
    /// Whether parameters are borrowed handles.
    borrows: bool,
}

impl Imported {
    /// A lowered import, which guests call.
    pub fn lowered(component: &Component, linked: &Arc<Linked>, id: LowerId) -> Self {
        let lower = &component.interface().lowers[id];
        let options = lower.options.clone();
        Self::new(component, linked, lower.import, Some(id), options)
    }

    /// An import that is exported again, which the host calls. `domain` has the handles of nobody
    /// else.
    pub fn reexported(
        component: &Component,
        linked: &Arc<Linked>,
        import: ImportId,
        domain: DomainId,
    ) -> Self {
        let options = CanonOptions {
            domain,
            string_encoding: StringEncoding::Utf8,
            memory: None,
            realloc: None,
        };
        Self::new(component, linked, import, None, options)
    }

    fn new(
        component: &Component,
        linked: &Arc<Linked>,
        import: ImportId,
        lower: Option<LowerId>,
        options: CanonOptions,
    ) -> Self {
        let interface = component.interface();
        let ty = interface.import_funcs[import].ty;
        let tuples = interface.types.func_tuples(ty);
        Self {
            import,
            lower,
            ty,
            params: tuples.params,
            results: tuples.results,
            options,
            borrows: interface.types.has_borrows(ty),
            component: component.clone(),
            linked: linked.clone(),
        }
    }

    pub fn import(&self) -> ImportId {
        self.import
    }

    pub fn params(&self) -> InterfaceType {
        self.params
    }

    pub fn results(&self) -> InterfaceType {
        self.results
    }

    pub fn borrows(&self) -> bool {
        self.borrows
    }

    pub fn domain(&self) -> DomainId {
        self.options.domain
    }

    /// 8-byte words of the argument array of a guest's call.
    fn words(&self) -> usize {
        let interface = self.component.interface();
        let lower = self.lower.map(|id| interface.lowers[id].sig);
        lower.map_or(0, |sig| interface.signatures[sig].array_words())
    }

    /// Adds context to the error of the host function.
    #[cold]
    fn failed(&self, error: Error) -> Error {
        let path = &self.component.interface().import_funcs[self.import].path;
        error.of_host(format!("the host function `{}` failed", path.join(".")))
    }

    pub fn abi(&self) -> AbiOptions<'_> {
        AbiOptions {
            types: &self.component.interface().types,
            encoding: self.options.string_encoding,
        }
    }
}

/// Runs a host function (`canon_lower`): lifts the parameters, calls `body`, lowers the results.
/// What the guest lends ends with it.
#[inline]
fn call_host<T: 'static, P, R>(
    call: GuestCall<'_, T>,
    imported: &Imported,
    abi: (CanonicalAbi, CanonicalAbi),
    lift: impl FnOnce(&mut LiftContext<'_>, Source<'_>) -> Result<P>,
    body: impl FnOnce(StoreContextMut<'_, T>, P) -> Result<R>,
    lower: impl FnOnce(R, &mut LowerContext<'_>, Target<'_>) -> Result<()>,
) -> Result<()> {
    let GuestCall {
        store,
        instance,
        words,
        mut scratch,
    } = call;
    let mut scope = CallScope::new(store.0, instance, imported.borrows);
    let lends_to = scope.lends_to();
    let (params_abi, results_abi) = abi;
    let options = &imported.options;
    let StoreOpaque {
        instances,
        handles,
        hostcall_fuel,
        ..
    } = &mut scope.store.opaque;
    let (handles, runtime) =
        instances[instance].with_handles(handles, instance, options.domain, lends_to);
    let mut cx = match &scratch {
        None => LiftContext::new(
            imported.abi(),
            runtime,
            options.memory,
            *hostcall_fuel,
            handles,
        ),
        Some(memory) => LiftContext::of_memory(imported.abi(), memory, usize::MAX)
            .with_handles(handles, runtime),
    };
    let (source, param_words) = match params_abi.flat_count {
        Some(count) => (
            Source::Flat(&words[..usize::from(count)]),
            usize::from(count),
        ),
        None => (Source::Memory(cx.spilled(words[0] as u32, params_abi)?), 1),
    };
    let params = lift(&mut cx, source)?;

    let result = body(StoreContextMut(scope.store), params);
    let result = result.map_err(|error| imported.failed(error))?;

    let StoreInner { opaque, host } = &mut *scope.store;
    let StoreOpaque {
        instances, handles, ..
    } = opaque;
    let StoreInstance {
        runtime,
        component,
        linked,
        ..
    } = &mut instances[instance];
    let guest = match &mut scratch {
        None => {
            let realloc = imported
                .lower
                .and_then(|id| component.code().lower_realloc(id));
            Guest::new(runtime, options.domain, options.memory, realloc, host)
        }
        Some(memory) => Guest::scratch(runtime, memory),
    };
    let handles = HandleContext {
        host: handles,
        linked,
        instance: instance as u32,
        domain: options.domain,
        lends_to,
    };
    let mut cx = LowerContext::new(imported.abi(), guest, Some(handles));
    let target = match results_abi.flat_count {
        Some(count) if usize::from(count) <= MAX_FLAT_RESULTS => {
            Target::Flat(&mut words[..usize::from(count)])
        }
        // The pointer to the room for the results comes behind the parameters.
        _ => Target::Memory(cx.result_area(words[param_words] as u32, results_abi)?),
    };
    lower(result, &mut cx, target)?;
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

    fn lower(self: Arc<Self>, imported: Imported) -> HostFunc {
        host_func(imported.words(), move |call| self.call(&imported, call))
    }

    #[inline]
    fn call(&self, imported: &Imported, call: GuestCall<'_, T>) -> Result<()> {
        let (params, results) = (imported.params, imported.results);
        call_host(
            call,
            imported,
            (P::ABI, R::ABI),
            |cx, source| match source {
                Source::Flat(words) => P::lift_flat(cx, params, words),
                Source::Memory(bytes) => P::lift_memory(cx, params, bytes),
            },
            &self.f,
            |result, cx, target| match target {
                Target::Flat(words) => result.lower_flat(cx, results, words),
                Target::Memory(offset) => result.lower_memory(cx, results, offset),
            },
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

    fn lower(self: Arc<Self>, imported: Imported) -> HostFunc {
        host_func(imported.words(), move |call| self.call(&imported, call))
    }

    fn call(&self, imported: &Imported, call: GuestCall<'_, T>) -> Result<()> {
        let types = &imported.component.interface().types;
        let abi = (types.abi(imported.params), types.abi(imported.results));
        let results = types.func(imported.ty).result.into_iter().count();
        let ty = ComponentFunc::new(
            &Scope::linked(&imported.component, &imported.linked),
            imported.ty,
        );
        call_host(
            call,
            imported,
            abi,
            |cx, source| match source {
                Source::Flat(words) => Val::lift_flat(cx, imported.params, words),
                Source::Memory(bytes) => Val::lift_memory(cx, imported.params, bytes),
            },
            |store, params| {
                let Val::Tuple(params) = params else {
                    bail!("parameters are always lifted as a tuple")
                };
                // What a function leaves untouched is no value of most types, so that it is
                // noticed.
                let mut values = vec![Val::Tuple(Vec::new()); results];
                (self.f)(store, ty, &params, &mut values)?;
                Ok(Val::Tuple(values))
            },
            |result, cx, target| {
                match target {
                    Target::Flat(words) => result.lower_flat(cx, imported.results, words),
                    Target::Memory(offset) => result.lower_memory(cx, imported.results, offset),
                }
                .context("in the result of the host function")
            },
        )
    }
}

/// Fails when `P` and `R` are not the parameters and results of the component function type `ty`.
/// `whose` says whose types `P` and `R` are.
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

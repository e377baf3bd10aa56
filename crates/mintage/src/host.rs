//! Host functions: from a Rust closure to what machine code calls.

use crate::abi::{
    AbiOptions, ComponentNamedList, HandleContext, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext, Source, Target,
};
use crate::error::handle_trap;
use crate::guest::Guest;
use crate::resource::Linked;
use crate::store::{GuestCall, StoreInner, StoreInstance, StoreOpaque, host_func};
use crate::types::{ComponentFunc, Scope};
use crate::{AsContextMut, Component, StoreContextMut, Val};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{CanonOptions, CanonicalAbi, MAX_FLAT_RESULTS};
use mintage_environ::{FuncTypeId, LowerId};
use mintage_runtime::HostFunc;
use std::marker::PhantomData;
use std::sync::Arc;

/// A host function in a linker, for stores of host data `T`.
pub(crate) trait HostFunction<T>: Send + Sync {
    /// Fails when the function cannot stand for an import of type `ty`.
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()>;

    /// The function for one lowered import.
    fn lower(self: Arc<Self>, lowered: Lowered) -> HostFunc;
}

/// One lowered import of one component.
pub(crate) struct Lowered {
    component: Component,
    linked: Arc<Linked>,
    id: LowerId,
    ty: FuncTypeId,
    /// The parameters as a tuple.
    params: InterfaceType,
    /// The results as a tuple.
    results: InterfaceType,
    options: CanonOptions,
    /// 8-byte words of the argument array.
    words: usize,
    /// Whether parameters are borrowed handles.
    borrows: bool,
}

impl Lowered {
    pub fn new(component: &Component, linked: &Arc<Linked>, id: LowerId) -> Self {
        let interface = component.interface();
        let lower = &interface.lowers[id];
        let ty = interface.import_funcs[lower.import].ty;
        let tuples = interface.types.func_tuples(ty);
        Self {
            id,
            ty,
            params: tuples.params,
            results: tuples.results,
            options: lower.options.clone(),
            borrows: interface.types.has_borrows(ty),
            words: interface.signatures[lower.sig].array_words(),
            component: component.clone(),
            linked: linked.clone(),
        }
    }

    fn abi(&self) -> AbiOptions<'_> {
        AbiOptions {
            types: &self.component.interface().types,
            encoding: self.options.string_encoding,
        }
    }
}

/// Runs a host function (`canon_lower`): lifts the parameters, calls `body`, lowers the results. What the guest lends ends
/// with it.
#[inline]
fn call_host<T: 'static, P, R>(
    mut call: GuestCall<'_, T>,
    lowered: &Lowered,
    abi: (CanonicalAbi, CanonicalAbi),
    lift: impl FnOnce(&mut LiftContext<'_>, Source<'_>) -> Result<P>,
    body: impl FnOnce(StoreContextMut<'_, T>, P) -> Result<R>,
    lower: impl FnOnce(R, &mut LowerContext<'_>, Target<'_>) -> Result<()>,
) -> Result<()> {
    if !lowered.borrows {
        return call_within(&mut call, lowered, abi, lift, body, lower);
    }
    let number = call.instance;
    let opaque = &mut call.store.0.opaque;
    let entered = opaque.handles.enter();
    if let Err(error) = opaque.instances[number].runtime.enter_call() {
        opaque.handles.exit(entered);
        return Err(handle_trap(error));
    }
    let result = call_within(&mut call, lowered, abi, lift, body, lower);
    let opaque = &mut call.store.0.opaque;
    opaque.handles.exit(entered);
    result.and(opaque.instances[number].runtime.exit_call().map_err(handle_trap))
}

#[inline]
fn call_within<T: 'static, P, R>(
    call: &mut GuestCall<'_, T>,
    lowered: &Lowered,
    abi: (CanonicalAbi, CanonicalAbi),
    lift: impl FnOnce(&mut LiftContext<'_>, Source<'_>) -> Result<P>,
    body: impl FnOnce(StoreContextMut<'_, T>, P) -> Result<R>,
    lower: impl FnOnce(R, &mut LowerContext<'_>, Target<'_>) -> Result<()>,
) -> Result<()> {
    let GuestCall { store, instance, words } = call;
    let instance = *instance;
    let (params_abi, results_abi) = abi;
    let options = &lowered.options;
    let StoreOpaque {
        instances,
        handles,
        hostcall_fuel,
        ..
    } = &mut store.0.opaque;
    let (handles, runtime) = instances[instance].with_handles(handles, instance, options.domain);
    let mut cx =
        LiftContext::new(lowered.abi(), runtime, options.memory, *hostcall_fuel).with_handles(handles, runtime);
    let (source, param_words) = match params_abi.flat_count {
        Some(count) => (Source::Flat(&words[..usize::from(count)]), usize::from(count)),
        None => (Source::Memory(cx.spilled(words[0] as u32, params_abi)?), 1),
    };
    let params = lift(&mut cx, source)?;

    let result = body(store.as_context_mut(), params)?;

    let StoreInner { opaque, host } = &mut *store.0;
    let StoreOpaque { instances, handles, .. } = opaque;
    let StoreInstance {
        runtime,
        component,
        linked,
        ..
    } = &mut instances[instance];
    let realloc = component.code().lower_realloc(lowered.id);
    let guest = Guest::new(runtime, options.domain, options.memory, realloc, host);
    let mut cx = LowerContext::new(lowered.abi(), guest).with_handles(HandleContext {
        host: handles,
        linked,
        instance: instance as u32,
        domain: options.domain,
    });
    let target = match results_abi.flat_count {
        Some(count) if usize::from(count) <= MAX_FLAT_RESULTS => Target::Flat(&mut words[..usize::from(count)]),
        // The pointer to the room for the results comes behind the parameters.
        _ => Target::Memory(cx.result_area(words[param_words] as u32, results_abi)?),
    };
    lower(result, &mut cx, target)
}

/// A closure over Rust types.
pub(crate) struct TypedHost<F, P, R> {
    f: F,
    types: PhantomData<fn(P) -> R>,
}

impl<F, P, R> TypedHost<F, P, R> {
    pub fn new(f: F) -> Self {
        Self { f, types: PhantomData }
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

    fn lower(self: Arc<Self>, lowered: Lowered) -> HostFunc {
        let (params, results) = (lowered.params, lowered.results);
        host_func(lowered.words, move |call| {
            call_host(
                call,
                &lowered,
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
        })
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
    F: Fn(StoreContextMut<'_, T>, ComponentFunc, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
{
    fn typecheck(&self, _ty: FuncTypeId, _types: &InstanceTypes<'_>) -> Result<()> {
        Ok(())
    }

    fn lower(self: Arc<Self>, lowered: Lowered) -> HostFunc {
        let types = &lowered.component.interface().types;
        let abi = (types.abi(lowered.params), types.abi(lowered.results));
        let results = types.func(lowered.ty).result.into_iter().count();
        let ty = ComponentFunc::new(&Scope::linked(&lowered.component, &lowered.linked), lowered.ty);
        host_func(lowered.words, move |call| {
            call_host(
                call,
                &lowered,
                abi,
                |cx, source| match source {
                    Source::Flat(words) => Val::lift_flat(cx, lowered.params, words),
                    Source::Memory(bytes) => Val::lift_memory(cx, lowered.params, bytes),
                },
                |store, params| {
                    let Val::Tuple(params) = params else {
                        bail!("parameters are always lifted as a tuple")
                    };
                    // What a function leaves untouched is no value of most types, so that it is noticed.
                    let mut values = vec![Val::Tuple(Vec::new()); results];
                    (self.f)(store, ty.clone(), &params, &mut values)?;
                    Ok(Val::Tuple(values))
                },
                |result, cx, target| {
                    match target {
                        Target::Flat(words) => result.lower_flat(cx, lowered.results, words),
                        Target::Memory(offset) => result.lower_memory(cx, lowered.results, offset),
                    }
                    .context("in the result of the host function")
                },
            )
        })
    }
}

/// Fails when `P` and `R` are not the parameters and results of the component function type `ty`. `whose` says whose types
/// `P` and `R` are.
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

//! Host functions: from a Rust closure to a function that machine code calls.

use super::Caller;
use super::protocol::{Call, CallAbi, CallTarget};
use crate::abi::{
    ComponentNamedList, InstanceTypes, InterfaceType, Lift, LiftContext, LiftSource, Lower,
    LowerContext, LowerTarget,
};
use crate::component::Boundary;
use crate::error::{Context, Error, Result, WasmBacktrace, bail, ensure};
use crate::store::{
    CallScope, HostFuncCall, HostRest, HostResult, Waiting, async_host_func, cannot_wait,
    host_func, with_context,
};
use crate::types::{ComponentFunc, HostResourceTypes, StoreInstanceId, TypeScope};
use crate::{CallHook, Component, StoreContextMut, Val};
use mintage_environ::{DomainId, FuncTypeId, ImportId, LowerId, MemoryId};
use mintage_runtime::HostFunc;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

/// A host function in a linker, for stores of host data `T`.
pub(crate) trait HostFunction<T>: Send + Sync {
    /// Fails if the function does not meet an import of type `ty`.
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()>;

    /// Makes the function for one lowered import.
    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc;

    /// Runs the function for one call of an import, or up to the point where it waits. Then it
    /// returns the rest. `context` is that of the poll that runs the call, if it can be suspended.
    ///
    /// # Errors
    ///
    /// When the function fails, or waits without a context.
    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>>;
}

/// An import of one linked component, resolved as it is called: by guests with one set of canonical
/// options, or by the host.
pub(crate) struct ResolvedImport {
    component: Component,
    resources: HostResourceTypes,
    import: ImportId,
    boundary: Boundary,
    /// The memory that the function gets, if it asks for one: a 32-bit one.
    memory: Option<MemoryId>,
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
        let memories = &component.code().layout().memories;
        let is_32 = |&id: &MemoryId| memories.get(id).is_some_and(|memory| !memory.index64);
        Ok(Self {
            memory: lower.options.memory.filter(is_32),
            boundary: Boundary {
                is_async_lower: lower.options.is_async,
                ..Boundary::new(component.code(), ty, &lower.options)?
            },
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
            memory: None,
            words: 0,
            component: component.clone(),
            resources: resources.clone(),
        }
    }

    pub fn borrows(&self) -> bool {
        self.boundary.borrows
    }

    /// Returns whether a guest calls the function with `async`.
    pub(super) fn is_async_lower(&self) -> bool {
        self.boundary.is_async_lower
    }

    /// Returns whether the type of the function is `async`.
    pub(super) fn is_async(&self) -> bool {
        self.component
            .interface()
            .types
            .func(self.boundary.ty)
            .is_async
    }

    /// Returns the component instance that calls.
    pub(super) fn domain(&self) -> DomainId {
        self.boundary.guest.domain
    }

    pub(super) fn import(&self) -> ImportId {
        self.import
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Returns what the host function gets for a call by `instance`.
    #[inline]
    fn caller<'a, T>(
        &self,
        store: StoreContextMut<'a, T>,
        instance: StoreInstanceId,
    ) -> Caller<'a, T> {
        Caller {
            store,
            instance,
            memory: self.memory,
        }
    }

    /// Adds context to the error of the host function. One backtrace is enough: that of the
    /// innermost call that failed.
    #[cold]
    pub(super) fn failed(&self, error: Error) -> Error {
        let path = &self.component.interface().import_funcs[self.import].path;
        let context = WasmBacktrace::of_host_function(path.join("."));
        match error.is::<WasmBacktrace>() {
            true => error.of_host(context.to_string()),
            false => error.context(context),
        }
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
    body: impl FnOnce(Caller<'_, T>, P) -> Result<R>,
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
    let result = body(
        import.caller(StoreContextMut(scope.store), instance),
        params,
    );
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
    /// Wraps a closure. The bound is for the inference of its type.
    pub fn new<T: 'static>(f: F) -> Self
    where
        F: Fn(Caller<'_, T>, P) -> Result<R>,
    {
        Self {
            f,
            types: PhantomData,
        }
    }
}

/// Calls an asynchronous host function as [`call_host`] does, up to the point where it waits. Then
/// it returns the rest.
fn start_host<'a, T: 'static, P, R: 'a>(
    call: HostFuncCall<'a, T>,
    import: &Arc<ResolvedImport>,
    abi: CallAbi,
    context: Option<&mut TaskContext<'_>>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<P>,
    body: impl FnOnce(Caller<'a, T>, P) -> HostResult<'a, R>,
    lower: fn(&R, &mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
) -> Result<Option<HostRest<'a>>> {
    let HostFuncCall {
        store,
        instance,
        words,
        scratch,
    } = call;
    // Where the host calls the function, nothing crosses between host and guests.
    let crossing = scratch.is_none().then_some(Some((instance, import.import)));
    if let Some(host) = crossing {
        store.cross(CallHook::CallingHost, host)?;
    }
    let scope = CallScope::new(store, instance, import.borrows());
    let mut call = Call {
        target: &**import,
        instance,
        lends_to: scope.lends_to(),
        abi,
        words,
        scratch,
        trapped: false,
    };
    let params = match (call.lift_params(scope.store, lift), crossing) {
        (Ok(params), _) => params,
        (Err(error), None) => return Err(error),
        (error, Some(host)) => {
            let error = error.map(|_| None);
            return scope
                .store
                .crossed(CallHook::ReturningFromHost, host, error);
        }
    };
    let mut waiting = Waiting::new(scope, |store| body(import.caller(store, instance), params));
    let can_wait = context.is_some();
    let finish = move |import: &ResolvedImport,
                       words: &mut [u64],
                       scratch: Option<&mut Vec<u8>>,
                       waiting: Waiting<'_, T, R>,
                       result: Result<R>|
          -> Result<()> {
        let mut scope = waiting.into_scope()?;
        let lowered = result
            .map_err(|error| import.failed(error))
            .and_then(|result| {
                let mut call = Call {
                    target: import,
                    instance,
                    lends_to: scope.lends_to(),
                    abi,
                    words,
                    scratch,
                    trapped: false,
                };
                call.lower_results(scope.store, |cx, ty, target| lower(&result, cx, ty, target))?;
                scope.exit()
            });
        match crossing {
            Some(host) => scope
                .store
                .crossed(CallHook::ReturningFromHost, host, lowered),
            None => lowered,
        }
    };
    let (words, scratch) = (call.words, call.scratch);
    match with_context(context, |cx| waiting.poll(cx)) {
        Poll::Ready(result) => finish(import, words, scratch, waiting, result).map(|()| None),
        Poll::Pending if !can_wait => {
            finish(import, words, scratch, waiting, Err(cannot_wait())).map(|()| None)
        }
        Poll::Pending => {
            let import = import.clone();
            Ok(Some(Box::pin(async move {
                let result = poll_fn(|cx| waiting.poll(cx)).await;
                Ok(finish(&import, words, scratch, waiting, result)?)
            })))
        }
    }
}

impl<T, F, P, R> HostFunction<T> for TypedHost<F, P, R>
where
    T: 'static,
    F: Fn(Caller<'_, T>, P) -> Result<R> + Send + Sync + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()> {
        typecheck::<P, R>(ty, types, "the host function has")
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        host_func(import.words, Some(import.import), move |call| {
            self.call(&import, call)
        })
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        _context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        self.call(import, call).map(|()| None)
    }
}

impl<F, P, R> TypedHost<F, P, R> {
    #[inline]
    fn call<T>(&self, import: &ResolvedImport, call: HostFuncCall<'_, T>) -> Result<()>
    where
        T: 'static,
        F: Fn(Caller<'_, T>, P) -> Result<R>,
        P: ComponentNamedList + Lift,
        R: ComponentNamedList + Lower,
    {
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

/// An asynchronous closure over Rust types.
pub(crate) struct TypedAsyncHost<F, P, R> {
    f: F,
    types: PhantomData<fn(P) -> R>,
}

impl<F, P, R> TypedAsyncHost<F, P, R> {
    /// Wraps a closure. The bound is for the inference of its type.
    pub fn new<T: 'static>(f: F) -> Self
    where
        F: for<'a> Fn(Caller<'a, T>, P) -> Box<dyn Future<Output = Result<R>> + Send + 'a>,
    {
        Self {
            f,
            types: PhantomData,
        }
    }
}

impl<T, F, P, R> HostFunction<T> for TypedAsyncHost<F, P, R>
where
    T: 'static,
    F: for<'a> Fn(Caller<'a, T>, P) -> Box<dyn Future<Output = Result<R>> + Send + 'a>
        + Send
        + Sync
        + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()> {
        typecheck::<P, R>(ty, types, "the host function has")
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        lower_async(self, import)
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        start_host(
            call,
            import,
            const {
                CallAbi {
                    params: P::ABI,
                    results: R::ABI,
                }
            },
            context,
            |cx, ty, source| source.lift(cx, ty),
            |caller, params| Box::into_pin((self.f)(caller, params)),
            |result, cx, ty, target| target.lower(cx, ty, result),
        )
    }
}

/// Makes an asynchronous host function for one lowered import.
fn lower_async<T: 'static>(
    function: Arc<impl HostFunction<T> + 'static>,
    import: ResolvedImport,
) -> HostFunc {
    let import = Arc::new(import);
    async_host_func(import.words, move |call, context| {
        function.start(&import, call, context)
    })
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
        host_func(import.words, Some(import.import), move |call| {
            self.call(&import, call)
        })
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        _context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        self.call(import, call).map(|()| None)
    }
}

impl<F> DynamicHost<F> {
    fn call<T>(&self, import: &ResolvedImport, call: HostFuncCall<'_, T>) -> Result<()>
    where
        T: 'static,
        F: Fn(StoreContextMut<'_, T>, ComponentFunc, &[Val], &mut [Val]) -> Result<()>,
    {
        let DynamicType {
            abi,
            ty,
            mut results,
        } = import.dynamic_type();
        call_host(
            call,
            import,
            abi,
            lift_vals,
            |caller, params| {
                (self.f)(caller.into_store(), ty, &params, &mut results)?;
                Ok(Val::Tuple(results))
            },
            |results, cx, ty, target| lower_vals(&results, cx, ty, target),
        )
    }
}

/// An asynchronous closure over [`Val`]s.
pub(crate) struct DynamicAsyncHost<F> {
    f: Arc<F>,
}

impl<F> DynamicAsyncHost<F> {
    pub fn new(f: F) -> Self {
        Self { f: Arc::new(f) }
    }
}

impl<T, F> HostFunction<T> for DynamicAsyncHost<F>
where
    T: 'static,
    F: for<'a> Fn(
            StoreContextMut<'a, T>,
            ComponentFunc,
            &'a [Val],
            &'a mut [Val],
        ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
        + Send
        + Sync
        + 'static,
{
    fn typecheck(&self, _ty: FuncTypeId, _types: &InstanceTypes<'_>) -> Result<()> {
        Ok(())
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        lower_async(self, import)
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        let DynamicType {
            abi,
            ty,
            mut results,
        } = import.dynamic_type();
        let f = self.f.clone();
        let body = |caller: Caller<'a, T>, params: Vec<Val>| -> HostResult<'a, Val> {
            Box::pin(async move {
                let store = caller.into_store();
                Box::into_pin(f(store, ty, &params, &mut results)).await?;
                Ok(Val::Tuple(results))
            })
        };
        start_host(call, import, abi, context, lift_vals, body, lower_vals)
    }
}

/// The type of an import as a function over [`Val`]s needs it.
pub(super) struct DynamicType {
    pub abi: CallAbi,
    pub ty: ComponentFunc,
    /// Room for the results. An empty tuple is not a value of most types, so a result that the
    /// function leaves unset is noticed.
    pub results: Vec<Val>,
}

impl ResolvedImport {
    pub(super) fn dynamic_type(&self) -> DynamicType {
        let boundary = &self.boundary;
        let types = &self.component.interface().types;
        let results = types.func(boundary.ty).result.into_iter().count();
        let scope = TypeScope::linked(&self.component, &self.resources);
        DynamicType {
            abi: CallAbi {
                params: types.abi(boundary.params),
                results: types.abi(boundary.results),
            },
            ty: ComponentFunc::new(&scope, boundary.ty),
            results: vec![Val::Tuple(Vec::new()); results],
        }
    }
}

/// Lifts parameters, which are a tuple.
pub(super) fn lift_vals(
    cx: &mut LiftContext<'_>,
    ty: InterfaceType,
    source: LiftSource<'_>,
) -> Result<Vec<Val>> {
    let params = match source {
        LiftSource::Flat(words) => Val::lift_flat(cx, ty, words),
        LiftSource::Memory(bytes) => Val::lift_memory(cx, ty, bytes),
    };
    match params? {
        Val::Tuple(params) => Ok(params),
        _ => bail!("parameters are always lifted as a tuple"),
    }
}

/// Lowers results, which are a tuple.
pub(super) fn lower_vals(
    results: &Val,
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
    target: LowerTarget<'_>,
) -> Result<()> {
    match target {
        LowerTarget::Flat(words) => results.lower_flat(cx, ty, words),
        LowerTarget::Memory(offset) => results.lower_memory(cx, ty, offset),
    }
    .context("in the result of the host function")
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
        P::ELEMENTS.len() == func.params.len(),
        "the component's function `{}` has {} parameters, {whose} {}",
        types.display_func(ty),
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
            "the component's function `{}` has {} results, {whose} {}",
            types.display_func(ty),
            result.into_iter().count(),
            elements.len()
        ),
    }
}

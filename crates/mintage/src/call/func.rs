//! [`Func`] and [`TypedFunc`]: calls of exported functions.

use super::host::typecheck;
use super::protocol::{Call, CallAbi};
use super::reexport;
use crate::abi::{
    CanonicalAbi, ComponentNamedList, InstanceTypes, InterfaceType, Lift, LiftContext, LiftSource,
    Lower, LowerContext, LowerTarget,
};
use crate::component::ScalarTypes;
use crate::error::{Error, ErrorKind, Result, ensure, format_err};
use crate::store::{CallScope, LIFT_WORDS, StoreInner, StoreInstance, StoreOpaque};
use crate::types::{ComponentFunc, StoreId, StoreInstanceId, Type};
use crate::{AsContext, AsContextMut, Component, Val};
use mintage_environ::{FuncTypeId, ImportId, LiftId};
use std::marker::PhantomData;

/// An exported function of an instance, called with [`Val`]s. The value is a name: it is cheap to
/// copy, and valid as long as the store.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store, Val};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m
///             (func (export "add") (param i32 i32) (result i32)
///                 (i32.add (local.get 0) (local.get 1))))
///         (core instance $i (instantiate $m))
///         (func (export "add") (param "a" u32) (param "b" u32) (result u32)
///             (canon lift (core func $i "add"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let add = instance.get_func(&mut store, "add").expect("the component exports `add`");
/// let mut results = [Val::Bool(false)];
/// add.call(&mut store, &[Val::U32(40), Val::U32(2)], &mut results)?;
/// assert_eq!(results, [Val::U32(42)]);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Func {
    store: StoreId,
    instance: StoreInstanceId,
    callee: CalleeId,
}

/// A [`FuncCallee`] in one word, which keeps a [`Func`] at 16 bytes: the number of a lift or, if
/// the highest bit is set, of an import. There are at most a million of each.
#[derive(Clone, Copy, Debug)]
struct CalleeId(u32);

/// The function behind an export.
pub(super) enum FuncCallee {
    /// A function of the component.
    Lift(LiftId),
    /// A function of the host, exported again.
    Import(ImportId),
}

impl CalleeId {
    const IMPORT: u32 = 1 << 31;

    #[inline]
    fn get(self) -> FuncCallee {
        match self.0 & Self::IMPORT {
            0 => FuncCallee::Lift(LiftId::from_u32(self.0)),
            _ => FuncCallee::Import(ImportId::from_u32(self.0 & !Self::IMPORT)),
        }
    }
}

/// An exported function whose type was checked, called with Rust types. `Params` and `Return` are
/// tuples.
///
/// Typed calls are faster than those of [`Func`], since values are converted without looking at
/// their types at run time.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine, Linker, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m
///             (func (export "add") (param i32 i32) (result i32)
///                 (i32.add (local.get 0) (local.get 1))))
///         (core instance $i (instantiate $m))
///         (func (export "add") (param "a" u32) (param "b" u32) (result u32)
///             (canon lift (core func $i "add"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
/// assert_eq!(add.call(&mut store, (40, 2))?, (42,));
/// assert!(instance.get_typed_func::<(u64,), ()>(&mut store, "add").is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub struct TypedFunc<Params, Return> {
    func: Func,
    /// Invariant in the result, since the function's type was checked against exactly this.
    /// Covariant in the parameters: a function for `&'static str` also takes a `&str` that does not
    /// live as long. A subtype that is lowered in another way, which only pointers to functions
    /// could have, passes wrong values, as with `new_unchecked`.
    types: PhantomData<TypesOf<Params, Return>>,
}

/// A type that is covariant in the parameters and invariant in the result, and neither owns nor
/// borrows any of them.
type TypesOf<Params, Return> = fn(Return) -> (Params, Return);

impl<Params, Return> Clone for TypedFunc<Params, Return> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Params, Return> Copy for TypedFunc<Params, Return> {}

impl<Params, Return> std::fmt::Debug for TypedFunc<Params, Return> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFunc")
            .field("func", &self.func)
            .finish()
    }
}

impl Func {
    pub(crate) fn lifted(store: &StoreOpaque, instance: StoreInstanceId, lift: LiftId) -> Func {
        Func {
            store: store.id,
            instance,
            callee: CalleeId(lift.as_u32()),
        }
    }

    pub(crate) fn imported(
        store: &StoreOpaque,
        instance: StoreInstanceId,
        import: ImportId,
    ) -> Func {
        Func {
            store: store.id,
            instance,
            callee: CalleeId(import.as_u32() | CalleeId::IMPORT),
        }
    }

    /// Returns the function's type, by its number in the component.
    fn type_in(&self, component: &Component) -> FuncTypeId {
        match self.callee.get() {
            FuncCallee::Lift(lift) => component.lift(lift).boundary.ty,
            FuncCallee::Import(import) => component.interface().import_funcs[import].ty,
        }
    }

    /// Returns the function behind the export.
    pub(super) fn callee(&self) -> FuncCallee {
        self.callee.get()
    }

    pub(super) fn instance_id(&self) -> StoreInstanceId {
        self.instance
    }

    /// Returns the instance that the function belongs to.
    #[inline]
    pub(super) fn instance<'s>(&self, store: &'s StoreOpaque) -> Result<&'s StoreInstance> {
        store.instance(self.store, self.instance, "function")
    }

    /// Returns the function's type.
    ///
    /// # Panics
    ///
    /// If the function is not of this store.
    pub fn ty(&self, store: impl AsContext) -> ComponentFunc {
        let store = store.as_context();
        let instance = self
            .instance(&store.0.opaque)
            .expect("the store that the function came from");
        let scope = instance.type_scope(self.store, self.instance);
        ComponentFunc::new(&scope, self.type_in(&instance.component))
    }

    /// Returns the names and types of the parameters.
    ///
    /// # Panics
    ///
    /// If the function is not of this store.
    pub fn params(&self, store: impl AsContext) -> Box<[(String, Type)]> {
        self.ty(store)
            .params()
            .map(|(name, ty)| (name.to_string(), ty))
            .collect()
    }

    /// Returns the types of the results, of which there is at most one.
    ///
    /// # Panics
    ///
    /// If the function is not of this store.
    pub fn results(&self, store: impl AsContext) -> Box<[Type]> {
        self.ty(store).results().collect()
    }

    /// Checks the function's type and returns the function for calls with Rust types. `Params` and
    /// `Return` are tuples.
    ///
    /// # Errors
    ///
    /// If `Params` and `Return` do not match the function's type. The error names the parameter and
    /// both types.
    pub fn typed<Params, Return>(&self, store: impl AsContext) -> Result<TypedFunc<Params, Return>>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let store = store.as_context();
        let StoreInstance {
            component, linked, ..
        } = self.instance(&store.0.opaque)?;
        let ty = self.type_in(component);
        let types = InstanceTypes::new(&component.interface().types, linked.resources.as_slice());
        let check: fn(FuncTypeId, &InstanceTypes<'_>, &str) -> Result<()> =
            typecheck::<Params, Return>;
        linked.check_type(ty, check as *const () as usize, || {
            check(ty, &types, "the Rust type has")
        })?;
        Ok(TypedFunc {
            func: *self,
            types: PhantomData,
        })
    }

    /// Calls the function. `results` must have room for as many values as the function returns.
    ///
    /// # Errors
    ///
    /// - If the values do not have the types of the parameters, or `results` has another length.
    ///   The guest has not run then, and the instance can be called again.
    /// - If the guest traps, or returns something that is not a value of its result type: a
    ///   [`Trap`](crate::Trap), or another error. The instance cannot be entered again.
    /// - If a host function that the guest calls fails: the error of that function. The instance
    ///   cannot be entered again.
    ///
    /// # Panics
    ///
    /// If a host function that the guest calls panics; the panic is passed on with its payload.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let store = store.as_context_mut().0;
        let mut words = [0; LIFT_WORDS];
        let value = match self.scalar_call(&store.opaque, params, results, &mut words)? {
            Some(ScalarCall { abi, result }) => self.call_raw(
                store,
                &abi,
                |_, _, target| {
                    if let LowerTarget::Flat(target) = target {
                        target.copy_from_slice(&words[..target.len()]);
                    }
                    Ok(())
                },
                |_, _, source| match (result, source) {
                    (Some(ty), LiftSource::Flat(&[word])) => {
                        Val::of_scalar_word(ty, word).transpose()
                    }
                    _ => Ok(None),
                },
            )?,
            None => {
                let DynamicCall { abi, result } =
                    self.check_dynamic(&store.opaque, params, results)?;
                self.call_raw(
                    store,
                    &abi,
                    |cx, ty, target| lower_params(params, cx, ty, target),
                    |cx, _, source| lift_result(result, cx, source),
                )?
            }
        };
        set_result(results, value);
        Ok(())
    }

    /// Prepares a call whose values are scalars, as many and of such types as the function has, and
    /// lowers them. Returns `None` for other calls.
    #[inline]
    fn scalar_call(
        &self,
        store: &StoreOpaque,
        params: &[Val],
        results: &[Val],
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<Option<ScalarCall>> {
        let component = &self.instance(store)?.component;
        let FuncCallee::Lift(lift) = self.callee.get() else {
            return Ok(None);
        };
        let Some(ScalarTypes {
            params: types,
            result,
        }) = &component.lift(lift).scalars
        else {
            return Ok(None);
        };
        if types.len() != params.len() || results.len() != usize::from(result.is_some()) {
            return Ok(None);
        }
        // Sizes are of no use where nothing passes through memory.
        let flat = |count| CanonicalAbi {
            flat_count: Some(count as u8),
            ..CanonicalAbi::scalar(8)
        };
        for ((word, value), &ty) in words.iter_mut().zip(params).zip(types) {
            match value.scalar_word(ty) {
                Some(scalar) => *word = scalar,
                None => return Ok(None),
            }
        }
        Ok(Some(ScalarCall {
            abi: CallAbi {
                params: flat(types.len()),
                results: flat(results.len()),
            },
            result: *result,
        }))
    }

    /// Calls the function as [`call`](Self::call) does. An asynchronous host function that the
    /// guest calls may wait: then the guest is suspended, and the future is pending.
    ///
    /// If the future is dropped before it is ready, the guest's call ends where it is, and its
    /// instance cannot be entered again. The future may be polled on another thread each time, by
    /// any executor. While it exists, nothing else of the store can run.
    ///
    /// A function that reaches only synchronous imports runs within the first poll, on the stack of
    /// the thread, unless guests of the store may yield. Otherwise it has a stack of its own; see
    /// [`PoolConfig::total_stacks`](crate::PoolConfig::total_stacks). This is decided when the call
    /// begins: if a host function makes guests of the store yield only then, a call without a stack
    /// of its own fails where it would have to yield.
    ///
    /// On an engine whose guests can be interrupted, a suspended call keeps the waker of the task
    /// that polls it. If nothing else keeps that task, it waits until it is interrupted, even if
    /// its host function has dropped all wakers.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and if there is no stack.
    ///
    /// # Panics
    ///
    /// As [`call`](Self::call).
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut<Data: Send>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let store = store.as_context_mut().0;
        let DynamicCall { abi, result } = self.check_dynamic(&store.opaque, params, results)?;
        let lower = |cx: &mut LowerContext<'_>, ty, target: LowerTarget<'_>| {
            lower_params(params, cx, ty, target)
        };
        let lift =
            |cx: &mut LiftContext<'_>, _, source: LiftSource<'_>| lift_result(result, cx, source);
        let value = match self.may_wait(store)? {
            false => self.call_raw(store, &abi, lower, lift)?,
            true => Box::pin(self.call_raw_async(store, abi, lower, lift)).await?,
        };
        set_result(results, value);
        Ok(())
    }

    /// Compares the number of values with the function's type.
    pub(super) fn check_dynamic(
        &self,
        store: &StoreOpaque,
        params: &[Val],
        results: &[Val],
    ) -> Result<DynamicCall> {
        let component = &self.instance(store)?.component;
        let types = &component.interface().types;
        let ty = self.type_in(component);
        let func = types.func(ty);
        let (expected, found) = (func.params.len(), params.len());
        ensure!(
            expected == found,
            "expected {expected} parameters, got {found}"
        );
        let (expected, found) = (func.result.into_iter().count(), results.len());
        ensure!(
            expected == found,
            "expected room for {expected} results, got room for {found}"
        );
        let tuples = types.func_tuples(ty);
        Ok(DynamicCall {
            abi: CallAbi {
                params: types.abi(tuples.params),
                results: types.abi(tuples.results),
            },
            result: func.result,
        })
    }

    /// Calls the function (`canon_lift`), which has the layout `abi`. Always inlined, with all its
    /// steps: `abi` is a constant of typed calls, so what values of other layouts need is left out.
    #[inline(always)]
    fn call_raw<T: 'static, R>(
        &self,
        store: &mut StoreInner<T>,
        abi: &CallAbi,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        let instance = self.instance(&store.opaque)?;
        let callee = match self.callee.get() {
            FuncCallee::Lift(callee) => callee,
            FuncCallee::Import(import) => {
                return reexport::call(store, self.instance, import, abi, lower, lift);
            }
        };
        instance.entries.check()?;
        let resolved = instance.component.lift(callee);
        ensure!(!resolved.is_task, "{}", needs_call_async());
        let borrows = resolved.boundary.borrows;
        let scope = CallScope::new(store, self.instance, borrows);
        call_within(scope, callee, *abi, lower, lift)
    }
}

/// Says how a function of `async` type is called.
#[cold]
fn needs_call_async() -> &'static str {
    "the component's function is `async`, and may wait; call it by `call_async`"
}

impl Func {
    /// Returns whether a call may wait. One that does not is made by `call_raw`, and the future of
    /// one that does is boxed: all of a future is moved into the one that awaits it, which would
    /// cost a call that does not wait more than the call itself.
    #[inline]
    fn may_wait<T: 'static>(&self, store: &StoreInner<T>) -> Result<bool> {
        let instance = self.instance(&store.opaque)?;
        let FuncCallee::Lift(callee) = self.callee.get() else {
            return Ok(true);
        };
        let resolved = instance.component.lift(callee);
        Ok(resolved.is_task || store.may_suspend(instance.runtime.imports(), resolved.calls))
    }

    /// Calls the function as `call_raw` does. Host functions may wait.
    pub(super) async fn call_raw_async<T: Send + 'static, R>(
        &self,
        store: &mut StoreInner<T>,
        abi: CallAbi,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        let instance = self.instance(&store.opaque)?;
        let callee = match self.callee.get() {
            FuncCallee::Lift(callee) => callee,
            FuncCallee::Import(import) => {
                return reexport::call_async(store, self.instance, import, abi, lower, lift).await;
            }
        };
        instance.entries.check()?;
        let resolved = instance.component.lift(callee);
        let (borrows, is_task) = (resolved.boundary.borrows, resolved.is_task);
        let may_suspend = store.may_suspend(instance.runtime.imports(), resolved.calls);
        let scope = CallScope::new(store, self.instance, borrows);
        if is_task {
            return call_task(scope, callee, abi, lower, lift).await;
        }
        match may_suspend {
            false => call_within(scope, callee, abi, lower, lift),
            true => call_within_async(scope, callee, abi, lower, lift).await,
        }
    }
}

/// A call with scalars as [`Val`]s. They pass in words, without a look at anything else.
struct ScalarCall {
    abi: CallAbi,
    result: Option<InterfaceType>,
}

/// What a call with [`Val`]s knows of the function's type.
pub(super) struct DynamicCall {
    pub abi: CallAbi,
    pub result: Option<InterfaceType>,
}

/// Lifts the result of a function, if it has one.
pub(super) fn lift_result(
    result: Option<InterfaceType>,
    cx: &mut LiftContext<'_>,
    source: LiftSource<'_>,
) -> Result<Option<Val>> {
    // A tuple of one has the layout of its field, flat and in memory.
    match (result, source) {
        (None, _) => Ok(None),
        (Some(ty), LiftSource::Flat(words)) => Val::lift_flat(cx, ty, words).map(Some),
        (Some(ty), LiftSource::Memory(bytes)) => Val::lift_memory(cx, ty, bytes).map(Some),
    }
}

#[inline]
pub(super) fn set_result(results: &mut [Val], value: Option<Val>) {
    if let (Some(value), [result]) = (value, results) {
        *result = value;
    }
}

/// The steps of a call of a guest, in its scope.
#[inline(always)]
fn call_within<T, R>(
    mut scope: CallScope<'_, T>,
    callee: LiftId,
    abi: CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let mut call = Call {
        target: callee,
        instance: scope.instance,
        lends_to: scope.lends_to(),
        abi,
        words: &mut [0; LIFT_WORDS],
        scratch: None,
        trapped: false,
    };
    let begun = call.begin(&mut scope, lower);
    begun.map_err(|error| scope.stopped(error))?;
    let returned = call.enter(scope.store);
    returned.map_err(|error| scope.stopped(error))?;
    let ended = call.end(&mut scope, lift);
    ended.map_err(|error| scope.stopped(error))
}

impl Call<'_, LiftId> {
    /// The steps before the guest runs.
    #[inline(always)]
    fn begin<T>(
        &mut self,
        scope: &mut CallScope<'_, T>,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    ) -> Result<()> {
        scope.enter();
        if let Err(error) = self.lower_params(scope.store, lower) {
            // If no code of the guest trapped, the instance is as if nothing had happened, but for
            // memory that the guest has allocated.
            if !self.trapped {
                scope.leave();
            }
            return Err(error);
        }
        Ok(())
    }

    /// The steps after the guest has run.
    #[inline(always)]
    fn end<T, R>(
        &mut self,
        scope: &mut CallScope<'_, T>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        let result = self.lift_results(scope.store, lift)?;
        scope.exit()?;
        self.finish(scope.store)?;
        scope.leave();
        Ok(result)
    }

    /// The steps of a call of a function whose type is `async`.
    async fn run_task<T: Send, R>(
        &mut self,
        scope: &mut CallScope<'_, T>,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        scope.new_task(self.target, false)?;
        scope.enter_task().await?;
        self.lower_params(scope.store, lower)?;
        scope.run_task(self.words).await?;
        let result = self.lift_results(scope.store, lift)?;
        scope.exit()?;
        scope.clean_up(self.target, |store| self.finish(store))?;
        scope.finish_task().await?;
        scope.leave_task();
        Ok(result)
    }
}

/// The steps of a call of a guest as [`call_within`] takes them. The guest may be suspended.
async fn call_within_async<T: Send, R>(
    mut scope: CallScope<'_, T>,
    callee: LiftId,
    abi: CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let mut call = Call {
        target: callee,
        instance: scope.instance,
        lends_to: scope.lends_to(),
        abi,
        words: &mut [0; LIFT_WORDS],
        scratch: None,
        trapped: false,
    };
    let begun = call.begin(&mut scope, lower);
    begun.map_err(|error| scope.stopped(error))?;
    let store = &mut *scope.store;
    let returned = store
        .call_lift_async(call.instance, callee, call.words)
        .await;
    returned.map_err(|error| scope.stopped(error))?;
    let ended = call.end(&mut scope, lift);
    ended.map_err(|error| scope.stopped(error))
}

/// The steps of a call of a function whose type is `async`. It is a task, which may go on after it
/// has given its result.
async fn call_task<T: Send, R>(
    mut scope: CallScope<'_, T>,
    callee: LiftId,
    abi: CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let mut call = Call {
        target: callee,
        instance: scope.instance,
        lends_to: scope.lends_to(),
        abi,
        words: &mut [0; LIFT_WORDS],
        scratch: None,
        trapped: false,
    };
    let ended = call.run_task(&mut scope, lower, lift).await;
    ended.map_err(|error| scope.stopped(error))
}

/// Lowers parameters one by one, so that an error can name the parameter.
pub(super) fn lower_params(
    params: &[Val],
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
    target: LowerTarget<'_>,
) -> Result<()> {
    let types = cx.types();
    let params = params.iter().zip(cx.tuple_types(ty)).enumerate();
    let in_parameter = |i: usize| {
        move |error: Error| match error.kind() {
            // A wrong value. Hosts print the outermost message, so that has everything.
            ErrorKind::Other => format_err!("in parameter {}: {error:#}", i + 1),
            _ => error.context(format!("in parameter {}", i + 1)),
        }
    };
    match target {
        LowerTarget::Flat(mut rest) => {
            for (i, (value, &ty)) in params {
                let (words, behind) =
                    rest.split_at_mut(types.abi(ty).flat_count.map_or(0, usize::from));
                value.lower_flat(cx, ty, words).map_err(in_parameter(i))?;
                rest = behind;
            }
        }
        LowerTarget::Memory(offset) => {
            let mut end = 0;
            for (i, (value, &ty)) in params {
                let field = types.abi(ty).next_field(&mut end, false) as usize;
                value
                    .lower_memory(cx, ty, offset + field)
                    .map_err(in_parameter(i))?;
            }
        }
    }
    Ok(())
}

impl<Params, Return> TypedFunc<Params, Return>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    /// The layout of parameters and results.
    pub(super) const ABI: CallAbi = CallAbi {
        params: Params::ABI,
        results: Return::ABI,
    };

    /// Makes a typed function without checking the type of `func`.
    ///
    /// If the type does not match, calls pass wrong values or panic.
    #[doc(hidden)]
    pub fn new_unchecked(func: Func) -> Self {
        TypedFunc {
            func,
            types: PhantomData,
        }
    }

    /// Returns the function without its Rust types.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// As [`Func::call`].
    ///
    /// # Panics
    ///
    /// As [`Func::call`].
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: Params) -> Result<Return> {
        self.call_in(store.as_context_mut().0, &params)
    }

    /// Calls the function as [`Func::call_async`] does.
    ///
    /// # Errors
    ///
    /// As [`Func::call_async`].
    ///
    /// # Panics
    ///
    /// As [`Func::call`].
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut<Data: Send>,
        params: Params,
    ) -> Result<Return>
    where
        Return: 'static,
    {
        let (func, store) = (self.func, store.as_context_mut().0);
        if !func.may_wait(store)? {
            return self.call_in(store, &params);
        }
        let called = func.call_raw_async(
            store,
            Self::ABI,
            |cx, ty, target| target.lower(cx, ty, &params),
            |cx, ty, source| source.lift(cx, ty),
        );
        Box::pin(called).await
    }

    #[inline]
    fn call_in<T: 'static>(&self, store: &mut StoreInner<T>, params: &Params) -> Result<Return> {
        self.func.call_raw(
            store,
            &Self::ABI,
            |cx, ty, target| target.lower(cx, ty, params),
            |cx, ty, source| source.lift(cx, ty),
        )
    }
}

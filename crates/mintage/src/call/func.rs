//! [`Func`] and [`TypedFunc`]: calls of exported functions.

use super::host::typecheck;
use super::reexport;
use crate::abi::guest::Guest;
use crate::abi::{
    AbiOptions, ComponentNamedList, HandleContext, InstanceTypes, InterfaceType, Lift, LiftContext,
    Lower, LowerContext, Source, Target,
};
use crate::error::{Context, Result, ensure, wrong_store};
use crate::store::{
    CallScope, GrowthLimiter, HostHandles, LIFT_WORDS, LendingCall, StoreInner, StoreInstance,
    StoreOpaque,
};
use crate::types::{ComponentFunc, Type};
use crate::{AsContext, AsContextMut, Component, Trap, Val};
use mintage_environ::component::{CanonicalAbi, MAX_FLAT_RESULTS};
use mintage_environ::{FuncTypeId, ImportId, LiftId};
use std::marker::PhantomData;

/// An exported function of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Func {
    store: u64,
    instance: u32,
    callee: CalleeId,
}

/// What an exported function is: the number of a lift or, with the highest bit, of an import.
/// (There are at most a million of each.) Both kinds in one word keep a [`Func`] at 16 bytes.
#[derive(Clone, Copy, Debug)]
struct CalleeId(u32);

/// What an exported function is.
enum Callee {
    /// A function of the component.
    Lift(LiftId),
    /// A function of the host, exported again.
    Import(ImportId),
}

impl CalleeId {
    const IMPORT: u32 = 1 << 31;

    #[inline]
    fn get(self) -> Callee {
        match self.0 & Self::IMPORT {
            0 => Callee::Lift(LiftId::from_u32(self.0)),
            _ => Callee::Import(ImportId::from_u32(self.0 & !Self::IMPORT)),
        }
    }
}

/// An exported function whose type was checked: parameters `Params` and results `Return`, both
/// tuples.
pub struct TypedFunc<Params, Return> {
    func: Func,
    /// Invariant in both: they are what the function's type was checked against.
    types: PhantomData<Invariant<(Params, Return)>>,
}

/// Invariant in `T`, and neither owns nor borrows one.
type Invariant<T> = fn(T) -> T;

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
    pub(crate) fn lifted(store: &StoreOpaque, instance: usize, lift: LiftId) -> Func {
        Func {
            store: store.id,
            instance: instance as u32,
            callee: CalleeId(lift.as_u32()),
        }
    }

    pub(crate) fn imported(store: &StoreOpaque, instance: usize, import: ImportId) -> Func {
        Func {
            store: store.id,
            instance: instance as u32,
            callee: CalleeId(import.as_u32() | CalleeId::IMPORT),
        }
    }

    /// The function's type in its component.
    fn type_in(&self, component: &Component) -> FuncTypeId {
        match self.callee.get() {
            Callee::Lift(lift) => component.lift(lift).ty,
            Callee::Import(import) => component.interface().import_funcs[import].ty,
        }
    }

    /// The instance that the function is of.
    fn instance<'s>(&self, store: &'s StoreOpaque) -> Result<&'s StoreInstance> {
        match store.instances.get(self.instance as usize) {
            Some(instance) if store.id == self.store => Ok(instance),
            _ => Err(wrong_store("function")),
        }
    }

    /// The function's type.
    ///
    /// # Panics
    ///
    /// When the function is not of this store.
    pub fn ty(&self, store: impl AsContext) -> ComponentFunc {
        let store = store.as_context();
        let instance = self
            .instance(&store.0.opaque)
            .expect("the store that the function came from");
        let scope = instance.scope(self.store, self.instance);
        ComponentFunc::new(&scope, self.type_in(&instance.component))
    }

    /// The names and types of the parameters.
    ///
    /// # Panics
    ///
    /// When the function is not of this store.
    pub fn params(&self, store: impl AsContext) -> Box<[(String, Type)]> {
        self.ty(store)
            .params()
            .map(|(name, ty)| (name.to_string(), ty))
            .collect()
    }

    /// The types of the results: none or one.
    ///
    /// # Panics
    ///
    /// When the function is not of this store.
    pub fn results(&self, store: impl AsContext) -> Box<[Type]> {
        self.ty(store).results().collect()
    }

    /// The function with its type checked.
    ///
    /// # Errors
    ///
    /// When its type is not that of `Params` and `Return`; the error names the parameter and both
    /// types.
    pub fn typed<Params, Return>(&self, store: impl AsContext) -> Result<TypedFunc<Params, Return>>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let store = store.as_context();
        let StoreInstance {
            component, linked, ..
        } = self.instance(&store.0.opaque)?;
        typecheck::<Params, Return>(
            self.type_in(component),
            &InstanceTypes::new(&component.interface().types, linked.types()),
            "the Rust type has",
        )?;
        Ok(TypedFunc {
            func: *self,
            types: PhantomData,
        })
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// When the values are not of the function's types (nothing has happened then), when the guest
    /// traps or gives what is no value of its result type (a [`Trap`] or another error; the
    /// instance cannot be entered again), or when a host function that the guest calls fails (its
    /// own error, likewise).
    ///
    /// # Panics
    ///
    /// When a host function that the guest calls panics: with its payload.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let store = store.as_context_mut();
        let component = &self.instance(&store.0.opaque)?.component;
        let types = &component.interface().types;
        let ty = self.type_in(component);
        let func = types.func(ty);
        ensure!(
            !func.is_async,
            "the component's function is `async`, which is not supported yet"
        );
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
        let abi = (types.abi(tuples.params), types.abi(tuples.results));
        let result_type = func.result;

        let value = self.call_raw(
            store.0,
            abi,
            |cx, ty, target| lower_params(params, cx, ty, target),
            // A tuple of one is laid out as its field is, flat and in memory.
            |cx, _, source| match (result_type, source) {
                (None, _) => Ok(None),
                (Some(ty), Source::Flat(words)) => Val::lift_flat(cx, ty, words).map(Some),
                (Some(ty), Source::Memory(bytes)) => Val::lift_memory(cx, ty, bytes).map(Some),
            },
        )?;
        if let (Some(value), [result]) = (value, results) {
            *result = value;
        }
        Ok(())
    }

    /// Calls the function (`canon_lift`): lowers the parameters, enters the guest, lifts the
    /// results, lets the guest clean up.
    #[inline]
    fn call_raw<T: 'static, R>(
        &self,
        store: &mut StoreInner<T>,
        abi: (CanonicalAbi, CanonicalAbi),
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, Target<'_>) -> Result<()>,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, Source<'_>) -> Result<R>,
    ) -> Result<R> {
        let number = self.instance as usize;
        let instance = match store.opaque.instances.get(number) {
            Some(instance) if store.opaque.id == self.store => instance,
            _ => return Err(wrong_store("function")),
        };
        let callee = match self.callee.get() {
            Callee::Lift(callee) => callee,
            Callee::Import(import) => {
                return reexport::call(store, number, import, abi, lower, lift);
            }
        };
        if instance.active {
            return Err(Trap::CannotEnterComponent.into());
        }
        let borrows = instance.component.lift(callee).borrows;
        call_within(
            CallScope::new(store, number, borrows),
            callee,
            abi,
            lower,
            lift,
        )
    }
}

/// The whole of a call in its scope.
#[inline]
fn call_within<T, R>(
    mut scope: CallScope<'_, T>,
    callee: LiftId,
    abi: (CanonicalAbi, CanonicalAbi),
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, Target<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, Source<'_>) -> Result<R>,
) -> Result<R> {
    let (params_abi, results_abi) = abi;
    let mut words = [0; LIFT_WORDS];
    let (number, lends_to) = (scope.instance, scope.lends_to());

    let store = &mut *scope.store;
    let StoreOpaque {
        instances, handles, ..
    } = &mut store.opaque;
    let instance = &mut instances[number];
    instance.active = true;
    let host = HostSide {
        handles,
        limiter: &mut store.host,
        lends_to,
    };
    instance.lower_params(number, callee, params_abi, &mut words, host, lower)?;

    store.call_lift(number, callee, &mut words)?;

    let StoreOpaque {
        instances,
        handles,
        hostcall_fuel,
        ..
    } = &mut store.opaque;
    let instance = &instances[number];
    let component = &instance.component;
    let info = component.lift(callee);
    let (handles, runtime) = instance.with_handles(handles, number, info.options.domain, lends_to);
    let options = AbiOptions {
        types: &component.interface().types,
        encoding: info.options.string_encoding,
    };
    let mut cx = LiftContext::new(
        options,
        runtime,
        info.options.memory,
        *hostcall_fuel,
        handles,
    );
    let source = match results_abi.flat_count {
        Some(count) if usize::from(count) <= MAX_FLAT_RESULTS => {
            Source::Flat(&words[..usize::from(count)])
        }
        _ => Source::Memory(cx.spilled(words[0] as u32, results_abi)?),
    };
    let result = lift(&mut cx, info.results, source)?;
    scope.exit()?;

    scope.store.post_return(number, callee, &mut words)?;
    scope.store.opaque.instances[number].active = false;
    Ok(result)
}

/// What lowering needs of a store besides the instance.
struct HostSide<'a> {
    handles: &'a mut HostHandles,
    limiter: &'a mut dyn GrowthLimiter,
    lends_to: Option<LendingCall>,
}

impl StoreInstance {
    /// Lowers the parameters of a call. When this fails and no guest code trapped, the instance is
    /// as if nothing had happened (but for memory that the guest has allocated), so that it can be
    /// entered again.
    #[inline]
    fn lower_params(
        &mut self,
        number: usize,
        lift: LiftId,
        abi: CanonicalAbi,
        words: &mut [u64; LIFT_WORDS],
        host: HostSide<'_>,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, Target<'_>) -> Result<()>,
    ) -> Result<()> {
        let StoreInstance {
            runtime,
            component,
            linked,
            active,
        } = self;
        let info = component.lift(lift);
        let options = AbiOptions {
            types: &component.interface().types,
            encoding: info.options.string_encoding,
        };
        let realloc = component.code().lift(lift).realloc;
        let guest = Guest::new(
            runtime,
            info.options.domain,
            info.options.memory,
            realloc,
            host.limiter,
        );
        let handles = HandleContext {
            host: host.handles,
            linked,
            instance: number as u32,
            domain: info.options.domain,
            lends_to: host.lends_to,
        };
        let mut cx = LowerContext::new(options, guest, Some(handles));
        let result = match abi.flat_count {
            Some(count) => lower(
                &mut cx,
                info.params,
                Target::Flat(&mut words[..usize::from(count)]),
            ),
            None => cx
                .allocate(abi.align32, abi.size32 as usize)
                .and_then(|offset| {
                    words[0] = offset as u64;
                    lower(&mut cx, info.params, Target::Memory(offset))
                }),
        };
        if result.is_err() {
            *active = cx.trapped();
        }
        result
    }
}

/// Lowers parameters one by one, so that an error can name the one that is wrong.
fn lower_params(
    params: &[Val],
    cx: &mut LowerContext<'_>,
    ty: InterfaceType,
    target: Target<'_>,
) -> Result<()> {
    let types = cx.types();
    let params = params.iter().zip(cx.tuple_types(ty)).enumerate();
    let name = |i: usize| format!("in parameter {}", i + 1);
    match target {
        Target::Flat(mut rest) => {
            for (i, (value, &ty)) in params {
                let (words, behind) =
                    rest.split_at_mut(types.abi(ty).flat_count.map_or(0, usize::from));
                value.lower_flat(cx, ty, words).with_context(|| name(i))?;
                rest = behind;
            }
        }
        Target::Memory(offset) => {
            let mut end = 0;
            for (i, (value, &ty)) in params {
                let field = types.abi(ty).next_field(&mut end, false) as usize;
                value
                    .lower_memory(cx, ty, offset + field)
                    .with_context(|| name(i))?;
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
    /// The function without its types.
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
        self.func.call_raw(
            store.as_context_mut().0,
            (Params::ABI, Return::ABI),
            |cx, ty, target| match target {
                Target::Flat(words) => params.lower_flat(cx, ty, words),
                Target::Memory(offset) => params.lower_memory(cx, ty, offset),
            },
            |cx, ty, source| match source {
                Source::Flat(words) => Return::lift_flat(cx, ty, words),
                Source::Memory(bytes) => Return::lift_memory(cx, ty, bytes),
            },
        )
    }
}

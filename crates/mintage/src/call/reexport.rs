//! Calls of host functions that a component exports again: by the host, of the host.
//!
//! There is no guest between the two, whose memory and handles would hold what is passed. So the
//! call brings a memory of its own, and uses the handle table of a component instance that does not
//! exist. Beyond that values are lowered and lifted as for any other call, and so are checked and
//! converted as if a guest had passed them on.

use super::host::Imported;
use crate::abi::guest::Guest;
use crate::abi::{InterfaceType, LiftContext, LowerContext, Source, Target};
use crate::error::{Context, Result, wrong_store};
use crate::store::{CallScope, GuestCall, LIFT_WORDS, StoreInner, StoreInstance, StoreOpaque};
use crate::{AsContextMut, StoreContextMut};
use mintage_environ::component::{CanonicalAbi, MAX_FLAT_RESULTS};
use mintage_environ::{DomainId, ImportId};

/// Calls the host function behind the import `import` of an instance.
pub(crate) fn call<T: 'static, R>(
    store: &mut StoreInner<T>,
    number: usize,
    import: ImportId,
    abi: (CanonicalAbi, CanonicalAbi),
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, Target<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, Source<'_>) -> Result<R>,
) -> Result<R> {
    let instance = store.opaque.instances.get(number);
    let StoreInstance {
        component, linked, ..
    } = instance.ok_or_else(|| wrong_store("function"))?;
    let nobody = DomainId::from_u32(component.code().layout().domains.len() as u32);
    let imported = Imported::reexported(component, linked, import, nobody);
    let scope = CallScope::new(store, number, imported.borrows());
    call_within(scope, &imported, abi, lower, lift)
}

fn call_within<T: 'static, R>(
    scope: CallScope<'_, T>,
    imported: &Imported,
    abi: (CanonicalAbi, CanonicalAbi),
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, Target<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, Source<'_>) -> Result<R>,
) -> Result<R> {
    let (params_abi, results_abi) = abi;
    let mut memory = Vec::new();
    let mut words = [0; LIFT_WORDS + 1];
    let (number, lends_to) = (scope.instance, scope.lends_to());
    let store = &mut *scope.store;

    let StoreOpaque {
        instances, handles, ..
    } = &mut store.opaque;
    let (context, runtime) =
        instances[number].with_handles(handles, number, imported.domain(), lends_to);
    let guest = Guest::scratch(runtime, &mut memory);
    let mut cx = LowerContext::new(imported.abi(), guest, Some(context));
    let param_words = match params_abi.flat_count {
        Some(count) => {
            lower(
                &mut cx,
                imported.params(),
                Target::Flat(&mut words[..usize::from(count)]),
            )?;
            usize::from(count)
        }
        None => {
            let offset = cx.allocate(params_abi.align32, params_abi.size32 as usize)?;
            words[0] = offset as u64;
            lower(&mut cx, imported.params(), Target::Memory(offset))?;
            1
        }
    };
    let flat_results = results_abi
        .flat_count
        .map(usize::from)
        .filter(|&count| count <= MAX_FLAT_RESULTS);
    let mut room = 0;
    if flat_results.is_none() {
        room = cx.allocate(results_abi.align32, results_abi.size32 as usize)?;
        words[param_words] = room as u64;
    }

    let function = store.opaque.instances[number]
        .linked
        .func::<T>(imported.import());
    let function = function.context("a function that is exported again has no definition")?;
    function.clone().call(
        imported,
        GuestCall {
            store: StoreContextMut(store).as_context_mut(),
            instance: number,
            words: &mut words,
            scratch: Some(&mut memory),
        },
    )?;

    let StoreOpaque {
        instances, handles, ..
    } = &mut store.opaque;
    let (context, runtime) =
        instances[number].with_handles(handles, number, imported.domain(), lends_to);
    let mut cx =
        LiftContext::of_memory(imported.abi(), &memory, usize::MAX).with_handles(context, runtime);
    let source = match flat_results {
        Some(count) => Source::Flat(&words[..count]),
        None => Source::Memory(cx.spilled(room as u32, results_abi)?),
    };
    lift(&mut cx, imported.results(), source)
}

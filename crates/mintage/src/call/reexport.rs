//! Calls of host functions that a component exports again: by the host, of the host.
//!
//! There is no guest between the two, whose memory and handles would hold what is passed. So the
//! call brings a memory of its own, and uses the handle table of a component instance that does not
//! exist. Beyond that values are lowered and lifted as for any other call, and so are checked and
//! converted as if a guest had passed them on.

use super::host::{HostFunction, ResolvedImport};
use super::protocol::{Call, CallAbi};
use crate::abi::{InterfaceType, LiftContext, LiftSource, LowerContext, LowerTarget};
use crate::error::{Context, Result};
use crate::store::{CallScope, HostFuncCall, LIFT_WORDS, StoreInner};
use crate::types::StoreInstanceId;
use mintage_environ::ImportId;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// The host functions that a component exports again, by import.
pub(crate) type Reexports<T> = HashMap<ImportId, Arc<Reexport<T>>>;

/// A host function that a component exports again.
pub(crate) struct Reexport<T> {
    pub function: Arc<dyn HostFunction<T>>,
    pub import: Arc<ResolvedImport>,
}

/// Returns the host function behind an import of an instance.
fn find<T: 'static>(
    store: &StoreInner<T>,
    instance: StoreInstanceId,
    import: ImportId,
) -> Result<Arc<Reexport<T>>> {
    let linked = &store.opaque.instances[instance].linked;
    let callee = linked.reexports::<Reexports<T>>();
    callee
        .and_then(|reexports| reexports.get(&import))
        .cloned()
        .context("a function that is exported again has no definition")
}

/// The words and the memory of a call without a guest.
#[derive(Default)]
struct Passed {
    words: [u64; LIFT_WORDS + 1],
    memory: Vec<u8>,
    /// The address of the results, if they are in memory.
    room: Option<u64>,
}

impl Passed {
    fn call<'a, T: 'static>(
        &'a mut self,
        callee: &'a Reexport<T>,
        scope: &CallScope<'_, T>,
        abi: CallAbi,
    ) -> Call<'a, &'a ResolvedImport> {
        Call {
            target: &callee.import,
            instance: scope.instance,
            lends_to: scope.lends_to(),
            abi,
            words: &mut self.words,
            scratch: Some(&mut self.memory),
            trapped: false,
        }
    }

    /// Lowers the parameters. Returns the call of the host function.
    fn lower<'a, T: 'static>(
        &'a mut self,
        callee: &Reexport<T>,
        scope: &'a mut CallScope<'_, T>,
        abi: CallAbi,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    ) -> Result<HostFuncCall<'a, T>> {
        let mut call = self.call(callee, scope, abi);
        call.lower_params(scope.store, lower)?;
        self.room = call.reserve_results(scope.store)?;
        Ok(HostFuncCall {
            store: scope.store,
            instance: scope.instance,
            words: &mut self.words,
            scratch: Some(&mut self.memory),
        })
    }

    /// Lifts the results.
    fn lift<T: 'static, R>(
        &mut self,
        callee: &Reexport<T>,
        scope: &mut CallScope<'_, T>,
        abi: CallAbi,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
    ) -> Result<R> {
        if let Some(room) = self.room {
            self.words[0] = room;
        }
        self.call(callee, scope, abi)
            .lift_results(scope.store, lift)
    }
}

/// Calls the host function behind an import of an instance. One that waits is an error.
pub(crate) fn call<T: 'static, R>(
    store: &mut StoreInner<T>,
    instance: StoreInstanceId,
    import: ImportId,
    abi: &CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let callee = &*find(store, instance, import)?;
    let scope = &mut CallScope::new(store, instance, callee.import.borrows()).pin();
    let mut passed = Passed::default();
    let call = passed.lower(callee, scope, *abi, lower)?;
    callee.function.start(&callee.import, call, None)?;
    passed.lift(callee, scope, *abi, lift)
}

/// Calls the host function behind an import as [`call`] does. It may wait.
pub(crate) async fn call_async<T: Send + 'static, R>(
    store: &mut StoreInner<T>,
    instance: StoreInstanceId,
    import: ImportId,
    abi: CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let callee = &*find(store, instance, import)?;
    let scope = &mut CallScope::new(store, instance, callee.import.borrows()).pin();
    let mut passed = Passed::default();
    let mut call = Some(passed.lower(callee, scope, abi, lower)?);
    let started = poll_fn(|cx| {
        let call = call.take().expect("this is polled once");
        Poll::Ready(callee.function.start(&callee.import, call, Some(cx)))
    });
    if let Some(rest) = started.await? {
        rest.await?;
    }
    passed.lift(callee, scope, abi, lift)
}

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
use std::sync::Arc;

/// The host functions that a component exports again, by import.
pub(crate) type Reexports<T> = HashMap<ImportId, Arc<Reexport<T>>>;

/// A host function that a component exports again.
pub(crate) struct Reexport<T> {
    pub function: Arc<dyn HostFunction<T>>,
    pub import: ResolvedImport,
}

/// Calls the host function behind the import `import` of an instance.
pub(crate) fn call<T: 'static, R>(
    store: &mut StoreInner<T>,
    instance: StoreInstanceId,
    import: ImportId,
    abi: CallAbi,
    lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>,
) -> Result<R> {
    let reexports = store.opaque.instances[instance]
        .linked
        .reexports::<Reexports<T>>();
    let callee = reexports
        .and_then(|reexports| reexports.get(&import))
        .context("a function that is exported again has no definition")?
        .clone();
    let scope = CallScope::new(store, instance, callee.import.borrows());
    let mut call = Call {
        target: &callee.import,
        instance,
        lends_to: scope.lends_to(),
        abi,
        words: &mut [0; LIFT_WORDS + 1][..],
        scratch: Some(&mut Vec::new()),
        trapped: false,
    };
    call.lower_params(scope.store, lower)?;
    let room = call.reserve_results(scope.store)?;
    callee.function.clone().call(
        &callee.import,
        HostFuncCall {
            store: scope.store,
            instance,
            words: call.words,
            scratch: call.scratch.as_deref_mut(),
        },
    )?;
    if let Some(room) = room {
        call.words[0] = room;
    }
    call.lift_results(scope.store, lift)
}

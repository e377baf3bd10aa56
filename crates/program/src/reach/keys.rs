//! The keys of core functions: numbers for the canonical definitions that are reachable.

use super::concurrent::Concurrent;
use super::host_calls::HostCallsSearch;
use super::walk::Reached;
use crate::inline::{CoreFunc, FuncDef, Inlined, Trampoline, TrampolineId};
use crate::ir::{Adapter, CanonBuiltin, CoreInstance};
use anyhow::Result;
use mintage_environ::component::{CoreCallee, LoweredImport};
use mintage_environ::{AdapterId, CanonId, FuncIndex, FuncKey, IndexVec, LowerId};

/// The canonical definitions that are reachable, numbered by kind.
pub(super) struct Numbered {
    pub lowers: IndexVec<LowerId, LoweredImport>,
    pub adapters: IndexVec<AdapterId, Adapter>,
    pub canons: IndexVec<CanonId, CanonBuiltin>,
    pub concurrent: Concurrent,
    /// The keys of all reachable functions, in order.
    pub reachable: Vec<FuncKey>,
    pub keys: Keys,
}

/// The key of each canonical definition.
pub(super) struct Keys(IndexVec<TrampolineId, Option<FuncKey>>);

impl Keys {
    /// Returns keys for a program of which nothing is compiled.
    pub fn none(inlined: &Inlined<'_>) -> Keys {
        Keys(inlined.trampolines.iter().map(|_| None).collect())
    }

    /// Returns the key of `func`, with its type.
    pub fn callee(&self, func: CoreFunc) -> CoreCallee {
        let CoreFunc { def, sig } = func;
        let key = match def {
            FuncDef::Core { instance, func } => FuncKey::CoreFunc { instance, func },
            FuncDef::Trampoline(id) => {
                self.0[id].unwrap_or(FuncKey::LowerImport(CoreInstance::NEVER_CALLED))
            }
        };
        CoreCallee { key, sig }
    }
}

impl Numbered {
    /// # Errors
    ///
    /// If there are too many functions that copy values of streams and futures.
    pub fn new(
        inlined: &Inlined<'_>,
        reached: &Reached,
        search: &mut HostCallsSearch<'_, '_>,
    ) -> Result<Numbered> {
        let mut lowers: IndexVec<LowerId, LoweredImport<CoreFunc>> = IndexVec::new();
        let mut adapters: IndexVec<AdapterId, Adapter<CoreFunc>> = IndexVec::new();
        let mut adapter_calls = IndexVec::new();
        let mut canons: IndexVec<CanonId, CanonBuiltin<CoreFunc>> = IndexVec::new();
        let trampolines = inlined.trampolines.iter().zip(reached.trampolines.values());
        let keys = trampolines.map(|(trampoline, reason)| {
            reason.as_ref()?;
            Some(match trampoline {
                Trampoline::Lower(lower) => FuncKey::LowerImport(lowers.push(lower.clone())),
                Trampoline::Adapter { lift, lower, sig } => {
                    let lift = inlined.interface.lifts[*lift].clone();
                    adapter_calls.push(search.of_lift(&lift));
                    FuncKey::Adapter(adapters.push(Adapter {
                        ty: lift.ty,
                        lift,
                        lower: lower.clone(),
                        sig: *sig,
                    }))
                }
                Trampoline::Canon(builtin) => FuncKey::Canon(canons.push(builtin.clone())),
                Trampoline::Unsupported { .. } => return None,
            })
        });
        let keys = Keys(keys.collect());

        let name = |func| keys.callee(func);
        let lowers = lowers.into_values().map(|lower| lower.map(name));
        let lowers: IndexVec<LowerId, LoweredImport> = lowers.collect();
        let adapters = adapters.into_values().map(|adapter| adapter.map(name));
        let adapters: IndexVec<AdapterId, Adapter> = adapters.collect();
        let canons = canons.into_values().map(|builtin| builtin.map(name));
        let canons: IndexVec<CanonId, CanonBuiltin> = canons.collect();
        let concurrent = {
            let interface = &inlined.interface;
            Concurrent::new(
                &interface.types,
                &interface.signatures,
                &interface.import_funcs,
                &lowers,
                &adapters,
                &adapter_calls,
                &canons,
            )?
        };

        let functions = reached.functions.iter().flat_map(|(instance, functions)| {
            let functions = functions.iter().map(FuncIndex::from_u32);
            functions.map(move |func| FuncKey::CoreFunc { instance, func })
        });
        let trampolines = keys.0.values().copied().flatten();
        let mut reachable: Vec<FuncKey> = functions.chain(trampolines).collect();
        reachable.extend(concurrent.functions());
        reachable.sort_unstable();
        Ok(Numbered {
            lowers,
            adapters,
            canons,
            concurrent,
            reachable,
            keys,
        })
    }
}

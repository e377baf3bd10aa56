//! Limits of what adapters may be generated: an adapter's code grows with its function type, and types of a few hundred
//! bytes can be written out to any size (`tuple<t, t>` of `tuple<t, t>` of ...).

use crate::inline::{Inlined, Trampoline};
use anyhow::{Result, ensure};
use mintage_environ::component::{ComponentTypes, InterfaceType};

/// The most value types that the type of an adapter has when it is written out. A node is some hundred bytes of code.
const MAX_NODES: u64 = 20_000;
/// The most value types of all adapters together.
const MAX_ALL_NODES: u64 = 2_000_000;

/// Checks the adapters among the trampolines for which `reached` says something.
///
/// # Errors
///
/// When the code of an adapter, or of all together, would be too large.
pub(crate) fn check_sizes<T>(inlined: &Inlined<'_>, reached: &[Option<T>]) -> Result<()> {
    let types = &inlined.interface.types;
    let mut all = 0;
    for (trampoline, _) in inlined
        .trampolines
        .iter()
        .zip(reached)
        .filter(|(_, reached)| reached.is_some())
    {
        let Trampoline::Adapter { lift, lower, .. } = trampoline else {
            continue;
        };
        let lift = &inlined.lifts[*lift];
        let func = types.func(lift.ty);
        let values = func.params.iter().map(|&(_, ty)| ty).chain(func.result);
        let nodes = nodes(types, values.collect(), MAX_NODES);
        ensure!(
            nodes <= MAX_NODES,
            "a function that component instance {} calls in {} has a type of more than {MAX_NODES} values when it is written out; \
             pass fewer values, or pass them as a list",
            lower.domain.as_u32(),
            lift.options.domain.as_u32()
        );
        all += nodes;
        ensure!(
            all <= MAX_ALL_NODES,
            "the functions that component instances call in one another have types of more than {MAX_ALL_NODES} values when \
             they are written out; instantiate fewer components"
        );
    }
    Ok(())
}

/// How many value types `todo` are when they are written out; counting stops soon after `limit`.
fn nodes(types: &ComponentTypes, mut todo: Vec<InterfaceType>, limit: u64) -> u64 {
    let mut count = 0;
    while let Some(ty) = todo.pop() {
        count += 1;
        if count > limit {
            break;
        }
        match ty {
            InterfaceType::List(id) => todo.push(*types.list(id)),
            InterfaceType::Record(id) => todo.extend(types.record(id).fields.iter().map(|&(_, ty)| ty)),
            InterfaceType::Tuple(id) => todo.extend(types.tuple(id).iter()),
            // Cases without a payload take no code of their own.
            InterfaceType::Enum(_) => {}
            _ => todo.extend(types.cases(ty).into_iter().flatten().flatten()),
        }
    }
    count
}

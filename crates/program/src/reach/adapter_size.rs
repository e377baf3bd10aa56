//! Limits on the code of adapters.
//!
//! The code of an adapter grows with its function type when the type is written out in full. Types
//! that are defined in a few hundred bytes can be of any size, such as nested `tuple<t, t>`.

use crate::inline::{Inlined, Trampoline};
use anyhow::{Result, ensure};
use mintage_environ::component::{ComponentTypes, InterfaceType, StringEncoding};
use mintage_environ::limit;

/// The most value types in the written-out type of an adapter. Each takes about fifty bytes of code
/// and twenty microseconds to generate, so this is 1 MB and half a second.
const MAX_NODES: u64 = 20_000;
/// The most value types of all adapters together, for 50 MB of code.
const MAX_ALL_NODES: u64 = 1_000_000;
/// The number of value types that a string counts for.
const STRING: u64 = 4;
/// The number of value types that a string counts for if either side uses `latin1+utf16`, which has
/// more cases.
const COMPACT_STRING: u64 = 16;

/// Checks the adapters among `trampolines`.
///
/// # Errors
///
/// If the code of an adapter, or of all adapters together, would be too large.
pub(super) fn check<'t>(
    inlined: &Inlined<'_>,
    trampolines: impl Iterator<Item = &'t Trampoline>,
) -> Result<()> {
    let types = &inlined.interface.types;
    let mut all = 0;
    for trampoline in trampolines {
        let Trampoline::Adapter { lift, lower, .. } = trampoline else {
            continue;
        };
        let lift = &inlined.interface.lifts[*lift];
        let func = types.func(lift.ty);
        let values = func.params.iter().map(|&(_, ty)| ty).chain(func.result);
        let compact = [lift.options.string_encoding, lower.string_encoding]
            .contains(&StringEncoding::CompactUtf16);
        let string = if compact { COMPACT_STRING } else { STRING };
        let nodes = nodes(types, values.collect(), string, MAX_NODES);
        ensure!(
            nodes <= MAX_NODES,
            limit!(
                ComponentSize,
                "a function that component instance {} calls in {} has a type of more than \
                 {MAX_NODES} values when it is written out; pass fewer values, or pass them as a \
                 list",
                lower.domain.as_u32(),
                lift.options.domain.as_u32()
            )
        );
        all += nodes;
        ensure!(
            all <= MAX_ALL_NODES,
            limit!(
                ComponentSize,
                "the functions that component instances call in one another have types of more \
                 than {MAX_ALL_NODES} values when they are written out; instantiate fewer \
                 components"
            )
        );
    }
    Ok(())
}

/// Returns the number of value types when the types in `todo` are written out, where a string
/// counts for `string`. Counting stops soon after `limit`.
fn nodes(types: &ComponentTypes, mut todo: Vec<InterfaceType>, string: u64, limit: u64) -> u64 {
    let mut count = 0;
    while let Some(ty) = todo.pop() {
        count += if ty == InterfaceType::String {
            string
        } else {
            1
        };
        if count > limit {
            break;
        }
        match ty {
            InterfaceType::List(_) | InterfaceType::Map(_) => todo.extend(types.element(ty)),
            InterfaceType::Record(id) => {
                let fields: Vec<InterfaceType> =
                    types.record(id).fields.iter().map(|&(_, ty)| ty).collect();
                todo.extend(once_per_loop(types, &fields));
            }
            InterfaceType::Tuple(id) => todo.extend(once_per_loop(types, types.tuple(id))),
            // Cases without a payload need no code of their own.
            InterfaceType::Enum(_) => {}
            _ => todo.extend(types.cases(ty).into_iter().flatten().flatten()),
        }
    }
    count
}

/// Returns the fields, but only the first of consecutive ones that code handles in a loop.
fn once_per_loop(
    types: &ComponentTypes,
    fields: &[InterfaceType],
) -> impl Iterator<Item = InterfaceType> {
    let runs = fields.chunk_by(|a, b| a == b);
    runs.flat_map(|run| {
        &run[..if types.abi(run[0]).repeats(run.len()) {
            1
        } else {
            run.len()
        }]
    })
    .copied()
}

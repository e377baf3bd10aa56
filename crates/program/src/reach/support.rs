//! Errors for what is reachable and cannot be compiled.

use super::adapter_size;
use super::graph::Graph;
use super::walk::Reached;
use crate::inline::Trampoline;
use anyhow::{Result, bail, ensure};
use mintage_environ::unsupported;

/// Checks that everything which is reachable is supported.
///
/// # Errors
///
/// Names the first thing that is not.
pub(super) fn check(graph: &Graph<'_, '_>, reached: &Reached) -> Result<()> {
    let inlined = graph.inlined;
    let trampolines = || {
        let all = inlined.trampolines.iter().zip(reached.trampolines.values());
        all.filter_map(|(trampoline, reason)| Some((trampoline, (*reason)?)))
    };
    for (trampoline, reason) in trampolines() {
        if let Trampoline::Unsupported { what, .. } = trampoline {
            bail!(unsupported!(
                "{what} is not supported yet (used by {})",
                reason.describe(graph)
            ));
        }
    }
    let interface = &inlined.interface;
    let exported = interface.exported_lifts.iter();
    let exported = exported.map(|&lift| &interface.lifts[lift].options);
    let lowered = trampolines().filter_map(|(trampoline, _)| match trampoline {
        Trampoline::Lower(lower) => Some(&lower.options),
        _ => None,
    });
    for options in exported.chain(lowered) {
        let memory = options.memory.map(|id| &inlined.shape.memories[id]);
        ensure!(
            !memory.is_some_and(|memory| memory.index64),
            unsupported!(
                "component instance {} passes values to or from the host through a 64-bit memory, \
                 which is supported between components only; put a component with a 32-bit memory \
                 in between",
                options.domain.as_u32()
            )
        );
    }
    adapter_size::check(inlined, trampolines().map(|(trampoline, _)| trampoline))
}

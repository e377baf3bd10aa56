//! Phase 3: reachability. Keeps what exports and start functions need, gives core functions their
//! keys, and makes the [`Program`].
//!
//! ```text
//! Parsed, Inlined -> graph::Graph          what refers to what
//!                 -> walk::Reached         what the roots reach
//!                 -> support::check        errors for what is reached and cannot be compiled
//!                 -> host_calls            what exports and tasks may call
//!                 -> keys::Numbered        keys of lowered imports, adapters and built-ins
//!                 -> concurrent            what the runtime must know of tasks
//!                 -> assemble::program     Program
//! ```

mod adapter_size;
mod assemble;
mod bit_set;
mod concurrent;
mod graph;
mod host_calls;
mod keys;
mod support;
mod walk;

use crate::inline::Inlined;
use crate::ir::Program;
use crate::parse::Parsed;
use anyhow::Result;
use graph::Graph;
use host_calls::HostCallsSearch;
use keys::Numbered;
use walk::Reached;

pub(crate) use assemble::interface_alone;

/// Drops what is not reachable.
///
/// # Errors
///
/// If something that is not supported is reachable, or more code than may be compiled.
pub(crate) fn reach<'a>(parsed: Parsed<'a>, inlined: Inlined<'a>) -> Result<Program<'a>> {
    let graph = Graph::new(&parsed, &inlined);
    let reached = Reached::compute(&graph)?;
    support::check(&graph, &reached)?;
    let mut search = HostCallsSearch::new(&graph, &reached);
    let numbered = Numbered::new(&inlined, &reached, &mut search)?;
    let interface = &inlined.interface;
    let lifts = interface.exported_lifts.iter();
    let lift_calls = lifts.map(|&lift| search.of_lift(&interface.lifts[lift]));
    let lift_calls = lift_calls.collect();
    assemble::program(parsed, inlined, &reached, numbered, lift_calls)
}

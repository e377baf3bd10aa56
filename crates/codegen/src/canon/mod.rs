//! Canonical built-ins (CanonicalABI.md, "Canonical Definitions"): one function of machine code for
//! each.
//!
//! To add one, add its row to [`builtin`]; [`CanonOp`] says what comes before.

mod resources;

use crate::adapter::error_context_builtin;
use crate::compiler::{Input, Scratch};
use anyhow::{Context as _, Result};
use mintage_environ::CanonId;
use mintage_program::CanonOp;

/// Emits the canonical built-in `id`.
pub(crate) fn builtin(input: &Input<'_>, id: CanonId, scratch: &mut Scratch) -> Result<()> {
    let builtin = input.program.canons.get(id);
    let builtin = builtin.context("internal error: no such canonical built-in")?;
    match builtin.op {
        CanonOp::ResourceNew(resource) => resources::new(input, builtin, resource, scratch),
        CanonOp::ResourceRep(resource) => resources::rep(input, builtin, resource, scratch),
        CanonOp::ResourceDrop(resource) => resources::drop(input, id, builtin, resource, scratch),
        CanonOp::ErrorContextNew
        | CanonOp::ErrorContextDebugMessage
        | CanonOp::ErrorContextDrop => error_context_builtin(input, builtin, scratch),
    }
}

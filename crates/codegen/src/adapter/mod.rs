//! Adapters: calls from one component instance to another (CanonicalABI.md, `canon lower` of a `canon lift`).

use crate::compiler::{Input, Scratch};
use anyhow::{Result, bail};
use mintage_environ::AdapterId;

/// The adapter `id`.
pub(crate) fn adapter(_input: &Input<'_>, _id: AdapterId, _scratch: &mut Scratch) -> Result<()> {
    bail!("calls between component instances are not supported yet")
}

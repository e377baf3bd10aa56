//! `wasi:random`.

use super::VERSION;
use super::bindings::random::insecure_seed;
use crate::WasiView;
use crate::random::{Excess, WasiRandom, WasiRandomView};
use mintage::{Linker, Result};

/// Defines `wasi:random`.
///
/// # Errors
///
/// If a name is already defined.
pub(super) fn add_to_linker<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    crate::random::add_to_linker(linker, VERSION, Excess::Fails)?;
    insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)
}

crate::random::hosts!(crate::p2::bindings::random, Excess::Fails, insecure_seed);

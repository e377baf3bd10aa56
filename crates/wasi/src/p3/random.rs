//! `wasi:random`.

use super::VERSION;
use super::bindings::random::insecure_seed;
use crate::random::{Excess, WasiRandom, WasiRandomView};
use mintage::{Linker, Result};

/// Defines `wasi:random`.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiRandomView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    crate::random::add_to_linker(linker, VERSION, Excess::IsLeftOut)?;
    insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)
}

crate::random::hosts!(
    crate::p3::bindings::random,
    Excess::IsLeftOut,
    get_insecure_seed
);

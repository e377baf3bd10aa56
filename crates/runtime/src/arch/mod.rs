//! The processor: the stubs between Rust and machine code, frames, and the registers at a fault.
//!
//! To port to another processor, write a file beside `x86_64.rs` with the same items, and choose
//! between them here.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "mintage-runtime supports x86-64 only so far; see crates/runtime/src/arch/mod.rs for what a \
     port needs"
);

//! The operating system: all calls of the runtime to it.
//!
//! To port to another system, write a folder beside `linux` with the same modules and functions,
//! and choose between them here. The rest of the runtime relies on this:
//!
//! - [`mappings`]: the number of mappings that the process may have;
//! - [`mmap`]: address space is reserved at no cost; parts of it are made accessible, and mapped
//!   copy-on-write from a file;
//! - [`pagemap`]: the system may tell which pages were written;
//! - [`process`]: a forked child is recognized, and forks can be delayed;
//! - [`signals`]: a hardware fault reaches the function that `entry` registers, which may resume
//!   the thread elsewhere;
//! - [`thread`]: the bounds of the thread's stack, a stack for its signal handler, and its count of
//!   page faults.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "mintage-runtime supports Linux only so far; see crates/runtime/src/sys/mod.rs for what a port \
     needs"
);

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

//! The operating system: all of the runtime's calls to it.
//!
//! To port to another system, write a folder beside `linux` with the same modules and functions,
//! and choose between them here. What the rest of the runtime relies on:
//!
//! - [`mmap`]: address space is reserved without cost, parts of it made accessible and mapped from
//!   a file, copy on write;
//! - [`pagemap`]: which pages were written, if the system tells;
//! - [`process`]: whether this is a child that was forked, and when forking has to wait;
//! - [`signals`]: a hardware fault reaches the function that `entry` registers, which may resume the
//!   thread elsewhere;
//! - [`thread`]: the bounds of the thread's stack, and a stack for its signal handler.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "mintage-runtime supports Linux only so far; see crates/runtime/src/sys/mod.rs for what a port \
     needs"
);

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

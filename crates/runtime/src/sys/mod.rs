//! The operating system: all of the runtime's calls to it.
//!
//! To port: give each of the files below a twin for the new system, with the same functions, and
//! choose between them here. What the rest of the runtime relies on:
//!
//! - [`mmap`]: address space is reserved without cost, parts of it made accessible and mapped from
//!   a file, copy on write;
//! - [`pagemap`]: which pages were written, if the system tells;
//! - [`process`]: whether this is a child that was forked, and when forking has to wait;
//! - [`signals`]: a hardware fault reaches [`fault::on_fault`](crate::fault::on_fault), which may
//!   move the thread elsewhere;
//! - [`thread`]: where the thread's stack ends, and a stack for its signal handler.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "mintage-runtime supports Linux only so far; see crates/runtime/src/sys/mod.rs for what a port \
     needs"
);

pub mod mmap;
pub mod pagemap;
pub mod process;
pub mod signals;
pub mod thread;

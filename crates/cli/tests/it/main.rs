//! Runs the built `mintage` command and checks its output and exit codes.

mod backtraces;
mod cache;
mod calls;
mod cli;
mod command;
mod common;
mod compose;
mod files;
mod p3;
mod programs;
mod serve;
mod settings;

//! Runs the built `mintage` command and checks its output and exit codes.

mod calls;
mod cli;
mod common;
mod compose;
mod files;
mod settings;

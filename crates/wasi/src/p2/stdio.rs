//! `wasi:cli`: standard streams and terminals.

/// The right to control the terminal that a guest reads.
#[derive(Debug)]
pub struct TerminalInput;

/// The right to control the terminal that a guest writes.
#[derive(Debug)]
pub struct TerminalOutput;

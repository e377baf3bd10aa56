//! `wasi:cli`: arguments, environment, exit, standard streams and terminals.

use super::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use crate::I32Exit;
use crate::cli::WasiCliCtxView;
use crate::io::{DynInputStream, DynOutputStream};
use mintage::{Resource, Result};

/// The right to control the terminal that a guest reads.
#[derive(Debug)]
pub struct TerminalInput;

/// The right to control the terminal that a guest writes.
#[derive(Debug)]
pub struct TerminalOutput;

impl environment::Host for WasiCliCtxView<'_> {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.ctx.environment.clone())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.ctx.arguments.clone())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(self.ctx.initial_cwd.clone())
    }
}

impl exit::Host for WasiCliCtxView<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> Result<()> {
        Err(I32Exit(i32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, code: u8) -> Result<()> {
        Err(I32Exit(code.into()).into())
    }
}

impl stdin::Host for WasiCliCtxView<'_> {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        Ok(self.table.push(self.ctx.stdin.p2_stream())?)
    }
}

impl stdout::Host for WasiCliCtxView<'_> {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(self.ctx.stdout.p2_stream())?)
    }
}

impl stderr::Host for WasiCliCtxView<'_> {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(self.ctx.stderr.p2_stream())?)
    }
}

impl WasiCliCtxView<'_> {
    fn terminal<T: Send + 'static>(
        &mut self,
        is_terminal: bool,
        right: T,
    ) -> Result<Option<Resource<T>>> {
        match is_terminal {
            true => Ok(Some(self.table.push(right)?)),
            false => Ok(None),
        }
    }
}

impl terminal_input::Host for WasiCliCtxView<'_> {}

impl terminal_input::HostTerminalInput for WasiCliCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for WasiCliCtxView<'_> {}

impl terminal_output::HostTerminalOutput for WasiCliCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for WasiCliCtxView<'_> {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        let is_terminal = self.ctx.stdin.is_terminal();
        self.terminal(is_terminal, TerminalInput)
    }
}

impl terminal_stdout::Host for WasiCliCtxView<'_> {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let is_terminal = self.ctx.stdout.is_terminal();
        self.terminal(is_terminal, TerminalOutput)
    }
}

impl terminal_stderr::Host for WasiCliCtxView<'_> {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        let is_terminal = self.ctx.stderr.is_terminal();
        self.terminal(is_terminal, TerminalOutput)
    }
}

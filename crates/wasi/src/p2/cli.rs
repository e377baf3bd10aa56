//! `wasi:cli`: arguments, environment, exit, standard streams and terminals.

use super::bindings::cli::{stderr, stdin, stdout};
use crate::cli::WasiCliCtxView;
use crate::io::{DynInputStream, DynOutputStream};
use mintage::{Resource, Result};

crate::cli::hosts!(crate::p2::bindings::cli, initial_cwd);

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

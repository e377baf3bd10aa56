//! What `wasi:cli` is in all versions, whose bindings differ by names.

/// Implements the traits of the bindings `$bindings` that are the same in all versions of
/// `wasi:cli`: all but those of the standard streams. `$initial_cwd` is the name of the function
/// that returns the working directory.
macro_rules! hosts {
    ($bindings:path, $initial_cwd:ident) => {
        const _: () = {
            use $bindings as bindings;
            use $crate::cli::{TerminalInput, TerminalOutput, WasiCliCtxView};

            impl bindings::environment::Host for WasiCliCtxView<'_> {
                fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
                    Ok(self.ctx.environment.clone())
                }

                fn get_arguments(&mut self) -> Result<Vec<String>> {
                    Ok(self.ctx.arguments.clone())
                }

                fn $initial_cwd(&mut self) -> Result<Option<String>> {
                    Ok(self.ctx.initial_cwd.clone())
                }
            }

            impl bindings::exit::Host for WasiCliCtxView<'_> {
                fn exit(&mut self, status: Result<(), ()>) -> Result<()> {
                    Err($crate::cli::exit(status).into())
                }

                fn exit_with_code(&mut self, code: u8) -> Result<()> {
                    Err($crate::I32Exit(code.into()).into())
                }
            }

            impl bindings::terminal_input::Host for WasiCliCtxView<'_> {}

            impl bindings::terminal_input::HostTerminalInput for WasiCliCtxView<'_> {
                fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
                    self.table.delete(terminal)?;
                    Ok(())
                }
            }

            impl bindings::terminal_output::Host for WasiCliCtxView<'_> {}

            impl bindings::terminal_output::HostTerminalOutput for WasiCliCtxView<'_> {
                fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
                    self.table.delete(terminal)?;
                    Ok(())
                }
            }

            impl bindings::terminal_stdin::Host for WasiCliCtxView<'_> {
                fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
                    let is_terminal = self.ctx.stdin.is_terminal();
                    self.terminal(is_terminal, TerminalInput)
                }
            }

            impl bindings::terminal_stdout::Host for WasiCliCtxView<'_> {
                fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
                    let is_terminal = self.ctx.stdout.is_terminal();
                    self.terminal(is_terminal, TerminalOutput)
                }
            }

            impl bindings::terminal_stderr::Host for WasiCliCtxView<'_> {
                fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
                    let is_terminal = self.ctx.stderr.is_terminal();
                    self.terminal(is_terminal, TerminalOutput)
                }
            }
        };
    };
}

pub(crate) use hosts;

//! `mintage run`, the default command: runs a program, or calls a function of a component.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | the options, and the order of what happens |
//! | `stop.rs` | ends a guest at its timeout, or at Ctrl-C |

mod stop;

use crate::cache::CacheOptions;
use crate::call::Call;
use crate::input::{Additions, Precompiled, Source};
use crate::settings::{CodeSettings, Limits};
use crate::values::time;
use crate::{TimedOut, WrongUsage, load, signals};
use clap::{CommandFactory, Parser};
use mintage::error::{Context, Error, Result, bail};
use mintage::{Component, Config, Linker, Store, StoreLimits, Trap};
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;
use stop::Stop;

/// Run a program, or call a function of a component and print its result
///
/// Options come before APP. What comes after it are arguments of the program.
///
/// For a function without a result, `()` is printed. If the guest traps, its backtrace is printed
/// and the exit code is 134. After a timeout the exit code is 124.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A component (binary or text) or an artifact, `-` reads standard input; then the arguments
    /// of the program
    #[arg(
        value_names = ["APP", "ARGS"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        value_hint = clap::ValueHint::CommandWithArguments
    )]
    app_and_args: Vec<OsString>,

    #[command(flatten)]
    additions: Additions,

    #[command(flatten)]
    precompiled: Precompiled,

    /// Call this function instead of running a program: 'greet("world")' or 'iface/func({x: 1},
    /// [2, 3])'; `@FILE` reads the call from a file, `-` from standard input
    ///
    /// Arguments are in WebAssembly Value Encoding (WAVE). The function's own name is enough if it
    /// is unique. Otherwise add the interface: iface/func, iface#func, iface.func,
    /// ns:pkg/iface/func, ns:pkg/iface@1.0.0/func or ns:pkg/iface.func@1.0.0.
    ///
    /// Optional if the component exports a single function and it takes no arguments.
    #[arg(long, value_name = "CALL", allow_hyphen_values = true)]
    invoke: Option<String>,

    /// Stop the guest after this many operators; an artifact must be compiled with --consume-fuel
    #[arg(long, value_name = "COUNT")]
    fuel: Option<u64>,

    /// Stop the guest after this time: `100ms`, `1.5s`, `2m`, or plain seconds; an artifact must
    /// be compiled with --interruptible
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    #[command(flatten, next_help_heading = "Limits")]
    limits: Limits,

    #[command(flatten, next_help_heading = "Compilation (not for artifacts)")]
    settings: CodeSettings,

    #[command(flatten, next_help_heading = "Cache of compiled components")]
    cache: CacheOptions,
}

/// The data of a store.
struct Host {
    limits: StoreLimits,
}

impl Args {
    pub(crate) fn execute(mut self) -> Result<()> {
        let keys = self.settings.wasm_keys();
        self.fuel = self.fuel.or(keys.fuel);
        self.timeout = self.timeout.or(keys.timeout);
        self.limits.adopt(&keys);
        let mut app_and_args = self.app_and_args.iter();
        let app = app_and_args.next().context("expected a component")?;
        let source = Source {
            app: app.into(),
            additions: self.additions.clone(),
        };
        let args: Vec<&OsString> = app_and_args.collect();
        signals::end_at_closed_pipes();

        let mut config = Config::new();
        self.limits.apply(&mut config);
        config
            .consume_fuel(self.fuel.is_some())
            .interruptible(self.timeout.is_some() || keys.interruptible);
        let cache = self.cache.open()?;
        let component =
            load::component(&config, &self.settings, &source, &self.precompiled, cache)?;
        self.call(&component, &source, &args)
    }

    /// Calls a function and prints its results.
    fn call(&self, component: &Component, source: &Source, args: &[&OsString]) -> Result<()> {
        if let Some(first) = args.first() {
            bail!(misplaced(source, &first.to_string_lossy()));
        }
        let call = Call::read(component, self.invoke.as_deref(), source)?;
        let mut store = self.store(component, source)?;
        let stop = Stop::new(&mut store, self.timeout)?;
        let result = Linker::new(component.engine())
            .instantiate(&mut store, component)
            .with_context(|| format!("cannot instantiate `{}`", source.app.display()))
            .and_then(|instance| call.make(&mut store, &instance));
        stop.end();
        let results = result.map_err(|error| self.explain(error))?;
        let mut text = String::new();
        for result in &results {
            text += &result.to_wave()?;
            text.push('\n');
        }
        if results.is_empty() {
            text += "()\n";
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.context("cannot write the result to standard output")
    }

    /// Makes a store with the limits of the command line.
    fn store(&self, component: &Component, source: &Source) -> Result<Store<Host>> {
        let app = source.app.display();
        let host = Host {
            limits: self.limits.of_store(),
        };
        let mut store = Store::new(component.engine(), host);
        store.limiter(|host| &mut host.limits);
        // An artifact may consume fuel although the user sets no limit.
        if self.fuel.is_some() || store.get_fuel().is_ok() {
            let set = store.set_fuel(self.fuel.unwrap_or(u64::MAX));
            set.with_context(|| {
                format!("`{app}` does not consume fuel; compile it with `--consume-fuel`")
            })?;
        }
        if let Some(timeout) = self.timeout {
            let set = store.set_deadline(timeout);
            set.with_context(|| {
                format!("`{app}` cannot be interrupted; compile it with `--interruptible`")
            })?;
        }
        Ok(store)
    }

    /// Adds to an error why the guest was stopped.
    fn explain(&self, error: Error) -> Error {
        match (self.timeout, error.downcast_ref()) {
            (_, Some(Trap::Interrupt)) if signals::is_interrupted() => {
                error.context("interrupted by Ctrl-C")
            }
            (Some(timeout), Some(Trap::Interrupt)) => error.context(TimedOut(timeout)),
            _ => error,
        }
    }
}

/// The command alone, as which its options are looked up.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    _args: Args,
}

/// Returns whether `text` is an option of this command.
fn is_option(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    let command = Alone::command();
    let mut options = command.get_arguments();
    match name.strip_prefix("--") {
        Some(long) => options.any(|arg| {
            arg.get_long() == Some(long)
                || arg
                    .get_visible_aliases()
                    .is_some_and(|names| names.contains(&long))
        }),
        None => {
            let mut letters = name.strip_prefix('-').unwrap_or_default().chars();
            let letter = letters.next();
            letter.is_some() && options.any(|arg| arg.get_short() == letter)
        }
    }
}

/// Makes the error for an argument of the program, where none is run.
fn misplaced(source: &Source, argument: &str) -> WrongUsage {
    let app = source.app.display();
    WrongUsage(match is_option(argument) {
        true => format!(
            "`{argument}` comes after `{app}`, so it is an argument for a program; options of this \
             command come before the file"
        ),
        false => format!(
            "`{argument}` comes after `{app}`, but a called function takes its arguments from \
             `--invoke 'name(arguments)'`"
        ),
    })
}

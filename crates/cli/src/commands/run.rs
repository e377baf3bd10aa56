//! `mintage run`: calls an exported function of a component.

use crate::call::Call;
use crate::input::{Precompiled, Source};
use crate::settings::{CodeSettings, Limits, seconds};
use crate::{TimedOut, load};
use mintage::error::{Context, Error, Result};
use mintage::{Component, Config, Linker, Store, Trap};
use std::io::{self, Write};
use std::time::Duration;

/// Call an exported function of a component and print its result
///
/// For a function without a result, `()` is printed. If the guest traps, its backtrace is printed
/// and the exit code is 134. After a timeout the exit code is 124.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    precompiled: Precompiled,

    /// The call, such as 'greet("world")' or 'iface/func({x: 1}, [2, 3])'; `@FILE` reads it from a
    /// file, `-` from standard input
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

    /// Stop the guest after this many seconds; an artifact must be compiled with --interruptible
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,

    #[command(flatten, next_help_heading = "Limits")]
    limits: Limits,

    #[command(flatten, next_help_heading = "Compilation (not for artifacts)")]
    settings: CodeSettings,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let mut config = Config::new();
        self.limits.apply(&mut config);
        config
            .consume_fuel(self.fuel.is_some())
            .interruptible(self.timeout.is_some());
        let component = load::component(&config, &self.settings, &self.source, &self.precompiled)?;
        let call = Call::read(&component, self.invoke.as_deref(), &self.source)?;
        let results = self
            .call(&component, &call)
            .map_err(|error| self.explain(error))?;
        for result in &results {
            writeln!(io::stdout(), "{}", result.to_wave()?)?;
        }
        if results.is_empty() {
            writeln!(io::stdout(), "()")?;
        }
        Ok(())
    }

    fn call(&self, component: &Component, call: &Call) -> Result<Vec<mintage::Val>> {
        let app = self.source.app.display();
        let engine = component.engine();
        let mut store = Store::new(engine, self.limits.of_store());
        store.limiter(|limits| limits);
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
        let instance = Linker::new(engine).instantiate(&mut store, component);
        let instance = instance.with_context(|| format!("cannot instantiate `{app}`"))?;
        call.make(&mut store, &instance)
    }

    /// Adds the context of a timeout to an error if the deadline stopped the guest.
    fn explain(&self, error: Error) -> Error {
        match (self.timeout, error.downcast_ref()) {
            (Some(timeout), Some(Trap::Interrupt)) => error.context(TimedOut(timeout)),
            _ => error,
        }
    }
}

//! `mintage run`: calls an exported function.

use crate::call::Call;
use crate::input::{Precompiled, Source};
use crate::{load, wave};
use anyhow::{Context, Result};
use mintage::{Config, Engine, Linker, Store};
use std::io::{self, Write};
use std::time::Duration;

/// Call an exported function of a component and print its result
///
/// A trap prints the guest's backtrace, and the exit code is 134.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    precompiled: Precompiled,

    /// The call, with arguments as WebAssembly value encoding (WAVE): 'greet("world")', 'iface/func({x: 1}, [2, 3])'
    ///
    /// May be left out when the component exports just one function and it takes no arguments.
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,

    /// Stop the guest when it has executed this many operators; an artifact must be compiled with --consume-fuel
    #[arg(long, value_name = "COUNT")]
    fuel: Option<u64>,

    /// Stop the guest after this many seconds; an artifact must be compiled with --interruptible
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let mut config = Config::new();
        config
            .consume_fuel(self.fuel.is_some())
            .interruptible(self.timeout.is_some())
            .verify_artifacts(true);
        let engine = Engine::new(&config)?;
        let component = load::component(&engine, &self.source, &self.precompiled)?;
        let call = Call::parse(&engine, &component, self.invoke.as_deref())?;

        let mut store = Store::new(&engine, ());
        if let Some(fuel) = self.fuel {
            store.set_fuel(fuel)?;
        }
        if let Some(timeout) = self.timeout {
            store.set_deadline(timeout)?;
        }
        let linker = Linker::new(&engine);
        let instance = linker
            .instantiate(&mut store, &component)
            .with_context(|| format!("cannot instantiate `{}`", self.source.app.display()))?;
        for result in &call.make(&mut store, &instance)? {
            writeln!(io::stdout(), "{}", wave::to_string(result)?)?;
        }
        Ok(())
    }
}

//! `mintage compile`: compiles a component to an artifact.

use crate::call::Call;
use crate::input::{STANDARD, Source};
use crate::settings::{CodeSettings, Limits};
use crate::{load, output};
use indicatif::{ProgressBar, ProgressStyle};
use mintage::error::{Context, Result};
use mintage::{Config, Engine, Linker, Phase, Progress, Store};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Compile a component to an artifact, which loads without compiling
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    /// File to write the artifact to; `-` writes to standard output [default: APP with the
    /// extension .mint]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// System to compile for: `x86_64-unknown-linux-gnu`, `aarch64-unknown-linux-gnu`, or with
    /// `musl` [default: this one]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,

    /// Processor to compile for: `host`, `baseline`, or features separated by commas: `lse,fp16`
    /// [default: host; for another target, baseline]
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,

    /// Count executed operators, as `mintage run --fuel` requires
    #[arg(long)]
    consume_fuel: bool,

    /// Make guest code interruptible, as `mintage run --timeout` requires
    #[arg(long)]
    interruptible: bool,

    /// Make this call now and start instances from the state after it; can be given several times
    ///
    /// The syntax is that of `mintage run --invoke`. The artifact contains everything that the
    /// guest has in memory after the calls.
    #[arg(long, value_name = "CALL", allow_hyphen_values = true)]
    warm_up: Vec<String>,

    /// Print how long each phase takes
    #[arg(long)]
    time: bool,

    #[command(
        flatten,
        next_help_heading = "Limits of the instance that --warm-up calls"
    )]
    limits: Limits,

    #[command(flatten, next_help_heading = "Compilation")]
    settings: CodeSettings,
}

impl Args {
    pub(crate) fn execute(mut self) -> Result<()> {
        let start = Instant::now();
        let mut config = Config::new();
        self.settings.apply(&mut config)?;
        // The keys of `mintage run` ask for what these options need.
        let keys = self.settings.wasm_keys();
        self.limits.adopt(&keys);
        self.limits.apply(&mut config);
        self.consume_fuel |= keys.fuel.is_some();
        config
            .consume_fuel(self.consume_fuel)
            .interruptible(self.interruptible || keys.interruptible || keys.timeout.is_some());
        if let Some(target) = &self.target {
            config.target(target)?;
        }
        if let Some(cpu) = &self.cpu {
            config.cpu(cpu);
        }
        let engine = Engine::new(&config)?;
        let app = self.source.app.display();
        let bytes = self.source.read_component(&engine)?;
        let progress = Report::new();
        let artifact = engine.precompile_component_with(&bytes, &Default::default(), &progress);
        progress.bar.finish_and_clear();
        let mut artifact = artifact.with_context(|| format!("cannot compile `{app}`"))?;
        if !self.warm_up.is_empty() {
            artifact = self
                .warmed_up(&engine, &artifact)
                .with_context(|| format!("cannot warm up `{app}`"))?;
        }
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| match &self.source.app {
                standard if standard == Path::new(STANDARD) => STANDARD.into(),
                app => app.with_extension("mint"),
            });
        output::write(&output, &artifact, self.source.files())?;
        if self.time {
            progress.print(start.elapsed());
        }
        Ok(())
    }
}

impl Args {
    /// Returns the artifact with the state after the calls of `--warm-up`.
    fn warmed_up(&self, engine: &Engine, artifact: &[u8]) -> Result<Vec<u8>> {
        let component = load::artifact_bytes(engine, artifact)?;
        let mut store = Store::new(engine, self.limits.of_store());
        store.limiter(|limits| limits);
        if self.consume_fuel {
            store.set_fuel(u64::MAX)?;
        }
        let instance = Linker::new(engine).instantiate(&mut store, &component)?;
        for text in &self.warm_up {
            let call = Call::read(&component, Some(text), &self.source)?;
            call.make(&mut store, &instance)
                .with_context(|| format!("the call `{text}` failed"))?;
        }
        instance.snapshot(&mut store)?.serialize()
    }
}

/// Shows progress on a terminal and records the times of the phases.
struct Report {
    /// Hidden if standard error is not a terminal.
    bar: ProgressBar,
    times: Mutex<Vec<(Phase, Duration)>>,
}

impl Report {
    fn new() -> Report {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg:>9} [{bar:40}] {pos}/{len}")
            .expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        Report {
            bar,
            times: Mutex::new(Vec::new()),
        }
    }

    fn print(&self, total: Duration) {
        // If standard error cannot be written to, there is no place to report that.
        let line = |name: &str, time: Duration| {
            let _ = writeln!(
                io::stderr(),
                "{name:<10} {:>10.1} ms",
                time.as_secs_f64() * 1e3
            );
        };
        for (phase, time) in self
            .times
            .lock()
            .expect("no thread panics while it holds the lock")
            .iter()
        {
            line(phase.name(), *time);
        }
        line("total", total);
    }
}

impl Progress for Report {
    fn started(&self, phase: Phase) {
        self.bar.set_message(phase.name());
    }

    fn ended(&self, phase: Phase, time: Duration) {
        self.times
            .lock()
            .expect("no thread panics while it holds the lock")
            .push((phase, time));
    }

    fn functions(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }
}

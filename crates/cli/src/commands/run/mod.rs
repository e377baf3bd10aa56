//! `mintage run`, the default command: runs a program, or calls a function of a component.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | the options, and the order of what happens |
//! | `host.rs` | options for a program's name and standard streams |
//! | `link.rs` | defines what a component imports, and explains what is missing |
//! | `misplaced.rs` | explains options that come after the file |
//! | `stop.rs` | ends a guest at its timeout, or at Ctrl-C |

mod host;
mod link;
mod misplaced;
mod stop;

use crate::cache::CacheOptions;
use crate::call::Call;
use crate::input::{Additions, Precompiled, Source};
use crate::load::{self, Loaded};
use crate::settings::{CodeSettings, Limits};
use crate::values::time;
use crate::{TimedOut, exit_code, report, signals};
use host::ProgramOptions;
use link::Imports;
use mintage::component::types::ComponentItem;
use mintage::error::{Context, Error, Result, bail};
use mintage::{
    Component, ComponentExportIndex, Config, Instance, Store, StoreLimits, Trap, TypedFunc,
};
use mintage_wasi::p1::WasiP1Ctx;
use mintage_wasi::{I32Exit, WasiCtxView, WasiView};
use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
use std::ffi::OsString;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::Path;
use std::process;
use std::time::Duration;
use stop::Stop;
use tokio::runtime::{Builder, Runtime};

/// Run a program, or call a function of a component and print its result
///
/// A program is a component for WASI 0.2 or 0.3 that exports `wasi:cli/run`, or a core module for
/// WASI preview 1 that exports `_start`. Options come before APP. What comes after it are arguments
/// of the program.
///
/// The exit code is the program's, 134 after a trap, whose backtrace is printed, and 124 after a
/// timeout. With --invoke, the result of the call is printed: `()` for a function without one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A component (binary or text), a core module or an artifact, `-` reads standard input; then
    /// the arguments of the program
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

    #[command(flatten, next_help_heading = "What the program has of the host")]
    host: ProgramOptions,

    /// Stop the guest after this many operators; an artifact must be compiled with --consume-fuel
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    fuel: Option<u64>,

    /// Stop the guest after this time: `100ms`, `1.5s`, `2m`, or plain seconds; an artifact must
    /// be compiled with --interruptible
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Limits")]
    timeout: Option<Duration>,

    #[command(flatten, next_help_heading = "Limits")]
    limits: Limits,

    #[command(flatten, next_help_heading = "Compilation (not for artifacts)")]
    settings: CodeSettings,

    #[command(flatten, next_help_heading = "Cache of compiled components")]
    cache: CacheOptions,
}

/// The data of a store.
pub(crate) struct Host {
    limits: StoreLimits,
    wasi: WasiP1Ctx,
    http: WasiHttpCtx,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: self.wasi.ctx().table,
            hooks: default_hooks(),
        }
    }
}

/// What is run.
enum Target {
    /// A component's function `wasi:cli/run.run` of WASI 0.2.
    Run(ComponentExportIndex),
    /// A component's function `wasi:cli/run.run` of WASI 0.3, which is asynchronous.
    RunAsync(ComponentExportIndex),
    /// A core module's function `_start`.
    Start(ComponentExportIndex),
    /// Another function.
    Call(Call),
}

/// The interface of programs, without the last part of its version.
const RUN: &str = "wasi:cli/run@0.2.";
const RUN_ASYNC: &str = "wasi:cli/run@0.3.";

impl Target {
    /// Finds what is run. `args` are for a program.
    ///
    /// # Errors
    ///
    /// Fails if there is no program and no function to call, or there are arguments without a
    /// program.
    fn find(
        loaded: &Loaded,
        invoke: Option<&str>,
        source: &Source,
        args: &[&OsString],
    ) -> Result<Target> {
        let component = &loaded.component;
        if invoke.is_none() {
            let engine = component.engine();
            let mut found = None;
            for (name, item) in component.component_type().exports(engine) {
                let is_function = matches!(item.ty, ComponentItem::ComponentFunc(_));
                let index = component.get_export_index(None, name);
                let is_async = name.starts_with(RUN_ASYNC);
                if (is_async || name.starts_with(RUN))
                    && let Some(run) = component.get_export_index(index.as_ref(), "run")
                {
                    // Of a program for both versions, the newer one is run.
                    match is_async {
                        true => return Ok(Target::RunAsync(run)),
                        false => found = Some(Target::Run(run)),
                    }
                }
                if name == "_start"
                    && is_function
                    && let Some(start) = index
                {
                    return Ok(Target::Start(start));
                }
            }
            if let Some(target) = found {
                return Ok(target);
            }
            if loaded.is_module {
                bail!(
                    "`{}` has no `_start`, so it is a library and not a program; {}",
                    source.app.display(),
                    Call::advice(component)
                );
            }
        }
        misplaced::refuse(source, args)?;
        Ok(Target::Call(Call::read(component, invoke, source)?))
    }
}

impl Args {
    /// Returns the path of the program, or `-`.
    pub(crate) fn app(&self) -> &Path {
        self.app_and_args.first().map_or("".as_ref(), Path::new)
    }

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
            .interruptible(self.timeout.is_some() || keys.interruptible)
            .wasm_backtrace_details(mintage::WasmBacktraceDetails::Enable);
        let cache = self.cache.open()?;
        let loaded = load::component(&config, &self.settings, &source, &self.precompiled, cache)?;
        let invoke = misplaced::invoke(self.invoke.as_deref(), &loaded, &source, &args)?;
        let takes_args = invoke.as_deref() != self.invoke.as_deref();
        let unused = if takes_args { &[][..] } else { &args };
        let target = Target::find(&loaded, invoke.as_deref(), &source, unused)?;

        let mut store = self.store(&loaded.component, &source, &args)?;
        let imports = Imports::of(&loaded.component);
        let is_async = imports.has_p3() || matches!(target, Target::RunAsync(_));
        let linker = imports.linker(&loaded.component, is_async)?;
        let stop = Stop::new(&mut store, self.timeout)?;
        let explain = |error: Error| link::explain(error, &source.app, loaded.is_module);
        let result = match is_async {
            true => runtime()?.block_on(async {
                let instance = linker.instantiate_async(&mut store, &loaded.component);
                let instance = instance.await.map_err(explain)?;
                run_async(&mut store, &instance, &target).await
            }),
            false => linker
                .instantiate(&mut store, &loaded.component)
                .map_err(explain)
                .and_then(|instance| run(&mut store, &instance, &target)),
        };
        stop.end();
        let code = match result {
            Ok(code) => code,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => exit.process_exit_code(),
                None => {
                    let error = self.explain(error);
                    report(&error);
                    exit_code(&error).into()
                }
            },
        };
        if code != 0 {
            misplaced::mention(&source, &args);
        }
        if signals::is_interrupted() {
            signals::end_as_interrupted();
        }
        // Destructors would only give memory back, which the system does faster.
        process::exit(code);
    }

    /// Makes a store with the limits of the command line, and with what the guest has of the host.
    fn store(
        &self,
        component: &Component,
        source: &Source,
        args: &[&OsString],
    ) -> Result<Store<Host>> {
        let app = source.app.display();
        let host = Host {
            limits: self.limits.of_store(),
            wasi: self.host.context(&source.app, args)?,
            http: self.host.http()?,
        };
        let mut store = Store::new(component.engine(), host);
        store.limiter(|host| &mut host.limits);
        let keys = self.host.keys();
        if let Some(bytes) = keys.hostcall_fuel {
            store.set_hostcall_fuel(bytes);
        }
        if let Some(count) = keys.max_resources {
            store.data_mut().ctx().table.set_max_capacity(count);
        }
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

/// Creates the runtime for guests that wait for several events at once.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot create the event loop that programs for WASI 0.3 need")
}

/// Returns the function of a program, `version` of WASI.
fn program(
    store: &mut Store<Host>,
    instance: &Instance,
    run: &ComponentExportIndex,
    version: &str,
) -> Result<TypedFunc<(), (Result<(), ()>,)>> {
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(store, run);
    run.with_context(|| format!("the export `wasi:cli/run` has another type than WASI {version}"))
}

/// Returns the function of a core module that is a program.
fn start(
    store: &mut Store<Host>,
    instance: &Instance,
    start: &ComponentExportIndex,
) -> Result<TypedFunc<(), ()>> {
    let start = instance.get_typed_func::<(), ()>(store, start);
    start.context("`_start` has parameters or results, which a program has not")
}

/// Runs the guest, and returns the exit code.
fn run(store: &mut Store<Host>, instance: &Instance, target: &Target) -> Result<i32> {
    match target {
        Target::Run(run) | Target::RunAsync(run) => {
            let (result,) = program(store, instance, run, "0.2")?.call(store, ())?;
            Ok(result.is_err().into())
        }
        Target::Start(entry) => {
            start(store, instance, entry)?.call(store, ())?;
            Ok(0)
        }
        Target::Call(call) => {
            // A library that is a core module wants this before all other calls.
            if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, "_initialize") {
                initialize.call(&mut *store, ())?;
            }
            let results = call.make(store, instance)?;
            print(&results)?;
            Ok(0)
        }
    }
}

/// Does the same as [`run`], for a guest that calls asynchronous functions of the host.
async fn run_async(store: &mut Store<Host>, instance: &Instance, target: &Target) -> Result<i32> {
    match target {
        Target::RunAsync(run) => {
            let run = program(store, instance, run, "0.3")?;
            let called = store.run_concurrent(async |host| {
                let (result,) = run.call_concurrent(host, ()).await?;
                // A program that succeeds may finish what it has begun, such as its output.
                if result.is_ok() {
                    poll_fn(|cx| host.poll_no_interesting_tasks(cx)).await;
                }
                mintage::error::Ok(result)
            });
            Ok(called.await??.is_err().into())
        }
        Target::Run(run) => {
            let run = program(store, instance, run, "0.2")?;
            let (result,) = run.call_async(store, ()).await?;
            Ok(result.is_err().into())
        }
        Target::Start(entry) => {
            start(store, instance, entry)?.call_async(store, ()).await?;
            Ok(0)
        }
        Target::Call(call) => {
            let results = call.make_async(store, instance).await?;
            print(&results)?;
            Ok(0)
        }
    }
}

/// Prints the results of a call.
fn print(results: &[mintage::Val]) -> Result<()> {
    let mut text = String::new();
    for result in results {
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

//! Commands: components that use WASI, each run in a store of its own.
//!
//! The two crates of WASI have the same names, so one macro implements this for both engines.

use crate::contender::{ArtifactFile, Contender, Host};
use crate::guest::Guest;
use crate::lab::Lab;
use crate::metrics::{Group, Metric, Probe, row, together};
use crate::mintage::Mintage;
use crate::wasmtime::Wasmtime;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An engine that runs commands of WASI 0.2 synchronously.
pub trait Commands: Host {
    /// A linked command.
    type Program;

    /// Links a command.
    fn program(&self, component: &Self::Component) -> Result<Self::Program>;

    /// Runs a command in a new store, up to its end.
    fn run(&self, program: &Self::Program, invocation: &Invocation<'_>) -> Result<()>;
}

/// What a command gets.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// What `commands.rs` does, and how many times.
    pub arguments: [&'a str; 2],
    /// The folder that it has as `/`.
    pub folder: &'a Path,
}

macro_rules! commands {
    ($host:ident, $engine:ident, $wasi:ident, [$($permissions:expr),*]) => {
        const _: () = {
            use ::$engine::component::{Component, Linker, ResourceTable};
            use ::$engine::Store;
            use ::$wasi::cli::OutputFile;
            use ::$wasi::p2::bindings::sync::CommandPre;
            use ::$wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

            struct Data {
                ctx: WasiCtx,
                table: ResourceTable,
            }

            impl WasiView for Data {
                fn ctx(&mut self) -> WasiCtxView<'_> {
                    WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
                }
            }

            /// A linked command.
            pub struct Program(CommandPre<Data>);

            impl Commands for $host {
                type Program = Program;

                fn program(&self, component: &Component) -> Result<Program> {
                    let mut linker = Linker::new(self.engine());
                    ::$wasi::p2::add_to_linker_sync(&mut linker)?;
                    Ok(Program(CommandPre::new(linker.instantiate_pre(component)?)?))
                }

                fn run(&self, program: &Program, invocation: &Invocation<'_>) -> Result<()> {
                    let mut ctx = WasiCtxBuilder::new();
                    ctx.arg("commands").args(&invocation.arguments);
                    ctx.stdout(OutputFile::new(File::options().write(true).open("/dev/null")?));
                    ctx.preopened_dir(invocation.folder, "/", $($permissions),*)?;
                    let data = Data { ctx: ctx.build(), table: ResourceTable::new() };
                    let mut store = Store::new(self.engine(), data);
                    let command = program.0.instantiate(&mut store)?;
                    let ended = command.wasi_cli_run().call_run(&mut store)?;
                    ensure!(ended.is_ok(), "the command {:?} failed", invocation.arguments);
                    Ok(())
                }
            }
        };
    };
}

commands!(
    Mintage,
    mintage,
    mintage_wasi,
    [
        mintage_wasi::DirPerms::all(),
        mintage_wasi::FilePerms::all()
    ]
);
commands!(
    Wasmtime,
    wasmtime,
    wasmtime_wasi,
    [wasmtime_wasi::FsPerms::ReadWrite]
);

/// Bytes of the file that `cat` copies and `read` reads.
pub const LARGE: usize = 16 << 20;

/// Makes the folder that commands have: a large file, and a directory with 10,000 entries. It is in
/// memory if the system has such a file system for everyone, so that no device is measured.
///
/// # Errors
///
/// When the system has no room.
pub fn folder() -> Result<TempDir> {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    let folder = TempDir::new_in(parent)?;
    let bytes: Vec<u8> = (0..LARGE).map(|i| (i / 7) as u8).collect();
    std::fs::write(folder.path().join("large"), bytes)?;
    let many = folder.path().join("many");
    std::fs::create_dir(&many)?;
    for number in 0..10_000 {
        File::create(many.join(format!("entry-{number}"))).context("in a folder of many files")?;
    }
    Ok(folder)
}

/// Returns the metrics of commands.
pub(crate) fn metrics<C: Contender>() -> Vec<Metric<C>> {
    let megabytes = LARGE >> 20;
    let tasks = [
        (format!("cat of {megabytes} MiB"), ["cat", "1"]),
        ("10,000 writes of a line".into(), ["write", "10000"]),
        ("10,000 reads of 16 bytes".into(), ["read", "10000"]),
        ("10,000 stats".into(), ["stat", "10000"]),
        ("directory of 10,000 entries".into(), ["list", "1"]),
        ("100,000 clock reads".into(), ["clock", "100000"]),
        ("100,000 random numbers".into(), ["random", "100000"]),
        ("command that does nothing".into(), ["nothing", "1"]),
    ];
    let metric =
        |(name, arguments): (String, _)| row(Group::Commands, name, move |lab| run(lab, arguments));
    let mut metrics: Vec<_> = tasks.into_iter().map(metric).collect();
    metrics.push(row(Group::Commands, "process, start to exit", process));
    metrics
}

/// Runs a command in a new instance.
fn run<'lab, C: Contender>(lab: &'lab Lab<C>, arguments: [&'static str; 2]) -> Result<Probe<'lab>> {
    let program = lab
        .host
        .program(&lab.host.load(&*lab.artifact(Guest::Commands)?)?)?;
    let folder = folder()?;
    together(move || {
        let folder = folder.path();
        lab.host.run(&program, &Invocation { arguments, folder })
    })
}

/// Runs a process that loads an artifact, runs a command that does nothing, and ends.
fn process<C: Contender>(lab: &Lab<C>) -> Result<Probe<'_>> {
    let artifact = lab.artifact(Guest::Commands)?;
    let this = std::env::current_exe()?;
    together(move || {
        let mut process = Command::new(&this);
        let status = process
            .args(["--start", C::NAME])
            .arg(artifact.path())
            .status()?;
        ensure!(status.success(), "the process ended with {status}");
        Ok(())
    })
}

/// Does what the process of the metric "process, start to exit" does. The artifact is one of this
/// engine, in a folder that only these processes use.
///
/// # Errors
///
/// When there is no such engine, or the command fails.
pub fn start(engine: &str, artifact: PathBuf) -> Result<()> {
    fn start<H: Commands>(artifact: &ArtifactFile) -> Result<()> {
        let host = H::for_one_guest()?;
        let program = host.program(&host.load(artifact)?)?;
        let folder = artifact
            .path()
            .parent()
            .context("the artifact is in a folder")?;
        let arguments = ["nothing", "1"];
        host.run(&program, &Invocation { arguments, folder })
    }
    let artifact = ArtifactFile::of_parent(artifact);
    match engine {
        Mintage::NAME => start::<Mintage>(&artifact),
        Wasmtime::NAME => start::<Wasmtime>(&artifact),
        _ => bail!("there is no engine {engine}"),
    }
}

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
    /// The arguments after the program's name.
    pub arguments: &'a [&'a str],
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
                    ctx.arg("program").args(invocation.arguments);
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

/// Makes a folder for commands. It is in memory if the system has such a file system for everyone,
/// so that no device is measured.
fn folder() -> Result<TempDir> {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    Ok(TempDir::new_in(parent)?)
}

/// Makes what `commands.rs` works on: a large file, and a directory with 10,000 entries.
fn large_and_many(folder: &Path) -> Result<()> {
    let bytes: Vec<u8> = (0..LARGE).map(|i| (i / 7) as u8).collect();
    std::fs::write(folder.join("large"), bytes)?;
    let many = folder.join("many");
    std::fs::create_dir(&many)?;
    for number in 0..10_000 {
        File::create(many.join(format!("entry-{number}"))).context("in a folder of many files")?;
    }
    Ok(())
}

/// Makes a tree of 1,000 text files of 4 KiB. One line in 32 has the word `needle`.
fn tree(folder: &Path) -> Result<()> {
    for number in 0..1000 {
        let parent = folder.join(format!("folder-{}/inner", number % 20));
        std::fs::create_dir_all(&parent)?;
        let line = |at: u32| match (at + number) % 32 {
            0 => format!("{at:08}: here is the needle that is searched for, and some hay\n"),
            _ => format!("{at:08}: hay, and nothing but hay as far as this line goes ....\n"),
        };
        let text: String = (0..64).map(line).collect();
        std::fs::write(parent.join(format!("file-{number}.txt")), text)?;
    }
    Ok(())
}

/// Creates the table that [`INSERT`] fills anew and [`QUERIES`] ask.
const CREATE: &str = "drop table if exists t; \
    create table t (n integer primary key, word text, size real); \
    create index words on t (word);";
/// Inserts 10,000 rows in one transaction.
const INSERT: &str = "begin; \
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 10000) \
    insert into t select i, printf('word-%05d', i * 7919 % 10007), i / 8.0 from c; \
    commit;";
/// Looks up 1,000 rows by an index and reads all.
const QUERIES: &str = "\
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 1000) \
    select sum(size) from c join t on word = printf('word-%05d', i * 13 % 10007); \
    select count(*), sum(size), max(word) from t where size between 10 and 1000; \
    select word from t order by size desc limit 100;";

/// A metric of one command.
#[derive(Clone, Copy)]
struct Task {
    name: &'static str,
    guest: Guest,
    arguments: &'static [&'static str],
    /// Fills the command's folder.
    fill: fn(&Path) -> Result<()>,
    /// Arguments of a first run, which is not measured.
    first: Option<&'static [&'static str]>,
}

/// A metric of `commands.rs`.
const fn task(name: &'static str, arguments: &'static [&'static str]) -> Task {
    Task {
        name,
        guest: Guest::Commands,
        arguments,
        fill: large_and_many,
        first: None,
    }
}

/// A metric of a program of the corpus.
const fn real(name: &'static str, guest: &'static str, arguments: &'static [&'static str]) -> Task {
    Task {
        name,
        guest: Guest::Corpus(guest),
        arguments,
        fill: |_| Ok(()),
        first: None,
    }
}

const TASKS: [Task; 11] = [
    task("cat of 16 MiB", &["cat", "1"]),
    task("10,000 writes of a line", &["write", "10000"]),
    task("10,000 reads of 16 bytes", &["read", "10000"]),
    task("10,000 stats", &["stat", "10000"]),
    task("directory of 10,000 entries", &["list", "1"]),
    task("100,000 clock reads", &["clock", "100000"]),
    task("100,000 random numbers", &["random", "100000"]),
    task("command that does nothing", &["nothing", "1"]),
    real(
        "SQLite, insert 10,000 rows",
        "sqlite.p2",
        &["/new.db", CREATE, INSERT],
    ),
    Task {
        first: Some(&["/new.db", CREATE, INSERT]),
        ..real("SQLite, queries", "sqlite.p2", &["/new.db", QUERIES])
    },
    Task {
        fill: tree,
        ..real(
            "ripgrep over 1,000 files",
            "ripgrep.p2",
            &["--no-config", "--count", "needle", "/"],
        )
    },
];

/// Returns the metrics of commands. Those of the corpus are left out if it has not been built.
pub(crate) fn metrics<C: Contender>() -> Vec<Metric<C>> {
    let there = TASKS.into_iter().filter(|task| task.guest.exists());
    let metric = |task: Task| row(Group::Commands, task.name, move |lab| run(lab, task));
    let mut metrics: Vec<_> = there.map(metric).collect();
    metrics.push(row(Group::Commands, "process, start to exit", process));
    metrics
}

/// Returns the names of the metrics that [`metrics`] leaves out.
pub fn missing() -> Vec<&'static str> {
    let missing = TASKS.iter().filter(|task| !task.guest.exists());
    missing.map(|task| task.name).collect()
}

/// Runs a command in a new instance.
fn run<C: Contender>(lab: &Lab<C>, task: Task) -> Result<Probe<'_>> {
    let program = lab
        .host
        .program(&lab.host.load(&*lab.artifact(task.guest)?)?)?;
    let folder = folder()?;
    (task.fill)(folder.path())?;
    let run = move |arguments| {
        let folder = folder.path();
        lab.host.run(&program, &Invocation { arguments, folder })
    };
    if let Some(arguments) = task.first {
        run(arguments)?;
    }
    together(move || run(task.arguments))
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
        let arguments = &["nothing", "1"];
        host.run(&program, &Invocation { arguments, folder })
    }
    let artifact = ArtifactFile::of_parent(artifact);
    match engine {
        Mintage::NAME => start::<Mintage>(&artifact),
        Wasmtime::NAME => start::<Wasmtime>(&artifact),
        _ => bail!("there is no engine {engine}"),
    }
}

//! Runs the peer's test programs by asynchronous hosts: see `tests/wasi/peer.sh`.
//!
//! ```text
//! peer-programs MODULES COMPONENTS NAME...
//! ```
//!
//! The two are folders with `NAME.wasm`. For each name, a line says `NAME passes` or `NAME: ` and
//! what is wrong. Programs of preview 1 run as module and as component. `http.rs` has what programs
//! that send or handle requests need.

mod http;

use mintage::component::{Component, Linker};
use mintage::error::{Context, Result, bail, ensure};
use mintage::{Engine, Store};
use mintage_wasi::p1::{self, WasiP1Ctx};
use mintage_wasi::p2::bindings::filesystem::types::{DescriptorStat, DescriptorType};
use mintage_wasi::p2::bindings::{Command, clocks::wall_clock::Datetime};
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::p2::{self, DynOutputStream};
use mintage_wasi::{
    DirPerms, FilePerms, HostMonotonicClock, HostWallClock, I32Exit, ResourceTable, WasiCtx,
    WasiCtxBuilder, WasiCtxView, WasiView,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The most bytes of output that a program may write.
const MAX_OUTPUT: usize = 10 << 20;

/// The most resources that a program may have.
const MAX_RESOURCES: usize = 1000;

/// Programs that must end with a trap.
const TRAPS: &[&str] = &[
    "p2_pollable_traps",
    "p2_stream_pollable_traps",
    "p2_udp_send_too_much",
];

/// Files of the folder `readonly`, by the start of the names of the programs that have it.
const READ_ONLY: &[(&str, &str, &str)] = &[
    (
        "file_truncation_readonly",
        "test.txt",
        "read only test file\n",
    ),
    (
        "file_hardlink_across_perms",
        "test.txt",
        "read only test file\n",
    ),
    (
        "file_rename_across_perms",
        "test.txt",
        "read only test file\n",
    ),
    (
        "file_stream_not_permitted",
        "stream-perms.txt",
        "stream permission test\n",
    ),
];

/// The data of a store.
struct Host {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl Host {
    fn new(ctx: WasiCtx) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Host { ctx, table }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [modules, components, names @ ..] = &arguments[..] else {
        bail!("usage: peer-programs MODULES COMPONENTS NAME...");
    };
    let engine = Engine::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    for name in names {
        let file = format!("{name}.wasm");
        let module = name
            .starts_with("p1_")
            .then(|| Path::new(modules).join(&file));
        let component = Path::new(components).join(&file);
        match runtime.block_on(run(&engine, name, module, &component)) {
            Ok(()) => println!("{name} passes"),
            Err(error) => println!("{name}: {}", format!("{error:#}").replace('\n', " / ")),
        }
    }
    Ok(())
}

async fn run(engine: &Engine, name: &str, module: Option<PathBuf>, component: &Path) -> Result<()> {
    if let Some(module) = module {
        run_module(engine, name, &module).await.context("module")?;
    }
    match name {
        "p2_api_time" => run_with_own_clocks(engine, component).await,
        "p2_api_reactor" => run_reactor(engine, component).await,
        "p2_api_read_only" => run_in_read_only_root(engine, component).await,
        "p2_api_proxy" | "p3_http_forbidden_headers" => http::handle(engine, name, component).await,
        _ if name.starts_with("p2_http_") || name.starts_with("p3_http_outbound_") => {
            http::run(engine, name, component).await
        }
        _ => run_component(engine, name, component).await,
    }
    .context("component")
}

/// What a program has of the host, and what must hold afterwards.
struct World {
    builder: WasiCtxBuilder,
    stderr: MemoryOutputPipe,
    /// A file that must not change, with its text.
    fixed: Option<(PathBuf, &'static str)>,
    /// The folders, which are removed at the end.
    _folders: [TempDir; 2],
}

impl World {
    fn new(name: &str) -> Result<World> {
        let (own, readonly) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let stderr = MemoryOutputPipe::new(MAX_OUTPUT);
        let mut builder = WasiCtxBuilder::new();
        builder
            .args(&[name, "."])
            .env("ERRNO_MODE_UNIX", "1")
            .inherit_network()
            .allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(true)
            .stdout(MemoryOutputPipe::new(MAX_OUTPUT))
            .stderr(stderr.clone())
            .preopened_dir(own.path(), ".", DirPerms::all(), FilePerms::all())?;
        if name == "p1_stat_extreme_host_mtime" {
            fs::write(own.path().join("extreme.dat"), "hello")?;
        }
        let mut fixed = None;
        if let Some((_, file, text)) = READ_ONLY.iter().find(|(end, ..)| name.ends_with(end)) {
            let path = readonly.path().join(file);
            fs::write(&path, text)?;
            fixed = Some((path, *text));
            let (folder, files) = (DirPerms::READ, FilePerms::READ);
            builder.preopened_dir(readonly.path(), "readonly", folder, files)?;
        }
        let _folders = [own, readonly];
        Ok(World {
            builder,
            stderr,
            fixed,
            _folders,
        })
    }

    /// Checks how a program has ended.
    fn check(&self, name: &str, outcome: Result<()>) -> Result<()> {
        let is_trap = |error: &mintage::Error| error.downcast_ref::<I32Exit>().is_none();
        match outcome {
            Err(error) if TRAPS.contains(&name) && is_trap(&error) => {}
            Ok(()) if TRAPS.contains(&name) => bail!("it should trap"),
            outcome => outcome.with_context(|| {
                let text = self.stderr.contents();
                format!("standard error: {:?}", String::from_utf8_lossy(&text))
            })?,
        }
        if let Some((path, text)) = &self.fixed {
            ensure!(
                fs::read_to_string(path)? == *text,
                "{} has changed",
                path.display()
            );
        }
        Ok(())
    }
}

async fn run_module(engine: &Engine, name: &str, path: &Path) -> Result<()> {
    let mut world = World::new(name)?;
    let component = Component::from_module(engine, fs::read(path)?)?;
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |ctx: &mut WasiP1Ctx| ctx)?;
    let mut store = Store::new(engine, world.builder.build_p1());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let outcome = start.call_async(&mut store, ()).await;
    world.check(name, outcome)
}

async fn run_component(engine: &Engine, name: &str, path: &Path) -> Result<()> {
    let mut world = World::new(name)?;
    let outcome = start(engine, path, world.builder.build()).await;
    world.check(name, outcome)
}

/// Runs a command, which must end well.
async fn start(engine: &Engine, path: &Path, ctx: WasiCtx) -> Result<()> {
    let component = Component::from_file(engine, path)?;
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    let mut store = Store::new(engine, Host::new(ctx));
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let outcome = command.wasi_cli_run().call_run(&mut store).await?;
    outcome.map_err(|()| mintage::format_err!("the program says that it failed"))
}

/// Runs a program that can only read its folder.
async fn run_in_read_only_root(engine: &Engine, path: &Path) -> Result<()> {
    let root = tempfile::tempdir()?;
    fs::write(root.path().join("bar.txt"), "And stood awhile in thought")?;
    fs::create_dir(root.path().join("sub"))?;
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_dir(root.path(), "/", DirPerms::READ, FilePerms::READ)?;
    start(engine, path, builder.build()).await
}

/// A time of day that stands still.
struct Noon;

impl HostWallClock for Noon {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::new(1_431_648_000, 100)
    }
}

/// A clock that goes on by 42 seconds whenever someone looks at it.
struct Leaping(AtomicU64);

impl HostMonotonicClock for Leaping {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(42_000_000_000, Ordering::Relaxed)
    }
}

async fn run_with_own_clocks(engine: &Engine, path: &Path) -> Result<()> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .monotonic_clock(Leaping(AtomicU64::new(0)))
        .wall_clock(Noon);
    start(engine, path, builder.build()).await
}

#[allow(missing_docs, reason = "the macro gives its structs none")]
mod reactor {
    mintage::bindgen!({
        inline: "
            package peer:programs;
            world reactor {
                use wasi:filesystem/types@0.2.12.{descriptor-stat};
                use wasi:io/streams@0.2.12.{output-stream};
                export add-strings: func(s: list<string>) -> u32;
                export get-strings: func() -> list<string>;
                export pass-an-imported-record: func(d: descriptor-stat) -> string;
                export write-strings-to: func(o: output-stream) -> result;
            }
        ",
        path: "../../wit",
        world: "peer:programs/reactor",
        imports: { default: async },
        exports: { default: async },
        with: { "wasi": mintage_wasi::p2::bindings },
    });
}

/// Calls functions of a component that keeps what it is told, and gives it a stream of the host.
async fn run_reactor(engine: &Engine, path: &Path) -> Result<()> {
    let component = Component::from_file(engine, path)?;
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    let ctx = WasiCtxBuilder::new().env("GOOD_DOG", "gussie").build();
    let mut store = Store::new(engine, Host::new(ctx));
    let guest = reactor::Reactor::instantiate_async(&mut store, &component, &linker).await?;

    let strings = ["hello".to_string(), "$GOOD_DOG".to_string()];
    ensure!(guest.call_add_strings(&mut store, &strings).await? == 2);
    ensure!(guest.call_get_strings(&mut store).await? == ["hello", "gussie"]);

    let output = MemoryOutputPipe::new(4096);
    let stream: DynOutputStream = Box::new(output.clone());
    let stream = store.data_mut().table.push(stream)?;
    let written = guest.call_write_strings_to(&mut store, stream).await?;
    ensure!(written == Ok(()) && output.contents() == "hellogussie");

    let time = |seconds, nanoseconds| {
        Some(Datetime {
            seconds,
            nanoseconds,
        })
    };
    let stat = DescriptorStat {
        type_: DescriptorType::Unknown,
        link_count: 0,
        size: 0,
        data_access_timestamp: time(45, 123),
        data_modification_timestamp: time(10, 789),
        status_change_timestamp: time(1, 0),
    };
    let expected = format!("{stat:?}");
    let found = guest.call_pass_an_imported_record(&mut store, stat).await?;
    ensure!(found == expected, "the record is {found}, not {expected}");
    Ok(())
}

//! A host, and guests: core modules that call WASI directly, made components of the world
//! `wasi:cli/command`.

use mintage::component::{Component, Linker};
use mintage::{Config, Engine, Result, Store, Trap};
use mintage_wasi::p2::bindings;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::{I32Exit, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use std::path::Path;
use std::sync::LazyLock;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The data of a store.
pub struct Host {
    pub ctx: WasiCtx,
    pub table: ResourceTable,
}

impl Host {
    pub fn new(ctx: WasiCtx) -> Host {
        Host {
            ctx,
            table: ResourceTable::new(),
        }
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

/// How a host calls a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Sync,
    Async,
}

pub const MODES: [Mode; 2] = [Mode::Sync, Mode::Async];

/// An engine without interruption, and one with it.
pub fn engine(interruptible: bool) -> &'static Engine {
    static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
        [false, true]
            .map(|interruptible| Engine::new(Config::new().interruptible(interruptible)).unwrap())
    });
    &ENGINES[usize::from(interruptible)]
}

/// What each guest has: the functions of WASI by short names, memory, an allocator, and helpers.
const PRELUDE: &str = include_str!("prelude.wat");

/// Makes a component of a core module with these fields after the prelude. It has to define the
/// function `$run`, which returns 0 if the guest succeeds.
pub fn guest(fields: &str) -> Vec<u8> {
    guest_of("0.2.12", fields)
}

/// Makes a component that uses this version of WASI.
pub fn guest_of(version: &str, fields: &str) -> Vec<u8> {
    // Imports have to come before all else.
    let place = ";; What a test defines goes here, since it may begin with imports.";
    let (imports, helpers) = PRELUDE.split_once(place).unwrap();
    let text = format!(
        "(module {imports} {fields} {helpers} (export \"wasi:cli/run@0.2.12#run\" (func $run)))"
    );
    encode(&text.replace("0.2.12", version), version)
}

/// Makes a component of a core module, with the WIT of this version.
pub fn encode(module: &str, version: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    // The files that commands need, with the version replaced.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("deps")).unwrap();
    std::fs::copy(wit.join("mintage.wit"), copy.path().join("mintage.wit")).unwrap();
    for file in std::fs::read_dir(wit.join("deps")).unwrap() {
        let file = file.unwrap();
        if file.file_name() == "http.wit" {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = text.replace("@0.2.12", &format!("@{version}"));
        // What is newer than the version is not in it.
        let text = match version == "0.2.12" {
            true => text,
            false => text
                .replace("@since(version = 0.2.12)", "")
                .replace("exit-with-code: func(status-code: u8);", ""),
        };
        std::fs::write(copy.path().join("deps").join(file.file_name()), text).unwrap();
    }
    resolve.push_dir(copy.path()).unwrap();
    let package = resolve
        .packages
        .iter()
        .find(|(_, package)| package.name.name == "cli")
        .map(|(id, _)| id)
        .unwrap();
    let world = resolve.select_world(&[package], Some("command")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}

/// Runs `future` on a runtime of tokio with one thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn linker(engine: &Engine, mode: Mode) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    match mode {
        Mode::Sync => mintage_wasi::p2::add_to_linker_sync(&mut linker).unwrap(),
        Mode::Async => mintage_wasi::p2::add_to_linker_async(&mut linker).unwrap(),
    }
    linker
}

/// Runs a command in a store, which has the context.
pub fn run_in(store: &mut Store<Host>, bytes: &[u8], mode: Mode) -> Result<Result<(), ()>> {
    let engine = store.engine().clone();
    let component = Component::new(&engine, bytes)?;
    let linker = linker(&engine, mode);
    match mode {
        Mode::Sync => {
            let command = bindings::sync::Command::instantiate(&mut *store, &component, &linker)?;
            command.wasi_cli_run().call_run(store)
        }
        Mode::Async => block_on(async {
            let command =
                bindings::Command::instantiate_async(&mut *store, &component, &linker).await?;
            command.wasi_cli_run().call_run(store).await
        }),
    }
}

/// Runs a command with a context that `configure` makes.
pub fn run_with(
    bytes: &[u8],
    mode: Mode,
    configure: impl FnOnce(&mut WasiCtxBuilder),
) -> Result<Result<(), ()>> {
    let mut builder = WasiCtx::builder();
    configure(&mut builder);
    let mut store = Store::new(engine(false), Host::new(builder.build()));
    run_in(&mut store, bytes, mode)
}

/// Runs a command in both modes. It has to succeed both times. `configure` sets all but the
/// standard output, of which this returns what the guest has written.
pub fn output(fields: &str, configure: impl Fn(&mut WasiCtxBuilder)) -> String {
    let bytes = guest(fields);
    let [one, other] = MODES.map(|mode| {
        let stdout = MemoryOutputPipe::new(1 << 20);
        let result = run_with(&bytes, mode, |builder| {
            configure(builder);
            builder.stdout(stdout.clone());
        });
        let output = String::from_utf8_lossy(&stdout.contents()).into_owned();
        match result {
            Ok(Ok(())) => output,
            other => panic!("{mode:?}: {other:?}, after {output:?}"),
        }
    });
    assert_eq!(one, other);
    one
}

/// Runs a command in both modes. Returns the error of the synchronous one, whose text the other one
/// has to have as well.
pub fn error(fields: &str, configure: impl Fn(&mut WasiCtxBuilder)) -> mintage::Error {
    let bytes = guest(fields);
    let [one, other] = MODES.map(|mode| run_with(&bytes, mode, &configure).unwrap_err());
    assert_eq!(one.to_string(), other.to_string());
    one
}

/// Returns the last cause of the error of [`error`].
pub fn cause(fields: &str, configure: impl Fn(&mut WasiCtxBuilder)) -> String {
    error(fields, configure).root_cause().to_string()
}

/// Asserts that an error is the exit of a guest.
pub fn exit_code(error: &mintage::Error) -> i32 {
    error
        .downcast_ref::<I32Exit>()
        .unwrap_or_else(|| panic!("{error:?}"))
        .0
}

pub fn assert_interrupted(error: &mintage::Error) {
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{error:?}");
}

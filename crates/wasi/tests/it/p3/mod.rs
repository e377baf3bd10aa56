//! WASI 0.3. The guest is a program in Rust, whose first argument says what it does. Its sources,
//! and the script that builds it, are in `tests/guests/p3`.

mod cli;
mod files;
mod limits;
mod sockets;

use crate::common::{Host, block_on};
use mintage::component::{Component, Linker};
use mintage::{Engine, Result, Store};
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::p3::bindings::{CommandPre, LinkOptions};
use mintage_wasi::{WasiCtx, WasiCtxBuilder};
use std::sync::LazyLock;

const PROGRAMS: &[u8] = include_bytes!("../../guests/p3/programs.wasm");

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// The programs, with the interfaces of both versions.
static COMMAND: LazyLock<CommandPre<Host>> = LazyLock::new(|| {
    let component = Component::new(&ENGINE, PROGRAMS).unwrap();
    let mut linker = Linker::new(&ENGINE);
    mintage_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    mintage_wasi::p3::add_to_linker(&mut linker).unwrap();
    CommandPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
});

/// Creates a store for a program.
fn store(args: &[&str], configure: impl FnOnce(&mut WasiCtxBuilder)) -> Store<Host> {
    let mut builder = WasiCtx::builder();
    builder.arg("programs").args(args);
    configure(&mut builder);
    Store::new(&ENGINE, Host::new(builder.build()))
}

/// Runs a program in a store.
async fn run_in(store: &mut Store<Host>) -> Result<Result<(), ()>> {
    let command = COMMAND.instantiate_async(&mut *store).await?;
    let run = async |accessor: &_| command.wasi_cli_run().call_run(accessor).await;
    store.run_concurrent(run).await?
}

/// Runs a program.
fn run(args: &[&str], configure: impl FnOnce(&mut WasiCtxBuilder)) -> Result<Result<(), ()>> {
    block_on(run_in(&mut store(args, configure)))
}

/// Runs a program, which has to succeed, and returns what it has written. `configure` sets all but
/// the standard output and error.
fn output(args: &[&str], configure: impl FnOnce(&mut WasiCtxBuilder)) -> String {
    let (stdout, stderr) = (
        MemoryOutputPipe::new(8 << 20),
        MemoryOutputPipe::new(1 << 16),
    );
    let result = run(args, |builder| {
        configure(builder);
        builder.stdout(stdout.clone()).stderr(stderr.clone());
    });
    let text = |pipe: &MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
    match result {
        Ok(Ok(())) => text(&stdout),
        other => panic!("{args:?}: {other:?}\n{}{}", text(&stdout), text(&stderr)),
    }
}

#[test]
fn all_interfaces_are_added_once() {
    let mut linker = Linker::<Host>::new(&ENGINE);
    mintage_wasi::p3::cli::add_to_linker(&mut linker).unwrap();
    mintage_wasi::p3::clocks::add_to_linker(&mut linker).unwrap();
    mintage_wasi::p3::filesystem::add_to_linker(&mut linker).unwrap();
    mintage_wasi::p3::random::add_to_linker(&mut linker).unwrap();
    mintage_wasi::p3::sockets::add_to_linker(&mut linker).unwrap();
    assert!(mintage_wasi::p3::add_to_linker(&mut linker).is_err());
}

/// The time zone is an unstable feature.
#[test]
fn the_time_zone_is_there_if_it_is_asked_for() {
    let component = Component::new(
        &ENGINE,
        r#"(component
            (import "wasi:clocks/timezone@0.3.0" (instance $zone
                (export "iana-id" (func (result (option string))))))
            (core module $libc (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable)))
            (core instance $libc (instantiate $libc))
            (core func $id (canon lower (func $zone "iana-id")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core module $m
                (import "" "id" (func $id (param i32)))
                (import "libc" "memory" (memory 1))
                (func (export "has-zone") (result i32)
                    (call $id (i32.const 0)) (i32.load8_u (i32.const 0))))
            (core instance $m (instantiate $m
                (with "" (instance (export "id" (func $id))))
                (with "libc" (instance $libc))))
            (func (export "has-zone") (result u32) (canon lift (core func $m "has-zone"))))"#,
    )
    .unwrap();
    let mut linker = Linker::<Host>::new(&ENGINE);
    mintage_wasi::p3::add_to_linker(&mut linker).unwrap();
    assert!(linker.instantiate_pre(&component).is_err());
    let mut linker = Linker::<Host>::new(&ENGINE);
    let mut options = LinkOptions::default();
    options.clocks_timezone(true);
    mintage_wasi::p3::add_to_linker_with_options(&mut linker, &options).unwrap();
    let mut store = store(&[], |_| {});
    block_on(async {
        let instance = linker
            .instantiate_async(&mut store, &component)
            .await
            .unwrap();
        let has_zone = instance.get_typed_func::<(), (u32,)>(&mut store, "has-zone");
        let has_zone = has_zone.unwrap().call_async(&mut store, ()).await;
        assert_eq!(has_zone.unwrap(), (0,));
    });
}

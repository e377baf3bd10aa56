//! Runs a command: `command FILE [ARGUMENT]...` runs the component in a file with the standard
//! streams, the environment and the current folder of this process, and exits as the guest does.
//! Without a file it runs a small component that is part of the example.

use mintage::component::{Component, Linker};
use mintage::{Engine, Result, Store};
use mintage_wasi::p2::bindings::sync::CommandPre;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::{DirPerms, FilePerms, I32Exit, ResourceTable, WasiCtx, WasiCtxView, WasiView};
use std::process::exit;

/// The data of a store.
struct Host {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// A command that says hello. Programs come from compilers; this one shows what is in them.
const HELLO: &str = r#"(component
    (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
    (alias export $io-error "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $error (type $error))
        (export "output-stream" (type $output (sub resource)))
        (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failure)))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $output)) (param "contents" (list u8))
                (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:cli/stdout@0.2.0" (instance $stdout
        (alias outer 1 $output (type $stream))
        (export "output-stream" (type $output (eq $stream)))
        (export "get-stdout" (func (result (own $output))))))
    (core module $libc (memory (export "memory") 1) (data (i32.const 16) "hello\n"))
    (core instance $libc (instantiate $libc))
    (core func $get-stdout (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower
        (func $streams "[method]output-stream.blocking-write-and-flush")
        (memory (core memory $libc "memory"))))
    (core module $m
        (import "" "get-stdout" (func $get-stdout (result i32)))
        (import "" "write" (func $write (param i32 i32 i32 i32)))
        (import "libc" "memory" (memory 1))
        (func (export "run") (result i32)
            (call $write (call $get-stdout) (i32.const 16) (i32.const 6) (i32.const 0))
            (i32.load8_u (i32.const 0))))
    (core instance $i (instantiate $m
        (with "" (instance
            (export "get-stdout" (func $get-stdout)) (export "write" (func $write))))
        (with "libc" (instance $libc))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $exports (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $exports)))"#;

/// Runs a command, and returns its exit code.
fn run(engine: &Engine, component: &Component, ctx: WasiCtx) -> Result<i32> {
    let mut linker = Linker::new(engine);
    mintage_wasi::p2::add_to_linker_sync(&mut linker)?;
    // A host that runs the command again keeps this.
    let command = CommandPre::new(linker.instantiate_pre(component)?)?;

    let host = Host {
        ctx,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(engine, host);
    let command = command.instantiate(&mut store)?;
    match command.wasi_cli_run().call_run(&mut store) {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        // The guest has called `exit`.
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.process_exit_code()),
            None => Err(error),
        },
    }
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(file) = args.first() {
        let component = Component::from_file(&engine, file)?;
        let ctx = WasiCtx::builder()
            .inherit_stdio()
            .inherit_env()
            .args(&args)
            .preopened_dir(".", ".", DirPerms::all(), FilePerms::all())?
            .build();
        exit(run(&engine, &component, ctx)?);
    }

    let stdout = MemoryOutputPipe::new(1024);
    let component = Component::new(&engine, HELLO)?;
    let ctx = WasiCtx::builder().stdout(stdout.clone()).build();
    assert_eq!(run(&engine, &component, ctx)?, 0);
    assert_eq!(stdout.contents(), "hello\n");
    println!("the guest has said hello");
    Ok(())
}

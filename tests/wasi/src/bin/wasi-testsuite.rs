//! Runs the preview 1 programs of `WebAssembly/wasi-testsuite`: see `tests/wasi/testsuite.sh`.
//!
//! ```text
//! wasi-testsuite CHECKOUT EXPECTED-FAILURES [PART-OF-A-NAME]
//! ```
//!
//! Each program runs twice: by a synchronous host, and by an asynchronous one. It gets a copy of
//! the folder that its specification names, and passes if its exit code and its output are as
//! specified.

use mintage::error::{Context, Result, bail, ensure};
use mintage::{Component, Engine, Linker, Store};
use mintage_wasi::filesystem::{DirPerms, FilePerms};
use mintage_wasi::io::pipe::MemoryOutputPipe;
use mintage_wasi::p1::{self, WasiP1Ctx};
use mintage_wasi::{I32Exit, WasiCtxBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The most bytes of output that a program may write.
const MAX_OUTPUT: usize = 1 << 20;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (checkout, expected, part) = match &arguments[..] {
        [checkout, expected] => (checkout, expected, ""),
        [checkout, expected, part] => (checkout, expected, &**part),
        _ => bail!("usage: wasi-testsuite CHECKOUT EXPECTED-FAILURES [PART-OF-A-NAME]"),
    };
    let mut expected = expected_failures(Path::new(expected))?;
    let programs = programs(Path::new(checkout))?;
    let engine = Engine::default();
    let (mut passed, mut failed, mut wrong) = (0, 0, 0);
    for (name, program) in programs.iter().filter(|(name, _)| name.contains(part)) {
        let outcome = run(&engine, program, false)
            .and_then(|()| run(&engine, program, true).context("with an asynchronous host"));
        match (outcome, expected.remove(name)) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some(_)) => {
                println!("{name} passes: remove it from the expected failures");
                passed += 1;
                wrong += 1;
            }
            (Err(_), Some(reason)) => {
                println!("{name} fails as expected: {reason}");
                failed += 1;
            }
            (Err(error), None) => {
                println!("{name} FAILS: {error:#}");
                failed += 1;
                wrong += 1;
            }
        }
    }
    if part.is_empty() {
        for name in expected.keys() {
            println!("{name} is expected to fail, and does not exist");
            wrong += 1;
        }
    }
    println!(
        "{passed} of {} programs pass, {failed} fail",
        passed + failed
    );
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// Reads lines `name: reason`. Empty lines and those that start with `#` are left out.
fn expected_failures(path: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line.split_once(": ").context("expected `name: reason`")?;
            Ok((name.to_string(), reason.to_string()))
        })
        .collect()
}

/// Finds the programs of preview 1, by language and name.
fn programs(checkout: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    let tests = checkout.join("tests");
    let languages = fs::read_dir(&tests)
        .with_context(|| format!("{} is not a checkout of wasi-testsuite", checkout.display()))?;
    for language in languages {
        let language = language?.path();
        let Ok(folder) = fs::read_dir(language.join("testsuite/wasm32-wasip1")) else {
            continue;
        };
        for file in folder {
            let file = file?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                let names = [&language, &file].map(|path| path.file_stem().unwrap_or_default());
                let name = names.map(|name| name.to_string_lossy()).join("/");
                programs.insert(name, file);
            }
        }
    }
    ensure!(
        !programs.is_empty(),
        "{} has no built programs: use the branch `prod/testsuite-base`",
        tests.display()
    );
    Ok(programs)
}

/// Runs a program, and compares with its specification.
fn run(engine: &Engine, program: &Path, is_async: bool) -> Result<()> {
    let specification = match fs::read(program.with_extension("json")) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Value::Null,
    };
    let root = tempfile::tempdir()?;
    let (stdout, stderr) = (
        MemoryOutputPipe::new(MAX_OUTPUT),
        MemoryOutputPipe::new(MAX_OUTPUT),
    );
    let mut builder = WasiCtxBuilder::new();
    builder.stdout(stdout.clone()).stderr(stderr.clone());
    builder.arg(program.file_name().unwrap_or_default().to_string_lossy());
    for argument in specification["args"].as_array().into_iter().flatten() {
        builder.arg(argument.as_str().context("an argument is a string")?);
    }
    for (name, value) in specification["env"].as_object().into_iter().flatten() {
        builder.env(name, value.as_str().context("a variable is a string")?);
    }
    if let Some(folder) = specification["root"].as_str() {
        copy(&program.with_file_name(folder), root.path())?;
        builder.preopened_dir(root.path(), "/", DirPerms::all(), FilePerms::all())?;
    }
    // Not in the suite's own specifications: a folder that may only be read.
    if let Some(folder) = specification["readonly"].as_str() {
        let folder = program.with_file_name(folder);
        builder.preopened_dir(folder, "readonly", DirPerms::READ, FilePerms::READ)?;
    }
    let component = Component::from_module(engine, fs::read(program)?)?;
    let exit_code = match is_async {
        true => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(start_async(&component, builder.build_p1())),
        false => start(&component, builder.build_p1()),
    };
    let stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
    let exit_code = exit_code.with_context(|| format!("standard error: {stderr:?}"))?;
    let expected = specification["exit_code"].as_i64().unwrap_or(0);
    ensure!(
        i64::from(exit_code) == expected,
        "the exit code is {exit_code}, not {expected}; standard error: {stderr:?}"
    );
    let stdout = String::from_utf8_lossy(&stdout.contents()).into_owned();
    for (stream, text) in [("stdout", stdout), ("stderr", stderr)] {
        if let Some(expected) = specification[stream].as_str() {
            ensure!(text == expected, "{stream} is {text:?}, not {expected:?}");
        }
    }
    Ok(())
}

fn start(component: &Component, ctx: WasiP1Ctx) -> Result<i32> {
    let mut linker = Linker::new(component.engine());
    p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(component.engine(), ctx);
    let instance = linker.instantiate(&mut store, component)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    exit_code(start.call(&mut store, ()))
}

async fn start_async(component: &Component, ctx: WasiP1Ctx) -> Result<i32> {
    let mut linker = Linker::new(component.engine());
    p1::add_to_linker_async(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(component.engine(), ctx);
    let instance = linker.instantiate_async(&mut store, component).await?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    exit_code(start.call_async(&mut store, ()).await)
}

fn exit_code(result: Result<()>) -> Result<i32> {
    match result {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error),
        },
    }
}

/// Copies what is in a folder. Programs change it, and leave files in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(source)?, target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&source, &target)?;
        } else if source
            .extension()
            .is_none_or(|extension| extension != "cleanup")
        {
            fs::copy(source, target)?;
        }
    }
    Ok(())
}

//! Builds components from sources: bindings, core module, component.

use crate::bindings;
use crate::suite::{Language, Source, Test};
use crate::toolchain::{C_TARGET, RUST_TARGET, Toolchain, run};
use mintage::error::{Context, Result, bail, ensure};
use std::borrow::Cow;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
use wasm_encoder::{Encode, Section};
use wit_component::{ComponentEncoder, StringEncoding};

/// Builds the component of a source in a folder below `guests`, unless it is up to date. Returns
/// the path of the component.
///
/// # Errors
///
/// Fails if a step fails. The error contains the output of the compiler.
pub fn build(
    toolchain: &Toolchain,
    guests: &Path,
    test: &Test,
    source: &Source,
) -> Result<PathBuf> {
    let folder = guests.join(&source.name);
    let component = folder.join("component.wasm");
    let stamp = folder.join("stamp");
    let fingerprint = fingerprint(toolchain, test)?;
    if component.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == fingerprint) {
        return Ok(component);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let module = match source.language {
        Language::Rust => rust(toolchain, &folder, test, source)?,
        Language::C | Language::Cpp => c(toolchain, &folder, test, source)?,
        Language::Wat => wat::parse_file(&source.path)?,
        other => bail!("there is no compiler for {other}"),
    };
    let bytes = match wasmparser::Parser::is_component(&module) {
        true => module,
        false => componentize(module, test, source)?,
    };
    fs::write(&component, bytes)
        .with_context(|| format!("cannot write {}", component.display()))?;
    fs::write(&stamp, fingerprint).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(component)
}

/// Returns a hash of everything that a component depends on: how it is built, the compilers, and
/// the files of the test.
fn fingerprint(toolchain: &Toolchain, test: &Test) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    [
        include_str!("guest.rs"),
        include_str!("bindings.rs"),
        include_str!("../Cargo.toml"),
    ]
    .hash(&mut hasher);
    toolchain.versions.hash(&mut hasher);
    toolchain.guest_crates.arguments.hash(&mut hasher);
    let mut folders = vec![test.folder.clone()];
    while let Some(folder) = folders.pop() {
        let mut paths = fs::read_dir(&folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            match path.is_dir() {
                true => folders.push(path),
                false => (path.clone(), fs::read(&path)?).hash(&mut hasher),
            }
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn rust(toolchain: &Toolchain, folder: &Path, test: &Test, source: &Source) -> Result<Vec<u8>> {
    let config = &source.config.lang;
    ensure!(
        !config.link_shared && config.extern_dylibs.is_empty(),
        "links dynamically, which needs a libc.so that Debian's package does not have"
    );
    let bindings = folder.join("bindings");
    bindings::generate(test, source, &bindings)?;
    let rustc = |input: &Path, output: &Path, kind: &str| -> Command {
        let mut command = toolchain.command("rustc");
        command
            .arg("--edition=2021")
            .arg(format!("--target={RUST_TARGET}"))
            .arg(format!("--crate-type={kind}"));
        command.arg(format!("-Clinker={}", toolchain.path("wasm-ld").display()));
        // Keeps the names of functions, for backtraces. Other debug information would be the
        // largest part of a module.
        command.arg("-Clink-arg=--strip-debug");
        command
            .args(&toolchain.guest_crates.arguments)
            .args(config.rustflags.to_vec());
        command
            .arg(input)
            .arg("-o")
            .arg(output)
            .env("CARGO_MANIFEST_DIR", &test.folder);
        command
    };
    let mut externs = Vec::new();
    for file in &config.externs {
        let name = file.trim_end_matches(".rs");
        let output = folder.join(format!("lib{name}.rlib"));
        run(&mut rustc(&test.folder.join(file), &output, "rlib"))?;
        externs.push(format!("--extern={name}={}", output.display()));
    }
    let output = folder.join("module.wasm");
    let mut command = rustc(&source.path, &output, "cdylib");
    command.args(externs);
    command.env(
        "BINDINGS",
        bindings.join(format!("{}.rs", source.world.replace('-', "_"))),
    );
    run(&mut command)?;
    read(&output)
}

fn c(toolchain: &Toolchain, folder: &Path, test: &Test, source: &Source) -> Result<Vec<u8>> {
    let config = &source.config.lang;
    let bindings = folder.join("bindings");
    let generated = bindings::generate(test, source, &bindings)?;
    let program = match source.language {
        Language::Cpp => "clang++",
        _ => "clang",
    };
    // Each file is compiled alone, and the linker is run separately. `toolchain.sh` has the reason.
    let compile = |input: &Path, object: &Path| {
        let mut command = toolchain.command(program);
        command
            .arg(format!("--target={C_TARGET}"))
            .arg("-I")
            .arg(&bindings);
        if source.language == Language::Cpp {
            command.args(["-std=c++20", "-fno-exceptions"]);
            for headers in &toolchain.cpp_headers {
                command.arg("-I").arg(headers);
            }
        }
        command
            .args(config.cflags.to_vec())
            .arg("-c")
            .arg(input)
            .arg("-o")
            .arg(object);
        run(&mut command)
    };
    let mut objects = vec![folder.join("source.o")];
    compile(&source.path, &objects[0])?;
    for (index, path) in generated.iter().enumerate() {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("c" | "cpp") => {
                let object = folder.join(format!("bindings{index}.o"));
                compile(path, &object)?;
                objects.push(object);
            }
            Some("o") => objects.push(path.clone()),
            _ => {}
        }
    }
    let output = folder.join("module.wasm");
    let mut command = toolchain.command(program);
    command
        .arg(format!("--target={C_TARGET}"))
        .arg("-mexec-model=reactor")
        .args(objects);
    command.args(config.ldflags.to_vec()).arg("-o").arg(&output);
    run(&mut command)?;
    read(&output)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Wraps a core module in a component. An adapter implements the module's imports of WASI preview 1
/// with preview 2.
fn componentize(mut module: Vec<u8>, test: &Test, source: &Source) -> Result<Vec<u8>> {
    if !says_its_type(&module)? {
        let (resolve, world) = bindings::world(test, source, Vec::new())?;
        let encoded =
            wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None, false)?;
        let section = wasm_encoder::CustomSection {
            name: Cow::Borrowed("component-type"),
            data: Cow::Borrowed(&encoded),
        };
        module.push(section.id());
        section.encode(&mut module);
    }
    ComponentEncoder::default()
        .module(&module)
        .context("cannot read the type of the component")?
        .validate(true)
        .adapter(
            "wasi_snapshot_preview1",
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )
        .context("cannot use the adapter of WASI")?
        .encode()
        .context("cannot make a component")
}

fn says_its_type(module: &[u8]) -> Result<bool> {
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::CustomSection(section) = payload?
            && section.name().starts_with("component-type")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

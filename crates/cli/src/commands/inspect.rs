//! `mintage inspect`: says what is in a component or an artifact.

use crate::input::{Artifact as Found, Input, Source};
use crate::settings::CodeSettings;
use mintage::error::{Context, Result, bail};
use mintage::{Config, Engine};
use mintage_artifact::{Artifact, Check};
use mintage_environ::FuncKey;
use mintage_environ::component::{ComponentInterface, Export, Import};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use wit_component::{DecodedWasm, WitPrinter};

/// Show the WIT of a component, or the sections, functions and memories of an artifact
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    /// Show what a component becomes instead: domains, core instances, adapters, functions and
    /// their place in memory
    #[arg(long)]
    program: bool,

    #[command(flatten, next_help_heading = "Compilation (for --program)")]
    settings: CodeSettings,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let out = &mut io::stdout().lock();
        let mut config = Config::new();
        self.settings.apply(&mut config)?;
        let engine = Engine::new(&config)?;
        match self.source.read(&engine)? {
            Input::Component(bytes) if self.program => program(out, &engine, &bytes),
            Input::Component(bytes) => component(out, &bytes),
            Input::Artifact(_) if self.program => {
                bail!("an artifact no longer holds its program; give the component")
            }
            Input::Artifact(Found::Bytes(bytes)) => artifact(out, bytes),
            Input::Artifact(Found::File(path)) => fs::read(path)
                .map_err(Into::into)
                .and_then(|bytes| artifact(out, bytes)),
        }
        .with_context(|| format!("cannot inspect `{}`", self.source.app.display()))
    }
}

fn program(out: &mut impl Write, engine: &Engine, bytes: &[u8]) -> Result<()> {
    let text = engine.describe_component(bytes)?;
    write!(out, "{text}")?;
    Ok(())
}

fn component(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let decoded = match wit_component::decode(bytes) {
        Ok(decoded) => decoded,
        // A world can name no types of its own, but a component can export them at its root.
        Err(error) => {
            let found = Engine::describe_interface(bytes)?;
            writeln!(out, "the interface cannot be written as WIT: {error:#}")?;
            return interface(out, &found);
        }
    };
    let main = decoded.package();
    let others = match &decoded {
        DecodedWasm::WitPackage(..) => Vec::new(),
        DecodedWasm::Component(resolve, _) => resolve
            .packages
            .iter()
            .map(|(id, _)| id)
            .filter(|&id| id != main)
            .collect::<Vec<_>>(),
    };
    let mut printer = WitPrinter::default();
    printer.print(decoded.resolve(), main, &others)?;
    write!(out, "{}", printer.output)?;
    Ok(())
}

fn artifact(out: &mut impl Write, bytes: Vec<u8>) -> Result<()> {
    let size = bytes.len();
    let artifact = Artifact::parse(bytes, Check::Full)?;
    let metadata = artifact.metadata();
    writeln!(
        out,
        "artifact: {size} bytes, for {}",
        metadata.target.triple
    )?;
    writeln!(
        out,
        "loading it runs its machine code as it is, with all rights of the process; its hashes \
         detect damage, not forgery"
    )?;
    let tunables = &metadata.tunables;
    writeln!(
        out,
        "settings: opt level {:?}, memory reservation {} and guard {} bytes, address map {}, \
         interruptible {}, fuel {}",
        tunables.opt_level,
        tunables.memory_reservation,
        tunables.memory_guard,
        if tunables.address_map { "yes" } else { "no" },
        if tunables.interruptible { "yes" } else { "no" },
        if tunables.consume_fuel {
            "counted"
        } else {
            "not counted"
        }
    )?;

    writeln!(out, "\nsections:")?;
    for (name, size) in artifact.sections() {
        writeln!(out, "  {name:<24} {size:>12}")?;
    }

    writeln!(out, "\nfunctions:                 number         code")?;
    let mut kinds = BTreeMap::<String, (usize, u64)>::new();
    for (key, range) in artifact
        .key_table()
        .into_iter()
        .flat_map(|keys| keys.iter())
    {
        let (number, size) = kinds.entry(kind(key)).or_default();
        *number += 1;
        *size += u64::from(range.end - range.start);
    }
    for (kind, (number, size)) in kinds {
        writeln!(out, "  {kind:<24} {number:>6} {size:>12}")?;
    }

    let layout = &metadata.layout;
    writeln!(out, "\nslab: {} bytes of address space", layout.size)?;
    for (id, memory) in layout.memories.iter() {
        writeln!(
            out,
            "  memory {}: {} bytes, grows to {}, {} reserved",
            id.as_u32(),
            memory.minimum,
            memory.capacity,
            memory.reserved
        )?;
    }
    for (id, table) in layout.tables.iter() {
        writeln!(
            out,
            "  table {}: {} entries, grows to {}",
            id.as_u32(),
            table.minimum,
            table.maximum
        )?;
    }
    let runs = &metadata.image;
    let bytes = runs.iter().map(|run| run.len).sum::<u64>();
    let copied = metadata.patches.iter().map(|patch| patch.len).sum::<u64>();
    writeln!(
        out,
        "  image: {bytes} bytes in {} runs of pages, {copied} bytes to copy",
        runs.len()
    )?;
    interface(out, &metadata.interface)
}

/// The kind of a key: what its written form starts with, so that every kind to come has a row here.
fn kind(key: FuncKey) -> String {
    let text = key.to_string();
    text.split(['[', ':'])
        .next()
        .unwrap_or_default()
        .to_string()
}

fn interface(out: &mut impl Write, interface: &ComponentInterface) -> Result<()> {
    writeln!(out, "\nimports:")?;
    for (name, import) in &interface.imports {
        write_import(out, interface, name, import, 1)?;
    }
    writeln!(out, "\nexports:")?;
    for (name, export) in &interface.exports {
        write_export(out, interface, name, export, 1)?;
    }
    Ok(())
}

/// What plays no part at run time.
const STATIC: &str = "component, core module, or type of one or of a function";

fn write_import(
    out: &mut impl Write,
    interface: &ComponentInterface,
    name: &str,
    import: &Import,
    depth: usize,
) -> Result<()> {
    let types = &interface.types;
    let indent = "  ".repeat(depth);
    match import {
        Import::Func(id) => writeln!(
            out,
            "{indent}{name}: {}",
            types.display_func(interface.import_funcs[*id].ty)
        )?,
        Import::Instance(items) => {
            writeln!(out, "{indent}{name}")?;
            for (name, item) in items {
                write_import(out, interface, name, item, depth + 1)?;
            }
        }
        Import::Resource(_) => writeln!(out, "{indent}{name}: resource")?,
        Import::Type(ty) => writeln!(out, "{indent}{name}: type {}", types.display(*ty))?,
        Import::Static => writeln!(out, "{indent}{name}: {STATIC}")?,
    }
    Ok(())
}

fn write_export(
    out: &mut impl Write,
    interface: &ComponentInterface,
    name: &str,
    export: &Export,
    depth: usize,
) -> Result<()> {
    let types = &interface.types;
    let indent = "  ".repeat(depth);
    match export {
        Export::Func(id) => writeln!(
            out,
            "{indent}{name}: {}",
            types.display_func(interface.lifts[*id].ty)
        )?,
        Export::ImportedFunc(id) => writeln!(
            out,
            "{indent}{name}: {}",
            types.display_func(interface.import_funcs[*id].ty)
        )?,
        Export::Instance(items) => {
            writeln!(out, "{indent}{name}")?;
            for (name, item) in items {
                write_export(out, interface, name, item, depth + 1)?;
            }
        }
        Export::Resource(_) => writeln!(out, "{indent}{name}: resource")?,
        Export::Type(ty) => writeln!(out, "{indent}{name}: type {}", types.display(*ty))?,
        Export::Static => writeln!(out, "{indent}{name}: {STATIC}")?,
    }
    Ok(())
}

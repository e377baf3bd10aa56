//! `mintage inspect`: shows the contents of a component or an artifact.

use crate::input::{Artifact as Found, Input, Source};
use crate::settings::CodeSettings;
use mintage::error::{Context, Result, bail};
use mintage::{Config, Engine};
use mintage_artifact::{Artifact, Check};
use mintage_environ::component::{ComponentInterface, Export, Import};
use mintage_environ::{Feature, FuncKey, Tunables};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use wit_component::{DecodedWasm, WitPrinter};

/// Show the WIT of a component, or the sections, functions and memories of an artifact
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    /// Show the program that a component is compiled as: component instances, core instances,
    /// adapters, functions, and the memory layout
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
            Input::Module(_) if self.program => self
                .source
                .read_component(&engine)
                .and_then(|bytes| program(out, &engine, &bytes)),
            Input::Module(_) => bail!(
                "`{}` is a core module, which has no WIT; `--program` shows what it is compiled as",
                self.source.app.display()
            ),
            Input::Component(bytes) if self.program => program(out, &engine, &bytes),
            Input::Component(bytes) => component(out, &bytes),
            Input::Artifact(_) if self.program => {
                bail!("an artifact does not contain the program; inspect the component instead")
            }
            Input::Artifact(Found::Bytes(bytes)) => artifact(out, bytes),
            Input::Artifact(Found::File(path)) => fs::read(path)
                .map_err(Into::into)
                .and_then(|bytes| artifact(out, bytes)),
        }
        .with_context(|| format!("cannot inspect `{}`", self.source.app.display()))
    }
}

/// Prints the program of a component.
fn program(out: &mut impl Write, engine: &Engine, bytes: &[u8]) -> Result<()> {
    let text = engine.describe_component(bytes)?;
    write!(out, "{text}")?;
    Ok(())
}

/// Prints the interface of a component, as WIT where possible.
fn component(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let decoded = match wit_component::decode(bytes) {
        Ok(decoded) => decoded,
        // Not every interface has a WIT form: components can export types at their root, for
        // example, which worlds cannot name.
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

/// Prints the settings, sections, functions, layout and interface of an artifact.
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
        "a process that loads it runs its machine code as is, with all rights of the process; its \
         hashes detect damage, but not forgery"
    )?;
    writeln!(out, "\nsettings:")?;
    for (name, value) in settings(&metadata.tunables) {
        writeln!(out, "  {name:<26} {value}")?;
    }

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

/// Returns the settings that an artifact was compiled with, as rows of a table.
fn settings(tunables: &Tunables) -> Vec<(&'static str, String)> {
    let Tunables {
        opt_level,
        inlining,
        memory_reservation,
        memory64_reservation,
        memory_guard,
        table_reservation,
        gc_heap_reservation,
        gc_zeal: _,
        debug_verifier: _,
        address_map,
        interruptible,
        consume_fuel,
        fuel_by_length,
        nan_canonicalization,
        relaxed_simd_deterministic,
        core_exports: _,
        features,
    } = tunables;
    let yes_or_no = |on: &bool| if *on { "yes" } else { "no" }.to_string();
    let bytes = |bytes: u64| format!("{bytes} bytes");
    // Turning on a feature changes nothing if it is on.
    let is_on = |feature: &&Feature| {
        let mut all = *features;
        all.set(feature, true);
        all == *features
    };
    let features = Feature::ALL
        .iter()
        .filter(is_on)
        .map(|feature| feature.name.replace('_', "-"))
        .collect::<Vec<_>>();
    let fuel = match (consume_fuel, fuel_by_length) {
        (false, _) => "not counted",
        (true, false) => "counted",
        (true, true) => "counted, also by length",
    };
    vec![
        ("optimization level", format!("{opt_level:?}")),
        ("inlining", format!("{inlining:?}")),
        ("memory reservation", bytes(*memory_reservation)),
        ("memory64 reservation", bytes(*memory64_reservation)),
        ("memory guard", bytes(*memory_guard)),
        ("table reservation", format!("{table_reservation} entries")),
        ("GC heap reservation", bytes((*gc_heap_reservation).into())),
        ("address map", yes_or_no(address_map)),
        ("interruptible", yes_or_no(interruptible)),
        ("fuel", fuel.to_string()),
        ("NaN canonicalization", yes_or_no(nan_canonicalization)),
        (
            "deterministic relaxed SIMD",
            yes_or_no(relaxed_simd_deterministic),
        ),
        ("features", features.join(", ")),
    ]
}

/// Returns the kind of a key. It is taken from the key's text, so that new kinds need no change
/// here.
fn kind(key: FuncKey) -> String {
    let text = key.to_string();
    text.split(['[', ':'])
        .next()
        .unwrap_or_default()
        .to_string()
}

/// Prints the imports and exports of a component.
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

/// The description of items that do not exist at run time.
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
        Import::Static(_) => writeln!(out, "{indent}{name}: {STATIC}")?,
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
        Export::Static(_) => writeln!(out, "{indent}{name}: {STATIC}")?,
    }
    Ok(())
}

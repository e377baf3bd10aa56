//! `mintage run`: calls an exported function.

use crate::{load, wave};
use anyhow::{Context, Result, bail};
use mintage::types::{ComponentFunc, ComponentItem};
use mintage::{Component, ComponentExportIndex, Config, Engine, Linker, Store, Val};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Call an exported function of a component and print its result
///
/// A trap prints the guest's backtrace, and the exit code is 134.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A component (binary or text), or an artifact that `mintage compile` wrote
    #[arg(value_name = "APP")]
    app: PathBuf,

    /// The call, with arguments as WebAssembly value encoding (WAVE): 'greet("world")', 'iface/func({x: 1}, [2, 3])'
    ///
    /// May be left out when the component exports just one function and it takes no arguments.
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,

    /// Stop the guest when it has executed this many operators; an artifact must be compiled with --consume-fuel
    #[arg(long, value_name = "COUNT")]
    fuel: Option<u64>,

    /// Stop the guest after this many seconds; an artifact must be compiled with --interruptible
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        let mut config = Config::new();
        config
            .consume_fuel(self.fuel.is_some())
            .interruptible(self.timeout.is_some());
        let engine = Engine::new(&config)?;
        let component = load::component(&engine, &self.app)?;
        let functions = exported_functions(&engine, &component);
        let (function, args) = match &self.invoke {
            Some(call) => {
                // A name has no parenthesis, and without one there are no arguments.
                let (name, args) = call.split_at(call.find('(').unwrap_or(call.len()));
                (
                    find(&functions, name.trim())?,
                    if args.is_empty() { "()" } else { args },
                )
            }
            None => (only(&functions)?, "()"),
        };
        let signature = &function.ty;
        let params = signature.params().collect::<Vec<_>>();
        let args = wave::parse_args(args, &params)
            .with_context(|| format!("wrong arguments for `{}: {signature}`", function.name()))?;

        let mut store = Store::new(&engine, ());
        if let Some(fuel) = self.fuel {
            store.set_fuel(fuel)?;
        }
        if let Some(timeout) = self.timeout {
            store.set_deadline(timeout)?;
        }
        let linker = Linker::new(&engine);
        let instance = linker
            .instantiate(&mut store, &component)
            .with_context(|| format!("cannot instantiate `{}`", self.app.display()))?;
        let callee = instance.get_func(&mut store, function.index);
        let callee = callee.with_context(|| format!("the instance lacks its function `{}`", function.name()))?;
        let mut results = vec![Val::Bool(false); signature.results().len()];
        callee.call(&mut store, &args, &mut results)?;
        for result in &results {
            writeln!(io::stdout(), "{}", wave::to_string(result)?)?;
        }
        Ok(())
    }
}

/// A function that the component exports, at its root or in an instance.
struct Function {
    /// The names of the instances from the root inwards, then the function's own.
    path: Vec<String>,
    index: ComponentExportIndex,
    ty: ComponentFunc,
}

impl Function {
    /// The full name: `ns:pkg/iface@1.2.3/func`.
    fn name(&self) -> String {
        self.path.join("/")
    }

    /// Whether `name` is the full name, or that without package and version: `iface/func`.
    fn has_name(&self, name: &str) -> bool {
        let Some((function, instances)) = self.path.split_last() else {
            return false;
        };
        let short = |instance: &String| {
            let name = instance.rsplit_once('/').map_or(instance.as_str(), |(_, name)| name);
            name.split_once('@').map_or(name, |(name, _)| name).to_string()
        };
        let short = instances
            .iter()
            .map(short)
            .chain([function.clone()])
            .collect::<Vec<_>>();
        name == self.name() || name == short.join("/")
    }
}

fn exported_functions(engine: &Engine, component: &Component) -> Vec<Function> {
    let mut functions = Vec::new();
    let root = component.component_type();
    collect(
        engine,
        component,
        None,
        &[],
        root.exports(engine).map(|(name, item)| (name, item.ty)),
        &mut functions,
    );
    functions
}

fn collect<'a>(
    engine: &Engine,
    component: &Component,
    instance: Option<&ComponentExportIndex>,
    path: &[String],
    items: impl Iterator<Item = (&'a str, ComponentItem)>,
    functions: &mut Vec<Function>,
) {
    for (name, item) in items {
        let Some(index) = component.get_export_index(instance, name) else {
            continue;
        };
        let path = path.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match item {
            ComponentItem::ComponentFunc(ty) => functions.push(Function { path, index, ty }),
            ComponentItem::ComponentInstance(inner) => {
                let items = inner
                    .exports(engine)
                    .map(|(name, item)| (name, item.ty))
                    .collect::<Vec<_>>();
                collect(engine, component, Some(&index), &path, items.into_iter(), functions);
            }
            _ => {}
        }
    }
}

fn find<'f>(functions: &'f [Function], name: &str) -> Result<&'f Function> {
    let found = functions
        .iter()
        .filter(|function| function.has_name(name))
        .collect::<Vec<_>>();
    match found[..] {
        [function] => Ok(function),
        [] => bail!("the component exports no function `{name}`; {}", list(functions)),
        // A full name is unique, so it settles the matter.
        [..] => match found.iter().find(|function| function.name() == name) {
            Some(function) => Ok(function),
            None => bail!(
                "`{name}` stands for several functions; write one in full: {}",
                names(&found)
            ),
        },
    }
}

fn only(functions: &[Function]) -> Result<&Function> {
    match functions {
        [function] if function.ty.params().len() == 0 => Ok(function),
        _ => bail!(
            "say what to call with `--invoke 'name(arguments)'`; {}",
            list(functions)
        ),
    }
}

fn names(functions: &[&Function]) -> String {
    functions
        .iter()
        .map(|function| format!("`{}`", function.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// All functions with their signatures, one a line.
fn list(functions: &[Function]) -> String {
    if functions.is_empty() {
        return "it exports none".to_string();
    }
    let lines = functions
        .iter()
        .map(|function| format!("\n  {}: {}", function.name(), function.ty));
    format!("it exports:{}", lines.collect::<String>())
}

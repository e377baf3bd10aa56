//! Calls that the user writes: `name(arguments)`, in WAVE.

use crate::wave;
use anyhow::{Context, Result, bail};
use mintage::types::{ComponentFunc, ComponentItem};
use mintage::{Component, ComponentExportIndex, Engine, Instance, Store, Val};

/// A call whose function was found and whose arguments are of its types.
pub(crate) struct Call {
    function: Function,
    args: Vec<Val>,
}

impl Call {
    /// Reads a call of a function that `component` exports. Without a text it is the only function, which takes no arguments.
    pub(crate) fn parse(engine: &Engine, component: &Component, text: Option<&str>) -> Result<Call> {
        let functions = exported_functions(engine, component);
        let (function, args) = match text {
            Some(call) => {
                // A name has no parenthesis, and without one there are no arguments.
                let (name, args) = call.split_at(call.find('(').unwrap_or(call.len()));
                (find(functions, name.trim())?, if args.is_empty() { "()" } else { args })
            }
            None => (only(functions)?, "()"),
        };
        let signature = &function.ty;
        let params = signature.params().collect::<Vec<_>>();
        let args = wave::parse_args(args, &params)
            .with_context(|| format!("wrong arguments for `{}: {signature}`", function.name()))?;
        Ok(Call { function, args })
    }

    /// Makes the call: the results.
    pub(crate) fn make(&self, store: &mut Store<()>, instance: &Instance) -> Result<Vec<Val>> {
        let Function { index, ty, .. } = &self.function;
        let callee = instance.get_func(&mut *store, index);
        let callee = callee.with_context(|| format!("the instance lacks its function `{}`", self.function.name()))?;
        let mut results = vec![Val::Bool(false); ty.results().len()];
        callee.call(store, &self.args, &mut results)?;
        Ok(results)
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

fn find(functions: Vec<Function>, name: &str) -> Result<Function> {
    // A full name is unique, so it settles the matter.
    let mut found: Vec<usize> = (0..functions.len()).filter(|&i| functions[i].name() == name).collect();
    if found.is_empty() {
        found = (0..functions.len()).filter(|&i| functions[i].has_name(name)).collect();
    }
    let mut functions = functions;
    match found[..] {
        [only] => Ok(functions.swap_remove(only)),
        [] => bail!("the component exports no function `{name}`; {}", list(&functions)),
        [..] => bail!(
            "`{name}` stands for several functions; write one in full: {}",
            names(&found.iter().map(|&i| &functions[i]).collect::<Vec<_>>())
        ),
    }
}

fn only(mut functions: Vec<Function>) -> Result<Function> {
    match functions.pop() {
        Some(function) if functions.is_empty() && function.ty.params().len() == 0 => Ok(function),
        last => {
            functions.extend(last);
            bail!(
                "say what to call with `--invoke 'name(arguments)'`; {}",
                list(&functions)
            )
        }
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

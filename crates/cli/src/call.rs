//! Calls on the command line: `name(arguments)`, with arguments in WAVE.

use crate::input::{STANDARD, Source, read_standard};
use mintage::error::{Context, Result, bail, ensure};
use mintage::types::{ComponentFunc, ComponentItem, Type};
use mintage::{Component, ComponentExportIndex, Engine, Func, Instance, Store, Val};
use std::borrow::Cow;
use std::fs;
use std::path::Path;

/// A call with its function and arguments of the function's parameter types.
pub(crate) struct Call {
    function: Function,
    args: Vec<Val>,
}

impl Call {
    /// Parses a call of a function that `component` exports.
    ///
    /// `text` is the call itself, `@FILE` for a file that contains it, or `-` for standard input.
    /// Without `text`, the component must export a single function, and one without parameters.
    /// `source` is what the component was made of.
    ///
    /// # Errors
    ///
    /// Fails if the text cannot be read or parsed, if it does not name exactly one function, if the
    /// arguments do not have the parameter types, or if the function passes handles.
    pub(crate) fn read(component: &Component, text: Option<&str>, source: &Source) -> Result<Call> {
        let text = text.map(|text| read_text(text, source)).transpose()?;
        let functions = exported_functions(component.engine(), component);
        let (function, args) = match text.as_deref().map(str::trim) {
            Some(call) => {
                // Names contain no parentheses.
                let (name, args) = call.split_at(call.find('(').unwrap_or(call.len()));
                (
                    find(functions, name.trim())?,
                    if args.is_empty() { "()" } else { args },
                )
            }
            None => (only(functions)?, "()"),
        };
        let signature = &function.ty;
        if let Some(handle) = signature
            .params()
            .map(|(_, ty)| ty)
            .chain(signature.results())
            .find_map(|ty| handle(&ty))
        {
            bail!(
                "`{}: {signature}` passes handles (`{handle}`), which cannot be written as text; \
                 call it from a host program or from a component that wraps it",
                function.name()
            );
        }
        let args = signature
            .params_from_wave(args)
            .with_context(|| format!("wrong arguments for `{}: {signature}`", function.name()))?;
        Ok(Call { function, args })
    }

    /// Says how to call one of the functions of `component`.
    pub(crate) fn advice(component: &Component) -> String {
        let functions = exported_functions(component.engine(), component);
        format!(
            "call a function with `--invoke 'name(arguments)'`; {}",
            list(&functions)
        )
    }

    /// Makes the call and returns the results.
    pub(crate) fn make<T: Send + 'static>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> Result<Vec<Val>> {
        match self.function.ty.async_() {
            false => {
                let (callee, mut results) = self.callee(store, instance)?;
                callee.call(store, &self.args, &mut results)?;
                Ok(results)
            }
            true => mintage::block_on(self.make_async(store, instance)),
        }
    }

    /// Makes the call, where the guest calls asynchronous functions of the host.
    pub(crate) async fn make_async<T: Send + 'static>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> Result<Vec<Val>> {
        let (callee, mut results) = self.callee(store, instance)?;
        callee.call_async(store, &self.args, &mut results).await?;
        Ok(results)
    }

    /// Returns the function, and room for its results.
    fn callee<T: 'static>(
        &self,
        store: &mut Store<T>,
        instance: &Instance,
    ) -> Result<(Func, Vec<Val>)> {
        let Function { index, ty, .. } = &self.function;
        let callee = instance.get_func(store, index);
        let callee = callee.with_context(|| {
            format!(
                "the instance does not export the function `{}`",
                self.function.name()
            )
        })?;
        Ok((callee, vec![Val::Bool(false); ty.results().len()]))
    }
}

/// A function that the component exports at its root or in an instance.
struct Function {
    /// The names of the instances from the root inwards, followed by the function's own name.
    path: Vec<String>,
    index: ComponentExportIndex,
    ty: ComponentFunc,
}

impl Function {
    /// Returns the full name, for example `ns:pkg/iface@1.2.3/func`.
    fn name(&self) -> String {
        self.path.join("/")
    }

    /// Whether `name` is one of the names of this function.
    ///
    /// These are its own name, and its own name after that of its instance and `/`, `#` or `.`. The
    /// instance may be named with or without its package, version and outer instances. The version
    /// may also come last, as in `ns:pkg/iface.func@1.2.3`.
    fn has_name(&self, name: &str) -> bool {
        let Some((function, instances)) = self.path.split_last() else {
            return false;
        };
        if name == function {
            return true;
        }
        let Some(instance) = instances.last() else {
            return false;
        };
        let outer = &instances[..instances.len() - 1];
        let (bare, version) = instance.split_once('@').unwrap_or((instance, ""));
        let short = bare.rsplit_once('/').map_or(bare, |(_, name)| name);
        let before = |inner: &str| match outer
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("/")
        {
            outer if outer.is_empty() => inner.to_string(),
            outer => format!("{outer}/{inner}"),
        };
        let instances =
            [instance.as_str(), bare, short].map(|inner| [inner.to_string(), before(inner)]);
        instances.as_flattened().iter().any(|instance| {
            let rest = name.strip_prefix(instance.as_str());
            let rest = rest.and_then(|rest| rest.strip_prefix(['/', '#', '.']));
            let rest = rest.and_then(|rest| rest.strip_prefix(function.as_str()));
            rest.is_some_and(|rest| {
                rest.is_empty() || (!version.is_empty() && rest.strip_prefix('@') == Some(version))
            })
        })
    }
}

/// Returns the text of a call, which may be in a file (`@FILE`) or on standard input (`-`).
fn read_text<'a>(text: &'a str, source: &Source) -> Result<Cow<'a, str>> {
    let bytes = match text.strip_prefix('@') {
        Some(file) => {
            fs::read(file).with_context(|| format!("cannot read the call in `{file}`"))?
        }
        None if text == STANDARD => {
            ensure!(
                source.files().all(|file| file != Path::new(STANDARD)),
                "standard input can be either the component or the call, not both"
            );
            read_standard()?
        }
        None => return Ok(text.into()),
    };
    let call =
        String::from_utf8(bytes).with_context(|| format!("the call in `{text}` is not UTF-8"))?;
    Ok(call.into())
}

/// Returns the first handle type within a type, as text.
fn handle(ty: &Type) -> Option<String> {
    match ty {
        Type::Own(_) | Type::Borrow(_) | Type::ErrorContext => Some(ty.to_string()),
        Type::List(list) => handle(&list.ty()),
        Type::Map(map) => handle(&map.key()).or_else(|| handle(&map.value())),
        Type::Record(record) => record.fields().find_map(|field| handle(&field.ty)),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| handle(&ty)),
        Type::Variant(variant) => variant
            .cases()
            .filter_map(|case| case.ty)
            .find_map(|ty| handle(&ty)),
        Type::Option(option) => handle(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()]
            .iter()
            .flatten()
            .find_map(handle),
        _ => None,
    }
}

/// Returns all exported functions, in the order of the exports.
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

/// Adds the functions among the exported `items` of `instance`, or of the root.
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
        let path = path
            .iter()
            .cloned()
            .chain([name.to_string()])
            .collect::<Vec<_>>();
        match item {
            ComponentItem::ComponentFunc(ty) => functions.push(Function { path, index, ty }),
            ComponentItem::ComponentInstance(inner) => {
                let items = inner
                    .exports(engine)
                    .map(|(name, item)| (name, item.ty))
                    .collect::<Vec<_>>();
                collect(
                    engine,
                    component,
                    Some(&index),
                    &path,
                    items.into_iter(),
                    functions,
                );
            }
            _ => {}
        }
    }
}

/// Finds the only function that has `name`.
fn find(functions: Vec<Function>, name: &str) -> Result<Function> {
    // Full names are unique and come first.
    let mut found: Vec<usize> = (0..functions.len())
        .filter(|&i| functions[i].name() == name)
        .collect();
    if found.is_empty() {
        found = (0..functions.len())
            .filter(|&i| functions[i].has_name(name))
            .collect();
    }
    let mut functions = functions;
    match found[..] {
        [only] => Ok(functions.swap_remove(only)),
        [] => bail!(
            "the component does not export a function `{name}`; {}",
            list(&functions)
        ),
        [..] => bail!(
            "`{name}` is ambiguous; use one of the full names: {}",
            names(&found.iter().map(|&i| &functions[i]).collect::<Vec<_>>())
        ),
    }
}

/// Returns the only function if it takes no arguments.
fn only(mut functions: Vec<Function>) -> Result<Function> {
    match functions.pop() {
        Some(function) if functions.is_empty() && function.ty.params().len() == 0 => Ok(function),
        last => {
            functions.extend(last);
            bail!(
                "name the function to call with `--invoke 'name(arguments)'`; {}",
                list(&functions)
            )
        }
    }
}

/// Lists the full names of functions on one line.
fn names(functions: &[&Function]) -> String {
    functions
        .iter()
        .map(|function| format!("`{}`", function.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Lists functions with their signatures, one per line.
fn list(functions: &[Function]) -> String {
    if functions.is_empty() {
        return "it exports no functions".to_string();
    }
    let lines = functions
        .iter()
        .map(|function| format!("\n  {}: {}", function.name(), function.ty));
    format!("it exports:{}", lines.collect::<String>())
}

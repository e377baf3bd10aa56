//! Composition: a component whose imports other components implement.
//!
//! The composition is a component around all of its **parts**: the **socket**, whose exports it
//! has, and **plugs**, which implement imports. It instantiates each part once. What no plug
//! implements, it imports itself, once for all parts.
//!
//! ```text
//! (component
//!   (import "host" ...)                                  ;; for both
//!   (component $plug ...)
//!   (instance $p (instantiate $plug (with "host" ...)))
//!   (component $socket ...)
//!   (instance $s (instantiate $socket (with "host" ...) (with "x" (instance $p "x"))))
//!   (export "run" (func $s "run")))
//! ```
//!
//! The compiler makes one program of it, in which calls between parts are adapters.
//!
//! | file | what it does |
//! |---|---|
//! | `plan.rs` | which part implements which import |
//! | `encoder.rs` | writes types, and with them the imports |

mod encoder;
mod plan;

use crate::parse::{check_header, wasm_error};
use crate::wasm_features;
use anyhow::{Context, Result, bail};
use encoder::{Encoder, extern_name, kind};
use mintage_environ::{ErrorKind, Features, Printable, invalid};
use plan::{Plan, Source};
use wasm_encoder::RawSection;
use wasm_encoder::{ComponentExportKind, ComponentSection, ComponentSectionId, ComponentTypeRef};
use wasmparser::component_types::{ComponentEntityType, ComponentType};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, ValidPayload, Validator};

/// A component that is composed with others.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its name in errors, such as that of its file.
    pub name: &'a str,
    /// The component in binary form.
    pub bytes: &'a [u8],
}

/// Returns the component in `socket` with imports implemented by the components in `plugs`.
///
/// An import of the socket is implemented by the first plug that exports its name, or else by the
/// first that exports a semver-compatible version of it. An import of a plug is looked up in the
/// plugs after it, and then in those before it. All other imports become imports of the
/// composition, where semver-compatible versions of an interface are joined to the newest one.
///
/// Function bodies are not validated.
///
/// # Errors
///
/// If a part is invalid, if no import matches any export of a plug, if plugs import from each other
/// in a circle, or if types differ.
pub fn compose(socket: Part<'_>, plugs: &[Part<'_>], features: Features) -> Result<Vec<u8>> {
    let parts: Vec<_> = [socket].into_iter().chain(plugs.iter().copied()).collect();
    for part in &parts {
        check_header(part.bytes)
            .and_then(|()| validate(part.bytes, features))
            .with_context(|| format!("in `{}`", Printable(part.name)))?;
    }
    let types = validate(&together(&parts), features)?;
    let types = types.as_ref();
    let components = (0..parts.len() as u32)
        .map(|part| types.get(types.component_at(part)))
        .collect::<Option<Vec<&ComponentType>>>();
    let components = components.context("the validator lost a component (a bug in Mintage)")?;
    let (plan, groups) = Plan::new(&parts, &components)?;

    let mut encoder = Encoder::new(types, groups);
    for (part, imports) in plan.sources.iter().enumerate() {
        for ((name, item), source) in components[part].imports.iter().zip(imports) {
            match *source {
                Source::Import { group } => encoder.imported(group, item),
                Source::Plug { part, .. } => encoder.implemented(name, item, parts[part].name),
            }
        }
    }
    for group in 0..plan.groups {
        encoder.import(group)?;
    }
    let socket = instantiate(&mut encoder, &parts, &components, &plan)?;
    export(&mut encoder, components[0], socket)?;
    let composition = encoder.finish();
    check(&composition, features, &parts, &components, &plan)?;
    Ok(composition)
}

/// Returns a component with all parts nested in it, so that one validator knows the types of all.
fn together(parts: &[Part<'_>]) -> Vec<u8> {
    let mut bytes = wasm_encoder::Component::HEADER.to_vec();
    for part in parts {
        let id = ComponentSectionId::Component as u8;
        let data = part.bytes;
        RawSection { id, data }.append_to_component(&mut bytes);
    }
    bytes
}

/// Validates a component but for its function bodies, and returns its types.
fn validate(bytes: &[u8], features: Features) -> Result<Types> {
    let mut validator = Validator::new_with_features(wasm_features(features));
    let mut root = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(wasm_error)?;
        if let ValidPayload::End(types) = validator.payload(&payload).map_err(wasm_error)? {
            root = Some(types);
        }
    }
    root.context(invalid!("the component has no end"))
}

/// Adds all parts and their instances. Returns the instance of the socket.
fn instantiate<'t>(
    encoder: &mut Encoder<'t>,
    parts: &[Part<'_>],
    components: &[&'t ComponentType],
    plan: &Plan<'t>,
) -> Result<u32> {
    let mut instances = vec![None; parts.len()];
    for &part in &plan.order {
        let component = encoder.root().component_raw(None, parts[part].bytes);
        let imports = components[part].imports.iter().zip(&plan.sources[part]);
        let args = imports.map(|((name, item), source)| {
            let kind = kind(&item.ty);
            let index = match *source {
                Source::Import { group } => encoder.import(group)?,
                Source::Plug { part, export } => {
                    let instance = instances[part].context("a plug comes before its users")?;
                    encoder.root().alias_export(instance, export, kind)
                }
            };
            Ok((name.as_str(), kind, index))
        });
        let args = args.collect::<Result<Vec<_>>>()?;
        instances[part] = Some(encoder.root().instantiate(None, component, args));
    }
    instances[0].context("the socket comes last")
}

/// Exports what the socket exports.
fn export<'t>(encoder: &mut Encoder<'t>, socket: &'t ComponentType, instance: u32) -> Result<()> {
    encoder.begin_exports();
    for (name, item) in &socket.exports {
        let kind = kind(&item.ty);
        // Types in a function's type must be those that the composition imports or exports itself.
        let ty = match item.ty {
            ComponentEntityType::Func(id) => {
                let ty = encoder.func(id);
                let ty = ty.with_context(|| format!("in the export `{name}`"))?;
                Some(ComponentTypeRef::Func(ty))
            }
            _ => None,
        };
        let root = encoder.root();
        let index = root.alias_export(instance, name, kind);
        let index = root.export(extern_name(name.as_str().into(), item), kind, index, ty);
        match kind {
            ComponentExportKind::Type => encoder.exported_type(index, item),
            ComponentExportKind::Instance => encoder.exported_instance(index, item),
            _ => {}
        }
    }
    Ok(())
}

/// Checks the types of a composition: the validator compares those of imports and exports.
fn check(
    bytes: &[u8],
    features: Features,
    parts: &[Part<'_>],
    components: &[&ComponentType],
    plan: &Plan<'_>,
) -> Result<()> {
    let mut validator = Validator::new_with_features(wasm_features(features));
    let (mut depth, mut nested) = (0, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(wasm_error)?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentSection { .. } if depth == 1 => nested += 1,
            _ => {}
        }
        let Err(error) = validator.payload(&payload) else {
            continue;
        };
        let message = plain(error.message());
        let Payload::ComponentInstanceSection(_) = payload else {
            bail!(ErrorKind::Link.error(format!(
                "the composition is not a valid component: {}",
                Printable(&message)
            )))
        };
        // Each part is followed by its instance.
        let part = plan.order[nested - 1];
        let imports = components[part].imports.keys().zip(&plan.sources[part]);
        let named = imports
            .filter(|(name, _)| message.contains(&format!("`{name}`")))
            .max_by_key(|(name, _)| name.len());
        let user = Printable(parts[part].name);
        bail!(ErrorKind::Link.error(match named {
            Some((name, Source::Plug { part, .. })) => format!(
                "`{}` does not implement `{name}` as `{user}` imports it: {}",
                Printable(parts[*part].name),
                Printable(&message)
            ),
            Some((name, Source::Import { .. })) => format!(
                "`{user}` imports `{name}` with other types than another part: {}",
                Printable(&message)
            ),
            None => format!(
                "the imports of `{user}` do not match: {}",
                Printable(&message)
            ),
        }))
    }
    Ok(())
}

/// Returns a message of the validator in one line, without its numbers of resource types.
fn plain(message: &str) -> String {
    let message = match message.split_once(" (ResourceId") {
        Some((message, _)) => message,
        None => message,
    };
    message.replace('\n', ": ")
}

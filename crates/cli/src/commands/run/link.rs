//! Defines what a component imports, and explains what is missing.

use super::Host;
use mintage::error::{Error, Result};
use mintage::{Component, LinkError, Linker};
use std::collections::BTreeSet;
use std::path::Path;

/// The parts of WASI that a component imports.
#[derive(Debug, Default)]
pub(super) struct Imports {
    p1: bool,
    p2: bool,
    /// HTTP of WASI 0.2.
    http: bool,
    p3: bool,
    /// HTTP of WASI 0.3.
    p3_http: bool,
}

/// Returns whether an interface is one of WASI 0.3.
pub(super) fn is_p3(name: &str) -> bool {
    name.starts_with("wasi:") && name.contains("@0.3.")
}

impl Imports {
    /// Finds what a component imports.
    pub fn of(component: &Component) -> Imports {
        let engine = component.engine();
        let mut imports = Imports::default();
        for (name, _) in component.component_type().imports(engine) {
            let is_p2 = name.starts_with("wasi:") && !is_p3(name);
            imports.p1 |= name == "wasi_snapshot_preview1" || name == "wasi_unstable";
            imports.p2 |= is_p2;
            imports.http |= is_p2 && name.starts_with("wasi:http/");
            imports.p3 |= is_p3(name);
            imports.p3_http |= is_p3(name) && name.starts_with("wasi:http/");
        }
        imports
    }

    /// Returns whether the component imports functions of 0.3, which wait beside others.
    pub fn has_p3(&self) -> bool {
        self.p3
    }

    /// Makes a linker that defines what the component imports, as far as this command has it.
    /// Defining all of WASI takes longer than to start a small program. With `is_async`, functions
    /// of 0.2 that wait do so in tokio.
    pub fn linker(&self, component: &Component, is_async: bool) -> Result<Linker<Host>> {
        let mut linker = Linker::new(component.engine());
        if self.p1 {
            mintage_wasi::p1::add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi)?;
        }
        match (self.p2, is_async) {
            (true, true) => mintage_wasi::p2::add_to_linker_async(&mut linker)?,
            (true, false) => mintage_wasi::p2::add_to_linker_sync(&mut linker)?,
            (false, _) => {}
        }
        match (self.http, is_async) {
            (true, true) => mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?,
            (true, false) => mintage_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?,
            (false, _) => {}
        }
        if self.p3 {
            mintage_wasi::p3::add_to_linker(&mut linker)?;
        }
        if self.p3_http {
            mintage_wasi_http::p3::add_to_linker(&mut linker)?;
        }
        Ok(linker)
    }
}

/// Adds to an error what provides the imports that are missing.
pub(super) fn explain(error: Error, app: &Path, is_module: bool) -> Error {
    let app = app.display();
    let Some(link) = error.downcast_ref::<LinkError>() else {
        return error.context(format!("cannot instantiate `{app}`"));
    };
    let mut advice = BTreeSet::new();
    for import in link.imports() {
        // `ns:pkg/iface@1.2.3.item`, or for a module `env.item`.
        let name = import.name();
        advice.insert(if name.starts_with("wasi:") {
            let package = name.split('/').next().unwrap_or(name);
            let version = if is_p3(name) { "0.3" } else { "0.2" };
            format!("`{package}` is not in the part of WASI {version} that this command has")
        } else if is_module {
            "a core module has only WASI preview 1 here; other functions are for a host to define"
                .to_string()
        } else {
            "add a component that implements an import with `--plug FILE`".to_string()
        });
    }
    let advice: Vec<String> = advice.into_iter().collect();
    error.context(format!(
        "cannot instantiate `{app}`: nothing provides some of its imports; {}",
        advice.join("; ")
    ))
}

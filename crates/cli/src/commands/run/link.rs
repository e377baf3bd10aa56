//! Defines what a component imports, and explains what is missing.

use super::Host;
use mintage::error::{Error, Result};
use mintage::{Component, LinkError, Linker};
use std::collections::BTreeSet;
use std::path::Path;

/// Makes a linker that defines what the component imports, as far as this command has it. Defining
/// all of WASI takes longer than to start a small program.
pub(super) fn linker(component: &Component) -> Result<Linker<Host>> {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    let (mut imports_p1, mut imports_p2, mut imports_http) = (false, false, false);
    for (name, _) in component.component_type().imports(engine) {
        imports_p1 |= name == "wasi_snapshot_preview1" || name == "wasi_unstable";
        imports_p2 |= name.starts_with("wasi:");
        imports_http |= name.starts_with("wasi:http/");
    }
    if imports_p1 {
        mintage_wasi::p1::add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi)?;
    }
    if imports_p2 {
        mintage_wasi::p2::add_to_linker_sync(&mut linker)?;
    }
    if imports_http {
        mintage_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?;
    }
    Ok(linker)
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
        advice.insert(if name.starts_with("wasi:") && name.contains("@0.3") {
            "WASI 0.3 is not supported yet".to_string()
        } else if name.starts_with("wasi:") {
            let package = name.split('/').next().unwrap_or(name);
            format!("`{package}` is not in the part of WASI 0.2 that this command has")
        } else if is_module {
            "a core module has only WASI preview 1 here; other functions are for a host to define"
                .to_string()
        } else {
            "`--plug FILE` gives the component that implements an import".to_string()
        });
    }
    let advice: Vec<String> = advice.into_iter().collect();
    error.context(format!(
        "cannot instantiate `{app}`: nothing provides some of its imports; {}",
        advice.join("; ")
    ))
}

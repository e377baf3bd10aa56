//! The macro `bindgen!`.
//!
//! ```text
//! macro input       -> Input        the options                      input.rs, rules.rs
//! Input             -> Wit          packages that the options name   wit.rs
//! Wit, its Options  -> tokens       made by `mintage-bindgen`
//! ```

mod input;
mod rules;
mod wit;

#[cfg(test)]
mod tests;

pub use input::Input;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use syn::{Error, Result};
use wit::Wit;

/// The variable that has all generated code written to files.
const DEBUG_VARIABLE: &str = "MINTAGE_DEBUG_BINDGEN";

/// Generates the bindings.
pub fn expand(input: &Input) -> Result<TokenStream> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    generate(input, &root.unwrap_or_default())
        .map_err(|error| Error::new(Span::call_site(), format!("{error:#}")))
}

/// Generates the bindings. Paths of the options are relative to `root`.
fn generate(input: &Input, root: &Path) -> anyhow::Result<TokenStream> {
    let mut wit = Wit::read(input, root)?;
    let world = wit
        .resolve
        .select_world(&wit.packages, input.world.as_deref())?;
    let name = wit.resolve.worlds[world].name.clone();
    let bindings = mintage_bindgen::generate(&input.options, &mut wit.resolve, world)?;
    if input.stringify {
        let text = formatted(&bindings);
        return Ok(quote!(#text));
    }
    let bindings = match input.is_from_file || std::env::var_os(DEBUG_VARIABLE).is_some() {
        true => included(&bindings, &name)?,
        false => bindings,
    };
    // The compiler runs the macro again when a file changes that the code includes.
    let files = wit.files.iter().map(|file| {
        quote!(
            const _: &[u8] = include_bytes!(#file);
        )
    });
    Ok(quote!(#bindings #(#files)*))
}

/// Writes code to a file, so that messages of the compiler show it. Returns what includes the file.
fn included(bindings: &TokenStream, world: &str) -> anyhow::Result<TokenStream> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let crate_name = std::env::var("CARGO_CRATE_NAME").unwrap_or_default();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = format!("{crate_name}-{world}-{number}.rs");
    let path = Path::new(env!("GENERATED_CODE")).join(file);
    std::fs::write(&path, formatted(bindings))
        .map_err(|error| anyhow::anyhow!("cannot write `{}`: {error}", path.display()))?;
    let path = path.to_string_lossy();
    Ok(quote!(include!(#path);))
}

/// Returns code as a person would write it.
fn formatted(code: &TokenStream) -> String {
    match syn::parse2(code.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => code.to_string(),
    }
}

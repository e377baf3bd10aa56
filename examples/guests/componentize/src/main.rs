//! `componentize MODULE COMPONENT`: makes a component of a core module that `wit-bindgen` has
//! described.

use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, component] = &arguments[..] else {
        bail!("usage: componentize MODULE COMPONENT");
    };
    let bytes = fs::read(module).with_context(|| format!("cannot read {module}"))?;
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.module(&bytes)?.validate(true).encode();
    let bytes = encoded.with_context(|| format!("cannot make a component of {module}"))?;
    fs::write(component, bytes).with_context(|| format!("cannot write {component}"))
}

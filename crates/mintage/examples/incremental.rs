//! Compiles components one after another, and functions that several of them have only once.
//!
//! ```text
//! cargo run --release -p mintage --example incremental -- first.wasm second.wasm
//! ```
//!
//! Without arguments it compiles two small components.

use mintage::{Component, Config, Engine, FunctionStore, Result};
use std::sync::Arc;
use std::time::Instant;

/// Returns a component with this data.
fn sample(data: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (memory 1)
                (data (i32.const 0) "{data}")
                (func (export "first") (result i32) (i32.load8_u (i32.const 0))))
            (core instance $i (instantiate $m))
            (func (export "first") (result u8) (canon lift (core func $i "first"))))"#
    );
    text.into_bytes()
}

fn main() -> Result<()> {
    let mut components = Vec::new();
    for path in std::env::args().skip(1) {
        components.push((path.clone(), std::fs::read(path)?));
    }
    if components.is_empty() {
        components = ["one", "two"]
            .map(|data| (data.into(), sample(data)))
            .into();
    }

    let store = Arc::new(FunctionStore::new(256 << 20));
    let mut config = Config::new();
    config.enable_incremental_compilation(store.clone())?;
    let engine = Engine::new(&config)?;
    for (name, bytes) in components {
        let (hits, misses) = (store.hits(), store.misses());
        let start = Instant::now();
        Component::new(&engine, bytes)?;
        println!(
            "{name}: {:.0} ms, {} functions compiled, {} reused",
            start.elapsed().as_secs_f64() * 1e3,
            store.misses() - misses,
            store.hits() - hits
        );
    }
    Ok(())
}

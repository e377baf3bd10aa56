//! Opens a text, and runs the commands of two plug-ins on it, also those that never end, take all
//! memory, or trap.
//!
//! `cargo run --release -p mintage-example-plugins`

use mintage::{Config, Engine, Result};
use mintage_example_plugins::{Limits, Plugin, Text};
use std::path::Path;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let engine = Engine::new(Config::new().interruptible(true))?;
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("project");
    let mut plugins = Vec::new();
    for name in ["titles", "checks"] {
        let bytes = std::fs::read(guests.join(name).with_extension("wasm"))?;
        let limits = Limits::default();
        plugins.push(Plugin::new(&engine, name, &bytes, &project, limits)?);
    }

    let text = Text::new(
        "poem.txt",
        "the quick brown fox  \njumps over the lazy dog\n",
    );
    for plugin in &mut plugins {
        let (version, commands) = plugin.menu().await?;
        println!("{} (API {version})", plugin.name());
        for (command, title) in commands {
            match plugin.run(&command, &text).await {
                Ok(outcome) => println!("  {title}: {outcome:?}"),
                Err(error) => println!("  {title}: {error}"),
            }
        }
        println!("  {} instances", plugin.instances());
    }
    println!("\n{}", text.text());
    for (line, remark) in text.remarks() {
        println!("line {}: {remark}", line + 1);
    }
    Ok(())
}

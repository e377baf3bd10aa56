//! `mintage compose`: links components into one.

use crate::input::Source;
use crate::output;
use mintage::error::{Result, ensure};
use mintage::{Config, Engine};
use mintage_environ::Feature;
use std::path::PathBuf;

/// Link components into one: plugs implement imports of APP
///
/// The result is a component that has the exports of APP, and imports what no plug implements. It
/// can be compiled, run and composed again. `mintage run --plug` and `mintage compile --plug` do
/// the same without a file in between.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    /// File to write the component to; `-` writes to standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Args {
    pub(crate) fn execute(self) -> Result<()> {
        ensure!(
            self.source.has_additions(),
            "nothing to compose with `{}`; add `--plug FILE`",
            self.source.app.display()
        );
        // Compiling the result checks which features are on.
        let mut config = Config::new();
        for feature in Feature::ALL {
            config.wasm_feature(feature, true);
        }
        let component = self.source.read_component(&Engine::new(&config)?)?;
        output::write(&self.output, &component, self.source.files())
    }
}

//! Artifacts without loading them: [`Precompiled`], and whether two engines share them.

use super::Engine;
use crate::error::{Context, Result};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::Path;

/// The kind of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precompiled {
    /// A core module. This engine makes no such artifacts.
    Module,
    /// A component.
    Component,
}

/// The bytes at the start of an artifact that tell what it is.
const START: u64 = mintage_artifact::PAGE;

impl Engine {
    /// Returns whether the bytes are an artifact, which
    /// [`Component::deserialize`](crate::Component::deserialize) loads, and of which kind; `None`
    /// for anything else. Only the beginning is read: an artifact may be damaged, or be one of
    /// another version or of other settings.
    pub fn detect_precompiled(bytes: &[u8]) -> Option<Precompiled> {
        mintage_artifact::is_artifact(bytes).then_some(Precompiled::Component)
    }

    /// Returns the same for a file, of which only the beginning is read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn detect_precompiled_file(path: impl AsRef<Path>) -> Result<Option<Precompiled>> {
        let path = path.as_ref();
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(START).read_to_end(&mut start))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::detect_precompiled(&start))
    }

    /// Returns a value for use as a key of artifacts. If it has the same hash as that of another
    /// engine, in this process or another one, each engine loads the artifacts of the other.
    ///
    /// It stands for the version of the engine, the processor of this host, the target that code is
    /// generated for, and the settings that machine code depends on.
    pub fn precompile_compatibility_hash(&self) -> impl Hash + '_ {
        Compatibility(self)
    }
}

struct Compatibility<'a>(&'a Engine);

impl Hash for Compatibility<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let host = mintage_runtime::host();
        env!("CARGO_PKG_VERSION").hash(state);
        host.triple.hash(state);
        host.cpu_features.hash(state);
        format!("{:?}", self.0.config().tunables).hash(state);
        #[cfg(feature = "compiler")]
        self.0.config().target.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, OptLevel};
    use std::hash::DefaultHasher;

    fn hash(config: &Config) -> u64 {
        let mut hasher = DefaultHasher::new();
        let engine = Engine::new(config).unwrap();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn engines_with_other_code_have_another_hash() {
        let expected = hash(&Config::new());
        assert_eq!(hash(&Config::new()), expected);
        // Not part of the code.
        assert_eq!(hash(Config::new().max_wasm_stack(1 << 20)), expected);
        let epochs = hash(Config::new().epoch_interruption(true));
        for other in [
            epochs,
            hash(Config::new().consume_fuel(true)),
            hash(Config::new().opt_level(OptLevel::None)),
            hash(Config::new().wasm_simd(false)),
        ] {
            assert_ne!(other, expected);
        }
        #[cfg(feature = "compiler")]
        for other in [
            hash(Config::new().cpu("baseline")),
            hash(Config::new().target("aarch64").unwrap()),
        ] {
            assert_ne!(other, expected);
        }
        assert_eq!(hash(Config::new().interruptible(true)), epochs);
    }
}

//! Components in a cache of compiled components ([`Config::cache`](crate::Config::cache)).

use super::compile::Kind;
use super::{Component, load_check};
use crate::Engine;
use crate::engine::Cache;
use crate::engine::cache::{Entry, Key};
use crate::error::dwarf::{DebugInfo, Identity};
use mintage_artifact::Check;
use mintage_runtime::Code;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

impl Component {
    /// Returns the component, or core module as a component, that is in a regular file, if the
    /// engine's cache has it, and whether it is a module. The file is read in blocks, so that a
    /// large one need not be kept in memory.
    #[doc(hidden)]
    pub fn from_cache(engine: &Engine, path: &Path) -> Option<(Component, bool)> {
        let mut kind = Kind::Component;
        let component = Self::from_cache_if(engine, path, |found| {
            kind = found;
            true
        })?;
        Some((component, kind == Kind::Module))
    }

    /// Does the same if the file is of this kind.
    pub(super) fn from_cache_as(engine: &Engine, path: &Path, kind: Kind) -> Option<Component> {
        Self::from_cache_if(engine, path, |found| found == kind)
    }

    fn from_cache_if(
        engine: &Engine,
        path: &Path,
        is_wanted: impl FnOnce(Kind) -> bool,
    ) -> Option<Component> {
        engine.usable_cache()?;
        let mut file = File::open(path).ok()?;
        // Others can be read only once, and whoever asked needs their bytes if this fails.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let identity = Identity::of(&file)?;
        let mut start = Vec::new();
        (&mut file).take(8).read_to_end(&mut start).ok()?;
        file.rewind().ok()?;
        let kind = Kind::of(&start);
        is_wanted(kind).then_some(())?;
        let component = Self::find_cached(engine, kind, &mut file).ok()?;
        if engine.config().backtrace_details {
            let engine = engine.weak();
            let to_component = move |bytes: Vec<u8>| {
                let component = kind.component(&engine.upgrade()?, &bytes).ok()?;
                Some(component.into_owned())
            };
            let debug_info = DebugInfo::of_file(path.into(), identity, Box::new(to_component));
            component
                .code()
                .set_debug_info(mintage_runtime::DebugInfo(Arc::new(debug_info)));
        }
        Some(component)
    }

    /// Returns the component in `source` if the engine's cache has it, or else the key by which it
    /// can be kept, if there is a cache.
    pub(super) fn find_cached(
        engine: &Engine,
        kind: Kind,
        source: &mut dyn Read,
    ) -> Result<Component, Option<Key>> {
        let Some(cache) = engine.usable_cache() else {
            return Err(None);
        };
        let Some(key) = cache.key(engine, kind, source) else {
            return Err(None);
        };
        match Self::load_cached(engine, cache, &key) {
            Some(component) => {
                cache.hit();
                Ok(component)
            }
            None => Err(Some(key)),
        }
    }

    fn load_cached(engine: &Engine, cache: &Cache, key: &Key) -> Option<Component> {
        let Entry {
            file,
            artifact_size,
            base,
            authenticity,
        } = cache.find(key)?;
        // The tag covers all bytes, so the hash of most of them need not be compared as well.
        let check = load_check(engine, Check::Metadata);
        let accept = |artifact: &[u8]| authenticity.is_proved_by(artifact);
        // SAFETY: the tag of an authentic entry was computed with the secret that only this user
        // can read, by `Cache::insert`, of an artifact that the compiler had just made. The file of
        // an entry is complete when it gets its name, and is not written afterwards. It belongs to
        // this user, and no one else may write it. All of that is true of the base as well, which
        // is an entry.
        let code =
            unsafe { Code::open_if(file, artifact_size, base, accept, &check, engine.pool()) };
        Self::from_code(engine, code.ok()?).ok()
    }

    /// Keeps a component that was just compiled, if there is a cache that can be used.
    pub(super) fn keep_in_cache(engine: &Engine, key: Option<Key>, artifact: &[u8]) {
        let Some(cache) = engine.usable_cache() else {
            return;
        };
        cache.miss();
        if let Some(key) = key {
            cache.insert(&key, artifact, engine.pool().shares_code());
        }
    }
}

impl Engine {
    /// Returns the cache of an engine that may compile.
    pub(super) fn usable_cache(&self) -> Option<&Cache> {
        let config = self.config();
        config.cache.as_ref().filter(|_| config.compiles)
    }
}

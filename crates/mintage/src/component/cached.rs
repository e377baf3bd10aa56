//! Components in a cache of compiled components ([`Config::cache`](crate::Config::cache)).

use super::{Component, load_check};
use crate::Engine;
use crate::engine::Cache;
use crate::engine::cache::Key;
use mintage_artifact::Check;
use mintage_runtime::Code;
use std::fs::File;
use std::io::Read;
use std::path::Path;

impl Component {
    /// Returns the component in a regular file if the engine's cache has it. The file is read in
    /// blocks, so that a large one need not be kept in memory.
    #[doc(hidden)]
    pub fn from_cache(engine: &Engine, path: &Path) -> Option<Component> {
        engine.usable_cache()?;
        let mut file = File::open(path).ok()?;
        // Others can be read only once, and whoever asked needs their bytes if this fails.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        Self::find_cached(engine, &mut file).ok()
    }

    /// Returns the component in `source` if the engine's cache has it, or else the key by which it
    /// can be kept, if there is a cache.
    pub(super) fn find_cached(
        engine: &Engine,
        source: &mut dyn Read,
    ) -> Result<Component, Option<Key>> {
        let Some(cache) = engine.usable_cache() else {
            return Err(None);
        };
        let Some(key) = cache.key(engine, source) else {
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
        let (file, entry) = cache.find(key)?;
        // The tag covers all bytes, so the hash of most of them need not be compared as well.
        let check = load_check(engine, Check::Metadata);
        let accept = |artifact: &[u8]| entry.is_authentic(artifact);
        // SAFETY: the tag of an authentic entry was computed with the secret that only this user
        // can read, by `Cache::insert`, of an artifact that the compiler had just made. An entry is
        // complete when it gets its name, and is not written afterwards. It belongs to this user,
        // and no one else may write it.
        let code =
            unsafe { Code::open_if(file, entry.artifact_size, accept, &check, engine.pool()) };
        Self::from_code(engine, code.ok()?).ok()
    }

    /// Keeps a component that was just compiled, if there is a cache that can be used.
    pub(super) fn keep_in_cache(engine: &Engine, key: Option<Key>, artifact: &[u8]) {
        let Some(cache) = engine.usable_cache() else {
            return;
        };
        cache.miss();
        if let Some(key) = key {
            cache.insert(&key, artifact);
        }
    }
}

impl Engine {
    /// Returns the cache of an engine that may compile.
    fn usable_cache(&self) -> Option<&Cache> {
        let config = self.config();
        config.cache.as_ref().filter(|_| config.compiles)
    }
}

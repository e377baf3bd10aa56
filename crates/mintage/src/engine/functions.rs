//! Machine code of functions that were compiled before: [`FunctionStore`], and the settings of
//! [`Config`] for it.

use super::Config;
use crate::error::{Context, Result};
pub use mintage_compile::CacheStore;
use mintage_compile::FunctionCache;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

impl Config {
    /// Sets a store from which the compiler takes the machine code of functions that it has
    /// compiled before, and to which it adds the others; default: none.
    ///
    /// A component that differs from one before it in a few functions is then compiled in a
    /// fraction of the time, and one that differs in its data alone in a smaller one. The result is
    /// the same. [`FunctionStore`] keeps functions in memory.
    ///
    /// Entries are authenticated with a secret of this configuration and its clones, so the store
    /// need not be trusted, and they are of no use to other processes.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers for the secret.
    pub fn enable_incremental_compilation(
        &mut self,
        cache: Arc<dyn CacheStore>,
    ) -> Result<&mut Self> {
        let mut secret = [0; 32];
        let mut rest = &mut secret[..];
        while !rest.is_empty() {
            let flags = rustix::rand::GetRandomFlags::empty();
            let filled = match rustix::rand::getrandom(&mut *rest, flags) {
                Err(rustix::io::Errno::INTR) => 0,
                filled => filled.context("the system gives no random numbers")?,
            };
            rest = &mut rest[filled..];
        }
        self.functions = Some(FunctionCache::new(cache, secret));
        Ok(self)
    }
}

/// A store of compiled functions in memory, of limited size.
///
/// When it is full, functions that were not used for long are forgotten.
///
/// ```
/// use mintage::{Component, Config, Engine, FunctionStore};
/// use std::sync::Arc;
///
/// # fn main() -> mintage::Result<()> {
/// let store = Arc::new(FunctionStore::new(64 << 20));
/// let mut config = Config::new();
/// config.enable_incremental_compilation(store.clone())?;
/// let engine = Engine::new(&config)?;
///
/// let component = |data: &str| {
///     format!(
///         r#"(component
///             (core module $m
///                 (memory 1)
///                 (data (i32.const 0) "{data}")
///                 (func (export "first") (result i32) (i32.load8_u (i32.const 0))))
///             (core instance $i (instantiate $m))
///             (func (export "first") (result u8) (canon lift (core func $i "first"))))"#
///     )
/// };
/// Component::new(&engine, component("one"))?;
/// let compiled = store.misses();
/// Component::new(&engine, component("two"))?;
/// assert_eq!(store.misses(), compiled);
/// # Ok(())
/// # }
/// ```
pub struct FunctionStore {
    capacity: usize,
    state: Mutex<State>,
}

/// Functions in two generations. Those that are used move to the young one. When it has half of the
/// capacity it becomes the old one, and what is left of the old one is forgotten.
#[derive(Default)]
struct State {
    young: Generation,
    old: Generation,
    hits: u64,
    misses: u64,
}

#[derive(Default)]
struct Generation {
    functions: HashMap<Box<[u8]>, Arc<[u8]>>,
    size: usize,
}

/// What an entry takes in addition to its key and value, in bytes.
const OVERHEAD: usize = 64;

impl FunctionStore {
    /// Creates an empty store for functions of `capacity` bytes together. A component of 12 MB has
    /// functions of about 20 MB.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// Returns how many functions, and lists of a component's functions, were found since the store
    /// was created.
    pub fn hits(&self) -> u64 {
        self.state().hits
    }

    /// Returns how many of them were looked for and not found since the store was created.
    pub fn misses(&self) -> u64 {
        self.state().misses
    }

    /// Returns the size of all functions in bytes.
    pub fn size(&self) -> usize {
        let state = self.state();
        state.young.size + state.old.size
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave a generation half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, key: Box<[u8]>, value: Arc<[u8]>, capacity: usize) {
        let size = key.len() + value.len() + OVERHEAD;
        if self.young.size + size > capacity / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value, size);
    }
}

impl Generation {
    fn insert(&mut self, key: Box<[u8]>, value: Arc<[u8]>, size: usize) {
        self.size += size;
        if let Some((key, value)) = self.functions.remove_entry(&key) {
            self.size -= key.len() + value.len() + OVERHEAD;
        }
        self.functions.insert(key, value);
    }
}

impl CacheStore for FunctionStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut state = self.state();
        let found = state.young.functions.get(key).cloned().or_else(|| {
            let (key, value) = state.old.functions.remove_entry(key)?;
            state.old.size -= key.len() + value.len() + OVERHEAD;
            state.add(key, value.clone(), self.capacity);
            Some(value)
        });
        match &found {
            Some(_) => state.hits += 1,
            None => state.misses += 1,
        }
        drop(state);
        found.map(|value| value.to_vec().into())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let fits = key.len() + value.len() + OVERHEAD <= self.capacity / 2;
        if fits {
            self.state().add(key.into(), value.into(), self.capacity);
        }
        fits
    }
}

impl fmt::Debug for FunctionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionStore")
            .field("capacity", &self.capacity)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

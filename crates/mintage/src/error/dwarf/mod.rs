//! Debug information (DWARF) of guests: from an offset in a component to lines of source.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | [`DebugInfo`]: where the debug information of a component is |
//! | `sections.rs` | finds the sections of the core modules in a component |
//! | `lookup.rs` | looks up one address |
//!
//! Debug information is not part of an artifact. It is often ten times as large as the code, and it
//! is needed only when a guest traps. A component that is compiled keeps the sections in memory,
//! and one that comes from a cache or a file keeps its path. Nothing is parsed before a symbol of a
//! backtrace is asked for.
//!
//! The guest's maker decides what the sections contain. A lookup neither panics nor reads out of
//! bounds, and has a time limit, after which neither it nor a later one finds anything.

mod lookup;
mod sections;

use super::FrameSymbol;
use sections::ModuleSections;
use std::fmt;
#[cfg(feature = "cache")]
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "cache")]
use std::time::SystemTime;
use std::time::{Duration, Instant};

/// The time that a lookup may take. One in 30 MB of debug information takes about 20 ms.
const TIME: Duration = Duration::from_millis(500);

/// The debug information of a component.
pub(crate) struct DebugInfo {
    source: Source,
    modules: OnceLock<Vec<ModuleSections>>,
    /// Whether a lookup took too long. Then there are no others.
    takes_long: AtomicBool,
}

/// The place of the debug information.
enum Source {
    /// It has been read.
    Memory,
    /// A file that is read when it is needed, if it is still the same.
    #[cfg(feature = "cache")]
    File {
        path: PathBuf,
        identity: Identity,
        /// Makes of the file's bytes what was compiled.
        component: ToComponent,
    },
}

/// Makes of the bytes of a file the component that was compiled.
#[cfg(feature = "cache")]
pub(crate) type ToComponent = Box<dyn Fn(Vec<u8>) -> Option<Vec<u8>> + Send + Sync>;

/// What changes when the contents of a file change.
#[cfg(feature = "cache")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    len: u64,
    modified: SystemTime,
}

#[cfg(feature = "cache")]
impl Identity {
    /// Returns the identity of an open file.
    pub fn of(file: &std::fs::File) -> Option<Identity> {
        let metadata = file.metadata().ok()?;
        Some(Identity {
            len: metadata.len(),
            modified: metadata.modified().ok()?,
        })
    }
}

// A panic while it is read leaves it unread.
impl std::panic::UnwindSafe for DebugInfo {}
impl std::panic::RefUnwindSafe for DebugInfo {}

impl DebugInfo {
    /// Takes the debug information out of a component in binary form. `None` if it has none.
    pub fn of_component(bytes: &[u8]) -> Option<DebugInfo> {
        let modules = sections::read(bytes);
        (!modules.is_empty()).then(|| DebugInfo {
            source: Source::Memory,
            modules: OnceLock::from(modules),
            takes_long: AtomicBool::new(false),
        })
    }

    /// Refers to the debug information in a file. `component` makes of the file's bytes the
    /// component that was compiled.
    #[cfg(feature = "cache")]
    pub fn of_file(path: PathBuf, identity: Identity, component: ToComponent) -> DebugInfo {
        DebugInfo {
            source: Source::File {
                path,
                identity,
                component,
            },
            modules: OnceLock::new(),
            takes_long: AtomicBool::new(false),
        }
    }

    fn modules(&self) -> &[ModuleSections] {
        self.modules.get_or_init(|| match &self.source {
            Source::Memory => Vec::new(),
            #[cfg(feature = "cache")]
            Source::File {
                path,
                identity,
                component,
            } => {
                let read = || {
                    use std::io::Read;
                    let mut file = std::fs::File::open(path).ok()?;
                    let mut bytes = Vec::new();
                    (Identity::of(&file)? == *identity).then_some(())?;
                    file.read_to_end(&mut bytes).ok()?;
                    component(bytes)
                };
                read()
                    .map(|bytes| sections::read(&bytes))
                    .unwrap_or_default()
            }
        })
    }

    /// Returns the places in the source of the instruction at an offset in the component, innermost
    /// inlined function first. Empty if they are not known.
    pub fn lookup(&self, offset: u32) -> Vec<FrameSymbol> {
        if self.takes_long.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let contains = |module: &&ModuleSections| module.code.contains(&(offset as usize));
        let Some(module) = self.modules().iter().find(contains) else {
            return Vec::new();
        };
        // Addresses in DWARF of WebAssembly are offsets in the contents of the code section.
        let address = offset as usize - module.code.start;
        let start = Instant::now();
        let symbols = lookup::lookup(module, address as u64, start + TIME);
        if start.elapsed() >= TIME {
            self.takes_long.store(true, Ordering::Relaxed);
        }
        symbols.unwrap_or_default()
    }
}

impl fmt::Debug for DebugInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugInfo").finish_non_exhaustive()
    }
}

//! [`WasmBacktrace`]: where a guest was when its call ended, or where it is.

#[cfg(feature = "compiler")]
use super::dwarf::DebugInfo;
use mintage_environ::{FuncKey, Printable};
use mintage_runtime::{Backtrace, Frame};
use std::fmt;
use std::sync::OnceLock;

/// The wasm functions that were active when a guest trapped or a host function failed, innermost
/// first. It is part of the error: `error.downcast_ref::<WasmBacktrace>()`.
///
/// [`capture`](Self::capture) returns those that are active now, in a host function.
#[derive(Debug)]
pub struct WasmBacktrace {
    frames: Vec<FrameInfo>,
    omitted: usize,
    /// The name of the host function that failed; none for a trap and a captured backtrace.
    failed: Option<String>,
}

/// One active wasm function.
#[derive(Debug)]
pub struct FrameInfo {
    frame: Frame,
    module: Module,
    symbols: OnceLock<Vec<FrameSymbol>>,
}

/// A core module of a component, as [`FrameInfo::module`] names it.
///
/// This engine compiles components only. A core module is a part of one, and is neither compiled
/// nor instantiated by itself:
///
/// - A module that a component imports is given to `CodeBuilder::core_module` when the component is
///   compiled.
/// - A module by itself is compiled as a component by `Component::from_module`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    name: Option<String>,
}

impl Module {
    /// Returns the module's name in its name section, if the component has it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl FrameInfo {
    fn new(frame: Frame) -> FrameInfo {
        let module = Module {
            name: frame.module.clone(),
        };
        FrameInfo {
            frame,
            module,
            symbols: OnceLock::new(),
        }
    }

    /// Returns the function's index in the function index space of its core module.
    pub fn func_index(&self) -> u32 {
        match self.frame.key {
            FuncKey::CoreFunc { func, .. } => func.as_u32(),
            // Other functions have no frames in backtraces.
            _ => 0,
        }
    }

    /// Returns the core module that has the function.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Returns the function's name in the name section of its core module, if the component has it.
    pub fn func_name(&self) -> Option<&str> {
        self.frame.name.as_deref()
    }

    /// Returns the byte offset in the component of the instruction that runs. `None` if the
    /// component was compiled without
    /// [`Config::generate_address_map`](crate::Config::generate_address_map).
    pub fn module_offset(&self) -> Option<usize> {
        self.frame.offset.map(|offset| offset as usize)
    }

    /// Returns the byte offset in the function's body of the instruction that runs. `None` if the
    /// component was compiled without
    /// [`Config::generate_address_map`](crate::Config::generate_address_map).
    pub fn func_offset(&self) -> Option<usize> {
        let offset = self.frame.offset?.checked_sub(self.frame.start?)?;
        Some(offset as usize)
    }

    /// Returns the places in the source of the instruction that runs, innermost inlined function
    /// first.
    ///
    /// The list is empty if the component has no debug information (DWARF) for the instruction, or
    /// if it was not kept: see
    /// [`Config::wasm_backtrace_details`](crate::Config::wasm_backtrace_details). The first call
    /// looks it up, which takes milliseconds, and at most half a second for debug information that
    /// is damaged or made to take long.
    pub fn symbols(&self) -> &[FrameSymbol] {
        self.symbols.get_or_init(|| self.find_symbols())
    }

    #[cfg(feature = "compiler")]
    fn find_symbols(&self) -> Vec<FrameSymbol> {
        let debug_info = self.frame.debug_info.as_ref();
        let debug_info = debug_info.and_then(|kept| {
            let kept: &dyn std::any::Any = &*kept.0;
            kept.downcast_ref::<DebugInfo>()
        });
        match (debug_info, self.frame.offset) {
            (Some(debug_info), Some(offset)) => debug_info.lookup(offset),
            _ => Vec::new(),
        }
    }

    /// Only what is compiled has debug information.
    #[cfg(not(feature = "compiler"))]
    fn find_symbols(&self) -> Vec<FrameSymbol> {
        Vec::new()
    }
}

/// A place in the source of a guest. See [`FrameInfo::symbols`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSymbol {
    pub(super) name: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

impl FrameSymbol {
    /// Returns the function's name as the debug information has it, which may be mangled.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the source file.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns the line, counted from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Returns the column, counted from 1.
    pub fn column(&self) -> Option<u32> {
        self.column
    }
}

impl fmt::Display for FrameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.frame.clone();
        shown.name = shown.name.map(|name| demangled(&name));
        shown.fmt(f)?;
        let symbols = self.symbols();
        for symbol in symbols {
            // The name of the function itself is in the line above.
            if let Some(name) = symbol.name().filter(|_| symbols.len() > 1) {
                write!(f, "\n             {}", Printable(&demangled(name)))?;
            }
            if let Some(file) = symbol.file() {
                write!(f, "\n             at {}", Printable(file))?;
                for number in [symbol.line(), symbol.column()].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the name that a function has in the source, without the hash that Rust adds.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

impl WasmBacktrace {
    pub(crate) fn new(backtrace: Backtrace) -> WasmBacktrace {
        WasmBacktrace {
            frames: backtrace.frames.into_iter().map(FrameInfo::new).collect(),
            omitted: backtrace.omitted,
            failed: None,
        }
    }

    /// Makes the context of an error of a host function, which gets the frames of its guest where
    /// the guest's call ends. Hosts expect the error of the function right below the backtrace.
    pub(crate) fn of_host_function(name: String) -> WasmBacktrace {
        WasmBacktrace {
            frames: Vec::new(),
            omitted: 0,
            failed: Some(name),
        }
    }

    /// Returns whether a host function failed.
    pub(crate) fn is_of_host_function(&self) -> bool {
        self.failed.is_some()
    }

    /// Sets the frames of a backtrace that has none.
    pub(crate) fn complete(&mut self, backtrace: Backtrace) {
        if self.frames.is_empty() {
            *self = WasmBacktrace {
                failed: self.failed.take(),
                ..Self::new(backtrace)
            };
        }
    }

    /// Returns the frames, innermost first. There are at most 20; the outer ones of a deeper stack
    /// are missing.
    pub fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failed {
            Some(name) if self.frames.is_empty() => {
                return write!(f, "the host function `{name}` failed");
            }
            Some(name) => write!(f, "the host function `{name}` failed at wasm backtrace:")?,
            None => f.write_str("error while executing at wasm backtrace:")?,
        }
        for (i, frame) in self.frames.iter().enumerate() {
            write!(f, "\n    {i:>3}: {frame}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n         ... and {omitted} more"),
        }
    }
}

//! [`CompileLimits`]: limits of the time and memory that compiling a component takes.

use anyhow::{Result, ensure};
use mintage_codegen::{CompiledFunction, FUNCTION_VALUES};
use mintage_environ::limit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Limits of the time and memory that compiling a component takes. The error says which one was
/// exceeded.
///
/// The limits do not change the artifact of a component that stays within them. There are further
/// limits that are proportional to the component's size, and those that WebAssembly implementations
/// have agreed on, such as 7.6 MB for the body of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    time: Option<Duration>,
    code_size: usize,
    function_values: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            time: None,
            code_size: 2 << 30,
            function_values: FUNCTION_VALUES,
        }
    }
}

impl CompileLimits {
    /// Creates the default limits, which are generous.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time that compiling may take; default: no limit.
    ///
    /// The time is checked before each function is validated or compiled, before each definition of
    /// a component is instantiated, and between phases. It can be exceeded by as much as one
    /// function takes, whose size [`function_values`](Self::function_values) limits.
    pub fn time(&mut self, time: Option<Duration>) -> &mut Self {
        self.time = time;
        self
    }

    /// Sets the maximum size in bytes of machine code and its tables; default: 2 GiB, which is as
    /// far as calls reach.
    pub fn code_size(&mut self, bytes: usize) -> &mut Self {
        self.code_size = bytes;
        self
    }

    /// Sets the maximum number of values in a function; default: 2^24.
    ///
    /// Operands that are copied to calls and branches count as values, too. A value takes about 60
    /// bytes while the function is compiled. Ordinary functions have less than one for each byte of
    /// their bodies.
    pub fn function_values(&mut self, values: usize) -> &mut Self {
        self.function_values = values;
        self
    }

    pub(crate) fn most_function_values(&self) -> usize {
        self.function_values
    }
}

/// The maximum number of values in all functions for each byte of their bodies. Ordinary code has
/// less than one. Calls and blocks with a thousand parameters can have a thousand.
const VALUES_PER_BYTE: usize = 16;
/// The number of values that all functions may have in addition.
const VALUES_ALWAYS: usize = 1 << 18;
/// The maximum size in bytes of the tables of all functions while they are compiled. The tables of
/// large programs are about as large as their code. Those of contrived ones can grow with the
/// square of their size.
const MAX_TABLES: usize = 1 << 30;

/// The resources that a compilation has used so far, shared by the compiling threads.
pub(crate) struct Spent<'a> {
    limits: &'a CompileLimits,
    start: Instant,
    code: AtomicUsize,
    tables: AtomicUsize,
    values: AtomicUsize,
    most_values: AtomicUsize,
}

impl<'a> Spent<'a> {
    pub fn new(limits: &'a CompileLimits) -> Self {
        Self {
            limits,
            start: Instant::now(),
            code: AtomicUsize::new(0),
            tables: AtomicUsize::new(0),
            values: AtomicUsize::new(0),
            most_values: AtomicUsize::new(VALUES_ALWAYS),
        }
    }

    /// Raises the limit of values for bodies of `bytes` bytes that will be compiled.
    pub fn allow_for(&self, bytes: usize) {
        let more = bytes.saturating_mul(VALUES_PER_BYTE);
        self.most_values.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns an error if compiling has taken too long.
    pub fn check_time(&self) -> Result<()> {
        if let Some(time) = self.limits.time {
            ensure!(
                self.start.elapsed() <= time,
                limit!(
                    CompileTime,
                    "compiling the component takes longer than the {time:?} that \
                     `CompileLimits::time` allows; raise it, or split the component"
                )
            );
        }
        Ok(())
    }

    /// Counts the values of a function that will be compiled, and returns an error if all functions
    /// together have too many.
    pub fn admit(&self, values: usize) -> Result<()> {
        let most = self.most_values.load(Ordering::Relaxed);
        ensure!(
            add(&self.values, values) <= most,
            limit!(
                ComponentSize,
                "the functions of the component have more than {most} values ({VALUES_ALWAYS}, and \
                 {VALUES_PER_BYTE} for each byte of code); pass fewer parameters and results to \
                 calls and blocks"
            )
        );
        Ok(())
    }

    /// Counts the sizes of a compiled function, and returns an error if all functions together are
    /// too large. Counting early avoids an error after hours, or exhausted memory.
    pub fn count(&self, function: &CompiledFunction) -> Result<()> {
        self.count_sizes(function.code.len(), function.table_size())
    }

    fn count_sizes(&self, code: usize, tables: usize) -> Result<()> {
        let (code, tables) = (add(&self.code, code), add(&self.tables, tables));
        let most = self.limits.code_size;
        ensure!(
            code.saturating_add(tables) <= most,
            limit!(
                ComponentSize,
                "the machine code of the component and its tables exceed the {most} bytes that \
                 `CompileLimits::code_size` allows; raise it (at most 2 GiB of code can be \
                 linked), or instantiate fewer core modules"
            )
        );
        ensure!(
            tables <= MAX_TABLES,
            limit!(
                ComponentSize,
                "the tables of the component's machine code (traps, address map, exception \
                 handlers, stack maps) exceed 1 GiB; split its functions, so that fewer references \
                 are live across each call"
            )
        );
        Ok(())
    }
}

/// Adds `more` to a sum and returns the result.
fn add(sum: &AtomicUsize, more: usize) -> usize {
    sum.fetch_add(more, Ordering::Relaxed).saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named() {
        let mut limits = CompileLimits::new();
        limits.code_size(100);
        let spent = Spent::new(&limits);
        spent.count_sizes(90, 10).unwrap();
        let error = spent.count_sizes(0, 1).unwrap_err().to_string();
        assert!(error.contains("exceed the 100 bytes"), "{error}");

        limits.code_size(4 << 30);
        let spent = Spent::new(&limits);
        spent.count_sizes(0, 1 << 30).unwrap();
        let error = spent.count_sizes(0, 1).unwrap_err().to_string();
        assert!(error.contains("exceed 1 GiB"), "{error}");

        spent.allow_for(10);
        spent.admit((1 << 18) + 160).unwrap();
        let error = spent.admit(1).unwrap_err().to_string();
        assert!(error.contains("more than 262304 values"), "{error}");

        limits.time(Some(Duration::ZERO));
        let error = Spent::new(&limits).check_time().unwrap_err().to_string();
        assert!(error.contains("longer than the 0ns"), "{error}");
    }
}

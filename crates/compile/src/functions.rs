//! Phase `functions`: machine code of every function, in parallel.

use crate::link::MAX_TEXT;
use crate::{LaidOut, Progress};
use anyhow::{Context, Error, Result, ensure};
use mintage_codegen::{CompiledFunction, Compiler, RelocationTarget, Scratch};
use mintage_environ::FuncKey;
use mintage_program::Program;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The most bytes that the tables of all functions may take together while they are compiled. The tables of large programs are
/// about as large as their code; those of made-up ones can grow with the square of their size.
const MAX_TABLES: usize = 1 << 30;

/// A program with the machine code of its functions.
pub(crate) struct Generated<'a> {
    pub laid_out: LaidOut<'a>,
    /// In order of keys, each once.
    pub functions: Vec<CompiledFunction>,
}

/// Generates the functions of a program with every thread of the rayon pool that this runs in, if it runs in one.
///
/// Threads take functions one by one from one list, largest first, so that none is left with a large one when the others are
/// done; builtins follow, which are small and whose list is known then. The result is in order of keys: how the threads shared
/// the work does not show.
pub(crate) fn generate<'a>(
    laid_out: LaidOut<'a>,
    compiler: &Compiler,
    progress: &dyn Progress,
) -> Result<Generated<'a>> {
    let mut functions = Vec::new();
    compile_all(
        &laid_out,
        compiler,
        &work_list(&laid_out.program),
        &mut functions,
        progress,
    )?;
    let builtins = called_builtins(&functions);
    compile_all(&laid_out, compiler, &builtins, &mut functions, progress)?;
    functions.sort_unstable_by_key(|function| function.key);
    Ok(Generated { laid_out, functions })
}

/// Appends the compiled functions of a list, in any order.
fn compile_all(
    LaidOut { program, layout }: &LaidOut<'_>,
    compiler: &Compiler,
    work: &[FuncKey],
    functions: &mut Vec<CompiledFunction>,
    progress: &dyn Progress,
) -> Result<()> {
    let before = functions.len();
    let queue = Queue::default();
    let worker = || {
        let mut scratch = Scratch::default();
        let mut functions = Vec::new();
        while let Some(&key) = queue.take(work) {
            let function = compiler.compile(program, layout, key, &mut scratch);
            match function.and_then(|function| queue.count(&function).map(|()| function)) {
                Ok(function) => functions.push(function),
                Err(error) => queue.fail(key, error),
            }
            progress.functions(before + queue.count_done(), before + work.len());
        }
        functions
    };
    let finished = match rayon::current_thread_index() {
        Some(_) => rayon::broadcast(|_| worker()),
        None => vec![worker()],
    };
    queue.result()?;
    functions.extend(finished.into_iter().flatten());
    Ok(())
}

/// The builtins that functions call, each once: only these have a trampoline. It calls no other.
fn called_builtins(functions: &[CompiledFunction]) -> Vec<FuncKey> {
    let relocations = functions.iter().flat_map(|function| &function.relocations);
    let builtins = relocations.filter_map(|relocation| match relocation.target {
        RelocationTarget::Func(key @ FuncKey::Builtin(_)) => Some(key),
        _ => None,
    });
    builtins.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The keys of all functions but builtins, each once, largest body first.
fn work_list(program: &Program<'_>) -> Vec<FuncKey> {
    let mut keys = program.reachable.clone();
    keys.extend(program.entries.iter().map(|&sig| FuncKey::Entry(sig)));
    keys.sort_unstable();
    keys.dedup();
    keys.sort_by_cached_key(|&key| Reverse(body_size(program, key)));
    keys
}

/// Bytes of the wasm body that a function is made from; 0 for trampolines.
fn body_size(program: &Program<'_>, key: FuncKey) -> usize {
    let FuncKey::CoreFunc { instance, func } = key else {
        return 0;
    };
    let size = || {
        let module = program.modules.get(program.instances.get(instance)?.module)?;
        let defined = func.as_u32().checked_sub(module.imported_funcs)?;
        Some(module.bodies.get(defined as usize)?.bytes.len())
    };
    size().unwrap_or(0)
}

/// Shares out a list of functions, and keeps the first error in order of keys.
#[derive(Default)]
struct Queue {
    next: AtomicUsize,
    done: AtomicUsize,
    /// Bytes of machine code so far.
    code: AtomicUsize,
    /// Bytes of tables so far.
    tables: AtomicUsize,
    failed: AtomicBool,
    error: Mutex<Option<(FuncKey, Error)>>,
}

impl Queue {
    /// The next function, or `None` when there is none left or one has failed.
    fn take<'a>(&self, work: &'a [FuncKey]) -> Option<&'a FuncKey> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        work.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn count_done(&self) -> usize {
        self.done.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn count(&self, function: &CompiledFunction) -> Result<()> {
        self.count_bytes(function.code.len(), function.table_size())
    }

    /// Fails as soon as the code or its tables are too large, rather than after hours and when memory is full.
    fn count_bytes(&self, code: usize, tables: usize) -> Result<()> {
        let before = self.code.fetch_add(code, Ordering::Relaxed);
        ensure!(
            before.saturating_add(code) <= MAX_TEXT,
            "the machine code of the component exceeds 2 GiB, of which calls reach no more; instantiate fewer core modules"
        );
        let before = self.tables.fetch_add(tables, Ordering::Relaxed);
        ensure!(
            before.saturating_add(tables) <= MAX_TABLES,
            "the tables of the component's machine code (traps, source locations, exception handlers, GC references in \
             frames) exceed 1 GiB; split its functions, so that fewer references are live across each call"
        );
        Ok(())
    }

    fn fail(&self, key: FuncKey, error: Error) {
        self.failed.store(true, Ordering::Relaxed);
        let mut slot = self.error.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if slot.as_ref().is_none_or(|(other, _)| key < *other) {
            *slot = Some((key, error));
        }
    }

    fn result(self) -> Result<()> {
        match self.error.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some((key, error)) => Err(error).with_context(|| format!("function {key}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::SigId;

    #[test]
    fn the_queue_ends_when_the_code_is_too_large() {
        let work: Vec<_> = (0..3).map(|sig| FuncKey::Entry(SigId::from_u32(sig))).collect();
        let queue = Queue::default();
        queue.take(&work).unwrap();
        queue.count_bytes(MAX_TEXT, MAX_TABLES).unwrap();
        let error = queue.count_bytes(0, 1).unwrap_err().to_string();
        assert!(error.contains("exceed 1 GiB"), "{error}");
        let key = *queue.take(&work).unwrap();
        queue.fail(key, queue.count_bytes(1, 0).unwrap_err());
        assert!(queue.take(&work).is_none());
        let error = format!("{:#}", queue.result().unwrap_err());
        assert!(
            error.contains("exceeds 2 GiB") && error.contains(&key.to_string()),
            "{error}"
        );
    }
}

//! Phase `functions`: generates the machine code of all functions, in parallel.

use crate::limits::Spent;
use crate::{LaidOut, Progress};
use anyhow::{Context, Error, Result};
use mintage_codegen::{CompiledFunction, Compiler, RelocationTarget, Scratch};
use mintage_environ::FuncKey;
use mintage_program::Program;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A program with the machine code of its functions.
pub(crate) struct Generated<'a> {
    pub laid_out: LaidOut<'a>,
    /// The functions in the order of keys, each once.
    pub functions: Vec<CompiledFunction>,
}

/// Generates the functions of a program with all threads of the current rayon pool, or with the
/// calling thread if there is no pool.
///
/// Threads take functions one by one from a common list, largest first, so that none is left with a
/// large function at the end. The trampolines of builtins follow, since only then it is known which
/// ones are called. The result is in the order of keys: it does not depend on how the threads
/// shared the work.
pub(crate) fn generate<'a>(
    laid_out: LaidOut<'a>,
    compiler: &Compiler,
    spent: &Spent<'_>,
    progress: &dyn Progress,
) -> Result<Generated<'a>> {
    let mut functions = Vec::new();
    let work = work_list(&laid_out.program);
    spent.allow_for(
        work.iter()
            .map(|&key| body_size(&laid_out.program, key))
            .sum(),
    );
    compile_all(&laid_out, compiler, &work, &mut functions, spent, progress)?;
    let builtins = called_builtins(&functions);
    compile_all(
        &laid_out,
        compiler,
        &builtins,
        &mut functions,
        spent,
        progress,
    )?;
    functions.sort_unstable_by_key(|function| function.key);
    Ok(Generated {
        laid_out,
        functions,
    })
}

/// Compiles the functions in `work` and appends them in any order.
fn compile_all(
    LaidOut { program, layout }: &LaidOut<'_>,
    compiler: &Compiler,
    work: &[FuncKey],
    functions: &mut Vec<CompiledFunction>,
    spent: &Spent<'_>,
    progress: &dyn Progress,
) -> Result<()> {
    let before = functions.len();
    let queue = Queue::default();
    let worker = || {
        let mut scratch = Scratch::default();
        let mut functions = Vec::new();
        while let Some(&key) = queue.take(work) {
            let function = spent.check_time().and_then(|()| {
                compiler.compile(program, layout, key, &mut scratch, |values| {
                    spent.admit(values)
                })
            });
            match function.and_then(|function| spent.count(&function).map(|()| function)) {
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

/// Returns the builtins that functions call, each once. Only these get a trampoline, which calls no
/// other builtin.
fn called_builtins(functions: &[CompiledFunction]) -> Vec<FuncKey> {
    let relocations = functions.iter().flat_map(|function| &function.relocations);
    let builtins = relocations.filter_map(|relocation| match relocation.target {
        RelocationTarget::Func(key @ FuncKey::Builtin(_)) => Some(key),
        _ => None,
    });
    builtins.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the keys of all functions except builtins, each once, those with the largest bodies
/// first.
fn work_list(program: &Program<'_>) -> Vec<FuncKey> {
    let mut keys = program.reachable.clone();
    keys.extend(program.entries.iter().map(|&sig| FuncKey::Entry(sig)));
    keys.sort_unstable();
    keys.dedup();
    keys.sort_by_cached_key(|&key| Reverse(body_size(program, key)));
    keys
}

/// Returns the size in bytes of a function's wasm body: 0 for trampolines and adapters.
fn body_size(program: &Program<'_>, key: FuncKey) -> usize {
    let FuncKey::CoreFunc { instance, func } = key else {
        return 0;
    };
    let size = || {
        let module = program
            .modules
            .get(program.instances.get(instance)?.module)?;
        let defined = func.as_u32().checked_sub(module.imported_funcs)?;
        Some(module.bodies.get(defined as usize)?.bytes.len())
    };
    size().unwrap_or(0)
}

/// Distributes a list of functions to threads, and keeps the error of the first one in key order.
#[derive(Default)]
struct Queue {
    next: AtomicUsize,
    done: AtomicUsize,
    failed: AtomicBool,
    error: Mutex<Option<(FuncKey, Error)>>,
}

impl Queue {
    /// Returns the next function, or `None` if none is left or one has failed.
    fn take<'a>(&self, work: &'a [FuncKey]) -> Option<&'a FuncKey> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        work.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn count_done(&self) -> usize {
        self.done.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn fail(&self, key: FuncKey, error: Error) {
        self.failed.store(true, Ordering::Relaxed);
        let mut slot = self
            .error
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if slot.as_ref().is_none_or(|(other, _)| key < *other) {
            *slot = Some((key, error));
        }
    }

    fn result(self) -> Result<()> {
        match self
            .error
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
        {
            Some((key, error)) => Err(error).with_context(|| format!("function {key}")),
            None => Ok(()),
        }
    }
}

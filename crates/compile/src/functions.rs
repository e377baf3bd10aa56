//! Phase `functions`: generates the machine code of all functions, in parallel.

use crate::limits::Spent;
use crate::{LaidOut, Progress};
use anyhow::{Context, Error, Result};
use mintage_codegen::{CompiledFunction, Compiler, Made, RelocationTarget, Scratch};
use mintage_environ::FuncKey;
use mintage_program::Program;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The number of functions of a later round from which on all threads take part.
const MANY: usize = 256;

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
/// large function at the end. Functions that are inlined and trampolines of builtins follow, since
/// only then it is known which ones are called. The result is in the order of keys: it does not
/// depend on how the threads shared the work.
///
/// If the compiler keeps functions, and has compiled a program that differs in its data and bodies
/// alone, functions with the same body are those of that program.
pub(crate) fn generate<'a>(
    laid_out: LaidOut<'a>,
    compiler: &Compiler,
    spent: &Spent<'_>,
    progress: &dyn Progress,
) -> Result<Generated<'a>> {
    let LaidOut { program, layout } = &laid_out;
    let digest = compiler.program_digest(program, layout);
    let known = digest.as_ref().and_then(|digest| compiler.kept(digest));
    let known = known.unwrap_or_default().into_iter();
    let known: HashMap<_, _> = known.map(|kept| (kept.key, kept)).collect();

    let mut functions = Vec::new();
    let mut keys = HashSet::new();
    // The list is renewed if it lacks code. That it has code of another body of a function does not
    // matter: to find the code of this one, the function is translated.
    let (mut all_kept, mut are_new) = (Vec::new(), known.is_empty());
    let make = |&key: &FuncKey, scratch: &mut Scratch| {
        spent.check_time()?;
        let made = match known.get(&key) {
            Some(kept) if let Some(function) = compiler.restore(program, kept) => Made {
                function,
                kept: Some(kept.clone()),
                is_new: false,
            },
            _ => {
                let admit = |values| spent.admit(values);
                compiler.compile(program, layout, key, scratch, admit)?
            }
        };
        spent.count(&made.function)?;
        Ok(made)
    };
    let mut make_all = |work: &[FuncKey]| -> Result<Vec<FuncKey>> {
        let before = functions.len();
        let report = |done| progress.functions(before + done, before + work.len());
        // The functions of later rounds are small. There can be as many rounds as functions, and
        // other threads may be slow to wake up.
        let alone = before > 0 && work.len() < MANY;
        for made in for_each(work, alone, make, report)? {
            functions.push(made.function);
            all_kept.extend(made.kept);
            are_new |= made.is_new;
        }
        // Only of new functions, since there can be as many rounds as functions.
        let new: &[CompiledFunction] = &functions[before..];
        keys.extend(new.iter().map(|function| function.key));
        let called: BTreeSet<_> = callees(new).filter(|key| !keys.contains(key)).collect();
        Ok(called.into_iter().collect())
    };
    let work = work_list(program, compiler.inlines());
    spent.allow_for(work.iter().map(|&key| body_size(program, key)).sum());
    let mut called = make_all(&work)?;
    while !called.is_empty() {
        called = make_all(&called)?;
    }

    if let Some(digest) = digest
        && are_new
        && all_kept.len() == functions.len()
    {
        compiler.keep(&digest, &all_kept);
    }
    functions.sort_unstable_by_key(|function| function.key);
    Ok(Generated {
        laid_out,
        functions,
    })
}

/// Makes a function of each key, with all threads or on this one alone. Returns them in any order.
///
/// # Errors
///
/// The error of the first function in the order of keys, of those that were tried.
fn for_each<R: Send>(
    keys: &[FuncKey],
    alone: bool,
    make: impl Fn(&FuncKey, &mut Scratch) -> Result<R> + Sync,
    report: impl Fn(usize) + Sync,
) -> Result<Vec<R>> {
    let queue = Queue::default();
    let worker = || {
        let mut scratch = Scratch::default();
        let mut made = Vec::new();
        while let Some(key) = queue.take(keys) {
            match make(key, &mut scratch) {
                Ok(function) => made.push(function),
                Err(error) => queue.fail(*key, error),
            }
            report(queue.count_done());
        }
        made
    };
    let finished = match rayon::current_thread_index() {
        Some(_) if !alone => rayon::broadcast(|_| worker()),
        _ => vec![worker()],
    };
    queue.result()?;
    Ok(finished.into_iter().flatten().collect())
}

/// Returns the functions that the code of others refers to.
fn callees(functions: &[CompiledFunction]) -> impl Iterator<Item = FuncKey> {
    let relocations = functions.iter().flat_map(|function| &function.relocations);
    relocations.filter_map(|relocation| match relocation.target {
        RelocationTarget::Func(key) => Some(key),
        RelocationTarget::TextBase => None,
    })
}

/// Returns the keys of all functions, each once, those with the largest bodies first. Without
/// functions that may turn out to be called nowhere: those of builtins and, if functions are
/// inlined, inlinable ones that only code refers to.
fn work_list(program: &Program<'_>, inlines: bool) -> Vec<FuncKey> {
    let mut keys = program.reachable.clone();
    if inlines {
        let named = program.callees_of_data().map(|callee| callee.key);
        let named: HashSet<FuncKey> = named.collect();
        keys.retain(|key| !program.is_inlinable(*key) || named.contains(key));
    }
    keys.extend(program.entries.iter().map(|&sig| FuncKey::Entry(sig)));
    keys.sort_unstable();
    keys.dedup();
    keys.sort_by_cached_key(|&key| Reverse(body_size(program, key)));
    keys
}

/// Returns the size in bytes of a function's wasm body: 0 for trampolines and adapters.
fn body_size(program: &Program<'_>, key: FuncKey) -> usize {
    program.body(key).map_or(0, |body| body.bytes.len())
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
    fn take<'a, T>(&self, work: &'a [T]) -> Option<&'a T> {
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

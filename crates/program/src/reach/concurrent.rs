//! What the runtime must know of tasks, and of the ends of streams and futures.

use crate::ir::{Adapter, CanonBuiltin, CanonOp};
use anyhow::{Result, ensure};
use indexmap::IndexSet;
use mintage_environ::component::{
    ComponentTypes, EndOp, GuestCaller, GuestTask, HostCalls, ImportFunc, LiftedFunc,
    LoweredImport, ReturnShape,
};
use mintage_environ::{
    AdapterId, CanonId, CopyId, DomainId, EndOpId, FuncKey, ImportId, IndexVec, LowerId, SigId,
    Signatures, limit,
};
use std::collections::BTreeSet;

/// The most functions that copy values of streams and futures. Each is for two component instances
/// that could be connected, so their number grows with the square of that of the instances.
const MAX_COPIES: usize = 1000;

/// The tables of a program whose tasks go on at the same time.
pub(super) struct Concurrent {
    pub tasks: IndexVec<AdapterId, Option<GuestTask>>,
    /// The component instances with built-ins that ask which task or thread runs.
    pub domains: BTreeSet<DomainId>,
    pub return_shapes: IndexSet<ReturnShape>,
    pub end_ops: IndexVec<EndOpId, EndOp>,
    /// The built-in of each of them, in order.
    pub end_canons: Vec<CanonId>,
    pub copies: Vec<(EndOpId, EndOpId)>,
    /// The signatures of functions that run as threads.
    pub thread_starts: BTreeSet<SigId>,
    /// The adapters whose callee gives its result by `task.return`.
    returning: Vec<AdapterId>,
}

impl Concurrent {
    /// Makes the tables of the reachable adapters and built-ins.
    ///
    /// # Errors
    ///
    /// If there are too many functions that copy values.
    pub fn new(
        types: &ComponentTypes,
        signatures: &Signatures,
        import_types: &IndexVec<ImportId, ImportFunc>,
        lowers: &IndexVec<LowerId, LoweredImport>,
        adapters: &IndexVec<AdapterId, Adapter>,
        adapter_calls: &IndexVec<AdapterId, HostCalls>,
        canons: &IndexVec<CanonId, CanonBuiltin>,
    ) -> Result<Concurrent> {
        let mut concurrent = Concurrent {
            tasks: IndexVec::new(),
            domains: BTreeSet::new(),
            return_shapes: IndexSet::new(),
            end_ops: IndexVec::new(),
            end_canons: Vec::new(),
            copies: Vec::new(),
            thread_starts: BTreeSet::new(),
            returning: Vec::new(),
        };
        let of_imports = lowers.values().filter(|lower| {
            let ty = import_types[lower.import].ty;
            types.func(ty).is_async
        });
        for lower in of_imports {
            concurrent.domains.insert(lower.options.domain);
        }
        for (id, adapter) in adapters.iter() {
            if types.func(adapter.ty).is_async {
                // It may wait, and only the thread of an asynchronous task may be suspended.
                concurrent.domains.insert(adapter.lower.domain);
            }
            let task = concurrent.task(types, &adapter.lift, adapter_calls[id]);
            let task = task.map(|task| GuestTask {
                caller: Some(GuestCaller {
                    domain: adapter.lower.domain,
                    is_async: adapter.lower.is_async,
                    words: signatures[adapter.sig].array_words() as u32,
                    pointer_word: signatures[adapter.sig].params.len() as u32,
                    borrows: types.has_borrows(adapter.ty),
                }),
                ..task
            });
            if task.as_ref().is_some_and(|task| task.is_async) {
                concurrent.returning.push(id);
            }
            concurrent.tasks.push(task);
        }
        for (id, builtin) in canons.iter() {
            concurrent.builtin(id, builtin);
        }
        concurrent.pair(types)?;
        Ok(concurrent)
    }

    /// Returns what is to be known of the tasks of a lifted function, if its type is `async`.
    /// `calls` is what it may call.
    pub fn task(
        &mut self,
        types: &ComponentTypes,
        lift: &LiftedFunc,
        calls: HostCalls,
    ) -> Option<GuestTask> {
        let ty = types.func(lift.ty);
        ty.is_async.then(|| GuestTask {
            domain: lift.options.domain,
            callback: lift.callback,
            is_async: lift.options.is_async,
            shape: self.shape(ReturnShape {
                result: ty.result,
                memory: lift.options.memory,
                string_encoding: lift.options.string_encoding,
            }),
            calls,
            caller: None,
        })
    }

    fn shape(&mut self, shape: ReturnShape) -> u32 {
        self.return_shapes.insert_full(shape).0 as u32
    }

    fn builtin(&mut self, id: CanonId, builtin: &CanonBuiltin) {
        let options = &builtin.options;
        if builtin.op.asks_for_task() {
            self.domains.insert(options.domain);
        }
        let (value, reads) = match builtin.op {
            CanonOp::TaskReturn(result) => {
                self.shape(ReturnShape {
                    result,
                    memory: options.memory,
                    string_encoding: options.string_encoding,
                });
                return;
            }
            CanonOp::ThreadNewIndirect(_, sig) => {
                self.thread_starts.insert(sig);
                return;
            }
            CanonOp::Read(value) => (value, true),
            CanonOp::Write(value) => (value, false),
            _ => return,
        };
        self.end_canons.push(id);
        self.end_ops.push(EndOp {
            options: options.clone(),
            value,
            reads,
        });
    }

    /// Finds the built-ins between which values have to be converted: those of one type, which is
    /// not a number, in different component instances.
    fn pair(&mut self, types: &ComponentTypes) -> Result<()> {
        let converts = |op: &EndOp| op.value.payload(types).is_some_and(|ty| !ty.is_number());
        let all: Vec<_> = self.end_ops.iter().filter(|(_, op)| converts(op)).collect();
        for &(write, from) in all.iter().filter(|(_, op)| !op.reads) {
            for &(read, to) in all.iter().filter(|(_, op)| op.reads) {
                if from.value != to.value || from.options.domain == to.options.domain {
                    continue;
                }
                self.copies.push((write, read));
                ensure!(
                    self.copies.len() <= MAX_COPIES,
                    limit!(
                        ComponentSize,
                        "more than {MAX_COPIES} pairs of component instances could be connected by \
                         streams or futures of one type; instantiate fewer of them"
                    )
                );
            }
        }
        Ok(())
    }

    /// Returns the keys of the functions that only such programs have.
    pub fn functions(&self) -> impl Iterator<Item = FuncKey> {
        let starts = self.tasks.iter().filter(|(_, task)| task.is_some());
        let starts = starts.map(|(id, _)| FuncKey::Start(id));
        let returns = self.returning.iter().map(|&id| FuncKey::Return(id));
        let copies = (0..self.copies.len() as u32).map(|id| FuncKey::Copy(CopyId::from_u32(id)));
        starts.chain(returns).chain(copies)
    }
}

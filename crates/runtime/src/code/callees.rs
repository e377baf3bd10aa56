//! [`Callee`]: pointers to machine code, and their resolution by key.

use crate::sys::mmap::FileMapping;
use anyhow::{Context, Result, anyhow, ensure};
use hashbrown::HashMap;
use mintage_artifact::Artifact;
use mintage_environ::component::{CoreCallee, CoreItem, GuestTask, Initializer, Resource};
use mintage_environ::{AdapterId, CopyId, FuncKey, IndexVec, LiftId};

/// A core function that can be called: pointers into mapped code. They are valid while the
/// [`Code`](super::Code) lives.
#[derive(Clone, Copy, Debug)]
pub struct Callee {
    /// The function.
    pub(crate) func: *const u8,
    /// The entry trampoline of its signature.
    pub(crate) entry: *const u8,
}

// SAFETY: the pointers are to code, which never changes. Calling it is `unsafe` on the condition
// that it lives.
unsafe impl Send for Callee {}
// SAFETY: as above.
unsafe impl Sync for Callee {}

/// The address range of the machine code.
#[derive(Clone, Copy)]
pub struct Text {
    base: *const u8,
    len: usize,
}

// SAFETY: the text is read-only and executable, and lives as long as the `Code` that owns both this
// and the mapping.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

impl Text {
    pub fn new(bytes: &[u8]) -> Text {
        Text {
            base: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// Returns the address of an offset in the text, or `None` outside of it.
    pub fn address(self, offset: u32) -> Option<usize> {
        ((offset as usize) < self.len).then(|| self.base as usize + offset as usize)
    }

    /// Returns the offset in the text of an address, or `None` outside of it.
    #[inline]
    pub fn offset(self, address: usize) -> Option<u32> {
        let offset = address.wrapping_sub(self.base as usize);
        (offset < self.len).then_some(offset as u32)
    }
}

/// The pointers of all functions that the host can name, resolved once per component.
#[derive(Clone)]
pub struct Callees {
    pointers: HashMap<FuncKey, *const u8>,
    /// The functions of tasks, which are called all the time.
    adapters: IndexVec<AdapterId, Option<TaskCallees>>,
    lifts: IndexVec<LiftId, Option<TaskCallees>>,
}

/// The functions of a task.
#[derive(Clone, Copy)]
pub struct TaskCallees {
    /// Starts it.
    pub start: Callee,
    /// Takes an event, if the function is lifted with a callback.
    pub callback: Option<Callee>,
    /// Passes the result of `task.return` on to a caller in another component instance.
    pub result: Option<Callee>,
}

// SAFETY: the pointers are to code; see `Callee`.
unsafe impl Send for Callees {}
// SAFETY: as above.
unsafe impl Sync for Callees {}

impl Callees {
    /// Resolves everything that the interface names: lifts with their options, `realloc`s of
    /// lowers and of what copies values of streams, start functions, core exports, destructors, and
    /// the functions of tasks.
    pub fn resolve(artifact: &Artifact<FileMapping>, text: &Text) -> Result<Callees> {
        let interface = &artifact.metadata().interface;
        let lifts = interface
            .lifts
            .values()
            .flat_map(|lift| [Some(lift.callee), lift.options.realloc, lift.post_return]);
        let lowers = interface.lowers.values().map(|lower| lower.options.realloc);
        let copies = interface.end_ops.values().map(|op| op.options.realloc);
        let starts = interface
            .initializers
            .iter()
            .map(|initializer| match initializer {
                Initializer::Start { callee, .. } => Some(*callee),
                Initializer::Data { .. } | Initializer::Elem { .. } | Initializer::Trap(_) => None,
            });
        let exports = interface
            .core_exports
            .iter()
            .map(|export| match export.item {
                CoreItem::Func(callee, _) => Some(callee),
                CoreItem::Memory(_) | CoreItem::Table(_) | CoreItem::Global(..) => None,
            });

        let dtors = interface.resources.values().map(|resource| match resource {
            Resource::Defined { dtor, .. } => *dtor,
            Resource::Imported { .. } => None,
        });

        let tasks = interface
            .lift_tasks
            .values()
            .chain(interface.tasks.values());
        let callbacks = tasks.map(|task| task.as_ref().and_then(|task| task.callback));

        let keys = artifact
            .key_table()
            .context("the artifact has no key table")?;
        let mut pointers = HashMap::new();
        let mut resolve = |key| {
            if let hashbrown::hash_map::Entry::Vacant(vacant) = pointers.entry(key) {
                let range = keys
                    .get(key)
                    .with_context(|| format!("the artifact has no code for {key}"))?;
                ensure!(
                    range.end as usize <= text.len,
                    "{key} lies outside the artifact's text"
                );
                // SAFETY: the offset is within the text.
                vacant.insert(unsafe { text.base.add(range.start as usize) });
            }
            Ok(())
        };
        for callee in lifts
            .chain(lowers)
            .chain(copies)
            .chain(starts)
            .chain(exports)
            .chain(dtors)
            .chain(callbacks)
            .flatten()
        {
            resolve(callee.key)?;
            resolve(FuncKey::Entry(callee.sig))?;
        }
        for &sig in &interface.thread_starts {
            resolve(FuncKey::Entry(sig))?;
        }
        for (id, task) in interface.tasks.iter() {
            let Some(task) = task else { continue };
            resolve(FuncKey::Start(id))?;
            if task.is_async {
                resolve(FuncKey::Return(id))?;
            }
        }
        for id in 0..interface.copies.len() as u32 {
            resolve(FuncKey::Copy(CopyId::from_u32(id)))?;
        }
        let mut callees = Callees {
            pointers,
            adapters: IndexVec::new(),
            lifts: IndexVec::new(),
        };
        for (id, task) in interface.tasks.iter() {
            let task = task.as_ref().map(|task| {
                let result = task.is_async.then(|| callees.routine(FuncKey::Return(id)));
                callees.task(
                    task,
                    callees.routine(FuncKey::Start(id))?,
                    result.transpose()?,
                )
            });
            callees.adapters.push(task.transpose()?);
        }
        for (id, task) in interface.lift_tasks.iter() {
            let task = task.as_ref().map(|task| {
                let start = callees.get(interface.lifts[id].callee)?;
                callees.task(task, start, None)
            });
            callees.lifts.push(task.transpose()?);
        }
        Ok(callees)
    }

    fn task(&self, task: &GuestTask, start: Callee, result: Option<Callee>) -> Result<TaskCallees> {
        let callback = task.callback.map(|callback| self.get(callback));
        Ok(TaskCallees {
            start,
            callback: callback.transpose()?,
            result,
        })
    }

    /// Returns the functions of the task that an adapter calls.
    #[inline]
    pub fn of_adapter(&self, id: AdapterId) -> Option<&TaskCallees> {
        self.adapters.get(id)?.as_ref()
    }

    /// Returns the functions of the task that a call of the host is.
    #[inline]
    pub fn of_lift(&self, id: LiftId) -> Option<&TaskCallees> {
        self.lifts.get(id)?.as_ref()
    }

    /// Returns a function that is called as an entry trampoline is.
    pub fn routine(&self, key: FuncKey) -> Result<Callee> {
        Ok(Callee {
            func: std::ptr::null(),
            entry: self.pointer(key)?,
        })
    }

    fn pointer(&self, key: FuncKey) -> Result<*const u8> {
        let pointer = self.pointers.get(&key).copied();
        pointer.ok_or_else(|| anyhow!("the component's interface does not name {key}"))
    }

    pub fn get(&self, callee: CoreCallee) -> Result<Callee> {
        Ok(Callee {
            func: self.pointer(callee.key)?,
            entry: self.pointer(FuncKey::Entry(callee.sig))?,
        })
    }
}

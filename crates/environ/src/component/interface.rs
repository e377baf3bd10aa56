//! The interface of a compiled component: its imports, its exports, and what the runtime needs to
//! connect them. The embedding API reads it from the artifact.

use super::abi::FuncAbi;
use super::host_calls::HostCalls;
use super::types::{ComponentTypes, InterfaceType};
use crate::{
    AdapterId, CoreInstanceId, DataId, DomainId, ElemId, EndOpId, FuncKey, FuncTypeId, FutureId,
    GlobalId, ImportId, IndexVec, LiftId, LowerId, MemoryId, ObjectTypes, ResourceId, SigId,
    Signatures, StreamId, TableId, Trap, ValType,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The encoding of a guest's strings (the canonical option `string-encoding`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u32)]
pub enum StringEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little endian.
    Utf16,
    /// `latin1+utf16`: UTF-16 if the tag bit of the length is set, otherwise Latin-1.
    CompactUtf16,
}

impl StringEncoding {
    /// Returns the encoding with this number, if there is one. Machine code passes encodings to
    /// builtins as these numbers, the inverse of `as u32`.
    pub const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            0 => Some(Self::Utf8),
            1 => Some(Self::Utf16),
            2 => Some(Self::CompactUtf16),
            _ => None,
        }
    }
}

/// A core function that the host calls. The signature selects its entry trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CoreCallee {
    /// The function.
    pub key: FuncKey,
    /// The function's signature.
    pub sig: SigId,
}

/// The canonical options of a lift or lower (CanonicalABI.md, "Canonical ABI Options").
///
/// `F` is the name of a core function: a [`CoreCallee`] in a finished program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CanonOptions<F = CoreCallee> {
    /// The component instance that the options belong to.
    pub domain: DomainId,
    /// `string-encoding`.
    pub string_encoding: StringEncoding,
    /// `memory`.
    pub memory: Option<MemoryId>,
    /// `realloc`.
    pub realloc: Option<F>,
    /// `async`.
    pub is_async: bool,
}

impl<F> CanonOptions<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> CanonOptions<G> {
        let Self {
            domain,
            string_encoding,
            memory,
            realloc,
            is_async,
        } = self;
        CanonOptions {
            domain,
            string_encoding,
            memory,
            realloc: realloc.map(name),
            is_async,
        }
    }

    /// Returns how a function is lowered with these options.
    pub fn lower_abi(&self) -> FuncAbi {
        match self.is_async {
            true => FuncAbi::AsyncLower,
            false => FuncAbi::Lower,
        }
    }

    /// Returns the core functions that the options name.
    pub fn functions(&self) -> impl Iterator<Item = &F> {
        self.realloc.iter()
    }
}

/// A lifted core function (`canon lift`). `F` is the name of a core function, as in
/// [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedFunc<F = CoreCallee> {
    /// The component function type.
    pub ty: FuncTypeId,
    /// The core function.
    pub callee: F,
    /// The canonical options.
    pub options: CanonOptions<F>,
    /// `post-return`.
    pub post_return: Option<F>,
    /// `callback`.
    pub callback: Option<F>,
}

impl<F> LiftedFunc<F> {
    /// Renames the core functions.
    pub fn map<G>(self, mut name: impl FnMut(F) -> G) -> LiftedFunc<G> {
        let Self {
            ty,
            callee,
            options,
            post_return,
            callback,
        } = self;
        LiftedFunc {
            ty,
            callee: name(callee),
            options: options.map(&mut name),
            post_return: post_return.map(&mut name),
            callback: callback.map(name),
        }
    }

    /// Returns how the function is lifted.
    pub fn abi(&self) -> FuncAbi {
        match (self.options.is_async, &self.callback) {
            (false, _) => FuncAbi::Lift,
            (true, Some(_)) => FuncAbi::CallbackLift,
            (true, None) => FuncAbi::StackfulLift,
        }
    }

    /// Returns the core functions that calling the lifted function can call directly.
    pub fn functions(&self) -> impl Iterator<Item = &F> {
        let own = [
            Some(&self.callee),
            self.post_return.as_ref(),
            self.callback.as_ref(),
        ];
        own.into_iter().flatten().chain(self.options.functions())
    }
}

/// A lowered host function (`canon lower`). `F` is the name of a core function, as in
/// [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoweredImport<F = CoreCallee> {
    /// The host function.
    pub import: ImportId,
    /// The canonical options.
    pub options: CanonOptions<F>,
    /// The core signature that the guest sees.
    pub sig: SigId,
}

impl<F> LoweredImport<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> LoweredImport<G> {
        let Self {
            import,
            options,
            sig,
        } = self;
        LoweredImport {
            import,
            options: options.map(name),
            sig,
        }
    }
}

/// The type of a value that is passed while both sides go on: a stream or a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AsyncValue {
    /// `stream<T>`
    Stream(StreamId),
    /// `future<T>`
    Future(FutureId),
}

impl AsyncValue {
    /// Returns the type.
    pub fn ty(self) -> InterfaceType {
        match self {
            AsyncValue::Stream(id) => InterfaceType::Stream(id),
            AsyncValue::Future(id) => InterfaceType::Future(id),
        }
    }

    /// Returns the type as a number, which machine code passes to builtins.
    pub fn to_u32(self) -> u32 {
        match self {
            AsyncValue::Stream(id) => id.as_u32() << 1,
            AsyncValue::Future(id) => id.as_u32() << 1 | 1,
        }
    }

    /// Returns the type of a number.
    pub fn from_u32(raw: u32) -> AsyncValue {
        match raw & 1 {
            0 => AsyncValue::Stream(StreamId::from_u32(raw >> 1)),
            _ => AsyncValue::Future(FutureId::from_u32(raw >> 1)),
        }
    }

    /// Returns whether this is a future.
    pub fn is_future(self) -> bool {
        matches!(self, AsyncValue::Future(_))
    }

    /// Returns the type of the elements of a stream, or of the value of a future, if there are any.
    pub fn payload(self, types: &ComponentTypes) -> Option<InterfaceType> {
        match self {
            AsyncValue::Stream(id) => *types.stream(id),
            AsyncValue::Future(id) => *types.future(id),
        }
    }
}

/// How a task gives its result: the type, and the options by which `task.return` lifts it. That of
/// the built-in must be that of the task's lift (CanonicalABI.md, `canon_task_return`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReturnShape {
    /// The type of the result, if there is one.
    pub result: Option<InterfaceType>,
    /// `memory`.
    pub memory: Option<MemoryId>,
    /// `string-encoding`.
    pub string_encoding: StringEncoding,
}

/// What the runtime knows of a lifted function of `async` type, of which each call is a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestTask {
    /// The component instance that runs the task.
    pub domain: DomainId,
    /// `callback`, if the function is lifted with one.
    pub callback: Option<CoreCallee>,
    /// Whether the function is lifted with `async`.
    pub is_async: bool,
    /// The position of its result in [`ComponentInterface::return_shapes`].
    pub shape: u32,
    /// The functions of the host that it and its callback may call, and whether they wait.
    pub calls: HostCalls,
    /// For a call by another component instance: the caller.
    pub caller: Option<GuestCaller>,
}

/// The caller of a [`GuestTask`] in another component instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestCaller {
    /// The component instance.
    pub domain: DomainId,
    /// Whether the function is lowered with `async`.
    pub is_async: bool,
    /// The number of words of the caller's core arguments or results.
    pub words: u32,
    /// The number of words of the arguments, of which the last one is the pointer for the result,
    /// if there is one.
    pub pointer_word: u32,
    /// Whether the call lends handles.
    pub borrows: bool,
}

/// What the runtime knows of a built-in that reads or writes the end of a stream or future.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndOp {
    /// The canonical options, with the memory of the buffers if the payload has any bytes. The host
    /// uses `realloc` and the encoding of strings where it is the other side.
    pub options: CanonOptions,
    /// The type of the stream or future.
    pub value: AsyncValue,
    /// Whether it reads.
    pub reads: bool,
}

/// A function that the root component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFunc {
    /// The names that lead to the function, starting at the root: one name for a function that the
    /// root imports, two for a function of an imported instance, and so on.
    pub path: Box<[Box<str>]>,
    /// The function's type.
    pub ty: FuncTypeId,
}

/// An import of the root component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Import {
    /// A function.
    Func(ImportId),
    /// An instance, with its items by name.
    Instance(IndexMap<Box<str>, Import>),
    /// A value type.
    Type(InterfaceType),
    /// A resource type that the host defines.
    Resource(ResourceId),
    /// An item without a run-time meaning.
    Static(StaticItem),
}

/// An import or export that has no meaning at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StaticItem {
    /// A core module.
    Module,
    /// A component.
    Component,
    /// The type of a function, an instance or a component.
    Type,
}

/// The annotations of an import or export: what it says besides its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotations {
    /// `(implements "...")`, with the version suffix: the interface that the instance implements.
    pub implements: Option<Box<str>>,
    /// `(external-id "...")`: an identifier for the host.
    pub external_id: Option<Box<str>>,
}

/// The annotated items of a component, by the names that lead to them from the root.
pub type AnnotatedItems = IndexMap<Box<[Box<str>]>, Annotations>;

/// A resource type at run time. There is one for each resource type that the root imports, and one
/// for each instance of a component that defines a resource type. `F` is the name of a core
/// function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource<F = CoreCallee> {
    /// A resource type of the host.
    Imported {
        /// The names that lead to the type's first import, starting at the root. Other imports may
        /// be equal to it.
        path: Box<[Box<str>]>,
    },
    /// A resource type of a component instance.
    Defined {
        /// The instance.
        domain: DomainId,
        /// The destructor, whose parameter is the representation. `None` also if nothing can drop a
        /// handle.
        dtor: Option<F>,
    },
}

impl<F> Resource<F> {
    /// Renames the core functions.
    pub fn map<G>(self, name: impl FnMut(F) -> G) -> Resource<G> {
        match self {
            Resource::Imported { path } => Resource::Imported { path },
            Resource::Defined { domain, dtor } => Resource::Defined {
                domain,
                dtor: dtor.map(name),
            },
        }
    }

    /// Returns the destructor that the component defines.
    pub fn dtor(&self) -> Option<&F> {
        match self {
            Resource::Imported { .. } => None,
            Resource::Defined { dtor, .. } => dtor.as_ref(),
        }
    }
}

/// An export of the root component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Export {
    /// A function of the component.
    Func(LiftId),
    /// A re-exported host function.
    ImportedFunc(ImportId),
    /// An instance, with its items by name.
    Instance(IndexMap<Box<str>, Export>),
    /// A value type.
    Type(InterfaceType),
    /// A resource type.
    Resource(ResourceId),
    /// An item without a run-time meaning.
    Static(StaticItem),
}

/// A step of instantiation that happens at run time.
///
/// All other active segments are part of the image, since no code can observe that they were
/// written early: those before the first start function, and those after it whose memory or table
/// belongs to their own core instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Initializer {
    /// Copies a whole data segment to a constant address and drops it: an active segment after a
    /// start function.
    Data {
        /// The segment.
        data: DataId,
        /// The destination.
        memory: MemoryId,
        /// Byte offset in the memory.
        offset: u64,
    },
    /// Copies a whole element segment to a constant index and drops it: an active segment after a
    /// start function.
    Elem {
        /// The segment.
        elem: ElemId,
        /// The destination.
        table: TableId,
        /// The first entry in the table.
        offset: u64,
    },
    /// Calls a core start function, which has neither parameters nor results.
    Start {
        /// The component instance whose `ctx` the function gets.
        domain: DomainId,
        /// The function.
        callee: CoreCallee,
    },
    /// Traps because a segment is out of bounds.
    Trap(Trap),
}

/// The interface of a component.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ComponentInterface {
    /// Component types.
    pub types: ComponentTypes,
    /// Core function types.
    pub signatures: Signatures,
    /// Struct and array types.
    pub objects: ObjectTypes,
    /// Imports by name.
    pub imports: IndexMap<Box<str>, Import>,
    /// All imported functions, including those of imported instances.
    pub import_funcs: IndexVec<ImportId, ImportFunc>,
    /// The lowered host functions that reachable code can call: the first part of the host table.
    pub lowers: IndexVec<LowerId, LoweredImport>,
    /// All resource types.
    pub resources: IndexVec<ResourceId, Resource>,
    /// The lifted core functions that are exported.
    pub lifts: IndexVec<LiftId, LiftedFunc>,
    /// The tasks of lifted functions of `async` type. Parallel to `lifts`.
    pub lift_tasks: IndexVec<LiftId, Option<GuestTask>>,
    /// The functions of the host that calls of lifted functions may reach. Parallel to `lifts`.
    pub lift_calls: IndexVec<LiftId, HostCalls>,
    /// Exports by name.
    pub exports: IndexMap<Box<str>, Export>,
    /// The imports that have annotations.
    pub annotated_imports: AnnotatedItems,
    /// The exports that have annotations.
    pub annotated_exports: AnnotatedItems,
    /// The steps of instantiation that happen at run time, in order.
    pub initializers: Vec<Initializer>,
    /// The tasks of calls between component instances, by the number of the adapter. `None` for
    /// functions whose type is not `async`.
    pub tasks: IndexVec<AdapterId, Option<GuestTask>>,
    /// The component instances with built-ins that ask which task or thread runs, in order.
    pub concurrent_domains: Vec<DomainId>,
    /// The results that tasks give.
    pub return_shapes: Vec<ReturnShape>,
    /// The built-ins that read or write ends of streams and futures.
    pub end_ops: IndexVec<EndOpId, EndOp>,
    /// For each pair of a writing and a reading built-in whose values have to be converted: the
    /// function that does it, in the order of the pairs.
    pub copies: Vec<(EndOpId, EndOpId)>,
    /// The signatures of functions that run as threads, in order.
    pub thread_starts: Vec<SigId>,
    /// The exports of core instances. Empty unless `Tunables::core_exports` is set.
    pub core_exports: Vec<CoreExport>,
}

impl ComponentInterface {
    /// Returns the resource types of the host with the names that lead to their imports. Their
    /// destructors are in this order in the host table, after the lowered functions.
    pub fn host_resources(&self) -> impl Iterator<Item = (ResourceId, &[Box<str>])> {
        self.resources
            .iter()
            .filter_map(|(id, resource)| match resource {
                Resource::Imported { path } => Some((id, &**path)),
                Resource::Defined { .. } => None,
            })
    }

    /// Returns the core functions that the host calls, in any order and with duplicates.
    pub fn core_callees(&self) -> impl Iterator<Item = CoreCallee> {
        let lifts = self.lifts.values().flat_map(|lift| {
            [Some(lift.callee), lift.post_return, lift.options.realloc]
                .into_iter()
                .flatten()
        });
        let tasks = self.lift_tasks.values().chain(self.tasks.values());
        let callbacks = tasks.flatten().filter_map(|task| task.callback);
        let reallocs = self
            .lowers
            .values()
            .map(|lower| &lower.options)
            .chain(self.end_ops.values().map(|op| &op.options))
            .filter_map(|options| options.realloc);
        let starts = self.initializers.iter();
        let starts = starts.filter_map(|initializer| match initializer {
            Initializer::Start { callee, .. } => Some(*callee),
            _ => None,
        });
        let core = self.core_exports.iter();
        let core = core.filter_map(|export| match export.item {
            CoreItem::Func(callee, _) => Some(callee),
            _ => None,
        });
        let dtors = self.resources.values();
        let dtors = dtors.filter_map(|resource| match resource {
            Resource::Defined { dtor, .. } => *dtor,
            Resource::Imported { .. } => None,
        });
        lifts
            .chain(callbacks)
            .chain(reallocs)
            .chain(starts)
            .chain(core)
            .chain(dtors)
    }

    /// Returns the signatures of all core functions that the host calls, in order.
    pub fn entries(&self) -> Vec<SigId> {
        let callees = self.core_callees().map(|callee| callee.sig);
        let signatures: BTreeSet<SigId> =
            callees.chain(self.thread_starts.iter().copied()).collect();
        signatures.into_iter().collect()
    }

    /// Returns the index in the host table of the destructor of a host's resource type, or `None`
    /// for another resource type.
    pub fn host_dtor(&self, resource: ResourceId) -> Option<usize> {
        let position = self.host_resources().position(|(id, _)| id == resource)?;
        Some(self.lowers.len() + position)
    }
}

/// An export of a core instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreExport {
    /// The instance.
    pub instance: CoreInstanceId,
    /// The export's name.
    pub name: Box<str>,
    /// The exported item.
    pub item: CoreItem,
}

/// An item of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoreItem {
    /// A function, and the component instance whose `ctx` it gets.
    Func(CoreCallee, DomainId),
    /// A memory.
    Memory(MemoryId),
    /// A table.
    Table(TableId),
    /// A global and its type. The value of an immutable global is in the image, too.
    Global(GlobalId, ValType),
}

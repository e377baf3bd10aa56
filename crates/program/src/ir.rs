//! The [`Program`]: a component with all nesting resolved, as plain data.

use crate::parse;
use mintage_environ::component::{
    AsyncValue, CanonOptions, ComponentInterface, CoreCallee, InterfaceType, LiftedFunc,
};
use mintage_environ::layout::Shape;
use mintage_environ::objects::ObjectLayout;
use mintage_environ::{
    AdapterId, CanonId, CoreInstanceId, DataId, DomainId, ElemId, EndOpId, FuncIndex, FuncKey,
    FuncTypeId, GlobalId, HeapType, IndexVec, LowerId, MemoryId, ModuleId, ObjectTypeId, RefType,
    ResourceId, SigId, TableId, TagId, TypeId, ValType,
};
use serde::Serialize;
use wasmparser::UnpackedIndex;

/// A component as a closed world: all core instances are known and all their imports resolved,
/// except for the functions of the host.
///
/// Borrows the bytes of the component. Function bodies and segments are not copied.
pub struct Program<'a> {
    /// Core modules. A module appears once, however often it is instantiated.
    pub modules: IndexVec<ModuleId, Module<'a>>,
    /// Core instances in start order.
    pub instances: IndexVec<CoreInstanceId, CoreInstance>,
    /// The memories, tables, globals and run-time segments of all component instances: the input of
    /// the slab layout.
    pub shape: Shape,
    /// The element type and initial contents of each table. Parallel to `shape.tables`.
    pub tables: IndexVec<TableId, TableInit>,
    /// The mutability and initial value of each global. Parallel to `shape.globals`.
    pub globals: IndexVec<GlobalId, Global>,
    /// Exception tags.
    pub tags: IndexVec<TagId, Tag<'a>>,
    /// The layouts of all object types. Those of exceptions come last, one per tag and in order of
    /// tags.
    pub objects: IndexVec<ObjectTypeId, ObjectLayout>,
    /// Data segments that are not empty at run time.
    pub data: IndexVec<DataId, &'a [u8]>,
    /// Element segments that are not empty at run time.
    pub elems: IndexVec<ElemId, Box<[Const]>>,
    /// Active data segments that are applied before any code runs, in order: later ones overwrite
    /// earlier ones. All are in bounds.
    pub image_data: Vec<ImageData<'a>>,
    /// Active element segments that are applied before any code runs, in order. All are in bounds.
    pub image_elems: Vec<ImageElems>,
    /// Objects that are in GC heaps before any code runs.
    pub statics: Vec<StaticObject>,
    /// Imports, exports, lifts, lowers, types, signatures and run-time initializers.
    pub interface: ComponentInterface,
    /// Calls between component instances that reachable code can make.
    pub adapters: IndexVec<AdapterId, Adapter>,
    /// Canonical built-ins that reachable code can call.
    pub canons: IndexVec<CanonId, CanonBuiltin>,
    /// The built-ins of `interface.end_ops`, in order.
    pub end_canons: Vec<CanonId>,
    /// The keys of the reachable core functions, lowered imports, adapters and canonical built-ins,
    /// in order. Besides these, only entry trampolines and trampolines of builtins are generated.
    pub reachable: Vec<FuncKey>,
    /// The signatures of the core functions that the host calls, in order and without duplicates.
    /// Each needs an entry trampoline.
    pub entries: Vec<SigId>,
}

/// A core module of the binary, with numbered types.
pub struct Module<'a> {
    /// The module's type index space.
    pub types: Vec<TypeId>,
    /// The type of each function, imports first, as the module declares it. An imported function
    /// may have a subtype.
    pub funcs: IndexVec<FuncIndex, SigId>,
    /// The number of imported functions.
    pub imported_funcs: u32,
    /// The bodies of the functions that it defines.
    pub bodies: Vec<Body<'a>>,
    /// The functions that may be compiled into their callers, in order.
    pub inlinable: Vec<FuncIndex>,
    /// The names of functions, sorted by index and without duplicates: those of the name section,
    /// else those of exports.
    pub names: Vec<(FuncIndex, &'a str)>,
    /// The name of the module in its name section.
    pub name: Option<&'a str>,
}

impl Module<'_> {
    /// Returns the function type at `index` of the module's type index space, or `None` if there is
    /// no function type at that index.
    pub fn func_type(&self, index: u32) -> Option<SigId> {
        match self.types.get(index as usize) {
            Some(&TypeId::Func(sig)) => Some(sig),
            _ => None,
        }
    }

    /// Returns the struct or array type at `index` of the module's type index space, or `None` if
    /// there is no such type at that index.
    pub fn object_type(&self, index: u32) -> Option<ObjectTypeId> {
        match self.types.get(index as usize) {
            Some(&TypeId::Object(id)) => Some(id),
            _ => None,
        }
    }

    /// Returns the body of a function, if the module defines it.
    pub fn body(&self, func: FuncIndex) -> Option<&Body<'_>> {
        let defined = func.as_u32().checked_sub(self.imported_funcs)?;
        self.bodies.get(defined as usize)
    }

    /// Converts a value type of the module, or returns `None` if it is not supported.
    pub fn val_type(&self, ty: wasmparser::ValType) -> Option<ValType> {
        parse::val_type(ty, |index| self.type_at(index))
    }

    /// Converts a reference type of the module, or returns `None` if it is not supported.
    pub fn ref_type(&self, ty: wasmparser::RefType) -> Option<RefType> {
        parse::ref_type(ty, |index| self.type_at(index))
    }

    /// Converts a heap type of the module, or returns `None` if it is not supported.
    pub fn heap_type(&self, ty: wasmparser::HeapType) -> Option<HeapType> {
        parse::heap_type(ty, |index| self.type_at(index))
    }

    fn type_at(&self, index: UnpackedIndex) -> Option<TypeId> {
        match index {
            UnpackedIndex::Module(index) => self.types.get(index as usize).copied(),
            UnpackedIndex::RecGroup(_) | UnpackedIndex::Id(_) => None,
        }
    }
}

impl Program<'_> {
    /// Returns the number of a built-in that reads or writes ends of streams or futures.
    pub fn end_op(&self, canon: CanonId) -> Option<EndOpId> {
        let position = self.end_canons.binary_search(&canon).ok()?;
        Some(EndOpId::from_u32(position as u32))
    }

    /// Returns the body of a function, if it is one that a core instance defines.
    pub fn body(&self, key: FuncKey) -> Option<Body<'_>> {
        let FuncKey::CoreFunc { instance, func } = key else {
            return None;
        };
        let module = self.modules.get(self.instances.get(instance)?.module)?;
        module.body(func).copied()
    }

    /// Returns whether a function may be compiled into its callers.
    pub fn is_inlinable(&self, key: FuncKey) -> bool {
        let FuncKey::CoreFunc { instance, func } = key else {
            return false;
        };
        let module = &self.modules[self.instances[instance].module];
        module.inlinable.binary_search(&func).is_ok()
    }

    /// Returns the core functions that something other than machine code refers to: the host, and
    /// the initial contents of tables, globals and objects.
    pub fn callees_of_data(&self) -> impl Iterator<Item = CoreCallee> {
        let tables = self.tables.values().map(|table| table.fill);
        let globals = self.globals.values().map(|global| global.init);
        let elems = self.elems.values().flatten().copied();
        let images = self.image_elems.iter().flat_map(|elems| &elems.values);
        let statics = self.statics.iter().flat_map(|object| object.values.iter());
        let all = tables.chain(globals).chain(elems);
        let all = all.chain(images.copied()).chain(statics);
        let named = all.filter_map(|value| match value {
            Const::Func(callee) => Some(callee),
            _ => None,
        });
        self.interface.core_callees().chain(named)
    }

    /// Returns the object type of the exceptions of a tag.
    pub fn exception_type(&self, tag: TagId) -> ObjectTypeId {
        ObjectTypeId::from_u32((self.objects.len() - self.tags.len()) as u32 + tag.as_u32())
    }
}

/// An exception tag.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tag<'a> {
    /// The component instance that it belongs to.
    pub domain: DomainId,
    /// Its function type. Exceptions carry the parameters.
    pub sig: SigId,
    /// Its name in the name section of the module that defines it, else the name of its first
    /// export.
    pub name: Option<&'a str>,
}

/// The body of a function.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// The locals and the code, without the size field.
    pub bytes: &'a [u8],
    /// The offset of `bytes` in the component.
    pub offset: usize,
}

/// An instance of a core module, with its index spaces resolved to items of the program.
#[derive(Serialize)]
pub struct CoreInstance {
    /// The module.
    pub module: ModuleId,
    /// The component instance that it belongs to, which determines its `ctx`.
    pub domain: DomainId,
    /// The imported functions, each with the type that it was defined with. A canonical definition
    /// that no reachable code calls has no number, and is [`NEVER_CALLED`](Self::NEVER_CALLED).
    pub imported_funcs: Vec<CoreCallee>,
    /// The module's memory index space.
    pub memories: Vec<MemoryId>,
    /// The module's table index space.
    pub tables: Vec<TableId>,
    /// The module's global index space.
    pub globals: Vec<GlobalId>,
    /// The module's tag index space.
    pub tags: Vec<TagId>,
    /// The data segments by index in the module, or `None` for those that are empty at run time:
    /// active segments that are applied to the image, and segments that no reachable code names.
    pub data: Vec<Option<DataId>>,
    /// The element segments by index in the module, with `None` as in `data`.
    pub elems: Vec<Option<ElemId>>,
}

impl CoreInstance {
    /// The number of a canonical definition that no reachable code calls.
    pub const NEVER_CALLED: LowerId = LowerId::from_u32(u32::MAX);

    /// Returns function `func` of this instance, with the type that it was defined with. `id` is
    /// the number of this instance, and `module` is its module.
    pub fn callee(&self, id: CoreInstanceId, module: &Module<'_>, func: FuncIndex) -> CoreCallee {
        match self.imported_funcs.get(func.as_u32() as usize) {
            Some(&callee) => callee,
            None => CoreCallee {
                key: FuncKey::CoreFunc { instance: id, func },
                sig: module.funcs[func],
            },
        }
    }
}

/// A call from one component instance to another: a `canon lower` of a `canon lift`, fused. `F` is
/// the name of a core function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adapter<F = CoreCallee> {
    /// The type of the component function.
    pub ty: FuncTypeId,
    /// The callee's side: the core function, its options and `post-return`.
    pub lift: LiftedFunc<F>,
    /// The options of the caller's side.
    pub lower: CanonOptions<F>,
    /// The core signature that the caller sees.
    pub sig: SigId,
}

impl<F> Adapter<F> {
    pub(crate) fn map<G>(self, mut name: impl FnMut(F) -> G) -> Adapter<G> {
        let Self {
            ty,
            lift,
            lower,
            sig,
        } = self;
        Adapter {
            ty,
            lift: lift.map(&mut name),
            lower: lower.map(name),
            sig,
        }
    }
}

/// A canonical built-in with its options (CanonicalABI.md, "Canonical Definitions"). `F` is the
/// name of a core function, as in [`CanonOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CanonBuiltin<F = CoreCallee> {
    /// The built-in, with its immediates.
    pub op: CanonOp,
    /// Its options. The component instance is always set, the others where its definition names
    /// them.
    pub options: CanonOptions<F>,
    /// The core signature.
    pub sig: SigId,
}

impl<F> CanonBuiltin<F> {
    /// Returns whether other threads may run before the built-in returns.
    pub fn may_wait(&self) -> bool {
        // An asynchronous `subtask.cancel` still lets the task run.
        let returns_at_once = self.options.is_async && self.op != CanonOp::SubtaskCancel;
        self.op.may_wait() && !returns_at_once
    }

    pub(crate) fn map<G>(self, name: impl FnMut(F) -> G) -> CanonBuiltin<G> {
        let Self { op, options, sig } = self;
        CanonBuiltin {
            op,
            options: options.map(name),
            sig,
        }
    }
}

/// The canonical built-ins.
///
/// To add one, add a variant here with its row in `row`, the validator's definition of it to
/// `inline/canon.rs`, its signature to `verify/interface.rs`, and its function to the code
/// generator's `canon` folder. Exhaustive matches find what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum CanonOp {
    /// Creates an owning handle for a representation.
    ResourceNew(ResourceId),
    /// Returns the representation of a handle.
    ResourceRep(ResourceId),
    /// Removes a handle, and destroys the resource if the handle owned it.
    ResourceDrop(ResourceId),
    /// Creates a handle for a new error context with a message from memory.
    ErrorContextNew,
    /// Writes the message of an error context to memory, and its pointer and length.
    ErrorContextDebugMessage,
    /// Removes the handle of an error context.
    ErrorContextDrop,
    /// Raises the counter by which a component instance refuses new tasks.
    BackpressureInc,
    /// Lowers that counter.
    BackpressureDec,
    /// Gives the result of the current task, which has this type.
    TaskReturn(Option<InterfaceType>),
    /// Acknowledges the cancellation of the current task.
    TaskCancel,
    /// Returns a word of the current thread's storage.
    ContextGet(u32),
    /// Sets a word of the current thread's storage.
    ContextSet(u32),
    /// Asks a subtask to end early.
    SubtaskCancel,
    /// Removes the handle of a subtask.
    SubtaskDrop,
    /// Creates a waitable set.
    WaitableSetNew,
    /// Waits for an event of a waitable set.
    WaitableSetWait,
    /// Takes an event of a waitable set, if there is one.
    WaitableSetPoll,
    /// Removes a waitable set.
    WaitableSetDrop,
    /// Puts a waitable into a set, or takes it out.
    WaitableJoin,
    /// Creates a stream or future.
    New(AsyncValue),
    /// Reads from a stream or future.
    Read(AsyncValue),
    /// Writes to a stream or future.
    Write(AsyncValue),
    /// Ends a read that is under way.
    CancelRead(AsyncValue),
    /// Ends a write that is under way.
    CancelWrite(AsyncValue),
    /// Removes a readable end.
    DropReadable(AsyncValue),
    /// Removes a writable end.
    DropWritable(AsyncValue),
    /// Connects a readable end with a writable one.
    Forward(AsyncValue),
    /// Returns the index of the current thread.
    ThreadIndex,
    /// Creates a thread that will call a function of a table, which has this signature.
    ThreadNewIndirect(TableId, SigId),
    /// Makes another thread ready.
    ThreadResumeLater,
    /// Suspends the current thread.
    ThreadSuspend,
    /// Lets other threads run.
    ThreadYield,
    /// Suspends the current thread, and resumes another one.
    ThreadSuspendThenResume,
    /// Resumes another thread, and makes the current one ready.
    ThreadYieldThenResume,
    /// Suspends the current thread, and resumes another one if that is ready.
    ThreadSuspendThenPromote,
    /// Resumes another thread if that is ready, and makes the current one ready.
    ThreadYieldThenPromote,
}

impl CanonOp {
    /// Returns the name of the built-in in the text format.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Returns the resource type whose handles the built-in works on, if it works on one.
    pub fn resource(self) -> Option<ResourceId> {
        self.row().1
    }

    /// Returns whether the built-in asks which task or thread runs.
    pub fn asks_for_task(self) -> bool {
        match self {
            CanonOp::ResourceNew(_)
            | CanonOp::ResourceRep(_)
            | CanonOp::ResourceDrop(_)
            | CanonOp::ErrorContextNew
            | CanonOp::ErrorContextDebugMessage
            | CanonOp::ErrorContextDrop
            | CanonOp::BackpressureInc
            | CanonOp::BackpressureDec
            | CanonOp::SubtaskDrop
            | CanonOp::WaitableSetNew
            | CanonOp::WaitableSetPoll
            | CanonOp::WaitableSetDrop
            | CanonOp::WaitableJoin
            | CanonOp::New(_)
            | CanonOp::DropReadable(_)
            | CanonOp::DropWritable(_)
            | CanonOp::Forward(_) => false,
            // Those that may wait, too: only the thread of an asynchronous task may be suspended.
            CanonOp::TaskReturn(_)
            | CanonOp::TaskCancel
            | CanonOp::ContextGet(_)
            | CanonOp::ContextSet(_)
            | CanonOp::SubtaskCancel
            | CanonOp::WaitableSetWait
            | CanonOp::Read(_)
            | CanonOp::Write(_)
            | CanonOp::CancelRead(_)
            | CanonOp::CancelWrite(_)
            | CanonOp::ThreadIndex
            | CanonOp::ThreadNewIndirect(..)
            | CanonOp::ThreadResumeLater
            | CanonOp::ThreadSuspend
            | CanonOp::ThreadYield
            | CanonOp::ThreadSuspendThenResume
            | CanonOp::ThreadYieldThenResume
            | CanonOp::ThreadSuspendThenPromote
            | CanonOp::ThreadYieldThenPromote => true,
        }
    }

    /// Returns whether other threads may run before the built-in returns, if it is not `async`.
    fn may_wait(self) -> bool {
        let asks_only = matches!(
            self,
            CanonOp::TaskReturn(_)
                | CanonOp::TaskCancel
                | CanonOp::ContextGet(_)
                | CanonOp::ContextSet(_)
                | CanonOp::ThreadIndex
                | CanonOp::ThreadNewIndirect(..)
                | CanonOp::ThreadResumeLater
        );
        self.asks_for_task() && !asks_only
    }

    /// Returns whether the built-in has an `async` variant.
    pub fn may_be_async(self) -> bool {
        matches!(
            self,
            CanonOp::SubtaskCancel
                | CanonOp::Read(_)
                | CanonOp::Write(_)
                | CanonOp::CancelRead(_)
                | CanonOp::CancelWrite(_)
        )
    }

    /// Returns the name and the resource type.
    fn row(self) -> (&'static str, Option<ResourceId>) {
        let end = |value, stream, future| match value {
            AsyncValue::Stream(_) => (stream, None),
            AsyncValue::Future(_) => (future, None),
        };
        match self {
            CanonOp::ResourceNew(id) => ("resource.new", Some(id)),
            CanonOp::ResourceRep(id) => ("resource.rep", Some(id)),
            CanonOp::ResourceDrop(id) => ("resource.drop", Some(id)),
            CanonOp::ErrorContextNew => ("error-context.new", None),
            CanonOp::ErrorContextDebugMessage => ("error-context.debug-message", None),
            CanonOp::ErrorContextDrop => ("error-context.drop", None),
            CanonOp::BackpressureInc => ("backpressure.inc", None),
            CanonOp::BackpressureDec => ("backpressure.dec", None),
            CanonOp::TaskReturn(_) => ("task.return", None),
            CanonOp::TaskCancel => ("task.cancel", None),
            CanonOp::ContextGet(_) => ("context.get", None),
            CanonOp::ContextSet(_) => ("context.set", None),
            CanonOp::SubtaskCancel => ("subtask.cancel", None),
            CanonOp::SubtaskDrop => ("subtask.drop", None),
            CanonOp::WaitableSetNew => ("waitable-set.new", None),
            CanonOp::WaitableSetWait => ("waitable-set.wait", None),
            CanonOp::WaitableSetPoll => ("waitable-set.poll", None),
            CanonOp::WaitableSetDrop => ("waitable-set.drop", None),
            CanonOp::WaitableJoin => ("waitable.join", None),
            CanonOp::New(value) => end(value, "stream.new", "future.new"),
            CanonOp::Read(value) => end(value, "stream.read", "future.read"),
            CanonOp::Write(value) => end(value, "stream.write", "future.write"),
            CanonOp::CancelRead(value) => end(value, "stream.cancel-read", "future.cancel-read"),
            CanonOp::CancelWrite(value) => end(value, "stream.cancel-write", "future.cancel-write"),
            CanonOp::DropReadable(value) => {
                end(value, "stream.drop-readable", "future.drop-readable")
            }
            CanonOp::DropWritable(value) => {
                end(value, "stream.drop-writable", "future.drop-writable")
            }
            CanonOp::Forward(value) => end(value, "stream.forward", "future.forward"),
            CanonOp::ThreadIndex => ("thread.index", None),
            CanonOp::ThreadNewIndirect(..) => ("thread.new-indirect", None),
            CanonOp::ThreadResumeLater => ("thread.resume-later", None),
            CanonOp::ThreadSuspend => ("thread.suspend", None),
            CanonOp::ThreadYield => ("thread.yield", None),
            CanonOp::ThreadSuspendThenResume => ("thread.suspend-then-resume", None),
            CanonOp::ThreadYieldThenResume => ("thread.yield-then-resume", None),
            CanonOp::ThreadSuspendThenPromote => ("thread.suspend-then-promote", None),
            CanonOp::ThreadYieldThenPromote => ("thread.yield-then-promote", None),
        }
    }
}

/// A value that is known at compile time. `F` is the name of a core function, as in
/// [`CanonOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Const<F = CoreCallee> {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// The bits of a vector.
    V128(u128),
    /// The null reference of any type.
    Null,
    /// A reference to a function. The function is reachable.
    Func(F),
    /// A reference to a 31-bit integer, which is in the low bits.
    I31(u32),
    /// A reference to an object that is in the GC heap from the start, by its position in
    /// [`Program::statics`]. It belongs to the same component instance.
    Object(u32),
}

impl<F> Const<F> {
    pub(crate) fn map<G>(self, name: impl FnOnce(F) -> G) -> Const<G> {
        match self {
            Const::I32(value) => Const::I32(value),
            Const::I64(value) => Const::I64(value),
            Const::F32(bits) => Const::F32(bits),
            Const::F64(bits) => Const::F64(bits),
            Const::V128(bits) => Const::V128(bits),
            Const::Null => Const::Null,
            Const::Func(func) => Const::Func(name(func)),
            Const::I31(value) => Const::I31(value),
            Const::Object(at) => Const::Object(at),
        }
    }
}

/// An object that a constant expression creates. It never moves, so references to it are constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaticObject<F = CoreCallee> {
    /// The component instance in whose heap it is.
    pub domain: DomainId,
    /// The reference to it.
    pub reference: u32,
    /// Its type.
    pub ty: ObjectTypeId,
    /// The values of its fields or elements.
    pub values: StaticValues<F>,
}

impl<F> StaticObject<F> {
    pub(crate) fn map<G>(self, name: impl FnMut(F) -> G) -> StaticObject<G> {
        let Self {
            domain,
            reference,
            ty,
            values,
        } = self;
        StaticObject {
            domain,
            reference,
            ty,
            values: values.map(name),
        }
    }
}

/// The values of an object's fields or elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum StaticValues<F = CoreCallee> {
    /// One value for each field or element.
    Each(Box<[Const<F>]>),
    /// The same value, repeated.
    Same(Const<F>, u32),
}

impl<F: Copy> StaticValues<F> {
    /// Returns the values in order. A repeated value appears once, even if it is repeated 0 times.
    pub fn iter(&self) -> impl Iterator<Item = Const<F>> {
        let (each, same) = match self {
            StaticValues::Each(values) => (&values[..], None),
            StaticValues::Same(value, _) => (&[][..], Some(*value)),
        };
        each.iter().copied().chain(same)
    }
}

impl<F> StaticValues<F> {
    fn map<G>(self, mut name: impl FnMut(F) -> G) -> StaticValues<G> {
        match self {
            StaticValues::Each(values) => {
                let values = values.into_iter().map(|value| value.map(&mut name));
                StaticValues::Each(values.collect())
            }
            StaticValues::Same(value, count) => StaticValues::Same(value.map(name), count),
        }
    }

    /// Returns the number of fields or elements.
    pub fn len(&self) -> usize {
        match self {
            StaticValues::Each(values) => values.len(),
            StaticValues::Same(_, count) => *count as usize,
        }
    }

    /// Returns whether there are no fields or elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The value of a global. Its component instance and type are in `Shape::globals`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Global<F = CoreCallee> {
    /// Whether code can write it. Machine code uses `init` in place of an immutable global.
    pub mutable: bool,
    /// Its initial value.
    pub init: Const<F>,
}

impl<F> Global<F> {
    pub(crate) fn map<G>(self, name: impl FnOnce(F) -> G) -> Global<G> {
        let Self { mutable, init } = self;
        Global {
            mutable,
            init: init.map(name),
        }
    }
}

/// The initial contents of a table.
#[derive(Clone, Debug, Serialize)]
pub struct TableInit {
    /// The type of its entries.
    pub element: RefType,
    /// The value of every entry before segments are applied.
    pub fill: Const,
    /// Whether reachable code, the host or a run-time initializer can change its entries or size.
    pub mutable: bool,
}

/// An active data segment that is applied before any code runs.
pub struct ImageData<'a> {
    /// The memory.
    pub memory: MemoryId,
    /// The offset in the memory, in bytes.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// An active element segment that is applied before any code runs.
#[derive(Serialize)]
pub struct ImageElems<F = CoreCallee> {
    /// The table.
    pub table: TableId,
    /// The first entry.
    pub offset: u32,
    /// The values.
    pub values: Box<[Const<F>]>,
}

impl<F> ImageElems<F> {
    pub(crate) fn map<G>(self, mut name: impl FnMut(F) -> G) -> ImageElems<G> {
        let Self {
            table,
            offset,
            values,
        } = self;
        let values = values.into_iter().map(|value| value.map(&mut name));
        ImageElems {
            table,
            offset,
            values: values.collect(),
        }
    }
}
